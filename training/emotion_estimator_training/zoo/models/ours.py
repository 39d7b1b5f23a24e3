"""The package's own networks among the zoo's: trained on the same clips, and as shipped."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.perception.face_crop import crop
from emotion_estimator.perception.face_parts import cover
from emotion_estimator_training.evaluation.recognizers import StreamingRecognizer
from emotion_estimator_training.features.embeddings import Embedder
from emotion_estimator_training.features.feature_set import EMBEDDING, PRESENT, SHAPES, face_vectors
from emotion_estimator_training.models.branches import BranchSettings
from emotion_estimator_training.models.legacy_keras import keras, tf
from emotion_estimator_training.models.streaming_network import (
    StreamingSettings,
    assemble,
    build_network,
)
from emotion_estimator_training.zoo.data.frames import FaceTrack
from emotion_estimator_training.zoo.data.windows import Windows
from emotion_estimator_training.zoo.models.catalog import Entry
from emotion_estimator_training.zoo.models.fitting import Floats, ZooFitSettings, read
from emotion_estimator_training.zoo.models.inputs import EMBEDDING as EMBEDDING_INPUT
from emotion_estimator_training.zoo.models.inputs import SHAPES as SHAPES_INPUT
from emotion_estimator_training.zoo.models.inputs import Input
from emotion_estimator_training.zoo.models.model import (
    LayerSummary,
    NetworkModel,
    Networks,
    RunContext,
    Split,
    ZooModel,
)


class Embeddings:
    """Embeddings of tracks' faces by the shipped appearance network; each track once."""

    def __init__(self, folder: Path) -> None:
        """Open the network.

        :raises ModelError: the folder has none.
        """
        self._embed = Embedder(folder / 'appearance.json')
        self.sha256 = self._embed.sha256
        self._known: dict[tuple[FaceTrack, bool], Floats] = {}

    def __call__(self, track: FaceTrack, covered: bool = False) -> Floats:
        """Return (T, 64); faces that cannot be cut out give noughts."""
        if (track, covered) not in self._known:
            crops = np.stack(
                [
                    crop(cover(face, points) if covered else face, points)
                    for face, points in zip(track.crops, track.landmarks)
                ]
            )
            self._known[track, covered] = self._embed(crops)
        return self._known[track, covered]


def embeddings_of(place: RunContext) -> Embeddings | None:
    """Return what embeds faces, once for a run; None where no appearance network is there."""
    if 'embeddings' not in place.shared:
        try:
            place.shared['embeddings'] = Embeddings(place.models or models_dir())
        except ModelError as error:
            place.shared['embeddings'] = None
            place.notes.append(f'there is no appearance network: {error}')
    found: Embeddings | None = place.shared['embeddings']
    return found


#: What the normalization of the network's inputs is kept in, beside its weights.
_SCALES = 'scales.npz'
#: Of the embedding and the spread blendshapes: what a network's inputs are normalized by.
_NUMBERS = 2 * SHAPES + EMBEDDING
_COVER = 'blendshapes stay those of the open face'


@dataclass(frozen=True)
class OursSettings:
    """The streaming network's shape, and how it learns here.

    :param window: frames that it remembers here; on a robot it remembers without an end.
    :param branch: ``fused``, or ``blendshapes`` or ``appearance`` alone.
    """

    window: int = 32
    units: int = 32
    branch: str = 'fused'
    overlap: Any = 0.0
    fit: ZooFitSettings = field(default=ZooFitSettings())


class Ours(NetworkModel):
    """The shipped network's layers, with the set's classes, trained on the set."""

    cover_unseen = _COVER

    def __init__(self, entry: Entry, place: RunContext) -> None:
        self.settings = read(OursSettings, entry.settings, entry.name)
        if self.settings.branch not in PRESENT:
            raise InputError(f'{entry.name}: branch is one of {", ".join(PRESENT)}')
        self._embeddings = embeddings_of(place) if self.settings.branch != 'blendshapes' else None
        if self.settings.branch == 'appearance' and self._embeddings is None:
            raise InputError(f'{entry.name} needs the appearance network (models/appearance.json)')
        inputs = [Input(SHAPES_INPUT)]
        if self._embeddings is not None:
            inputs.append(Input(EMBEDDING_INPUT, size=EMBEDDING))
        super().__init__(
            entry, place, self.settings.window, inputs, self.settings.fit, self.settings.overlap
        )
        self._scales: tuple[Floats, Floats] | None = None

    def encode(self, track: FaceTrack, covered: bool) -> Floats:
        """Return the embeddings (T, 64)."""
        assert self._embeddings is not None
        return self._embeddings(track, covered)

    def build(self) -> Any:
        """Return the untrained network, its inputs normalized as the training faces are."""
        streaming = StreamingSettings(BranchSettings(), self.settings.units)
        width = SHAPES + EMBEDDING + 2
        mean, scale = self._scales or (
            np.zeros(_NUMBERS, np.float32),
            np.ones(_NUMBERS, np.float32),
        )
        network = assemble(mean, scale, streaming).model
        inputs = self.keras_inputs()
        known = np.array(PRESENT[self.settings.branch], np.float32)
        if self._embeddings is None:
            known = np.array([0.0, 1.0], np.float32)
        faces = FaceRows(known, width, name='faces')(inputs)
        seconds = Interval(1 / self.place.rate, name='seconds')(inputs[0])
        memory = keras.Model(network.inputs, network.get_layer('lstm').output, name='streaming')
        last = keras.layers.Lambda(lambda values: values[:, -1], name='last')(
            memory([faces, seconds])
        )
        answer = keras.layers.Dense(len(self.classes), 'softmax', name='emotion')(last)
        return keras.Model(inputs, answer, name='ours')

    def fit(self, split: Split) -> list[dict[str, Any]]:
        """Learn; see :meth:`ZooModel.fit`."""
        pool = np.concatenate([self._rows(track) for track in split.train])
        network = build_network(pool, StreamingSettings(BranchSettings(), self.settings.units))
        self._scales, self._network = (network.mean, network.scale), None
        history = super().fit(split)
        np.savez(self.folder / _SCALES, mean=network.mean, scale=network.scale)
        return history

    def load(self) -> None:
        """Read the normalization and the best weights."""
        try:
            with np.load(self.folder / _SCALES) as kept:
                self._scales, self._network = (kept['mean'], kept['scale']), None
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f'{self.folder} holds no trained {self.name}; run it first') from error
        super().load()

    def networks(self) -> Networks:
        """Return the network over windows; embeddings are the shipped appearance network's."""
        found = super().networks()
        if self._embeddings is None:
            return found
        return replace(found, appearance=self._embeddings.sha256)

    def identity(self, split: Split) -> dict[str, Any]:
        """Return what decides the outcome of learning, whose embeddings it reads included."""
        embeddings = self._embeddings.sha256 if self._embeddings is not None else ''
        return {**super().identity(split), 'appearance': embeddings}

    def _rows(self, track: FaceTrack) -> Floats:
        return vectors(track, self._embeddings)


def vectors(track: FaceTrack, embeddings: Embeddings | None, covered: bool = False) -> Floats:
    """Return what is known of a track's faces, (T, 118)."""
    embedded = embeddings(track, covered) if embeddings is not None else None
    return face_vectors(track.blendshapes, embedded)


class FaceRows(keras.layers.Layer):
    """Blendshapes (N, L, 52), perhaps embeddings (N, L, 64), as rows (N, L, 118)."""

    def __init__(self, known: Any, width: int, **others: Any) -> None:
        super().__init__(**others)
        self._known, self._width = np.asarray(known, np.float32), width

    def call(self, inputs: Any) -> Any:
        """Return (N, L, 118)."""
        parts = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        shapes = parts[0]
        if len(parts) == 1:
            parts.append(tf.zeros_like(tf.concat([shapes, shapes], -1)[..., :EMBEDDING]))
        flags = tf.ones_like(shapes[..., :2]) * self._known
        return tf.concat([*parts, flags], axis=-1)


class Interval(keras.layers.Layer):
    """The same seconds for every frame of (N, L, ...): (N, L, 1)."""

    def __init__(self, seconds: float, **others: Any) -> None:
        super().__init__(**others)
        self._seconds = seconds

    def call(self, inputs: Any) -> Any:
        """Return (N, L, 1)."""
        return tf.ones_like(inputs[..., :1]) * self._seconds


class Shipped(ZooModel):
    """The shipped classifier, step by step over whole tracks, its expressions as the classes."""

    cover_unseen = _COVER

    def __init__(self, entry: Entry, place: RunContext) -> None:
        super().__init__(entry, place)
        self._known: dict[tuple[FaceTrack, bool], Floats] = {}
        self._recognizer: StreamingRecognizer | None = None
        self._embeddings: Embeddings | None = None

    @property
    def recognizer(self) -> StreamingRecognizer:
        """Return the shipped classifier.

        :raises InputError: it does not tell the set's classes.
        """
        if self._recognizer is None:
            self._recognizer = StreamingRecognizer(_classifier(self.place, self.classes))
            self._embeddings = embeddings_of(self.place)
        return self._recognizer

    def fit(self, split: Split) -> list[dict[str, Any]]:
        """Do nothing: it was trained elsewhere."""
        self.load()
        return []

    def load(self) -> None:
        """Open the shipped files."""
        assert self.recognizer

    def predict(self, asked: Windows, covered: bool = False) -> Floats:
        """Return the probabilities (N, C) at the windows' last frames."""
        found = [
            self._track(asked.tracks[track], covered)[last]
            for track, last in zip(asked.track, asked.frames[:, -1])
        ]
        return np.array(found, np.float32).reshape(-1, len(self.classes))

    def identity(self, split: Split) -> dict[str, Any]:
        """Return what decides its answers: the shipped networks."""
        card = ModelCard.load(
            (self.place.models or models_dir()) / 'emotion_lstm.json', 'emotion_lstm'
        )
        embeddings = embeddings_of(self.place)
        return {
            **super().identity(split),
            'emotion_lstm': [card.sha256, card.settings],
            'appearance': embeddings.sha256 if embeddings is not None else '',
        }

    def structure(self) -> tuple[LayerSummary, ...]:
        """Return the network's layers as training builds them."""
        from emotion_estimator_training.zoo.models.model import layers

        network = assemble(
            np.zeros(_NUMBERS, np.float32), np.ones(_NUMBERS, np.float32), StreamingSettings()
        )
        return layers(network.model)

    def networks(self) -> Networks:
        """Refuse: it ships already.

        :raises InputError: always.
        """
        raise InputError('the shipped model needs no export: the estimator node runs it by itself')

    def _track(self, track: FaceTrack, covered: bool) -> Floats:
        if (track, covered) not in self._known:
            labels = self.recognizer.labels
            steps = np.diff(track.times, prepend=track.times[0] - 1 / self.place.rate)
            rows = (
                vectors(track, self._embeddings, covered)
                if self._embeddings is not None
                else track.blendshapes
            )
            found = self.recognizer.sequences(rows[None], steps[None].astype(np.float32))[0]
            order = [labels.index(one) for one in self.classes]
            chosen = found[:, order]
            self._known[track, covered] = chosen / np.maximum(
                chosen.sum(axis=1, keepdims=True), 1e-9
            )
        return self._known[track, covered]


def _classifier(place: RunContext, classes: tuple[str, ...]) -> EmotionClassifier:
    card = place.models / 'emotion_lstm.json' if place.models else None
    told: list[tuple[str, ...]] = []
    for vocabulary in ('three', 'seven'):
        classifier = EmotionClassifier.load(card, vocabulary=vocabulary)
        told.append(classifier.labels)
        if set(classes) <= set(classifier.labels):
            return classifier
    raise InputError(
        f'the shipped model tells {", ".join(told[-1])}; the set has {", ".join(classes)}'
    )
