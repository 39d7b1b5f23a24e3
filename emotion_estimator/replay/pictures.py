"""Draw results and comparisons: probabilities, labels and actions over time."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult
from emotion_estimator.replay.alignment import Laps, split_laps
from emotion_estimator.replay.comparison import Comparison
from emotion_estimator.replay.expectations import ExpectationFinding, ExpectedDecision
from emotion_estimator.replay.expected_bands import (
    ExpectedBand,
    end_with_bands,
    expected_bands,
    rows_of,
)
from emotion_estimator.replay.limits import BrokenLimit
from emotion_estimator.replay.pairs import Pairs
from emotion_estimator.replay.time_axis import (
    TimeAxis,
    labels_over_time,
    probabilities_over_time,
)
from emotion_estimator.timeline import (
    GAP,
    LETTER,
    Labels,
    action_words,
    colour,
    draw_actions,
    draw_bands,
    draw_probabilities,
    new_figure,
    save,
)

#: Formats of a picture, by its file's suffix.
FORMATS = ('.png', '.svg', '.pdf')

#: Colour of differences: RGB, 0 to 1.
_DIFFERENT = (0.8, 0.0, 0.0)
#: Colour of expected actions, likewise.
_ACTION = (0.6, 0.6, 0.6)
#: Share of the picture's width that a band takes at least.
_NARROWEST = 0.002
#: How much wider a letter of bold words is than one of a sentence.
_BOLD = 1.15
#: Number of broken limits named at one mark.
_NAMED = 3


def check_figure(path: Path, window: tuple[float, float] | None = None) -> None:
    """Check that a picture can be drawn.

    :raises InputError: the format is not supported, the window is empty, or matplotlib is missing.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(f'figure {path} must end in {", ".join(FORMATS)}')
    if window is not None and not -math.inf < window[0] < window[1] < math.inf:
        raise InputError(f'window {window[0]:g} {window[1]:g} must end after its begin')
    if importlib.util.find_spec('matplotlib') is None:
        raise InputError("figures need matplotlib: pip install 'emotion-estimator[demo]'")


def draw_results(
    results: Sequence[FrameResult],
    actions: Sequence[DialogueAction],
    path: Path,
    title: str,
    findings: Sequence[ExpectationFinding] = (),
) -> None:
    """Draw the results of one recording; the suffix of ``path`` selects the format.

    :param results: at least one frame.
    :param findings: what was expected of it, drawn as bands below its labels.
    :raises OSError: the file cannot be written.
    """
    laps = split_laps(results)
    axis = TimeAxis(laps)
    bands = expected_bands(findings, axis, laps)
    end = end_with_bands(axis.end, bands)
    rows = _rows(bands, end)
    heights = {'curves': 4.0, 'label': 0.8}
    if bands:
        heights['expected'] = 0.3 + 0.3 * (max(rows) + 1)
    if actions:
        heights['dialogue'] = 1.6
    height = 5.6 + heights.get('expected', 0.0) + (2.0 if actions else 0.0)
    figure, drawn = new_figure((*heights.values(),), height)
    axes = dict(zip(heights, drawn))
    draw_probabilities(axes['curves'], probabilities_over_time(laps, axis))
    draw_bands(axes['label'], [('label', labels_over_time(laps, axis))])
    if bands:
        _draw_expected(axes['expected'], bands, rows, end)
    if actions:
        times = axis.of_stamps((action.stamp for action in actions), laps)
        spoken = [
            (time, action_words(action.action, action.utterance), action.emotion)
            for time, action in zip(times, actions)
        ]
        draw_actions(axes['dialogue'], drawn[:-1], spoken, end)
    drawn[-1].set_xlim(0, end)
    drawn[-1].set_xlabel('seconds after the first frame')
    figure.suptitle(title)
    save(figure, path)


def _words(band: ExpectedBand, end: float) -> str:
    """Return a band's words, with its time if it lies after the end of the picture."""
    where = f' (from {band.begin:g} s)' if band.begin > end else ''
    return band.finding.words + where


def _extent(band: ExpectedBand, end: float) -> tuple[float, float, bool]:
    """Return what a band and its words take, in seconds, and whether the words end with it."""
    length = _BOLD * LETTER * end * (len(_words(band, end)) + 2)
    begin = min(band.begin, end)
    if begin + length <= end:
        return begin, max(band.end, begin + length), False
    return min(begin, min(band.end, end) - length), min(band.end, end), True


def _rows(bands: Sequence[ExpectedBand], end: float) -> list[int]:
    """Return each band's row from the top: labels, then actions."""
    labels = [band for band in bands if not band.is_action]
    decisions = [band for band in bands if band.is_action]
    above, below = (rows_of([_extent(b, end)[:2] for b in part]) for part in (labels, decisions))
    return [*above, *(row + max(above, default=-1) + 1 for row in below)]


def _draw_expected(
    axes: Any, bands: Sequence[ExpectedBand], rows: Sequence[int], end: float
) -> None:
    """Draw what was expected; what is not met is red, hatched, and says so."""
    for band, row in zip(bands, rows):
        met = band.finding.met
        expected = band.finding.expected
        shade = _ACTION if isinstance(expected, ExpectedDecision) else colour(expected.label)
        axes.broken_barh(
            [(band.begin, max(band.end - band.begin, _NARROWEST * end))],
            (-row - 0.4, 0.8),
            facecolors=(*shade, 0.45),
            edgecolors='0.3' if met else _DIFFERENT,
            linewidth=0.8 if met else 1.8,
            hatch=None if met else '////',
        )
        begin, until, late = _extent(band, end)
        axes.text(
            until if late else begin, -row, f' {_words(band, end)} ',
            ha='right' if late else 'left', va='center', fontsize=8.5, clip_on=True,
            color='black' if met else _DIFFERENT, fontweight='normal' if met else 'bold',
            bbox=None if met else {'boxstyle': 'square,pad=0.1', 'facecolor': 'white',
                                   'edgecolor': 'none', 'alpha': 0.85},
        )  # fmt: skip
    axes.set_ylim(-max(rows) - 0.6, 0.6)
    axes.set_yticks([0], ['expected'])
    axes.grid(axis='x', alpha=0.3)


def draw_comparison(
    comparison: Comparison,
    path: Path,
    title: str,
    broken: Sequence[BrokenLimit] = (),
    window: tuple[float, float] | None = None,
) -> None:
    """Draw both results in one picture; the suffix of ``path`` selects the format.

    :param broken: broken limits; the first frames that break them are marked.
    :param window: time span to show, in seconds after the first frame; None shows all.
    :raises OSError: the file cannot be written.
    """
    assert comparison.laps is not None, 'compare(..., keep=True) keeps the frames to draw'
    expected, actual = comparison.laps
    axis = TimeAxis(expected, actual)
    figure, (curves, bands, differences) = new_figure((3.2, 1.7, 1.3), 8.0)
    _draw_curves(curves, expected, actual, axis)
    begin, end = window or (0.0, axis.end)
    rows = labels_over_time(expected, axis), labels_over_time(actual, axis)
    _draw_bands(bands, comparison, rows, axis, end - begin)
    _draw_differences(differences, comparison, axis)
    _draw_broken((curves, bands, differences), broken, axis, (begin, end))
    for lap in axis.begins[1:]:
        for axes in (curves, bands, differences):
            axes.axvline(lap, color='0.3', linewidth=1)
    differences.set_xlim(begin, end)
    differences.set_xlabel('seconds after the first frame')
    figure.suptitle(title)
    save(figure, path)


def _draw_curves(axes: Any, expected: Laps, actual: Laps, axis: TimeAxis) -> None:
    draw_probabilities(
        axes, probabilities_over_time(expected, axis), named=False,
        linewidth=5, alpha=0.35, solid_capstyle='butt',
    )  # fmt: skip
    draw_probabilities(axes, probabilities_over_time(actual, axis), linewidth=1.3)
    axes.plot([], [], color='0.3', linewidth=5, alpha=0.35, label='expected')
    axes.plot([], [], color='0.3', linewidth=1.3, label='actual')
    axes.legend(loc='center left', bbox_to_anchor=(1.0, 0.5), frameon=False)


def _draw_bands(
    axes: Any, comparison: Comparison, rows: tuple[Labels, Labels], axis: TimeAxis, width: float
) -> None:
    """Draw the labels; a line connects each expected change with the actual one."""
    draw_bands(
        axes,
        [
            ('differ', []),
            ('actual', rows[1]),
            ('expected', rows[0]),
        ],
        width,
    )
    parts = list(_differing(comparison.pairs, axis))
    # The edge keeps a single frame visible in an hour of them.
    axes.broken_barh(
        parts, (-0.42, 0.84), facecolors=_DIFFERENT, edgecolors=_DIFFERENT, linewidth=0.8
    )
    for unpaired, row in ((comparison.missing, 2), (comparison.extra, 1)):
        times = [axis(each.lap, each.stamp) for each in unpaired]
        axes.plot(times, [row - 0.5] * len(times), 'v', color=_DIFFERENT, markersize=5)
    for onset in comparison.onsets:
        time = axis(onset.change.lap, onset.change.stamp)
        if onset.shift is None:
            axes.plot(time, 1.5, 'x', color='black', markersize=8, markeredgewidth=2)
        else:
            axes.plot([time, time + onset.shift], [1.58, 1.42], color='black', linewidth=1.5)
    axes.plot([], [], color='black', linewidth=1.5, label='onset')
    axes.plot([], [], 'x', color='black', markersize=8, markeredgewidth=2, label='lost onset')
    axes.plot([], [], 'v', color=_DIFFERENT, markersize=5, label='missing, extra')
    axes.legend(loc='center left', bbox_to_anchor=(1.0, 0.5), frameon=False)


def _draw_differences(axes: Any, comparison: Comparison, axis: TimeAxis) -> None:
    times: list[float] = []
    values: list[float] = []
    for pair in comparison.pairs:
        time = axis(pair.lap, pair.stamp)
        if times and time - times[-1] > GAP:
            times.append(time)
            values.append(float('nan'))
        times.append(time)
        values.append(float('nan') if pair.difference is None else pair.difference)
    axes.fill_between(times, values, color=_DIFFERENT, alpha=0.3, linewidth=0)
    axes.plot(times, values, color=_DIFFERENT, linewidth=1)
    axes.set_ylim(0, max(0.1, *(1.05 * each for each in comparison.differences or (0.0,))))
    axes.set_ylabel('probability\ndifference')
    axes.grid(alpha=0.3)


def _draw_broken(
    every: Sequence[Any],
    broken: Sequence[BrokenLimit],
    axis: TimeAxis,
    window: tuple[float, float],
) -> None:
    """Mark the first frame that breaks each limit; limits broken by the same frame share a mark."""
    places: dict[float, list[str]] = {}
    for each in broken:
        places.setdefault(axis(each.lap, each.stamp), []).append(each.limit)
    for time in places:
        for axes in every:
            axes.axvline(time, color='black', linewidth=1, linestyle=(0, (4, 2)))
    for row, (time, names) in enumerate(sorted(places.items())):
        more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
        late = time > 0.4 * window[0] + 0.6 * window[1]
        every[0].annotate(
            f'breaks {", ".join(names[:_NAMED])}{more}',
            (time, 0.97 - 0.08 * (row % 6)),
            xytext=(-6 if late else 6, 0),
            textcoords='offset points',
            ha='right' if late else 'left',
            va='center',
            fontsize=8.5,
            bbox={'boxstyle': 'round,pad=0.15', 'facecolor': 'white', 'edgecolor': colour('none')},
            annotation_clip=True,
        )


def _differing(pairs: Pairs, axis: TimeAxis) -> Iterator[tuple[float, float]]:
    """Yield begin and duration in seconds of each run of frames whose labels differ."""
    begin: float | None = None
    for pair in pairs:
        time = axis(pair.lap, pair.stamp)
        if begin is None and not pair.agrees:
            begin = time
        elif begin is not None and pair.agrees:
            yield begin, time - begin
            begin = None
    if begin is not None:
        yield begin, axis(pairs[-1].lap, pairs[-1].stamp) - begin
