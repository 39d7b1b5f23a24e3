"""Grey images: recognise them, and give them the colours of skin for the face detector.

MediaPipe's detector has learned from colour images and finds fewer small faces in grey ones.
"""

from __future__ import annotations

import cv2
import numpy as np

from emotion_estimator.frame import RgbImage

#: Pixels between those that are looked at, downwards and across; odd, so that no pattern of a
#: mosaic or of JPEG's blocks is met in the same place each time.
_PIXEL_STEP = 7

#: Exponents of red, green and blue over the brightness, 0 to 1: white stays white and black black,
#: and the greys between get the hue of skin.
_EXPONENTS = np.array([0.7, 1.1, 1.5])
#: (1, 256, 3) uint8: the colour of each grey value.
_SKIN = np.rint(
    255 * (np.arange(256)[:, None] / 255) ** _EXPONENTS
).astype(np.uint8)[None]  # fmt: skip


def is_grey(image: RgbImage) -> bool:
    """Return whether an image has no colour, judged by one in 49 pixels.

    :param image: uint8 (H, W, 3) RGB.
    """
    some = image[::_PIXEL_STEP, ::_PIXEL_STEP]
    return bool((some[..., 0] == some[..., 1]).all() and (some[..., 1] == some[..., 2]).all())


def skin_toned(image: RgbImage) -> RgbImage:
    """Return a grey image in the colours of skin.

    :param image: uint8 (H, W, 3) RGB, grey.
    """
    return np.asarray(cv2.LUT(image, _SKIN), np.uint8)
