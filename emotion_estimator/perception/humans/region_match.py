"""Find out which of our faces are which of another face detector's.

Its regions may be of an earlier or later image than our faces, and its boxes are cut differently,
with or without forehead and ears.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from emotion_estimator.perception.tracker import assign

#: Seconds between the stamps of an image and of a region that may still be compared: a head moves
#: by less than its own width in that time.
_WINDOW = 0.5
#: Regions kept of each face, more than a detector gives within the window.
_KEPT = 32
#: Boxes that overlap by less are not the same face.
_LEAST = 0.2
#: Advantage of the pair of the last image: where boxes of two faces overlap, pairs stay.
_HABIT = 0.15
#: Cost of a second between the stamps.
_AGE = 0.1


@dataclass(frozen=True)
class Region:
    """A box in units of the image: 0 is its left or upper edge, 1 its right or lower one."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """Return the area in units of the image's; 0 for an empty box and for NaN."""
        width, height = self.right - self.left, self.bottom - self.top
        return width * height if width > 0 and height > 0 else 0.0

    def overlap(self, other: Region) -> float:
        """Return intersection over union, 0 to 1."""
        shared = Region(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        ).area
        return shared / (self.area + other.area - shared) if shared > 0 else 0.0


@dataclass
class _Seen:
    """The last regions of one face, each with its stamp in seconds."""

    regions: deque[tuple[float, Region]] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def nearest(self, stamp: float) -> tuple[float, Region] | None:
        """Return the region nearest in time and how far it is; None beyond the window."""
        best = min(
            ((abs(stamp - then), region) for then, region in self.regions),
            key=lambda pair: pair[0],
            default=None,
        )
        return best if best is not None and best[0] <= _WINDOW else None


class RegionMatcher:
    """Matches our faces with another detector's, by place and time, at the greatest overlap."""

    def __init__(self) -> None:
        """Know no face."""
        self._seen: dict[str, _Seen] = {}
        self._pairs: dict[str, str] = {}

    def add(self, their_id: str, stamp: float, region: Region) -> None:
        """Remember where the other detector saw a face; an empty region is ignored.

        :param stamp: of the image in which it was seen, in seconds.
        """
        if math.isfinite(stamp) and region.area > 0:
            self._seen.setdefault(their_id, _Seen()).regions.append((stamp, region))

    def keep(self, their_ids: Iterable[str]) -> None:
        """Forget all faces but these."""
        kept = set(their_ids)
        self._seen = {name: seen for name, seen in self._seen.items() if name in kept}
        self._pairs = {ours: theirs for ours, theirs in self._pairs.items() if theirs in kept}

    def __call__(self, faces: Mapping[str, Region], stamp: float) -> dict[str, str]:
        """Return the other detector's id of each of our faces that it sees too.

        :param faces: our faces in one image, by their id.
        :param stamp: of the image in seconds.
        """
        near = [(name, seen.nearest(stamp)) for name, seen in self._seen.items()]
        known = [(name, *pair) for name, pair in near if pair is not None]
        costs = [
            [self._cost(ours, region, *theirs) for theirs in known]
            for ours, region in faces.items()
        ]
        self._pairs = _paired(list(faces), [name for name, _, _ in known], costs)
        return dict(self._pairs)

    def _cost(
        self, our_id: str, region: Region, their_id: str, age: float, theirs: Region
    ) -> float:
        overlap = region.overlap(theirs)
        if overlap < _LEAST:
            return math.inf
        habit = _HABIT if self._pairs.get(our_id) == their_id else 0.0
        return 1.0 - overlap + _AGE * age - habit


def _paired(
    ours: Sequence[str], theirs: Sequence[str], costs: Sequence[Sequence[float]]
) -> dict[str, str]:
    columns = assign(costs, alone=1.0)
    return {name: theirs[column] for name, column in zip(ours, columns) if column is not None}
