"""What the classifier is given of a face: its blendshapes, what its crop looks like, or both."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from emotion_estimator.emotion import FloatArray
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.frame import RgbImage
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator.perception.face_crop import CROP, SIDE, visible_crop
from emotion_estimator.runtimes import open_interpreter


class AppearanceNetwork:
    """Turns the crop of a face into numbers that the classifier reads."""

    def __init__(self, card: ModelCard, runtime: str | None = None) -> None:
        """Open the weights of ``card``; see :meth:`load`."""
        if card.settings.get('crop') != CROP:
            raise ModelError(
                f'appearance network {card.title} was trained with crops '
                f'{card.settings.get("crop")!r}, this code has {CROP!r}; retrain it'
            )
        #: Numbers in an embedding.
        self.size = card.whole('embedding_size')
        self.title = card.title
        self.sha256 = card.sha256
        self._interpreter: Any = open_interpreter(card.path, runtime)
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        shapes = [tuple(int(n) for n in tensor['shape']) for tensor in (*inputs, *outputs)]
        if shapes != [(1, SIDE, SIDE, 1), (1, self.size)]:
            raise ModelError(
                f'{card.path} is no appearance network of {self.size} numbers: tensors {shapes}; '
                'restore it and its card from the same version'
            )
        (into,), (out,) = inputs, outputs
        self._input, self._output = into['index'], out['index']
        # The network's number of each grey value.
        self._values = _quantized((np.arange(256, dtype=np.float32) - 128) / 64, into)
        self._scale, self._zero = _steps(out) if out['dtype'] != np.float32 else (1.0, 0)

    @classmethod
    def load(cls, card: Path | None = None, runtime: str | None = None) -> AppearanceNetwork:
        """Load a network.

        :param card: its JSON card; None takes the shipped one.
        :param runtime: TFLite runtime as in :func:`~emotion_estimator.runtimes.open_interpreter`.
        :raises ModelError: card, weights and code do not fit together.
        """
        path = card or models_dir() / 'appearance.json'
        return cls(ModelCard.load(path, 'appearance'), runtime)

    def __call__(self, crop: RgbImage) -> FloatArray:
        """Return the embedding of one face; a pure function, so that all faces share the object.

        :param crop: uint8 (48, 48), of :func:`~emotion_estimator.perception.face_crop.crop`.
        :returns: float32 (``size``,), 0 or more.
        :raises InputError: it is no such crop.
        """
        if crop.shape != (SIDE, SIDE) or crop.dtype != np.uint8:
            raise InputError(
                f'appearance network needs a crop of {SIDE}x{SIDE} grey values of 8 bits, got '
                f'{crop.dtype} of shape {crop.shape}; cut it with face_crop.crop'
            )
        run = self._interpreter
        run.set_tensor(self._input, self._values[crop].reshape(1, SIDE, SIDE, 1))
        run.invoke()
        embedding: FloatArray = run.get_tensor(self._output)[0]
        if embedding.dtype != np.float32:
            embedding = (embedding.astype(np.float32) - self._zero) * np.float32(self._scale)
        return embedding


def _quantized(values: FloatArray, tensor: dict[str, Any]) -> Any:
    """Return values as a tensor holds them: float32, or whole numbers of its scale."""
    kind = tensor['dtype']
    if kind == np.float32:
        return values
    scale, zero = _steps(tensor)
    limits = np.iinfo(kind)
    return np.clip(np.round(values / scale) + zero, limits.min, limits.max).astype(kind)


def _steps(tensor: dict[str, Any]) -> tuple[float, int]:
    """Return the size of a quantized tensor's steps, and which whole number stands for zero."""
    scale, zero = tensor['quantization']
    return float(scale), int(zero)


class FaceInput(NamedTuple):
    """What is known of a face in a frame; at least one of both.

    :param blendshapes: (52,), 0 to 1; None where the picture is read instead.
    :param embedding: (E,) of the appearance network; None where there is no picture.
    """

    blendshapes: FloatArray | None
    embedding: FloatArray | None


class Branches:
    """Reads faces by the branches that were chosen."""

    def __init__(self, appearance: AppearanceNetwork | None, *, alone: bool = False) -> None:
        """Take the network; :meth:`open` is the usual way.

        :param appearance: None reads blendshapes alone.
        :param alone: leaves blendshapes out wherever a face has a picture.
        """
        self._appearance = appearance
        self._alone = alone

    @classmethod
    def open(
        cls, choice: str, embedding_size: int, card: Path | None = None, *, sha256: str = ''
    ) -> Branches:
        """Open what a choice needs.

        :param choice: ``fused``, ``blendshapes`` or ``appearance``.
        :param embedding_size: what the classifier reads.
        :param card: of the appearance network; None takes the shipped one.
        :param sha256: of the weights that the classifier was trained with; empty takes any.
        :raises ModelError: the network does not fit the code or the classifier.
        """
        if choice == 'blendshapes':
            return cls(None)
        network = AppearanceNetwork.load(card)
        if network.size != embedding_size:
            raise ModelError(
                f'{network.title} gives embeddings of {network.size} numbers, the classifier needs '
                f'{embedding_size}; restore both from the same version'
            )
        # Another network's numbers would be read as if they meant the same.
        if sha256 and network.sha256 != sha256:
            raise ModelError(
                f'the classifier was trained with another appearance network than {network.title} '
                f'(sha256 {sha256[:12]}..., not {network.sha256[:12]}...); restore both from the '
                'same version'
            )
        return cls(network, alone=choice == 'appearance')

    @property
    def name(self) -> str:
        """Return which branches are read, as the setting ``branches`` names them."""
        if self._appearance is None:
            return 'blendshapes'
        return 'appearance' if self._alone else 'fused'

    def __call__(
        self, image: RgbImage, landmarks: FloatArray, blendshapes: FloatArray
    ) -> FaceInput:
        """Return what the classifier is to read of one face.

        A face of which the image shows too little has no picture; its blendshapes stand in.

        :param image: uint8 (H, W, 3), RGB.
        :param landmarks: (478, 3) and ``blendshapes`` (52,), as in ``FaceLandmarks``.
        """
        if self._appearance is None:
            return FaceInput(blendshapes, None)
        picture = visible_crop(image, landmarks)
        if picture is None:
            return FaceInput(blendshapes, None)
        return FaceInput(None if self._alone else blendshapes, self._appearance(picture))
