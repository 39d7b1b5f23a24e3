"""Films of a made set: what happens in a clip, and its frames with light, noise and a hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.atomic_write import atomic_write
from emotion_estimator.errors import InputError

Floats = NDArray[np.float64]

#: Shares of clips in which the person speaks for a while, a hand passes, and the expression stays
#: to the end.
_SPEAKS, _HIDDEN, _STAYS = 0.4, 0.25, 0.3


@dataclass(frozen=True, eq=False)
class FilmCourse:
    """T frames; lengths in face widths.

    :param times: (T,), seconds.
    :param intensity: (T,), of the expression, 0 none to 1.
    :param phases: seconds at which onset, apex and offset begin and the offset ends; of a neutral
        clip empty.
    :param speech: (T,), how far the lower lip hangs.
    :param lids: (T,), 0 open to 1 closed.
    :param turn: (T, 2), of the head to the side and down, radians.
    :param roll: (T,), radians.
    :param zoom: (T,), about 1.
    :param shift: (T, 2), right and down.
    :param light: (T,), gain, about 1.
    :param hand: (T, 2), the middle of a hand, from the face's middle; NaN where there is none.
    :param hand_size: its half height.
    """

    times: Floats
    intensity: Floats
    phases: tuple[float, ...]
    speech: Floats
    lids: Floats
    turn: Floats
    roll: Floats
    zoom: Floats
    shift: Floats
    light: Floats
    hand: Floats
    hand_size: float

    @property
    def speaks(self) -> bool:
        """Whether the person speaks for a while."""
        return bool(self.speech.any())

    @property
    def hidden(self) -> float:
        """Share of the frames with a hand before the face."""
        return float(np.isfinite(self.hand[:, 0]).mean())


def make_course(neutral: bool, seconds: float, rate: float, rng: np.random.Generator) -> FilmCourse:
    """Return a course.

    :param neutral: no expression comes.
    :param rate: frames per second.
    :param rng: the only source of chance.
    """
    times = np.arange(max(round(seconds * rate), 1)) / rate
    intensity, phases = (np.zeros_like(times), ()) if neutral else _expression(times, seconds, rng)
    steady = rng.uniform(0.3, 1.0)
    hand, hand_size = _hand(times, seconds, rng)
    return FilmCourse(
        times,
        intensity,
        phases,
        _speech(times, seconds, rng),
        _lids(times, rng),
        np.stack([_sway(times, 0.10 * steady, rng), _sway(times, 0.06 * steady, rng)], axis=1),
        _sway(times, 0.07 * steady, rng),
        1 + _sway(times, 0.04 * steady, rng),
        np.stack([_sway(times, 0.05 * steady, rng), _sway(times, 0.04 * steady, rng)], axis=1),
        rng.uniform(0.8, 1.15) * (1 + _sway(times, 0.05, rng)),
        hand,
        hand_size,
    )


def smoothstep(x: Floats) -> Floats:
    """Return 0 up to 0, 1 from 1 on, and what rises smoothly between."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def _expression(
    times: Floats, seconds: float, rng: np.random.Generator
) -> tuple[Floats, tuple[float, ...]]:
    onset = seconds * rng.uniform(0.05, 0.25)
    apex = onset + min(rng.uniform(0.2, 0.7), 0.3 * seconds)
    offset = seconds * rng.uniform(0.65, 0.85)
    end = offset + rng.uniform(0.3, 0.9)
    if rng.random() < _STAYS:
        offset, end = seconds, seconds + 1.0
    strength = rng.uniform(0.6, 1.0)
    rise = smoothstep((times - onset) / (apex - onset))
    fall = smoothstep((times - offset) / (end - offset))
    held = 1 + _sway(times, 0.08, rng)
    return np.clip(strength * rise * (1 - fall) * held, 0, 1), (onset, apex, offset, end)


def _speech(times: Floats, seconds: float, rng: np.random.Generator) -> Floats:
    """Return openings three to six times a second, in a stretch of the clip."""
    if rng.random() >= _SPEAKS:
        return np.zeros_like(times)
    start = rng.uniform(0, 0.5) * seconds
    end = start + rng.uniform(0.3, 0.8) * seconds
    within = smoothstep((times - start) / 0.15) * smoothstep((end - times) / 0.15)
    waves = sum(
        np.sin(2 * np.pi * rng.uniform(2.0, 4.5) * times + rng.uniform(0, 2 * np.pi))
        for _ in range(3)
    )
    return rng.uniform(0.03, 0.08) * within * np.clip(0.35 + waves / 3, 0, 1)


def _lids(times: Floats, rng: np.random.Generator) -> Floats:
    closed = np.zeros_like(times)
    at = rng.uniform(0.0, 3.0)
    while at < times[-1]:
        closed = np.maximum(closed, 1 - smoothstep(np.abs(times - at) / 0.14))
        at += rng.uniform(1.5, 4.5)
    return closed


def _sway(times: Floats, size: float, rng: np.random.Generator) -> Floats:
    """Return slow movement of about ``size`` either way, about a place of its own."""
    waves = sum(
        np.sin(2 * np.pi * rng.uniform(0.1, 0.9) * times + rng.uniform(0, 2 * np.pi))
        for _ in range(2)
    )
    return size * (rng.normal() * 0.5 + 0.5 * waves)


def _hand(times: Floats, seconds: float, rng: np.random.Generator) -> tuple[Floats, float]:
    """Return where a hand passes, from one side, over a part of the face, and back."""
    place = np.full((len(times), 2), np.nan)
    size = rng.uniform(0.18, 0.34)
    if rng.random() >= _HIDDEN:
        return place, size
    start, stays = rng.uniform(0, 0.7) * seconds, rng.uniform(0.3, 1.0)
    goal = np.array([rng.uniform(-0.25, 0.25), rng.uniform(-0.3, 0.4)])
    outside = np.array([rng.choice([-1.2, 1.2]), goal[1] + 0.3])
    share = smoothstep((times - start) / 0.25) * smoothstep((start + stays - times) / 0.25)
    there = share > 0
    place[there] = outside + share[there, None] * (goal - outside)
    return place, size


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

    def __call__(self, course: FilmCourse, i: int) -> Image:
        """Return frame ``i`` of a course, uint8 (H, W, 3), RGB."""
        ...


def film(face: Face, course: FilmCourse, rng: np.random.Generator) -> list[Image]:
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
    image: Image, face: Face, course: FilmCourse, i: int, tone: float, tilt: float
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
    height, width = frames[0].shape[:2]
    with atomic_write(path) as partial:
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
            raise InputError(
                f'{path} cannot be written as MPEG-4; choose another folder, or make room'
            )
