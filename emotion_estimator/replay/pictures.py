"""Draw results and comparisons: probabilities, labels and actions over time."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.emotion import primary
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult
from emotion_estimator.replay.alignment import Laps, split_laps
from emotion_estimator.replay.comparison import Comparison
from emotion_estimator.replay.limits import BrokenLimit
from emotion_estimator.replay.pairs import Pairs
from emotion_estimator.timeline import (
    GAP,
    Labels,
    Probabilities,
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

#: Seconds between two laps, enough to interrupt curves and bands.
_BREAK = 1.0
#: Colour of differences: RGB, 0 to 1.
_DIFFERENT = (0.8, 0.0, 0.0)
#: Number of broken limits named at one mark.
_NAMED = 3


class TimeAxis:
    """Converts a stamp and its lap into seconds since the first frame.

    :ivar begins: where each lap begins, in those seconds.
    :ivar end: where the last lap ends, in those seconds.
    """

    def __init__(self, *results: Laps) -> None:
        """:param results: of one recording; laps of the same number share a place."""
        self._offsets: list[float] = []
        self.begins: list[float] = []
        end = -_BREAK
        for laps in zip_longest(*results, fillvalue=()):
            stamps = [stamp for lap in laps if lap for stamp in (lap[0].stamp, lap[-1].stamp)]
            self.begins.append(end + _BREAK)
            self._offsets.append(self.begins[-1] - min(stamps))
            end = self._offsets[-1] + max(stamps)
        self.end = max(end, 0.1)

    def __call__(self, lap: int, stamp: float) -> float:
        """Return the seconds since the first frame."""
        return self._offsets[lap] + stamp

    def of_stamp(self, stamp: float, laps: Laps) -> float:
        """Return the same for a stamp whose lap is unknown: the first one that contains it."""
        return next(
            (self(n, stamp) for n, lap in enumerate(laps) if _contains(lap, stamp)), self(0, stamp)
        )


def _contains(lap: Sequence[FrameResult], stamp: float) -> bool:
    return lap[0].stamp <= stamp <= lap[-1].stamp


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
) -> None:
    """Draw the results of one recording; the suffix of ``path`` selects the format.

    :param results: at least one frame.
    :raises OSError: the file cannot be written.
    """
    laps = split_laps(results)
    axis = TimeAxis(laps)
    heights = (4.0, 0.8, 1.6) if actions else (4.0, 0.8)
    figure, axes = new_figure(heights, 7.6 if actions else 5.6)
    draw_probabilities(axes[0], probabilities_over_time(laps, axis))
    draw_bands(axes[1], [('label', labels_over_time(laps, axis))])
    if actions:
        spoken = [
            (
                axis.of_stamp(action.stamp, laps),
                action_words(action.action, action.utterance),
                action.emotion,
            )
            for action in actions
        ]
        draw_actions(axes[2], axes[:2], spoken, axis.end)
    axes[-1].set_xlim(0, axis.end)
    axes[-1].set_xlabel('seconds after the first frame')
    figure.suptitle(title)
    save(figure, path)


def labels_over_time(laps: Laps, axis: TimeAxis) -> Labels:
    """Return the label at each frame's time."""
    return [(axis(n, frame.stamp), frame.label) for n, lap in enumerate(laps) for frame in lap]


def probabilities_over_time(laps: Laps, axis: TimeAxis) -> Probabilities:
    """Return the primary face's probabilities at each frame's time; empty without a face."""
    samples: list[tuple[float, Mapping[str, float]]] = []
    for n, lap in enumerate(laps):
        for frame in lap:
            face = primary(frame.faces)
            values = dict(zip(face.labels, map(float, face.probabilities))) if face else {}
            samples.append((axis(n, frame.stamp), values))
    return samples


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
