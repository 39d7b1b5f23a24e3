"""What models look at: parts, faces, flow, blendshapes, encodings of windows of faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator.perception.face_parts import FACE, cover, motion, part_image
from emotion_estimator.perception.window_classifier import EMBEDDING, ENCODING, FLOW, IMAGE, SHAPES
from emotion_estimator.perception.window_classifier import WindowInput as Input
from emotion_estimator_training.zoo.data.frames import FaceTrack
from emotion_estimator_training.zoo.data.windows import Windows

Floats = NDArray[np.float32]

__all__ = ['EMBEDDING', 'ENCODING', 'FLOW', 'IMAGE', 'SHAPES', 'Input', 'InputReader']


class InputReader:
    """Gathers models' inputs from windows; what it cut out of a frame it keeps.

    :param inputs: in the model's order.
    :param encode: for an ``encoding`` or ``embedding``: what becomes of all frames of a track,
        (T, size).
    :param covered: with a face mask over mouth and nose. Blendshapes stay those of the open face.
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        encode: Callable[[FaceTrack, bool], Floats] | None = None,
        covered: bool = False,
    ) -> None:
        self._inputs, self._encode, self._covered = tuple(inputs), encode, covered
        self._kept: dict[tuple[FaceTrack, Input], NDArray[Any]] = {}
        self._flows: dict[tuple[FaceTrack, int, int, int], Floats] = {}

    def __call__(self, windows: Windows) -> list[Floats]:
        """Return one float32 array (N, *shape) for each input."""
        return [self._gather(windows, one) for one in self._inputs]

    def _gather(self, windows: Windows, one: Input) -> Floats:
        if one.kind == FLOW:
            return np.stack(
                [
                    self._flow(windows.tracks[track], frames, one)
                    for track, frames in zip(windows.track, windows.frames)
                ]
            )
        rows = []
        for track, frames in zip(windows.track, windows.frames):
            wanted = frames[-1] if one.last else frames
            rows.append(self._frames(windows.tracks[track], one)[wanted])
        found = np.stack(rows)
        # Pixels are kept as bytes.
        return found.astype(np.float32) / 255 if found.dtype == np.uint8 else found

    def _frames(self, track: FaceTrack, one: Input) -> NDArray[Any]:
        key = (track, one)
        if key not in self._kept:
            self._kept[key] = self._made(track, one)
        return self._kept[key]

    def _made(self, track: FaceTrack, one: Input) -> NDArray[Any]:
        if one.kind == SHAPES:
            return track.blendshapes
        if one.kind in (ENCODING, EMBEDDING):
            if self._encode is None:
                raise InputError('encodings need a network that reads single frames')
            return self._encode(track, self._covered)
        return np.stack(
            [
                part_image(
                    self._crop(track, frame), track.landmarks[frame], one.part, one.side, one.colour
                )
                for frame in range(len(track))
            ]
        )

    def _crop(self, track: FaceTrack, frame: int) -> NDArray[np.uint8]:
        crop = track.crops[frame]
        return cover(crop, track.landmarks[frame]) if self._covered else crop

    def _flow(self, track: FaceTrack, frames: NDArray[np.int64], one: Input) -> Floats:
        pairs = []
        for before, after in zip(frames[:-1].tolist(), frames[1:].tolist()):
            key = (track, one.side, before, after)
            if key not in self._flows:
                self._flows[key] = self._motion(track, before, after, one.side)
            pairs.append(self._flows[key])
        return np.concatenate(pairs, axis=-1)

    def _motion(self, track: FaceTrack, before: int, after: int, side: int) -> Floats:
        if before == after:
            return np.zeros((side, side, 2), np.float32)
        images = [
            cv2.cvtColor(
                part_image(self._crop(track, frame), track.landmarks[frame], FACE, side),
                cv2.COLOR_RGB2GRAY,
            )
            for frame in (before, after)
        ]
        return motion(*images)
