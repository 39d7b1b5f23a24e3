from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.emotion import LABELS, FaceEmotion, Roi, overlap, primary

ROIS = st.builds(
    Roi, st.integers(0, 400), st.integers(0, 400), st.integers(1, 200), st.integers(1, 200)
)


@given(a=ROIS, b=ROIS)
def test_overlap_is_symmetric_and_one_only_for_equal_boxes(a, b):
    assert overlap(a, b) == overlap(b, a)
    assert 0.0 <= overlap(a, b) <= 1.0
    assert (overlap(a, b) == 1.0) == (a == b)


def test_overlap_of_known_boxes():
    assert overlap(Roi(0, 0, 10, 10), Roi(5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert overlap(Roi(0, 0, 10, 10), Roi(10, 0, 10, 10)) == 0.0


def test_the_primary_face_is_the_first_of_what_the_estimator_returns():
    small, large = (
        FaceEmotion('f', 'sad', 0.5, LABELS, np.ones(3, np.float32) / 3, Roi(0, 0, side, side))
        for side in (9, 90)
    )
    assert primary((small, large)) is small
    assert primary(iter((large, small))) is large
    assert primary(()) is None
