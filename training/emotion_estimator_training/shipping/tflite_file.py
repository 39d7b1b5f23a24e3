"""TFLite files as data: which operators they hold, and what of them nobody needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

# First: TensorFlow reads its settings when it is imported.
from emotion_estimator_training.models.legacy_keras import tf  # noqa: F401, isort: skip
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils


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
    for each in (*(one for graph in model.subgraphs for one in graph.tensors),
                 *(model.metadata or [])):
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
