"""A face's own look at rest: found in its first seconds, taken out, smiles left in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.perception.neutral_baseline import USUAL, NeutralFace

BROW = BLENDSHAPE_NAMES.index('browDownLeft')
SMILE = BLENDSHAPE_NAMES.index('mouthSmileLeft')
REST = [('neutral', 0.5), ('sad', 0.3), ('happy', 0.2)]
GLAD = [('happy', 0.7), ('neutral', 0.3)]
FACES = hnp.arrays(np.float32, 52, elements=st.floats(0, 1, width=32))


def scowling(smile=0.0):
    """Return a face at rest whose brows hang low, or the same face with a smile."""
    face = USUAL.copy()
    face[BROW] += 0.2
    face[SMILE] = max(smile, face[SMILE])
    return face


def seen(face, looks, expressions=REST, *, rate=30, seconds=1.0, facing=True):
    for look in looks:
        face.observe(look, 1 / rate, expressions, seconds=seconds, facing=facing)
    return face


def known(face):
    return face.correct(scowling())[BROW] < scowling()[BROW]


def test_the_usual_face_is_one_of_blendshapes():
    assert USUAL.shape == (len(BLENDSHAPE_NAMES),)
    assert USUAL.dtype == np.float32
    assert USUAL.min() >= 0 and USUAL.max() < 0.5


def test_before_its_time_nothing_is_changed():
    face = seen(NeutralFace(), [scowling()] * 28)
    assert not known(face)
    np.testing.assert_array_equal(face.correct(scowling()), scowling())


@pytest.mark.parametrize('rate', [10, 30, 60])
def test_after_its_time_its_own_look_is_the_usual_one_at_any_rate(rate):
    face = seen(NeutralFace(), [scowling()] * (rate + 1), rate=rate)
    assert known(face)
    np.testing.assert_allclose(face.correct(scowling()), USUAL, atol=1e-5)


def test_an_expression_stays():
    face = seen(NeutralFace(), [scowling()] * 40)
    corrected = face.correct(scowling(smile=0.8))
    assert corrected[SMILE] == pytest.approx(0.8, abs=1e-5)
    assert corrected[BROW] == pytest.approx(USUAL[BROW], abs=1e-5)


def test_clear_expressions_do_not_count():
    face = seen(NeutralFace(), [scowling(smile=0.8)] * 40, GLAD)
    assert not known(face)
    face = seen(face, [scowling()] * 40)
    assert face.correct(scowling(smile=0.8))[SMILE] == pytest.approx(0.8, abs=1e-5)


def test_a_face_that_is_turned_away_does_not_count():
    assert not known(seen(NeutralFace(), [scowling()] * 40, facing=False))


def test_who_never_rests_at_first_stays_as_seen():
    face = seen(NeutralFace(), [scowling(smile=0.8)] * 151, GLAD)
    assert not known(seen(face, [scowling()] * 60))


def test_a_pause_counts_little():
    face = NeutralFace()
    for _ in range(3):
        face.observe(scowling(), 60.0, REST, seconds=1.0)
    assert not known(face)


def test_what_was_learnt_is_not_learnt_again():
    face = seen(NeutralFace(), [scowling()] * 40)
    seen(face, [USUAL] * 200)
    np.testing.assert_allclose(face.correct(scowling()), USUAL, atol=1e-5)


def test_no_more_than_a_part_of_a_blendshape_is_taken():
    look = USUAL.copy()
    look[SMILE] = 1.0
    face = seen(NeutralFace(), [look] * 40)
    assert face.correct(look)[SMILE] == pytest.approx(0.7)


def test_another_usual_face_can_be_given():
    face = seen(NeutralFace(np.zeros(52, np.float32)), [np.full(52, 0.1, np.float32)] * 40)
    np.testing.assert_allclose(face.correct(np.full(52, 0.1, np.float32)), 0.0, atol=1e-6)


@given(FACES, FACES)
def test_corrected_blendshapes_are_blendshapes(own, look):
    face = seen(NeutralFace(), [own] * 40)
    before = look.copy()
    corrected = face.correct(look)
    assert corrected.shape == (52,)
    assert corrected.dtype == np.float32
    assert corrected.min() >= 0 and corrected.max() <= 1
    assert np.abs(corrected - look).max() <= 0.3 + 1e-6
    np.testing.assert_array_equal(look, before)
