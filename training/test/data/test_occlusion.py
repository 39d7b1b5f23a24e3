"""Covered faces: what is covered, and what the covering costs."""

from __future__ import annotations

import numpy as np
import pytest

from emotion_estimator_training.data.hard_stills import COVERS, covered, falls, lost, markdown

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


def test_falls_are_of_the_same_faces() -> None:
    one = {
        'n': 4,
        'accuracy': 0.6,
        'macro_f1': 0.5,
        'lost': np.array([1, 0, 0, 0]),
        'uncovered': {'accuracy': 0.75, 'macro_f1': 0.48},
    }
    other = {**one, 'lost': np.array([1, 1, 0, 0])}
    fused, crop = falls({'mouth': {'fused': one, 'appearance': other}})
    assert (fused['fall'], fused['macro_f1_fall']) == (0.15, -0.02)
    assert '| mouth | fused | 4 | 0.600 | 0.750 | 0.150 |  | 0.500 | 0.480 | -0.020 |' in markdown(
        [fused]
    )
    # One face of four more: 1.96 standard errors of (0, 1, 0, 0).
    assert (crop['more_than_fused'], crop['margin']) == (0.25, 0.4244)
    assert '| 0.150 | +0.250 ± 0.424 | 0.500 |' in markdown([crop])


def test_a_face_that_a_cover_helps_counts_against_one_that_it_costs() -> None:
    before, after = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert lost(before, after).tolist() == [0, 1, -1, 0]
