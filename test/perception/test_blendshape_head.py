"""The shipped blendshape head: what it promises of symmetry, invariance and refusals."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES, MIRROR
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.model_card import models_dir
from emotion_estimator.perception.face_crop import INPUT_POINTS, align
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead
from emotion_estimator.runtimes import runtimes

pytestmark = pytest.mark.skipif(not runtimes(), reason='no TFLite runtime installed')


@pytest.fixture(scope='module')
def head() -> BlendshapeHead:
    return BlendshapeHead.load()


def face(seed: int = 0) -> np.ndarray:
    """Return some 478 points; alignment and head must keep their promises for any."""
    points = np.random.default_rng(seed).normal(size=(478, 3)) * (60, 80, 30) + (200, 150, 0)
    points[33, :2], points[263, :2] = (170, 140), (230, 140)
    return points.astype(np.float32)


def test_scores_are_52_from_0_to_1(head: BlendshapeHead) -> None:
    scores = head(face())
    assert scores.shape == (len(BLENDSHAPE_NAMES),)
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()


def test_another_face_gets_other_scores(head: BlendshapeHead) -> None:
    assert np.abs(head(face(1)) - head(face(2))).max() > 0.01


@given(
    angle=st.floats(-np.pi, np.pi),
    scale=st.floats(0.2, 5.0),
    shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
    seed=st.integers(0, 5),
)
@settings(max_examples=40, deadline=None)
def test_alignment_ignores_place_size_and_roll(
    angle: float, scale: float, shift: tuple[float, float], seed: int
) -> None:
    points = face(seed)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    moved = points * scale
    moved[:, :2] = moved[:, :2] @ turn + shift
    np.testing.assert_allclose(align(moved.astype(np.float32)), align(points), atol=2e-3)


def test_alignment_of_the_mirrored_face_mirrors_x() -> None:
    points = face()
    mirrored = points * (-1, 1, 1)
    # The mirrored face's right eye corner is the other one.
    mirrored[[33, 263, 133, 362, 127, 356, 234, 454]] = mirrored[
        [263, 33, 362, 133, 356, 127, 454, 234]
    ]
    middle = INPUT_POINTS.index(1)
    got, plain = align(mirrored)[middle], align(points)[middle]
    np.testing.assert_allclose(got, plain * (-1, 1, 1), atol=1e-4)


def test_mirrored_input_gives_mirrored_scores(head: BlendshapeHead) -> None:
    # The partners on the face's other half, found by the network itself: swapping the columns of
    # each pair and the sign of x must swap left and right exactly, up to int8 rounding.
    card = json.loads((models_dir() / 'blendshape_head.json').read_text())
    partners = np.array(card['settings']['mirror_partners'])
    order = list(INPUT_POINTS)
    mirrored, points = face(3), face(3)
    mirrored[order] = points[np.array(order)[partners]] * (-1, 1, 1)
    np.testing.assert_allclose(head(mirrored), head(points)[list(MIRROR)], atol=2e-3)


@pytest.mark.parametrize(
    'landmarks',
    [
        np.zeros((468, 3), np.float32),
        np.zeros((478, 2), np.float32),
        np.full((478, 3), np.nan, np.float32),
    ],
)
def test_wrong_landmarks_are_refused_in_one_line(
    head: BlendshapeHead, landmarks: np.ndarray
) -> None:
    with pytest.raises(InputError, match='478') as caught:
        head(landmarks)
    assert '\n' not in str(caught.value)


def test_shipped_file_is_small() -> None:
    assert (models_dir() / 'blendshape_head.tflite').stat().st_size < 300_000


def test_card_with_another_alignment_is_refused(tmp_path) -> None:
    for name in ('blendshape_head.tflite', 'blendshape_head.json'):
        shutil.copy(models_dir() / name, tmp_path)
    card = tmp_path / 'blendshape_head.json'
    raw = json.loads(card.read_text())
    raw['settings']['alignment'] = 'another'
    card.write_text(json.dumps(raw))
    with pytest.raises(ModelError, match='alignment'):
        BlendshapeHead.load(card)


def test_another_network_under_its_card_is_refused(tmp_path) -> None:
    raw = json.loads((models_dir() / 'blendshape_head.json').read_text())
    other = json.loads((models_dir() / 'emotion_lstm.json').read_text())
    raw['file'], raw['sha256'] = other['file'], other['sha256']
    shutil.copy(models_dir() / other['file'], tmp_path)
    card = tmp_path / 'blendshape_head.json'
    card.write_text(json.dumps(raw))
    with pytest.raises(ModelError, match='not a blendshape head'):
        BlendshapeHead.load(card)
