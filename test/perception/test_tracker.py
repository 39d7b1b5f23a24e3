"""Identities on constructed tracks: truth is known, so every id switch would show."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.emotion import Roi
from emotion_estimator.perception.tracker import Tracker

ROIS = st.builds(
    Roi, st.integers(0, 400), st.integers(0, 400), st.integers(1, 200), st.integers(1, 200)
)
SIZE = 100


def box(x, y=500.0, size=SIZE):
    """Return a square box around a centre."""
    return Roi(round(x - size / 2), round(y - size / 2), round(size), round(size))


def trembling(rng, x, y, size, share):
    """Return a box of which place and size are off by ``share`` of the face (one sigma)."""
    return box(
        x + rng.gauss(0, share * size),
        y + rng.gauss(0, share * size),
        size * (1 + rng.gauss(0, share)),
    )


def follow(tracker, frames):
    """Return the ids each named face had, in time; ``frames`` yields stamp and name -> box."""
    had = {}
    for stamp, boxes in frames:
        for name, face_id in zip(boxes, tracker(list(boxes.values()), stamp)):
            had.setdefault(name, []).append(face_id)
    return had


def passing(fps, front_speed, back_speed, *, hidden=0.0, back_size=1.0, tremble=0.0, seed=0, y=500):
    """Yield two faces that meet after two seconds and part again.

    Speeds in faces per second; the back one is not detected while nearer than ``hidden`` faces.
    """
    rng = random.Random(seed)
    for k in range(4 * fps + 1):
        t = k / fps
        front, back = (1000 + SIZE * speed * (t - 2.0) for speed in (front_speed, back_speed))
        faces = [('front', trembling(rng, front, y, SIZE, tremble))]
        if abs(front - back) > hidden * SIZE:
            faces.append(('back', trembling(rng, back, y, SIZE * back_size, tremble)))
        rng.shuffle(faces)
        yield t, dict(faces)


def ends_keep_ids(had):
    """Return whether both faces keep their ids, and there is no third one."""
    return all(ids[0] == ids[-1] for ids in had.values()) and len(set().union(*had.values())) == 2


SPEEDS = [(1, -1), (0, 1), (0, -2), (0.5, -0.5), (0.3, -0.3), (0.2, 0.8), (1, 2), (2, -2)]


@pytest.mark.parametrize('fps', [10, 15, 30, 60])
@pytest.mark.parametrize('speeds', SPEEDS)
def test_faces_that_cross_keep_their_ids(fps, speeds):
    assert ends_keep_ids(follow(Tracker(), passing(fps, *speeds)))


@pytest.mark.parametrize('fps', [10, 15, 30, 60])
@pytest.mark.parametrize('speeds', SPEEDS)
@pytest.mark.parametrize('unseen', [0.1, 0.25, 0.45])
def test_a_face_hidden_behind_another_keeps_its_id(fps, speeds, unseen):
    relative = abs(speeds[0] - speeds[1])
    hidden = relative * (unseen - 1 / fps) / 2
    for seed in range(3):
        frames = passing(fps, *speeds, hidden=hidden, back_size=0.8, tremble=0.01, seed=seed)
        had = follow(Tracker(timeout=0.5), frames)
        assert ends_keep_ids(had)
        assert len(set(had['front'])) == 1


def test_trembling_boxes_that_coincide_part_again_with_their_ids():
    """Equal faces on one line, both detected throughout: only their movement differs."""
    kept = [
        ends_keep_ids(follow(Tracker(), passing(fps, *speeds, tremble=0.01, seed=seed)))
        for fps in (10, 30, 60)
        for speeds in SPEEDS
        for seed in range(5)
    ]
    assert sum(kept) >= 0.95 * len(kept)


@pytest.mark.parametrize('seed', range(10))
def test_a_face_in_front_never_gets_the_id_of_the_one_behind_it(seed):
    frames = passing(30, 0, 1, hidden=0.2, tremble=0.02, seed=seed)
    assert len(set(follow(Tracker(), frames)['front'])) == 1


@settings(deadline=None)
@given(
    crossings=st.lists(
        st.tuples(
            st.floats(-1.5, 1.5),
            st.floats(0.5, 2.5),
            st.floats(0.0, 0.4),
            st.floats(0.7, 0.9),
        ),
        min_size=1,
        max_size=4,
    ),
    fps=st.sampled_from([12, 24, 30, 48, 60]),
    seed=st.integers(0, 99),
)
def test_random_crossings_in_as_many_lanes(crossings, fps, seed):
    """Decidable: the faces of a pair move apart again within the timeout, and differ in size."""
    lanes = []
    for lane, (speed, relative, unseen, size) in enumerate(crossings):
        hidden = max(relative * (unseen - 1 / fps) / 2, 0.0)
        lanes.append(
            list(
                passing(
                    fps,
                    speed,
                    speed + relative,
                    hidden=hidden,
                    back_size=size,
                    tremble=0.01,
                    seed=seed + lane,
                    y=300 * lane,
                )
            )
        )
    frames = [
        (
            instant[0][0],
            {
                (lane, name): roi
                for lane, (_, boxes) in enumerate(instant)
                for name, roi in boxes.items()
            },
        )
        for instant in zip(*lanes)
    ]
    had = follow(Tracker(timeout=0.5), frames)
    assert all(ids[0] == ids[-1] for ids in had.values())
    assert len(set().union(*had.values())) == len(had) == 2 * len(crossings)


@settings(deadline=None)
@given(
    faces=st.lists(
        st.tuples(st.floats(40, 140), st.floats(0, 0.3), st.floats(0.1, 0.3), st.floats(0, 6.28)),
        min_size=1,
        max_size=16,
    ),
    fps=st.sampled_from([10, 30, 60]),
    share=st.sampled_from([0.0, 0.01, 0.02]),
    misses=st.floats(0, 0.3),
    seed=st.integers(0, 99),
)
def test_faces_that_stay_apart_have_one_id_each(faces, fps, share, misses, seed):
    """Decidable: a crowd that sways by up to a third of a face, each at times undetected."""
    rng = random.Random(seed)
    frames = []
    for k in range(2 * fps):
        t = k / fps
        boxes = {}
        for n, (size, sway, rate, phase) in enumerate(faces):
            angle = 2 * math.pi * rate * t + phase
            x = 300 * (n % 4) + sway * size * math.sin(angle)
            y = 300 * (n // 4) + sway * size * math.cos(angle)
            if k == 0 or rng.random() >= misses:
                boxes[n] = trembling(rng, x, y, size, share)
        frames.append((t, boxes))
    had = follow(Tracker(timeout=2.0), frames)
    assert [len(set(ids)) for ids in had.values()] == [1] * len(faces)
    assert len(set().union(*had.values())) == len(faces)


@given(
    frames=st.lists(st.lists(ROIS, max_size=5, unique=True), max_size=12), seed=st.integers(0, 99)
)
def test_the_order_of_the_boxes_decides_nothing(frames, seed):
    rng, straight, shuffled = random.Random(seed), Tracker(), Tracker()
    for k, rois in enumerate(frames):
        mixed = rng.sample(rois, len(rois))
        here = dict(zip(rois, straight(rois, k / 15)))
        assert dict(zip(mixed, shuffled(mixed, k / 15))) == here


@given(frames=st.lists(st.lists(ROIS, max_size=4), max_size=12))
def test_each_face_of_a_frame_has_an_id_of_its_own(frames):
    tracker = Tracker()
    for k, rois in enumerate(frames):
        ids = tracker(rois, k * 0.1)
        assert len(ids) == len(rois)
        assert len(set(ids)) == len(ids)
        assert set(ids) <= tracker.face_ids


@given(frames=st.lists(st.lists(ROIS, max_size=3), max_size=20), seed=st.integers(0, 99))
def test_an_id_that_is_gone_never_comes_again(frames, seed):
    rng, tracker, gone, stamp = random.Random(seed), Tracker(timeout=0.2), set(), 0.0
    for rois in frames:
        before = tracker.face_ids
        if rng.random() < 0.1:
            tracker.reset()
        ids = tracker(rois, stamp)
        gone |= before - tracker.face_ids
        assert not gone & set(ids)
        stamp += rng.random() * 0.3


def test_when_the_camera_turns_nobody_gets_the_neighbours_id():
    """Best pair first would swap them: the old place of one is nearer to the other's new one."""
    tracker = Tracker()
    for k in range(5):
        assert tracker([box(300), box(390)], k / 10) == ('face_1', 'face_2')
    assert tracker([box(348), box(438)], 0.5) == ('face_1', 'face_2')


@pytest.mark.parametrize('fps', [10, 30, 60])
@pytest.mark.parametrize('speed', [0.5, 1.0, 2.0, -3.0])
def test_a_face_that_returns_where_it_was_going_keeps_its_id(fps, speed):
    tracker = Tracker(timeout=0.5)
    for k in range(fps + 1):
        assert tracker([box(1000 + SIZE * speed * k / fps)], k / fps) == ('face_1',)
    tracker([], 1.2)
    assert tracker([box(1000 + SIZE * speed * 1.48)], 1.48) == ('face_1',)


@given(x=st.floats(-2000, 2000), y=st.floats(-2000, 2000), unseen=st.floats(0.01, 3.0))
def test_a_new_face_far_away_inherits_no_id(x, y, unseen):
    tracker = Tracker(timeout=5.0)
    for k in range(30):
        tracker([box(0, 0)], k / 30)
    (found,) = tracker([box(x, y)], 29 / 30 + unseen)
    if max(abs(x), abs(y)) > 1.02 * SIZE:
        assert found == 'face_2'
    elif abs(x) + abs(y) < 0.45 * SIZE:
        assert found == 'face_1'


def test_a_face_four_times_as_large_is_another_one():
    tracker = Tracker()
    assert tracker([box(500, size=50)], 0.0) == ('face_1',)
    assert tracker([box(500, size=200)], 1 / 30) == ('face_2',)


def test_a_velocity_carries_an_unseen_face_no_farther_than_a_second_would():
    def left_at(x):
        tracker = Tracker(timeout=10.0)
        for k in range(31):
            tracker([box(SIZE * 4 * k / 30)], k / 30)
        return tracker([box(x)], 10.5)

    end = SIZE * 4 * 1.0
    assert left_at(end + SIZE * 4) == ('face_1',)
    assert left_at(end + SIZE * 5.1) == ('face_2',)
    assert left_at(end + SIZE * 38) == ('face_2',)


def test_two_frames_almost_at_once_make_no_speed():
    for step in (0.0, 1e-9, 1e-4):
        tracker = Tracker()
        tracker([box(500)], 0.0)
        tracker([box(503)], step)
        tracker([box(500)], 2 * step)
        tracker([box(503)], 3 * step)
        assert tracker([box(500)], 0.3) == ('face_1',)


@pytest.mark.parametrize('step', [1.0, 10.0, 1e4])
def test_a_face_seen_in_every_frame_is_not_lost_by_slow_frames(step):
    tracker = Tracker(timeout=0.5)
    assert {tracker([box(500 + 3 * (k % 2))], k * step) for k in range(5)} == {('face_1',)}
    tracker([], 4 * step + 0.6)
    assert tracker.face_ids == frozenset()


def test_a_short_gap_keeps_the_id_and_a_long_one_does_not():
    tracker = Tracker(timeout=0.5)
    face = [Roi(10, 10, 50, 50)]
    assert tracker(face, 0.0) == ('face_1',)
    assert tracker([], 0.3) == ()
    assert tracker(face, 0.5) == ('face_1',)
    assert tracker([], 0.8) == ()
    assert tracker.face_ids == {'face_1'}
    assert tracker(face, 1.1) == ('face_2',)


def test_without_a_timeout_one_miss_is_the_end():
    tracker = Tracker(timeout=0.0)
    face = [Roi(10, 10, 50, 50)]
    assert {tracker(face, k / 30) for k in range(5)} == {('face_1',)}
    tracker([], 5 / 30)
    assert tracker(face, 6 / 30) == ('face_2',)


def test_the_timeout_may_change_between_frames():
    tracker = Tracker(timeout=0.5)
    tracker([box(500)], 0.0)
    tracker([], 0.4)
    tracker.timeout = 2.0
    tracker([], 1.0)
    assert tracker([box(500)], 1.5) == ('face_1',)
    tracker([], 1.6)
    tracker.timeout = 0.1
    assert tracker([box(500)], 1.7) == ('face_2',)


def test_ids_are_not_given_again_after_a_reset():
    tracker = Tracker()
    tracker([Roi(0, 0, 50, 50)], 0.0)
    tracker.reset()
    assert tracker.face_ids == frozenset()
    assert tracker([Roi(0, 0, 50, 50)], 0.1) == ('face_2',)


def test_faces_that_come_and_go_in_every_frame_do_not_fill_the_memory():
    rng, tracker = random.Random(0), Tracker(timeout=10.0)
    for k in range(1000):
        ids = tracker([box(rng.uniform(0, 3e4), rng.uniform(0, 3e4)) for _ in range(4)], k / 30)
        assert set(ids) <= tracker.face_ids
        assert len(tracker.face_ids) <= 64


def test_a_face_that_darts_off_between_two_frames_keeps_its_id():
    # The portrait leaving its picture at 15 frames a second: 36 pixels, then 105.
    tracker = Tracker()
    places = [Roi(155, 116, 169, 196), Roi(119, 114, 176, 197), Roi(14, 116, 168, 194)]
    assert [tracker([roi], k / 15)[0] for k, roi in enumerate(places)] == ['face_1'] * 3
    tracker.reset()
    places = [Roi(29, 112, 169, 196), Roi(131, 111, 171, 198), Roi(164, 109, 177, 201)]
    assert [tracker([roi], 21 + k / 15)[0] for k, roi in enumerate(places)] == ['face_2'] * 3
