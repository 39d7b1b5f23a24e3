"""What moves a face beside its expression: where it may, how far, and the same for a seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES, MIRROR
from emotion_estimator_training.sequences.disturbances import Disturbances, disturb

CALM = Disturbances(
    white=(0.0, 0.0),
    tremor=(0.0, 0.0),
    drift=(0.0, 0.0),
    turn=(0.0, 0.0),
    blinks=0.0,
    speaks=0.0,
    calm=0.0,
    gain=0.0,
    missing=0.0,
)
LIDS = {
    i
    for i, name in enumerate(BLENDSHAPE_NAMES)
    if name.startswith(('eyeBlink', 'eyeLookDown', 'eyeSquint'))
}
#: Of the jaw and the lips, as far as speech moves them.
MOUTH = {i for i, name in enumerate(BLENDSHAPE_NAMES) if name.startswith(('jaw', 'mouth'))}
#: Of what makes or unmakes a smile or a sad face, speech must not touch anything.
EXPRESSIVE = {
    i
    for i, name in enumerate(BLENDSHAPE_NAMES)
    if name.startswith(('mouthSmile', 'mouthFrown', 'mouthDimple'))
}
SIDES = np.array([name.endswith(('Left', 'Right')) for name in BLENDSHAPE_NAMES])


def still_faces(seed: int, count: int = 6, frames: int = 90) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    faces = rng.beta(0.5, 2, (count, 1, 52)).astype(np.float32)
    return np.repeat(faces, frames, axis=1), np.cumsum(np.full((count, frames), 1 / 30), axis=1)


def disturbed(scores: np.ndarray, times: np.ndarray, settings: Disturbances, seed: int = 1):
    return disturb(scores.copy(), times, settings, np.random.default_rng(seed))[0]


def changed_columns(after: np.ndarray, before: np.ndarray) -> set[int]:
    return set(np.flatnonzero((np.abs(after - before) > 1e-6).any(axis=(0, 1))).tolist())


@given(seed=st.integers(0, 10**6), strength=st.floats(0.1, 20))
@settings(max_examples=25, deadline=None)
def test_scores_stay_scores_however_strong_it_is(seed: int, strength: float) -> None:
    scores, times = still_faces(seed)
    usual = Disturbances(speaks=1.0, blinks=2.0, calm=0.0, gain=0.5)
    wild = replace(
        usual,
        **{
            name: (0.0, getattr(usual, name)[1] * strength)
            for name in ('white', 'tremor', 'drift', 'turn')
        },
    )
    found = disturbed(scores, times, wild, seed)
    assert found.shape == scores.shape
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1


@given(seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_the_same_seed_gives_the_same(seed: int) -> None:
    scores, times = still_faces(seed)
    first = disturbed(scores, times, Disturbances(), seed)
    np.testing.assert_array_equal(first, disturbed(scores, times, Disturbances(), seed))
    assert (first != disturbed(scores, times, Disturbances(), seed + 1)).any()


def test_nothing_disturbs_where_nothing_is_asked_for() -> None:
    scores, times = still_faces(0)
    np.testing.assert_allclose(disturbed(scores, times, CALM), scores, atol=1e-6)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_a_blink_raises_lids_only(seed: int) -> None:
    scores, times = still_faces(seed)
    found = disturbed(scores, times, replace(CALM, blinks=3.0), seed)
    assert (found >= scores - 1e-6).all()
    assert changed_columns(found, scores) <= LIDS
    assert changed_columns(found, scores), 'nobody blinked in eighteen seconds at three a second'


def test_blinks_come_as_often_as_asked_and_last_as_long() -> None:
    scores = np.zeros((40, 1800, 52), np.float32)
    times = np.cumsum(np.full((40, 1800), 1 / 60), axis=1)
    lid = disturbed(scores, times, replace(CALM, blinks=0.2))[..., sorted(LIDS)[0]]
    closing = lid > 0
    begins = (np.diff(closing.astype(int), axis=1) == 1).sum()
    # 1,200 s: 240 blinks, of which a few overlap.
    assert 190 < begins < 260
    assert 0.1 < closing.sum() / 60 / begins < 0.4


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_speech_moves_jaw_and_lips_only_and_no_smile(seed: int) -> None:
    scores, times = still_faces(seed)
    found = disturbed(scores, times, replace(CALM, speaks=1.0), seed)
    changed = changed_columns(found, scores)
    assert changed <= MOUTH - EXPRESSIVE
    assert BLENDSHAPE_NAMES.index('jawOpen') in changed
    assert (found >= scores - 1e-6).all()


def test_so_many_speak_as_asked() -> None:
    scores, times = still_faces(2, count=400, frames=60)
    found = disturbed(scores, times, replace(CALM, speaks=0.25))
    speaking = (np.abs(found - scores) > 1e-6).any(axis=(1, 2)).mean()
    assert 0.17 < speaking < 0.33


def test_a_turned_head_moves_both_sides_opposite_and_the_gaze_most() -> None:
    times = still_faces(0, count=30)[1]
    scores = np.full((30, 90, 52), 0.5, np.float32)
    moved = disturbed(scores, times, replace(CALM, turn=(0.1, 0.1))) - scores
    middle = ~SIDES
    np.testing.assert_allclose(moved[..., middle], 0, atol=1e-6)
    mirrored = moved[..., list(MIRROR)]
    np.testing.assert_allclose(moved[..., SIDES], -mirrored[..., SIDES], atol=1e-5)
    gaze = [i for i, n in enumerate(BLENDSHAPE_NAMES) if n.startswith(('eyeLookIn', 'eyeLookOut'))]
    other = [BLENDSHAPE_NAMES.index('mouthSmileLeft')]
    assert np.abs(moved[..., gaze]).mean() > 3 * np.abs(moved[..., other]).mean()


@pytest.mark.parametrize('name', ['white', 'tremor', 'drift'])
def test_movement_is_as_strong_as_asked_and_shared_by_both_sides(name: str) -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(np.full((300, 40), 1 / 30), axis=1)
    scores = np.full((300, 40, 52), 0.5, np.float32)
    found, _ = disturb(scores, times, replace(CALM, **{name: (0.1, 0.1)}), rng)
    logits = np.log(found / (1 - found))
    assert logits.std() == pytest.approx(0.1, rel=0.05)
    left = BLENDSHAPE_NAMES.index('mouthSmileLeft')
    together = np.corrcoef(logits[..., left].ravel(), logits[..., MIRROR[left]].ravel())[0, 1]
    assert together == pytest.approx(0.5, abs=0.1)


def test_what_is_missing_stays_at_nought() -> None:
    scores = np.full((200, 5, 52), 0.5, np.float32)
    times = np.cumsum(np.full((200, 5), 1 / 30), axis=1)
    found = disturbed(scores, times, replace(CALM, missing=0.1))
    gone = found == 0
    assert gone.mean() == pytest.approx(0.1, abs=0.02)
    assert (gone.all(axis=1) == gone.any(axis=1)).all(), 'missing in some frames only'


def test_a_gain_is_one_factor_for_a_sequence() -> None:
    scores, times = still_faces(1, count=100, frames=5)
    scores = scores * 0.2 + 0.01
    found = disturbed(scores, times, replace(CALM, gain=0.2))
    factor = found / scores
    np.testing.assert_allclose(factor, np.repeat(factor[:, :1], 5, axis=1), rtol=1e-4)
    assert np.log(factor[:, 0]).std() == pytest.approx(0.2, rel=0.1)


def test_calm_faces_are_as_the_stills_are() -> None:
    scores, times = still_faces(3, count=400, frames=10)
    found, calm = disturb(scores.copy(), times, Disturbances(calm=0.3), np.random.default_rng(1))
    untouched = (found == scores).all(axis=(1, 2))
    assert 0.22 < untouched.mean() < 0.38
    np.testing.assert_array_equal(calm, untouched)
