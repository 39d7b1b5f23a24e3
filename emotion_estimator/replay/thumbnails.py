"""Small pictures of the face at the changes of its label, if they are asked for."""

from __future__ import annotations

from typing import NamedTuple

from emotion_estimator.emotion import primary
from emotion_estimator.frame import FrameResult, RgbImage
from emotion_estimator.perception.image import jpeg_from_rgb
from emotion_estimator.sources.base import fit

#: Changes of which there are pictures; later ones are counted.
MOST = 24
#: Pixels of a picture at most, its quality as JPEG, and the margin around the face in its sides.
_SIDE, _QUALITY, _MARGIN = 120, 75, 0.4


class Thumbnail(NamedTuple):
    """What was seen where the label changed.

    :param number: of the frame, from 0.
    :param label: of the primary face from there on.
    :param jpeg: its face with a margin, or the whole image where there is none.
    """

    number: int
    label: str
    jpeg: bytes


class Thumbnails:
    """Takes the picture of each change of label, of the first ones.

    :ivar taken: in order of time.
    :ivar changes: how many there were, the first frame counted as one.
    """

    def __init__(self) -> None:
        self.taken: list[Thumbnail] = []
        self.changes = 0
        self._number = 0
        self._label: str | None = None

    def see(self, result: FrameResult, image: RgbImage) -> None:
        """Take the next frame.

        :param image: uint8 (H, W, 3) RGB, in whose pixels the faces are.
        """
        if result.label != self._label:
            self.changes += 1
            self._label = result.label
            if len(self.taken) < MOST:
                jpeg = jpeg_from_rgb(_around(result, image), _QUALITY)
                self.taken.append(Thumbnail(self._number, result.label, jpeg))
        self._number += 1


def _around(result: FrameResult, image: RgbImage) -> RgbImage:
    """Return the primary face with its surroundings, small."""
    face = primary(result.faces)
    if face is not None and face.roi.area:
        box = face.roi
        across, down = round(_MARGIN * box.width), round(_MARGIN * box.height)
        top, left = max(box.y - down, 0), max(box.x - across, 0)
        image = image[top : box.y + box.height + down, left : box.x + box.width + across]
    height, width = image.shape[:2]
    return fit(image, _SIDE, _SIDE) if max(height, width) > _SIDE else image
