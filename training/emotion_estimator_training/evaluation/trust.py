"""How far networks can be trusted: on hard faces, and where they say nothing when unsure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator_training.data.hard_stills import (
    CONDITIONS,
    COVERS,
    covered,
    falls,
    lost,
    yaw_bins,
)
from emotion_estimator_training.data.stills import TO_LABEL, Stills, changed
from emotion_estimator_training.evaluation.recognizers import BRANCHES, RobotNetworks
from emotion_estimator_training.evaluation.scores import classification, confusion, macro_f1
from emotion_estimator_training.features.crops import landmarks_in_stills
from emotion_estimator_training.features.extract import Outlines
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.features.features import Places, Processes, feature_sets

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

#: Thresholds of the table, for ``abstain_below``.
THRESHOLDS = (0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def at_thresholds(
    probabilities: Floats, truth: Ints, thresholds: tuple[float, ...] = THRESHOLDS
) -> list[dict[str, Any]]:
    """Return what remains when answers whose top probability is under a threshold are withheld.

    :param probabilities: (N, L); ``truth`` (N,), index of the right one.
    :returns: of each threshold ``abstain_below``, ``answered`` (share), and ``accuracy`` and
        ``macro_f1`` of the answered; null where none is.
    """
    rows = []
    for threshold in thresholds:
        answered = probabilities.max(axis=1) >= threshold
        matrix = confusion(
            truth[answered], probabilities[answered].argmax(axis=1), probabilities.shape[1]
        )
        some = bool(answered.any())
        rows.append(
            {
                'abstain_below': threshold,
                'answered': round(float(answered.mean()), 4) if len(truth) else 0.0,
                'accuracy': round(float(np.diag(matrix).sum() / matrix.sum()), 4) if some else None,
                'macro_f1': round(macro_f1(matrix), 4) if some else None,
            }
        )
    return rows


def curve(probabilities: Floats, truth: Ints) -> tuple[Floats, Floats]:
    """Return coverage and risk (N,): of the k surest answers their share, and how many are wrong.

    El-Yaniv and Wiener, On the Foundations of Noise-free Selective Classification, 2010. Answers
    as sure as each other are taken together, since no threshold parts them.

    :param probabilities: (N, L), N at least 1; ``truth`` (N,).
    """
    sure = probabilities.max(axis=1)
    order = np.argsort(-sure, kind='stable')
    wrong = (probabilities.argmax(axis=1) != truth)[order]
    count = np.arange(1, len(truth) + 1)
    risk = np.cumsum(wrong) / count
    # The last of equals stands for all of them.
    last = np.searchsorted(-sure[order], -sure[order], side='right') - 1
    return (count / len(truth)).astype(np.float32), risk[last].astype(np.float32)


def area(probabilities: Floats, truth: Ints) -> float:
    """Return the mean risk over all coverages (AURC): less is better, 0 where nothing is wrong."""
    return float(curve(probabilities, truth)[1].mean())


Images = NDArray[np.uint8]
Figures = dict[str, Any]

_SEED = 7


def sampled(split: NDArray[np.bool_], count: int) -> Ints:
    """Return at most ``count`` rows of a split, by chance, always the same, sorted.

    :param split: (N,), which rows are of it.
    """
    rows = np.flatnonzero(split)
    if len(rows) > count:
        rows = np.random.default_rng(_SEED).choice(rows, count, replace=False)
    return np.sort(rows)


def branch_figures(networks: RobotNetworks, features: FeatureSet) -> dict[str, Figures]:
    """Return what each branch gets right of some faces, taken as stills, three labels.

    :returns: by branch :func:`~.scores.classification`.
    """
    return _figures(networks, _told(networks, features), TO_LABEL[features.emotion])


def _told(networks: RobotNetworks, features: FeatureSet) -> dict[str, Floats]:
    """Return by branch the probabilities (N, 3) of each face."""
    known = networks.seen(features).vectors
    return {branch: networks.stills(known, branch) for branch in BRANCHES}


def _figures(
    networks: RobotNetworks, told: Mapping[str, Floats], truth: Ints
) -> dict[str, Figures]:
    return {
        branch: classification(probabilities, truth, networks.labels('three'))
        for branch, probabilities in told.items()
    }


def occlusion_figures(
    networks: RobotNetworks,
    stills: Stills,
    rows: Ints,
    outlines: Outlines,
    plain: Mapping[str, FeatureSet],
    places: Places,
    processes: Processes = None,
) -> dict[str, list[Figures]]:
    """Cover mouth or eyes of stills, look at them anew, and measure each branch.

    :param rows: of ``stills``, in which ``outlines`` (of all stills) has a face.
    :param plain: by landmark source, the faces of uncovered stills.
    :returns: by source, rows of :func:`~.occlusion.falls`, each with ``images`` and ``n``: so many
        were covered, and in so many a face was found.
    """
    landmarks = landmarks_in_stills(outlines.landmarks)
    figures: dict[str, dict[str, dict[str, Figures]]] = {source: {} for source in plain}
    for part in COVERS:
        hidden = changed(
            stills,
            rows,
            lambda row, part=part: covered(stills.pixels[row], landmarks[row], part),
        )
        for source, seen in feature_sets(hidden, places, 0, processes, tuple(plain)).items():
            before = plain[source]
            _, one, two = np.intersect1d(seen.image_id, before.image_id, return_indices=True)
            if not len(one):
                continue
            truth = TO_LABEL[before.emotion[two]]
            then, now = _told(networks, before.where(two)), _told(networks, seen.where(one))
            uncovered = _figures(networks, then, truth)
            figures[source][part] = {
                branch: {
                    **each,
                    'uncovered': uncovered[branch],
                    'lost': lost(*(told[branch].argmax(axis=1) == truth for told in (then, now))),
                }
                for branch, each in _figures(networks, now, truth).items()
            }
    return {
        source: [{**row, 'images': len(rows)} for row in falls(covers)]
        for source, covers in figures.items()
    }


def condition_figures(
    networks: RobotNetworks,
    stills: Stills,
    rows: Ints,
    plain: FeatureSet,
    places: Places,
    processes: Processes = None,
) -> list[Figures]:
    """Change stills as cameras and heads do, look at them anew, and measure each branch.

    :param rows: of ``stills``.
    :param plain: faces of unchanged stills, of the landmark source that looks.
    :returns: rows with ``what``, ``how_much``, ``images``, ``found`` (share) and by branch
        ``accuracy`` and ``macro_f1``; unchanged stills first.
    """
    table = [
        _row(
            'unchanged',
            '',
            len(rows),
            plain.where(np.isin(plain.image_id, stills.image_id[rows])),
            networks,
        )
    ]
    for what, degrees in CONDITIONS.items():
        for how_much, change in degrees.items():
            made = changed(stills, rows, lambda row, change=change: change(stills.pixels[row]))
            seen = feature_sets(made, places, 0, processes, (plain.source,))[plain.source]
            table.append(_row(what, how_much, len(rows), seen, networks))
    return table


def yaw_figures(
    networks: RobotNetworks, stills: Stills, outlines: Outlines, plain: FeatureSet
) -> list[Figures]:
    """Measure each branch by how far faces are turned away, on stills as they are.

    :param outlines: of all ``stills``, by the source of ``plain``.
    :returns: rows as of :func:`condition_figures`; ``images`` are the faces of the bin.
    """
    place = {int(number): row for row, number in enumerate(stills.image_id)}
    rows = np.array([place[int(number)] for number in plain.image_id], np.int64)
    return [
        _row('turned away', name, int(inside.sum()), plain.where(inside), networks)
        for name, inside in yaw_bins(outlines.landmarks[rows]).items()
        if inside.any()
    ]


def _row(
    what: str, how_much: str, images: int, seen: FeatureSet, networks: RobotNetworks
) -> Figures:
    row: Figures = {
        'what': what,
        'how_much': how_much,
        'images': images,
        'found': round(len(seen) / max(images, 1), 4),
    }
    if len(seen):
        row.update(
            {
                branch: {key: each[key] for key in ('accuracy', 'macro_f1', 'ece')}
                for branch, each in branch_figures(networks, seen).items()
            }
        )
    return row
