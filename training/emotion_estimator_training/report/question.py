"""What is to be measured, and what has to be looked at for it."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from emotion_estimator.errors import InputError
from emotion_estimator.perception.landmarks.blendshape_head import BlendshapeHead
from emotion_estimator_training.data.dataset import Stills, load_stills
from emotion_estimator_training.data.fer2013 import TRAINING
from emotion_estimator_training.data.grouping import Grouping
from emotion_estimator_training.evaluation.evaluate import PRIVATE, PUBLIC, Answers, split_rows
from emotion_estimator_training.evaluation.robot_networks import RobotNetworks
from emotion_estimator_training.features.clips import Track, portrait_tracks, tracks
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.features.features import Places, feature_sets
from emotion_estimator_training.report.report_models import Models, gather_models

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
        stills, {source: each for source, each in features.items() if len(each)},
        gather_models(question.run, places.models, question.grouping), [], networks=networks,
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
