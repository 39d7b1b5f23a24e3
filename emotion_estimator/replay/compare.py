"""Comparing two courses of the same recording, frame by frame."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

import numpy as np

from emotion_estimator.emotion import FaceEmotion, primary
from emotion_estimator.errors import InputError
from emotion_estimator.replay.align import align, laps
from emotion_estimator.replay.comparison import Comparison, Lone, Pair
from emotion_estimator.replay.onsets import Change, Onset, changes, follow
from emotion_estimator.result import FrameResult

#: Greatest difference in seconds between the stamps of what counts as the same frame.
TOLERANCE = 0.005


def compare(
    expected: Sequence[FrameResult],
    actual: Sequence[FrameResult],
    tolerance: float = TOLERANCE,
    names: tuple[str, str] = ('expected', 'actual'),
) -> Comparison:
    """Compare two courses of one recording.

    Frames are paired by their stamps, see :func:`emotion_estimator.replay.align.align`. Where
    stamps jump back (a bag that was looped) a new lap begins; each lap is compared with the one
    of the same number, and a lap that the other has not is missing, or extra, as a whole.

    :param expected: in order of time but for late frames, see
        :func:`emotion_estimator.replay.align.laps`; at least one frame.
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
        tuple(before), tuple(after), tolerance, tuple(pairs), tuple(missing), tuple(extra),
        tuple(onsets), tuple(added), vocabularies,
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
