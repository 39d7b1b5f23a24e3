"""Labels, vocabularies, branches, face regions, and the result for one face."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

#: The three classes of Attrah 2025; the label column of its CSV files holds their indices.
LABELS: tuple[str, ...] = ('happy', 'unknown', 'sad')

#: Neither happy nor sad; also published when no label is probable enough.
UNKNOWN = 'unknown'

#: The labels that robots act on, each with a threshold of its own (settings); they are most careful
#: with sad.
HAPPY = 'happy'
SAD = 'sad'

#: The seven basic expressions in FER2013's order.
EXPRESSIONS: tuple[str, ...] = ('angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral')

#: The expression of a face at rest.
NEUTRAL = 'neutral'

#: Published when no face is seen. Never a class of a model: "nobody" is not "unknown".
NONE = 'none'

#: The labels of each vocabulary, by the name in the setting ``vocabulary``; the default first.
VOCABULARIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {'three': LABELS, 'seven': EXPRESSIONS}
)

#: What the classifier reads of a face, by the name in the setting ``branches``: both, its
#: blendshapes alone, or its image alone; the default first.
BRANCHES: tuple[str, ...] = ('fused', 'blendshapes', 'appearance')


@dataclass(frozen=True)
class Roi:
    """A face's bounding box in integer pixels, clipped to the image (x right, y down)."""

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
    """The estimate for one face in one frame.

    :param face_id: stable while the face is tracked.
    :param label: the most probable of ``labels`` unless ``sad_threshold`` or ``happy_threshold``
        chose another, or ``unknown`` if it is not probable enough.
    :param confidence: the label's probability, 0 to 1; of the label that was withheld if it is
        ``unknown`` instead.
    :param labels: the model's classes.
    :param probabilities: float32 (len(labels),), in the order of ``labels``, sum 1.
    :param roi: bounding box in pixels of the frame.
    :param blendshapes: float32 (52,), 0 to 1, in ``BLENDSHAPE_NAMES`` order.
    :param landmarks: float32 (478, 3); x and y in pixels of the frame, z in pixels as MediaPipe
        scales it (smaller is nearer to the camera).
    :param model: name and version of the classifier.
    :param engaged: seconds for which the face has looked towards the camera so far.
    :param valence: -1 unpleasant to 1 pleasant, see :mod:`emotion_estimator.affect`.
    :param arousal: -1 sleepy to 1 excited, likewise.
    :param head_yaw: degrees; positive where the face turns to the right side of the image. All
        three are relative to the line from the camera to the face, or, if the camera is known, to
        its optical axis.
    :param head_pitch: degrees; positive where it looks up.
    :param head_roll: degrees, -180 to 180; positive where it is tilted clockwise as seen in the
        image.
    :param gaze_yaw: of the eyes relative to the head, in degrees, positive as for ``head_yaw``.
    :param gaze_pitch: likewise, as for ``head_pitch``.
    :param looks_at_camera: whether head and eyes together point at the camera.
    :param speaking: calibrated probability that the person is speaking, 0 to 1; 0 for stills.
    :param is_speaking: the same, debounced.
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
    head_yaw: float = 0.0
    head_pitch: float = 0.0
    head_roll: float = 0.0
    gaze_yaw: float = 0.0
    gaze_pitch: float = 0.0
    looks_at_camera: bool = False
    speaking: float = 0.0
    is_speaking: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the face as the command line prints it as JSON (no blendshapes or landmarks)."""
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
            'head_pose': {
                'yaw': round(float(self.head_yaw), 1),
                'pitch': round(float(self.head_pitch), 1),
                'roll': round(float(self.head_roll), 1),
            },
            'gaze': {
                'yaw': round(float(self.gaze_yaw), 1),
                'pitch': round(float(self.gaze_pitch), 1),
            },
            'looks_at_camera': bool(self.looks_at_camera),
            'speaking': round(float(self.speaking), 3),
            'is_speaking': bool(self.is_speaking),
        }


@dataclass(slots=True, eq=False)
class SightedFace:
    """As much of a :class:`FaceEmotion` as the dialogue's decisions need.

    Not frozen, since a day of recordings has millions: setting fields of frozen ones takes longer.
    """

    face_id: str
    label: str
    confidence: float
    speaking: float = 0.0
    is_speaking: bool = False


def primary(faces: Iterable[FaceEmotion]) -> FaceEmotion | None:
    """Return the face the robot talks to, or None if there are no faces.

    :param faces: as the estimator returns them, the primary face first.
    """
    return next(iter(faces), None)
