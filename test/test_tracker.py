from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.emotion import Roi
from emotion_estimator.perception.tracker import Tracker, overlap

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


def test_a_moving_face_keeps_its_id():
    tracker = Tracker()
    ids = {tracker([Roi(4 * k, 100, 80, 80)], k / 30) for k in range(60)}
    assert ids == {('face_1',)}


def test_two_faces_keep_theirs_whatever_the_order_of_detection():
    tracker = Tracker()
    left, right = Roi(0, 0, 90, 90), Roi(300, 0, 90, 90)
    assert tracker([left, right], 0.0) == ('face_1', 'face_2')
    assert tracker([right, left], 0.1) == ('face_2', 'face_1')


def test_a_short_gap_keeps_the_id_and_a_long_one_does_not():
    tracker = Tracker(timeout=0.5)
    face = [Roi(10, 10, 50, 50)]
    assert tracker(face, 0.0) == ('face_1',)
    assert tracker([], 0.3) == ()
    assert tracker(face, 0.5) == ('face_1',)
    assert tracker([], 0.8) == ()
    assert tracker.face_ids == {'face_1'}
    assert tracker(face, 1.1) == ('face_2',)


def test_a_face_elsewhere_is_another_one():
    tracker = Tracker()
    assert tracker([Roi(0, 0, 50, 50)], 0.0) == ('face_1',)
    assert tracker([Roi(300, 300, 50, 50)], 0.1) == ('face_2',)


def test_ids_are_not_given_again_after_a_reset():
    tracker = Tracker()
    tracker([Roi(0, 0, 50, 50)], 0.0)
    tracker.reset()
    assert tracker.face_ids == frozenset()
    assert tracker([Roi(0, 0, 50, 50)], 0.1) == ('face_2',)


@given(frames=st.lists(st.lists(ROIS, max_size=4), max_size=12))
def test_each_face_of_a_frame_has_an_id_of_its_own(frames):
    tracker = Tracker()
    for k, rois in enumerate(frames):
        ids = tracker(rois, k * 0.1)
        assert len(ids) == len(rois)
        assert len(set(ids)) == len(ids)
        assert set(ids) <= tracker.face_ids
