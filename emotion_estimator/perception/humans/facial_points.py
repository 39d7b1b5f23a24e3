"""The 70 points of ``hri_msgs/FacialLandmarks`` among the 478 of the mesh.

Their order is that of dlib's 68 points, of OpenPose and of the message: the
person's right ear first, then along the jaw to the left ear; brows, nose, eyes, mouth; pupils last.
"""

from __future__ import annotations

import numpy as np

from emotion_estimator.emotion import FloatArray

#: Mesh point of each of the message's points, in the order of its constants. The right side is the
#: person's.
FACIAL_POINTS: tuple[int, ...] = (
    # Jaw, from the right ear (0) over the chin (8) to the left ear (16).
    127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356,
    # Right brow from outside (17), left brow to outside (26).
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    # Bridge of the nose from the sellion (27) to the tip (30), then from nostril to nostril (35).
    6, 197, 5, 4, 64, 97, 2, 326, 294,
    # Right eye from outside (36), left eye from inside (42), each over the top.
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    # Outer lips from the right corner (48) over the top, then inner lips (60).
    61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91,
    78, 81, 13, 311, 308, 402, 14, 178,
    # Pupils: right (68), left (69).
    468, 473,
)  # fmt: skip

_POINTS = np.array(FACIAL_POINTS)


def facial_points(landmarks: FloatArray, width: int, height: int) -> tuple[FloatArray, FloatArray]:
    """Return the 70 points in units of the image, and which of them lie in it.

    :param landmarks: float32 (478, 3) in pixels.
    :param width: of the image in pixels, at least 1, as is ``height``.
    :returns: float64 (70, 2), 0 to 1, those outside moved to the edge; and (70,), 1 for a point in
        the image, otherwise 0. Points that are not finite become 0.
    """
    scaled = landmarks[_POINTS, :2] / np.array([width, height], np.float64)
    inside = ((scaled >= 0.0) & (scaled <= 1.0)).all(axis=1)
    # NaN passes clip, but not the comparison above.
    places = np.where(scaled == scaled, scaled, 0.0).clip(0.0, 1.0)
    return places, inside.astype(np.float64)
