"""Expectations of a recording: labels over time spans, and the robot's decisions.

Times are seconds since the recording's first readable image, and so do not depend on the clock of
the recording.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from emotion_estimator import strict_yaml
from emotion_estimator.dialogue.action import ACTIONS, DialogueAction
from emotion_estimator.emotion import NONE
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult
from emotion_estimator.replay.alignment import ROUNDING, longest_step, split_laps
from emotion_estimator.timeline import GAP
from emotion_estimator.untrusted import quote

#: Default share of the frames that must have the label.
SHARE = 0.8

_NO_FRAME = 'the recording has no frame that could be read'

_DAY = 86400
_seconds = strict_yaml.number(0, _DAY)
_share = strict_yaml.number(0.001, 1)


@dataclass(frozen=True)
class Expectation:
    """A label that the primary face should have over a time span.

    :param label: one of the model's labels, or ``none`` for nobody.
    :param begin: begin of the span in seconds since the first image, inclusive.
    :param end: its end, likewise.
    :param min_share: smallest share of the span's frames with the label, above 0 up to 1.
    :raises InputError: the span is empty, or a number is out of range.
    """

    label: str
    begin: float
    end: float
    min_share: float = SHARE

    def __post_init__(self) -> None:
        strict_yaml.text(self.label, 'expectation: label')
        _check_span(self.begin, self.end, f'expectation of {self.label}')
        _share(self.min_share, f'expectation of {self.label}: share')

    def __str__(self) -> str:
        return f'{self.label} from {self.begin:.2f} to {self.end:.2f} s'


@dataclass(frozen=True)
class ExpectedDecision:
    """An action that the dialogue manager should decide on at least once in a time span.

    :param action: one of :data:`emotion_estimator.dialogue.action.ACTIONS`.
    :param begin: begin of the span in seconds since the first image, inclusive.
    :param end: its end, likewise.
    :raises InputError: the action does not exist, or the span is empty.
    """

    action: str
    begin: float
    end: float

    def __post_init__(self) -> None:
        strict_yaml.choice(ACTIONS)(self.action, 'expected action')
        _check_span(self.begin, self.end, f'expected action {self.action}')

    def __str__(self) -> str:
        return f'action {self.action} from {self.begin:.2f} to {self.end:.2f} s'


@dataclass(frozen=True)
class Expectations:
    """All expectations of one recording."""

    labels: tuple[Expectation, ...]
    actions: tuple[ExpectedDecision, ...]

    @property
    def all(self) -> tuple[Expectation | ExpectedDecision, ...]:
        """Return the labels, then the actions."""
        return (*self.labels, *self.actions)


@dataclass(frozen=True)
class ExpectationFinding:
    """What became of an expectation.

    :param expected: what was expected.
    :param problem: why it is not met, in one line; empty if it is.
    :param share: share of the span's frames with the label, 0 to 1; None of an action, and where
        there are no frames.
    """

    expected: Expectation | ExpectedDecision
    problem: str
    share: float | None = None

    @property
    def met(self) -> bool:
        """Whether it is met."""
        return not self.problem

    @property
    def words(self) -> str:
        """What was expected and found, in a few words: ``happy, 90% expected: 35%, not met``."""
        verdict = 'met' if self.met else 'not met'
        if isinstance(self.expected, ExpectedDecision):
            return f'{self.expected.action.replace("_", " ")}: {verdict}'
        found = '' if self.share is None else f'{_percent(self.share)}, '
        return (
            f'{self.expected.label}, {_percent(self.expected.min_share)} expected: {found}{verdict}'
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            'expected': str(self.expected),
            'met': self.met,
            'share': None if self.share is None else round(self.share, 4),
            'problem': self.problem,
        }


def check(
    results: Sequence[FrameResult],
    actions: Sequence[DialogueAction],
    expectations: Sequence[Expectation] = (),
    expected_actions: Sequence[ExpectedDecision] = (),
) -> list[str]:
    """Return one line for each expectation that is not met; an empty list is a pass.

    A span that the recording does not cover completely is not met: one that ends after the
    recording, or one with a gap, where no image was recorded or none could be read.

    :param results: the results of one recording. If it was looped, a span applies to every lap.
    :param actions: the dialogue manager's decisions on it.
    """
    if not results:
        return [_NO_FRAME]
    found = examine(results, actions, Expectations(tuple(expectations), tuple(expected_actions)))
    return [each.problem for each in found if each.problem]


def examine(
    results: Sequence[FrameResult],
    actions: Sequence[DialogueAction],
    expected: Expectations,
) -> list[ExpectationFinding]:
    """Return what became of each expectation, labels before actions; see :func:`check`."""
    if not results:
        return [ExpectationFinding(each, f'{each}: {_NO_FRAME}') for each in expected.all]
    first = results[0].stamp
    return [
        *(_examined(results, each) for each in expected.labels),
        *(
            ExpectationFinding(each, _action_line(actions, each, first, _length(results)))
            for each in expected.actions
        ),
    ]


def load_expectations(path: Path) -> Expectations:
    """Load expectations from a YAML file.

    .. code-block:: yaml

        labels:
          - {label: happy, from: 2.0, to: 8.0, share: 0.9}   # share: 0.8 by default
        actions:
          - {action: celebrate, from: 5.0, to: 9.0}

    :raises InputError: the file cannot be read or is empty, or a field is missing, unknown or out
        of range; names file and field.
    """
    table = strict_yaml.Table(strict_yaml.read_yaml(path), quote(path))
    read = Expectations(
        labels=tuple(table.take('labels', _labels, default=())),
        actions=tuple(table.take('actions', _actions, default=())),
    )
    table.finish()
    if not read.labels and not read.actions:
        raise InputError(f'{path} expects nothing; name labels, actions or both')
    return read


def _labels(raw: object, where: str) -> list[Expectation]:
    made = []
    for table, place in _tables(raw, where):
        label, (begin, end) = table.take('label', strict_yaml.text), _span(table)
        share = table.take('share', _share, default=SHARE)
        made.append(_made(place, table, Expectation, label, begin, end, share))
    return made


def _actions(raw: object, where: str) -> list[ExpectedDecision]:
    made = []
    for table, place in _tables(raw, where):
        action, (begin, end) = table.take('action', strict_yaml.choice(ACTIONS)), _span(table)
        made.append(_made(place, table, ExpectedDecision, action, begin, end))
    return made


def _tables(raw: object, where: str) -> Iterator[tuple[strict_yaml.Table, str]]:
    if not isinstance(raw, list) or not raw:
        raise InputError(f'{where} must be a list, not {strict_yaml.describe(raw)}')
    for number, item in enumerate(raw, start=1):
        place = f'{where}, entry {number}'
        yield strict_yaml.Table(item, place), place


def _span(table: strict_yaml.Table) -> tuple[float, float]:
    return table.take('from', _seconds), table.take('to', _seconds)


def _made(place: str, table: strict_yaml.Table, kind: Any, *values: Any) -> Any:
    table.finish()
    try:
        return kind(*values)
    except InputError as error:
        raise InputError(f'{place}: {error}') from error


def _check_span(begin: float, end: float, what: str) -> None:
    _seconds(begin, f'{what}: from')
    _seconds(end, f'{what}: to')
    if end < begin:
        raise InputError(f'{what} ends at {end:g} s, before it begins at {begin:g} s')


def _length(results: Sequence[FrameResult]) -> float:
    return max(frame.stamp for frame in results) - results[0].stamp


def _examined(results: Sequence[FrameResult], expected: Expectation) -> ExpectationFinding:
    first, last = results[0].stamp, _length(results)
    frames = [
        frame
        for frame in results
        if expected.begin - ROUNDING <= frame.stamp - first <= expected.end + ROUNDING
    ]
    others = [frame for frame in frames if frame.label != expected.label]
    share = 1.0 - len(others) / len(frames) if frames else None
    problem = ''
    if expected.end > last + GAP:
        problem = f'{expected}: the recording ends at {last:.2f} s'
    elif share is None:
        problem = f'{expected}: there are no frames'
    elif gap := _gap(results, expected):
        since, until = (_time(first + time, first) for time in gap)
        problem = f'{expected}: there are no frames between {since} and {until}'
    elif share < expected.min_share - ROUNDING:
        problem = _share_line(results, expected, frames, others)
    return ExpectationFinding(expected, problem, share)


def _share_line(
    results: Sequence[FrameResult],
    expected: Expectation,
    frames: Sequence[FrameResult],
    others: Sequence[FrameResult],
) -> str:
    first, share = results[0].stamp, 1.0 - len(others) / len(frames)
    found = ', '.join(f'{n} {label}' for label, n in Counter(f.label for f in others).most_common())
    faces = [face for frame in results for face in frame.faces]
    # Below abstain_below the label is `unknown`, which need not be one of the model's.
    known = {label for face in faces for label in (*face.labels, face.label)} | {NONE}
    hint = (
        '' if expected.label in known
        else f'; {expected.label!r} is not one of the labels {", ".join(sorted(known))}'
    )  # fmt: skip
    return (
        f'{expected}: {len(frames) - len(others)} of {len(frames)} frames, a share of {share:.2f} '
        f'where {expected.min_share:g} is expected; first other at '
        f'{_time(others[0].stamp, first)}: {others[0].label} (in total {found}){hint}'
    )


def _gap(results: Sequence[FrameResult], expected: Expectation) -> tuple[float, float] | None:
    """Return the first gap between frames in a span, in seconds since the first frame."""
    first, laps = results[0].stamp, split_laps(results)
    longest = longest_step(laps)
    for times in ([frame.stamp - first for frame in lap] for lap in laps):
        # Before and after a lap is no gap: a loop may be interrupted.
        begin, end = max(expected.begin, times[0]), min(expected.end, times[-1])
        inside = [time for time in times if begin < time < end]
        for before, after in pairwise([begin, *inside, end]):
            if after - before > longest + ROUNDING:
                return before, after
    return None


def _action_line(
    actions: Sequence[DialogueAction], expected: ExpectedDecision, first: float, last: float
) -> str:
    for action in actions:
        since = action.stamp - first
        inside = expected.begin - ROUNDING <= since <= expected.end + ROUNDING
        if inside and action.action == expected.action:
            return ''
    seen = ', '.join(f'{each.action} at {each.stamp - first:.2f} s' for each in actions)
    return (
        f'{expected}: not decided; decisions in the {last:.2f} s of the recording: {seen or "none"}'
    )


def _time(stamp: float, first: float) -> str:
    since = f'{stamp - first:.3f} s'
    return since if first == 0 else f'{since} (stamp {stamp:.6f})'


def _percent(share: float) -> str:
    """Return a share in percent, rounded down: 99.96 % is not all of it."""
    return f'{math.floor(1000 * share + 1e-6) / 10:g}%'
