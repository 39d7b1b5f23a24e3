"""Writes the papers' networks as float TFLite, so that their time per frame can be measured."""

from __future__ import annotations

from emotion_estimator.quiet import quiet
from emotion_estimator.training.legacy_keras import tf
from emotion_estimator.training.still_recognizer import StillRecognizer


def export_tflite(recognizer: StillRecognizer) -> bytes:
    """Return the network for one frame as float TFLite with built-in operators only.

    Input ``blendshapes`` float32 [1, K, 1] for an LSTM, [1, K] for a dense network, in the order of
    ``recognizer.inputs``; output [1, L], the probabilities. Selu keeps an LSTM from being fused,
    so it becomes loops over the K scores (``design/models.md``).
    """
    shape = (1, *recognizer.model.input_shape[1:])
    function = tf.function(
        lambda blendshapes: recognizer.model(blendshapes, training=False),
        input_signature=[tf.TensorSpec(shape, tf.float32, 'blendshapes')],
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], recognizer.model
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    with quiet():
        content: bytes = converter.convert()
    return content
