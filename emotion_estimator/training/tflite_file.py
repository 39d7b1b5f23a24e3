"""TFLite files as data: which operators they hold, and what of them nobody needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# First: TensorFlow reads its settings when it is imported.
from emotion_estimator.training.legacy_keras import tf  # noqa: F401, isort: skip
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


def _read(content: bytes) -> Any:
    return flatbuffer_utils.read_model_from_bytearray(bytearray(content))
