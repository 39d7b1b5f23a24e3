"""What both landmark sources see in FER2013, ready for training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import MIRROR
from emotion_estimator.perception.alignment import align
from emotion_estimator.perception.blendshape_head import BlendshapeHead
from emotion_estimator.training.augment import Enlargement
from emotion_estimator.training.dataset import TRAINING, Stills
from emotion_estimator.training.extract import Extracted, extract

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Places:
    """Where training reads and writes.

    :param data: FER2013, ``.csv`` or ``.npz``.
    :param teacher: ``face_landmarker.task``.
    :param cache: folder for what is computed on the way.
    :param models: folder the weights and cards go to.
    """

    data: Path
    teacher: Path
    cache: Path
    models: Path


@dataclass(frozen=True, eq=False)
class Seen:
    """What one landmark source sees in all stills.

    :param blendshapes: float32 (N, 52).
    :param found: bool (N,), whether it found a face.
    """

    blendshapes: Floats
    found: NDArray[np.bool_]


def plain_pass(stills: Stills, places: Places, processes: int = 2) -> Extracted:
    """Run both sources over all stills, enlarged without variation."""
    rows = np.arange(len(stills))
    return extract(stills, rows, places.teacher, places.cache, processes=processes)


def mirrored_teacher(
    stills: Stills, rows: NDArray[np.int64], places: Places, processes: int = 2
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return what the Face Landmarker says of mirrored stills, left and right swapped back.

    A perfectly symmetric teacher would say what it says of the stills themselves; how far it
    does bounds what a symmetric head can reach.

    :returns: blendshapes (len(rows), 52), and bool (len(rows),) whether it found a face.
    """
    seen = extract(stills, rows, places.teacher, places.cache, 'mirrored', processes=processes)
    return seen.teacher[:, list(MIRROR)], seen.teacher_found


def varied_passes(
    stills: Stills, plain: Extracted, places: Places, passes: int, processes: int = 2
) -> list[Extracted]:
    """Run both sources over varied training stills, ``passes`` times with other variations."""
    matrix = Enlargement().matrix
    landmarks = plain.mesh.copy()
    seen = plain.mesh_found
    back = np.linalg.inv(matrix[:, :2]).T
    landmarks[seen, :, :2] = (landmarks[seen, :, :2] - matrix[:, 2]) @ back
    rows = np.flatnonzero((stills.usage == TRAINING) & seen)
    return [
        extract(stills, rows, places.teacher, places.cache, 'varied', seed, landmarks, processes)
        for seed in range(1, passes + 1)
    ]


def head_pairs(
    extracted: Extracted, keep: NDArray[np.bool_] | None = None
) -> tuple[Floats, Floats]:
    """Return aligned landmarks (N, 438) and the teacher's scores (N, 52) where both found a face.

    :param keep: bool, which rows of ``extracted`` to take; None takes all.
    """
    both = extracted.teacher_found & extracted.mesh_found
    if keep is not None:
        both = both & keep
    aligned = align(extracted.mesh[both])
    return aligned.reshape(len(aligned), -1), extracted.teacher[both]


def head_scores(extracted: Extracted, head: BlendshapeHead) -> Floats:
    """Return the head's blendshapes (N, 52) for each row; zeros where the mesh found no face."""
    scores = np.zeros((len(extracted.row), 52), np.float32)
    for row in np.flatnonzero(extracted.mesh_found):
        scores[row] = head(extracted.mesh[row])
    return scores


def seen_by_both(stills: Stills, places: Places, processes: int = 2) -> dict[str, Seen]:
    """Return what each landmark source sees in the stills, by the source's name."""
    plain = plain_pass(stills, places, processes)
    head = BlendshapeHead.load(places.models / 'blendshape_head.json')
    return {
        'face_landmarker': Seen(plain.teacher, plain.teacher_found),
        'face_mesh': Seen(head_scores(plain, head), plain.mesh_found),
    }
