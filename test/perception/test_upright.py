"""Meshes that do not lie upright are recognized, and stills are read after turning."""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np
import pytest
from available import LANDMARK_SOURCE
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mean_head import mean_head

from emotion_estimator.emotion import LABELS, overlap
from emotion_estimator.errors import ModelError
from emotion_estimator.frame import Frame
from emotion_estimator.perception.landmarks.base import FaceLandmarks, bounding_roi
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.perception.upright import (
    UPRIGHT,
    UprightMemory,
    UprightNetwork,
    find_turned_faces,
    grey_values,
    normalized,
)
from emotion_estimator.sources.portrait import Portrait

#: Points of the mesh whose places say how it was turned.
_TOP, _CHIN = 9, 153


@settings(deadline=None)
@given(image=hnp.arrays(np.uint8, (9, 7, 3)), x=st.integers(-20, 30), y=st.integers(-20, 30))
def test_grey_values_are_those_of_the_nearest_pixel(image, x, y):
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[:, :2] = (x + 0.3, y - 0.3)
    red, green, blue = image[min(max(y, 0), 8), min(max(x, 0), 6)].astype(float)
    expected = 0.299 * red + 0.587 * green + 0.114 * blue
    np.testing.assert_allclose(grey_values(image, landmarks), np.full(468, expected), atol=1e-3)


@settings(deadline=None)
@given(values=hnp.arrays(np.float32, 468, elements=st.floats(0, 255, width=32)),
       gain=st.floats(0.5, 1), offset=st.floats(0, 100))  # fmt: skip
def test_brightness_and_contrast_do_not_matter(values, gain, offset):
    changed = (values * np.float32(gain) + np.float32(offset)).astype(np.float32)
    if values.std() * gain > 5:
        np.testing.assert_allclose(normalized(changed), normalized(values), atol=1e-2)
    assert np.isfinite(normalized(values)).all()


@cache
def smile():
    """Return the portrait in full smile."""
    return next(frame.image for frame in Portrait(10.0).frames() if frame.stamp >= 6.0)


@pytest.fixture(scope='module')
def network():
    return UprightNetwork.load()


def test_of_a_uniform_image_or_no_landmarks_nothing_is_said(network):
    landmarks = mean_head()
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    assert math.isfinite(network(noise, landmarks))
    assert network(np.full((480, 640, 3), 90, np.uint8), landmarks) == math.inf
    assert network(noise, np.full((478, 3), math.nan, np.float32)) == math.inf


@pytest.mark.parametrize(
    'content', [b'', b'PK\x03\x04', b'text', b'\x93NUMPY'], ids=['empty', 'cut', 'text', 'array']
)
def test_weights_that_cannot_be_read_are_named(tmp_path, content):
    path = tmp_path / 'upright.npz'
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r'upright.npz is not a file of arrays') as caught:
        UprightNetwork.load(path)
    assert '\n' not in str(caught.value)
    with pytest.raises(ModelError, match='cannot be read'):
        UprightNetwork.load(tmp_path / 'nothing.npz')


@pytest.mark.parametrize('shape', [(467, 32), (468, 31), (468,)])
def test_weights_that_do_not_fit_are_refused(tmp_path, shape):
    good = {'hidden': np.ones((468, 32)), 'hidden_bias': np.ones(32), 'out': np.ones(32),
            'out_bias': np.ones(1)}  # fmt: skip
    np.savez(tmp_path / 'good.npz', **good)
    UprightNetwork.load(tmp_path / 'good.npz')
    np.savez(tmp_path / 'bad.npz', **{**good, 'hidden': np.ones(shape)})
    with pytest.raises(ModelError, match='expected'):
        UprightNetwork.load(tmp_path / 'bad.npz')


def test_one_bad_frame_is_forgiven_and_a_few_are_not():
    memory = UprightMemory()
    assert memory.readable
    for _ in range(10):
        assert memory.observe(UPRIGHT + 5.0, 1 / 15)
    assert memory.observe(-50.0, 1 / 15)
    assert not all(memory.observe(-5.0, 1 / 15) for _ in range(15))
    assert all(memory.observe(math.inf, 1 / 15) for _ in range(15)[10:])
    # The first frame decides by itself.
    assert not UprightMemory().observe(UPRIGHT - 0.1, 1 / 15)


@settings(deadline=None)
@given(scores=st.lists(st.floats(allow_nan=False), min_size=1), dt=st.floats(0.001, 10))
def test_scores_of_one_sign_have_one_answer(scores, dt):
    up, down = UprightMemory(), UprightMemory()
    for score in scores:
        assert up.observe(UPRIGHT + abs(score), dt)
        assert not down.observe(UPRIGHT - abs(score) - 1e-3, dt)


class OneSided:
    """Finds a face only where a picture's brightest pixel is in its upper half, as a mesh there."""

    name = 'one-sided'

    def __init__(self, always=False):
        self.always = always
        self.calls = 0

    def __call__(self, frame):
        self.calls += 1
        height, width = frame.image.shape[:2]
        y, x = np.unravel_index(frame.image[..., 0].argmax(), (height, width))
        if not self.always and not (y < height / 3 and width / 3 < x < 2 * width / 3):
            return ()
        landmarks = np.zeros((478, 3), np.float32)
        landmarks[:, :2] = (width / 2, height / 2)
        landmarks[_TOP, :2] = (x, y) if not self.always else (width / 2, 10)
        landmarks[_CHIN, :2] = (width - 1 - x, height - 1 - y)
        landmarks[0, :2], landmarks[1, :2] = (
            (width / 4, height / 4),
            (3 * width / 4, 3 * height / 4),
        )
        roi = bounding_roi(landmarks, width, height)
        return (FaceLandmarks(landmarks, np.zeros(52, np.float32), roi),)

    def reset(self):
        """Forget nothing."""

    def close(self):
        """Free nothing."""


class BrightOnTop:
    """Scores a mesh by how bright the image is under its top, from -10 to 10."""

    def __call__(self, image, landmarks):
        x, y = landmarks[_TOP, :2].astype(int)
        return float(image[y, x, 0]) / 12.75 - 10


@pytest.mark.parametrize('turns', [0, 1, 2, 3])
@pytest.mark.parametrize('always', [False, True])
def test_a_face_is_taken_from_the_side_on_which_it_is_upright(turns, always):
    # Of unequal sides, so that swapping them shows.
    upright = np.zeros((300, 240, 3), np.uint8)
    upright[10, 120] = 255
    image = np.ascontiguousarray(np.rot90(upright, turns))
    landmarker = OneSided(always)
    [(face, readable)] = find_turned_faces(landmarker, image, BrightOnTop())
    assert readable
    x, y = face.landmarks[_TOP, :2].astype(int)
    assert image[y, x, 0] == 255, 'the top lies on the pixel that it was found by'
    assert face.roi == bounding_roi(face.landmarks, image.shape[1], image.shape[0])
    # Looked at from the other sides only where that is needed.
    assert landmarker.calls == (1 if turns == 0 else 4)


def test_a_face_that_is_upright_from_no_side_cannot_be_read():
    dark = np.zeros((300, 240, 3), np.uint8)
    [(_, readable)] = find_turned_faces(OneSided(always=True), dark, BrightOnTop())
    assert not readable
    assert find_turned_faces(OneSided(), dark, BrightOnTop()) == ()


@pytest.fixture(scope='module')
def stills():
    with EmotionEstimator(static=True, landmark_source=LANDMARK_SOURCE) as estimator:
        yield estimator


def turned(image, degrees):
    """Return an image turned clockwise, on a square that holds all of it."""
    height, width = image.shape[:2]
    side = math.ceil(math.hypot(height, width))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
    matrix[:, 2] += ((side - width) / 2, (side - height) / 2)
    return cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize('mirrored', [False, True])
@pytest.mark.parametrize('degrees', [0, 90, 120, 150, 180, 210, 240, 270])
def test_a_smile_is_never_sad_whichever_way_it_lies(stills, degrees, mirrored):
    image = smile()
    shown = turned(image[:, ::-1] if mirrored else image, degrees)
    # The largest: the repeated edge of the picture is taken for another face now and then.
    face = stills.still(np.ascontiguousarray(shown))[0]
    assert face.label == 'happy'
    roll = (face.head_roll - degrees + 180) % 360 - 180
    assert abs(roll) < 15


def test_a_picture_upside_down_has_the_mirror_images_box(stills):
    image = smile()
    (upright,) = stills.still(image)
    (face,) = stills.still(np.ascontiguousarray(image[::-1]))
    height = image.shape[0]
    x, y, width, tall = upright.roi.as_list()
    mirrored = type(upright.roi)(x, height - y - tall, width, tall)
    assert overlap(face.roi, mirrored) > 0.8
    assert face.label == upright.label == 'happy'


@pytest.mark.parametrize('vocabulary', ['three', 'seven'])
def test_of_a_stream_upside_down_nothing_is_claimed(vocabulary):
    image = np.ascontiguousarray(smile()[::-1])
    # The landmark source finds faces that are upside down now and then only.
    faces = []
    with EmotionEstimator(landmark_source=LANDMARK_SOURCE, vocabulary=vocabulary) as estimator:
        for roll in (0, 20, -20):
            shown = turned(image, roll)
            for k in range(4):
                faces += estimator(Frame(shown, 10.0 + k / 15))
            estimator.reset()
        labels = estimator.labels
    for face in faces:
        assert face.label == 'unknown'
        assert (face.valence, face.arousal) == (0.0, 0.0)
        assert not face.looks_at_camera and face.engaged == 0.0
        expected = [float(name == 'unknown') for name in labels]
        if vocabulary == 'seven':
            expected = [1 / 7] * 7
        np.testing.assert_allclose(face.probabilities, expected)


class UpsideDown:
    """A network that finds no mesh upright."""

    def __call__(self, image, landmarks):
        return -5.0


class Still:
    """A landmark source that finds one face in each frame, and in stills."""

    name = 'still'

    def __call__(self, frame):
        landmarks = mean_head(size=8.0, place=(100.0, 100.0))
        return (
            FaceLandmarks(landmarks, np.zeros(52, np.float32), bounding_roi(landmarks, 200, 200)),
        )

    def reset(self):
        """Forget nothing."""

    def close(self):
        """Free nothing."""


def test_what_cannot_be_read_is_unknown_and_does_not_move_the_classifier():
    from emotion_estimator.perception.classifier import EmotionClassifier

    def opened(upright):
        return EmotionEstimator.from_parts(Still(), EmotionClassifier.load(), upright=upright)

    image = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    estimator = opened(UpsideDown())
    for k in range(3):
        (face,) = estimator(Frame(image, k / 15))
        assert (face.label, face.confidence) == ('unknown', 1.0)
        assert dict(zip(LABELS, face.probabilities)) == {'happy': 0, 'unknown': 1, 'sad': 0}
        assert (face.head_yaw, face.head_roll, face.looks_at_camera) == (0.0, 0.0, False)
    (face,) = estimator.still(image)
    assert (face.label, face.looks_at_camera) == ('unknown', False)
    # Once upright, the face is read as if it had just come.
    first = opened(None)(Frame(image, 3 / 15))[0]
    estimator._upright = None
    for memory in estimator._memories.values():
        memory.upright.mean = None
    assert first.looks_at_camera
    assert estimator(Frame(image, 3 / 15))[0].probabilities == pytest.approx(
        first.probabilities, abs=0.02
    )
