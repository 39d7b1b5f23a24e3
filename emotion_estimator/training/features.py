"""What both landmark sources see in FER2013, ready for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import MIRROR
from emotion_estimator.errors import InputError
from emotion_estimator.perception.alignment import align
from emotion_estimator.perception.blendshape_head import BlendshapeHead
from emotion_estimator.training.augment import Enlargement
from emotion_estimator.training.cluster import Runner
from emotion_estimator.training.dataset import TRAINING, Stills
from emotion_estimator.training.extract import Extracted, extract
from emotion_estimator.training.feature_set import FeatureSet

Floats = NDArray[np.float32]

#: Worker processes (None: one a core), or a runner of ``cluster``.
Processes = int | Runner | None

LANDMARKER, MESH = SOURCES = ('face_landmarker', 'face_mesh')


@dataclass(frozen=True)
class Places:
    """Where training reads and writes.

    :param data: FER2013, ``.csv``, ``.npz`` or a folder.
    :param teacher: ``face_landmarker.task``; None where only the bundled face mesh looks.
    :param cache: folder for what is computed on the way.
    :param models: folder the weights and cards go to.
    """

    data: Path
    teacher: Path | None
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


def plain_pass(stills: Stills, places: Places, processes: Processes = None) -> Extracted:
    """Run both sources over all stills, enlarged without variation."""
    rows = np.arange(len(stills))
    return extract(stills, rows, places.teacher, places.cache, processes=processes)


def mirrored_teacher(
    stills: Stills, rows: NDArray[np.int64], places: Places, processes: Processes = None
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return what the Face Landmarker says of mirrored stills, left and right swapped back.

    A perfectly symmetric teacher would say what it says of the stills themselves; how far it
    does bounds what a symmetric head can reach.

    :returns: blendshapes (len(rows), 52), and bool (len(rows),) whether it found a face.
    """
    seen = extract(stills, rows, places.teacher, places.cache, 'mirrored', processes=processes)
    return seen.teacher[:, list(MIRROR)], seen.teacher_found


def varied_passes(
    stills: Stills, plain: Extracted, places: Places, passes: int, processes: Processes = None
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


def _head(places: Places) -> BlendshapeHead:
    return BlendshapeHead.load(places.models / 'blendshape_head.json')


def seen_by_both(
    stills: Stills, places: Places, processes: Processes = None
) -> dict[str, Seen]:
    """Return what each landmark source sees in the stills, by the source's name."""
    plain = plain_pass(stills, places, processes)
    return {
        'face_landmarker': Seen(plain.teacher, plain.teacher_found),
        'face_mesh': Seen(head_scores(plain, _head(places)), plain.mesh_found),
    }


def feature_sets(
    stills: Stills,
    places: Places,
    augment: int = 1,
    processes: Processes = None,
    sources: Sequence[str] = SOURCES,
) -> dict[str, FeatureSet]:
    """Return the blendshapes of every face that each landmark source finds, by the source's name.

    First the images as they are, of all splits; then ``augment`` passes over those of Training,
    each image turned and flipped at random before the source looks at it (seed 001, 3.2.4).

    :param places: without a ``teacher`` the Face Landmarker is left out.
    :param augment: passes, 0 or more; pass k is made with seed k, and found in the cache later.
    :param sources: those wanted.
    :raises InputError: no source is left.
    """
    wanted = [name for name in sources if name == MESH or places.teacher is not None]
    if not wanted:
        raise InputError('the source face_landmarker needs --teacher face_landmarker.task')
    everything = np.arange(len(stills))
    training = np.flatnonzero(stills.usage == TRAINING)
    teacher = places.teacher if LANDMARKER in wanted else None
    passes = [
        extract(stills, rows, teacher, places.cache, look, seed, processes=processes,
                with_mesh=MESH in wanted)
        for rows, look, seed in [
            (everything, 'plain', 0), *((training, 'rotated', k + 1) for k in range(augment))
        ]
    ]
    head = _head(places) if MESH in wanted else None
    return {name: _gather(name, stills, passes, head) for name in wanted}


def _gather(
    name: str, stills: Stills, passes: Sequence[Extracted], head: BlendshapeHead | None
) -> FeatureSet:
    rows, scores = [], []
    for seen in passes:
        found = seen.mesh_found if name == MESH else seen.teacher_found
        blendshapes = head_scores(seen, head) if head and name == MESH else seen.teacher
        rows.append(seen.row[found])
        scores.append(blendshapes[found])
    row = np.concatenate(rows)
    return FeatureSet(
        source=name,
        blendshapes=np.concatenate(scores),
        emotion=stills.emotion[row],
        usage=stills.usage[row],
        image_id=stills.image_id[row],
        duplicate=stills.duplicate[row],
        augmented=np.arange(len(row)) >= len(rows[0]),
    )
