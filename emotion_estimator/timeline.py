"""Draw labels, probabilities and actions over time: the building blocks of several pictures."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emotion_estimator.annotation import label_colour
from emotion_estimator.atomic_write import atomic_write
from emotion_estimator.emotion import NONE
from emotion_estimator.untrusted import printable

#: Seconds without a sample after which curves and bands are interrupted.
GAP = 0.5
#: Rows for the dialogue, so that sentences do not overlap.
ROWS = 5
#: Share of the picture's width that a letter of a sentence takes on average.
LETTER = 0.0052
#: Share of the picture's width from which on a band has room for its label.
_ROOM = 0.045

#: Labels or probabilities over time: (stamp in seconds, value) in order of time.
Labels = Sequence[tuple[float, str]]
Probabilities = Sequence[tuple[float, Mapping[str, float]]]


class StretchFinder:
    """Finds stretches of one label while samples are read."""

    def __init__(self, gap: float = GAP) -> None:
        """:param gap: a stretch ends if no sample follows within this many seconds."""
        self._gap = gap
        self._label: str | None = None
        self._begin = self._previous = 0.0

    def see(self, stamp: float, label: str) -> tuple[float, float, str] | None:
        """Take the next sample; return (begin, end, label) of the stretch that it ends, if any."""
        ended = None
        if label != self._label or stamp - self._previous > self._gap:
            if self._label is not None:
                near = stamp - self._previous <= self._gap
                ended = self._begin, stamp if near else self._previous, self._label
            self._begin, self._label = stamp, label
        self._previous = stamp
        return ended

    def finish(self) -> tuple[float, float, str] | None:
        """Return the last stretch and begin anew; None without samples."""
        label, self._label = self._label, None
        return None if label is None else (self._begin, self._previous, label)


def stretches(samples: Labels, gap: float = GAP) -> Iterator[tuple[float, float, str]]:
    """Yield (begin, end, label) for each stretch of one label, see :class:`StretchFinder`."""
    finder = StretchFinder(gap)
    for stamp, label in samples:
        ended = finder.see(stamp, label)
        if ended is not None:
            yield ended
    ended = finder.finish()
    if ended is not None:
        yield ended


def colour(label: str) -> tuple[float, float, float]:
    """Return the label's colour for matplotlib: RGB, each 0 to 1."""
    red, green, blue = label_colour(label)
    return red / 255, green / 255, blue / 255


def new_figure(heights: Sequence[float], height: float) -> tuple[Any, list[Any]]:
    """Return a figure and its axes, stacked over a shared time axis.

    :param heights: relative heights of the axes; at least two.
    :param height: height of the figure in inches; it is 14 wide.
    """
    # Slow to import, and only needed at the end. Without pyplot there is no window and no state.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, height), layout='constrained')
    axes = figure.subplots(len(heights), 1, sharex=True, gridspec_kw={'height_ratios': heights})
    return figure, list(axes)


def save(figure: Any, path: Path) -> None:
    """Write the figure, its text as it is; a reader never sees half of it.

    :raises OSError: the file cannot be written.
    """
    with plain_text(figure), atomic_write(path) as partial:
        figure.savefig(partial, dpi=110)


@contextmanager
def plain_text(figure: Any) -> Iterator[None]:
    """Have a figure drawn without formulas: labels and names from outside may hold half of one.

    Characters that matplotlib's font lacks become boxes, without a word about each.
    """
    import matplotlib
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
        text.set_text('\n'.join(map(printable, text.get_text().split('\n'))))
    # The labels of ticks are made only when the figure is drawn.
    with matplotlib.rc_context({'text.parse_math': False}), warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='Glyph .* missing', category=UserWarning)
        yield


def draw_probabilities(axes: Any, samples: Probabilities, named: bool = True, **line: Any) -> None:
    """Draw a curve for each label.

    :param named: add a legend to the right.
    :param line: further arguments of matplotlib's ``plot``.
    """
    for name in {name: None for _, values in samples for name in values}:
        times: list[float] = []
        curve: list[float] = []
        for time, values in samples:
            if times and time - times[-1] > GAP:
                times.append(time)
                curve.append(float('nan'))
            times.append(time)
            curve.append(values.get(name, float('nan')))
        style = {'linewidth': 2, **line}
        axes.plot(times, curve, color=colour(name), label=name if named else None, **style)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel('probability')
    axes.grid(alpha=0.3)
    if named and axes.get_legend_handles_labels()[0]:
        axes.legend(loc='center left', bbox_to_anchor=(1.0, 0.5), frameon=False)


def draw_bands(axes: Any, rows: Sequence[tuple[str, Labels]], width: float | None = None) -> None:
    """Draw each row's labels as bands, the first row at the bottom.

    :param rows: name and labels of each row.
    :param width: width of the picture in seconds; None for the labels' time span.
    """
    times = [time for _, samples in rows for time, _ in samples]
    if width is None:
        width = max(times, default=0.0) - min(times, default=0.0)
    for row, (_, samples) in enumerate(rows):
        bands: dict[str, list[tuple[float, float]]] = {}
        for start, end, label in stretches(samples):
            bands.setdefault(label, []).append((start, max(end - start, 0.01)))
            if end - start > _ROOM * width:
                words = 'nobody' if label == NONE else label
                middle = (start + end) / 2
                axes.text(middle, row, words, ha='center', va='center', fontsize=9, clip_on=True)
        for label, parts in bands.items():
            axes.broken_barh(parts, (row - 0.42, 0.84), facecolors=colour(label))
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.grid(axis='x', alpha=0.3)


def draw_actions(
    speech: Any, others: Sequence[Any], actions: Sequence[tuple[float, str, str]], end: float
) -> None:
    """Mark each action in all axes and write it next to its mark, in a row with room for it.

    :param speech: the axes for the text.
    :param actions: time in seconds, text, and the label that led to the decision.
    :param end: end of the picture in seconds.
    """
    # Where each row's last text ends.
    ends = [float('-inf')] * ROWS
    for i, (time, words, label) in enumerate(actions):
        late = time > 0.6 * end
        length = LETTER * end * (len(_short(words)) + 2)
        begin = time - length if late else time
        rows = [*range(i % ROWS, ROWS), *range(i % ROWS)]
        place = next((n for n in rows if ends[n] < begin), min(rows, key=ends.__getitem__))
        ends[place] = max(ends[place], time if late else time + length)
        row = -place
        for axes in others:
            axes.axvline(time, color='0.3', linewidth=1, linestyle=(0, (4, 2)))
        speech.plot([time, time], [row, 1], color='0.3', linewidth=1, linestyle=(0, (4, 2)))
        speech.plot(time, row, marker='o', color=colour(label), markersize=7)
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


def action_words(action: str, utterance: str) -> str:
    """Return an action as text, ``change topic: It looks mild outside.``."""
    name = action.replace('_', ' ')
    return f'{name}: {utterance}' if utterance else name


def _short(words: str, length: int = 90) -> str:
    return words if len(words) <= length else words[: length - 3].rstrip() + '...'
