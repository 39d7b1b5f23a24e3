"""Compare two results of one recording frame by frame, or labels with the ground truth."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count, pairwise

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import FaceEmotion
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult
from emotion_estimator.replay.alignment import (
    Change,
    ChangeFinder,
    LapReader,
    Laps,
    Onset,
    match_changes,
    side_by_side,
    split_laps,
)
from emotion_estimator.replay.pairs import (
    Pair,
    PairColumns,
    Pairs,
    UnpairedFrames,
    primary_label,
)
from emotion_estimator.replay.results import ResultCounter, ResultStatistics
from emotion_estimator.result_line import Glance
from emotion_estimator.timeline import Labels

#: Seconds around each change of the truth that ``Agreement.settled`` leaves out: the portrait's
#: expression takes that long to change, and no observer could recognize it at once.
MARGIN = 0.3
#: Distance in seconds to a change where there is none.
_NEVER = 1e9
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
    return min((abs(stamp - time) for time in times[max(0, at - 1) : at + 1]), default=_NEVER)


@dataclass(frozen=True, eq=False)
class Comparison:
    """The differences between two results of one recording.

    :param expected: the expected results in numbers.
    :param actual: the actual ones.
    :param laps: both results' frames, see :func:`emotion_estimator.replay.alignment.split_laps`;
        only if they were kept for pictures.
    :param tolerance: seconds within which two stamps are the same.
    :param missing: frames that only the expected results have.
    :param extra: frames that only the actual results have.
    :param onsets: every change of the expected label.
    :param added: changes of the actual label that match no expected one.
    :param vocabularies: the labels that either results' model knows; empty if no face was seen.
    """

    expected: ResultStatistics
    actual: ResultStatistics
    laps: tuple[Laps, Laps] | None
    tolerance: float
    pairs: Pairs
    missing: UnpairedFrames
    extra: UnpairedFrames
    onsets: tuple[Onset, ...]
    added: tuple[Change, ...]
    vocabularies: tuple[frozenset[str], frozenset[str]]

    @cached_property
    def differing(self) -> Pairs:
        """Return the frames whose labels differ."""
        return self.pairs.where(~self.pairs.agree)

    @cached_property
    def overall(self) -> Tally:
        """Agreement over all paired frames."""
        return _tally(self.pairs)

    @cached_property
    def per_label(self) -> dict[str, Tally]:
        """Agreement by expected label."""
        return {name: _tally(self.pairs.with_label(name)) for name in self.pairs.expected_labels()}

    def settled(self, margin: float) -> Pairs:
        """Return the pairs further than ``margin`` seconds from a change of the expected label.

        Closer to a change even two good runs may differ, one being a frame later.
        """
        times: dict[int, list[float]] = {}
        for onset in self.onsets:
            times.setdefault(onset.change.lap, []).append(onset.change.stamp)
        chosen = np.ones(len(self.pairs), np.bool_)
        for lap, extent in self.pairs.laps():
            chosen[extent] = distances(times.get(lap, ()), self.pairs.stamps[extent]) > margin
        return self.pairs.where(chosen)

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
    def differences(self) -> array[float]:
        """Largest difference of a probability, 0 to 1, for each frame with a face in both."""
        return array('d', self.seen.differences.tobytes())

    @cached_property
    def seen(self) -> Pairs:
        """Return the pairs with a face in both."""
        return self.pairs.where(~np.isnan(self.pairs.differences))

    @property
    def most_different(self) -> Pair | None:
        """Return the pair whose probabilities differ most; None if none has a face in both."""
        return self.seen[int(np.argmax(self.seen.differences))] if len(self.seen) else None

    @cached_property
    def miscounted(self) -> Pairs:
        """Return the frames in which the numbers of faces differ."""
        return self.pairs.where(~self._same_number)

    @cached_property
    def misread_others(self) -> Pairs:
        """Return the frames with equally many faces whose labels differ beyond the primary one."""
        same = self.pairs.same([tuple(sorted(faces[1:])) for faces in self.pairs.sights])
        return self.pairs.where(self._same_number & ~same)

    @cached_property
    def _same_number(self) -> NDArray[np.bool_]:
        return self.pairs.same([len(faces) for faces in self.pairs.sights])


def _tally(pairs: Pairs) -> Tally:
    return Tally(len(pairs), pairs.agreed)


def distances(times: Sequence[float], stamps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what :func:`distance` does for each stamp.

    :param stamps: float64 (n,).
    :return: float64 (n,).
    """
    ends = np.array([-np.inf, *times, np.inf])
    at = np.searchsorted(ends[1:-1], stamps)
    nearest = np.minimum(np.abs(stamps - ends[at]), np.abs(stamps - ends[at + 1]))
    return np.where(np.isinf(nearest), _NEVER, nearest)


def compare(
    expected: Iterable[FrameResult | Glance],
    actual: Iterable[FrameResult | Glance],
    tolerance: float = TOLERANCE,
    names: tuple[str, str] = ('expected', 'actual'),
    keep: bool = True,
) -> Comparison:
    """Compare two results of one recording.

    Frames are paired by their stamps, see
    :func:`emotion_estimator.replay.alignment.side_by_side`. Where stamps jump back (a looped bag) a
    new lap begins. Laps are compared by number; all frames of a lap that the other results lack are
    missing or extra.

    Both are read at the same time and only once. Of a pair of frames 24 bytes are held.

    :param expected: at least one frame, in order of time except for late frames, see
        :class:`emotion_estimator.replay.alignment.LapReader`.
    :param actual: the other results, likewise.
    :param tolerance: largest difference in seconds between the stamps of the same frame.
    :param names: what to call the two in errors.
    :param keep: whether to keep the frames for pictures, for which they must be ``FrameResult``.
    :raises InputError: either is empty or has a stamp or probability that is not a valid number,
        they share no stamp, or their models share no label. What reading them raises comes before
        that, that of ``expected`` first.
    """
    laps: tuple[Laps, Laps] | None = None
    if keep:
        expected, actual = list(expected), list(actual)
    ours, theirs = _Course(expected, names[0]), _Course(actual, names[1], later=True)
    pairing = _Pairing(tolerance)
    pairing.read(ours, theirs)
    if theirs.error is not None:
        raise theirs.error
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise InputError(f'tolerance must be 0 or more seconds, not {tolerance:g}')
    vocabularies = ours.vocabulary(), theirs.vocabulary()
    if all(vocabularies) and not vocabularies[0] & vocabularies[1]:
        known = [', '.join(sorted(each)) for each in vocabularies]
        raise InputError(
            f'{names[0]} has the labels {known[0]}; {names[1]} {known[1]}: none in common'
        )
    if not pairing.columns.stamps:
        raise InputError(
            f'no frame of {names[0]} ({_span(ours)}) has a counterpart within {tolerance:g} s '
            f'in {names[1]} ({_span(theirs)}); are they of the same recording?'
        )
    if keep:
        laps = _kept(expected), _kept(actual)
    return Comparison(
        ours.counter.statistics(),
        theirs.counter.statistics(),
        laps,
        tolerance,
        Pairs(pairing.columns),
        pairing.missing,
        pairing.extra,
        tuple(pairing.onsets),
        tuple(pairing.added),
        vocabularies,
    )


def _kept(results: Iterable[FrameResult | Glance]) -> Laps:
    return split_laps([frame for frame in results if isinstance(frame, FrameResult)])


class _Course:
    """Results as they are read, and what is wrong with them."""

    def __init__(
        self, results: Iterable[FrameResult | Glance], name: str, later: bool = False
    ) -> None:
        """:param later: whether errors of reading wait in ``error`` for those of the other."""
        self.counter = ResultCounter()
        self.error: Exception | None = None
        self._name = name
        self._later = later
        self._known: set[str] = set()
        self._problem: InputError | None = None
        self._empty = True
        self.laps = LapReader(self._read(results))

    def vocabulary(self) -> frozenset[str]:
        """Return the labels that the results' model knows; empty if no face was seen.

        :raises InputError: there are no frames, or one is not valid.
        """
        if self._empty:
            raise InputError(f'{self._name} holds no frames; there is nothing to compare')
        if self._problem is not None:
            raise self._problem
        return frozenset(self._known)

    def _read(self, results: Iterable[FrameResult | Glance]) -> Iterator[Glance]:
        """Yield frames until one is not valid, and read the others in any case."""
        labels: tuple[str, ...] = ()
        try:
            for number, frame in enumerate(results, start=1):
                self._empty = False
                # What a file held was checked when it was read.
                seen = frame if isinstance(frame, Glance) else self._checked(frame, number)
                if seen is None:
                    continue
                if seen.labels != labels:
                    labels = seen.labels
                    self._known.update(labels)
                self._known.update(seen.known)
                yield seen
        except Exception as error:
            if not self._later:
                raise
            self.error = error

    def _checked(self, frame: FrameResult, number: int) -> Glance | None:
        """Return what is compared of a frame; None from the first one on that is not valid."""
        if self._problem is None:
            self._problem = self._problem_of(frame, number)
        if self._problem is not None:
            return None
        first = _probabilities(frame.faces[0]) if frame.faces else {}
        return Glance(
            frame.stamp,
            tuple(face.label for face in frame.faces),
            tuple(first),
            array('f', first.values()),
            tuple(label for face in frame.faces for label in face.labels),
        )

    def _problem_of(self, frame: FrameResult, number: int) -> InputError | None:
        if not math.isfinite(frame.stamp):
            return InputError(
                f'{self._name}: the stamp of frame {number} is not finite ({frame.stamp})'
            )
        for face in frame.faces:
            for label, value in _probabilities(face).items():
                if not -0.001 <= value <= 1.001:
                    return InputError(
                        f'{self._name}: frame {number} (stamp {frame.stamp:.3f}) gives {label} the '
                        f'probability {value:g}, which is not between 0 and 1'
                    )
        return None


class _Pairing:
    """Two courses side by side."""

    def __init__(self, tolerance: float) -> None:
        self.columns = PairColumns()
        self.missing, self.extra = UnpairedFrames(), UnpairedFrames()
        self.onsets: list[Onset] = []
        self.added: list[Change] = []
        self._tolerance = tolerance

    def read(self, ours: _Course, theirs: _Course) -> None:
        """Read both to their ends."""
        for lap in count():
            if ours.laps.ended and theirs.laps.ended:
                return
            self.columns.begin_lap()
            self._read_lap(lap, ours, theirs)

    def _read_lap(self, lap: int, ours: _Course, theirs: _Course) -> None:
        our_changes, their_changes = ChangeFinder(lap), ChangeFinder(lap)
        for one, other in side_by_side(ours.laps.lap(), theirs.laps.lap(), self._tolerance):
            if one is not None:
                label = primary_label(one.faces)
                our_changes.see(one.stamp, label)
                ours.counter.see(one.stamp, label, len(one.faces))
            if other is not None:
                label = primary_label(other.faces)
                # Within a pair, the tolerance must not count as a shift.
                their_changes.see((other if one is None else one).stamp, label)
                theirs.counter.see(other.stamp, label, len(other.faces))
            if one is None:
                assert other is not None
                self.extra.add(lap, other.stamp)
            elif other is None:
                self.missing.add(lap, one.stamp)
            else:
                self.columns.add(one, other)
        ours.counter.end_lap()
        theirs.counter.end_lap()
        onsets, added = match_changes(our_changes.changes, their_changes.changes)
        self.onsets += onsets
        self.added += added


def _probabilities(face: FaceEmotion) -> dict[str, float]:
    return {label: float(p) for label, p in zip(face.labels, face.probabilities)}


def _span(course: _Course) -> str:
    return f'stamps {course.counter.earliest:.3f} to {course.counter.latest:.3f} s'
