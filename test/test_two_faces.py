"""Real faces through the whole of perception: who is primary, and what stays of a warm-up."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip('mediapipe.python.solutions', reason='this mediapipe bundles no face mesh')

from emotion_estimator.frame import Frame
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.sources.portrait import Portrait


@pytest.fixture
def estimator():
    made = EmotionEstimator.load(EstimatorSettings(landmark_source='face_mesh'))
    yield made
    made.close()


def beside(small, large):
    """Return one image with ``small`` at the left and ``large`` at the right."""
    canvas = np.full((large.shape[0], small.shape[1] + large.shape[1], 3), 200, np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    canvas[:, small.shape[1] :] = large
    return canvas


def test_the_larger_face_comes_first_also_when_the_smaller_was_there_before(estimator):
    face = next(iter(Portrait(30.0).frames())).image
    small = cv2.resize(face, None, fx=0.6, fy=0.6)
    alone = beside(small, np.full_like(face, 200))
    for k in range(10):
        (only,) = estimator(Frame(alone, k / 30))
    both = beside(small, face)
    for k in range(10, 20):
        faces = estimator(Frame(both, k / 30))
    assert len(faces) == 2
    assert faces[0].roi.x > small.shape[1]
    assert faces[0].roi.area > 2 * faces[1].roi.area
    assert faces[1].face_id == only.face_id
    assert faces[0].face_id != only.face_id


def test_nothing_of_the_warm_up_is_seen(estimator):
    wall = np.full((512, 512, 3), 128, np.uint8)
    assert estimator(Frame(wall, 0.0)) == ()
    estimator.reset()
    assert estimator(Frame(wall, 0.1)) == ()


def test_a_source_opens_and_sees_its_first_face_quietly(capfd):
    estimator = EmotionEstimator.load(EstimatorSettings(landmark_source='face_mesh'))
    face = next(iter(Portrait(30.0).frames()))
    capfd.readouterr()
    assert len(estimator(face)) == 1
    estimator.close()
    assert capfd.readouterr().err == ''
