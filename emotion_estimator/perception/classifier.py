"""The streaming LSTM: what is seen of a face and its memory in, probabilities and memory out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import EXPRESSIONS, LABELS, FloatArray
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator.runtimes import open_interpreter

#: What a classifier answers in: :data:`~emotion_estimator.emotion.LABELS`, or
#: :data:`~emotion_estimator.emotion.EXPRESSIONS`.
VOCABULARIES = ('three', 'seven')

_COUNT = len(BLENDSHAPE_NAMES)


class Answer(NamedTuple):
    """What the network makes of one frame of one face.

    :param probabilities: float32 (L,) over the classifier's ``labels``, sum 1.
    :param expressions: float32 (7,) over its ``expressions``, sum 1, in each vocabulary.
    :param state: the face's new memory (S,).
    """

    probabilities: FloatArray
    expressions: FloatArray
    state: FloatArray


class EmotionClassifier:
    """One step of the shipped network per call; the state is the caller's, one per face.

    A step reads a face's blendshapes, the embedding of its picture, or both.
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
        self.labels = self.expressions if vocabulary == 'seven' else card.labels
        #: Numbers in the embedding of a face's picture.
        self.embedding_size = card.whole('embedding_size')
        #: Checksum of the appearance network that it was trained with; empty where no card says.
        self.appearance_sha256 = str(card.settings.get('appearance_sha256', ''))
        self._state_size = card.whole('state_size')
        self._still_steps = card.whole('still_steps')
        self._still_dt = card.seconds('still_dt')
        #: The usual face at rest (52,), where the card knows it.
        self.neutral = card.shares('neutral_blendshapes', _COUNT)
        for found, known in ((card.labels, LABELS), (self.expressions, EXPRESSIONS)):
            if sorted(found) != sorted(known):
                raise ModelError(
                    f'{card.title} has the labels {list(found)}, this code needs {list(known)}'
                )
        self._seven = vocabulary == 'seven'
        self._interpreter: Any = open_interpreter(card.path, runtime)
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        # By shape, which unlike order and names no converter changes.
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

        :param card: its JSON card; None takes the shipped one.
        :param runtime: TFLite runtime as in :func:`~emotion_estimator.runtimes.open_interpreter`.
        :param vocabulary: of ``VOCABULARIES``; both come from the same weights.
        :raises ModelError: card, weights and code do not fit together.
        :raises InputError: there is no such vocabulary.
        """
        path = card or models_dir() / 'emotion_lstm.json'
        return cls(ModelCard.load(path, 'emotion_lstm'), runtime, vocabulary)

    def initial_state(self) -> FloatArray:
        """Return the memory of a face never seen before: float32 (S,), zeros."""
        return np.zeros(self._state_size, np.float32)

    def __call__(
        self,
        blendshapes: FloatArray | None,
        state: FloatArray,
        dt: float,
        embedding: FloatArray | None = None,
    ) -> tuple[FloatArray, FloatArray]:
        """Take one frame of one face as :meth:`step` does; return probabilities and new state."""
        answer = self.step(blendshapes, state, dt, embedding)
        return answer.probabilities, answer.state

    def step(
        self,
        blendshapes: FloatArray | None,
        state: FloatArray,
        dt: float,
        embedding: FloatArray | None = None,
    ) -> Answer:
        """Take one frame of one face; a pure function, so that many faces share the object.

        :param blendshapes: (52,), 0 to 1, in ``BLENDSHAPE_NAMES`` order; None where not known.
        :param state: the face's state, of :meth:`initial_state` or the step before.
        :param dt: seconds since the face's frame before, over 0; beyond 1/240 to 1 s the network
            takes the nearer end.
        :param embedding: (``embedding_size``,) of the appearance network; None where not known.
        :raises InputError: neither is known, a shape is another one, or a value is not finite.
        """
        if blendshapes is None and embedding is None:
            raise InputError('classifier needs blendshapes, an embedding or both, got neither')
        memory = np.asarray(state, np.float32)
        if memory.shape != (self._state_size,) or not _finite(memory):
            raise InputError(
                f'classifier needs a finite state of {self._state_size} numbers, got shape '
                f'{memory.shape}; begin with initial_state()'
            )
        if not (math.isfinite(dt) and dt > 0):
            raise InputError(f'classifier needs a time step over 0 seconds, got {dt}')
        # Once per face and frame: no loops and no array functions written in Python.
        run = self._interpreter
        scores_at, embedding_at, present_at, dt_at, state_at = self._inputs
        run.set_tensor(scores_at, self._scores(blendshapes))
        run.set_tensor(embedding_at, self._embedded(embedding))
        run.set_tensor(present_at, _PRESENT[embedding is not None, blendshapes is not None])
        run.set_tensor(dt_at, np.array([[dt]], np.float32))
        run.set_tensor(state_at, memory[None])
        run.invoke()
        # Copies, of which the caller may do what it likes.
        three_at, seven_at, new_state_at = self._outputs
        seven = run.get_tensor(seven_at)[0]
        expressions: FloatArray = seven / np.add.reduce(seven)
        if self._seven:
            return Answer(expressions.copy(), expressions, run.get_tensor(new_state_at)[0])
        three = run.get_tensor(three_at)[0]
        return Answer(three / np.add.reduce(three), expressions, run.get_tensor(new_state_at)[0])

    def classify_still(
        self, blendshapes: FloatArray | None, embedding: FloatArray | None = None
    ) -> FloatArray:
        """Return the probabilities (L,) of a face of which there is only one image.

        :param blendshapes: (52,), held for as many steps as the card says; ``embedding`` alike.
        :raises InputError: as for one step.
        """
        return self.still(blendshapes, embedding).probabilities

    def still(self, blendshapes: FloatArray | None, embedding: FloatArray | None = None) -> Answer:
        """Return the whole answer about a face of which there is only one image."""
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
                f"{values.shape}; give one face's, of the appearance network it was trained with"
            )
        return values[None]


#: Whether the embedding and the blendshapes are known, as the network reads it.
_PRESENT = {
    (picture, scores): np.array([[picture, scores]], np.float32)
    for picture in (False, True)
    for scores in (False, True)
}


def _finite(values: FloatArray) -> bool:
    """Say whether all of a row are finite numbers."""
    # A finite sum of squares has finite terms, and is found in a quarter of the time. The sum of
    # great finite numbers may overflow, so that one that is not finite decides nothing.
    return math.isfinite(values.dot(values)) or bool(np.isfinite(values).all())


def _indices(tensors: list[dict[str, Any]], sizes: tuple[int, ...], card: ModelCard) -> list[int]:
    """Return the tensor index of each size, the shape being (1, size)."""
    found = {tuple(int(n) for n in tensor['shape']): int(tensor['index']) for tensor in tensors}
    shapes = [(1, size) for size in sizes]
    if sorted(found) != sorted(shapes):
        raise ModelError(
            f'{card.path} has tensors of shapes {sorted(found)}, its card needs {sorted(shapes)}; '
            'restore both from the same version'
        )
    return [found[shape] for shape in shapes]
