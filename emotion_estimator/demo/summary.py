"""What came out of a demo: words for the terminal, ``summary.json``, and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emotion_estimator.demo.state import DemoHistory
from emotion_estimator.emotion import NEUTRAL, UNKNOWN
from emotion_estimator.replay.comparison import MARGIN, Agreement, Tally, agreement
from emotion_estimator.timeline import (
    action_words,
    draw_actions,
    draw_bands,
    draw_probabilities,
    new_figure,
    save,
)


def draw_timeline(course: DemoHistory, path: Path) -> bool:
    """Draw the course as PNG; return False where there is nothing to draw.

    :raises OSError: the file cannot be written.
    """
    if not course.readings:
        return False
    begin = course.readings[0].stamp
    end = max(course.readings[-1].stamp - begin, 0.1)
    figure, (curves, bands, speech) = new_figure((4, 1.1, 1.6), 7.6)
    draw_probabilities(
        curves, [(reading.stamp - begin, reading.probabilities) for reading in course.readings]
    )
    rows = [('label', [(reading.stamp - begin, reading.label) for reading in course.readings])]
    if course.truth:
        rows.append(('truth', [(stamp - begin, label) for stamp, label in course.truth]))
    draw_bands(bands, rows)
    draw_actions(
        speech,
        (curves, bands),
        [
            (action.stamp - begin, action_words(action.action, action.utterance), action.emotion)
            for action in course.actions
        ],
        end,
    )
    speech.set_xlim(0, end)
    speech.set_xlabel('seconds')
    figure.suptitle('Facial expression over time and what the dialogue manager decided')
    save(figure, path)
    return True


#: What models of seven labels say of a face at rest, and what the sources' truth does.
_AT_REST = {NEUTRAL: UNKNOWN}


@dataclass(frozen=True)
class DemoSummary:
    """The run in numbers.

    :param frames: messages received on ``emotion``.
    :param seconds: from the first image's stamp to the last one's.
    :param latency_ms: percentiles 50 and 95 from stamp to publication; None without frames.
    :param published: frames that the camera published, None where it did not say.
    :param skipped: frames that the camera left out because the machine was too busy.
    :param dropped: frames that the estimator passed over for newer ones.
    """

    frames: int
    seconds: float
    latency_ms: tuple[float, float] | None
    published: int | None
    skipped: int | None
    dropped: int | None
    bad: int | None
    actions: Mapping[str, int]
    landmark_source: str
    model: str
    agreement: Agreement | None

    @property
    def rate(self) -> float:
        """Messages per second."""
        return (self.frames - 1) / self.seconds if self.seconds > 0 else 0.0

    @property
    def lost(self) -> int | None:
        """Frames that left the camera and came to nothing; None where a node did not say."""
        if self.published is None or self.dropped is None or self.bad is None:
            return None
        return max(self.published - self.frames - self.dropped - self.bad, 0)

    def as_dict(self) -> dict[str, Any]:
        """Return what ``summary.json`` holds."""
        p50, p95 = self.latency_ms or (None, None)
        found = self.agreement
        return {
            'frames': self.frames,
            'frames_published': self.published,
            'frames_skipped': self.skipped,
            'frames_dropped': self.dropped,
            'frames_bad': self.bad,
            'frames_lost': self.lost,
            'seconds': round(self.seconds, 3),
            'fps': round(self.rate, 2),
            'latency_p50_ms': p50,
            'latency_p95_ms': p95,
            'landmark_source': self.landmark_source,
            'model': self.model,
            'actions': dict(self.actions),
            'agreement': None
            if found is None
            else {
                'margin_s': MARGIN,
                'overall': _tally(found.overall),
                'settled': _tally(found.settled),
                'per_label': {label: _tally(t) for label, t in found.per_label.items()},
            },
        }

    def lines(self) -> list[str]:
        """Return what the terminal shows, line by line."""
        lines = [f'frames     {self.frames} in {self.seconds:.1f} s ({self.rate:.1f} per second)']
        counts = {
            'published': self.published,
            'skipped by the camera': self.skipped,
            'dropped': self.dropped,
            'bad': self.bad,
            'lost between the nodes': self.lost or None,
        }
        told = [f'{count} {name}' for name, count in counts.items() if count is not None]
        if told:
            lines[0] += ', ' + ', '.join(told)
        if self.latency_ms:
            p50, p95 = self.latency_ms
            lines.append(f'latency    p50 {p50:.1f} ms, p95 {p95:.1f} ms, image stamp to emotion')
        lines.append(f'landmarks  {self.landmark_source or "unknown"}')
        lines.append(f'model      {self.model or "unknown"}')
        decided = ', '.join(f'{name} {count}' for name, count in self.actions.items())
        lines.append(f'dialogue   {decided or "no action"}')
        lines.extend(self._agreement_lines())
        return lines

    def _agreement_lines(self) -> list[str]:
        found = self.agreement
        if found is None:
            return ['agreement  not measured: this source does not know what its faces show']
        lines = [
            f'agreement  {_words(found.settled)} with the truth, '
            f'{MARGIN:g} s around each change left out',
            f'           {_words(found.overall)} over all frames',
        ]
        lines += [f'           {_words(t)} where it is {n}' for n, t in found.per_label.items()]
        return lines


def _tally(tally: Tally) -> dict[str, Any]:
    share = None if tally.share is None else round(tally.share, 4)
    return {'frames': tally.frames, 'agreed': tally.agreed, 'share': share}


def _words(tally: Tally) -> str:
    if tally.share is None:
        return 'no frame'
    return f'{tally.share:.3f} ({tally.agreed} of {tally.frames} frames)'


def _count(values: Mapping[str, str], key: str) -> int | None:
    try:
        return int(values[key])
    except (KeyError, ValueError):
        return None


def summarize(course: DemoHistory) -> DemoSummary:
    """Count a course."""
    readings = course.readings
    latency = None
    if readings:
        p50, p95 = np.percentile([1e3 * reading.latency for reading in readings], (50, 95))
        latency = round(float(p50), 2), round(float(p95), 2)
    actions: dict[str, int] = {}
    for action in course.actions:
        actions[action.action] = actions.get(action.action, 0) + 1
    camera, estimator = course.health.get('camera', {}), course.health.get('estimator', {})
    return DemoSummary(
        frames=course.received,
        seconds=readings[-1].stamp - readings[0].stamp if readings else 0.0,
        latency_ms=latency,
        published=_count(camera, 'frames_published'),
        skipped=_count(camera, 'frames_skipped'),
        dropped=_count(estimator, 'frames_dropped'),
        bad=_count(estimator, 'frames_bad'),
        actions=actions,
        landmark_source=estimator.get('landmark_source', ''),
        model=next((reading.model for reading in reversed(readings) if reading.model), ''),
        agreement=agreement(
            course.truth, [(r.stamp, _AT_REST.get(r.label, r.label)) for r in readings]
        ),
    )
