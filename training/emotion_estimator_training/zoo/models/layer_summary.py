"""Layer summaries: a Keras model's layers as data and as a text table."""

from __future__ import annotations

from typing import Any, NamedTuple

from emotion_estimator_training.tables import text_table


class LayerSummary(NamedTuple):
    """One layer of a Keras model.

    :param name: prefixed with ``<model>/`` for layers of a nested model.
    :param kind: class name of the layer.
    :param output: output shape; the first dimension is the batch.
    :param parameters: number of weights.
    :param after: names of the layers it reads.
    """

    name: str
    kind: str
    output: tuple[int | None, ...]
    parameters: int
    after: tuple[str, ...]


def summarize_layers(model: Any, prefix: str = '') -> tuple[LayerSummary, ...]:
    """Return the layers of a Keras model in order, including those of nested models.

    :param prefix: put before each layer's name.
    """
    summaries: list[LayerSummary] = []
    for layer in model.layers:
        # A network, or one that is applied to every frame.
        nested = layer if hasattr(layer, 'layers') else getattr(layer, 'layer', None)
        if hasattr(nested, 'layers'):
            summaries += summarize_layers(nested, f'{prefix}{layer.name}/')
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
        summaries.append(
            LayerSummary(
                prefix + layer.name, kind, tuple(output), int(layer.count_params()), tuple(after)
            )
        )
    return tuple(summaries)


def layer_table(summaries: tuple[LayerSummary, ...]) -> str:
    """Return the layers as a text table, with the total number of parameters below."""
    rows = [
        [one.name, one.kind, _shape(one.output), f'{one.parameters:,}', ', '.join(one.after)]
        for one in summaries
    ]
    total = sum(one.parameters for one in summaries)
    return (
        text_table(['layer', 'kind', 'output', 'parameters', 'follows'], rows)
        + f'\n\n{len(summaries)} layers, {total:,} parameters'
    )


def _shape(shape: tuple[int | None, ...]) -> str:
    return ' x '.join(str(one) for one in shape[1:]) or '1'
