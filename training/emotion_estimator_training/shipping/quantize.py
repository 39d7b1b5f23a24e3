"""Writes trained networks as TFLite, quantized in several ways, and says what such a file holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

# First: TensorFlow reads its settings when it is imported.
from emotion_estimator_training.models.legacy_keras import tf  # isort: skip
import warnings
from collections.abc import Callable, Iterable, Sequence

from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from emotion_estimator.errors import ModelError, first_line
from emotion_estimator.runtimes import quiet


def operators(content: bytes) -> Iterator[tuple[str, bool]]:
    """Give each operator of a TFLite file, and whether it takes and gives float."""
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
    """Return the operators of a TFLite file that take and give float, without conversions.

    A matrix product with int8 weights and float activations is one of them.
    """
    return sorted({name for name, is_float in operators(content) if is_float})


def lean(content: bytes) -> bytes:
    """Return a TFLite file that computes the same without what nobody reads: a tenth is saved.

    Gone are the names of inner tensors, signatures (which name the inputs and outputs once more),
    empty quantizations and a buffer of its own for every tensor that is computed.
    """
    model = _read(content)
    model.signatureDefs = None
    # The first buffer stands for "no data".
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


#: Operators whose second input is a matrix or a kernel, its first axis the output's channels.
_WEIGHTED = ('CONV_2D', 'FULLY_CONNECTED')


def weights_in_int8(content: bytes) -> bytes:
    """Return a float TFLite file with its weights as int8, one scale to each output channel.

    They are put before a DEQUANTIZE, which both runtimes carry out once, when the file is opened;
    what is computed stays float. Other than the converter's own ways this is quick in both:
    tflite-runtime 2.14 has no fast kernels for int8 activations on x86-64, nor any for its hybrid
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


#: The version of DEQUANTIZE that takes a scale for each channel.
_DEQUANTIZE_BY_CHANNEL = 5


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
            converter=converter,
            debug_dataset=representative,
            debug_options=tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=operators),
        )
        content: bytes = debugger.get_nondebug_quantized_model()
    return content
