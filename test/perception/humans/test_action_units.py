"""Action units from blendshapes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES, MIRROR
from emotion_estimator.perception.humans.action_units import ACTION_UNITS, action_units


def shown(**scores: float) -> np.ndarray:
    blendshapes = np.zeros(52, np.float32)
    for name, score in scores.items():
        blendshapes[BLENDSHAPE_NAMES.index(name)] = score
    return action_units(blendshapes)[0]


@pytest.mark.parametrize(
    ('scores', 'units'),
    [
        ({'browInnerUp': 0.5}, {1: 0.5}),
        ({'mouthSmileLeft': 0.5, 'mouthSmileRight': 0.25}, {12: 0.5}),
        ({'jawOpen': 0.75}, {26: 0.75}),
        ({'eyeBlinkLeft': 1.0, 'eyeBlinkRight': 0.75}, {43: 0.75, 46: 0.25}),
        ({'eyeLookOutLeft': 0.5}, {61: 0.5}),
        ({'eyeLookOutRight': 0.5}, {62: 0.5}),
        ({'_neutral': 1.0}, {}),
        ({'mouthPressLeft': 1.5}, {24: 1.0}),
    ],
)
def test_a_blendshape_moves_its_unit_alone(scores, units):
    intensity = shown(**scores)
    assert {int(i): float(intensity[i]) for i in np.flatnonzero(intensity)} == units


def test_units_without_a_blendshape_have_no_confidence():
    _, confidence = action_units(np.zeros(52, np.float32))
    assert set(np.flatnonzero(confidence).tolist()) == {*ACTION_UNITS, 43, 46}


@pytest.mark.parametrize('bad', [np.zeros(0), np.zeros(51), np.full(52, np.nan)])
def test_a_face_without_blendshapes_has_no_units(bad):
    intensity, confidence = action_units(bad.astype(np.float32))
    assert intensity.shape == confidence.shape == (99,)
    assert not intensity.any() and not confidence.any()


@given(arrays(np.float32, 52, elements=st.floats(0, 1, width=32)))
def test_a_mirrored_face_moves_the_same_units_but_looks_the_other_way(blendshapes):
    intensity, _ = action_units(blendshapes)
    mirrored, _ = action_units(blendshapes[list(MIRROR)])
    swapped = intensity.copy()
    swapped[[61, 62]] = intensity[[62, 61]]
    np.testing.assert_array_equal(mirrored, swapped)
    assert ((intensity >= 0) & (intensity <= 1)).all()
