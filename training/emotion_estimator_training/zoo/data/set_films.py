"""Films of real people that a made set uses: as motion of its stills, and as clips of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.perception.landmarks.source import Choice
from emotion_estimator_training.zoo.data.face_tracks import landmarker_of
from emotion_estimator_training.zoo.data.recorded_motion import (
    RecordedMotion,
    face_course,
    recorded_motion,
)

Floats = NDArray[np.float64]

#: Side of the square that is cut out of a film, in heights of its face.
_SQUARE = 1.8
#: Seconds by which a frame may come before its time.
_EARLY = 1e-4


@dataclass(frozen=True, eq=False)
class Films:
    """Films of real people.

    :param talking: people who talk or rest without an expression: clips of their own, labelled
        neutral, and the motion of the stills; empty moves them by smooth oscillations.
    :param onsets: people whose expression appears: how fast it does; empty is a smooth rise.
    """

    talking: tuple[Path, ...] = ()
    onsets: tuple[Path, ...] = ()


@dataclass(frozen=True, eq=False)
class SeenFilm:
    """The frames of a film that show a face, and how it moves.

    :param frames: T frames.
    :param landmarks: float32 (T, 478, 3), in pixels.
    """

    name: str
    frames: list[Frame]
    landmarks: NDArray[np.float32]
    motion: RecordedMotion

    def clips(
        self, seconds: float, rate: float, size: int
    ) -> Iterator[tuple[Floats, bool, list[RgbImage]]]:
        """Cut the face into clips without overlap; what is left at the end is dropped.

        :param seconds: duration of a clip.
        :param rate: frames per second; a film with fewer repeats some.
        :param size: side of the frames in pixels.
        :returns: of each clip, times (N,) from 0, whether the person speaks, and the frames.
        """
        stamps = self.motion.times
        corners = np.concatenate([self.landmarks.min(axis=1), self.landmarks.max(axis=1)])
        low, high = corners[:, :2].min(axis=0), corners[:, :2].max(axis=0)
        heights = np.ptp(self.landmarks[..., 1], axis=1)
        scale = size / (_SQUARE * float(np.median(heights)))
        shift = (size - 1) / 2 - scale * (low + high) / 2
        matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)
        times = np.arange(max(round(seconds * rate), 1)) / rate
        for number in range(int((stamps[-1] + 1 / rate) / seconds)):
            rows = np.searchsorted(stamps, times + number * seconds - _EARLY)
            rows = np.minimum(rows, len(stamps) - 1)
            images = [
                cv2.warpAffine(
                    self.frames[row].image,
                    matrix,
                    (size, size),
                    flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
                    borderMode=cv2.BORDER_REPLICATE,
                )
                for row in rows
            ]
            yield times, self.motion.at(rows).speaks, [np.asarray(one, np.uint8) for one in images]


def read_films(paths: tuple[Path, ...], choice: Choice) -> tuple[list[SeenFilm], list[str]]:
    """Return the films, and one line for each that cannot be used.

    :raises InputError: none of them can be used.
    """
    seen: list[SeenFilm] = []
    left_out: list[str] = []
    for path in tqdm(paths, unit='film', desc='films', disable=not paths):
        try:
            times, landmarks, frames = face_course(path, landmarker_of(choice, 1))
        except InputError as error:
            left_out.append(str(error))
            continue
        motion = recorded_motion(path.stem, times, landmarks)
        seen.append(SeenFilm(path.stem, frames, landmarks, motion))
    if paths and not seen:
        raise InputError(f'no film can be used: {"; ".join(left_out)}')
    return seen, left_out
