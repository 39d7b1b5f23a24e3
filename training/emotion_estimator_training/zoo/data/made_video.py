"""Videos of a made set: what happens in a clip, and its frames with light, noise and a hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.atomic_write import atomic_write
from emotion_estimator.errors import InputError
from emotion_estimator_training.zoo.data.recorded_motion import RecordedMotion

Floats = NDArray[np.float64]
Image = NDArray[np.uint8]

#: Shares of clips in which the person speaks for a while, a hand passes, and the expression stays
#: until the end.
_SPEAKS, _HIDDEN, _STAYS = 0.4, 0.25, 0.3


@dataclass(frozen=True, eq=False)
class FilmCourse:
    """What happens in the T frames of a clip; lengths in face widths.

    :param times: (T,), seconds.
    :param intensity: (T,), of the expression, 0 (none) to 1.
    :param phases: seconds at which onset, apex and offset begin and the offset ends; empty for a
        neutral clip.
    :param speech: (T,), opening of the mouth.
    :param lids: (T,), 0 (open) to 1 (closed).
    :param turn: (T, 2), of the head sideways and down, radians.
    :param roll: (T,), radians.
    :param zoom: (T,), about 1.
    :param shift: (T, 2), right and down.
    :param speaks: whether the person speaks for a while.
    :param light: (T,), gain, about 1.
    :param hand: (T, 2), middle of a hand relative to the middle of the face; NaN without a hand.
    :param hand_size: half its height.
    :param shares: (T, K), of the recorded movements that the face has besides; K may be 0.
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
    shares: Floats
    speaks: bool

    @property
    def hidden(self) -> float:
        """Share of frames with a hand in front of the face."""
        return float(np.isfinite(self.hand[:, 0]).mean())


def make_course(
    neutral: bool,
    seconds: float,
    rate: float,
    rng: np.random.Generator,
    motion: RecordedMotion | None = None,
    rise: Floats | None = None,
) -> FilmCourse:
    """Return a random course.

    :param neutral: without an expression.
    :param seconds: duration.
    :param rate: frames per second.
    :param rng: determines the course.
    :param motion: of a film, a piece of which moves head, lids and mouth; None draws smooth
        oscillations instead.
    :param rise: of an expression, (M,) from 0 to 1 at equal intervals; None rises smoothly.
    """
    times = np.arange(max(round(seconds * rate), 1)) / rate
    intensity, phases = (
        (np.zeros_like(times), ()) if neutral else _expression(times, seconds, rng, rise)
    )
    hand, hand_size = _hand(times, seconds, rng)
    if motion is not None:
        piece = motion.piece(times, rng)
        return FilmCourse(
            times,
            intensity,
            phases,
            np.zeros_like(times),
            piece.lids,
            piece.turn,
            piece.roll,
            piece.zoom,
            piece.shift,
            rng.uniform(0.8, 1.15) * (1 + _sway(times, 0.05, rng)),
            hand,
            hand_size,
            piece.shares,
            piece.speaks,
        )
    liveliness = rng.uniform(0.3, 1.0)
    speech = _speech(times, seconds, rng)
    return FilmCourse(
        times,
        intensity,
        phases,
        speech,
        _lids(times, rng),
        np.stack(
            [_sway(times, 0.10 * liveliness, rng), _sway(times, 0.06 * liveliness, rng)], axis=1
        ),
        _sway(times, 0.07 * liveliness, rng),
        1 + _sway(times, 0.04 * liveliness, rng),
        np.stack(
            [_sway(times, 0.05 * liveliness, rng), _sway(times, 0.04 * liveliness, rng)], axis=1
        ),
        rng.uniform(0.8, 1.15) * (1 + _sway(times, 0.05, rng)),
        hand,
        hand_size,
        np.zeros((len(times), 0)),
        bool(speech.any()),
    )


def smoothstep(x: Floats) -> Floats:
    """Return 0 below 0, 1 above 1, and a smooth rise in between."""
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x), np.float64)


def _expression(
    times: Floats, seconds: float, rng: np.random.Generator, recorded: Floats | None
) -> tuple[Floats, tuple[float, ...]]:
    onset = seconds * rng.uniform(0.05, 0.25)
    apex = onset + min(rng.uniform(0.2, 0.7), 0.3 * seconds)
    offset = seconds * rng.uniform(0.65, 0.85)
    end = offset + rng.uniform(0.3, 0.9)
    if rng.random() < _STAYS:
        offset, end = seconds, seconds + 1.0
    strength = rng.uniform(0.6, 1.0)
    rise = (times - onset) / (apex - onset)
    if recorded is None:
        rise = smoothstep(rise)
    else:
        rise = np.interp(rise, np.linspace(0, 1, len(recorded)), recorded)
    fall = smoothstep((times - offset) / (end - offset))
    tremor = 1 + _sway(times, 0.08, rng)
    return np.clip(strength * rise * (1 - fall) * tremor, 0, 1), (onset, apex, offset, end)


def _speech(times: Floats, seconds: float, rng: np.random.Generator) -> Floats:
    """Return openings of the mouth, a few times a second, during a part of the clip."""
    if rng.random() >= _SPEAKS:
        return np.zeros_like(times)
    start = rng.uniform(0, 0.5) * seconds
    end = start + rng.uniform(0.3, 0.8) * seconds
    within = smoothstep((times - start) / 0.15) * smoothstep((end - times) / 0.15)
    waves = sum(
        np.sin(2 * np.pi * rng.uniform(2.0, 4.5) * times + rng.uniform(0, 2 * np.pi))
        for _ in range(3)
    )
    openings = rng.uniform(0.03, 0.08) * within * np.clip(0.35 + waves / 3, 0, 1)
    return np.asarray(openings, np.float64)


def _lids(times: Floats, rng: np.random.Generator) -> Floats:
    closed = np.zeros_like(times)
    at = rng.uniform(0.0, 3.0)
    while at < times[-1]:
        closed = np.maximum(closed, 1 - smoothstep(np.abs(times - at) / 0.14))
        at += rng.uniform(1.5, 4.5)
    return closed


def _sway(times: Floats, size: float, rng: np.random.Generator) -> Floats:
    """Return a slow oscillation of about ``size`` around a random offset."""
    waves = sum(
        np.sin(2 * np.pi * rng.uniform(0.1, 0.9) * times + rng.uniform(0, 2 * np.pi))
        for _ in range(2)
    )
    return np.asarray(size * (rng.normal() * 0.5 + 0.5 * waves), np.float64)


def _hand(times: Floats, seconds: float, rng: np.random.Generator) -> tuple[Floats, float]:
    """Return the path (T, 2) of a hand from one side over a part of the face and back; its size."""
    path = np.full((len(times), 2), np.nan)
    size = rng.uniform(0.18, 0.34)
    if rng.random() >= _HIDDEN:
        return path, size
    start, stays = rng.uniform(0, 0.7) * seconds, rng.uniform(0.3, 1.0)
    goal = np.array([rng.uniform(-0.25, 0.25), rng.uniform(-0.3, 0.4)])
    outside = np.array([rng.choice([-1.2, 1.2]), goal[1] + 0.3])
    share = smoothstep((times - start) / 0.25) * smoothstep((start + stays - times) / 0.25)
    visible = share > 0
    path[visible] = outside + share[visible, None] * (goal - outside)
    return path, size


class Face(Protocol):
    """Renders a face; ``middle`` and ``width`` are in pixels of the frame."""

    @property
    def middle(self) -> NDArray[np.floating[Any]]:
        """Middle of the face (2,), before it moves."""
        ...

    @property
    def width(self) -> float:
        """Width of the face."""
        ...

    def __call__(self, course: FilmCourse, i: int) -> Image:
        """Return frame ``i`` of a course, uint8 (H, W, 3), RGB."""
        ...


def film(face: Face, course: FilmCourse, rng: np.random.Generator) -> list[Image]:
    """Return the frames of a clip, uint8 (H, W, 3), RGB.

    :param rng: determines the noise and the look of the hand.
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
    """Draw a hand as an ellipse of about the face's colour, darker at its edge."""
    x, y = face.middle + course.hand[i] * face.width
    height = course.hand_size * face.width
    mask = np.zeros(image.shape[:2], np.uint8)
    box = ((float(x), float(y)), (1.3 * height, 2.6 * height), tilt)
    cv2.ellipse(mask, box, (255,), -1)
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.015 * face.width, 0.5)) / np.float32(255)
    inner = cv2.GaussianBlur(mask, (0, 0), max(0.25 * height, 0.5)) / np.float32(255)
    colour = np.median(image.reshape(-1, 3), axis=0).astype(np.float32) * np.float32(tone)
    hand = colour * (np.float32(0.55) + np.float32(0.45) * inner[..., None])
    mixed = image + soft[..., None] * (hand - image)
    return np.asarray(np.clip(mixed, 0, 255), np.uint8)


def write_video(frames: list[Image], path: Path, rate: float) -> None:
    """Write a video as MPEG-4, complete or not at all.

    :param frames: uint8 (H, W, 3), RGB.
    :param rate: frames per second.
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
