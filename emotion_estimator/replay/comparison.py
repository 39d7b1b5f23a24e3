"""Two courses of the same recording compared, frame by frame, and with the truth."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, zip_longest

import numpy as np

from emotion_estimator.emotion import FaceEmotion, primary
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult
from emotion_estimator.replay.course import Change, Onset, align, changes, follow, laps

#: Seconds around each change of the truth that a fair count leaves out: the portrait's change
#: takes that long, and no observer could tell at once.
MARGIN = 0.3


@dataclass(frozen=True)
class Tally:
    """Frames counted, and those in which the label was the truth."""

    frames: int = 0
    agreed: int = 0

    @property
    def share(self) -> float | None:
        """Share of agreement, 0 to 1; None without frames."""
        return self.agreed / self.frames if self.frames else None


@dataclass(frozen=True)
class Agreement:
    """Labels against the truth.

    :param overall: all frames whose truth is known.
    :param settled: those more than the margin away from a change of the truth.
    :param per_label: the settled frames by their truth.
    """

    overall: Tally
    settled: Tally
    per_label: Mapping[str, Tally]


def changes_of(truth: Sequence[tuple[float, str]]) -> list[float]:
    """Return the stamps at which the truth changes, in the middle between the two frames."""
    return [
        (before[0] + after[0]) / 2 for before, after in pairwise(truth) if before[1] != after[1]
    ]


def agreement(
    truth: Sequence[tuple[float, str]],
    labels: Sequence[tuple[float, str]],
    margin: float = MARGIN,
) -> Agreement | None:
    """Compare labels with the truth of the same frames.

    :param truth: (stamp in seconds, label) in order of time.
    :param labels: the same of what was estimated; a frame is found by its stamp.
    :param margin: seconds on both sides of a change that ``settled`` leaves out.
    :return: None where no frame has both.
    """
    known = {_key(stamp): label for stamp, label in truth}
    changes = changes_of(truth)
    pairs = [(stamp, known[_key(stamp)], label) for stamp, label in labels if _key(stamp) in known]
    if not pairs:
        return None
    settled = [pair for pair in pairs if distance(changes, pair[0]) > margin]
    names = dict.fromkeys(right for _, right, _ in settled)
    return Agreement(
        overall=_tally(pairs),
        settled=_tally(settled),
        per_label={name: _tally([pair for pair in settled if pair[1] == name]) for name in names},
    )


def _key(stamp: float) -> int:
    """Name a frame by its stamp in whole microseconds, safe from rounding on the way."""
    return round(stamp * 1e6)


def distance(changes: Sequence[float], stamp: float) -> float:
    """Return the seconds to the nearest of ``changes`` (ascending); very many without any."""
    at = bisect_left(changes, stamp)
    return min((abs(stamp - change) for change in changes[max(0, at - 1) : at + 1]), default=1e9)


def _tally(pairs: Sequence[tuple[float, str, str]]) -> Tally:
    return Tally(len(pairs), sum(right == label for _, right, label in pairs))


@dataclass(frozen=True, eq=False)
class Lone:
    """A frame that only one course has."""

    lap: int
    frame: FrameResult

    @property
    def stamp(self) -> float:
        """Return the frame's stamp, in seconds."""
        return self.frame.stamp


@dataclass(frozen=True, eq=False)
class Pair:
    """The same frame in both courses.

    :param lap: from 0; a new one begins where stamps jump back.
    :param difference: greatest difference of a probability between the primary faces, 0 to 1; a
        label that only one model knows has probability 0 in the other. None where one of the two
        has no face: there the labels differ, or nobody is seen in either.
    """

    lap: int
    expected: FrameResult
    actual: FrameResult
    difference: float | None

    @property
    def stamp(self) -> float:
        """Return the expected frame's stamp, in seconds."""
        return self.expected.stamp

    @property
    def agrees(self) -> bool:
        """Whether both have the same label."""
        return self.expected.label == self.actual.label


@dataclass(frozen=True, eq=False)
class Comparison:
    """What two courses have in common.

    :param expected: the course as laps, see :func:`emotion_estimator.replay.course.laps`.
    :param tolerance: seconds within which stamps are the same.
    :param missing: frames that only the expected course has.
    :param extra: frames that only the actual course has.
    :param onsets: each change of the expected label.
    :param added: changes of the actual label that answer none of the expected.
    :param vocabularies: the labels that the two courses' models know; empty without a face.
    """

    expected: tuple[tuple[FrameResult, ...], ...]
    actual: tuple[tuple[FrameResult, ...], ...]
    tolerance: float
    pairs: tuple[Pair, ...]
    missing: tuple[Lone, ...]
    extra: tuple[Lone, ...]
    onsets: tuple[Onset, ...]
    added: tuple[Change, ...]
    vocabularies: tuple[frozenset[str], frozenset[str]]

    @cached_property
    def differing(self) -> tuple[Pair, ...]:
        """Return the frames whose labels differ, the first one first."""
        return tuple(pair for pair in self.pairs if not pair.agrees)

    @cached_property
    def overall(self) -> Tally:
        """Frames of both, and those with the same label."""
        return _comparison_tally(self.pairs)

    @cached_property
    def per_label(self) -> dict[str, Tally]:
        """Return the same by the expected label."""
        names = dict.fromkeys(pair.expected.label for pair in self.pairs)
        return {
            name: _comparison_tally([pair for pair in self.pairs if pair.expected.label == name])
            for name in names
        }

    def settled(self, margin: float) -> list[Pair]:
        """Return the pairs more than ``margin`` seconds away from a change of the expected label.

        Nearer than that the labels of two good runs may differ, one being a frame later.
        """
        moments: dict[int, list[float]] = {}
        for onset in self.onsets:
            moments.setdefault(onset.change.lap, []).append(onset.change.stamp)
        return [
            pair for pair in self.pairs if distance(moments.get(pair.lap, ()), pair.stamp) > margin
        ]

    @cached_property
    def shifts(self) -> tuple[float, ...]:
        """Seconds by which the actual label changed later, for each onset that it followed."""
        return tuple(onset.shift for onset in self.onsets if onset.shift is not None)

    @property
    def most_shifted(self) -> Onset | None:
        """Return the change followed latest, or earliest, by the actual label; None without any."""
        followed = (onset for onset in self.onsets if onset.shift is not None)
        return max(followed, key=lambda onset: abs(onset.shift or 0.0), default=None)

    @cached_property
    def lost(self) -> tuple[Onset, ...]:
        """Return the changes of the expected label that the actual one does not have."""
        return tuple(onset for onset in self.onsets if onset.shift is None)

    @cached_property
    def differences(self) -> tuple[float, ...]:
        """Greatest difference of a probability, 0 to 1, in each frame where both have a face."""
        return tuple(pair.difference for pair in self.pairs if pair.difference is not None)

    @property
    def most_different(self) -> Pair | None:
        """Return the frame whose probabilities differ most; None where none has a face in both."""
        seen = (pair for pair in self.pairs if pair.difference is not None)
        return max(seen, key=lambda pair: pair.difference or 0.0, default=None)

    @cached_property
    def miscounted(self) -> tuple[Pair, ...]:
        """Return the frames in which the numbers of faces differ."""
        return tuple(p for p in self.pairs if len(p.expected.faces) != len(p.actual.faces))

    @cached_property
    def misread_others(self) -> tuple[Pair, ...]:
        """Return the frames with as many faces in both, where labels beside the primary differ."""
        return tuple(
            pair
            for pair in self.pairs
            if len(pair.expected.faces) == len(pair.actual.faces)
            and _others(pair.expected) != _others(pair.actual)
        )


def _others(frame: FrameResult) -> list[str]:
    return sorted(face.label for face in frame.faces[1:])


def _comparison_tally(pairs: Sequence[Pair]) -> Tally:
    return Tally(len(pairs), sum(pair.agrees for pair in pairs))


#: Greatest difference in seconds between the stamps of what counts as the same frame.
TOLERANCE = 0.005


def compare(
    expected: Sequence[FrameResult],
    actual: Sequence[FrameResult],
    tolerance: float = TOLERANCE,
    names: tuple[str, str] = ('expected', 'actual'),
) -> Comparison:
    """Compare two courses of one recording.

    Frames are paired by their stamps, see :func:`emotion_estimator.replay.course.align`. Where
    stamps jump back (a bag that was looped) a new lap begins; each lap is compared with the one
    of the same number, and a lap that the other has not is missing, or extra, as a whole.

    :param expected: in order of time but for late frames, see
        :func:`emotion_estimator.replay.course.laps`; at least one frame.
    :param actual: the same.
    :param tolerance: greatest difference in seconds between the stamps of the same frame.
    :param names: what to call the two in errors.
    :raises InputError: a course is empty, has a stamp or probability that is no number; no frame
        of the two has the same stamp; or their models have no label in common.
    """
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise InputError(f'tolerance must be 0 or more seconds, not {tolerance:g}')
    vocabularies = _checked(expected, names[0]), _checked(actual, names[1])
    if all(vocabularies) and not vocabularies[0] & vocabularies[1]:
        known = [', '.join(sorted(each)) for each in vocabularies]
        raise InputError(
            f'{names[0]} knows the labels {known[0]}; {names[1]} {known[1]}: none in common'
        )
    before, after = laps(expected), laps(actual)
    pairs: list[Pair] = []
    missing: list[Lone] = []
    extra: list[Lone] = []
    onsets: list[Onset] = []
    added: list[Change] = []
    for lap, (these, those) in enumerate(zip_longest(before, after, fillvalue=())):
        stamps = [frame.stamp for frame in those]
        matched = align([frame.stamp for frame in these], stamps, tolerance)
        for i, j in matched:
            pairs.append(Pair(lap, these[i], those[j], _difference(these[i], those[j])))
            # What is the same frame has the same time.
            stamps[j] = these[i].stamp
        missing += _lone(lap, these, {i for i, _ in matched})
        extra += _lone(lap, those, {j for _, j in matched})
        followed, unasked = follow(
            changes([(frame.stamp, frame.label) for frame in these], lap),
            changes([(stamp, frame.label) for stamp, frame in zip(stamps, those)], lap),
        )
        onsets += followed
        added += unasked
    if not pairs:
        raise InputError(
            f'no frame of {names[0]} ({_span(expected)}) has a counterpart within {tolerance:g} s '
            f'in {names[1]} ({_span(actual)}); are they of the same recording?'
        )
    return Comparison(
        tuple(before),
        tuple(after),
        tolerance,
        tuple(pairs),
        tuple(missing),
        tuple(extra),
        tuple(onsets),
        tuple(added),
        vocabularies,
    )


def _checked(course: Sequence[FrameResult], name: str) -> frozenset[str]:
    """Return the labels that a course's model knows; empty where no face was seen."""
    if not course:
        raise InputError(f'{name} holds no frames; there is nothing to compare')
    known: set[str] = set()
    for number, frame in enumerate(course, start=1):
        if not math.isfinite(frame.stamp):
            raise InputError(f'{name}: the stamp of frame {number} is no number ({frame.stamp})')
        for face in frame.faces:
            known.update(face.labels)
            for label, value in _probabilities(face).items():
                if not -0.001 <= value <= 1.001:
                    raise InputError(
                        f'{name}: frame {number} (stamp {frame.stamp:.3f}) gives {label} the '
                        f'probability {value:g}, which is none'
                    )
    return frozenset(known)


def _probabilities(face: FaceEmotion) -> dict[str, float]:
    return {label: float(p) for label, p in zip(face.labels, face.probabilities)}


def _difference(expected: FrameResult, actual: FrameResult) -> float | None:
    faces = primary(expected.faces), primary(actual.faces)
    if faces[0] is None or faces[1] is None:
        return None
    these, those = _probabilities(faces[0]), _probabilities(faces[1])
    apart = [abs(these.get(label, 0.0) - those.get(label, 0.0)) for label in {**these, **those}]
    return max(apart, default=None)


def _lone(lap: int, frames: Sequence[FrameResult], paired: set[int]) -> Iterator[Lone]:
    return (Lone(lap, frame) for i, frame in enumerate(frames) if i not in paired)


def _span(course: Iterable[FrameResult]) -> str:
    stamps = np.array([frame.stamp for frame in course])
    return f'stamps {stamps.min():.3f} to {stamps.max():.3f} s'
