"""Tracks: the first face of a video, as each landmark source tracks it from frame to frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame
from emotion_estimator.perception.face_crop import SIDE, visible_crop
from emotion_estimator.perception.landmarks.base import Landmarker
from emotion_estimator.perception.landmarks.face_landmarker import FaceLandmarker
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead, FaceMesh
from emotion_estimator.sources.portrait import Portrait
from emotion_estimator.sources.video import VideoFile
from emotion_estimator_training.features.feature_set import SHAPES, face_vectors
from emotion_estimator_training.sequences.constructed import ConstructedSequences

_SUFFIXES = ('.mp4', '.gif', '.avi', '.webm', '.mov')
#: Seconds of the animated portrait until the person leaves.
_PORTRAIT_S = 17.0


@dataclass(frozen=True, eq=False)
class Track:
    """The first face of a video, in the frames in which it is found.

    :param name: the video.
    :param source: the landmark source.
    :param times: float64 (T,), seconds since the start of the video.
    :param blendshapes: float32 (T, 52), 0 to 1.
    :param truth: right label of each frame; empty if unknown.
    :param crops: uint8 (T, 48, 48), zeros for a face outside the frame; None if not kept.
    :param embeddings: float32 (T, 64), of the crops; None if not computed.
    """

    name: str
    source: str
    times: NDArray[np.float64]
    blendshapes: NDArray[np.float32]
    truth: tuple[str, ...] = ()
    crops: NDArray[np.uint8] | None = None
    embeddings: NDArray[np.float32] | None = None

    @property
    def vectors(self) -> NDArray[np.float32]:
        """Return the face's vector in each frame, (T, 118); see :func:`~.face_vectors`."""
        vectors = face_vectors(self.blendshapes, self.embeddings)
        if self.crops is not None:
            vectors[~self.crops.any(axis=(1, 2)), SHAPES:-1] = 0
        return vectors

    @property
    def sequence(self) -> ConstructedSequences:
        """Return the track as a batch of one; the first frame lasts a thirtieth of a second."""
        steps = np.diff(self.times, prepend=self.times[0] - 1 / 30)
        return ConstructedSequences(self.vectors[None], steps[None].astype(np.float32))


def clip_paths(folder: Path) -> list[Path]:
    """Return the videos of a folder.

    :raises InputError: it does not exist or holds no videos.
    """
    paths = sorted(p for p in folder.glob('*') if p.suffix in _SUFFIXES)
    if not paths:
        raise InputError(f'{folder} holds no videos ({", ".join(_SUFFIXES)}); give another folder')
    return paths


def open_sources(
    teacher: Path | None, head: BlendshapeHead, static: bool = False
) -> list[Landmarker]:
    """Open a landmarker of each available source.

    :param teacher: ``face_landmarker.task``; None leaves out the Face Landmarker.
    :param static: process every frame as an unrelated image instead of tracking.
    """
    mesh = FaceMesh(head, static=static)
    return [mesh] if teacher is None else [FaceLandmarker(teacher, static=static), mesh]


def track(name: str, frames: Iterable[Frame], landmarkers: list[Landmarker]) -> list[Track]:
    """Track the first face through a video with each source.

    Sources that see a face for less than a second are left out.
    """
    times: list[list[float]] = [[] for _ in landmarkers]
    scores: list[list[NDArray[np.float32]]] = [[] for _ in landmarkers]
    crops: list[list[NDArray[np.uint8]]] = [[] for _ in landmarkers]
    truth: list[list[str]] = [[] for _ in landmarkers]
    for landmarker in landmarkers:
        landmarker.reset()
    for frame in frames:
        for k, landmarker in enumerate(landmarkers):
            faces = landmarker(frame)
            if faces:
                times[k].append(frame.stamp)
                scores[k].append(faces[0].blendshapes)
                crop = visible_crop(frame.image, faces[0].landmarks)
                crops[k].append(np.zeros((SIDE, SIDE), np.uint8) if crop is None else crop)
                truth[k].append(frame.truth or '')
    return [
        Track(
            name,
            landmarker.name,
            np.array(times[k]),
            np.stack(scores[k]),
            tuple(truth[k]) if all(truth[k]) else (),
            np.stack(crops[k]),
        )
        for k, landmarker in enumerate(landmarkers)
        if times[k] and np.ptp(times[k]) >= 1.0
    ]


def tracks(
    folder: Path, teacher: Path | None, head: BlendshapeHead, static: bool = False
) -> list[Track]:
    """Track the first face of each of a folder's videos.

    :param teacher: as for :func:`open_sources`.
    :param static: as for :func:`open_sources`.
    :raises InputError: the folder holds no videos.
    """
    landmarkers = open_sources(teacher, head, static)
    found = [
        one
        for path in clip_paths(folder)
        for one in track(path.stem, VideoFile(path).frames(), landmarkers)
    ]
    for landmarker in landmarkers:
        landmarker.close()
    return found


def portrait_tracks(teacher: Path | None, head: BlendshapeHead) -> list[Track]:
    """Track the animated portrait, whose label is known in every frame, until it leaves."""
    landmarkers = open_sources(teacher, head)
    shown = takewhile(lambda frame: frame.stamp < _PORTRAIT_S, Portrait().frames())
    found = track('portrait', shown, landmarkers)
    for landmarker in landmarkers:
        landmarker.close()
    return found
