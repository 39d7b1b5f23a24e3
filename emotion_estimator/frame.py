"""One image with its time: what every source yields and the pipeline takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: uint8 (H, W, 3), red first.
RgbImage = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Frame:
    """An image and when it was captured.

    :param image: uint8 (H, W, 3), RGB, H and W at least 1.
    :param stamp: capture time in seconds; the only clock that perception and dialogue read.
    :param truth: the label the face in it shows, or ``none`` for no face, where the source
        knows it by construction; else None.
    """

    image: RgbImage
    stamp: float
    truth: str | None = None
