"""The interface of every evaluated model, and the shipped networks as the robot runs them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.emotion import VOCABULARIES
from emotion_estimator.perception.appearance import AppearanceNetwork
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator_training.features.feature_set import (
    EMBEDDING,
    PRESENT,
    SHAPES,
    FeatureSet,
    only_branch,
)

Floats = NDArray[np.float32]

#: Inputs that a network may use, in the order of tables.
BRANCHES = tuple(reversed(PRESENT))
_FILES = {
    'blendshapes': ('emotion_lstm',),
    'appearance': ('appearance', 'emotion_lstm'),
    'fused': ('appearance', 'emotion_lstm'),
}


class Recognizer(Protocol):
    """Recognizes the emotion of stills and sequences; ``name`` is its name in tables."""

    name: str
    labels: tuple[str, ...]

    def stills(self, vectors: Floats) -> Floats:
        """Return the probabilities (N, L) over ``labels`` of unrelated faces.

        :param vectors: (N, 118), or blendshapes only, (N, 52); see
            :func:`~.feature_set.face_vectors`.
        """

    def sequences(self, vectors: Floats, dt: Floats) -> Floats:
        """Return the probabilities (B, T, L) in each frame of B faces that move.

        :param vectors: (B, T, 118 or 52).
        :param dt: (B, T), seconds since the previous frame.
        """


class StreamingRecognizer:
    """Runs :class:`~emotion_estimator.perception.classifier.EmotionClassifier` on many faces."""

    def __init__(self, classifier: EmotionClassifier, name: str = 'streaming') -> None:
        """Wrap a classifier.

        :param name: its name in tables.
        """
        self.name = name
        self.labels = classifier.labels
        self._classifier = classifier

    def stills(self, vectors: Floats) -> Floats:
        """Return the probabilities (N, L) of unrelated faces (N, 52 or 118)."""
        answers = [self._classifier.classify_still(*split_vector(row)) for row in vectors]
        return np.array(answers, np.float32).reshape(-1, len(self.labels))

    def sequences(self, vectors: Floats, dt: Floats) -> Floats:
        """Return the probabilities (B, T, L) in each frame; see :class:`Recognizer`."""
        answers = np.zeros((*dt.shape, len(self.labels)), np.float32)
        for face, (rows, steps) in enumerate(zip(vectors, dt)):
            state = self._classifier.initial_state()
            for frame, (row, step) in enumerate(zip(rows, steps)):
                blendshapes, embedding = split_vector(row)
                answers[face, frame], state = self._classifier(
                    blendshapes, state, float(step), embedding
                )
        return answers


def split_vector(row: Floats) -> tuple[Floats | None, Floats | None]:
    """Return the blendshapes (52,) and embedding (64,) of a face's vector; None if not known."""
    if len(row) == SHAPES:
        return row, None
    return row[:SHAPES] if row[-1] else None, row[SHAPES:-2] if row[-2] else None


@dataclass(frozen=True, eq=False)
class RobotNetworks:
    """The appearance network and, by vocabulary, the classifier that follows it.

    :param sizes: bytes of each weights file, by model name.
    """

    appearance: AppearanceNetwork
    classifiers: dict[str, EmotionClassifier]
    sizes: dict[str, int]

    @classmethod
    def load(cls, models: Path, runtime: str | None = None) -> RobotNetworks:
        """Load the networks from a folder.

        :param runtime: as for :func:`~emotion_estimator.runtimes.open_interpreter`.
        :raises ModelError: one is missing or does not fit this code.
        """
        card = models / 'emotion_lstm.json'
        return cls(
            AppearanceNetwork.load(models / 'appearance.json', runtime),
            {name: EmotionClassifier.load(card, runtime, name) for name in VOCABULARIES},
            {
                name: (models / f'{name}.tflite').stat().st_size
                for name in ('appearance', 'emotion_lstm')
            },
        )

    def labels(self, vocabulary: str) -> tuple[str, ...]:
        """Return the labels of a vocabulary, in the order of the probabilities."""
        return self.classifiers[vocabulary].labels

    def bytes_of(self, branch: str) -> int:
        """Return the size in bytes of a branch's weights, without the landmark source's."""
        return sum(self.sizes[name] for name in _FILES[branch])

    def embeddings(self, crops: NDArray[np.uint8], name: str = '') -> Floats:
        """Return the embeddings (N, 64) of crops (N, 48, 48).

        :param name: title of a progress bar; empty shows none.
        """
        bar = tqdm(crops, desc=name, unit='face', disable=not name)
        return np.array([self.appearance(one) for one in bar], np.float32).reshape(-1, EMBEDDING)

    def seen(self, features: FeatureSet) -> FeatureSet:
        """Return faces with the embeddings of their crops; zeros for a face without a crop."""
        made = np.zeros((len(features), EMBEDDING), np.float32)
        rows = np.flatnonzero(features.crops.any(axis=(1, 2)))
        made[rows] = self.embeddings(features.crops[rows])
        return replace(features, embeddings=made)

    def stills(self, vectors: Floats, branch: str, vocabulary: str = 'three') -> Floats:
        """Return the probabilities (N, L) of unrelated faces (N, 118).

        :param branch: one of ``BRANCHES``: the input to use.
        """
        return StreamingRecognizer(self.classifiers[vocabulary]).stills(
            only_branch(vectors, branch)
        )

    def sequence(
        self, vectors: Floats, dt: Floats, branch: str, vocabulary: str = 'three'
    ) -> Floats:
        """Return the probabilities (T, L) of one face in each frame.

        :param vectors: (T, 118).
        :param dt: (T,), seconds since the previous frame.
        :param branch: as for :meth:`stills`.
        """
        recognizer = StreamingRecognizer(self.classifiers[vocabulary])
        return np.asarray(recognizer.sequences(only_branch(vectors, branch)[None], dt[None])[0])
