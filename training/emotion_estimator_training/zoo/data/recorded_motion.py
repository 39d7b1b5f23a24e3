"""How faces in films move: head, eyelids, mouth and brows, to animate stills with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame
from emotion_estimator.perception.face_crop import rigid_frame
from emotion_estimator.perception.head_pose import head_pose
from emotion_estimator.perception.landmarks.base import Landmarker
from emotion_estimator.sources.video import VideoFile
from emotion_estimator_training.zoo.data.clips import VIDEO_SUFFIXES
from emotion_estimator_training.zoo.data.face_shapes import (
    LEFT_CHEEK,
    LOWER_LIDS,
    MOUTH_BOTTOM,
    MOUTH_TOP,
    RIGHT_CHEEK,
    UPPER_LIDS,
    expressed,
    own_frame,
)
from emotion_estimator_training.zoo.data.face_tracks import central

Floats = NDArray[np.float64]
Points = NDArray[np.float32]

#: Frames of a film that must show a face, and how many there must be.
_FOUND_SHARE, _LEAST_FRAMES = 0.9, 15
#: Share of a film's movement that its basis explains, and the most movements in it.
_EXPLAINED, _MOST_MOVEMENTS = 0.95, 8
#: Share of frames, those with the mouth most closed, that show the face at rest.
_REST_SHARE = 0.2
#: Openings of the eyes, relative to open ones, that count as closed and as open.
_SHUT, _OPEN = 0.35, 0.8
#: Radians and face widths beyond which a still cannot follow a head.
_MOST_TURN, _MOST_SHIFT = 0.25, 0.25
#: Standard deviation of the mouth's opening, in face widths, from which on somebody speaks.
_SPEAKS = 0.006
#: Opening of the mouth, in face widths, that a still can follow: beyond it, all look surprised.
_MOST_MOUTH = 0.12
#: What a motion has for each frame besides its time.
_COURSES = ('shares', 'lids', 'mouth', 'turn', 'roll', 'zoom', 'shift')
#: Points of a recorded onset, and the least seconds that it lasts.
_RISE_POINTS, _RISE_SECONDS = 16, 0.15


@dataclass(frozen=True, eq=False)
class RecordedMotion:
    """The movements of one face in T frames, relative to its rest.

    :param name: of the film.
    :param times: (T,), seconds from 0.
    :param basis: float32 (K, 478, 2), movements in the unit of :func:`~.made_faces.own_frame`;
        without the upper eyelids.
    :param shares: (T, K), how far each movement goes.
    :param lids: (T,), 0 (open) to 1 (closed).
    :param mouth: (T,), opening in face widths.
    :param turn: (T, 2), of the head to the right and down in the image, radians.
    :param roll: (T,), radians.
    :param zoom: (T,), about 1.
    :param shift: (T, 2), right and down, in face widths.
    """

    name: str
    times: Floats
    basis: Points
    shares: Floats
    lids: Floats
    mouth: Floats
    turn: Floats
    roll: Floats
    zoom: Floats
    shift: Floats

    @property
    def speaks(self) -> bool:
        """Whether the mouth opens and closes as in speech."""
        return float(self.mouth.std()) > _SPEAKS

    def at(self, rows: NDArray[np.intp]) -> RecordedMotion:
        """Return the motion in some of its frames."""
        return replace(self, **{name: getattr(self, name)[rows] for name in ('times', *_COURSES)})

    def piece(self, times: Floats, rng: np.random.Generator) -> RecordedMotion:
        """Return a random piece at other times, at up to a tenth more or less speed and strength.

        Where the film ends it runs backwards, so that nothing jumps.

        :param times: (N,), seconds, increasing.
        """
        length = float(self.times[-1])
        at = rng.uniform(0, length) + (times - times[0]) * rng.uniform(0.9, 1.1)
        # To the end and back.
        at = length - np.abs(at % (2 * length) - length)
        widest = max(float(np.quantile(self.mouth, 0.95)), 1e-6)
        strength = rng.uniform(0.9, 1.1) * min(_MOST_MOUTH / widest, 1.0)

        def sampled(values: Floats) -> Floats:
            columns = values.reshape(len(values), -1)
            found = np.stack([np.interp(at, self.times, one) for one in columns.T], axis=-1)
            return np.asarray(found.reshape(len(at), *values.shape[1:]), np.float64)

        courses: dict[str, Any] = {name: sampled(getattr(self, name)) for name in _COURSES}
        courses['shares'] *= strength
        return replace(self, times=times, **courses)


def films_in(path: Path) -> list[Path]:
    """Return the videos of a folder by name, or the one that the path names.

    :raises InputError: there is none.
    """
    found = [path] if path.is_file() else sorted(path.glob('*')) if path.is_dir() else []
    films = [one for one in found if one.suffix.lower() in VIDEO_SUFFIXES]
    if not films:
        raise InputError(f'{path} has no video; pass a film of a face, or a folder of such films')
    return films


def face_course(
    film: Path, landmarker: Landmarker
) -> tuple[Floats, NDArray[np.float32], list[Frame]]:
    """Return seconds (T,), landmarks (T, 478, 3) in pixels, and the frames that show a face.

    :raises InputError: the film cannot be decoded, or hardly shows a face.
    """
    landmarker.reset()
    times, points, frames, count = [], [], [], 0
    for frame in VideoFile(film).frames():
        count += 1
        height, width = frame.image.shape[:2]
        face = central(landmarker(frame), width, height)
        if face is not None and np.isfinite(face.landmarks).all():
            times.append(frame.stamp)
            points.append(face.landmarks)
            frames.append(frame)
    if len(times) < max(_LEAST_FRAMES, _FOUND_SHARE * count):
        raise InputError(
            f'{film} shows a face in {len(times)} of {count} frames; pass a film of at least '
            f'{_LEAST_FRAMES} frames with one face in nearly all of them'
        )
    return np.array(times) - times[0], np.array(points, np.float32), frames


def recorded_motion(name: str, times: Floats, landmarks: Points) -> RecordedMotion:
    """Return how a face moves.

    Head turns and proportions are removed from the movements of the face by the affine map that
    fits the steady points best; what is left is reduced to its principal components.

    :param times: (T,), seconds, increasing.
    :param landmarks: (T, 478, 3), in pixels.
    """
    level = own_frame(landmarks)
    cheeks = landmarks[:, LEFT_CHEEK, :2] - landmarks[:, RIGHT_CHEEK, :2]
    widths = np.maximum(np.hypot(cheeks[:, 0], cheeks[:, 1]), 1.0)
    mouth = mouth_opening(landmarks)
    closed = np.argsort(mouth, kind='stable')[: max(int(_REST_SHARE * len(mouth)), 1)]
    rest = np.asarray(level[closed].mean(axis=0), np.float32)
    movements = np.stack([expressed(points, rest) for points in level])
    # Lids move on their own, with a narrower spread.
    movements[:, list(UPPER_LIDS)] = 0
    basis, shares = _principal(movements)
    centre, size, across = rigid_frame(landmarks)
    poses = [head_pose(points).angles for points in landmarks]
    yaw, pitch, _ = np.radians(np.array(poses, np.float64)).T
    turn = np.stack([yaw - np.median(yaw), np.median(pitch) - pitch], axis=1)
    roll = np.unwrap(np.arctan2(across[:, 1], across[:, 0]).astype(np.float64))
    shift = (centre[:, :2] - np.median(centre[:, :2], axis=0)) / np.median(widths)
    return RecordedMotion(
        name,
        times,
        basis,
        shares,
        _closed_lids(level),
        mouth,
        np.clip(turn, -_MOST_TURN, _MOST_TURN),
        np.clip(roll - np.median(roll), -_MOST_TURN, _MOST_TURN),
        np.asarray(size / np.median(size), np.float64),
        np.clip(shift.astype(np.float64), -_MOST_SHIFT, _MOST_SHIFT),
    )


def mouth_opening(landmarks: Points) -> Floats:
    """Return the distance of the lips' inner edges (T,) in face widths.

    :param landmarks: (T, 478, 2 or more).
    """
    cheeks = landmarks[:, LEFT_CHEEK, :2] - landmarks[:, RIGHT_CHEEK, :2]
    lips = landmarks[:, MOUTH_BOTTOM, :2] - landmarks[:, MOUTH_TOP, :2]
    widths = np.maximum(np.hypot(cheeks[:, 0], cheeks[:, 1]), 1e-6)
    return np.asarray(np.hypot(lips[:, 0], lips[:, 1]) / widths, np.float64)


def recorded_rise(motion: RecordedMotion) -> Floats | None:
    """Return the time course of the film's greatest movement from rest, or None if there is none.

    :returns: (16,), from 0 to 1, at equal intervals from onset to apex.
    """
    course = np.linalg.norm(motion.shares, axis=1)
    if not course.any():
        return None
    low, high = np.quantile(course, (0.05, 0.95))
    course = np.clip((course - low) / max(high - low, 1e-9), 0, 1)
    apex = next((i for i in range(len(course)) if course[i] >= 0.9), None)
    if apex is None:
        return None
    onset = next((i for i in range(apex, -1, -1) if course[i] <= 0.1), None)
    if onset is None or motion.times[apex] - motion.times[onset] < _RISE_SECONDS:
        return None
    at = np.linspace(motion.times[onset], motion.times[apex], _RISE_POINTS)
    rise = np.interp(at, motion.times, course)
    return np.asarray((rise - rise[0]) / (rise[-1] - rise[0]), np.float64)


def _principal(movements: Points) -> tuple[Points, Floats]:
    """Return orthogonal movements (K, 478, 2) of unit norm, and each frame's shares (T, K)."""
    flat = movements.reshape(len(movements), -1).astype(np.float64)
    _, spread, right = np.linalg.svd(flat, full_matrices=False)
    explained = np.cumsum(spread**2) / max(float((spread**2).sum()), 1e-12)
    count = min(int(np.searchsorted(explained, _EXPLAINED)) + 1, _MOST_MOVEMENTS, len(spread))
    basis = right[:count]
    return basis.reshape(count, -1, 2).astype(np.float32), flat @ basis.T


def _closed_lids(level: Points) -> Floats:
    """Return how far the eyes are closed (T,), 0 to 1."""
    gaps = level[:, list(LOWER_LIDS), :2] - level[:, list(UPPER_LIDS), :2]
    opening = np.hypot(gaps[..., 0], gaps[..., 1]).mean(axis=1)
    relative = opening / max(float(np.quantile(opening, 0.9)), 1e-6)
    return np.asarray(np.clip((_OPEN - relative) / (_OPEN - _SHUT), 0, 1), np.float64)
