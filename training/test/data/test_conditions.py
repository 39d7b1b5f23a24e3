"""Hardships of stills: each changes what it says, and nothing else much."""

from __future__ import annotations

import numpy as np
import pytest

from emotion_estimator_training.data.hard_stills import (
    CONDITIONS,
    blurred,
    lit,
    rolled,
    smaller,
    yaw_bins,
)

STRIPES = (np.indices((48, 48))[1] % 4 // 2 * 100 + 50).astype(np.uint8)


@pytest.mark.parametrize('change', [one for by in CONDITIONS.values() for one in by.values()])
def test_stills_stay_stills(change) -> None:
    made = change(STRIPES)
    assert (made.shape, made.dtype) == ((48, 48), np.uint8)
    assert not np.array_equal(made, STRIPES)
    assert STRIPES.max() == 150, 'the original is left alone'


def test_smaller_and_blurred_lose_detail_and_keep_light() -> None:
    for weak, strong in ((smaller(32), smaller(16)), (blurred(0.5), blurred(2.0))):
        assert strong(STRIPES).std() < weak(STRIPES).std() < STRIPES.std()
        assert abs(strong(STRIPES).mean() - STRIPES.mean()) < 3


def test_light_is_multiplied_and_clipped() -> None:
    assert set(np.unique(lit(0.5)(STRIPES))) == {25, 75}
    assert set(np.unique(lit(2.0)(STRIPES))) == {100, 255}


def test_a_roll_turns_about_the_middle() -> None:
    still = np.zeros((48, 48), np.uint8)
    still[22:26, 40:46] = 200
    turned = rolled(90.0)(still)
    assert turned[2:8, 22:26].mean() > 190, 'counter-clockwise'
    assert turned[22:26, 40:46].max() == 0


def test_faces_are_told_apart_by_how_far_they_turn() -> None:
    straight = np.zeros((478, 3), np.float32)
    straight[33], straight[263], straight[10], straight[152] = (
        (-40, 0, 0),
        (40, 0, 0),
        (0, -60, 0),
        (0, 60, 0),
    )
    angles = np.deg2rad([0, 15, 25, 40])
    faces = np.stack(
        [
            straight @ np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
            for a in angles
        ]
    ).astype(np.float32)
    bins = yaw_bins(faces)
    assert [int(np.flatnonzero(inside)[0]) for inside in bins.values()] == [0, 1, 2, 3]
    assert np.sum(list(bins.values()), axis=0).tolist() == [1, 1, 1, 1]
