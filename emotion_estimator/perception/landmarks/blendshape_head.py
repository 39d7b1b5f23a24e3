"""Blendshapes from the face mesh's landmarks: our own head, distilled from the Face Landmarker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import FloatArray
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator.perception.alignment import ALIGNMENT, INPUT_POINTS, align
from emotion_estimator.tflite import open_interpreter


class BlendshapeHead:
    """Runs the shipped head on one face at a time."""

    def __init__(self, card: ModelCard, runtime: str | None = None) -> None:
        """Open the weights of ``card``; see :meth:`load`."""
        if card.settings.get('alignment') != ALIGNMENT:
            raise ModelError(
                f'blendshape head {card.title} was trained with alignment '
                f'{card.settings.get("alignment")!r}, this code has {ALIGNMENT!r}; retrain it'
            )
        self.title = card.title
        self._interpreter: Any = open_interpreter(card.path, runtime)
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        shapes = [tuple(int(n) for n in tensor['shape']) for tensor in (*inputs, *outputs)]
        if shapes != [(1, 3 * len(INPUT_POINTS)), (1, len(BLENDSHAPE_NAMES))]:
            raise ModelError(f'{card.path} is no blendshape head: tensors {shapes}')
        self._input, self._output = inputs[0]['index'], outputs[0]['index']

    @classmethod
    def load(cls, card: Path | None = None, runtime: str | None = None) -> BlendshapeHead:
        """Load a head.

        :param card: its JSON card; None takes the shipped one.
        :param runtime: TFLite runtime as in :func:`~emotion_estimator.tflite.open_interpreter`.
        :raises ModelError: card, weights and code do not fit together.
        """
        path = card or models_dir() / 'blendshape_head.json'
        return cls(ModelCard.load(path, 'blendshape_head'), runtime)

    def __call__(self, landmarks: FloatArray) -> FloatArray:
        """Return the blendshapes of one face.

        :param landmarks: float32 (478, 3) in pixels, as in ``FaceLandmarks``.
        :returns: float32 (52,), 0 to 1, in ``BLENDSHAPE_NAMES`` order.
        :raises InputError: the shape is another one, or a value is not finite.
        """
        if landmarks.shape != (478, 3) or not np.isfinite(landmarks).all():
            raise InputError(
                f'blendshape head needs 478 finite landmarks with x, y, z; got shape '
                f'{landmarks.shape}; use the face mesh with refined landmarks'
            )
        self._interpreter.set_tensor(self._input, align(landmarks).reshape(1, -1))
        self._interpreter.invoke()
        scores: FloatArray = self._interpreter.get_tensor(self._output)[0]
        return scores
