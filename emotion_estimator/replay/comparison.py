"""What two courses of the same recording have in common, and where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from emotion_estimator.replay.agreement import Tally, distance
from emotion_estimator.replay.onsets import Change, Onset
from emotion_estimator.result import FrameResult


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

    :param expected: the course as laps, see :func:`emotion_estimator.replay.align.laps`.
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
        return _tally(self.pairs)

    @cached_property
    def per_label(self) -> dict[str, Tally]:
        """Return the same by the expected label."""
        names = dict.fromkeys(pair.expected.label for pair in self.pairs)
        return {
            name: _tally([pair for pair in self.pairs if pair.expected.label == name])
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
            pair
            for pair in self.pairs
            if distance(moments.get(pair.lap, ()), pair.stamp) > margin
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


def _tally(pairs: Sequence[Pair]) -> Tally:
    return Tally(len(pairs), sum(pair.agrees for pair in pairs))
