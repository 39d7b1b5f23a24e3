"""Where a head points: yaw, pitch and roll from the landmarks of either source.

The landmarks of rigid parts of the face are aligned with those of a mean face (Umeyama 1991).
MediaPipe fits its mesh in a crop around each face as if the camera pointed at it, so the alignment
gives the rotation relative to the line from the camera to the face, wherever the face is in the
image. Only the directions in the camera's own axes need to know the camera.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import FloatArray
from emotion_estimator.errors import InputError

#: Points that expressions move little, and their places in MediaPipe's canonical face model, in
#: centimetres (x to the right in the image, y down, z away from the camera), with the weights that
#: its face geometry gives them: three on the midline, then pairs (the person's right, left; x, y, z
#: of the left).
_MIDLINE = (
    (4, 0.46, -7.59, 0.0709), (6, -2.47, -5.79, 0.0321), (10, -8.26, -4.48, 0.0084),
)  # fmt: skip
_PAIRS = (
    (33, 263, 4.45, -2.66, -3.17, 0.0587), (54, 284, 6.28, -6.62, -1.43, 0.0077),
    (67, 297, 3.52, -8.01, -3.73, 0.0091), (117, 346, 5.26, -0.95, -2.97, 0.0098),
    (119, 348, 3.30, -0.86, -3.87, 0.0146), (121, 350, 1.82, -1.47, -4.22, 0.0186),
    (127, 356, 7.74, -2.36, 2.01, 0.0052), (129, 358, 1.79, 0.98, -4.85, 0.1206),
    (132, 361, 7.27, 2.89, 2.25, 0.0056), (133, 362, 1.86, -2.59, -3.76, 0.0533),
    (136, 365, 5.09, 7.18, -0.71, 0.0669), (143, 372, 6.41, -2.24, -1.56, 0.0148),
    (147, 376, 6.23, 1.94, -1.66, 0.0143), (198, 420, 1.25, -0.23, -5.68, 0.0255),
    (205, 425, 3.83, 1.54, -4.14, 0.0473),
)  # fmt: skip

#: A face whose second dimension is smaller than this share of its first is a line or a point.
_FLAT = 1e-3


def _mean_face() -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Return indices (N,), places (N, 3) and weights (N,) of the points above."""
    rows = [(index, 0.0, y, z, weight) for index, y, z, weight in _MIDLINE]
    for right, left, x, y, z, weight in _PAIRS:
        rows += [(right, -x, y, z, weight), (left, x, y, z, weight)]
    table = np.array(rows)
    return table[:, 0].astype(np.intp), table[:, 1:4], table[:, 4] / table[:, 4].sum()


_POINTS, _PLACES, _WEIGHTS = _mean_face()
_CENTRED = _PLACES - _WEIGHTS @ _PLACES
#: (4, N): times the landmarks, the covariance with the mean face, and the landmarks' mean.
_ALIGN = np.vstack([(_CENTRED * _WEIGHTS[:, None]).T, _WEIGHTS])
_VARIANCE = float(_WEIGHTS @ np.square(_CENTRED).sum(axis=1))

#: Unit vectors of a face, or of the camera: to the right in the image, down, away from the camera.
Axes = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera without distortion.

    :param fx: focal length in pixels, and so is ``fy``.
    :param cx: principal point in pixels from the left edge, and ``cy`` from the top.
    :param width: of the images that the other numbers are for, in pixels, and so is ``height``.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def __post_init__(self) -> None:
        """Check the numbers.

        :raises InputError: one is not finite, or a length is not positive, as of a camera that is
            not calibrated.
        """
        lengths = (self.fx, self.fy, self.width, self.height)
        # Written so that NaN fails.
        if not (all(0 < n < math.inf for n in lengths) and math.isfinite(self.cx + self.cy)):
            raise InputError(f'not a calibrated camera: {self}; calibrate it, or leave it out')

    def ray(self, x: float, y: float, image: tuple[int, int]) -> tuple[float, float]:
        """Return where a pixel is seen: to the right and down, at distance 1.

        :param image: its width and height in pixels; it may be the camera's, resized as a whole.
        """
        across, down = x * self.width / image[0], y * self.height / image[1]
        return (across - self.cx) / self.fx, (down - self.cy) / self.fy


@dataclass(frozen=True)
class HeadPose:
    """The rotation of a face relative to the line from the camera to it.

    :param axes: the face's own axes (to its left, down, to its back, which are the image's right,
        down and away for a face that looks at the camera), in axes of the image.
    :param centre: of the face's rigid points, in pixels of the image (x, y).
    :param size: pixels of the image for a centimetre of a mean face; 0 if the landmarks form none.
    """

    axes: Axes
    centre: tuple[float, float]
    size: float

    @property
    def angles(self) -> tuple[float, float, float]:
        """Return yaw, pitch and roll in degrees, as in ``FaceEmotion``."""
        return _angles(self.axes)

    @property
    def away(self) -> float:
        """Return the angle to the line to the camera, 0 to 180 degrees; 180 without a face."""
        if not self.size:
            return 180.0
        x, y, z = self.axes[2]
        return math.degrees(math.atan2(math.hypot(x, y), z))

    def angles_in(self, camera: Intrinsics, image: tuple[int, int]) -> tuple[float, float, float]:
        """Return yaw, pitch and roll in degrees in the axes of a camera.

        They differ from ``angles`` by the direction in which the camera sees the face: somebody at
        the right edge who looks at the camera is turned to the left.

        :param image: width and height in pixels.
        """
        if not self.size:
            return self.angles
        ray = camera.ray(*self.centre, image)
        right, down, back = (_turned(axis, *ray) for axis in self.axes)
        return _angles((right, down, back))


#: Of landmarks that form no face, or of a mesh that does not lie upright on its face.
UNREADABLE = HeadPose(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)), (0.0, 0.0), 0.0)


def head_pose(landmarks: FloatArray) -> HeadPose:
    """Return the pose of one face.

    :param landmarks: (478, 3) in pixels, as in ``FaceLandmarks``.
    :returns: a pose of size 0 without rotation if they are not finite, or all on a line.
    """
    points = landmarks[_POINTS]
    if not np.isfinite(points).all():
        return UNREADABLE
    product = _ALIGN @ points
    x, y, _ = product[3].tolist()
    left, spread, right = np.linalg.svd(product[:3])
    first, second, third = spread.tolist()
    if not second > _FLAT * first:
        return UNREADABLE
    # The best orthogonal matrix; a reflection is undone in its least certain direction.
    axes = left @ right
    r, d, b = axes.tolist()
    if _triple(r, d, b) < 0:
        third = -third
        axes -= 2.0 * np.outer(left[:, 2], right[2])
        r, d, b = axes.tolist()
    size = (first + second + third) / _VARIANCE
    return HeadPose((tuple(r), tuple(d), tuple(b)), (x, y), size)


def _triple(a: Sequence[float], b: Sequence[float], c: Sequence[float]) -> float:
    """Return the volume that three vectors span, negative if they are left-handed."""
    return (
        a[0] * (b[1] * c[2] - b[2] * c[1])
        + a[1] * (b[2] * c[0] - b[0] * c[2])
        + a[2] * (b[0] * c[1] - b[1] * c[0])
    )


def _angles(axes: Axes) -> tuple[float, float, float]:
    """Return yaw, pitch and roll: where the face points, and its rotation about that direction."""
    (rx, ry, rz), _, (bx, by, bz) = axes
    # The face looks to where its back does not.
    yaw = math.atan2(-bx, bz)
    pitch = math.atan2(by, math.hypot(bx, bz))
    # To the right and down for somebody who looks there with a level head.
    cos, sin = math.cos(yaw), math.sin(yaw)
    across = rx * cos + rz * sin
    down = ry * math.cos(pitch) + (rx * sin - rz * cos) * math.sin(pitch)
    # Adding 0 turns -0.0 into 0.0.
    return (
        math.degrees(yaw) + 0.0,
        math.degrees(pitch) + 0.0,
        math.degrees(math.atan2(down, across)) + 0.0,
    )


def _turned(vector: tuple[float, float, float], x: float, y: float) -> tuple[float, float, float]:
    """Return a vector after the shortest rotation from the optical axis to the ray (x, y, 1)."""
    a, b, c = vector
    length = math.sqrt(x * x + y * y + 1.0)
    nx, ny, nz = x / length, y / length, 1.0 / length
    # Rodrigues' formula about (-ny, nx, 0).
    shared = (nx * a + ny * b) / (1.0 + nz)
    return (a + nx * (c - shared), b + ny * (c - shared), nz * c - nx * a - ny * b)
