"""A network's layers as data, and in print as in the papers' figures."""

from __future__ import annotations

from typing import Any, NamedTuple

from emotion_estimator_training.text_table import text_table


class Layer(NamedTuple):
    """One layer; of an output's shape the first is the batch."""

    name: str
    kind: str
    output: tuple[int | None, ...]
    parameters: int
    after: tuple[str, ...]


def layers(model: Any, prefix: str = '') -> tuple[Layer, ...]:
    """Return a Keras model's layers, those of models inside it too, in order."""
    found: list[Layer] = []
    for layer in model.layers:
        if hasattr(layer, 'layers'):
            found += layers(layer, f'{prefix}{layer.name}/')
            continue
        output = layer.output_shape
        if isinstance(output, list):
            output = output[0]
        after: list[str] = []
        for node in layer.inbound_nodes[:1]:
            before = node.inbound_layers
            after += [one.name for one in (before if isinstance(before, list) else [before])]
        kind = type(layer).__name__
        if hasattr(layer, 'forward_layer'):
            kind += f' {type(layer.forward_layer).__name__}'
        found.append(Layer(
            prefix + layer.name, kind, tuple(output), int(layer.count_params()), tuple(after)
        ))
    return tuple(found)


def in_print(found: tuple[Layer, ...]) -> str:
    """Return the layers as a table: what each is, what it gives, and what it follows."""
    rows = [
        [one.name, one.kind, _shape(one.output), f'{one.parameters:,}', ', '.join(one.after)]
        for one in found
    ]
    total = sum(one.parameters for one in found)
    return (
        text_table(['layer', 'kind', 'output', 'parameters', 'follows'], rows)
        + f'\n\n{len(found)} layers, {total:,} parameters'
    )


def _shape(shape: tuple[int | None, ...]) -> str:
    return ' x '.join(str(one) for one in shape[1:]) or '1'
