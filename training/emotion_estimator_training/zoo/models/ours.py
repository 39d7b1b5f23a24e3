"""The package's own networks in the zoo: trained on the same clips, and as shipped."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from emotion_estimator.emotion import VOCABULARIES
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator.perception import window_classifier
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.perception.face_crop import crop
from emotion_estimator.perception.face_parts import cover
from emotion_estimator.perception.window_classifier import WindowInput
from emotion_estimator_training.evaluation.recognizers import StreamingRecognizer
from emotion_estimator_training.features.embeddings import Embedder
from emotion_estimator_training.features.feature_set import (
    EMBEDDING,
    PRESENT,
    SHAPES,
    face_vectors,
)
from emotion_estimator_training.models.branches import BranchSettings
from emotion_estimator_training.models.legacy_keras import keras, tf
from emotion_estimator_training.models.streaming_network import (
    StreamingSettings,
    assemble,
    build_network,
)
from emotion_estimator_training.zoo.data.face_tracks import FaceTrack
from emotion_estimator_training.zoo.data.windows import Windows
from emotion_estimator_training.zoo.models.catalog import Entry
from emotion_estimator_training.zoo.models.fitting import Floats, ZooFitSettings, read
from emotion_estimator_training.zoo.models.layer_summary import LayerSummary, summarize_layers
from emotion_estimator_training.zoo.models.layers import Dropout
from emotion_estimator_training.zoo.models.model import (
    ExportNetworks,
    RunContext,
    Split,
    ZooModel,
)
from emotion_estimator_training.zoo.models.network_model import NetworkModel
from emotion_estimator_training.zoo.models.pretrained import SAW_APPEARANCE, SAW_OWN, SAW_SHIPPED

#: File of the normalization of a network's inputs, next to its weights.
_SCALES = 'scales.npz'
#: Inputs that are normalized: the embedding and the spread blendshapes.
_NORMALIZED = 2 * SHAPES + EMBEDDING
_NO_COVERED_REASON = 'blendshapes stay those of the open face'


class Embeddings:
    """Embeddings of tracks' faces by the shipped appearance network; cached by track."""

    def __init__(self, folder: Path) -> None:
        """Open the network.

        :param folder: of this package's models.
        :raises ModelError: the folder has no appearance network.
        """
        self._embed = Embedder(folder / 'appearance.json')
        self.sha256 = self._embed.sha256
        self._known: dict[tuple[FaceTrack, bool], Floats] = {}

    def __call__(self, track: FaceTrack, covered: bool = False) -> Floats:
        """Return the embeddings (T, 64); zeros for faces that cannot be cropped."""
        if (track, covered) not in self._known:
            crops = np.stack(
                [
                    crop(cover(face, points) if covered else face, points)
                    for face, points in zip(track.crops, track.landmarks)
                ]
            )
            self._known[track, covered] = self._embed(crops)
        return self._known[track, covered]


def embeddings_of(context: RunContext) -> Embeddings | None:
    """Return the embeddings that a run shares; None, with a note, without an appearance network."""
    if 'embeddings' not in context.shared:
        try:
            context.shared['embeddings'] = Embeddings(context.own_models or models_dir())
        except ModelError as error:
            context.shared['embeddings'] = None
            context.notes.append(f'there is no appearance network: {error}')
    embeddings: Embeddings | None = context.shared['embeddings']
    return embeddings


def saw_embeddings(context: RunContext) -> str:
    """Return what the appearance network of a run learned from, for tables."""
    return SAW_APPEARANCE if context.own_models is None else SAW_OWN


def face_rows(track: FaceTrack, embeddings: Embeddings | None, covered: bool = False) -> Floats:
    """Return a track's blendshapes and embeddings as face vectors (T, 118)."""
    embedded = embeddings(track, covered) if embeddings is not None else None
    return face_vectors(track.blendshapes, embedded)


@dataclass(frozen=True)
class OursSettings:
    """Shape of the streaming network, and how it is trained here.

    :param window: frames; on a robot the network keeps a state instead.
    :param units: of the LSTM.
    :param branch: ``fused``, ``blendshapes`` or ``appearance``.
    :param dropout: share of the memory that is dropped in training, 0 to 1.
    """

    window: int = 32
    units: int = 32
    branch: str = 'fused'
    dropout: float = 0.0
    overlap: Any = 0.0
    fit: ZooFitSettings = field(default=ZooFitSettings())


class Ours(NetworkModel):
    """The shipped network's layers with the set's classes, trained on the set."""

    no_covered_reason = _NO_COVERED_REASON

    def __init__(self, entry: Entry, context: RunContext) -> None:
        self.settings = chosen = read(OursSettings, entry.settings, entry.name)
        if chosen.branch not in PRESENT:
            raise InputError(f'{entry.name}: branch must be one of {", ".join(PRESENT)}')
        self._embeddings = embeddings_of(context) if chosen.branch != 'blendshapes' else None
        if chosen.branch == 'appearance' and self._embeddings is None:
            raise InputError(
                f'{entry.name} needs the appearance network (models/appearance.json); restore it'
            )
        inputs = [WindowInput(window_classifier.SHAPES)]
        if self._embeddings is not None:
            inputs.append(WindowInput(window_classifier.EMBEDDING, size=EMBEDDING))
        super().__init__(entry, context, chosen.window, inputs, chosen.fit, chosen.overlap)
        self._scales: tuple[Floats, Floats] | None = None

    @property
    def saw(self) -> str:
        """Return what the embeddings come from; see :attr:`ZooModel.saw`."""
        return super().saw if self._embeddings is None else saw_embeddings(self.context)

    def encode(self, track: FaceTrack, covered: bool) -> Floats:
        """Return the embeddings (T, 64)."""
        assert self._embeddings is not None
        return self._embeddings(track, covered)

    def build(self) -> Any:
        """Return the untrained network, its inputs normalized on the training faces."""
        mean, scale = self._scales or _no_normalization()
        streaming = StreamingSettings(BranchSettings(), self.settings.units)
        network = assemble(mean, scale, streaming).model
        inputs = self.keras_inputs()
        branch = self.settings.branch if self._embeddings is not None else 'blendshapes'
        faces = FaceRows(PRESENT[branch], name='faces')(inputs)
        seconds = Interval(1 / self.context.rate, name='seconds')(inputs[0])
        memory = keras.Model(network.inputs, network.get_layer('lstm').output, name='streaming')
        last = keras.layers.Lambda(lambda values: values[:, -1], name='last')(
            memory([faces, seconds])
        )
        kept = Dropout(self.settings.dropout, name='dropout')(last)
        answer = keras.layers.Dense(len(self.classes), 'softmax', name='emotion')(kept)
        return keras.Model(inputs, answer, name='ours')

    def fit(self, split: Split) -> list[dict[str, Any]]:
        """Train; see :meth:`ZooModel.fit`."""
        faces = np.concatenate([face_rows(track, self._embeddings) for track in split.train])
        network = build_network(faces, StreamingSettings(BranchSettings(), self.settings.units))
        self._scales, self._network = (network.mean, network.scale), None
        history = super().fit(split)
        np.savez(self.folder / _SCALES, mean=network.mean, scale=network.scale)
        return history

    def load(self) -> None:
        """Load the normalization and the best weights."""
        try:
            with np.load(self.folder / _SCALES) as arrays:
                self._scales, self._network = (arrays['mean'], arrays['scale']), None
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f'{self.folder} holds no trained {self.name}; run "emotion-estimator zoo run"'
            ) from error
        super().load()

    def networks(self) -> ExportNetworks:
        """Return the network, with the checksum of the appearance network."""
        return replace(super().networks(), appearance=self._appearance_checksum())

    def identity(self, split: Split) -> dict[str, Any]:
        """Return what determines the result of training, including the appearance network."""
        return {**super().identity(split), 'appearance': self._appearance_checksum()}

    def _appearance_checksum(self) -> str:
        return self._embeddings.sha256 if self._embeddings is not None else ''


def _no_normalization() -> tuple[Floats, Floats]:
    return np.zeros(_NORMALIZED, np.float32), np.ones(_NORMALIZED, np.float32)


class FaceRows(keras.layers.Layer):  # type: ignore[misc]
    """Joins blendshapes (N, L, 52) and, if given, embeddings (N, L, 64) to rows (N, L, 118).

    :param present: whether embedding and blendshapes are used, as in ``PRESENT``.
    """

    def __init__(self, present: tuple[float, float], **others: Any) -> None:
        super().__init__(**others)
        self._present = np.asarray(present, np.float32)

    def call(self, inputs: Any) -> Any:
        """Return (N, L, 118)."""
        parts = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        shapes = parts[0]
        if len(parts) == 1:
            parts.append(tf.zeros_like(tf.concat([shapes, shapes], -1)[..., :EMBEDDING]))
        flags = tf.ones_like(shapes[..., :2]) * self._present
        return tf.concat([*parts, flags], axis=-1)


class Interval(keras.layers.Layer):  # type: ignore[misc]
    """The same seconds for every frame of (N, L, ...): (N, L, 1)."""

    def __init__(self, seconds: float, **others: Any) -> None:
        super().__init__(**others)
        self._seconds = seconds

    def call(self, inputs: Any) -> Any:
        """Return (N, L, 1)."""
        return tf.ones_like(inputs[..., :1]) * self._seconds


class Shipped(ZooModel):
    """The shipped classifier, run frame by frame over each track."""

    no_covered_reason = _NO_COVERED_REASON

    def __init__(self, entry: Entry, context: RunContext) -> None:
        super().__init__(entry, context)
        self._known: dict[tuple[FaceTrack, bool], Floats] = {}
        self._recognizer: StreamingRecognizer | None = None
        self._embeddings: Embeddings | None = None

    @property
    def recognizer(self) -> StreamingRecognizer:
        """Return the shipped classifier.

        :raises InputError: its labels do not include the set's classes.
        """
        if self._recognizer is None:
            self._recognizer = StreamingRecognizer(_classifier(self.context, self.classes))
            self._embeddings = embeddings_of(self.context)
        return self._recognizer

    def fit(self, split: Split) -> list[dict[str, Any]]:
        """Return no epochs: it is trained already."""
        self.load()
        return []

    def load(self) -> None:
        """Open the shipped files."""
        assert self.recognizer

    def predict(self, windows: Windows, covered: bool = False) -> Floats:
        """Return the probabilities (N, C) at each window's last frame."""
        found = [
            self._of_track(windows.tracks[track], covered)[last]
            for track, last in zip(windows.track, windows.frames[:, -1])
        ]
        return np.array(found, np.float32).reshape(-1, len(self.classes))

    @property
    def saw(self) -> str:
        """Return what the shipped networks learned from; see :attr:`ZooModel.saw`."""
        return SAW_SHIPPED if self.context.own_models is None else SAW_OWN

    def identity(self, split: Split) -> dict[str, Any]:
        """Return what determines the answers, including the shipped networks."""
        folder = self.context.own_models or models_dir()
        card = ModelCard.load(folder / 'emotion_lstm.json', 'emotion_lstm')
        embeddings = embeddings_of(self.context)
        return {
            **super().identity(split),
            'emotion_lstm': [card.sha256, card.settings],
            'appearance': embeddings.sha256 if embeddings is not None else '',
        }

    def structure(self) -> tuple[LayerSummary, ...]:
        """Return the layers of the network as it is trained."""
        return summarize_layers(assemble(*_no_normalization(), StreamingSettings()).model)

    def networks(self) -> ExportNetworks:
        """Refuse to export.

        :raises InputError: always.
        """
        raise InputError('the shipped model needs no export: the estimator node runs it by default')

    def _of_track(self, track: FaceTrack, covered: bool) -> Floats:
        """Return the probabilities (T, C) of the set's classes at each frame, sum 1."""
        if (track, covered) not in self._known:
            labels = self.recognizer.labels
            steps = np.diff(track.times, prepend=track.times[0] - 1 / self.context.rate)
            rows = (
                face_rows(track, self._embeddings, covered)
                if self._embeddings is not None
                else track.blendshapes
            )
            found = self.recognizer.sequences(rows[None], steps[None].astype(np.float32))[0]
            chosen = found[:, [labels.index(name) for name in self.classes]]
            self._known[track, covered] = chosen / np.maximum(
                chosen.sum(axis=1, keepdims=True), 1e-9
            )
        return self._known[track, covered]


def _classifier(context: RunContext, classes: tuple[str, ...]) -> EmotionClassifier:
    """Return the shipped classifier in the first vocabulary that includes the classes."""
    card = context.own_models / 'emotion_lstm.json' if context.own_models else None
    for vocabulary in VOCABULARIES:
        classifier = EmotionClassifier.load(card, vocabulary=vocabulary)
        if set(classes) <= set(classifier.labels):
            return classifier
    raise InputError(
        f'the shipped model knows {", ".join(classifier.labels)}; the set has {", ".join(classes)}'
    )
