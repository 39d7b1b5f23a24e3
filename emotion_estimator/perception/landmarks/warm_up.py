"""Shows a landmark source a face before its first frame.

MediaPipe logs to standard error until it has seen its first face, past every log level, and ROS
logs there too: only inside this warm-up is standard error dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from emotion_estimator.frame import RgbImage
from emotion_estimator.quiet import quiet

_FACE = Path(__file__).resolve().parents[1] / 'sources' / 'data' / 'astronaut.jpg'


@cache
def _images() -> tuple[RgbImage, RgbImage]:
    picture = cv2.imread(str(_FACE))
    if picture is None:
        # The source works without; it is only more talkative.
        return np.zeros((256, 256, 3), np.uint8), np.zeros((256, 256, 3), np.uint8)
    face = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
    # Nobody in the second: the face that was being tracked is lost, nothing of it stays.
    return face, np.zeros_like(face)


def warm_up(process: Callable[[RgbImage], Any]) -> None:
    """Call ``process`` with a face and then with nobody, both uint8 (H, W, 3) RGB, silently."""
    with quiet():
        for image in _images():
            process(image)
