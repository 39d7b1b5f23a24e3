from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.errors import InputError
from emotion_estimator_training.zoo.data.clips import Clip
from emotion_estimator_training.zoo.data.face_tracks import FaceTrack
from emotion_estimator_training.zoo.data.windows import cut_windows

CLASSES = ('happy', 'neutral')


def track(frames: int, label: str = 'happy', side: int = 4) -> FaceTrack:
    """Return a track whose crops and scores say which frame they are of."""
    number = np.arange(frames)
    return FaceTrack(
        Clip('one', Path('one.mp4'), label, 's'),
        number / 10,
        np.broadcast_to(number[:, None, None, None], (frames, side, side, 3)).astype(np.uint8),
        np.zeros((frames, 478, 3), np.float32),
        np.broadcast_to(number[:, None], (frames, 52)).astype(np.float32),
        np.ones(frames, bool),
    )


@given(
    st.integers(1, 60), st.integers(1, 20), st.floats(0, 0.99), st.sampled_from(['drop', 'repeat'])
)
@settings(deadline=None, max_examples=80)
def test_windows_are_runs_of_frames_that_begin_in_even_steps(frames, length, overlap, short):
    if frames < length and short == 'drop':
        with pytest.raises(InputError, match='none of 1 clips has a complete window'):
            cut_windows([track(frames)], CLASSES, length, overlap, short=short)
        return
    made, problems = cut_windows([track(frames)], CLASSES, length, overlap, short=short)
    assert problems == ()
    assert made.frames.shape == (len(made), length)
    assert made.frames.max() < frames
    step = max(round(length * (1 - overlap)), 1)
    starts = made.frames[:, 0]
    assert (np.diff(starts) == step).all()
    assert starts[0] == 0
    # No other complete window would fit.
    assert starts[-1] + step + length > max(frames, length)
    if frames >= length:
        assert (np.diff(made.frames, axis=1) == 1).all()


def test_each_class_has_its_own_overlap():
    tracks = [track(64, 'happy'), track(64, 'neutral')]
    made, _ = cut_windows(tracks, CLASSES, 16, {'happy': 0.5})
    assert np.bincount(made.labels).tolist() == [7, 4]


def test_a_step_of_one_is_a_window_for_each_frame():
    made, _ = cut_windows([track(20)], CLASSES, 16, 0.5, step=1)
    assert made.frames[:, -1].tolist() == [15, 16, 17, 18, 19]


def test_short_tracks_are_named_or_repeat_their_last_frame():
    tracks = [track(9), track(20, 'neutral')]
    made, (problem,) = cut_windows(tracks, CLASSES, 12)
    assert problem.kind == 'window'
    assert problem.what == 'one has 9 of 12 frames'
    assert made.labels.tolist() == [1]
    made, problems = cut_windows(tracks, CLASSES, 12, short='repeat')
    assert problems == ()
    assert made.frames[0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8]


def test_windows_that_mostly_show_no_face_are_left_out():
    one = track(40)
    one.found[10:17] = False
    made, problems = cut_windows([one], CLASSES, 10)
    assert made.frames[:, 0].tolist() == [0, 20, 30]
    assert problems == ()
    one.found[:] = np.arange(40) % 3 == 0
    _, (problem,) = cut_windows([one, track(10)], CLASSES, 10)
    assert problem.what == 'one shows the face too rarely in each 10 frames'


def test_arrays_are_those_of_the_frames():
    made, _ = cut_windows([track(30), track(40, 'neutral')], CLASSES, 10)
    assert made.crops.shape == (7, 10, 4, 4, 3)
    assert made.landmarks.shape == (7, 10, 478, 3)
    assert (made.crops[..., 0, 0, 0] == made.frames).all()
    assert (made.blendshapes[..., 0] == made.frames).all()
    assert np.allclose(made.times, made.frames / 10)
    assert made.found.all()
    some = made.take(made.labels == 1)
    assert len(some) == 4
    assert (some.labels == 1).all()
    assert some.length == 10


@pytest.mark.parametrize(
    'wrong',
    [
        {'length': 0},
        {'length': 4, 'step': 0},
        {'length': 4, 'overlap': 1.0},
        {'length': 4, 'overlap': {'happy': -0.1}},
        {'length': 4, 'short': 'stretch'},
    ],
)
def test_windows_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match='out of range'):
        cut_windows([track(20)], CLASSES, **wrong)
