"""The one picture of all models, and their confusions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emotion_estimator.training.figures import _new, confusion_chart, png

#: Of a result, what the axis says, and whether it is drawn on a logarithmic one.
_PANELS = (
    ('accuracy', 'accuracy', False), ('macro_f1', 'macro-F1', False),
    ('flips_per_second', 'flips per second', False), ('parameters', 'parameters', True),
    ('bytes', 'size (bytes, TFLite)', True), ('ms_per_frame', 'ms per frame, one core', True),
)
_COLOUR, _OURS = '#0072B2', '#D55E00'


def comparison_chart(results: Sequence[dict[str, Any]], title: str) -> bytes:
    """Draw each model's accuracy, macro-F1, flips, parameters, size and time as bars.

    :param results: of ``zoo run``, the table's order from top to bottom; what is not known of one
        is left empty.
    """
    names = [one['model'] for one in results]
    figure = _new(13.0, 1.6 + 0.3 * len(names))
    axes = figure.subplots(1, len(_PANELS), sharey=True, squeeze=False)[0]
    colours = [_OURS if one['kind'] in ('ours', 'shipped') else _COLOUR for one in results]
    for axis, (key, label, logarithmic) in zip(axes, _PANELS):
        values = [one.get(key) or 0 for one in results]
        axis.barh(range(len(names)), values, color=colours)
        for row, one in enumerate(results):
            if one.get(key) is not None:
                axis.text(0.98, row, _short(key, one[key]), ha='right', va='center', fontsize=7,
                          transform=axis.get_yaxis_transform())
        if logarithmic and any(values):
            axis.set_xscale('log')
        axis.set_xlabel(label, fontsize=8)
        axis.tick_params(labelsize=7)
        axis.grid(axis='x', alpha=0.3)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].invert_yaxis()
    figure.suptitle(title, fontsize=10)
    return png(figure)


def _short(key: str, value: float) -> str:
    if key in ('parameters', 'bytes'):
        return f'{value:,.0f}'
    return f'{value:.3f}' if key in ('accuracy', 'macro_f1') else f'{value:.2f}'


def confusions_chart(result: dict[str, Any], classes: Sequence[str]) -> bytes:
    """Draw a model's confusions (seed 003, figure 10; seed 004, figures 22 to 25)."""
    return confusion_chart({result['model']: result['confusion_matrix']}, classes)
