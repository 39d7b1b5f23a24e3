"""The trained appearance network as TFLite, its weights int8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emotion_estimator.perception.face_crop import CROP, SIDE
from emotion_estimator.quiet import quiet
from emotion_estimator_training.models.legacy_keras import tf
from emotion_estimator_training.shipping.quantize import write_model
from emotion_estimator_training.shipping.tflite_file import weights_in_int8


def int8_network(network: Any) -> bytes:
    """Convert the Keras model to TFLite, weights int8, activations float."""
    function = tf.function(network).get_concrete_function(
        tf.TensorSpec((1, SIDE, SIDE, 1), tf.float32, 'crop')
    )
    with quiet():
        content: bytes = tf.lite.TFLiteConverter.from_concrete_functions(
            [function], network
        ).convert()
    return weights_in_int8(content)


def write_appearance(content: bytes, card: dict[str, Any], folder: Path) -> Path:
    """Write ``appearance.tflite`` and its JSON card into ``folder``; return the card's path.

    :param card: what is known of its making: ``trained_on``, ``settings``, ``metrics``.
    """
    return write_model(content, {
        'name': 'appearance', 'version': '1.2.0', 'kind': 'appearance', 'labels': [],
        'license': 'Apache-2.0', **card,
        'settings': {'crop': CROP, 'side': SIDE, **card['settings']},
    }, folder)
