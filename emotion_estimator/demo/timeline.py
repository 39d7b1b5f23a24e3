"""The picture of a run: probabilities over time, truth and label as bands, actions as marks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from emotion_estimator.annotation import label_colour
from emotion_estimator.demo.state import Course, Reading
from emotion_estimator.emotion import NONE

#: Seconds without a reading after which the curves are interrupted.
GAP = 0.5
#: Rows in which the dialogue is written, so that sentences do not run into each other.
ROWS = 5


def stretches(
    samples: Sequence[tuple[float, str]], gap: float = GAP
) -> Iterator[tuple[float, float, str]]:
    """Yield (begin, end, label) for each stretch of one label.

    :param samples: (stamp in seconds, label) in order of time.
    :param gap: a stretch ends where no sample follows within so many seconds.
    """
    if not samples:
        return
    begin, previous, label = samples[0][0], samples[0][0], samples[0][1]
    for stamp, name in samples[1:]:
        if name != label or stamp - previous > gap:
            yield begin, stamp if stamp - previous <= gap else previous, label
            begin, label = stamp, name
        previous = stamp
    yield begin, previous, label


def draw_timeline(course: Course, path: Path) -> bool:
    """Draw the course as PNG; return False where there is nothing to draw.

    :raises OSError: the file cannot be written.
    """
    if not course.readings:
        return False
    # Slow to import, and only needed at the end.
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    begin = course.readings[0].stamp
    figure, (curves, bands, speech) = plt.subplots(
        3, 1, figsize=(14, 7.6), sharex=True, layout='constrained',
        gridspec_kw={'height_ratios': (4, 1.1, 1.6)},
    )
    _draw_probabilities(curves, course.readings, begin)
    _draw_bands(bands, course, begin)
    _draw_actions(speech, (curves, bands), course, begin)
    speech.set_xlim(0, max(course.readings[-1].stamp - begin, 0.1))
    speech.set_xlabel('seconds')
    figure.suptitle('Facial expression over time and what the dialogue manager decided')
    partial = path.with_name(f'.{path.stem}.partial{path.suffix}')
    figure.savefig(partial, dpi=110)
    plt.close(figure)
    partial.replace(path)
    return True


def _colour(label: str) -> tuple[float, float, float]:
    red, green, blue = label_colour(label)
    return red / 255, green / 255, blue / 255


def _draw_probabilities(axes: Any, readings: Iterable[Reading], begin: float) -> None:
    names: dict[str, None] = {}
    for reading in readings:
        names.update(dict.fromkeys(reading.probabilities))
    for name in names:
        times: list[float] = []
        values: list[float] = []
        for reading in readings:
            time = reading.stamp - begin
            if times and time - times[-1] > GAP:
                times.append(time)
                values.append(float('nan'))
            times.append(time)
            values.append(reading.probabilities.get(name, float('nan')))
        axes.plot(times, values, color=_colour(name), linewidth=2, label=name)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel('probability')
    axes.grid(alpha=0.3)
    if names:
        axes.legend(loc='center left', bbox_to_anchor=(1.0, 0.5), frameon=False)


def _draw_bands(axes: Any, course: Course, begin: float) -> None:
    labels = [(reading.stamp, reading.label) for reading in course.readings]
    rows = [('label', labels)]
    if course.truth:
        rows.append(('truth', list(course.truth)))
    for row, (_, samples) in enumerate(rows):
        for start, end, label in stretches(samples):
            axes.broken_barh(
                [(start - begin, max(end - start, 0.01))],
                (row - 0.42, 0.84),
                facecolors=_colour(label),
            )
            if end - start > 0.9:
                middle = (start + end) / 2 - begin
                words = 'nobody' if label == NONE else label
                axes.text(middle, row, words, ha='center', va='center', fontsize=9, clip_on=True)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.grid(axis='x', alpha=0.3)


def _draw_actions(speech: Any, others: Sequence[Any], course: Course, begin: float) -> None:
    """Mark each action through all axes; write it beside its mark, in rows that take turns."""
    end = max(course.readings[-1].stamp - begin, 0.1)
    for i, action in enumerate(course.actions):
        time = action.stamp - begin
        row = -(i % ROWS)
        for axes in others:
            axes.axvline(time, color='0.3', linewidth=1, linestyle=(0, (4, 2)))
        speech.plot([time, time], [row, 1], color='0.3', linewidth=1, linestyle=(0, (4, 2)))
        speech.plot(time, row, marker='o', color=_colour(action.emotion), markersize=7)
        name = action.action.replace('_', ' ')
        words = f'{name}: {action.utterance}' if action.utterance else name
        late = time > 0.6 * end
        speech.annotate(
            _short(words),
            (time, row),
            xytext=(-8 if late else 8, 0),
            textcoords='offset points',
            ha='right' if late else 'left',
            va='center',
            fontsize=8.5,
            bbox={'boxstyle': 'round,pad=0.15', 'facecolor': 'white', 'edgecolor': 'none'},
        )
    speech.set_ylim(-ROWS + 0.4, 0.6)
    speech.set_yticks([])
    speech.set_ylabel('dialogue')


def _short(words: str, length: int = 90) -> str:
    return words if len(words) <= length else words[: length - 3].rstrip() + '...'
