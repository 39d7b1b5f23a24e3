"""Charts of the models: comparison of their metrics, and confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from emotion_estimator_training.report.charts import confusion_chart, new_figure, png
from emotion_estimator_training.zoo.metrics import Result

#: Key of a result, title of its panel, number format, and whether the axis is logarithmic (which
#: has no zero for bars to start from, so values are dots).
_PANELS = (
    ('accuracy', 'accuracy\n(more is better)', '{:.2f}', False),
    ('macro_f1', 'macro-F1\n(more is better)', '{:.2f}', False),
    ('flips_per_second', 'label changes per second\n(fewer is better)', '{:.2f}', False),
    ('parameters', 'parameters\n(logarithmic)', '{:,.0f}', True),
    ('bytes', 'TFLite, kB\n(logarithmic)', '{:,.0f}', True),
    ('ms_per_frame', 'processor ms per frame\n(logarithmic)', '{:.2f}', True),
)
#: Family name, kinds of models, colour (Okabe and Ito); other kinds belong to the last family.
_FAMILIES = (
    ('MicroX', ('microx',), '#CC79A7'),
    ('per frame', ('frame',), '#56B4E9'),
    ('frame aggregation', ('decision', 'statistics'), '#0072B2'),
    ('sequence', ('sequence',), '#009E73'),
    ('ours', ('ours', 'shipped'), '#D55E00'),
    ("Terbouche and Chaoui's survey", (), '#999999'),
)
#: Lines in the panel of accuracy: key of :func:`~.intervals.baselines`, name and style.
_BASELINES: tuple[tuple[str, str, Any], ...] = (
    ('chance', 'chance', ':'),
    ('majority', 'commonest class', '--'),
)
#: Length of the axis for labels behind the longest bar: in its lengths, and in decades.
_ROOM, _DECADES = 1.45, 1.1


def comparison_chart(
    results: Sequence[Result], title: str, nothing: Mapping[str, Any] | None = None
) -> bytes:
    """Draw accuracy, macro-F1, flips, parameters, size and time of each model; return a PNG.

    :param results: from top to bottom; missing metrics are dashes, intervals are lines.
    :param nothing: what :func:`~.intervals.baselines` returns, drawn as lines.
    """
    names = [one['model'] for one in results]
    figure = new_figure(13.0, 1.7 + 0.27 * len(names))
    axes = figure.subplots(1, len(_PANELS), sharey=True, squeeze=False)[0]
    for axis, (key, label, form, logarithmic) in zip(axes, _PANELS):
        values = [_value(one, key) for one in results]
        bounds = [_bounds(one, key) for one in results]
        _draw(axis, values, bounds, [_colour(one['kind']) for one in results], form, logarithmic)
        axis.set_title(label, fontsize=8)
    lines = []
    for key, name, style in _BASELINES:
        if nothing is None:
            break
        axes[0].axvline(nothing[key], color='black', linewidth=0.8, linestyle=style)
        lines.append(Line2D([], [], color='black', linewidth=0.8, linestyle=style, label=name))
    axes[0].set_yticks(range(len(names)), names, fontsize=8)
    axes[0].set_ylim(len(names) - 0.2, -0.6)
    present = {_family(one['kind']) for one in results}
    figure.legend(
        handles=[
            Line2D([], [], color=colour, linewidth=6, label=family)
            for family, _, colour in _FAMILIES
            if family in present
        ]
        + lines,
        loc='outside lower center',
        ncols=len(_FAMILIES) + len(_BASELINES),
        fontsize=8,
        frameon=False,
    )
    figure.suptitle(title, fontsize=10)
    return png(figure)


def confusions_chart(result: Result, classes: Sequence[str]) -> bytes:
    """Draw a model's confusion matrix; return a PNG.

    Pua et al., figure 10; Terbouche and Chaoui, figures 22 to 25.
    """
    return confusion_chart({result['model']: result['confusion_matrix']}, classes)


def _draw(
    axis: Any,
    values: Sequence[float | None],
    bounds: Sequence[tuple[float, float] | None],
    colours: Sequence[str],
    form: str,
    logarithmic: bool,
) -> None:
    known = [value for value in values if value is not None]
    most = max(known, default=0.0) or 1.0
    least = 0.0
    if logarithmic:
        least = min((value for value in known if value > 0), default=1.0) / 1.6
        axis.set_xscale('log')
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:,g}'))
        # Labels within a decade would overlap.
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xlim(least, most * 10**_DECADES)
    else:
        axis.set_xlim(0, most * _ROOM)
    for row, (value, bound, colour) in enumerate(zip(values, bounds, colours)):
        if value is not None and logarithmic:
            axis.hlines(row, least, max(value, least), color='0.88', linewidth=1)
            axis.plot(max(value, least), row, 'o', color=colour, markersize=6)
        elif value is not None:
            axis.barh(row, value, height=0.72, color=colour)
            if bound is not None:
                axis.hlines(row, *bound, color='black', linewidth=1)
        text = '-' if value is None else form.format(value)
        axis.annotate(
            text,
            (least if value is None else max(value, least, *(bound or ())), row),
            (6, 0),
            textcoords='offset points',
            va='center',
            fontsize=7,
        )
    axis.tick_params(axis='x', labelsize=7)
    axis.tick_params(axis='y', length=0)
    axis.spines[['top', 'right', 'left']].set_visible(False)


def _value(one: Result, key: str) -> float | None:
    value = one.get(key)
    return value / 1000 if value is not None and key == 'bytes' else value


def _bounds(one: Result, key: str) -> tuple[float, float] | None:
    _, low, high = (one.get('interval') or {}).get(key) or (None, None, None)
    return None if low is None or high is None else (low, high)


def _family(kind: str) -> str:
    return next((family for family, kinds, _ in _FAMILIES if kind in kinds), _FAMILIES[-1][0])


def _colour(kind: str) -> str:
    return next(colour for family, _, colour in _FAMILIES if family == _family(kind))
