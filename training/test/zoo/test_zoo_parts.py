"""Aligned faces and their parts; what models read of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from zoo_tracks import SIDE, made_landmarks, made_tracks

from emotion_estimator.errors import InputError
from emotion_estimator.perception.face_parts import (
    FACE,
    PARTS,
    aligned_face,
    cover,
    motion,
    part_image,
)
from emotion_estimator.perception.window_classifier import FLOW, IMAGE, SHAPES, WindowInput
from emotion_estimator_training.zoo.data.windows import query_windows, single_frames
from emotion_estimator_training.zoo.models.input_reader import InputReader

FACE_POINTS = made_landmarks(96)


def plain(shade: int = 100) -> np.ndarray:
    return np.full((96, 96, 3), shade, np.uint8)


def test_alignment_undoes_place_size_and_roll():
    image = cv2.GaussianBlur(
        np.random.default_rng(1).integers(0, 256, (200, 240, 3)).astype(np.uint8), (0, 0), 4
    )
    points = made_landmarks(100)[:, :2] + 40
    turn = cv2.getRotationMatrix2D((110, 100), 25, 1.4)
    turned = cv2.warpAffine(image, turn, (240, 200), flags=cv2.INTER_CUBIC)
    moved = points @ turn[:, :2].T + turn[:, 2]
    straight, straight_points = aligned_face(image, points.astype(np.float32), 64)
    again, again_points = aligned_face(turned, moved.astype(np.float32), 64)
    assert straight.shape == (64, 64, 3)
    np.testing.assert_allclose(straight_points, again_points, atol=0.05)
    inner = np.abs(straight.astype(int) - again)[16:-16, 16:-16]
    assert inner.mean() < 3


def test_landmarks_follow_their_pixels():
    image = plain(0)
    points = made_landmarks(96)
    x, y = np.rint(points[4, :2]).astype(int)
    points[4, :2] = x, y
    image[y - 1 : y + 2, x - 1 : x + 2] = 255
    crop, moved = aligned_face(image, points, 96)
    row, column = np.argwhere(crop[..., 0] == crop[..., 0].max()).mean(axis=0)
    assert abs(column - moved[4, 0]) < 1 and abs(row - moved[4, 1]) < 1


def test_no_face_is_refused():
    with pytest.raises(InputError, match='landmarks of a face'):
        aligned_face(plain(), np.zeros((478, 3), np.float32))


@pytest.mark.parametrize('part', PARTS)
def test_part_shows_its_own_place_and_no_other(part):
    face = plain(20)
    x, y = FACE_POINTS[list(PARTS[part]), :2].mean(axis=0).astype(int)
    face[y - 2 : y + 3, x - 2 : x + 3] = 250
    assert part_image(face, FACE_POINTS, part, 30)[10:20, 10:20].max() > 200
    far = plain(20)
    far[:3, :3] = 250
    assert part_image(far, FACE_POINTS, part, 30).max() < 60


def test_whole_face_colour_and_grey():
    face = plain()
    face[..., 0] = 200
    assert part_image(face, FACE_POINTS, FACE, 30).shape == (30, 30, 3)
    assert part_image(face, FACE_POINTS, 'mouth', 30, colour=False).shape == (30, 30, 1)
    with pytest.raises(InputError, match="no part 'chin'"):
        part_image(face, FACE_POINTS, 'chin', 30)


def test_mask_covers_mouth_and_nose_and_leaves_the_eyes():
    face = plain()
    masked = cover(face, FACE_POINTS)
    assert (face == 100).all()
    for part, hidden in (('mouth', True), ('left_eye', False), ('right_eyebrow', False)):
        x, y = FACE_POINTS[list(PARTS[part]), :2].mean(axis=0).astype(int)
        assert (masked[y, x] != 100).any() == hidden, part


def test_motion_points_where_pixels_go():
    rng = np.random.default_rng(2)
    before = cv2.GaussianBlur(rng.integers(0, 256, (48, 48)).astype(np.uint8), (0, 0), 3)
    after = np.roll(before, 2, axis=1)
    flow = motion(before, after)[12:-12, 12:-12]
    assert flow.shape == (24, 24, 2)
    # Two pixels to the right, in tenths of the side.
    assert flow[..., 0].mean() == pytest.approx(2 * 10 / 48, rel=0.2)
    assert abs(flow[..., 1].mean()) < 0.05


def test_reader_gives_what_the_inputs_say():
    tracks = made_tracks(1)
    asked = query_windows(tracks, ('happy', 'sad'), 4, 3)
    inputs = [
        WindowInput(IMAGE, 'mouth', 12),
        WindowInput(IMAGE, side=16, colour=False, last=True),
        WindowInput(FLOW, side=16),
        WindowInput(SHAPES),
    ]
    found = InputReader(inputs)(asked)
    assert [one.shape[1:] for one in found] == [one.shape(4) for one in inputs]
    assert all(len(one) == len(asked) for one in found)
    assert found[0].min() >= 0 and found[0].max() <= 1
    # The first window's first frames are one frame, repeated: nothing moves.
    assert (found[2][0][..., :2] == 0).all()
    np.testing.assert_array_equal(found[3][1], tracks[0].blendshapes[2:6])


def test_reader_covers_faces():
    asked = query_windows(made_tracks(1), ('happy', 'sad'), 1, 4)
    mouth = [WindowInput(IMAGE, 'mouth', 12)]
    bare, masked = InputReader(mouth)(asked)[0], InputReader(mouth, covered=True)(asked)[0]
    assert np.ptp(masked[:, :, 4:8, 4:8], axis=(0, 1, 2, 3)).max() < 0.02
    assert np.ptp(bare[:, :, 4:8, 4:8], axis=(0, 1, 2, 3)).max() > 0.1


def test_query_times_are_the_same_for_every_window():
    tracks = made_tracks(2, 11)
    short, long = (query_windows(tracks, ('happy', 'sad'), window, 2) for window in (1, 8))
    np.testing.assert_array_equal(short.track, long.track)
    np.testing.assert_array_equal(short.frames[:, -1], long.frames[:, -1])
    assert long.frames.min() == 0 and (np.diff(long.frames, axis=1) <= 1).all()


def test_single_frames_are_taken_once():
    asked = query_windows(made_tracks(1, 9), ('happy', 'sad'), 4)
    alone = single_frames(asked, 2)
    assert alone.length == 1
    assert alone.frames[alone.track == 0, 0].tolist() == [0, 2, 4, 6, 8]


def test_invalid_inputs_are_refused():
    with pytest.raises(InputError, match='chin'):
        WindowInput(IMAGE, 'chin', SIDE)
    with pytest.raises(InputError, match='too small'):
        WindowInput(IMAGE, side=2)
