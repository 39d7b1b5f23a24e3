"""Reads a network's inputs from windows: face parts, flow, blendshapes, encodings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator.perception.face_parts import FACE, cover, motion, part_image
from emotion_estimator.perception.window_classifier import (
    EMBEDDING,
    ENCODING,
    FLOW,
    SHAPES,
    WindowInput,
)
from emotion_estimator_training.zoo.data.face_tracks import FaceTrack
from emotion_estimator_training.zoo.data.windows import Windows

Floats = NDArray[np.float32]


class InputReader:
    """Reads a network's inputs from windows; each track is processed once and cached.

    :param inputs: in the network's order.
    :param encode: returns an ``encoding`` or ``embedding`` (T, E) of all frames of a track; its
        second argument is ``covered``.
    :param covered: draw a face mask over mouth and nose. Blendshapes stay those of the open face.
    """

    def __init__(
        self,
        inputs: Sequence[WindowInput],
        encode: Callable[[FaceTrack, bool], Floats] | None = None,
        covered: bool = False,
    ) -> None:
        self._inputs, self._encode, self._covered = tuple(inputs), encode, covered
        self._tracks: dict[tuple[FaceTrack, WindowInput], NDArray[Any]] = {}
        self._flows: dict[tuple[FaceTrack, int, int, int], Floats] = {}

    def __call__(self, windows: Windows) -> list[Floats]:
        """Return one float32 array (N, *shape) for each input."""
        return [self._read(windows, one) for one in self._inputs]

    def _read(self, windows: Windows, one: WindowInput) -> Floats:
        if one.kind == FLOW:
            return np.stack(
                [
                    self._flow(windows.tracks[track], frames, one)
                    for track, frames in zip(windows.track, windows.frames)
                ]
            )
        values = np.stack(
            [
                self._of_track(windows.tracks[track], one)[frames[-1] if one.last else frames]
                for track, frames in zip(windows.track, windows.frames)
            ]
        )
        # Pixels are cached as bytes.
        scale = 255 if values.dtype == np.uint8 else 1
        return np.asarray(values, np.float32) / np.float32(scale)

    def _of_track(self, track: FaceTrack, one: WindowInput) -> NDArray[Any]:
        """Return an input's values of all frames of a track, (T, ...)."""
        key = (track, one)
        if key not in self._tracks:
            self._tracks[key] = self._computed(track, one)
        return self._tracks[key]

    def _computed(self, track: FaceTrack, one: WindowInput) -> NDArray[Any]:
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

    def _flow(self, track: FaceTrack, frames: NDArray[np.int64], one: WindowInput) -> Floats:
        """Return the optical flow between the frames of a window, (side, side, 2 (L - 1))."""
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
        return motion(self._grey(track, before, side), self._grey(track, after, side))

    def _grey(self, track: FaceTrack, frame: int, side: int) -> NDArray[np.uint8]:
        face = part_image(self._crop(track, frame), track.landmarks[frame], FACE, side)
        return np.asarray(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), np.uint8)
