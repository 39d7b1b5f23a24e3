"""What both landmark sources see in FER2013 and in covered faces, ready for training."""

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
Rows = NDArray[np.bool_]

#: Worker processes (None: one a core), or a runner of ``engine``.
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
class SourceFindings:
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


def available(sources: Sequence[str], places: Places) -> list[str]:
    """Return those of ``sources`` that can look: without a teacher only the bundled face mesh.

    :raises InputError: none can.
    """
    able = [name for name in sources if name == MESH or places.teacher is not None]
    if not able:
        raise InputError(f'the source {LANDMARKER} needs --teacher face_landmarker.task')
    return able


def _look(
    stills: Stills,
    rows: NDArray[np.int64],
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
            stills, np.arange(len(stills)), places.teacher, places.cache, processes, wanted
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
    """Return where each landmark source sees faces in the stills, by the source's name.

    The parameters are those of :func:`feature_sets`, and the errors too.
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
    """Return what each landmark source sees in the stills, by the source's name.

    :param places: without a ``teacher`` the Face Landmarker is left out.
    :param sources: those wanted.
    :raises InputError: no source is left.
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
    """Return blendshapes and crop of every face that each landmark source finds, by its name.

    First the images as they are, of all splits; then ``augment`` passes over those of Training,
    each image turned and flipped at random before the source sees it (Attrah 2025, 3.2.4); these
    have crops of zeros, since crops are varied by :mod:`~.features.crops`.

    :param places: without a ``teacher`` the Face Landmarker is left out.
    :param augment: passes, 0 or more; pass k is made with seed k, and found in the cache later.
    :param sources: those that shall look.
    :param wanted: bool (N,), the stills whose faces are asked for; the others, where nothing has
        looked at them before, are spared. None asks for all.
    :raises InputError: no source is left.
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
        name: _gather(name, stills, rows, [seen[name] for seen in passes], where[name])
        for name in able
    }


def _asked_for(seen: dict[str, SourceFindings], wanted: Rows | None) -> dict[str, SourceFindings]:
    """Return what is seen in the stills that are wanted: chunks hold their neighbours too."""
    if wanted is None:
        return seen
    return {name: SourceFindings(one.blendshapes, one.found & wanted) for name, one in seen.items()}


def _gather(
    name: str,
    stills: Stills,
    rows: Sequence[NDArray[np.int64]],
    passes: Sequence[SourceFindings],
    where: Outlines,
) -> FeatureSet:
    found = [part[seen.found] for part, seen in zip(rows, passes)]
    row = np.concatenate(found)
    plain = found[0]
    crops = np.zeros((len(row), SIDE, SIDE), np.uint8)
    landmarks = landmarks_in_stills(where.landmarks[plain])
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


Ints = NDArray[np.int64]


def covered_folder(run: Path) -> Path:
    """Return where a run folder keeps the features of covered faces."""
    return run / 'covered'


def covered_sets(
    stills: Stills,
    places: Places,
    count: int,
    seed: int,
    processes: Processes = None,
    sources: tuple[str, ...] = SOURCES,
) -> dict[str, FeatureSet]:
    """Cover a part of some of Training's faces, and look at them anew with each source.

    :param count: how many faces, at most.
    :param seed: of which faces, and of the covers.
    :returns: by source the faces that it finds; crops are cut where it sees them.
    :raises InputError: Training has no face, or no source can look.
    """
    # Of two sources that see the same face one will do: the bundled mesh finds more of them.
    seen = list(outlines(stills, places, processes, sources).values())[-1]
    rows = np.flatnonzero((stills.usage == TRAINING) & seen.found)
    if not len(rows):
        raise InputError('Training has no face to cover')
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(rows)[:count])
    landmarks = landmarks_in_stills(seen.landmarks)
    hidden = changed(
        stills,
        rows,
        lambda row: covered_by_chance(
            stills.pixels[row], landmarks[row], np.random.default_rng([seed, row])
        ),
    )
    return feature_sets(hidden, places, 0, processes, sources)


def load_covered(run: Path, source: str) -> FeatureSet | None:
    """Read the covered faces that a source sees; None where a run has none.

    :raises InputError: they cannot be read.
    """
    path = covered_folder(run) / f'{source}.npz'
    return load_features(path) if path.exists() else None
