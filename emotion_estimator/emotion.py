"""The vocabulary of the package: labels, face regions and what is known about one face."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

#: Attrah 2025 three classes; their numbers (0, 1, 2) are the label column of its CSV files.
LABELS: tuple[str, ...] = ('happy', 'unknown', 'sad')

#: The label that says neither, and what is told where no label is likely enough.
UNKNOWN = 'unknown'

#: The seven basic expressions, the vocabulary ``seven``, in FER2013's order.
EXPRESSIONS: tuple[str, ...] = ('angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral')

#: The expression of a face at rest.
NEUTRAL = 'neutral'

#: Label published when no face is seen. Never a class of the model: "nobody" is not "unknown".
NONE = 'none'


@dataclass(frozen=True)
class Roi:
    """A face's bounding box in whole pixels, clipped to its image (x to the right, y down)."""

    x: int
    y: int
    width: int
    height: int

    @property
    def area(self) -> int:
        """Area in square pixels."""
        return self.width * self.height

    def as_list(self) -> list[int]:
        """Return ``[x, y, width, height]``."""
        return [self.x, self.y, self.width, self.height]


def overlap(a: Roi, b: Roi) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    width = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    height = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a.area + b.area - shared)


def _no_values() -> FloatArray:
    return np.zeros(0, np.float32)


@dataclass(frozen=True, eq=False)
class FaceEmotion:
    """What the estimator says of one face in one frame.

    :param face_id: stable while the face is tracked.
    :param label: the most probable of ``labels``; ``unknown`` where that is too improbable.
    :param confidence: the greatest of ``probabilities``, 0 to 1.
    :param labels: the model's classes.
    :param probabilities: float32 (len(labels),), same order as ``labels``, sum 1.
    :param roi: face ROI in pixels of the frame.
    :param blendshapes: float32 (52,), 0 to 1, in ``BLENDSHAPE_NAMES`` order.
    :param landmarks: float32 (478, 3), x and y in pixels of the frame, z in pixels as MediaPipe
        scales it (smaller is nearer to the camera).
    :param model: name and version of the model that decided.
    :param engaged: seconds it was seen looking towards the camera since it was first seen.
    :param valence: -1 unpleasant to 1 pleasant, and
    :param arousal: -1 sleepy to 1 excited, as :mod:`emotion_estimator.affect` derives them.
    """

    face_id: str
    label: str
    confidence: float
    labels: tuple[str, ...]
    probabilities: FloatArray
    roi: Roi
    blendshapes: FloatArray = field(default_factory=_no_values)
    landmarks: FloatArray = field(default_factory=_no_values)
    model: str = ''
    engaged: float = 0.0
    valence: float = 0.0
    arousal: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the face as the command line's JSON contract has it (no landmarks)."""
        return {
            'face_id': self.face_id,
            'label': self.label,
            'confidence': round(float(self.confidence), 6),
            'probabilities': {
                label: round(float(p), 6) for label, p in zip(self.labels, self.probabilities)
            },
            'roi': self.roi.as_list(),
            'valence': round(float(self.valence), 6),
            'arousal': round(float(self.arousal), 6),
        }


def primary(faces: Iterable[FaceEmotion]) -> FaceEmotion | None:
    """Return the face the robot talks to, None without faces.

    :param faces: as the estimator returns them, the primary one first.
    """
    return next(iter(faces), None)
