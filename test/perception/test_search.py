from __future__ import annotations

import numpy as np
import pytest

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.perception.landmarks.base import FaceLandmarks, bounding_roi
from emotion_estimator.perception.landmarks.source import find_faces

RED, GREEN = (255, 0, 0), (0, 255, 0)


class ColourLandmarker:
    """Takes a block of pure red or green for a face, if it is at least ``share`` of the height."""

    name = 'colour'

    def __init__(self, share):
        self.share = share
        self.sizes = []

    def __call__(self, frame):
        self.sizes.append(frame.image.shape[:2])
        found = []
        for colour in (RED, GREEN):
            # Cubic enlargement blurs the edges of a block.
            ys, xs = np.nonzero(np.abs(frame.image.astype(int) - colour).max(axis=2) < 80)
            if ys.size == 0 or np.ptp(ys) + 1 < self.share * frame.image.shape[0]:
                continue
            landmarks = np.zeros((478, 3), np.float32)
            landmarks[:, :2] = xs.min(), ys.min()
            landmarks[0, :2] = xs.max() + 1, ys.max() + 1
            roi = bounding_roi(landmarks, frame.image.shape[1], frame.image.shape[0])
            blendshapes = np.zeros(len(BLENDSHAPE_NAMES), np.float32)
            found.append(FaceLandmarks(landmarks, blendshapes, roi))
        return tuple(found)

    def reset(self):
        pass

    def close(self):
        pass


def scene(height, width, *blocks):
    image = np.zeros((height, width, 3), np.uint8)
    for colour, x, y, size in blocks:
        image[y : y + size, x : x + size] = colour
    return image


def boxes(faces):
    return [face.roi.as_list() for face in faces]


def test_a_large_face_is_found_once():
    image = scene(480, 640, (RED, 200, 100, 200))
    assert boxes(find_faces(ColourLandmarker(0.1), image)) == [[200, 100, 200, 200]]


def test_small_faces_are_found_in_tiles_the_largest_first():
    image = scene(700, 1000, (RED, 700, 300, 110), (GREEN, 30, 30, 120))
    landmarker = ColourLandmarker(0.2)
    assert landmarker(type('F', (), {'image': image})()) == ()
    assert boxes(find_faces(landmarker, image)) == [[30, 30, 120, 120], [700, 300, 110, 110]]


def test_a_face_cut_by_a_tile_is_taken_from_another_view():
    # Across the middle, where no tile of the corners has all of it.
    image = scene(700, 1000, (RED, 440, 290, 120))
    assert boxes(find_faces(ColourLandmarker(0.05), image)) == [[440, 290, 120, 120]]


def test_a_tiny_image_is_enlarged_and_the_box_comes_back_in_its_pixels():
    landmarker = ColourLandmarker(0.1)
    ((x, y, width, height),) = boxes(find_faces(landmarker, scene(48, 48, (RED, 8, 12, 30))))
    assert (x, y, width, height) == pytest.approx((8, 12, 30, 30), abs=2)
    assert min(landmarker.sizes[0]) > 192


@pytest.mark.parametrize('shape', [(30000, 2), (1, 6000), (100, 4500)])
def test_a_strip_is_not_enlarged_beyond_memory(shape):
    landmarker = ColourLandmarker(0.1)
    assert find_faces(landmarker, scene(*shape)) == ()
    sizes = np.array(landmarker.sizes)
    assert sizes.min() >= 1
    assert sizes.max() <= max(shape)


def test_a_small_strip_is_enlarged_as_far_as_it_may_be():
    landmarker = ColourLandmarker(0.1)
    find_faces(landmarker, scene(40, 2048))
    border = 2 * round(0.33 * 192)
    assert landmarker.sizes == [(80 + border, 4096 + border)]


def test_nothing_is_found_on_a_wall():
    assert find_faces(ColourLandmarker(0.1), scene(480, 640)) == ()
