"""What is drawn over the images of a bag: read back with the definitions that the bag contains."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from emotion_estimator.annotation import SHOWN_LANDMARKS
from emotion_estimator.bags.messages import Header
from emotion_estimator.bags.writer import ANNOTATIONS_TOPIC, BagWriter
from emotion_estimator.emotion import FaceEmotion, Roi
from emotion_estimator.frame import FrameResult

ROOT = Path(__file__).parents[2]
HEADER = Header(1_763_000_000_123_456_789, 'camera_optical_frame')
MARKS = np.column_stack([np.arange(478), np.arange(478) + 1000, np.zeros(478)]).astype(np.float32)
FACE = FaceEmotion(
    'face_7', 'happy', 0.875, ('happy', 'unknown', 'sad'), np.array([0.875, 0.125, 0], np.float32),
    Roi(100, 50, 200, 240), landmarks=MARKS, head_yaw=30.0, head_pitch=-30.0, is_speaking=True,
)  # fmt: skip


def drawn(folder: Path, *faces: FaceEmotion):
    with BagWriter(folder) as writer:
        writer.result(FrameResult(HEADER.stamp, faces), HEADER, 'model')
    # A store that knows no types: all that it knows is in the bag.
    with AnyReader([folder], default_typestore=get_typestore(Stores.EMPTY)) as reader:
        (connection,) = (c for c in reader.connections if c.topic == ANNOTATIONS_TOPIC)
        assert connection.msgtype == 'foxglove_msgs/msg/ImageAnnotations'
        ((_, time, data),) = reader.messages([connection])
        assert time == HEADER.nanoseconds
        return reader.deserialize(data, connection.msgtype)


def corners(points) -> list[tuple[float, float]]:
    return [(point.x, point.y) for point in points.points]


def test_box_landmarks_directions_and_label_are_drawn_in_pixels_of_the_image(tmp_path):
    message = drawn(tmp_path / 'bag', FACE)
    box, marks, head, gaze = message.points
    assert box.type == box.LINE_LOOP
    assert corners(box) == [(100, 50), (300, 50), (300, 290), (100, 290)]
    assert marks.type == marks.POINTS
    assert corners(marks) == [(each, each + 1000) for each in SHOWN_LANDMARKS]
    # 30 degrees to the right and down: half of 0.6 of the box's width each.
    (begin, end) = corners(head)
    assert begin == (4, 1004)
    assert end == pytest.approx((4 + 60, 1004 + 60))
    assert len(corners(gaze)) == 4
    (text,) = message.texts
    assert text.text == 'happy 0.88, speaks'
    for each in (*message.points, *message.texts):
        assert (each.timestamp.sec, each.timestamp.nanosec) == (1_763_000_000, 123_456_789)


def test_a_face_without_landmarks_has_its_box_and_directions(tmp_path):
    message = drawn(tmp_path / 'bag', dataclasses.replace(FACE, landmarks=np.zeros((0, 3))))
    assert [each.type for each in message.points] == [2, 4, 4]
    # From the middle of the box.
    assert corners(message.points[1])[0] == (200, 170)


def test_an_image_without_a_face_clears_what_was_drawn(tmp_path):
    message = drawn(tmp_path / 'bag')
    assert len(message.points) == len(message.texts) == len(message.circles) == 0


def test_the_layout_for_recordings_shows_what_a_bag_holds():
    layout = json.loads((ROOT / 'views' / 'recording_foxglove.json').read_text())
    (image,) = (v for k, v in layout['configById'].items() if k.startswith('Image!'))
    assert image['imageMode']['annotations'] == {ANNOTATIONS_TOPIC: {'visible': True}}
