"""Motion of films: what is read from landmarks, and what stills do with it."""

from __future__ import annotations

import numpy as np
import pytest
from available import needs_face_mesh
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator import sources
from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame
from emotion_estimator.perception.landmarks.source import choose, open_landmarker
from emotion_estimator.sources.images import read_image
from emotion_estimator_training.zoo.data import set_films
from emotion_estimator_training.zoo.data.face_shapes import Shapes
from emotion_estimator_training.zoo.data.made_faces import StillFace
from emotion_estimator_training.zoo.data.made_video import make_course, write_video
from emotion_estimator_training.zoo.data.readable_clips import read_label
from emotion_estimator_training.zoo.data.recorded_motion import (
    films_in,
    recorded_motion,
    recorded_rise,
)
from emotion_estimator_training.zoo.data.set_films import SeenFilm, read_films

RATE = 25.0
COUNT = 75
TIMES = np.arange(COUNT) / RATE
#: A face's points about (240, 240), in pixels; cheeks, eyes and lips where they belong.
FACE = np.random.default_rng(5).uniform(180, 300, (478, 3)).astype(np.float32)
FACE[[234, 454, 33, 263, 13, 14], :2] = (
    (140, 240),
    (340, 240),
    (190, 200),
    (290, 200),
    (240, 290),
    (240, 292),
)
FACE[:, 2] = -np.hypot(*(FACE[:, :2] - 240).T) / 4
#: Points of the lower lip and chin, which speech moves.
JAW = [14, 87, 317, 178, 402, 152, 148, 377]


def talk(openings: np.ndarray) -> np.ndarray:
    """Return landmarks (T, 478, 3) whose jaw is lower by so many pixels."""
    landmarks = np.repeat(FACE[None], len(openings), axis=0)
    landmarks[:, JAW, 1] += openings[:, None].astype(np.float32)
    return landmarks


def speech() -> np.ndarray:
    return 12 * np.clip(np.sin(2 * np.pi * 3 * TIMES), 0, 1)


def test_a_face_at_rest_has_no_motion():
    found = recorded_motion('still', TIMES, talk(np.zeros(COUNT)))
    assert np.abs(found.shares).max() < 1e-3
    assert not found.speaks and recorded_rise(found) is None
    for values in (found.turn, found.roll, found.shift, found.zoom - 1):
        assert np.abs(values).max() < 1e-5


def test_speech_is_a_movement_of_the_jaw():
    openings = speech()
    found = recorded_motion('talk', TIMES, talk(openings))
    assert found.speaks and len(found.basis) == 1
    moved = np.abs(found.basis[0]).sum(axis=1)
    assert set(np.argsort(-moved)[: len(JAW)]) == set(JAW)
    assert abs(np.corrcoef(found.shares[:, 0], openings)[0, 1]) > 0.999


def test_roll_zoom_and_shift_are_those_of_the_head():
    angles = 0.2 * np.sin(2 * np.pi * TIMES / 3)
    landmarks = talk(speech())
    for frame, angle in enumerate(angles):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = (landmarks[frame, :, :2] - 240) @ turn.T * (1 + angle) + 240
        landmarks[frame, :, :2] = points + np.array((20 * angle, 0))
        landmarks[frame, :, 2] *= 1 + angle
    found = recorded_motion('head', TIMES, landmarks)
    middle = np.median(angles)
    assert found.roll == pytest.approx(angles - middle, abs=1e-3)
    assert found.zoom == pytest.approx((1 + angles) / (1 + middle), rel=2e-3)
    # What the head does is not in the movements of the face.
    assert len(found.basis) == 1


def test_a_rise_is_the_time_course_of_the_first_great_movement():
    openings = np.interp(TIMES, (1.0, 1.4, 1.6, 3.0), (0, 4, 12, 12))
    rise = recorded_rise(recorded_motion('onset', TIMES, talk(openings)))
    assert rise[0] == 0 and rise[-1] == 1 and (np.diff(rise) >= -1e-6).all()
    # Slow at first, then fast: not the smooth curve.
    assert rise[len(rise) // 2] < 0.45


@given(st.floats(0.5, 12), st.floats(5, 30), st.integers(0, 2**31))
@settings(deadline=None, max_examples=40)
def test_a_piece_is_smooth_and_within_what_was_recorded(seconds, rate, seed):
    found = recorded_motion('talk', TIMES, talk(speech()))
    times = np.arange(max(round(seconds * rate), 1)) / rate
    piece = found.piece(times, np.random.default_rng(seed))
    assert len(piece.shares) == len(piece.lids) == len(piece.turn) == len(times)
    # Speech of 3 Hz, at 1.1 times its speed and strength: a film's end is no jump.
    step = 1.1 * 2 * np.pi * 3.3 * np.ptp(found.shares) / rate
    assert np.abs(np.diff(piece.shares, axis=0)).max(initial=0) <= step
    assert np.abs(piece.shares).max() <= 1.1 * np.abs(found.shares).max() + 1e-9


def test_a_wide_open_mouth_is_moderated():
    narrow, wide = (recorded_motion('talk', TIMES, talk(k * speech())) for k in (0.5, 8))
    rng = np.random.default_rng
    pieces = [one.piece(TIMES, rng(1)) for one in (narrow, wide)]
    ratio = np.ptp(pieces[1].shares) / np.ptp(pieces[0].shares)
    assert ratio < 0.5 * np.ptp(wide.shares) / np.ptp(narrow.shares)


def test_a_still_moves_as_the_film_did():
    motion = recorded_motion('talk', TIMES, talk(speech()))
    course = make_course(True, 2.0, 15.0, np.random.default_rng(3), motion)
    assert course.speaks and course.shares.shape == (30, 1)
    assert not course.speech.any() and not course.intensity.any()
    still = np.random.default_rng(4).integers(60, 200, (48, 48), np.uint8)
    points = FACE / 10
    basis = np.stack([10.0 * one for one in motion.basis])
    face = StillFace(still, points, np.zeros((478, 2), np.float32), False, 96, basis)
    moved = StillFace(still, points, np.zeros((478, 2), np.float32), False, 96, 0 * basis)
    differs = [(face(course, i) != moved(course, i)).mean() for i in range(30)]
    most, least = np.argmax(np.abs(course.shares)), np.argmin(np.abs(course.shares))
    assert differs[most] > 0.01 and differs[most] > differs[least]


class FromCourse:
    """A landmark source that knows what each frame shows."""

    def __init__(self, faces: np.ndarray) -> None:
        self._faces = faces

    def reset(self) -> None:
        pass

    def __call__(self, frame: Frame):
        return _Faces.of(self._faces[round(frame.stamp * RATE)])


class _Faces:
    def __init__(self, landmarks) -> None:
        self.landmarks = landmarks

    @classmethod
    def of(cls, landmarks):
        return [cls(landmarks)] if np.isfinite(landmarks).all() else []


def test_an_expression_is_read_from_the_way_from_rest_to_apex():
    rng = np.random.default_rng(0)
    faces = FACE + rng.normal(scale=0.5, size=(60, 478, 3)).astype(np.float32)
    faces[20:40, [61, 291], 0] += np.float32((-20, 20))
    faces[40:, [105, 334], 1] -= np.float32(20)
    shapes = Shapes.of(faces, ['neutral'] * 20 + ['happy'] * 20 + ['surprise'] * 20)
    intensity = np.interp(TIMES, (0.5, 1.0, 2.0, 2.5), (0, 0.8, 0.8, 0))
    images = [np.zeros((8, 8, 3), np.uint8)] * COUNT
    for points, axis, way, label in (
        ([61, 291], 0, (-20, 20), 'happy'),
        ([105, 334], 1, (-20, -20), 'surprise'),
    ):
        course = np.repeat(FACE[None], COUNT, axis=0)
        course[:, points, axis] += intensity[:, None].astype(np.float32) * np.float32(way)
        read = read_label(images, TIMES, intensity, shapes, FromCourse(course))
        assert read == label
    hidden = np.full((COUNT, 478, 3), np.nan, np.float32)
    assert read_label(images, TIMES, intensity, shapes, FromCourse(hidden)) is None


def test_a_film_is_cut_into_clips_of_its_face():
    landmarks = talk(speech())
    image = np.zeros((480, 480, 3), np.uint8)
    # The face's box is white.
    low, high = landmarks[..., :2].min(axis=(0, 1)), landmarks[..., :2].max(axis=(0, 1))
    image[int(low[1]) : int(high[1]), int(low[0]) : int(high[0])] = 255
    frames = [Frame(image, 5.0 + time) for time in TIMES]
    film = SeenFilm('film', frames, landmarks, recorded_motion('film', TIMES, landmarks))
    clips = list(film.clips(1.0, 15.0, 96))
    assert len(clips) == 3
    for times, speaks, images in clips:
        assert speaks and len(times) == len(images) == 15
        assert images[0].shape == (96, 96, 3)
        rows, columns = np.nonzero(images[0][..., 0] > 128)
        assert (rows.mean(), columns.mean()) == pytest.approx((47.5, 47.5), abs=1.5)


def test_films_without_a_face_are_named(tmp_path, monkeypatch):
    with pytest.raises(InputError, match='has no video'):
        films_in(tmp_path)
    blank = [np.full((96, 96, 3), 90, np.uint8)] * 20
    write_video(blank, tmp_path / 'blank.mp4', 15.0)
    (tmp_path / 'notes.txt').write_text('not a film')
    assert films_in(tmp_path) == films_in(tmp_path / 'blank.mp4') == [tmp_path / 'blank.mp4']

    class Blind:
        def reset(self) -> None:
            pass

        def __call__(self, frame: Frame):
            return []

    monkeypatch.setattr(set_films, 'landmarker_of', lambda *_: Blind())
    with pytest.raises(InputError, match=r'no film can be used: .*in 0 of 20 frames'):
        read_films((tmp_path / 'blank.mp4',), choose('face_mesh'))
    assert read_films((), choose('face_mesh')) == ([], [])


@needs_face_mesh
def test_a_turn_has_the_direction_in_which_stills_turn():
    from pathlib import Path

    image = read_image(Path(sources.__file__).parent / 'data' / 'astronaut.jpg')
    landmarker = open_landmarker(choose('face_mesh'), static=True)
    (face, *_) = landmarker(Frame(image, 0.0))
    points = face.landmarks - face.landmarks.mean(axis=0)
    turned = []
    for yaw, pitch in ((0, 0), (0.2, 0), (0, 0.2)):
        # The nose, which is near (z below 0), goes to the right, then down.
        x = points[:, 0] * np.cos(yaw) - points[:, 2] * np.sin(yaw)
        z = points[:, 2] * np.cos(yaw) + points[:, 0] * np.sin(yaw)
        y = points[:, 1] * np.cos(pitch) - z * np.sin(pitch)
        turned.append(np.stack([x, y, z * np.cos(pitch) + points[:, 1] * np.sin(pitch)], axis=1))
    landmarks = np.array(turned, np.float32) + 300
    nose = landmarks[:, 4, :2] - landmarks[:, [234, 454], :2].mean(axis=1)
    assert nose[1, 0] > nose[0, 0] and nose[2, 1] > nose[0, 1]
    turn = recorded_motion('turn', np.arange(3.0), landmarks).turn
    assert turn[1, 0] - turn[0, 0] == pytest.approx(0.2, abs=0.05)
    assert turn[2, 1] - turn[0, 1] == pytest.approx(0.2, abs=0.05)
