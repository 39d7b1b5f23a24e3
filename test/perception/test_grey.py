from __future__ import annotations

import cv2
import numpy as np
import pytest
from available import HAS_FACE_MESH, TASK
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mean_head import mean_head

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.frame import Frame
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.perception.grey import is_grey, skin_toned
from emotion_estimator.perception.landmarks.base import FaceLandmarks, bounding_roi
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.sources.portrait import Portrait

GREY = st.tuples(st.integers(1, 30), st.integers(1, 30)).flatmap(
    lambda size: hnp.arrays(np.uint8, (*size, 1))
)


@given(image=GREY)
def test_skin_keeps_the_order_of_brightness_and_both_ends(image):
    grey = image.repeat(3, axis=2)
    assert is_grey(grey)
    skin = skin_toned(grey)
    assert skin.shape == grey.shape
    np.testing.assert_array_equal(skin[grey == 0], 0)
    np.testing.assert_array_equal(skin[grey == 255], 255)
    assert (skin[..., 0] >= skin[..., 1]).all()
    assert (skin[..., 1] >= skin[..., 2]).all()
    order = np.argsort(image.ravel(), kind='stable')
    assert (np.diff(skin.reshape(-1, 3)[order].astype(int), axis=0) >= 0).all()


@given(image=GREY, colour=st.sampled_from([(0, 0, 1), (0, 1, 0), (1, 0, 0)]))
def test_any_tint_is_colour(image, colour):
    tinted = (image // 2).repeat(3, axis=2) + np.array(colour, np.uint8)
    assert not is_grey(tinted)


class Watcher:
    """Finds what it is told to; keeps the images that it is given."""

    name = 'watcher'

    def __init__(self):
        self.images = []
        self.found = ()

    def __call__(self, frame):
        self.images.append(frame.image)
        return self.found

    def reset(self):
        pass

    def close(self):
        pass


def one_face():
    points = mean_head(yaw=0, size=3, place=(40, 30))
    roi = bounding_roi(points, 80, 60)
    return FaceLandmarks(points, np.full(len(BLENDSHAPE_NAMES), 0.1, np.float32), roi)


def test_faces_in_grey_streams_are_looked_for_in_skin_and_followed_in_grey():
    grey = np.arange(80 * 60, dtype=np.uint8).reshape(60, 80, 1).repeat(3, axis=2)
    coloured = grey.copy()
    coloured[..., 2] //= 2
    watcher = Watcher()
    with EmotionEstimator.from_parts(watcher, EmotionClassifier.load()) as estimator:
        estimator(Frame(grey, 1.0))
        estimator(Frame(coloured, 1.1))
        watcher.found = (one_face(),)
        estimator(Frame(grey, 1.2))
        estimator(Frame(grey, 1.3))
        estimator.reset()
        estimator(Frame(grey, 1.4))
    skin = skin_toned(grey)
    for seen, expected in zip(watcher.images, [skin, coloured, skin, grey, skin], strict=True):
        np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize('source', ['face_landmarker', 'face_mesh'])
def test_a_small_face_in_a_grey_stream_is_found_after_a_second(source):
    if source == 'face_mesh' and not HAS_FACE_MESH:
        pytest.skip('this MediaPipe bundles no face mesh')
    face = next(iter(Portrait(15.0).frames())).image
    height, width = face.shape[:2]
    small = cv2.resize(face, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    grey = np.full((480, 640, 3), 90, np.uint8)
    grey[20 : 20 + small.shape[0], 40 : 40 + small.shape[1]] = cv2.cvtColor(
        small, cv2.COLOR_RGB2GRAY
    )[..., None]
    with EmotionEstimator(landmark_source=source, face_landmarker_path=str(TASK)) as estimator:
        counts = [len(estimator(Frame(grey, n / 15))) for n in range(20)]
    assert counts[0] == 0
    assert counts[-1] == 1
