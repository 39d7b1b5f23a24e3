"""Converts trained networks to TFLite, quantized in several ways, and inspects the files.

Integer quantization: Jacob et al. 2018.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Before TensorFlow, which reads its settings when it is imported.
from emotion_estimator_training.models.legacy_keras import tf  # isort: skip
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from emotion_estimator.errors import ModelError, first_line
from emotion_estimator.runtimes import quiet

#: Yields the inputs of one step after another, in the function's order.
Representative = Callable[[], Iterable[Sequence[NDArray[Any]]]]

#: The ways to convert a network; the others are compared with ``FLOAT``, which is no candidate.
FLOAT = 'float'
DYNAMIC_RANGE = 'dynamic-range'
INT8 = 'int8'
INT8_PRODUCTS = 'int8 products'
INT16 = 'int16 activations, int8 weights'
WAYS = (FLOAT, DYNAMIC_RANGE, INT8, INT8_PRODUCTS, INT16)

_PRODUCT = 'FULLY_CONNECTED'
#: Operators whose second input is a matrix or kernel with the output channels as its first axis.
_WEIGHTED = ('CONV_2D', _PRODUCT)
#: The first version of DEQUANTIZE with a scale per channel.
_DEQUANTIZE_BY_CHANNEL = 5


def operators(content: bytes) -> Iterator[tuple[str, bool]]:
    """Yield each operator of a TFLite file, and whether its inputs and outputs are float."""
    model = _read(content)
    graph = model.subgraphs[0]
    for operator in graph.operators:
        kinds = [
            {graph.tensors[one].type for one in tensors if one >= 0}
            for tensors in (operator.inputs, operator.outputs)
        ]
        yield (
            flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex),
            all(schema.TensorType.FLOAT32 in kind for kind in kinds),
        )


def float_operators(content: bytes) -> list[str]:
    """Return the operators of a TFLite file with float inputs and outputs.

    A matrix product with int8 weights and float activations is one of them.
    """
    return sorted({name for name, is_float in operators(content) if is_float})


def lean(content: bytes) -> bytes:
    """Return a TFLite file without its unused parts: a tenth smaller, with the same results.

    Removed are the names of inner tensors, signatures (which repeat the names of inputs and
    outputs), empty quantizations, and the buffers of computed tensors.
    """
    model = _read(content)
    model.signatureDefs = None
    # By convention the first buffer is empty: no data.
    used = {0, *(each.buffer for each in model.metadata or [])}
    for graph in model.subgraphs:
        ends = {*graph.inputs, *graph.outputs}
        for number, tensor in enumerate(graph.tensors):
            if number not in ends:
                tensor.name = None
            if tensor.quantization is not None and tensor.quantization.scale is None:
                tensor.quantization = None
            data = model.buffers[tensor.buffer].data
            if data is None or not len(data):
                tensor.buffer = 0
            used.add(tensor.buffer)
    place = {old: new for new, old in enumerate(sorted(used))}
    model.buffers = [model.buffers[old] for old in sorted(used)]
    for each in (
        *(one for graph in model.subgraphs for one in graph.tensors),
        *(model.metadata or []),
    ):
        each.buffer = place[each.buffer]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def weights_in_int8(content: bytes) -> bytes:
    """Return a float TFLite file with int8 weights, one scale per output channel.

    A DEQUANTIZE follows the weights, which both runtimes compute once when the file is opened;
    activations stay float. Unlike the converter's own ways this is fast in both runtimes:
    tflite-runtime 2.14 has no fast kernels for int8 activations on x86-64, and none for hybrid
    layers of this version.
    """
    model = _read(content)
    graph = model.subgraphs[0]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = _DEQUANTIZE_BY_CHANNEL
    model.operatorCodes.append(code)
    first = []
    for operator in graph.operators:
        if flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex) not in _WEIGHTED:
            continue
        place = operator.inputs[1]
        weights = graph.tensors[place]
        values = np.frombuffer(bytes(model.buffers[weights.buffer].data), np.float32)
        rows = values.reshape(weights.shape[0], -1)
        scale = np.maximum(np.abs(rows).max(axis=1), 1e-12) / 127
        rounded = np.round(rows / scale[:, None]).astype(np.int8)
        stored = schema.BufferT()
        stored.data = np.frombuffer(rounded.tobytes(), np.uint8)
        model.buffers.append(stored)
        graph.tensors.append(_int8_tensor(weights.shape, len(model.buffers) - 1, scale))
        first.append(_dequantize(len(model.operatorCodes) - 1, len(graph.tensors) - 1, place))
        weights.buffer = 0
    graph.operators = [*first, *graph.operators]
    return lean(bytes(flatbuffer_utils.convert_object_to_bytearray(model)))


def _int8_tensor(shape: Any, buffer: int, scale: NDArray[np.floating[Any]]) -> Any:
    tensor, quantization = schema.TensorT(), schema.QuantizationParametersT()
    tensor.shape, tensor.type, tensor.buffer = list(shape), schema.TensorType.INT8, buffer
    quantization.scale = scale.astype(np.float32)
    quantization.zeroPoint = np.zeros(len(scale), np.int64)
    quantization.quantizedDimension = 0
    tensor.quantization = quantization
    return tensor


def _dequantize(code: int, into: int, out: int) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, [into], [out]
    operator.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
    operator.builtinOptions = schema.DequantizeOptionsT()
    return operator


def _read(content: bytes) -> Any:
    return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def int8_weights(function: Any) -> bytes:
    """Convert a concrete function to TFLite with int8 weights and float activations.

    :param function: a ``tf.function``'s concrete function whose inputs have fixed shapes.
    """
    return _converted(_converter(function))


def converted(function: Any, way: str, representative: Representative) -> bytes:
    """Convert a concrete function in one of ``WAYS``.

    :param representative: typical inputs, from which activations are scaled: for a network with a
        state, those of sequences in order.
    :raises ModelError: TensorFlow cannot convert it this way; the message says why.
    """
    converter = _converter(function)
    if way == FLOAT:
        converter.optimizations = []
    if way in (INT8, INT8_PRODUCTS, INT16):
        converter.representative_dataset = representative
    if way == INT8:
        # The second set: float, for operators without an int8 kernel.
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
            tf.lite.OpsSet.TFLITE_BUILTINS,
        ]
    if way == INT16:
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
            tf.lite.OpsSet.TFLITE_BUILTINS,
        ]
    from tensorflow.lite.python.convert import ConverterError

    try:
        if way == INT8_PRODUCTS:
            # A score in steps of 1/255 is too coarse for its logarithm, above all.
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
        # Warnings about statistics that only another way of quantizing needs.
        warnings.simplefilter('ignore')
        content: bytes = converter.convert()
    return content


def _but(converter: Any, operators: list[str], representative: Representative) -> bytes:
    """Convert all but some operators to int8."""
    with quiet(), warnings.catch_warnings():
        # Warnings of TensorFlow's own interpreter, which the debugger runs.
        warnings.simplefilter('ignore')
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter,
            debug_dataset=representative,
            debug_options=tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=operators),
        )
        content: bytes = debugger.get_nondebug_quantized_model()
    return content
