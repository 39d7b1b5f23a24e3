"""Recognize a mesh that does not lie upright on its face, and read turned faces in stills.

MediaPipe follows a face up to a roll of about 90 degrees. Beyond, it lays an upright mesh on a face
that is upside down, whose smile then looks like the corners of a sad mouth. The mesh cannot tell,
but the image under it can: at the points of an upright mesh, eyes, brows, nostrils and mouth are
where they belong. A small network looks at the grey values there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import FloatArray, overlap
from emotion_estimator.errors import ModelError
from emotion_estimator.frame import RgbImage
from emotion_estimator.model_card import models_dir
from emotion_estimator.perception.landmarks.base import FaceLandmarks, Landmarker, bounding_roi
from emotion_estimator.perception.landmarks.source import find_faces
from emotion_estimator.trial import announce
from emotion_estimator.untrusted import quote
from emotion_estimator.weights import WeightsFile, read_arrays

#: Weights among the models, made by ``emotion_estimator_training.models.upright``.
WEIGHTS = 'upright.npz'

#: Points of the mesh that are looked at: all but the irises.
_POINTS = 468
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
#: Least deviation of grey values that show a face, as for crops.
_LEAST_DEVIATION = 4.0

#: Below this score a mesh is not upright.
UPRIGHT = 2.0
#: Below this score a still is looked at from all sides: more than half a percent of upright faces.
_SUSPICIOUS = 4.0
#: A face that is found only in a turned still must be surely upright there.
SURE = 6.0
#: Two boxes that overlap by more are of one face.
_SAME_FACE = 0.3

#: Seconds over which the scores of one face are averaged, and their limit: a single bad frame must
#: not outweigh many good ones.
_MEMORY = 0.5
_LIMIT = 6.0


def grey_values(image: RgbImage, landmarks: FloatArray) -> FloatArray:
    """Return the grey values under the mesh, float32 (468,); those outside are the edge's.

    :param image: uint8 (H, W, 3), RGB.
    :param landmarks: (478, 3), in pixels of the image.
    """
    height, width = image.shape[:2]
    points = np.rint(landmarks[:_POINTS, :2])
    x = points[:, 0].clip(0, width - 1).astype(np.intp)
    y = points[:, 1].clip(0, height - 1).astype(np.intp)
    values: FloatArray = image[y, x] @ _GREY
    return values


def normalized(values: FloatArray) -> FloatArray:
    """Return grey values (..., P) with mean 0 and deviation 1; a uniform area stays uniform."""
    count = np.float32(values.shape[-1])
    away = values - np.add.reduce(values, axis=-1, keepdims=True) / count
    deviation = np.sqrt(np.add.reduce(np.square(away), axis=-1, keepdims=True) / count)
    result: FloatArray = away / np.maximum(deviation, _LEAST_DEVIATION)
    return result


class UprightNetwork:
    """Scores how surely a mesh lies upright on its face."""

    def __init__(self, weights: dict[str, NDArray[np.float32]], sha256: str = '') -> None:
        """Take the weights; see :meth:`load`.

        :param sha256: checksum of their file; empty if they come from none.
        :raises ModelError: their shapes do not fit.
        """
        shapes = {name: values.shape for name, values in weights.items()}
        units = shapes.get('hidden_bias', (0,))
        wanted = {'hidden': (_POINTS, *units), 'hidden_bias': units, 'out': units, 'out_bias': (1,)}
        if shapes != wanted:
            raise ModelError(
                f'weights of the upright network have shapes {quote(shapes)}, expected {wanted}; '
                'reinstall the package'
            )
        if not all(np.isfinite(values).all() for values in weights.values()):
            raise ModelError('the upright network has weights that are not numbers; restore it')
        self.sha256 = sha256
        self._bias, self._out = (
            np.asarray(weights[name], np.float32) for name in ('hidden_bias', 'out')
        )
        self._rows = np.ascontiguousarray(weights['hidden'].T, np.float32)
        self._offset = float(weights['out_bias'][0])

    @classmethod
    def load(cls, path: Path | None = None) -> UprightNetwork:
        """Load the weights of an ``.npz`` file; None is the shipped one.

        :raises ModelError: they cannot be read, or do not fit.
        """
        file = WeightsFile.read(
            path or models_dir() / WEIGHTS, 'upright network', 'reinstall the package'
        )
        arrays = {name: np.asarray(one, np.float32) for name, one in read_arrays(file).items()}
        network = cls(arrays, file.sha256)
        announce(file)
        return network

    def __call__(self, image: RgbImage, landmarks: FloatArray) -> float:
        """Return a score: positive where the mesh lies upright, and the surer the higher.

        :param image: uint8 (H, W, 3), RGB.
        :param landmarks: (478, 3), in pixels of the image.
        :returns: log odds; ``inf`` if nothing can be said, since the landmarks are not finite or
            the image is uniform there.
        """
        if not np.isfinite(landmarks[:_POINTS, :2]).all():
            return math.inf
        inputs = normalized(grey_values(image, landmarks))
        if not inputs.any():
            return math.inf
        # Not by @: a product of this size wakes OpenBLAS's threads, which then wait for the next
        # one by keeping a core busy, longer than a frame takes.
        active = np.maximum(np.einsum('ji,i->j', self._rows, inputs) + self._bias, 0)
        return float(active @ self._out) + self._offset


@dataclass
class UprightMemory:
    """Remembers the scores of one face in a stream.

    :param mean: of the scores so far, recent ones weighing more; None before the first.
    """

    mean: float | None = None

    @property
    def readable(self) -> bool:
        """Return whether the mesh lies upright, and so the expression can be read."""
        return self.mean is None or self.mean >= UPRIGHT

    def observe(self, score: float, dt: float) -> bool:
        """Add a frame's score, ``dt`` seconds after the last; return ``readable``."""
        score = min(max(score, UPRIGHT - _LIMIT), UPRIGHT + _LIMIT)
        if self.mean is None:
            self.mean = score
        else:
            self.mean += (score - self.mean) * (1.0 - math.exp(-dt / _MEMORY))
        return self.readable


def find_turned_faces(
    landmarker: Landmarker, image: RgbImage, network: UprightNetwork
) -> tuple[tuple[FaceLandmarks, bool], ...]:
    """Return the faces in a still, the largest first, and whether the mesh of each is upright.

    If no face is found, or the mesh of one may not be upright, the image is also looked at from its
    other three sides, and each face is taken from the side on which it is most surely upright.

    :param landmarker: opened for still images (``static``).
    :param image: uint8 (H, W, 3) RGB.
    """
    found = [(network(image, face.landmarks), face) for face in find_faces(landmarker, image)]
    doubtful = [face.roi for score, face in found if score < _SUSPICIOUS]
    if not found or doubtful:
        height, width = image.shape[:2]
        for turns in (1, 2, 3):
            side = np.ascontiguousarray(np.rot90(image, turns))
            # The complete image only: tiles would take as long as all else, three times.
            for seen in find_faces(landmarker, side, tiles=False):
                score = network(side, seen.landmarks)
                back = _turned_back(seen, turns, width, height)
                if back is None:
                    continue
                known = any(overlap(back.roi, roi) > _SAME_FACE for roi in doubtful)
                if known or (not found and score >= SURE):
                    found.append((score, back))
    kept: list[tuple[float, FaceLandmarks]] = []
    for score, face in sorted(found, key=lambda pair: -pair[0]):
        if all(overlap(face.roi, other.roi) <= _SAME_FACE for _, other in kept):
            kept.append((score, face))
    kept.sort(key=lambda pair: -pair[1].roi.area)
    return tuple((face, score >= UPRIGHT) for score, face in kept)


def _turned_back(face: FaceLandmarks, turns: int, width: int, height: int) -> FaceLandmarks | None:
    """Return a face of ``numpy.rot90(image, turns)`` as it lies in the image of that size."""
    x, y = face.landmarks[:, 0], face.landmarks[:, 1]
    last_x, last_y = width - 1, height - 1
    landmarks = face.landmarks.copy()
    if turns == 1:
        landmarks[:, 0], landmarks[:, 1] = last_x - y, x
    elif turns == 2:
        landmarks[:, 0], landmarks[:, 1] = last_x - x, last_y - y
    else:
        landmarks[:, 0], landmarks[:, 1] = y, last_y - x
    roi = bounding_roi(landmarks, width, height)
    return None if roi is None else FaceLandmarks(landmarks, face.blendshapes, roi)
