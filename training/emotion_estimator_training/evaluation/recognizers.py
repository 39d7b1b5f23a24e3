"""What evaluation asks of every model, and the shipped networks as the robot runs them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.perception.appearance import AppearanceNetwork
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator_training.features.feature_set import EMBEDDING, SHAPES, FeatureSet, only

Floats = NDArray[np.float32]


class Recognizer(Protocol):
    """Reads the emotion of stills and of sequences; ``name`` is what tables call it."""

    name: str
    labels: tuple[str, ...]

    def stills(self, vectors: Floats) -> Floats:
        """Return the probabilities (N, L) over ``labels`` of unrelated faces.

        :param vectors: (N, 118), or (N, 52), blendshapes alone; see ``face_vector``.
        """

    def sequences(self, vectors: Floats, dt: Floats) -> Floats:
        """Return the probabilities (B, T, L) at each frame of B faces that move.

        :param vectors: (B, T, 118 or 52); ``dt`` (B, T), seconds since the frame before.
        """


class StreamingRecognizer:
    """Runs :class:`EmotionClassifier` over many faces."""

    def __init__(self, classifier: EmotionClassifier, name: str = 'streaming') -> None:
        """Take a classifier.

        :param name: what tables call it.
        """
        self.name = name
        self.labels = classifier.labels
        self._classifier = classifier

    def stills(self, vectors: Floats) -> Floats:
        """Return the probabilities (N, L) of unrelated faces (N, 52 or 118)."""
        answers = [self._classifier.classify_still(*known(row)) for row in vectors]
        return np.array(answers, np.float32).reshape(-1, len(self.labels))

    def sequences(self, vectors: Floats, dt: Floats) -> Floats:
        """Return the probabilities (B, T, L) at each frame; (B, T, 52 or 118), seconds (B, T)."""
        answers = np.zeros((*dt.shape, len(self.labels)), np.float32)
        for face, (rows, steps) in enumerate(zip(vectors, dt)):
            state = self._classifier.initial_state()
            for frame, (row, step) in enumerate(zip(rows, steps)):
                blendshapes, embedding = known(row)
                answers[face, frame], state = self._classifier(
                    blendshapes, state, float(step), embedding
                )
        return answers


def known(row: Floats) -> tuple[Floats | None, Floats | None]:
    """Return the blendshapes and the embedding of a face's vector, None for what is not known."""
    if len(row) == SHAPES:
        return row, None
    return row[:SHAPES] if row[-1] else None, row[SHAPES:-2] if row[-2] else None


#: What reads a face, in the order of tables.
BRANCHES = ('blendshapes', 'appearance', 'fused')
#: Sets of labels, as the classifier's ``vocabulary`` names them.
VOCABULARIES = ('three', 'seven')
_FILES = {
    'blendshapes': ('emotion_lstm',),
    'appearance': ('appearance', 'emotion_lstm'),
    'fused': ('appearance', 'emotion_lstm'),
}


@dataclass(frozen=True, eq=False)
class RobotNetworks:
    """The appearance network, and the classifier behind it, by vocabulary.

    :param sizes: bytes of each weights file, by the model's name.
    """

    appearance: AppearanceNetwork
    classifiers: dict[str, EmotionClassifier]
    sizes: dict[str, int]

    @classmethod
    def load(cls, models: Path, runtime: str | None = None) -> RobotNetworks:
        """Open the networks of a folder.

        :param runtime: as for :func:`~emotion_estimator.runtimes.open_interpreter`.
        :raises ModelError: one is missing, or does not fit this code.
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
        """Return the size of the weights that a branch needs, behind the landmark source."""
        return sum(self.sizes[name] for name in _FILES[branch])

    def embeddings(self, crops: NDArray[np.uint8], name: str = '') -> Floats:
        """Return what the appearance network says (N, 64) of crops (N, 48, 48).

        :param name: shown beside a progress bar; empty shows none.
        """
        bar = tqdm(crops, desc=name, unit='face', disable=not name)
        return np.array([self.appearance(one) for one in bar], np.float32).reshape(-1, EMBEDDING)

    def seen(self, features: FeatureSet) -> FeatureSet:
        """Return faces with the embeddings of their crops; noughts where there is no crop."""
        made = np.zeros((len(features), EMBEDDING), np.float32)
        rows = np.flatnonzero(features.crops.any(axis=(1, 2)))
        made[rows] = self.embeddings(features.crops[rows])
        return replace(features, embeddings=made)

    def stills(self, vectors: Floats, branch: str, vocabulary: str = 'three') -> Floats:
        """Return the probabilities (N, L) of unrelated faces (N, 118).

        :param branch: of ``BRANCHES``: what may be read.
        """
        return StreamingRecognizer(self.classifiers[vocabulary]).stills(only(vectors, branch))

    def course(self, vectors: Floats, dt: Floats, branch: str, vocabulary: str = 'three') -> Floats:
        """Return the probabilities (T, L) of one face from frame to frame.

        :param vectors: (T, 118), of which ``branch`` is known; ``dt`` (T,), seconds since the
            frame before.
        """
        recognizer = StreamingRecognizer(self.classifiers[vocabulary])
        return recognizer.sequences(only(vectors, branch)[None], dt[None])[0]
