"""Harder stills: each cover or change does what it says, and little else."""

from __future__ import annotations

import numpy as np
import pytest

from emotion_estimator_training.data.hard_stills import (
    CONDITIONS,
    COVERS,
    blurred,
    covered,
    lit,
    rolled,
    smaller,
    yaw_bins,
)

#: Mesh points on the lips, and the outer eye corners with the irises.
LIPS, EYES = (13, 14, 61, 291), (33, 263, 468, 473)


@pytest.fixture
def landmarks() -> np.ndarray:
    """Return a face that fills most of a still, seen straight on, roughly."""
    points = np.full((478, 2), 24.0, np.float32)
    for point, place in {
        # The mask's outline and the lips inside it.
        93: (5, 22),
        323: (43, 22),
        58: (8, 34),
        288: (40, 34),
        152: (24, 45),
        5: (24, 24),
        172: (11, 38),
        397: (37, 38),
        136: (14, 41),
        365: (34, 41),
        13: (24, 35),
        14: (24, 37),
        61: (17, 36),
        291: (31, 36),
        # The brows, the glasses' lower edge, and the eyes between them.
        70: (6, 10),
        300: (42, 10),
        105: (13, 8),
        334: (35, 8),
        9: (24, 10),
        6: (24, 15),
        127: (4, 17),
        356: (44, 17),
        101: (15, 21),
        330: (33, 21),
        111: (9, 19),
        340: (39, 19),
        33: (9, 14),
        263: (39, 14),
        468: (14, 14),
        473: (34, 14),
    }.items():
        points[point] = place
    return points


@pytest.mark.parametrize(
    ('part', 'hidden', 'seen'),
    [
        ('mouth', LIPS, EYES),
        ('eyes', EYES, LIPS),
    ],
)
def test_a_cover_hides_its_part_and_leaves_the_other(landmarks, part, hidden, seen) -> None:
    still = np.random.default_rng(3).integers(60, 160, (48, 48)).astype(np.uint8)
    made = covered(still, landmarks, part)
    for point in hidden:
        x, y = landmarks[point].astype(int)
        assert made[y, x] == COVERS[part][1]
    for point in seen:
        x, y = landmarks[point].astype(int)
        assert made[y, x] == still[y, x]


def test_a_cover_leaves_the_still_itself_alone(landmarks) -> None:
    still = np.full((48, 48), 90, np.uint8)
    assert (covered(still, landmarks, 'mouth') != still).any()
    assert (still == 90).all()


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
