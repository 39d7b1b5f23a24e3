"""Compare two results of one recording frame by frame, or labels with the ground truth."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, zip_longest

import numpy as np

from emotion_estimator.emotion import FaceEmotion, primary
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult
from emotion_estimator.replay.alignment import (
    Change,
    Onset,
    align,
    changes,
    match_changes,
    split_laps,
)
from emotion_estimator.timeline import Labels

#: Seconds around each change of the truth that ``Agreement.settled`` leaves out: the portrait's
#: expression takes that long to change, and no observer could recognize it at once.
MARGIN = 0.3
#: Largest difference in seconds between the stamps of the same frame.
TOLERANCE = 0.005


@dataclass(frozen=True)
class Tally:
    """Number of frames, and of those whose label agrees."""

    frames: int = 0
    agreed: int = 0

    @classmethod
    def of(cls, agreements: Collection[bool]) -> Tally:
        """Count one entry a frame."""
        return cls(len(agreements), sum(agreements))

    @property
    def share(self) -> float | None:
        """Share of agreement, 0 to 1; None without frames."""
        return self.agreed / self.frames if self.frames else None


@dataclass(frozen=True)
class Agreement:
    """Agreement of labels with the truth.

    :param overall: all frames with a known truth.
    :param settled: those further than the margin from a change of the truth.
    :param per_label: the settled frames by their truth.
    """

    overall: Tally
    settled: Tally
    per_label: Mapping[str, Tally]


def agreement(truth: Labels, labels: Labels, margin: float = MARGIN) -> Agreement | None:
    """Compare labels with the truth of the same frames.

    :param truth: (stamp in seconds, label) in order of time.
    :param labels: the estimated labels, likewise; frames are matched by stamp.
    :param margin: seconds on both sides of a change that ``settled`` leaves out.
    :return: None if no frame has both.
    """
    known = {_microseconds(stamp): label for stamp, label in truth}
    times = change_times(truth)
    pairs = [
        (stamp, known[_microseconds(stamp)], label)
        for stamp, label in labels
        if _microseconds(stamp) in known
    ]
    if not pairs:
        return None
    settled = [pair for pair in pairs if distance(times, pair[0]) > margin]
    names = dict.fromkeys(right for _, right, _ in settled)
    return Agreement(
        overall=Tally.of([right == label for _, right, label in pairs]),
        settled=Tally.of([right == label for _, right, label in settled]),
        per_label={
            name: Tally.of([right == label for _, right, label in settled if right == name])
            for name in names
        },
    )


def _microseconds(stamp: float) -> int:
    """Return a stamp as a dictionary key that rounding does not change."""
    return round(stamp * 1e6)


def change_times(truth: Labels) -> list[float]:
    """Return the stamps at which the truth changes, halfway between two frames."""
    return [
        (before[0] + after[0]) / 2 for before, after in pairwise(truth) if before[1] != after[1]
    ]


def distance(times: Sequence[float], stamp: float) -> float:
    """Return the seconds to the nearest of ``times`` (ascending); 1e9 if there are none."""
    at = bisect_left(times, stamp)
    return min((abs(stamp - time) for time in times[max(0, at - 1) : at + 1]), default=1e9)


@dataclass(frozen=True, eq=False)
class UnpairedFrame:
    """A frame that only one of the two results has."""

    lap: int
    frame: FrameResult

    @property
    def stamp(self) -> float:
        """Return the frame's stamp, in seconds."""
        return self.frame.stamp


@dataclass(frozen=True, eq=False)
class Pair:
    """The same frame in both results.

    :param lap: number of the lap, from 0; a lap begins where stamps jump back.
    :param difference: largest difference of a probability between the primary faces, 0 to 1; a
        label unknown to one model has probability 0 there. None if either has no face: then either
        the labels differ, or both show nobody.
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
    """The differences between two results of one recording.

    :param expected: the results in laps, see :func:`emotion_estimator.replay.alignment.split_laps`.
    :param tolerance: seconds within which two stamps are the same.
    :param missing: frames that only the expected results have.
    :param extra: frames that only the actual results have.
    :param onsets: every change of the expected label.
    :param added: changes of the actual label that match no expected one.
    :param vocabularies: the labels that either results' model knows; empty if no face was seen.
    """

    expected: tuple[tuple[FrameResult, ...], ...]
    actual: tuple[tuple[FrameResult, ...], ...]
    tolerance: float
    pairs: tuple[Pair, ...]
    missing: tuple[UnpairedFrame, ...]
    extra: tuple[UnpairedFrame, ...]
    onsets: tuple[Onset, ...]
    added: tuple[Change, ...]
    vocabularies: tuple[frozenset[str], frozenset[str]]

    @cached_property
    def differing(self) -> tuple[Pair, ...]:
        """Return the frames whose labels differ."""
        return tuple(pair for pair in self.pairs if not pair.agrees)

    @cached_property
    def overall(self) -> Tally:
        """Agreement over all paired frames."""
        return Tally.of([pair.agrees for pair in self.pairs])

    @cached_property
    def per_label(self) -> dict[str, Tally]:
        """Agreement by expected label."""
        names = dict.fromkeys(pair.expected.label for pair in self.pairs)
        return {
            name: Tally.of([pair.agrees for pair in self.pairs if pair.expected.label == name])
            for name in names
        }

    def settled(self, margin: float) -> list[Pair]:
        """Return the pairs further than ``margin`` seconds from a change of the expected label.

        Closer to a change even two good runs may differ, one being a frame later.
        """
        times: dict[int, list[float]] = {}
        for onset in self.onsets:
            times.setdefault(onset.change.lap, []).append(onset.change.stamp)
        return [
            pair for pair in self.pairs if distance(times.get(pair.lap, ()), pair.stamp) > margin
        ]

    @cached_property
    def shifts(self) -> tuple[float, ...]:
        """Seconds by which the actual label changed later, for each matched onset."""
        return tuple(onset.shift for onset in self.onsets if onset.shift is not None)

    @property
    def most_shifted(self) -> Onset | None:
        """Return the matched onset with the largest shift either way; None if there is none."""
        matched = (onset for onset in self.onsets if onset.shift is not None)
        return max(matched, key=lambda onset: abs(onset.shift or 0.0), default=None)

    @cached_property
    def lost(self) -> tuple[Onset, ...]:
        """Return the expected changes without an actual one."""
        return tuple(onset for onset in self.onsets if onset.shift is None)

    @cached_property
    def differences(self) -> tuple[float, ...]:
        """Largest difference of a probability, 0 to 1, for each frame with a face in both."""
        return tuple(pair.difference for pair in self.pairs if pair.difference is not None)

    @property
    def most_different(self) -> Pair | None:
        """Return the pair whose probabilities differ most; None if none has a face in both."""
        seen = (pair for pair in self.pairs if pair.difference is not None)
        return max(seen, key=lambda pair: pair.difference or 0.0, default=None)

    @cached_property
    def miscounted(self) -> tuple[Pair, ...]:
        """Return the frames in which the numbers of faces differ."""
        return tuple(p for p in self.pairs if len(p.expected.faces) != len(p.actual.faces))

    @cached_property
    def misread_others(self) -> tuple[Pair, ...]:
        """Return the frames with equally many faces whose labels differ beyond the primary one."""
        return tuple(
            pair
            for pair in self.pairs
            if len(pair.expected.faces) == len(pair.actual.faces)
            and _other_labels(pair.expected) != _other_labels(pair.actual)
        )


def _other_labels(frame: FrameResult) -> list[str]:
    return sorted(face.label for face in frame.faces[1:])


def compare(
    expected: Sequence[FrameResult],
    actual: Sequence[FrameResult],
    tolerance: float = TOLERANCE,
    names: tuple[str, str] = ('expected', 'actual'),
) -> Comparison:
    """Compare two results of one recording.

    Frames are paired by their stamps, see :func:`emotion_estimator.replay.alignment.align`. Where
    stamps jump back (a looped bag) a new lap begins. Laps are compared by number; all frames of a
    lap that the other results lack are missing or extra.

    :param expected: at least one frame, in order of time except for late frames, see
        :func:`emotion_estimator.replay.alignment.split_laps`.
    :param actual: the other results, likewise.
    :param tolerance: largest difference in seconds between the stamps of the same frame.
    :param names: what to call the two in errors.
    :raises InputError: either is empty or has a stamp or probability that is not a valid number,
        they share no stamp, or their models share no label.
    """
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise InputError(f'tolerance must be 0 or more seconds, not {tolerance:g}')
    vocabularies = _checked(expected, names[0]), _checked(actual, names[1])
    if all(vocabularies) and not vocabularies[0] & vocabularies[1]:
        known = [', '.join(sorted(each)) for each in vocabularies]
        raise InputError(
            f'{names[0]} has the labels {known[0]}; {names[1]} {known[1]}: none in common'
        )
    laps = split_laps(expected), split_laps(actual)
    pairs: list[Pair] = []
    missing: list[UnpairedFrame] = []
    extra: list[UnpairedFrame] = []
    onsets: list[Onset] = []
    added: list[Change] = []
    for lap, (these, those) in enumerate(zip_longest(*laps, fillvalue=())):
        stamps = [frame.stamp for frame in those]
        matched = align([frame.stamp for frame in these], stamps, tolerance)
        for i, j in matched:
            pairs.append(Pair(lap, these[i], those[j], _difference(these[i], those[j])))
            # Within a pair, the tolerance must not count as a shift.
            stamps[j] = these[i].stamp
        missing += _unpaired(lap, these, {i for i, _ in matched})
        extra += _unpaired(lap, those, {j for _, j in matched})
        matched_onsets, unmatched = match_changes(
            changes([(frame.stamp, frame.label) for frame in these], lap),
            changes([(stamp, frame.label) for stamp, frame in zip(stamps, those)], lap),
        )
        onsets += matched_onsets
        added += unmatched
    if not pairs:
        raise InputError(
            f'no frame of {names[0]} ({_span(expected)}) has a counterpart within {tolerance:g} s '
            f'in {names[1]} ({_span(actual)}); are they of the same recording?'
        )
    return Comparison(
        tuple(laps[0]),
        tuple(laps[1]),
        tolerance,
        tuple(pairs),
        tuple(missing),
        tuple(extra),
        tuple(onsets),
        tuple(added),
        vocabularies,
    )


def _checked(results: Sequence[FrameResult], name: str) -> frozenset[str]:
    """Return the labels that the results' model knows; empty if no face was seen."""
    if not results:
        raise InputError(f'{name} holds no frames; there is nothing to compare')
    known: set[str] = set()
    for number, frame in enumerate(results, start=1):
        if not math.isfinite(frame.stamp):
            raise InputError(f'{name}: the stamp of frame {number} is not finite ({frame.stamp})')
        for face in frame.faces:
            known.update(face.labels)
            for label, value in _probabilities(face).items():
                if not -0.001 <= value <= 1.001:
                    raise InputError(
                        f'{name}: frame {number} (stamp {frame.stamp:.3f}) gives {label} the '
                        f'probability {value:g}, which is not between 0 and 1'
                    )
    return frozenset(known)


def _probabilities(face: FaceEmotion) -> dict[str, float]:
    return {label: float(p) for label, p in zip(face.labels, face.probabilities)}


def _difference(expected: FrameResult, actual: FrameResult) -> float | None:
    faces = primary(expected.faces), primary(actual.faces)
    if faces[0] is None or faces[1] is None:
        return None
    these, those = _probabilities(faces[0]), _probabilities(faces[1])
    return max(
        (abs(these.get(label, 0.0) - those.get(label, 0.0)) for label in {**these, **those}),
        default=None,
    )


def _unpaired(lap: int, frames: Sequence[FrameResult], paired: set[int]) -> Iterator[UnpairedFrame]:
    return (UnpairedFrame(lap, frame) for i, frame in enumerate(frames) if i not in paired)


def _span(results: Iterable[FrameResult]) -> str:
    stamps = np.array([frame.stamp for frame in results])
    return f'stamps {stamps.min():.3f} to {stamps.max():.3f} s'
