"""Keep each face's identity from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emotion_estimator.emotion import Roi


def overlap(a: Roi, b: Roi) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    width = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    height = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a.area + b.area - shared)


@dataclass
class Track:
    """One face over time: its id, last box and the stamp (seconds) of its last detection."""

    face_id: str
    roi: Roi
    last_seen: float


class Tracker:
    """Greedy matching by overlap; a face unseen for ``timeout`` seconds is forgotten.

    Ids are never given twice, not even after :meth:`reset`: a face that returns is a new face.

    :param timeout: seconds a face may go undetected and keep its id.
    :param min_overlap: least intersection over union with its last box, 0 to 1.
    """

    def __init__(self, timeout: float = 0.5, min_overlap: float = 0.2) -> None:
        self._timeout = timeout
        self._min_overlap = min_overlap
        self._tracks: list[Track] = []
        self._given = 0

    def __call__(self, rois: Sequence[Roi], stamp: float) -> tuple[str, ...]:
        """Return the id of each box, in the order of ``rois``; ``stamp`` must not decrease."""
        self._tracks = [t for t in self._tracks if stamp - t.last_seen <= self._timeout]
        pairs = sorted(
            (
                (overlap(track.roi, roi), -t, -r)
                for t, track in enumerate(self._tracks)
                for r, roi in enumerate(rois)
            ),
            reverse=True,
        )
        matched: dict[int, Track] = {}
        taken: set[int] = set()
        for score, t, r in pairs:
            if score < self._min_overlap:
                break
            if -r in matched or -t in taken:
                continue
            matched[-r] = self._tracks[-t]
            taken.add(-t)
        for r, roi in enumerate(rois):
            if r not in matched:
                self._given += 1
                matched[r] = Track(f'face_{self._given}', roi, stamp)
                self._tracks.append(matched[r])
            matched[r].roi = roi
            matched[r].last_seen = stamp
        return tuple(matched[r].face_id for r in range(len(rois)))

    @property
    def face_ids(self) -> frozenset[str]:
        """Ids that are still alive, undetected ones within the timeout included."""
        return frozenset(track.face_id for track in self._tracks)

    def reset(self) -> None:
        """Forget every face."""
        self._tracks.clear()
