"""Sequences made of stills: times, labels and scores as they are said to be."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.blendshapes import MIRROR
from emotion_estimator.errors import InputError
from emotion_estimator.training.dataset import FER_CLASSES
from emotion_estimator.training.disturbances import Disturbances
from emotion_estimator.training.feature_set import FeatureSet, save_features
from emotion_estimator.training.grouping import load_grouping
from emotion_estimator.training.sequences import SequenceMaker, SequenceSettings

CALM = Disturbances(
    white=(0.0, 0.0), tremor=(0.0, 0.0), drift=(0.0, 0.0), turn=(0.0, 0.0), blinks=0.0, speaks=0.0,
    calm=0.0, gain=0.0, missing=0.0,
)
PLAIN = SequenceSettings(steps=60, dropped=0.0, leaves=0.0, disturbances=CALM)
RNG = np.random.default_rng(0)
POOL = RNG.random((70, 52)).astype(np.float32)
EMOTION = np.arange(70) % len(FER_CLASSES)
NEUTRAL = FER_CLASSES.index('neutral')

seeds = st.integers(0, 10**6)


def made(seed: int, shape: SequenceSettings, count: int = 8):
    return SequenceMaker(POOL, EMOTION, shape)(count, seed)


def nearest(scores: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Say how far each frame is from its still, as it is or mirrored."""
    direct = np.abs(scores - POOL[row]).max(axis=-1)
    mirrored = np.abs(scores - POOL[row][..., list(MIRROR)]).max(axis=-1)
    return np.minimum(direct, mirrored)


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_shapes_ranges_and_increasing_time(seed: int) -> None:
    batch = made(seed, SequenceSettings(steps=40))
    assert batch.blendshapes.shape == (8, 40, 52)
    assert batch.dt.shape == (8, 40, 1)
    assert batch.row.shape == batch.weight.shape == (8, 40)
    assert batch.blendshapes.dtype == batch.dt.dtype == batch.weight.dtype == np.float32
    assert batch.blendshapes.min() >= 0
    assert batch.blendshapes.max() <= 1
    assert (batch.dt > 0).all()
    assert ((batch.weight > 0) & (batch.weight <= 1)).all()
    assert ((batch.row >= 0) & (batch.row < len(POOL))).all()


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_the_same_seed_gives_the_same_and_another_does_not(seed: int) -> None:
    first, again, other = (made(one, SequenceSettings()) for one in (seed, seed, seed + 1))
    for name in ('blendshapes', 'dt', 'row', 'weight'):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert (first.blendshapes != other.blendshapes).any()


@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_labels_count_less_only_around_a_change_and_change_only_there(seed: int) -> None:
    batch = made(seed, replace(PLAIN, still=0.0, rate=(30.0, 30.0)))
    for row, weight in zip(batch.row, batch.weight):
        low = np.flatnonzero(weight < 1)
        changes = np.flatnonzero(np.diff(row)) + 1
        # The label goes over in the middle of a change; the fastest takes three frames.
        for at in changes:
            assert (weight[max(at - 1, 0):at + 1] < 1).any()
        for at in low:
            near = np.abs(changes - at).min(initial=1000)
            cut_off = min(at, len(row) - 1 - at)
            assert min(near, cut_off) <= 30, 'counts less a second from any change'


@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_a_face_shows_the_still_that_its_label_is_of(seed: int) -> None:
    batch = made(seed, replace(PLAIN, still=0.0, onset=(0.01, 0.011), rate=(30.0, 30.0)))
    steady = batch.weight == 1
    assert steady.mean() > 0.9
    assert np.median(nearest(batch.blendshapes, batch.row)[steady]) < 1e-5


def test_the_face_that_is_held_does_not_change() -> None:
    batch = made(3, replace(PLAIN, still=1.0))
    assert (batch.row == batch.row[:, :1]).all()
    assert (batch.weight == 1).all()
    assert np.ptp(batch.blendshapes, axis=1).max() < 1e-5


def test_half_are_mirrored_and_whole_sequences_are() -> None:
    batch = made(4, replace(PLAIN, still=1.0), count=200)
    mirrored = np.abs(batch.blendshapes - POOL[batch.row][..., list(MIRROR)]).max(axis=-1) < 1e-5
    assert (mirrored == mirrored[:, :1]).all()
    assert 0.35 < mirrored[:, 0].mean() < 0.65


def test_expressions_come_from_neutral_and_go_back_to_the_same_face() -> None:
    batch = made(5, replace(PLAIN, steps=300, still=0.0, direct=0.0, hold=(0.3, 0.6)), count=40)
    for row in batch.row:
        kinds = row[np.insert(np.diff(row) != 0, 0, True)]
        neutral = [one for one in kinds if EMOTION[one] == NEUTRAL]
        assert len(set(neutral)) <= 1, 'another neutral face'
        for before, after in pairwise(kinds):
            assert (EMOTION[before] == NEUTRAL) != (EMOTION[after] == NEUTRAL)


@given(seed=seeds, low=st.floats(8, 20), width=st.floats(1.0, 4.0))
@settings(max_examples=20, deadline=None)
def test_intervals_fit_the_rate(seed: int, low: float, width: float) -> None:
    batch = made(seed, replace(PLAIN, rate=(low, low * width)))
    assert batch.dt.min() >= 0.9 / (low * width) - 1e-6
    assert batch.dt.max() <= 1.1 / low + 1e-6
    mean = batch.dt.mean(axis=1)
    assert np.ptp(batch.dt, axis=1).max() <= 0.21 * mean.max(), 'the rate changes within one'


def test_frames_are_dropped_and_faces_leave_once() -> None:
    steady = replace(PLAIN, rate=(30.0, 30.0), steps=100)
    dropped = made(1, replace(steady, dropped=0.5), count=100).dt
    assert 0.1 < (dropped > 1.5 / 30).mean() < 0.6
    away = made(1, replace(steady, leaves=1.0, away=(0.5, 1.0)), count=100).dt[..., 0]
    assert ((away >= 0.5).sum(axis=1) == 1).all()
    assert away.max() <= 1.0
    some = made(1, replace(steady, leaves=0.3, away=(0.5, 1.0)), count=400).dt[..., 0]
    assert 0.22 < (some >= 0.5).any(axis=1).mean() < 0.38


@pytest.mark.parametrize('emotion', [NEUTRAL, 0])
def test_a_pool_of_one_kind_is_refused(emotion: int) -> None:
    with pytest.raises(ValueError, match='neutral'):
        SequenceMaker(POOL, np.full(70, emotion), PLAIN)


def features(kinds: np.ndarray) -> FeatureSet:
    nothing = np.zeros(70, bool)
    return FeatureSet('face_mesh', POOL, kinds, np.zeros(70, np.int64), np.arange(70), nothing,
                      nothing, np.zeros((70, 48, 48), np.uint8))


def test_a_picture_is_drawn(tmp_path) -> None:
    cv2 = pytest.importorskip('cv2')
    pytest.importorskip('matplotlib')
    from emotion_estimator.training.sequences_figure import draw_sequences

    with pytest.raises(InputError, match='has no features'):
        draw_sequences(tmp_path, load_grouping(), 1)
    path = tmp_path / 'features' / 'face_mesh.npz'
    save_features(features(np.full(70, 3)), path)
    with pytest.raises(InputError, match='neutral'):
        draw_sequences(tmp_path, load_grouping(), 1)
    save_features(features(EMOTION), path)
    picture = draw_sequences(tmp_path, load_grouping(), 1)
    assert cv2.imread(str(picture)).std() > 20
