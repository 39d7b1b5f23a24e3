"""Both landmark sources on a real face: the portrait's picture, which the package carries."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from available import TASK, needs_face_mesh

import emotion_estimator
from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import ModelError
from emotion_estimator.frame import Frame
from emotion_estimator.perception.landmarks.base import bounding_roi
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead

pytest.importorskip('mediapipe', reason='needs mediapipe')

from emotion_estimator.perception.landmarks.face_landmarker import FaceLandmarker
from emotion_estimator.perception.landmarks.face_mesh import FaceMesh

SMILE = [i for i, name in enumerate(BLENDSHAPE_NAMES) if name.startswith('mouthSmile')]


@pytest.fixture(scope='module')
def portrait() -> np.ndarray:
    path = Path(emotion_estimator.__path__[0]) / 'sources' / 'data' / 'astronaut.jpg'
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


@pytest.fixture(
    params=[
        'face_landmarker',
        pytest.param('face_mesh', marks=needs_face_mesh),
    ]
)
def landmarker(request):
    opened = (
        FaceLandmarker(TASK)
        if request.param == 'face_landmarker'
        else FaceMesh(BlendshapeHead.load())
    )
    yield opened
    opened.close()


def test_the_smiling_portrait(landmarker, portrait: np.ndarray) -> None:
    (face,) = landmarker(Frame(portrait, 0.0))
    assert face.landmarks.shape == (478, 3)
    assert face.blendshapes.shape == (52,)
    assert face.blendshapes[SMILE].min() > 0.6
    height, width = portrait.shape[:2]
    assert 0 <= face.roi.x < face.roi.x + face.roi.width <= width
    assert 0 <= face.roi.y < face.roi.y + face.roi.height <= height


def test_stamps_may_repeat_crowd_and_go_back(landmarker, portrait: np.ndarray) -> None:
    for stamp in (5.0, 5.0, 5.0001, 5.0002, 5.1, 1.0, 1e9, 1e9 + 1e-6):
        assert len(landmarker(Frame(portrait, stamp))) == 1


def test_reset_forgets_the_face(landmarker, portrait: np.ndarray) -> None:
    assert len(landmarker(Frame(portrait, 0.0))) == 1
    landmarker.reset()
    assert landmarker(Frame(np.zeros_like(portrait), 0.0)) == ()


def test_noise_and_a_single_pixel_hold_no_face(landmarker) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    assert landmarker(Frame(noise, 0.0)) == ()
    assert landmarker(Frame(np.zeros((1, 1, 3), np.uint8), 0.1)) == ()


def test_a_frame_is_read_quietly(landmarker, capfd, portrait: np.ndarray) -> None:
    capfd.readouterr()
    landmarker(Frame(portrait, 0.0))
    assert capfd.readouterr().err == ''


@pytest.mark.parametrize('content', [None, b'', b'not a model' * 100])
def test_a_missing_or_corrupt_model_is_one_line(tmp_path, content: bytes | None) -> None:
    path = tmp_path / 'face_landmarker.task'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r'models fetch') as caught:
        FaceLandmarker(path)
    assert '\n' not in str(caught.value)


def test_box_is_clipped_and_a_face_outside_has_none() -> None:
    points = np.array([[-5.5, 2.2, 0], [10.1, 300.0, 0]], np.float32)
    roi = bounding_roi(points, 100, 50)
    assert roi is not None
    assert roi.as_list() == [0, 2, 11, 48]
    assert bounding_roi(points + np.float32(200), 100, 50) is None
    assert bounding_roi(points - np.float32(400), 100, 50) is None
