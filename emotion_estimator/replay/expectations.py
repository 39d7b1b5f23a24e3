"""What a recording should show: labels that hold for a while, and what the robot should do.

Times are seconds since the recording's first image, or the first that could be read; so they are
the same for a bag of today and one with simulated time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from emotion_estimator import strict_yaml
from emotion_estimator.dialogue.action import ACTIONS, DialogueAction
from emotion_estimator.emotion import NONE
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult
from emotion_estimator.replay.course import ROUNDING, laps
from emotion_estimator.timeline import GAP

#: Share of the frames that must have the label where nothing else is said.
SHARE = 0.8

_DAY = 86400
_seconds = strict_yaml.number(0, _DAY)
_share = strict_yaml.number(0.001, 1)


@dataclass(frozen=True)
class Expectation:
    """A label that the primary face should have for a while.

    :param label: one of the model's, or ``none`` for nobody.
    :param begin: seconds since the first image.
    :param end: the same; both ends belong to the span.
    :param min_share: least share of the span's frames with the label, above 0 to 1.
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
    """Something that the dialogue manager should decide, once at least.

    :param action: one of ``emotion_estimator.dialogue.action.ACTIONS``.
    :param begin: seconds since the first image.
    :param end: the same; both ends belong to the span.
    :raises InputError: there is no such action, or the span is empty.
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
    """All that a recording should show."""

    labels: tuple[Expectation, ...]
    actions: tuple[ExpectedDecision, ...]


def check(
    results: Sequence[FrameResult],
    actions: Sequence[DialogueAction],
    expectations: Sequence[Expectation] = (),
    expected_actions: Sequence[ExpectedDecision] = (),
) -> list[str]:
    """Return one line for each expectation that is not met; none is good.

    A span that the recording does not cover is not met, whatever the frames in it say: neither one
    beyond its end, nor one with a hole, where no image was recorded or none could be read.

    :param results: of one recording. Where it jumps back, a span is that of each time round.
    :param actions: what the dialogue manager decided on it.
    """
    if not results:
        return ['the recording has no frame that could be read']
    lines = [_label_line(results, each) for each in expectations]
    first = results[0].stamp
    lines += [_action_line(actions, each, first, _length(results)) for each in expected_actions]
    return [line for line in lines if line]


def load_expectations(path: Path) -> Expectations:
    """Read expectations from a YAML file.

    .. code-block:: yaml

        labels:
          - {label: happy, from: 2.0, to: 8.0, share: 0.9}   # share: 0.8 where it is left out
        actions:
          - {action: celebrate, from: 5.0, to: 9.0}

    :raises InputError: the file cannot be read, expects nothing, or a field is missing, unknown or
        out of range; names file and field.
    """
    table = strict_yaml.Table(strict_yaml.read_yaml(path), str(path))
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


def _label_line(results: Sequence[FrameResult], expected: Expectation) -> str:
    first, last = results[0].stamp, _length(results)
    if expected.end > last + GAP:
        return f'{expected}: the recording ends at {last:.2f} s'
    frames = [
        frame
        for frame in results
        if expected.begin - ROUNDING <= frame.stamp - first <= expected.end + ROUNDING
    ]
    if not frames:
        return f'{expected}: no frame is there'
    if hole := _hole(results, expected):
        since, until = (_moment(first + time, first) for time in hole)
        return f'{expected}: no frame is there between {since} and {until}'
    others = [frame for frame in frames if frame.label != expected.label]
    share = 1.0 - len(others) / len(frames)
    if share >= expected.min_share - ROUNDING:
        return ''
    found = ', '.join(f'{n} {label}' for label, n in Counter(f.label for f in others).most_common())
    faces = [face for frame in results for face in frame.faces]
    # A face may be told as what is none of its labels: unknown, below abstain_below.
    known = {label for face in faces for label in (*face.labels, face.label)} | {NONE}
    hint = (
        '' if expected.label in known
        else f'; {expected.label!r} is none of the labels {", ".join(sorted(known))}'
    )  # fmt: skip
    return (
        f'{expected}: {len(frames) - len(others)} of {len(frames)} frames, a share of {share:.2f} '
        f'where {expected.min_share:g} is expected; first other at '
        f'{_moment(others[0].stamp, first)}: {others[0].label} (in all {found}){hint}'
    )


def _hole(results: Sequence[FrameResult], expected: Expectation) -> tuple[float, float] | None:
    """Return the first time without frames in a span, as seconds since the recording's first."""
    first = results[0].stamp
    rounds = [[frame.stamp - first for frame in lap] for lap in laps(results)]
    steps = [after - before for times in rounds for before, after in pairwise(times)]
    # Of one image a second, none has a hole after it.
    longest = max(GAP, 1.5 * median(steps)) if steps else GAP
    for times in rounds:
        # What lies before and after a lap is not its: a loop may be interrupted.
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
        f'{expected}: there is none; decided in the {last:.2f} s of the recording: '
        f'{seen or "nothing"}'
    )


def _moment(stamp: float, first: float) -> str:
    since = f'{stamp - first:.3f} s'
    return since if first == 0 else f'{since} (stamp {stamp:.6f})'
