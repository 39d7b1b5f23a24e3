"""Smoothed probabilities: steady with the expression, and quick when it changes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator_training.models.streaming_network import Settling, settle

HOW = Settling()


def course(probabilities: np.ndarray, rate: float = 30.0, how: Settling = HOW) -> np.ndarray:
    dt = np.full(probabilities.shape[:2], 1 / rate, np.float32)
    return settle(probabilities.astype(np.float32), dt, how)


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_smoothed_values_are_probabilities(seed: int) -> None:
    rng = np.random.default_rng(seed)
    smoothed = settle(
        rng.dirichlet([0.4] * 3, (4, 50)).astype(np.float32),
        rng.uniform(0.005, 2, (4, 50)).astype(np.float32),
        HOW,
    )
    np.testing.assert_allclose(smoothed.sum(axis=-1), 1, atol=1e-4)
    assert smoothed.min() >= 0


def test_the_first_frame_is_unchanged() -> None:
    first = np.array([[[0.2, 0.5, 0.3]]])
    np.testing.assert_allclose(course(first), first, atol=1e-6)


def test_wavering_at_the_line_does_not_change_the_label_on_and_on() -> None:
    rng = np.random.default_rng(0)
    wave = 0.51 + 0.03 * rng.standard_normal((20, 300))
    raw = np.stack([wave, 1 - wave, 0 * wave], axis=-1)
    # After a second.
    flips = [
        (np.diff(one[:, 30:].argmax(axis=-1), axis=1) != 0).sum() for one in (raw, course(raw))
    ]
    assert flips[1] < flips[0] / 10


def test_a_new_expression_is_followed_at_once() -> None:
    raw = np.repeat(np.array([[[0.9, 0.1, 0.0]] * 100 + [[0.1, 0.9, 0.0]] * 10]), 1, axis=0)
    assert course(raw)[0, 100].argmax() == 1


def test_slow_cameras_hold_for_as_long() -> None:
    step = np.array([0.55, 0.45, 0.0]), np.array([0.45, 0.55, 0.0])
    times = []
    for rate in (10, 60):
        raw = np.repeat(np.stack(step), [3 * rate, 6 * rate], axis=0)[None]
        # Of its own, so that what ships may hold for longer.
        smoothed = course(raw, rate, Settling(0.25, 0.03, 0.3, 3.0))[0].argmax(axis=-1)
        times.append((smoothed[3 * rate :] == 1).argmax() / rate)
    assert times[0] > 0.2
    assert abs(times[0] - times[1]) < 0.15
