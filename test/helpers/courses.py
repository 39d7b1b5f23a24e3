"""Courses of results for tests: made of labels, without images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from hypothesis import strategies as st

from emotion_estimator.emotion import LABELS, NONE, FaceEmotion, Roi
from emotion_estimator.frame import FrameResult


def face(label: str, confidence: float = 0.8, labels: Sequence[str] = LABELS) -> FaceEmotion:
    rest = (1 - confidence) / (len(labels) - 1)
    values = np.array([confidence if name == label else rest for name in labels], np.float32)
    return FaceEmotion('face_1', label, confidence, tuple(labels), values, Roi(10, 20, 30, 40))


def frame(stamp: float, label: str, confidence: float = 0.8, others: Sequence[str] = ()):
    if label == NONE:
        return FrameResult(stamp, ())
    return FrameResult(stamp, tuple(face(name, confidence) for name in (label, *others)))


def course(
    labels: Iterable[str], begin: float = 0.0, step: float = 0.1, confidence: float = 0.8
) -> list[FrameResult]:
    """Return a frame for each label, ``step`` seconds apart."""
    return [frame(begin + step * i, label, confidence) for i, label in enumerate(labels)]


@st.composite
def any_courses(draw):
    """Return any course: uneven steps, equal stamps, several laps, several faces."""
    made = []
    for begin in draw(st.lists(st.floats(-1e9, 2e9), min_size=1, max_size=3)):
        stamp = begin
        for label in draw(st.lists(st.sampled_from((*LABELS, NONE)), min_size=1, max_size=8)):
            others = draw(st.lists(st.sampled_from(LABELS), max_size=2))
            made.append(frame(stamp, label, draw(st.floats(0, 1)), others))
            stamp += draw(st.floats(0, 2))
    return made
