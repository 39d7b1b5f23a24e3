"""Runs the landmark sources on FER2013 and on covered faces; builds the feature sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import MIRROR
from emotion_estimator.errors import InputError
from emotion_estimator.perception.face_crop import SIDE, align
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead
from emotion_estimator.worker_pool import Runner
from emotion_estimator_training.data.augment import Enlargement
from emotion_estimator_training.data.hard_stills import covered_by_chance
from emotion_estimator_training.data.stills import TRAINING, Stills, changed
from emotion_estimator_training.features.crops import (
    landmarks_in_stills,
    plain_crops,
    still_matrices,
)
from emotion_estimator_training.features.extract import (
    Extracted,
    Outlines,
    extract,
    extract_outlines,
)
from emotion_estimator_training.features.feature_set import FeatureSet, load_features

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Rows = NDArray[np.bool_]

#: Number of worker processes (None is one per core), or a runner of ``worker_pool``.
Processes = int | Runner | None

LANDMARKER, MESH = SOURCES = ('face_landmarker', 'face_mesh')


@dataclass(frozen=True)
class Places:
    """Files and folders of training.

    :param data: FER2013 as ``.csv``, ``.npz`` or folder.
    :param teacher: ``face_landmarker.task``; None uses only the bundled face mesh.
    :param cache: folder for intermediate results.
    :param models: folder of weights and cards.
    :param enlarge: factor by which stills are enlarged before a face is looked for, as
        :meth:`~.augment.Enlargement.by` does; 1 leaves them at 48 pixels.
    """

    data: Path
    teacher: Path | None
    cache: Path
    models: Path
    enlarge: float = Enlargement.scale


@dataclass(frozen=True, eq=False)
class SourceFindings:
    """What one landmark source finds in all stills.

    :param blendshapes: float32 (N, 52), 0 to 1; zeros for stills without a face.
    :param found: bool (N,), whether it found a face.
    """

    blendshapes: Floats
    found: Rows


def plain_pass(stills: Stills, places: Places, processes: Processes = None) -> Extracted:
    """Run both sources on all stills, enlarged without variation."""
    rows = np.arange(len(stills))
    return extract(stills, rows, places.teacher, places.cache, processes=processes)


def mirrored_teacher(
    stills: Stills, rows: Ints, places: Places, processes: Processes = None
) -> tuple[Floats, Rows]:
    """Return the Face Landmarker's blendshapes for mirrored stills, left and right swapped back.

    For a perfectly symmetric teacher they would equal those of the stills; the difference bounds
    how well a symmetric head can agree with it.

    :returns: blendshapes (len(rows), 52), and whether it found a face, bool (len(rows),).
    """
    seen = extract(stills, rows, places.teacher, places.cache, 'mirrored', processes=processes)
    return seen.teacher[:, list(MIRROR)], seen.teacher_found


def varied_passes(
    stills: Stills, plain: Extracted, places: Places, passes: int, processes: Processes = None
) -> list[Extracted]:
    """Run both sources on varied training stills, ``passes`` times with different seeds.

    :param plain: of :func:`plain_pass`.
    """
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


def head_pairs(extracted: Extracted, keep: Rows | None = None) -> tuple[Floats, Floats]:
    """Return aligned landmarks (N, 438) and the teacher's scores (N, 52) if both found a face.

    :param keep: bool, which rows of ``extracted`` to use; None uses all.
    """
    both = extracted.teacher_found & extracted.mesh_found
    if keep is not None:
        both = both & keep
    aligned = align(extracted.mesh[both])
    return aligned.reshape(len(aligned), -1), extracted.teacher[both]


def head_scores(extracted: Extracted, head: BlendshapeHead) -> Floats:
    """Return the head's blendshapes (N, 52) for each row; zeros if the mesh found no face."""
    scores = np.zeros((len(extracted.row), 52), np.float32)
    for row in np.flatnonzero(extracted.mesh_found):
        scores[row] = head(extracted.mesh[row])
    return scores


def available(sources: Sequence[str], places: Places) -> list[str]:
    """Return those of ``sources`` that are available: without a teacher only the face mesh.

    :raises InputError: none is available.
    """
    able = [name for name in sources if name == MESH or places.teacher is not None]
    if not able:
        raise InputError(f'the source {LANDMARKER} needs --teacher face_landmarker.task')
    return able


def _look(
    stills: Stills,
    rows: Ints,
    places: Places,
    sources: Sequence[str],
    processes: Processes,
    look: str = 'plain',
    seed: int = 0,
    wanted: Rows | None = None,
) -> Extracted:
    teacher = places.teacher if LANDMARKER in sources else None
    return extract(
        stills,
        rows,
        teacher,
        places.cache,
        look,
        seed,
        processes=processes,
        with_mesh=MESH in sources,
        wanted=wanted,
        scale=places.enlarge,
    )


def _seen_in(
    extracted: Extracted, places: Places, sources: Sequence[str]
) -> dict[str, SourceFindings]:
    seen = {}
    if LANDMARKER in sources:
        seen[LANDMARKER] = SourceFindings(extracted.teacher, extracted.teacher_found)
    if MESH in sources:
        head = BlendshapeHead.load(places.models / 'blendshape_head.json')
        seen[MESH] = SourceFindings(head_scores(extracted, head), extracted.mesh_found)
    return seen


def _outlines_in(
    extracted: Extracted,
    stills: Stills,
    places: Places,
    sources: Sequence[str],
    processes: Processes,
    wanted: Rows | None,
) -> dict[str, Outlines]:
    found = {}
    if LANDMARKER in sources and places.teacher is not None:
        found[LANDMARKER] = extract_outlines(
            stills,
            np.arange(len(stills)),
            places.teacher,
            places.cache,
            processes,
            wanted,
            places.enlarge,
        )
    if MESH in sources:
        found[MESH] = Outlines(extracted.mesh, extracted.mesh_found)
    return found


def outlines(
    stills: Stills,
    places: Places,
    processes: Processes = None,
    sources: Sequence[str] = SOURCES,
    wanted: Rows | None = None,
) -> dict[str, Outlines]:
    """Return the landmarks that each source finds in the stills, by source.

    Parameters and errors are those of :func:`feature_sets`.
    """
    able = available(sources, places)
    extracted = _look(stills, np.arange(len(stills)), places, able, processes, wanted=wanted)
    return _outlines_in(extracted, stills, places, able, processes, wanted)


def seen_by_both(
    stills: Stills,
    places: Places,
    processes: Processes = None,
    sources: Sequence[str] = SOURCES,
) -> dict[str, SourceFindings]:
    """Return the blendshapes that each landmark source finds in the stills, by source.

    :param places: without a ``teacher`` the Face Landmarker is left out.
    :param sources: landmark sources to run.
    :raises InputError: none of them is available.
    """
    wanted = available(sources, places)
    everything = np.arange(len(stills))
    return _seen_in(_look(stills, everything, places, wanted, processes), places, wanted)


def feature_sets(
    stills: Stills,
    places: Places,
    augment: int = 1,
    processes: Processes = None,
    sources: Sequence[str] = SOURCES,
    wanted: Rows | None = None,
) -> dict[str, FeatureSet]:
    """Return blendshapes and crops of every face that each landmark source finds, by source.

    First the unchanged images of all splits; then ``augment`` passes over those of Training, each
    image rotated and flipped at random (Attrah 2025, section 3.2.4). The crops of these are zeros,
    since :mod:`~.features.crops` varies crops itself.

    :param places: without a ``teacher`` the Face Landmarker is left out.
    :param augment: number of augmented passes; pass k uses seed k.
    :param sources: landmark sources to run.
    :param wanted: bool (N,), the stills whose faces are needed; the others are not processed. None
        needs all.
    :raises InputError: none of the sources is available.
    """
    able = available(sources, places)
    everything = np.arange(len(stills))
    extracted = _look(stills, everything, places, able, processes, wanted=wanted)
    where = _outlines_in(extracted, stills, places, able, processes, wanted)
    rows = [everything]
    passes = [_asked_for(_seen_in(extracted, places, able), wanted)]
    training = np.flatnonzero(stills.usage == TRAINING)
    # A set without Training has nothing to augment.
    for seed in range(1, augment + 1 if len(training) else 1):
        extracted = _look(stills, training, places, able, processes, 'rotated', seed)
        passes.append(_seen_in(extracted, places, able))
        rows.append(training)
    return {
        name: _gather(
            name, stills, rows, [seen[name] for seen in passes], where[name], places.enlarge
        )
        for name in able
    }


def _asked_for(seen: dict[str, SourceFindings], wanted: Rows | None) -> dict[str, SourceFindings]:
    """Return the findings of wanted stills only: chunks also hold their neighbours."""
    if wanted is None:
        return seen
    return {name: SourceFindings(one.blendshapes, one.found & wanted) for name, one in seen.items()}


def _gather(
    name: str,
    stills: Stills,
    rows: Sequence[Ints],
    passes: Sequence[SourceFindings],
    where: Outlines,
    scale: float,
) -> FeatureSet:
    found = [part[seen.found] for part, seen in zip(rows, passes)]
    row = np.concatenate(found)
    plain = found[0]
    crops = np.zeros((len(row), SIDE, SIDE), np.uint8)
    landmarks = landmarks_in_stills(where.landmarks[plain], scale)
    matrices = still_matrices(landmarks, where.found[plain])
    crops[: len(plain)] = plain_crops(stills.pixels[plain], matrices)
    return FeatureSet(
        source=name,
        blendshapes=np.concatenate([seen.blendshapes[seen.found] for seen in passes]),
        emotion=stills.emotion[row],
        usage=stills.usage[row],
        image_id=stills.image_id[row],
        duplicate=stills.duplicate[row],
        augmented=np.arange(len(row)) >= len(plain),
        crops=crops,
    )


def covered_folder(run: Path) -> Path:
    """Return the folder of covered faces' features in a run folder."""
    return run / 'covered'


def covered_sets(
    stills: Stills,
    places: Places,
    count: int,
    seed: int,
    processes: Processes = None,
    sources: tuple[str, ...] = SOURCES,
) -> dict[str, FeatureSet]:
    """Cover a part of some of Training's faces, and run each landmark source on them.

    :param count: maximum number of faces.
    :param seed: for choosing faces and covers.
    :returns: by source the faces that it finds, with their crops.
    :raises InputError: Training has no face, or no source is available.
    """
    # One source's landmarks suffice: the last one is the face mesh, which finds more faces.
    seen = list(outlines(stills, places, processes, sources).values())[-1]
    rows = np.flatnonzero((stills.usage == TRAINING) & seen.found)
    if not len(rows):
        raise InputError('Training has no face to cover')
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(rows)[:count])
    landmarks = landmarks_in_stills(seen.landmarks, places.enlarge)
    hidden = changed(
        stills,
        rows,
        lambda row: covered_by_chance(
            stills.pixels[row], landmarks[row], np.random.default_rng([seed, row])
        ),
    )
    return feature_sets(hidden, places, 0, processes, sources)


def load_covered(run: Path, source: str) -> FeatureSet | None:
    """Read the covered faces that a source found; None if the run has none.

    :raises InputError: they cannot be read.
    """
    path = covered_folder(run) / f'{source}.npz'
    return load_features(path) if path.exists() else None
