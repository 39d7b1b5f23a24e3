"""Writes the papers' networks as float TFLite, so that their time per frame can be measured."""

from __future__ import annotations

from typing import Any

from emotion_estimator.quiet import quiet
from emotion_estimator_training.models.legacy_keras import keras, tf
from emotion_estimator_training.models.still_recognizer import StillRecognizer


def export_tflite(recognizer: StillRecognizer, unrolled: bool = False) -> bytes:
    """Return the network for one frame as float TFLite with built-in operators only.

    Input ``blendshapes`` float32 [1, K, 1] for an LSTM, [1, K] for a dense network, in the order of
    ``recognizer.inputs``; output [1, L], the probabilities. Selu keeps an LSTM from being fused,
    so it becomes loops over the K scores.

    :param unrolled: write the loops out: half the time per frame for four times the bytes.
    """
    model = _unrolled(recognizer.model) if unrolled else recognizer.model
    function = tf.function(
        lambda blendshapes: model(blendshapes, training=False),
        input_signature=[tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, 'blendshapes')],
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], model
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    with quiet():
        content: bytes = converter.convert()
    return content


def _unrolled(model: Any) -> Any:
    def copy(layer: Any) -> Any:
        config = layer.get_config()
        return type(layer).from_config({**config, 'unroll': True} if 'unroll' in config else config)

    copied = keras.models.clone_model(model, clone_function=copy)
    copied.set_weights(model.get_weights())
    return copied
