"""The streaming LSTM: a face's features and its state in, probabilities and the new state out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import EXPRESSIONS, LABELS, VOCABULARIES, FloatArray
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator.runtimes import open_interpreter
from emotion_estimator.untrusted import quote

_COUNT = len(BLENDSHAPE_NAMES)

Features_contra = TypeVar('Features_contra', contravariant=True)
State = TypeVar('State')

#: Which of embedding and blendshapes are known, as the network reads it.
_PRESENT = {
    (picture, scores): np.array([[picture, scores]], np.float32)
    for picture in (False, True)
    for scores in (False, True)
}


@dataclass(frozen=True, eq=False)
class Answer(Generic[State]):
    """A classifier's output for one frame of one face.

    :param probabilities: float32 (L,) over the classifier's ``labels``, sum 1.
    :param expressions: float32 (E,) over its ``expressions``, sum 1, whatever its vocabulary.
    :param state: the face's new state, to be passed with its next frame.
    """

    probabilities: FloatArray
    expressions: FloatArray
    state: State


class FaceClassifier(Protocol[Features_contra, State]):
    """What the pipeline needs of a classifier; the state is the caller's, one per face."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes, in the order of ``Answer.probabilities``."""
        ...

    @property
    def expressions(self) -> tuple[str, ...]:
        """Expressions, in the order of ``Answer.expressions``."""
        ...

    @property
    def title(self) -> str:
        """Name and version."""
        ...

    @property
    def sha256(self) -> str:
        """Checksum of the weights, in hexadecimal."""
        ...

    @property
    def neutral(self) -> FloatArray | None:
        """Blendshapes (52,) of an average face at rest; None if the model has none."""
        ...

    def initial_state(self) -> State:
        """Return the state of a face never seen before."""
        ...

    def step(
        self,
        features: Features_contra | None,
        state: State,
        dt: float,
        embedding: FloatArray | None,
        /,
    ) -> Answer[State]:
        """Classify one frame of a face, ``dt`` seconds after its previous one."""
        ...

    def still(
        self, features: Features_contra | None, embedding: FloatArray | None, /
    ) -> Answer[State]:
        """Classify a single image of a face."""
        ...


class EmotionClassifier:
    """One step of the shipped network per call; the state is the caller's, one per face.

    A step reads a face's blendshapes, the embedding of its image, or both.
    """

    def __init__(
        self, card: ModelCard, runtime: str | None = None, vocabulary: str = 'three'
    ) -> None:
        """Open the weights of ``card``; see :meth:`load`."""
        if vocabulary not in VOCABULARIES:
            raise InputError(f'vocabulary must be {" or ".join(VOCABULARIES)}, got {vocabulary!r}')
        self.title = card.title
        self.sha256 = card.sha256
        #: The seven expressions, in the order of ``Answer.expressions``.
        self.expressions = card.names('expressions')
        # The card has the order, the vocabulary the names.
        self._fine = VOCABULARIES[vocabulary] == EXPRESSIONS
        self.labels = self.expressions if self._fine else card.labels
        #: Length of the embedding it reads.
        self.embedding_size = card.count('embedding_size')
        #: Checksum of the appearance network it was trained with; empty if the card has none.
        self.appearance_sha256 = card.text('appearance_sha256')
        self._state_size = card.count('state_size')
        self._still_steps = card.count('still_steps')
        self._still_dt = card.seconds('still_dt')
        #: Blendshapes (52,) of an average face at rest, if the card has them.
        self.neutral = card.unit_values('neutral_blendshapes', _COUNT)
        for found, known in ((card.labels, LABELS), (self.expressions, EXPRESSIONS)):
            if sorted(found) != sorted(known):
                raise ModelError(
                    f'{card.title} has the labels {quote(list(found))}, this code needs '
                    f'{list(known)}'
                )
        self._interpreter: Any = open_interpreter(card.weights, runtime)
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        # By shape, which no converter changes, unlike order and names.
        sizes = (_COUNT, self.embedding_size, 2, 1, self._state_size)
        self._inputs = _indices(inputs, sizes, card)
        answers = (len(LABELS), len(EXPRESSIONS), self._state_size)
        self._outputs = _indices(outputs, answers, card)
        self._no_blendshapes = np.zeros((1, _COUNT), np.float32)
        self._no_embedding = np.zeros((1, self.embedding_size), np.float32)

    @classmethod
    def load(
        cls, card: Path | None = None, runtime: str | None = None, vocabulary: str = 'three'
    ) -> EmotionClassifier:
        """Load a classifier.

        :param card: its JSON card; None is the shipped one.
        :param runtime: TFLite runtime as in :func:`~emotion_estimator.runtimes.open_interpreter`.
        :param vocabulary: one of ``VOCABULARIES``; the same weights serve each.
        :raises ModelError: card, weights and code do not match.
        :raises InputError: unknown vocabulary.
        """
        path = card or models_dir() / 'emotion_lstm.json'
        return cls(ModelCard.load(path, 'emotion_lstm'), runtime, vocabulary)

    @property
    def checksums(self) -> Mapping[str, str]:
        """Return the checksum of the network, by its kind."""
        return {'emotion_lstm': self.sha256}

    def initial_state(self) -> FloatArray:
        """Return the state of a face never seen before: float32 (S,), zeros."""
        return np.zeros(self._state_size, np.float32)

    def __call__(
        self,
        blendshapes: FloatArray | None,
        state: FloatArray,
        dt: float,
        embedding: FloatArray | None = None,
    ) -> tuple[FloatArray, FloatArray]:
        """Classify one frame as :meth:`step` does; return the probabilities and the new state."""
        answer = self.step(blendshapes, state, dt, embedding)
        return answer.probabilities, answer.state

    def step(
        self,
        blendshapes: FloatArray | None,
        state: FloatArray,
        dt: float,
        embedding: FloatArray | None = None,
    ) -> Answer[FloatArray]:
        """Classify one frame of a face; a pure function, so that faces can share the object.

        :param blendshapes: (52,), 0 to 1, in ``BLENDSHAPE_NAMES`` order; None if unknown.
        :param state: the face's state, from :meth:`initial_state` or its previous step.
        :param dt: seconds since the face's previous frame, above 0; the network clips it to
            1/240 to 1 s.
        :param embedding: (``embedding_size``,) from the appearance network; None if unknown.
        :raises InputError: both are None, a shape is wrong, or a value is not finite.
        """
        if blendshapes is None and embedding is None:
            raise InputError('classifier needs blendshapes, an embedding or both, got neither')
        memory = np.asarray(state, np.float32)
        if memory.shape != (self._state_size,) or not _finite(memory):
            raise InputError(
                f'classifier needs a finite state of {self._state_size} numbers, got shape '
                f'{memory.shape}; start with initial_state()'
            )
        if not (math.isfinite(dt) and dt > 0):
            raise InputError(f'classifier needs a time step above 0 seconds, got {dt}')
        # Once per face and frame: no loops, and no NumPy functions implemented in Python.
        run = self._interpreter
        scores_at, embedding_at, present_at, dt_at, state_at = self._inputs
        run.set_tensor(scores_at, self._scores(blendshapes))
        run.set_tensor(embedding_at, self._embedded(embedding))
        run.set_tensor(present_at, _PRESENT[embedding is not None, blendshapes is not None])
        run.set_tensor(dt_at, np.array([[dt]], np.float32))
        run.set_tensor(state_at, memory[None])
        run.invoke()
        # Copies, since the interpreter reuses its buffers.
        three_at, seven_at, new_state_at = self._outputs
        seven = run.get_tensor(seven_at)[0]
        expressions: FloatArray = seven / np.add.reduce(seven)
        if self._fine:
            return Answer(expressions.copy(), expressions, run.get_tensor(new_state_at)[0])
        three = run.get_tensor(three_at)[0]
        return Answer(three / np.add.reduce(three), expressions, run.get_tensor(new_state_at)[0])

    def classify_still(
        self, blendshapes: FloatArray | None, embedding: FloatArray | None = None
    ) -> FloatArray:
        """Return the probabilities (L,) for a single image of a face.

        :param blendshapes: (52,), repeated for as many steps as the card has; so is ``embedding``.
        :raises InputError: as for one step.
        """
        return self.still(blendshapes, embedding).probabilities

    def still(
        self, blendshapes: FloatArray | None, embedding: FloatArray | None = None
    ) -> Answer[FloatArray]:
        """Return the complete answer for a single image of a face."""
        answer = self.step(blendshapes, self.initial_state(), self._still_dt, embedding)
        for _ in range(self._still_steps - 1):
            answer = self.step(blendshapes, answer.state, self._still_dt, embedding)
        return answer

    def _scores(self, blendshapes: FloatArray | None) -> FloatArray:
        if blendshapes is None:
            return self._no_blendshapes
        scores = np.asarray(blendshapes, np.float32)
        if scores.shape != (_COUNT,) or not _finite(scores):
            raise InputError(
                f'classifier needs {_COUNT} finite blendshapes, got shape {scores.shape}; '
                "give one face's scores in MediaPipe's order"
            )
        return scores[None]

    def _embedded(self, embedding: FloatArray | None) -> FloatArray:
        if embedding is None:
            return self._no_embedding
        values = np.asarray(embedding, np.float32)
        if values.shape != (self.embedding_size,) or not _finite(values):
            raise InputError(
                f'classifier needs an embedding of {self.embedding_size} finite numbers, got shape '
                f"{values.shape}; give one face's, from the appearance network it was trained with"
            )
        return values[None]


def _finite(values: FloatArray) -> bool:
    """Return whether all values of a row are finite."""
    # A finite sum of squares has finite terms and takes a quarter of the time. The squares of
    # large finite numbers may overflow, so an infinite sum proves nothing.
    return math.isfinite(values.dot(values)) or bool(np.isfinite(values).all())


def _indices(tensors: list[dict[str, Any]], sizes: tuple[int, ...], card: ModelCard) -> list[int]:
    """Return the tensor index of each size, the shape being (1, size)."""
    found = {tuple(int(n) for n in tensor['shape']): int(tensor['index']) for tensor in tensors}
    shapes = [(1, size) for size in sizes]
    if sorted(found) != sorted(shapes):
        raise ModelError(
            f'{quote(card.path)} has tensors of shapes {quote(sorted(found))}, its card needs '
            f'{quote(sorted(shapes))}; restore both from the same version'
        )
    if any(tensor['dtype'] != np.float32 for tensor in tensors):
        raise ModelError(
            f'{quote(card.path)} has inputs or outputs that are not float32; restore it and its '
            'card from the same version'
        )
    return [found[shape] for shape in shapes]
