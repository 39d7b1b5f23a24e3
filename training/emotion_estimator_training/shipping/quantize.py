"""Writes trained networks as TFLite: quantized in several ways, and with their cards."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import ModelError, first_line
from emotion_estimator.quiet import quiet
from emotion_estimator_training.models.legacy_keras import tf
from emotion_estimator_training.shipping.tflite_file import lean, operators

#: Gives the inputs of one step after another, in the function's order.
Representative = Callable[[], Iterable[Sequence[np.ndarray]]]

#: The ways a network can be converted; the first is no candidate but what the others are held to.
FLOAT = 'float'
DYNAMIC_RANGE = 'dynamic-range'
INT8 = 'int8'
INT8_PRODUCTS = 'int8 products'
INT16 = 'int16 activations, int8 weights'
WAYS = (FLOAT, DYNAMIC_RANGE, INT8, INT8_PRODUCTS, INT16)

_PRODUCT = 'FULLY_CONNECTED'


def int8_weights(function: Any) -> bytes:
    """Convert a concrete function to TFLite, weights int8, activations float.

    :param function: a ``tf.function``'s concrete function whose inputs have fixed shapes.
    """
    return _converted(_converter(function))


def converted(function: Any, way: str, representative: Representative) -> bytes:
    """Convert a concrete function in one of ``WAYS``.

    :param representative: inputs that occur, by which activations are scaled: for a network with
        a state, those of sequences in order.
    :raises ModelError: TensorFlow cannot convert it so; says why.
    """
    converter = _converter(function)
    if way == FLOAT:
        converter.optimizations = []
    if way in (INT8, INT8_PRODUCTS, INT16):
        converter.representative_dataset = representative
    if way == INT8:
        # The second: float where there is no int8 kernel.
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS
        ]
    if way == INT16:
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
            tf.lite.OpsSet.TFLITE_BUILTINS,
        ]
    from tensorflow.lite.python.convert import ConverterError

    try:
        if way == INT8_PRODUCTS:
            # A score's logarithm, most of all, is not to be had from a score in steps of 1/255.
            between = {name for name, _ in operators(int8_weights(function))} - {_PRODUCT}
            return lean(_but(converter, sorted(between), representative))
        return lean(_converted(converter))
    except (RuntimeError, ValueError, ConverterError) as error:
        raise ModelError(f'TensorFlow cannot convert it to {way} ({first_line(error)})') from error


def _converter(function: Any) -> Any:
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], function)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    # Per-channel weights need FULLY_CONNECTED version 12, which tflite-runtime 2.14 lacks.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    return converter


def _converted(converter: Any) -> bytes:
    with quiet(), warnings.catch_warnings():
        # Of statistics that only another way of quantizing takes.
        warnings.simplefilter('ignore')
        content: bytes = converter.convert()
    return content


def _but(converter: Any, operators: list[str], representative: Representative) -> bytes:
    """Convert to int8 all but some operators."""
    with quiet(), warnings.catch_warnings():
        # Of TensorFlow's own interpreter, which the debugger runs.
        warnings.simplefilter('ignore')
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=representative,
            debug_options=tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=operators),
        )
        content: bytes = debugger.get_nondebug_quantized_model()
    return content


def write_model(content: bytes, card: dict[str, Any], folder: Path) -> Path:
    """Write ``<kind>.tflite`` and its JSON card into ``folder``; return the card's path.

    :param card: everything but ``file``, ``sha256`` and ``blendshapes``, which are added.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / f'{card["kind"]}.tflite'
    weights.write_bytes(content)
    path = weights.with_suffix('.json')
    whole = {
        **card,
        'file': weights.name,
        'bytes': len(content),
        'sha256': hashlib.sha256(content).hexdigest(),
        'blendshapes': list(BLENDSHAPE_NAMES),
    }
    path.write_text(json.dumps(whole, indent=1) + '\n')
    return path
