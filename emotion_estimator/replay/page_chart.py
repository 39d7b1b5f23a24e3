"""What the page of a report draws over time: curves, bands, actions, as JSON."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from emotion_estimator.annotation import label_colour, label_dashes
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.emotion import primary
from emotion_estimator.frame import FrameResult
from emotion_estimator.replay.alignment import Laps, split_laps
from emotion_estimator.replay.comparison import Comparison
from emotion_estimator.replay.expectations import ExpectationFinding
from emotion_estimator.replay.expected_bands import end_with_bands, expected_bands, rows_of
from emotion_estimator.replay.limits import BrokenLimit
from emotion_estimator.replay.time_axis import (
    TimeAxis,
    labels_over_time,
    probabilities_over_time,
)
from emotion_estimator.timeline import GAP, Labels, Probabilities, action_words, stretches

#: Pieces of time of which the lowest and the highest point of each curve are drawn.
_PIECES = 1500
#: Decimals of seconds and probabilities.
_TIME, _PROBABILITY = 3, 3
#: Label of the stretches in which the mouth of the primary face speaks.
_SPEAKS = 'speaks'


def page_chart(
    results: Sequence[FrameResult],
    actions: Sequence[DialogueAction],
    findings: Sequence[ExpectationFinding] = (),
    comparison: Comparison | None = None,
    broken: Sequence[BrokenLimit] = (),
) -> dict[str, Any]:
    """Return what the page's script draws, all on one axis of seconds after the first frame.

    :param results: at least one frame.
    :param findings: what was expected of them, and what became of it.
    :param comparison: with expected results; their curves and labels are drawn too.
    :param broken: limits that the comparison breaks, each marked at its first frame.
    """
    laps = split_laps(results)
    expected = comparison.laps[0] if comparison is not None and comparison.laps else ()
    axis = TimeAxis(expected, laps) if expected else TimeAxis(laps)
    bands = expected_bands(findings, axis, laps)
    curves = _Curves(probabilities_over_time(laps, axis))
    before = _Curves(probabilities_over_time(expected, axis)) if expected else None
    names = list(dict.fromkeys([*curves.names, *(before.names if before else ())]))
    rows = [_row('label', labels_over_time(laps, axis))]
    if expected:
        rows.append(_row('expected', labels_over_time(expected, axis)))
    rows += list(_expected_rows(bands))
    speaks = _row('mouth', _speaking(laps, axis))
    speaks['parts'] = [part for part in speaks['parts'] if part[2] == _SPEAKS]
    if speaks['parts']:
        rows.append(speaks)
    labels = {label for row in rows for _, _, label, *_ in row['parts']} | set(names)
    times = axis.of_stamps((action.stamp for action in actions), laps)
    return {
        'end': round(end_with_bands(axis.end, bands), _TIME),
        'laps': [
            [round(begin, _TIME), round(lap[0].stamp, 6)] for begin, lap in zip(axis.begins, laps)
        ],
        'styles': {
            label: {'colour': list(label_colour(label)), 'dashes': list(label_dashes(label))}
            for label in sorted(labels)
        },
        'names': names,
        'curves': curves.drawn(names),
        'before': before.drawn(names) if before else None,
        'frames': len(results),
        'rows': rows,
        'actions': [
            [round(time, _TIME), action_words(action.action, action.utterance), action.reason]
            for time, action in zip(times, actions)
        ],
        'broken': [[round(axis(each.lap, each.stamp), _TIME), each.limit] for each in broken],
    }


class _Curves:
    """Probabilities over time, and those of them that are drawn."""

    def __init__(self, samples: Probabilities) -> None:
        self._samples = samples
        self.names = list(dict.fromkeys(name for _, values in samples for name in values))

    def drawn(self, names: Sequence[str]) -> list[list[float | None]]:
        """Return rows of time and the probability of each name; None where there is no face."""
        rows: list[list[float | None]] = []
        for n in self._kept():
            time, values = self._samples[n]
            seen = (values.get(name) for name in names)
            rows.append(
                [
                    round(time, _TIME),
                    *(None if each is None else round(each, _PROBABILITY) for each in seen),
                ]
            )
        return rows

    def _kept(self) -> Iterable[int]:
        """Return the indices of the samples that show all that can be seen.

        Of each piece of time, these are the first and the last sample, each curve's lowest and
        highest, and both sides of a gap: where nobody is seen, or no image came.
        """
        samples = self._samples
        if len(samples) <= 2 * _PIECES:
            return range(len(samples))
        begin, end = samples[0][0], samples[-1][0]
        width = max(end - begin, 1e-9) / _PIECES
        kept: set[int] = set()
        for piece in _pieces(samples, begin, width):
            kept |= {piece.start, piece.stop - 1}
            for name in self.names:
                seen = [n for n in piece if name in samples[n][1]]
                if seen:
                    kept.add(min(seen, key=lambda n: samples[n][1][name]))
                    kept.add(max(seen, key=lambda n: samples[n][1][name]))
        for n in range(1, len(samples)):
            (before, had), (now, has) = samples[n - 1], samples[n]
            if bool(had) != bool(has) or now - before > GAP:
                kept |= {n - 1, n}
        return sorted(kept)


def _pieces(samples: Probabilities, begin: float, width: float) -> Iterator[range]:
    """Yield the indices of the samples in each piece of time that has any."""
    times = [time for time, _ in samples]
    first = 0
    while first < len(times):
        piece = int((times[first] - begin) / width)
        after = bisect_right(times, begin + (piece + 1) * width, lo=first)
        after = max(after, first + 1)
        yield range(first, after)
        first = after


def _row(name: str, labels: Labels) -> dict[str, Any]:
    """Return a row of bands: begin, end and label of each stretch, every one of them."""
    parts = [
        [round(begin, _TIME), round(end, _TIME), label] for begin, end, label in stretches(labels)
    ]
    return {'name': name, 'parts': parts}


def _speaking(laps: Laps, axis: TimeAxis) -> Labels:
    """Return whether the primary face speaks, at each frame's time, as a label."""
    said = []
    for number, lap in enumerate(laps):
        for frame in lap:
            face = primary(frame.faces)
            speaks = face is not None and face.is_speaking
            said.append((axis(number, frame.stamp), _SPEAKS if speaks else ''))
    return said


def _expected_rows(bands: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Yield rows of what was expected, such that no two in a row overlap."""
    for kind, name in ((False, 'expected'), (True, 'action')):
        part = [band for band in bands if band.is_action == kind]
        places = rows_of([(band.begin, band.end) for band in part])
        for row in range(max(places, default=-1) + 1):
            inside = [band for band, place in zip(part, places) if place == row]
            yield {
                'name': name,
                'parts': [
                    [
                        round(band.begin, _TIME),
                        round(band.end, _TIME),
                        band.finding.expected.action if kind else band.finding.expected.label,
                        band.finding.words,
                        band.finding.met,
                    ]
                    for band in inside
                ],
            }
