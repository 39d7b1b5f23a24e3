"""Tracks of videos: what is kept of each frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from emotion_estimator.emotion import Roi
from emotion_estimator.frame import Frame
from emotion_estimator.perception.face_crop import crop
from emotion_estimator.perception.landmarks.base import FaceLandmarks
from emotion_estimator_training.features.clips import track
from emotion_estimator_training.features.feature_set import SHAPES

FACE = np.random.default_rng(5).normal(0, 25, (478, 3)).astype(np.float32)


class Sees:
    """Finds a face in the middle; in the third frame far outside the image, in the fifth none."""

    name = 'face_mesh'

    def reset(self) -> None:
        self._frames = 0

    def __call__(self, frame):
        self._frames += 1
        if self._frames == 5:
            return ()
        middle = np.array([500, 500, 0] if self._frames == 3 else [100, 100, 0], np.float32)
        return (
            FaceLandmarks(
                FACE + middle, np.full(SHAPES, 0.2, np.float32), Roi(x=0, y=0, width=9, height=9)
            ),
        )


def frames(count=12):
    rng = np.random.default_rng(6)
    return [
        Frame(rng.integers(0, 256, (200, 200, 3)).astype(np.uint8), n / 10) for n in range(count)
    ]


def test_crops_are_of_the_frames_that_show_the_face() -> None:
    shown = frames()
    (found,) = track('a', shown, [Sees()])
    assert len(found.times) == len(found.crops) == 11
    np.testing.assert_array_equal(
        found.crops[0], crop(shown[0].image, FACE + np.array([100, 100, 0], np.float32))
    )
    assert not found.crops[2].any(), 'the image does not show it'
    assert found.crops[[0, 1, 3]].any(axis=(1, 2)).all()


def test_what_is_not_shown_is_not_known() -> None:
    (found,) = track('a', frames(), [Sees()])
    vectors = replace(found, embeddings=np.ones((11, 64), np.float32)).vectors
    assert vectors[0, -2:].tolist() == [1, 1]
    assert vectors[2, -2:].tolist() == [0, 1]
    assert not vectors[2, SHAPES:-2].any()
    assert found.vectors[0, -2:].tolist() == [0, 1], 'no embeddings were asked for'
