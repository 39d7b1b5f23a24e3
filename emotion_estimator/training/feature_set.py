"""A table of blendshapes with what is known of each face: what every model is trained from."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Blendshapes of the faces that one landmark source found.

    :param source: ``face_landmarker`` or ``face_mesh``.
    :param blendshapes: float32 (N, 52), 0 to 1, in ``BLENDSHAPE_NAMES`` order.
    :param emotion: int64 (N,), index into ``FER_CLASSES``.
    :param usage: int64 (N,), ``TRAINING``, ``PUBLIC_TEST`` or ``PRIVATE_TEST``.
    :param image_id: int64 (N,), the image's row in FER2013's own file.
    :param duplicate: bool (N,), a test image that is a training image too.
    :param augmented: bool (N,), seen on a rotated or flipped copy (Training only).
    """

    source: str
    blendshapes: NDArray[np.float32]
    emotion: NDArray[np.int64]
    usage: NDArray[np.int64]
    image_id: NDArray[np.int64]
    duplicate: NDArray[np.bool_]
    augmented: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.blendshapes)

    def where(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> FeatureSet:
        """Return some of the rows."""
        return FeatureSet(self.source, *(
            getattr(self, field.name)[rows] for field in fields(self) if field.name != 'source'
        ))
