"""Videos through the landmark sources, which track from frame to frame, and how they agree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame
from emotion_estimator.perception.face_crop import SIDE, visible_crop
from emotion_estimator.perception.landmarks.base import Landmarker
from emotion_estimator.perception.landmarks.face_landmarker import FaceLandmarker
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead, FaceMesh
from emotion_estimator.sources.portrait import Portrait
from emotion_estimator.sources.video import VideoFile
from emotion_estimator_training.evaluation.scores import Floats, correlations, moving
from emotion_estimator_training.features.feature_set import SHAPES, face_vectors
from emotion_estimator_training.sequences.constructed import ConstructedSequences


def agreement(guess: Floats, truth: Floats) -> dict[str, Any]:
    """Return how well blendshapes agree with the teacher's.

    :param guess: (N, 52); ``truth`` alike.
    :returns: mean correlation and error over those that move, and both for each blendshape.
    """
    correlation, error = correlations(guess, truth), np.abs(guess - truth).mean(axis=0)
    moves = moving(truth)
    return {
        'n': len(truth),
        'moving': int(moves.sum()),
        'mean_correlation_moving': round(float(correlation[moves].mean()), 4),
        'mean_absolute_error': round(float(error.mean()), 4),
        'blendshapes': {
            name: {
                'correlation': round(float(c), 4),
                'mae': round(float(e), 4),
                'teacher_std': round(float(s), 4),
                'moves': bool(m),
            }
            for name, c, e, s, m in zip(
                BLENDSHAPE_NAMES, correlation, error, truth.std(axis=0), moves
            )
        },
    }


def symmetry(guess: Floats, truth: Floats, mirrored: Floats) -> dict[str, float]:
    """Return how symmetric the teacher is, and how well the head follows its symmetric part.

    :param guess: (N, 52), the head's scores.
    :param truth: (N, 52), the teacher's of the same images; ``mirrored`` of the mirrored images,
        left and right swapped back.
    :returns: mean correlations over the blendshapes that move.
    """
    moves = moving(truth)
    both = (truth + mirrored) / 2
    return {
        'teacher_with_itself_mirrored': round(
            float(correlations(mirrored, truth)[moves].mean()), 4
        ),
        'mean_correlation_with_symmetric_teacher': round(
            float(correlations(guess, both)[moves].mean()), 4
        ),
    }


_SUFFIXES = ('.mp4', '.gif', '.avi', '.webm', '.mov')
#: Seconds of the animated portrait before the person leaves.
_PORTRAIT_S = 17.0


@dataclass(frozen=True, eq=False)
class Track:
    """The first face of a video, in the frames that show one.

    :param times: float64 (T,), seconds from the video's begin.
    :param blendshapes: float32 (T, 52).
    :param truth: label of each frame where the video knows it, else empty.
    :param crops: uint8 (T, 48, 48), zeros where the frame does not show the face; None where they
        were not kept.
    :param embeddings: float32 (T, 64), of the crops, where they were asked for.
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
        """Return what is known of the face in each frame (T, 118), see ``face_vector``."""
        vectors = face_vectors(self.blendshapes, self.embeddings)
        if self.crops is not None:
            vectors[~self.crops.any(axis=(1, 2)), SHAPES:-1] = 0
        return vectors

    @property
    def course(self) -> ConstructedSequences:
        """Return the track as a batch of one; the first frame counts as a thirtieth of a second."""
        steps = np.diff(self.times, prepend=self.times[0] - 1 / 30)
        return ConstructedSequences(self.vectors[None], steps[None].astype(np.float32))


def clip_paths(folder: Path) -> list[Path]:
    """Return the videos of a folder.

    :raises InputError: it is no folder, or holds none.
    """
    paths = sorted(p for p in folder.glob('*') if p.suffix in _SUFFIXES)
    if not paths:
        raise InputError(f'{folder} holds no videos ({", ".join(_SUFFIXES)}); give another folder')
    return paths


def open_sources(
    teacher: Path | None, head: BlendshapeHead, static: bool = False
) -> list[Landmarker]:
    """Open a landmarker of each source that can look.

    :param teacher: ``face_landmarker.task``; None leaves the Face Landmarker out.
    :param static: take every frame as an unrelated image, instead of tracking.
    """
    mesh = FaceMesh(head, static=static)
    return [mesh] if teacher is None else [FaceLandmarker(teacher, static=static), mesh]


def track(name: str, frames: Iterable[Frame], landmarkers: list[Landmarker]) -> list[Track]:
    """Track the first face through a video, once with each source.

    Sources that see no face for a second in all are left out.
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
    """Track the faces of a folder's videos.

    :param teacher: as for :func:`open_sources`; ``static`` too.
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
    """Track the animated portrait, whose truth is known in every frame, until it leaves."""
    landmarkers = open_sources(teacher, head)
    shown = takewhile(lambda frame: frame.stamp < _PORTRAIT_S, Portrait().frames())
    found = track('portrait', shown, landmarkers)
    for landmarker in landmarkers:
        landmarker.close()
    return found


def track_agreement(found: list[Track]) -> dict[str, Any]:
    """Return the head's agreement with the Face Landmarker in the frames that both tracked.

    :param found: of both sources; videos that only one of them tracked are passed over.
    :returns: as :func:`agreement`, with the number of such frames for each video.
    :raises InputError: there is none.
    """
    by_name: dict[str, dict[str, Track]] = {}
    for one in found:
        by_name.setdefault(one.name, {})[one.source] = one
    guesses, truths, frames = [], [], {}
    for name, sources in by_name.items():
        if len(sources) < 2:
            continue
        wanted, given = sources[FaceLandmarker.name], sources[FaceMesh.name]
        both, a, b = np.intersect1d(wanted.times, given.times, return_indices=True)
        frames[name] = len(both)
        truths.append(wanted.blendshapes[a])
        guesses.append(given.blendshapes[b])
    if not sum(frames.values()):
        raise InputError('in none of the videos do both sources see a face; give others')
    return {'frames': frames, **agreement(np.concatenate(guesses), np.concatenate(truths))}


def clip_agreement(folder: Path, teacher: Path, head: BlendshapeHead) -> dict[str, Any]:
    """Return :func:`track_agreement` of a folder's videos, for the head's card."""
    return track_agreement(tracks(folder, teacher, head))
