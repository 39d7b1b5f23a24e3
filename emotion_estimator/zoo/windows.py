"""Windows: runs of frames of one length, which sequence models read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.zoo.frames import FaceTrack


@dataclass(frozen=True, eq=False)
class Windows:
    """N windows of L frames over tracks; arrays are gathered when they are asked for.

    :param tracks: the faces.
    :param classes: in output order.
    :param track: int64 (N,), index of each window's track.
    :param frames: int64 (N, L), indices of its frames in that track.
    """

    tracks: tuple[FaceTrack, ...]
    classes: tuple[str, ...]
    track: NDArray[np.int64]
    frames: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.track)

    @property
    def length(self) -> int:
        """Frames of a window."""
        return self.frames.shape[1]

    @property
    def labels(self) -> NDArray[np.int64]:
        """Index into ``classes`` of each window, (N,)."""
        where = {name: index for index, name in enumerate(self.classes)}
        codes = np.array([where[one.clip.label] for one in self.tracks], np.int64)
        return codes[self.track]

    @property
    def crops(self) -> NDArray[np.uint8]:
        """Face crops (N, L, S, S, 3), RGB."""
        return self._gather('crops')

    @property
    def landmarks(self) -> NDArray[np.float32]:
        """Landmarks (N, L, 478, 3), in pixels of the crops."""
        return self._gather('landmarks')

    @property
    def blendshapes(self) -> NDArray[np.float32]:
        """Blendshapes (N, L, 52)."""
        return self._gather('blendshapes')

    @property
    def times(self) -> NDArray[np.float64]:
        """Seconds from the begin of each window's video, (N, L)."""
        return self._gather('times')

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which frames (N, L) show a face; where not, they repeat the last one's."""
        return self._gather('found')

    def take(self, rows: NDArray[Any]) -> Windows:
        """Return some of the windows.

        :param rows: indices, or bool (N,).
        """
        return replace(self, track=self.track[rows], frames=self.frames[rows])

    def _gather(self, name: str) -> NDArray[Any]:
        return np.stack([
            getattr(self.tracks[track], name)[frames]
            for track, frames in zip(self.track, self.frames)
        ])
