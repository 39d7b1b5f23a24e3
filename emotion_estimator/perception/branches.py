"""What the classifier is given of a face: its blendshapes, what it looks like, or both."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from emotion_estimator.emotion import FloatArray
from emotion_estimator.errors import ModelError
from emotion_estimator.frame import RgbImage
from emotion_estimator.perception.appearance import AppearanceNetwork
from emotion_estimator.perception.face_crop import visible_crop


class Seen(NamedTuple):
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
    ) -> Seen:
        """Return what the classifier is to read of one face.

        A face of which the image shows too little has no picture; its blendshapes stand in.

        :param image: uint8 (H, W, 3), RGB.
        :param landmarks: (478, 3) and ``blendshapes`` (52,), as in ``FaceLandmarks``.
        """
        if self._appearance is None:
            return Seen(blendshapes, None)
        picture = visible_crop(image, landmarks)
        if picture is None:
            return Seen(blendshapes, None)
        return Seen(None if self._alone else blendshapes, self._appearance(picture))
