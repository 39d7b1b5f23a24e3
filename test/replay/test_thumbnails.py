"""Pictures of the changes of a label: the face, small, and not more than are wanted."""

from __future__ import annotations

import cv2
import numpy as np
from courses import course

from emotion_estimator.emotion import NONE
from emotion_estimator.replay.thumbnails import MOST, Thumbnails

#: Red where the face of a course is (10, 20, 30, 40), blue elsewhere.
IMAGE = np.zeros((400, 600, 3), np.uint8)
IMAGE[..., 2] = 255
IMAGE[20:60, 10:40] = (255, 0, 0)


def decoded(jpeg: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def taken(labels) -> Thumbnails:
    pictures = Thumbnails()
    for result in course(labels):
        pictures.see(result, IMAGE)
    return pictures


def test_there_is_one_for_each_change_at_its_frame():
    pictures = taken(['happy', 'happy', 'sad', NONE, NONE, 'happy'])
    assert [(each.number, each.label) for each in pictures.taken] == [
        (0, 'happy'), (2, 'sad'), (3, NONE), (5, 'happy'),
    ]  # fmt: skip
    assert pictures.changes == 4


def test_the_face_has_a_margin_that_the_image_bounds():
    face = decoded(taken(['happy']).taken[0].jpeg)
    # 0.4 of the box on each side; on the left only 10 pixels are there.
    assert face.shape == (72, 52, 3)
    assert tuple(face[36, 25] > 128) == (True, False, False)
    assert tuple(face[2, 40] > 128) == (False, False, True)


def test_without_a_face_it_is_the_whole_image_made_small():
    assert decoded(taken([NONE]).taken[0].jpeg).shape == (80, 120, 3)


def test_the_first_ones_are_kept_and_the_others_counted():
    pictures = taken(['happy', 'sad'] * 40)
    assert len(pictures.taken) == MOST
    assert pictures.changes == 80
    assert all(len(each.jpeg) < 10_000 for each in pictures.taken)
