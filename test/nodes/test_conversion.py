from __future__ import annotations

import sys
import types
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

pytest.importorskip('sensor_msgs', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.emotion import LABELS, FaceEmotion, Roi
from emotion_estimator.errors import InputError
from emotion_estimator.msg import Emotion
from emotion_estimator.nodes.conversion import (
    action_from_message,
    action_message,
    emotion_message,
    face_from_message,
    image_message,
    rgb_from_message,
    seconds,
)

HEADER = Header(stamp=Time(sec=12, nanosec=345), frame_id='eye')
IMAGES = st.tuples(st.integers(1, 8), st.integers(1, 8)).flatmap(
    lambda size: hnp.arrays(np.uint8, (*size, 3))
)


@given(image=IMAGES)
def test_an_image_survives_the_way_there_and_back(image):
    message = image_message(image, HEADER)
    assert message.header == HEADER
    assert message.step == 3 * image.shape[1]
    np.testing.assert_array_equal(rgb_from_message(message), image)


@given(image=IMAGES)
def test_cv_bridge_reads_our_images_as_we_do(image):
    bridge = pytest.importorskip('cv_bridge').CvBridge()
    message = image_message(image, HEADER)
    np.testing.assert_array_equal(bridge.imgmsg_to_cv2(message, 'rgb8'), image)


@given(image=IMAGES, encoding=st.sampled_from(['rgb8', 'bgr8', 'mono8', 'rgba8', 'bgra8']))
def test_we_read_cv_bridges_images_as_it_does(image, encoding):
    bridge = pytest.importorskip('cv_bridge').CvBridge()
    channels = {'mono8': 1, 'rgba8': 4, 'bgra8': 4}.get(encoding, 3)
    pixels = np.dstack([image, image])[..., :channels]
    pixels = np.ascontiguousarray(pixels.squeeze(2) if channels == 1 else pixels)
    message = bridge.cv2_to_imgmsg(pixels)
    message.encoding = encoding
    expected = bridge.imgmsg_to_cv2(message, 'rgb8')
    np.testing.assert_array_equal(rgb_from_message(message), expected)


def message_of(encoding):
    return Image(height=2, width=2, encoding=encoding, step=6, data=array('B', bytes(12)))


@pytest.mark.parametrize('encoding', ['', 'banana', '32FC1', 'nv61'])
def test_an_unsupported_encoding_is_named(encoding):
    with pytest.raises(InputError, match='is not supported; publish one of rgb8') as caught:
        rgb_from_message(message_of(encoding))
    assert '\n' not in str(caught.value)


def test_an_encoding_that_only_cv_bridge_reads_is_left_to_it(monkeypatch):
    class Bridge:
        def imgmsg_to_cv2(self, message, desired):
            assert (message.encoding, desired) == ('nv61', 'rgb8')
            return np.full((2, 2, 3), 9, np.uint8)

    fake = types.ModuleType('cv_bridge')
    fake.CvBridge = Bridge
    monkeypatch.setitem(sys.modules, 'cv_bridge', fake)
    assert (rgb_from_message(message_of('nv61')) == 9).all()


ANGLES = ('head_yaw', 'head_pitch', 'head_roll', 'gaze_yaw', 'gaze_pitch')
LATER = (*ANGLES, 'looks_at_camera', 'speaking', 'is_speaking')
FACES = st.builds(
    FaceEmotion,
    face_id=st.text(min_size=1, max_size=8),
    label=st.sampled_from(LABELS),
    confidence=st.floats(0, 1, width=32),
    labels=st.just(LABELS),
    probabilities=hnp.arrays(np.float32, 3, elements=st.floats(0, 1, width=32)),
    roi=st.builds(Roi, *[st.integers(0, 4000)] * 4),
    blendshapes=hnp.arrays(np.float32, len(BLENDSHAPE_NAMES), elements=st.floats(0, 1, width=32)),
    model=st.text(max_size=8),
    valence=st.floats(-1, 1, width=32),
    arousal=st.floats(-1, 1, width=32),
    **{name: st.floats(-180, 180, width=32) for name in ANGLES},
    looks_at_camera=st.booleans(),
    speaking=st.floats(0, 1, width=32),
    is_speaking=st.booleans(),
)


@given(face=FACES, latency=st.floats(0, 10, width=32))
def test_a_face_survives_the_way_there_and_back(face, latency):
    message = emotion_message(face, HEADER, model=face.model, latency=latency)
    assert message.header == HEADER
    assert message.latency == latency
    back = face_from_message(message)
    for field in ('face_id', 'label', 'confidence', 'valence', 'arousal', *LATER):
        assert getattr(back, field) == getattr(face, field)
    assert (back.labels, back.roi, back.model) == (face.labels, face.roi, face.model)
    np.testing.assert_array_equal(back.probabilities, face.probabilities)
    np.testing.assert_array_equal(back.blendshapes, face.blendshapes)


def test_no_face_is_label_none_and_nothing_else():
    message = emotion_message(None, HEADER, model='m')
    assert (message.label, message.face_id, message.confidence) == ('none', '', 0.0)
    assert (list(message.labels), list(message.probabilities)) == ([], [])
    assert list(message.blendshapes) == []
    assert (message.valence, message.arousal) == (0.0, 0.0)
    assert not any(getattr(message, field) for field in LATER)
    assert message.model == 'm'
    assert face_from_message(message) is None


def test_blendshapes_are_left_out_when_not_asked_for():
    face = FaceEmotion(
        'f',
        'sad',
        0.5,
        LABELS,
        np.ones(3, np.float32) / 3,
        Roi(0, 0, 1, 1),
        np.zeros(52, np.float32),
    )
    message = emotion_message(face, HEADER, model='m', with_blendshapes=False)
    assert list(message.blendshapes) == []
    assert message.label == 'sad'


def test_every_field_of_an_action_is_carried_and_comes_back():
    action = DialogueAction(
        action='check_in',
        topic='weather',
        approach='careful',
        utterance='Hello',
        reason='why',
        emotion='sad',
        confidence=0.75,
        rule='gloom',
        face_id='face_3',
        stamp=12.000000345,
        suppressed=('smile: cooldown, 3.0 s left',),
    )
    message = action_message(action, HEADER)
    assert message.header == HEADER
    for field in (
        'action',
        'topic',
        'approach',
        'utterance',
        'reason',
        'emotion',
        'confidence',
        'rule',
        'face_id',
    ):
        assert getattr(message, field) == getattr(action, field)
    assert message.suppressed == ['smile: cooldown, 3.0 s left']
    assert action_from_message(message) == action


def test_seconds_keep_the_microsecond():
    assert seconds(Time(sec=1_795_250_700, nanosec=123_456_000)) == pytest.approx(
        1_795_250_700.123456, abs=1e-6
    )


def test_what_a_message_says_of_a_face_is_bounded():
    long = 'a\nb' * 100_000
    count = 50_000
    message = Emotion(face_id=long, label=long, model=long, labels=[long] * count)
    message.probabilities = message.blendshapes = array('f', [0.5] * count)
    face = face_from_message(message)
    for text in (face.face_id, face.label, face.model, *face.labels):
        assert len(text) == 100
        assert text == long[:100]
    assert len(face.labels) == len(face.probabilities) == len(face.blendshapes) == 1000


def test_an_image_too_large_is_refused_before_it_is_converted():
    message = image_message(np.zeros((50, 100, 3), np.uint8), HEADER)
    for encoding in ('rgb8', 'banana'):
        message.encoding = encoding
        with pytest.raises(InputError, match='100x50 pixels is too large') as caught:
            rgb_from_message(message, 4999)
        assert caught.value.kind == 'too_large'
