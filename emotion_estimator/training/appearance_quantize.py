"""``quantize appearance``: the trained network as int8 TFLite, held to the float one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.perception.face_crop import CROP, SIDE
from emotion_estimator.training.appearance_network import network_pixels
from emotion_estimator.training.legacy_keras import tf
from emotion_estimator.training.quantize import write_model
from emotion_estimator.training.tflite_file import lean

Crops = NDArray[np.uint8]
Floats = NDArray[np.float32]


def int8_network(network: Any, crops: Crops) -> bytes:
    """Convert the Keras model to TFLite: int8 weights and activations, float in and out.

    :param crops: (N, 48, 48), crops that occur: by them the activations are scaled.
    """
    function = tf.function(network).get_concrete_function(
        tf.TensorSpec((1, SIDE, SIDE, 1), tf.float32, 'crop')
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    pixels = network_pixels(crops)
    converter.representative_dataset = lambda: ([one[None]] for one in pixels)
    # Per-channel weights of a dense layer need a version that tflite-runtime 2.14 lacks.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    from emotion_estimator.quiet import quiet

    with quiet():
        content: bytes = converter.convert()
    return lean(content)


def write_appearance(content: bytes, card: dict[str, Any], folder: Path) -> Path:
    """Write ``appearance.tflite`` and its JSON card into ``folder``; return the card's path.

    :param card: what is known of its making: ``trained_on``, ``settings``, ``metrics``.
    """
    return write_model(content, {
        'name': 'appearance', 'version': '1.0.0', 'kind': 'appearance', 'labels': [],
        'license': 'Apache-2.0', **card,
        'settings': {'crop': CROP, 'side': SIDE, **card['settings']},
    }, folder)
