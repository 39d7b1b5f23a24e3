"""Branches: what the classifier reads of a face (blendshapes, an embedding of its image, both)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from emotion_estimator.emotion import BRANCHES, FloatArray
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.frame import RgbImage
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator.perception.face_crop import CROP, SIDE, visible_crop
from emotion_estimator.runtimes import open_interpreter
from emotion_estimator.untrusted import quote

#: Types of the network's input and output.
_KINDS = (np.float32, np.int8, np.uint8)

Features_co = TypeVar('Features_co', covariant=True)


class AppearanceNetwork:
    """Computes the embedding of a face's crop."""

    def __init__(self, card: ModelCard, runtime: str | None = None, threads: int = 1) -> None:
        """Open the weights of ``card``; see :meth:`load`."""
        if card.settings.get('crop') != CROP:
            raise ModelError(
                f'appearance network {card.title} was trained on crops '
                f'{quote(repr(card.settings.get("crop")))}, this code has {CROP!r}; retrain it'
            )
        #: Length of an embedding.
        self.size = card.count('embedding_size')
        self.title = card.title
        self.sha256 = card.sha256
        self._interpreter: Any = open_interpreter(card.weights, runtime, threads)
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        shapes = [tuple(int(n) for n in tensor['shape']) for tensor in (*inputs, *outputs)]
        if shapes != [(1, SIDE, SIDE, 1), (1, self.size)]:
            raise ModelError(
                f'{quote(card.path)} is not an appearance network of {self.size} numbers (tensors '
                f'{quote(shapes)}); restore it and its card from the same version'
            )
        (into,), (out,) = inputs, outputs
        if any(one['dtype'] not in _KINDS for one in (into, out)):
            raise ModelError(
                f'{quote(card.path)} has numbers that are neither float32 nor of 8 bits; restore '
                'it and its card from the same version'
            )
        self._input, self._output = into['index'], out['index']
        # The network's input for each grey value.
        self._values = _quantized((np.arange(256, dtype=np.float32) - 128) / 64, into)
        self._scale, self._zero = _steps(out) if out['dtype'] != np.float32 else (1.0, 0)

    @classmethod
    def load(
        cls, card: Path | None = None, runtime: str | None = None, threads: int = 1
    ) -> AppearanceNetwork:
        """Load a network.

        :param card: its JSON card; None is the shipped one.
        :param runtime: TFLite runtime, and
        :param threads: as in :func:`~emotion_estimator.runtimes.open_interpreter`.
        :raises ModelError: card, weights and code do not match.
        """
        path = card or models_dir() / 'appearance.json'
        return cls(ModelCard.load(path, 'appearance'), runtime, threads)

    def __call__(self, crop: RgbImage) -> FloatArray:
        """Return the embedding of one face; a pure function, so that faces can share the object.

        :param crop: uint8 (48, 48), from :func:`~emotion_estimator.perception.face_crop.crop`.
        :returns: float32 (``size``,), 0 or more.
        :raises InputError: wrong shape or type.
        """
        if crop.shape != (SIDE, SIDE) or crop.dtype != np.uint8:
            raise InputError(
                f'appearance network needs a crop of {SIDE}x{SIDE} 8-bit grey values, got '
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
    """Return values as the tensor stores them: float32, or integers of its scale."""
    kind = tensor['dtype']
    if kind == np.float32:
        return values
    scale, zero = _steps(tensor)
    limits = np.iinfo(kind)
    return np.clip(np.round(values / scale) + zero, limits.min, limits.max).astype(kind)


def _steps(tensor: dict[str, Any]) -> tuple[float, int]:
    """Return a quantized tensor's scale and zero point."""
    scale, zero = tensor['quantization']
    if not 0 < scale < math.inf:
        raise ModelError(f'an appearance network has the scale {scale}; restore it and its card')
    return float(scale), int(zero)


@dataclass(frozen=True, eq=False)
class FaceInput(Generic[Features_co]):
    """What a classifier reads of a face in one frame; the shipped one needs one of the two.

    :param features: blendshapes (52,), 0 to 1, for the shipped classifier; every input of a window
        model; None if not read.
    :param embedding: (E,) from the appearance network; None if not read.
    """

    features: Features_co | None
    embedding: FloatArray | None = None


class FaceReader(Protocol[Features_co]):
    """What the pipeline needs to turn a detected face into a classifier's input."""

    @property
    def name(self) -> str:
        """Name of what is read, as in the setting ``branches``."""
        ...

    def __call__(
        self, image: RgbImage, landmarks: FloatArray, blendshapes: FloatArray, /
    ) -> FaceInput[Features_co]:
        """Return what to classify, given uint8 (H, W, 3) RGB, (478, 3) pixels and (52,) scores."""
        ...


class Branches:
    """Reads what the setting ``branches`` selects, for the shipped classifier."""

    def __init__(self, appearance: AppearanceNetwork | None, *, alone: bool = False) -> None:
        """Take the network; :meth:`open` is the usual way.

        :param appearance: None reads blendshapes alone.
        :param alone: leave blendshapes out of every face that has a usable crop.
        """
        self._appearance = appearance
        self._alone = alone

    @classmethod
    def open(
        cls,
        choice: str,
        embedding_size: int,
        card: Path | None = None,
        *,
        sha256: str = '',
        threads: int = 1,
    ) -> Branches:
        """Open what a choice needs.

        :param choice: one of ``BRANCHES``.
        :param embedding_size: length of the embedding that the classifier reads.
        :param card: card of the appearance network; None is the shipped one.
        :param sha256: checksum of the network that the classifier was trained with; empty skips
            the check.
        :param threads: that compute the network.
        :raises InputError: unknown choice.
        :raises ModelError: the network does not match the code or the classifier.
        """
        if choice not in BRANCHES:
            raise InputError(f'branches must be one of {", ".join(BRANCHES)}, got {choice!r}')
        if choice == 'blendshapes':
            return cls(None)
        network = AppearanceNetwork.load(card, threads=threads)
        if network.size != embedding_size:
            raise ModelError(
                f'{network.title} gives embeddings of {network.size} numbers, the classifier needs '
                f'{embedding_size}; restore both from the same version'
            )
        # Another network's embeddings have the same shape but another meaning.
        if sha256 and network.sha256 != sha256:
            raise ModelError(
                f'the classifier was trained with another appearance network than {network.title} '
                f'(sha256 {sha256[:12]}..., not {network.sha256[:12]}...); restore both from the '
                'same version'
            )
        return cls(network, alone=choice == 'appearance')

    @property
    def checksums(self) -> Mapping[str, str]:
        """Return the checksum of the network, if there is one, by its kind."""
        return {} if self._appearance is None else {'appearance': self._appearance.sha256}

    @property
    def name(self) -> str:
        """Return the value of the setting ``branches`` that reads the same."""
        if self._appearance is None:
            return 'blendshapes'
        return 'appearance' if self._alone else 'fused'

    def __call__(
        self, image: RgbImage, landmarks: FloatArray, blendshapes: FloatArray
    ) -> FaceInput[FloatArray]:
        """Return what the classifier is to read of one face.

        If the image shows too little of the face, its blendshapes are used instead of its crop.

        :param image: uint8 (H, W, 3), RGB.
        :param landmarks: (478, 3), as in ``FaceLandmarks``; so are the blendshapes (52,).
        """
        if self._appearance is None:
            return FaceInput(blendshapes)
        crop = visible_crop(image, landmarks)
        if crop is None:
            return FaceInput(blendshapes)
        return FaceInput(None if self._alone else blendshapes, self._appearance(crop))

    def again(self, embedding: FloatArray, blendshapes: FloatArray) -> FaceInput[FloatArray]:
        """Return what to read of a face whose crop still has the same embedding.

        :param embedding: that :meth:`__call__` returned for an earlier image of the face.
        """
        return FaceInput(None if self._alone else blendshapes, embedding)
