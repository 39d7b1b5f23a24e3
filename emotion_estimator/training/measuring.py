"""What a report says, measured: still faces, time, and where everything comes from."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from emotion_estimator.errors import InputError
from emotion_estimator.perception.blendshape_head import BlendshapeHead
from emotion_estimator.training.clips import Track, portrait_tracks, track_agreement, tracks
from emotion_estimator.training.dataset import Stills, load_stills
from emotion_estimator.training.evaluate import (
    PRIVATE,
    PUBLIC,
    Answers,
    answer,
    coverage,
    split_rows,
    still_figures,
)
from emotion_estimator.training.feature_set import FeatureSet
from emotion_estimator.training.features import Places, feature_sets
from emotion_estimator.training.fer2013 import TRAINING
from emotion_estimator.training.grouping import Grouping
from emotion_estimator.training.jitter import MEASURED, measure_jitter
from emotion_estimator.training.report_models import Models, gather_models, sha256
from emotion_estimator.training.stability import CHANGES_SEED, HELD_SEED, MOVEMENT_SEED
from emotion_estimator.training.stability_table import compare, in_time, on_video
from emotion_estimator.version import __version__

#: Distributions whose versions may change a figure.
_LIBRARIES = ('numpy', 'mediapipe', 'opencv-python', 'opencv-python-headless',
              'opencv-contrib-python', 'ai-edge-litert', 'tflite-runtime', 'tensorflow',
              'tensorflow-cpu', 'tf_keras')


@dataclass(frozen=True)
class Question:
    """What is to be measured.

    :param places: data, teacher or None, cache, and the folder of the shipped models.
    :param run: folder with the papers' fitted networks.
    :param clips: folder of videos, or None for the animated portrait alone.
    :param public_only: leave PrivateTest alone.
    :param faces: how many are held for counting flips; ``pairs`` change for timing labels.
    :param command: that asked, for the record.
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

    @property
    def split(self) -> str:
        """The split that time is measured on and errors are shown of."""
        return PUBLIC if self.public_only else PRIVATE


@dataclass(eq=False)
class Material:
    """What was looked at, for measuring and for pictures.

    :param features: by landmark source, the test faces.
    :param answers: by model and source, to all of these.
    """

    stills: Stills
    features: dict[str, FeatureSet]
    models: Models
    tracks: list[Track]
    answers: dict[tuple[str, str], Answers] = field(default_factory=dict)

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
    # No copies: only Training has any.
    features = {
        source: each.where(each.usage != TRAINING)
        for source, each in feature_sets(stills, places, 0, question.processes).items()
    }
    material = Material(
        stills, {source: each for source, each in features.items() if len(each)},
        gather_models(question.run, places.models, question.grouping), [],
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
    return material


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
                answers, features, question.grouping, question.public_only,
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
                recognizers, material.split(source, question.split), question.grouping,
                faces=question.faces, pairs=question.pairs,
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
        **_provenance(question, material),
        'stills': measure_stills(question, material),
        'coverage': {
            source: coverage(material.stills, features, question.public_only)
            for source, features in material.features.items()
        },
        'stability': measure_time(question, material),
        'clip_agreement': agreement,
        'structure': material.models.structure,
    }


def _provenance(question: Question, material: Material) -> dict[str, Any]:
    places, stills = question.places, material.stills
    files: dict[str, Mapping[str, str]] = dict(material.models.files)
    head = places.models / 'blendshape_head.tflite'
    files['blendshape head'] = {'file': head.name, 'sha256': sha256(head)}
    if places.teacher is not None:
        files['teacher'] = {'file': places.teacher.name, 'sha256': sha256(places.teacher)}
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
            'file': places.data.name, 'images': len(stills),
            'test_images_that_are_training_images_too': int(stills.duplicate.sum()),
        },
        'seeds': {'held faces': HELD_SEED, 'changes': CHANGES_SEED, 'movement': MOVEMENT_SEED},
        'versions': dict(sorted(_versions())),
        'models': files,
        'notes': notes,
    }


def _versions() -> list[tuple[str, str]]:
    found = [('emotion-estimator', __version__),
             ('python', f'{platform.python_version()} on {platform.machine()}')]
    for name in _LIBRARIES:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue
    return found
