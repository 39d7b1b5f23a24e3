"""Checks whether the expression of a made clip can be read from where its landmarks move."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.frame import Frame
from emotion_estimator.perception.landmarks.base import Landmarker
from emotion_estimator_training.zoo.data.face_shapes import Shapes, expressed, own_frame

#: Strengths of the expression below and above which frames show a person at rest and at the apex.
_REST, _APEX = 0.1, 0.9


def read_label(
    frames: Sequence[NDArray[np.uint8]],
    times: NDArray[np.float64],
    intensity: NDArray[np.float64],
    shapes: Shapes,
    landmarker: Landmarker,
) -> str | None:
    """Return the class whose mean movement is most like the one from rest to apex, by its cosine.

    :param frames: T of uint8 (H, W, 3), RGB.
    :param times: (T,), seconds.
    :param intensity: (T,), of the expression, 0 to 1.
    :param shapes: of faces that the clip was not made from.
    :param landmarker: looks at the frames as at an untouched clip.
    :returns: None if no face is found at rest or at the apex.
    """
    landmarker.reset()
    rest, apex = [], []
    strength = intensity / max(float(intensity.max()), 1e-9)
    for image, time, share in zip(frames, times, strength):
        faces = landmarker(Frame(image, float(time)))
        if not faces:
            continue
        level = own_frame(faces[0].landmarks)
        if share <= _REST:
            rest.append(level)
        elif share >= _APEX:
            apex.append(level)
    if not rest or not apex:
        return None
    calm = np.asarray(np.mean(rest, axis=0), np.float32)
    movement = np.mean([expressed(points, calm) for points in apex], axis=0).ravel()
    likeness = {
        label: float(movement @ mean.ravel() / max(float(np.linalg.norm(mean)), 1e-9))
        for label, mean in shapes.mean_movements().items()
    }
    return max(likeness, key=lambda label: likeness[label])
