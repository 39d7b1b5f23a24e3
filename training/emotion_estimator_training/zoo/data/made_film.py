"""Films a made face: a hand before it, light and noise over it, and a video of it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator_training.zoo.data.made_course import Course

Image = NDArray[np.uint8]


class Face(Protocol):
    """A face that can be filmed; ``middle`` and ``width`` in pixels of the frame."""

    @property
    def middle(self) -> NDArray:
        """Where its middle is, (2,)."""
        ...

    @property
    def width(self) -> float:
        """How wide it is."""
        ...

    def __call__(self, course: Course, i: int) -> Image:
        """Return frame ``i`` of a course, uint8 (H, W, 3), RGB."""
        ...


def film(face: Face, course: Course, rng: np.random.Generator) -> list[Image]:
    """Return a clip's frames, uint8 (H, W, 3), RGB.

    :param rng: decides the noise and what the hand looks like.
    """
    noise, tone = rng.uniform(1.0, 5.0), rng.uniform(0.75, 1.15)
    tilt = float(rng.uniform(-40, 40))
    frames = []
    for i in range(len(course.times)):
        image = face(course, i)
        if np.isfinite(course.hand[i, 0]):
            image = _with_hand(image, face, course, i, tone, tilt)
        lit = image * np.float32(course.light[i])
        lit += rng.normal(scale=noise, size=image.shape[:2])[..., None]
        frames.append(np.clip(np.rint(lit), 0, 255).astype(np.uint8))
    return frames


def _with_hand(
    image: Image, face: Face, course: Course, i: int, tone: float, tilt: float
) -> Image:
    """Lay an ellipse of about the face's own colour over it, darker at its edge."""
    x, y = face.middle + course.hand[i] * face.width
    height = course.hand_size * face.width
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.ellipse(mask, ((float(x), float(y)), (1.3 * height, 2.6 * height), tilt), 255, -1)
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.015 * face.width, 0.5)) / np.float32(255)
    inner = cv2.GaussianBlur(mask, (0, 0), max(0.25 * height, 0.5)) / np.float32(255)
    colour = np.median(image.reshape(-1, 3), axis=0).astype(np.float32) * np.float32(tone)
    hand = colour * (np.float32(0.55) + np.float32(0.45) * inner[..., None])
    mixed = image + soft[..., None] * (hand - image)
    return np.clip(mixed, 0, 255).astype(np.uint8)


def write_video(frames: list[Image], path: Path, rate: float) -> None:
    """Write a video as MPEG-4; an interrupted one leaves nothing behind.

    :raises InputError: it cannot be written.
    """
    partial = path.with_name(f'.{path.name}')
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(
        str(partial), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*'mp4v'), rate, (width, height)
    )
    try:
        for frame in frames:
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        written = writer.isOpened()
    finally:
        writer.release()
    if not written or not partial.is_file():
        raise InputError(f'{path} cannot be written as MPEG-4; choose another folder, or make room')
    partial.replace(path)
