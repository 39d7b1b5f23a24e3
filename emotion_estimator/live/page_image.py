"""An image as the page shows it: small, as JPEG."""

from __future__ import annotations

from typing import NamedTuple

from emotion_estimator.frame import RgbImage
from emotion_estimator.perception.image import jpeg_from_rgb
from emotion_estimator.sources.base import fit

#: Pixels that it has at most, and its quality as JPEG.
_WIDTH, _HEIGHT, _QUALITY = 640, 480, 75


class PageImage(NamedTuple):
    """A shrunk image.

    :param jpeg: empty if there is no image.
    :param scale: its pixels for each pixel of the image.
    :param aspect: width by height.
    """

    jpeg: bytes = b''
    scale: float = 1.0
    aspect: float = 1.0


def page_image(image: RgbImage) -> PageImage:
    """Shrink an image (uint8 (H, W, 3) RGB) to at most 640x480 pixels, keeping its aspect."""
    height, width = image.shape[:2]
    if width > _WIDTH or height > _HEIGHT:
        image = fit(image, _WIDTH, _HEIGHT)
    return PageImage(jpeg_from_rgb(image, _QUALITY), image.shape[0] / height, width / height)
