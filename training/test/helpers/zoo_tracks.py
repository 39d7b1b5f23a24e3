"""Made tracks for the zoo's tests: the mouth changes its shade over time, by class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from emotion_estimator.perception.face_parts import PARTS
from emotion_estimator_training.zoo.data.clips import Clip
from emotion_estimator_training.zoo.data.face_tracks import FaceTrack
from emotion_estimator_training.zoo.data.video_set import VideoSet

CLASSES = ('happy', 'sad')
SIDE = 32
#: Middle, half width and half height of each part, relative to the side of the crop.
_PLACES = {
    'left_eyebrow': (0.7, 0.3, 0.12, 0.03),
    'right_eyebrow': (0.3, 0.3, 0.12, 0.03),
    'left_eye': (0.7, 0.4, 0.08, 0.04),
    'right_eye': (0.3, 0.4, 0.08, 0.04),
    'nose': (0.5, 0.5, 0.1, 0.12),
    'mouth': (0.5, 0.75, 0.18, 0.07),
}


def made_landmarks(side: int = SIDE) -> np.ndarray:
    """Return landmarks (478, 3) of a face that fills a crop."""
    angle = np.linspace(0, 2 * np.pi, 478, endpoint=False)
    points = np.stack([0.5 + 0.4 * np.sin(angle), 0.5 - 0.45 * np.cos(angle), 0 * angle], axis=1)
    # The jaw, from ear to ear, under a bridge of the nose.
    for number, point in enumerate(
        (
            93,
            132,
            58,
            172,
            136,
            150,
            149,
            176,
            148,
            152,
            377,
            400,
            378,
            379,
            365,
            397,
            288,
            361,
            323,
        )
    ):
        turn = np.pi * number / 18
        points[point, :2] = 0.5 - 0.4 * np.cos(turn), 0.55 + 0.4 * np.sin(turn)
    for part, (x, y, wide, high) in _PLACES.items():
        for number, point in enumerate(PARTS[part]):
            turn = 2 * np.pi * number / len(PARTS[part])
            points[point, :2] = x + wide * np.cos(turn), y + high * np.sin(turn)
    return (points * side).astype(np.float32)


def made_track(
    label: str,
    subject: str,
    frames: int = 12,
    seed: int = 0,
    side: int = SIDE,
    classes: tuple[str, ...] = CLASSES,
) -> FaceTrack:
    """Return a track in which brightness of the mouth and smile depend on the label."""
    rng = np.random.default_rng([seed, classes.index(label)])
    crops = rng.integers(90, 110, (frames, side, side, 3)).astype(np.uint8)
    strength = np.sin(np.linspace(0.3, np.pi - 0.3, frames))
    shade = 60 + 180 * classes.index(label) / max(len(classes) - 1, 1)
    top, bottom = int(0.66 * side), int(0.84 * side)
    for frame, much in enumerate(strength):
        mouth = crops[frame, top:bottom, side // 4 : 3 * side // 4]
        mouth[:] = (mouth * (1 - much) + shade * much).astype(np.uint8)
    blendshapes = rng.uniform(0, 0.1, (frames, 52)).astype(np.float32)
    blendshapes[:, 44 + classes.index(label)] += 0.8 * strength.astype(np.float32)
    landmarks = np.repeat(made_landmarks(side)[None], frames, axis=0)
    return FaceTrack(
        Clip(f'{subject}_{label}_{seed}', Path('/nowhere'), label, subject),
        np.arange(frames) / 10.0,
        crops,
        landmarks,
        blendshapes,
        np.ones(frames, bool),
    )


def made_tracks(
    count: int = 3,
    frames: int = 12,
    classes: tuple[str, ...] = CLASSES,
    first: int = 0,
) -> tuple[FaceTrack, ...]:
    """Return ``count`` tracks of each class."""
    return tuple(
        made_track(label, f's{number}', frames, number, classes=classes)
        for number in range(first, first + count)
        for label in classes
    )


def made_video() -> VideoSet:
    """Return a small split set of two classes, with a problem and a warning."""
    tracks = {
        'train': made_tracks(2, 10),
        'validation': made_tracks(1, 10, first=5),
        'test': made_tracks(1, 10, first=8),
    }
    return VideoSet(CLASSES, tracks, 10.0, ['2 clips are not there'], ['CROSS'])
