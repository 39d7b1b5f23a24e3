"""The moving average of a recognizer's probabilities over time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator_training.evaluation.stability import MovingAverage


class Copy:
    """Says what its first three inputs say."""

    name, labels = 'copy', ('a', 'b', 'c')

    def stills(self, blendshapes):
        return blendshapes[..., :3]

    def sequences(self, blendshapes, dt):
        return blendshapes[..., :3]


def step(frames, dt):
    """Return a face that goes from the first label to the second half way."""
    values = np.zeros((1, frames, 52), np.float32)
    values[:, : frames // 2, 0] = values[:, frames // 2 :, 1] = 1
    return values, np.full((1, frames), dt, np.float32)


@pytest.mark.parametrize('rate', [10, 30, 60])
def test_a_change_is_half_through_after_half_the_window_at_any_rate(rate):
    values, dt = step(4 * rate, 1 / rate)
    averaged = MovingAverage(Copy(), seconds=1.0).sequences(values, dt)
    frame = 2 * rate + rate // 2 - 1
    assert averaged[0, frame, 1] == pytest.approx(0.5, abs=1e-4)
    assert averaged[0, 2 * rate - 1, 1] == pytest.approx(0, abs=1e-4)
    assert averaged[0, 3 * rate - 1, 1] == pytest.approx(1, abs=1e-4)


def test_a_dropped_frame_leaves_its_time_to_the_next():
    values, dt = step(6, 0.1)
    kept = [0, 1, 3, 4, 5]
    sparse = dt[:, kept].copy()
    sparse[0, 2] = 0.2
    whole = MovingAverage(Copy(), 0.3).sequences(values, dt)
    less = MovingAverage(Copy(), 0.3).sequences(values[:, kept], sparse)
    # Frame 2 was as frame 1; the frame after it stands for its time now.
    assert less[0, 2, 1] == pytest.approx(whole[0, 2, 1] + 2 / 3, abs=1e-5)
    assert less[0, 4] == pytest.approx(whole[0, 5], abs=1e-5)


def test_a_face_that_was_away_begins_anew():
    values, dt = step(10, 0.1)
    dt[0, 5] = 3.0
    averaged = MovingAverage(Copy()).sequences(values, dt)
    assert averaged[0, 5] == pytest.approx([0, 1, 0], abs=1e-6)


@given(
    st.integers(1, 20),
    st.integers(0, 99),
    st.lists(st.floats(0, 2), min_size=20, max_size=20),
)
def test_averages_are_probabilities_within_what_was_said(frames, seed, spans):
    said = np.random.default_rng(seed).dirichlet(np.ones(3), (1, frames)).astype(np.float32)
    values = np.zeros((1, frames, 52), np.float32)
    values[..., :3] = said
    averaged = MovingAverage(Copy()).sequences(values, np.array([spans[:frames]], np.float32))
    assert averaged.sum(axis=-1) == pytest.approx(np.ones((1, frames)), abs=1e-4)
    assert (averaged >= said.min(axis=1, keepdims=True) - 1e-4).all()
    assert (averaged <= said.max(axis=1, keepdims=True) + 1e-4).all()
    assert averaged[0, 0] == pytest.approx(said[0, 0], abs=1e-4)


def test_stills_have_no_past():
    values = np.random.default_rng(0).uniform(size=(4, 52)).astype(np.float32)
    average = MovingAverage(Copy())
    assert np.array_equal(average.stills(values), values[:, :3])
    assert (average.name, average.labels) == ('copy-average', Copy.labels)
