"""Labelled stills as face tracks, so that what reads clips can learn from FER2013 first."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.errors import InputError
from emotion_estimator.perception.face_parts import aligned_face
from emotion_estimator.worker_pool import Runner
from emotion_estimator_training.data.augment import Enlargement
from emotion_estimator_training.data.stills import (
    FER_CLASSES,
    PUBLIC_TEST,
    SPLITS,
    TRAINING,
    Stills,
    load_stills,
)
from emotion_estimator_training.features.crops import landmarks_in_stills
from emotion_estimator_training.features.extract import extract, extract_outlines
from emotion_estimator_training.seed import SEED
from emotion_estimator_training.zoo.data.clips import Clip
from emotion_estimator_training.zoo.data.face_tracks import FaceTrack
from emotion_estimator_training.zoo.data.made_people import held_out
from emotion_estimator_training.zoo.data.windows import Windows

#: Classes in output order: that of a set of clips with these labels (label map ``identity``).
STILL_CLASSES = tuple(sorted(FER_CLASSES))
#: Frames of a still's track: the face as it is found, then shifted half and all of the way.
STEPS = 3
#: How a made set names a still that it animates.
_SUBJECT = re.compile(r'still(\d+)')
#: Greatest shift, relative to the side of the face: landmarks do not hold a face quite still.
_SHIFT = 0.03
#: Stills of Training for each one of PublicTest, where not all are taken.
_VALIDATED = 3
#: How much a still is enlarged before its face is cut out, in cubic steps.
_SCALE = round(Enlargement().scale)


@dataclass(frozen=True)
class StillTrackSettings:
    """Which stills are learned from, and how faces are cut out of them.

    :param per_class: the most stills of each class of Training, with a third as many of PublicTest,
        in which classes keep their shares; 0 takes all of both.
    :param side: of the crops, in pixels.
    :param without: rows of the stills that are left out.
    :raises InputError: a value is out of range.
    """

    per_class: int = 0
    side: int = 96
    seed: int = SEED
    without: Set[int] = frozenset()

    def __post_init__(self) -> None:
        if self.per_class < 0 or not 16 <= self.side <= 1024:
            raise InputError(
                f'{self.per_class} stills of each class, crops of {self.side} pixels: out of '
                'range; give 0 (all) or more, and 16 to 1024 pixels'
            )


@dataclass(frozen=True, eq=False)
class StillTracks:
    """Tracks of ``STEPS`` frames, one for each still with a face.

    :param train: of Training.
    :param validation: of PublicTest, without those that are in Training too.
    :param missed: number of stills in which no face was found.
    """

    train: tuple[FaceTrack, ...]
    validation: tuple[FaceTrack, ...]
    missed: int


def open_still_tracks(
    data: Path,
    settings: StillTrackSettings,
    cache: Path,
    teacher: Path | None = None,
    processes: int | Runner | None = None,
) -> StillTracks:
    """Return :func:`still_tracks` of a file or folder of stills.

    :raises InputError: as :func:`~.stills.load_stills`, too.
    """
    return still_tracks(load_stills(data), settings, cache, teacher, processes)


def still_tracks(
    stills: Stills,
    settings: StillTrackSettings,
    cache: Path,
    teacher: Path | None = None,
    processes: int | Runner | None = None,
) -> StillTracks:
    """Find the faces in stills and cut them out as of clips; PrivateTest is not looked at.

    Neither are the stills of Training that made sets choose people from, see
    :func:`~.made_people.held_out`.

    Landmarks are kept in ``cache`` by 256 stills, so that an interrupted call resumes, and one that
    takes more stills of each class looks only at those.

    :param teacher: ``face_landmarker.task``; None uses the bundled face mesh.
    :param processes: worker processes (None: one a core), or a runner of
        :mod:`~emotion_estimator.worker_pool`.
    :raises InputError: Training or PublicTest has no still with a face.
    """
    found: list[tuple[FaceTrack, ...]] = []
    missed = 0
    held = held_out(stills)
    for part in (TRAINING, PUBLIC_TEST):
        rows, wanted = _order(stills, part, settings)
        if not len(rows):
            raise InputError(f'the data has no stills of {SPLITS[part]}')
        landmarks, seen = _outlines(stills, rows, wanted, teacher, cache, processes)
        wanted &= ~np.isin(rows, list(settings.without)) & ~stills.duplicate[rows] & ~held[rows]
        tracks = [
            _track(stills, int(rows[at]), landmarks[at], settings)
            for at in tqdm(np.flatnonzero(wanted & seen), 'stills', unit='still', leave=False)
        ]
        found.append(tuple(track for track in tracks if track is not None))
        missed += int(wanted.sum()) - len(found[-1])
        if not found[-1]:
            raise InputError(f'no face is found in the stills of {SPLITS[part]}')
    return StillTracks(found[0], found[1], missed)


def still_windows(tracks: tuple[FaceTrack, ...], length: int, seed: int | None = None) -> Windows:
    """Return a window of each still.

    :param length: frames in a window, at least 1.
    :param seed: shift the stills a little: each window drifts one way or back, and a window of one
        frame has any of the shifts. None repeats the still as it is.
    """
    count = len(tracks)
    frames = np.zeros((count, length), np.int64)
    if seed is not None:
        rng = np.random.default_rng(seed)
        if length == 1:
            frames = rng.integers(0, STEPS, (count, 1))
        else:
            path = np.rint(np.linspace(0, STEPS - 1, length)).astype(np.int64)
            frames = np.where(rng.random((count, 1)) < 0.5, path, path[::-1])
    return Windows(tracks, STILL_CLASSES, np.arange(count), frames)


def people_of(clips: Sequence[Clip]) -> frozenset[int]:
    """Return the rows of the stills that a made set animates.

    :raises InputError: it animates none.
    """
    names = [_SUBJECT.fullmatch(clip.subject) for clip in clips]
    rows = frozenset(int(name[1]) for name in names if name)
    if not rows:
        raise InputError('the set animates no stills; only sets of "zoo make-set" do')
    return rows


def _order(
    stills: Stills, part: int, settings: StillTrackSettings
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return all rows of a part in random order, and which of them are wanted: the first.

    Training's classes come in turn. The order does not depend on how many are wanted, so that
    landmarks that were found serve a greater number, too.
    """
    rng = np.random.default_rng(settings.seed)
    rows = rng.permutation(np.flatnonzero(stills.usage == part))
    if part == PUBLIC_TEST:
        count = len(FER_CLASSES) * settings.per_class // _VALIDATED
        return rows, np.arange(len(rows)) < (count or len(rows))
    emotion = stills.emotion[rows]
    rank = np.zeros(len(rows), np.int64)
    for code in range(len(FER_CLASSES)):
        rank[emotion == code] = np.arange((emotion == code).sum())
    order = np.lexsort((emotion, rank))
    return rows[order], rank[order] < (settings.per_class or len(rows))


def _outlines(
    stills: Stills,
    rows: NDArray[np.int64],
    wanted: NDArray[np.bool_],
    teacher: Path | None,
    cache: Path,
    processes: int | Runner | None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return landmarks (N, 478, 3) in pixels of the enlarged stills, and if a face was found."""
    if teacher is None:
        seen = extract(stills, rows, None, cache, processes=processes, wanted=wanted)
        landmarks, found = seen.mesh, seen.mesh_found
    else:
        outlines = extract_outlines(stills, rows, teacher, cache, processes, wanted)
        landmarks, found = outlines.landmarks, outlines.found
    places = (landmarks_in_stills(landmarks) + 0.5) * _SCALE - 0.5
    return np.concatenate([places, landmarks[..., 2:]], axis=-1).astype(np.float32), found


def _track(
    stills: Stills, row: int, landmarks: NDArray[np.float32], settings: StillTrackSettings
) -> FaceTrack | None:
    """Return a still's track; None if its landmarks form no face."""
    # Not as landmarks are looked for, within a black border: a clip's face has none.
    image = cv2.resize(
        stills.pixels[row], None, fx=_SCALE, fy=_SCALE, interpolation=cv2.INTER_CUBIC
    )
    try:
        face, points = aligned_face(
            np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), np.uint8), landmarks, settings.side
        )
    except InputError:
        return None
    rng = np.random.default_rng([settings.seed, row])
    angle, far = 2 * np.pi * rng.random(), _SHIFT * settings.side * rng.random()
    shift = far * np.array([np.cos(angle), np.sin(angle)])
    grey = np.stack([_shifted(face[..., 0], shift * step / (STEPS - 1)) for step in range(STEPS)])
    name = f'still{row:05d}'
    return FaceTrack(
        Clip(name, Path(name), FER_CLASSES[stills.emotion[row]], name),
        np.arange(STEPS, dtype=np.float64),
        # Views: all of FER2013 takes a gigabyte as it is.
        np.broadcast_to(grey[..., None], (*grey.shape, 3)),
        np.broadcast_to(points, (STEPS, *points.shape)),
        np.broadcast_to(np.float32(0), (STEPS, 52)),
        np.ones(STEPS, bool),
    )


def _shifted(face: NDArray[np.uint8], shift: NDArray[np.float64]) -> NDArray[np.uint8]:
    if not shift.any():
        return face
    matrix = np.column_stack([np.eye(2), shift])
    return np.asarray(
        cv2.warpAffine(face, matrix, face.shape[::-1], borderMode=cv2.BORDER_REPLICATE), np.uint8
    )
