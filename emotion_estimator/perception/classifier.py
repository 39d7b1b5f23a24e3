"""The streaming LSTM: blendshapes and a face's memory in, probabilities and new memory out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import LABELS, FloatArray
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator.tflite import open_interpreter

_COUNT = len(BLENDSHAPE_NAMES)


class EmotionClassifier:
    """One step of the shipped network per call; the state is the caller's, one per face."""

    def __init__(self, card: ModelCard, runtime: str | None = None) -> None:
        """Open the weights of ``card``; see :meth:`load`."""
        self.labels = card.labels
        self.title = card.title
        self.sha256 = card.sha256
        try:
            self._state_size = int(card.settings['state_size'])
            self._still_steps = int(card.settings['still_steps'])
            self._still_dt = float(card.settings['still_dt'])
            if self._still_steps < 1:
                raise ValueError("'still_steps', which must be at least 1")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModelError(
                f'card of {card.title} lacks or misstates the setting {error}; restore the card'
            ) from error
        if sorted(self.labels) != sorted(LABELS):
            raise ModelError(
                f'{card.title} has the labels {list(self.labels)}, this code needs {list(LABELS)}'
            )
        self._interpreter: Any = open_interpreter(card.path, runtime)
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        # By shape, which unlike order and names no converter changes.
        wanted = [(1, _COUNT), (1, 1), (1, self._state_size)]
        self._inputs = _indices(inputs, wanted, card)
        self._outputs = _indices(outputs, [(1, len(self.labels)), (1, self._state_size)], card)

    @classmethod
    def load(cls, card: Path | None = None, runtime: str | None = None) -> EmotionClassifier:
        """Load a classifier.

        :param card: its JSON card; None takes the shipped one.
        :param runtime: TFLite runtime as in :func:`~emotion_estimator.tflite.open_interpreter`.
        :raises ModelError: card, weights and code do not fit together.
        """
        path = card or models_dir() / 'emotion_lstm.json'
        return cls(ModelCard.load(path, 'emotion_lstm'), runtime)

    def initial_state(self) -> FloatArray:
        """Return the memory of a face never seen before: float32 (S,), zeros."""
        return np.zeros(self._state_size, np.float32)

    def __call__(
        self, blendshapes: FloatArray, state: FloatArray, dt: float
    ) -> tuple[FloatArray, FloatArray]:
        """Take one frame of one face; a pure function, so that many faces share the object.

        :param blendshapes: (52,), 0 to 1, in ``BLENDSHAPE_NAMES`` order.
        :param state: the face's state, of :meth:`initial_state` or the call before.
        :param dt: seconds since the face's frame before, over 0; beyond 1/240 to 1 s the network
            takes the nearer end.
        :returns: probabilities (3,) over ``labels``, sum 1, and the new state (S,).
        :raises InputError: a shape is another one, or a value is not finite.
        """
        scores = np.asarray(blendshapes, np.float32)
        memory = np.asarray(state, np.float32)
        if scores.shape != (_COUNT,) or not _finite(scores):
            raise InputError(
                f'classifier needs {_COUNT} finite blendshapes, got shape {scores.shape}; '
                "give one face's scores in MediaPipe's order"
            )
        if memory.shape != (self._state_size,) or not _finite(memory):
            raise InputError(
                f'classifier needs a finite state of {self._state_size} numbers, got shape '
                f'{memory.shape}; begin with initial_state()'
            )
        if not (math.isfinite(dt) and dt > 0):
            raise InputError(f'classifier needs a time step over 0 seconds, got {dt}')
        # Once per face and frame: no loops and no array functions written in Python.
        run, (scores_at, dt_at, state_at) = self._interpreter, self._inputs
        run.set_tensor(scores_at, scores[None])
        run.set_tensor(dt_at, np.array([[dt]], np.float32))
        run.set_tensor(state_at, memory[None])
        run.invoke()
        answer_at, new_state_at = self._outputs
        # Copies, of which the caller may do what it likes.
        raw, new_state = run.get_tensor(answer_at)[0], run.get_tensor(new_state_at)[0]
        probabilities: FloatArray = raw / np.add.reduce(raw)
        return probabilities, new_state

    def classify_still(self, blendshapes: FloatArray) -> FloatArray:
        """Return the probabilities (3,) of a face of which there is only one image.

        :param blendshapes: (52,), held for as many steps as the card says.
        :raises InputError: as for one step.
        """
        state = self.initial_state()
        for _ in range(self._still_steps):
            probabilities, state = self(blendshapes, state, self._still_dt)
        return probabilities


def _finite(values: FloatArray) -> bool:
    """Say whether all of a row are finite numbers."""
    # A finite sum of squares has finite terms, and is found in a quarter of the time. The sum of
    # great finite numbers may overflow, so that one that is not finite decides nothing.
    return math.isfinite(values.dot(values)) or bool(np.isfinite(values).all())


def _indices(
    tensors: list[dict[str, Any]], shapes: list[tuple[int, int]], card: ModelCard
) -> list[int]:
    """Return the tensor index of each shape."""
    found = {tuple(int(n) for n in tensor['shape']): int(tensor['index']) for tensor in tensors}
    if sorted(found) != sorted(shapes):
        raise ModelError(
            f'{card.path} has tensors of shapes {sorted(found)}, its card needs {sorted(shapes)}; '
            'restore both from the same version'
        )
    return [found[shape] for shape in shapes]
