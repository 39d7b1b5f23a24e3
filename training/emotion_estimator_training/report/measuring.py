"""What is to be measured, what has to be looked at for it, and where the figures come from."""

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
from emotion_estimator_training.evaluation.evaluate import (
    PRIVATE,
    PUBLIC,
    Answers,
    answer,
    coverage,
    split_rows,
    still_figures,
)
from emotion_estimator_training.evaluation.recognizers import RobotNetworks
from emotion_estimator_training.evaluation.stability import (
    CHANGES_SEED,
    HELD_SEED,
    MOVEMENT_SEED,
    compare,
    in_time,
    on_video,
)
from emotion_estimator_training.features.clips import (
    Track,
    portrait_tracks,
    track_agreement,
    tracks,
)
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.features.features import Places, feature_sets
from emotion_estimator_training.report.models import Models, file_facts, gather_models
from emotion_estimator_training.sequences.jitter import MEASURED, measure_jitter

#: Varied crops of each face that tell how its embedding moves while it is held.
_MOVES = 4


@dataclass(frozen=True)
class Question:
    """What is to be measured.

    :param places: data, teacher or None, cache, and the folder of the shipped models.
    :param run: folder with the papers' fitted networks.
    :param clips: folder of videos, or None for the animated portrait alone.
    :param public_only: leave PrivateTest alone.
    :param faces: how many are held for counting flips; ``pairs`` change for timing labels.
    :param command: that asked, for the record.
    :param hard: how many stills are covered, blurred and so on; 0 leaves that out.
    :param fer: folder that holds the PyPI package ``fer``, to be compared with; None leaves it out.
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
        """Return the split that time is measured on and errors are shown of."""
        return PUBLIC if self.public_only else PRIVATE


@dataclass(eq=False)
class Material:
    """What was looked at, for measuring and for pictures.

    :param features: by landmark source, the test faces.
    :param answers: by model and source, to all of these.
    :param networks: the shipped ones; None where only made recognizers are compared.
    :param tracks_of_stills: the frames of ``tracks``, each looked at as an unrelated image.
    """

    stills: Stills
    features: dict[str, FeatureSet]
    models: Models
    tracks: list[Track]
    answers: dict[tuple[str, str], Answers] = field(default_factory=dict)
    networks: RobotNetworks | None = None
    tracks_of_stills: list[Track] = field(default_factory=list)

    def split(self, source: str, name: str) -> FeatureSet:
        """Return the faces of a split."""
        features = self.features[source]
        return features.where(split_rows(features.usage, features.duplicate)[name])


def gather(question: Question) -> Material:
    """Look at the data, load the models and track the videos.

    :raises InputError: the data have no test images in which a face is found.
    """
    places = question.places
    stills = load_stills(places.data)
    networks = RobotNetworks.load(places.models)
    # No copies: only Training has any.
    features = {
        source: _with_embeddings(each, networks)
        for source, each in feature_sets(
            stills, places, 0, question.processes, wanted=stills.usage != TRAINING
        ).items()
    }
    material = Material(
        stills,
        {source: each for source, each in features.items() if len(each)},
        gather_models(question.run, places.models, question.grouping),
        [],
        networks=networks,
    )
    for source in material.features:
        if not len(material.split(source, question.split)):
            raise InputError(f'{places.data} has no {question.split} images with a face in them')
    if not material.features:
        raise InputError(f'{places.data} has no test images in which a face is found')
    if not material.models.recognizers:
        raise InputError(f'no model tells {", ".join(question.grouping.labels)} apart; fit one')
    head = BlendshapeHead.load(places.models / 'blendshape_head.json')
    material.tracks += portrait_tracks(places.teacher, head)
    if question.clips:
        material.tracks += tracks(question.clips, places.teacher, head)
        material.tracks_of_stills += tracks(question.clips, places.teacher, head, static=True)
    material.tracks[:] = [
        replace(one, embeddings=networks.embeddings(one.crops)) for one in material.tracks
    ]
    return material


def _with_embeddings(features: FeatureSet, networks: RobotNetworks) -> FeatureSet:
    """Return faces with what the appearance network sees in their crops.

    How an embedding moves while a face is held is a part of that where TensorFlow is installed.
    """
    if importlib.util.find_spec('tensorflow') is None or not len(features):
        return networks.seen(features)
    os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
    from emotion_estimator_training.features.embeddings import with_embeddings

    return with_embeddings(
        features, networks.embeddings, f'embeddings, {features.source}', moves=_MOVES
    )


#: Distributions whose versions may change a figure.
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


def provenance(question: Question, material: Material) -> dict[str, Any]:
    """Return everything that somebody needs to make the same figures again."""
    places, stills = question.places, material.stills
    files = dict(material.models.files)
    files['blendshape head'] = file_facts(places.models / 'blendshape_head.tflite')
    if places.teacher is not None:
        files['teacher'] = file_facts(places.teacher)
    notes = list(material.models.notes)
    if places.teacher is None:
        notes.append('No --teacher: only the bundled face mesh looked at the images.')
    if question.public_only:
        notes.append('PrivateTest was not looked at: figures for choosing, not for reporting.')
    if question.clips is None:
        notes.append('No --clips: on video, only the animated portrait was measured.')
    return {
        'made': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'command': question.command,
        'split': question.split,
        'grouping': {'name': question.grouping.name, 'labels': list(question.grouping.labels)},
        'data': {
            'file': places.data.name,
            'images': len(stills),
            'test_images_that_are_training_images_too': int(stills.duplicate.sum()),
        },
        'seeds': {'held faces': HELD_SEED, 'changes': CHANGES_SEED, 'movement': MOVEMENT_SEED},
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


def measure_stills(question: Question, material: Material) -> dict[str, Any]:
    """Measure every model on every source and split; keep the answers in ``material``."""
    figures: dict[str, Any] = {}
    for name, recognizer in material.models.recognizers.items():
        figures[name] = {}
        for source, features in material.features.items():
            if question.public_only:
                features = material.split(source, PUBLIC)
            answers = answer(recognizer, features, question.grouping)
            material.answers[name, source] = answers
            figures[name][source] = still_figures(
                answers,
                features,
                question.grouping,
                question.public_only,
                material.models.penalty.get(name, 0.0),
            )
    return figures


def measure_time(question: Question, material: Material) -> dict[str, Any]:
    """Measure flips and delays, constructed and on video, and the movement of held faces."""
    recognizers = in_time(material.models.recognizers)
    constructed, notes = {}, []
    for source in material.features:
        try:
            constructed[source] = compare(
                recognizers,
                material.split(source, question.split),
                question.grouping,
                faces=question.faces,
                pairs=question.pairs,
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
        'split': question.split,
        'constructed': constructed,
        'videos': on_video(recognizers, material.tracks),
        'movement_measured_now': movement,
        'movement_used': {source: astuple(jitter) for source, jitter in MEASURED.items()},
        'notes': notes,
    }


def measure(question: Question, material: Material) -> dict[str, Any]:
    """Return everything that the report's JSON holds but its comparisons."""
    both = {one.source for one in material.tracks if one.name != 'portrait'}
    agreement = None
    if len(both) > 1:
        agreement = track_agreement([one for one in material.tracks if one.name != 'portrait'])
    return {
        **provenance(question, material),
        'stills': measure_stills(question, material),
        'coverage': {
            source: coverage(material.stills, features, question.public_only)
            for source, features in material.features.items()
        },
        'stability': measure_time(question, material),
        'clip_agreement': agreement,
        'structure': material.models.structure,
        'card_metrics': material.models.card_metrics,
        'card_tables': material.models.card_tables,
    }
