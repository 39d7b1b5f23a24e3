"""Keep each face's identity from frame to frame, through crossings and short occlusions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from emotion_estimator.emotion import Roi

#: Seconds over which position and velocity are averaged: boxes jitter by about one per cent of the
#: face, and when two faces cross, one wrong match must not reverse both velocities.
_PLACE_TIME = 0.03
_VELOCITY_TIME = 0.2
#: An unseen face slows down and moves no farther than in so many seconds at its velocity: people
#: stop, and an error in the velocity must not grow.
_COASTING_TIME = 1.0
#: How far from its expected position a face may be, in face sizes: at once, and more per second
#: unseen, up to one second. Between two frames of a slow camera, somebody who starts walking moves
#: by half a face; neighbours' faces are about two apart.
_REACH = 0.7
_REACH_GROWTH = 0.5
#: From frame to frame, a face grows or shrinks by less than this factor.
_GROWTH = 2.0
#: Cost of a second unseen, up to one: a box that matches two faces belongs to the one just seen,
#: not to the one hidden behind it.
_UNSEEN = 0.25
#: A pair that costs more is not the same face.
_LIMIT = 1.0
#: Maximum number of faces remembered; those unseen for longest go first. With a long timeout, a
#: flickering detector must not fill the memory.
_MAX_TRACKS = 64


def assign(costs: Sequence[Sequence[float]], alone: float) -> list[int | None]:
    """Return each row's column, None for a row that stays alone, at the least total cost.

    A greedy assignment is not enough: when a camera pans, a face's old position can be nearer to
    its neighbour's new one than to its own. Shortest augmenting paths (Jonker and Volgenant 1987).
    With 16 rows the worst case takes a few milliseconds; rows that do not compete for a column
    take one pass each.

    :param costs: cost of each column, for each row; infinite if a pair is impossible.
    :param alone: cost of a row without a column, finite.
    """
    rows = len(costs)
    # One more column per row, so that all rows may stay alone.
    table = [[*row, *[alone] * rows] for row in costs]
    columns = len(table[0]) if table else 0
    owner: list[int | None] = [None] * columns
    row_price, column_price = [0.0] * rows, [0.0] * columns
    for start in range(rows):
        _augment(table, owner, row_price, column_price, start)
    found: list[int | None] = [None] * rows
    for column, row in enumerate(owner[: columns - rows]):
        if row is not None:
            found[row] = column
    return found


def _augment(
    table: list[list[float]],
    owner: list[int | None],
    row_price: list[float],
    column_price: list[float],
    start: int,
) -> None:
    """Give the row ``start`` a column, along the cheapest chain of rows that change theirs."""
    distance = [math.inf] * len(owner)
    before: list[int | None] = [None] * len(owner)
    left = list(range(len(owner)))
    passed: list[int] = []
    row, via, reached = start, None, 0.0
    while True:
        base, costs = reached - row_price[row], table[row]
        for column in left:
            length = base + costs[column] - column_price[column]
            if length < distance[column]:
                distance[column], before[column] = length, via
        nearest = min(left, key=distance.__getitem__)
        reached = distance[nearest]
        holder = owner[nearest]
        if holder is None:
            break
        left.remove(nearest)
        passed.append(nearest)
        row, via = holder, nearest
    row_price[start] += reached
    for column in passed:
        slack = reached - distance[column]
        column_price[column] -= slack
        holder = owner[column]
        assert holder is not None
        row_price[holder] += slack
    free: int | None = nearest
    while free is not None:
        giver = before[free]
        owner[free] = start if giver is None else owner[giver]
        free = giver


@dataclass
class _Track:
    """One face over time; pixels, seconds, and pixels per second."""

    face_id: str
    x: float
    y: float
    size: float
    last_seen: float
    velocity_x: float = 0.0
    velocity_y: float = 0.0

    def see(self, x: float, y: float, size: float, stamp: float) -> None:
        """Update position and velocity by a measurement (an alpha-beta filter)."""
        unseen = stamp - self.last_seen
        # Both stay bounded for short or zero steps, in which jitter would look like speed.
        position, velocity = unseen / (unseen + _PLACE_TIME), 1.0 / (unseen + _VELOCITY_TIME)
        expected_x = self.x + self.velocity_x * unseen
        expected_y = self.y + self.velocity_y * unseen
        self.velocity_x += velocity * (x - expected_x)
        self.velocity_y += velocity * (y - expected_y)
        self.x = expected_x + position * (x - expected_x)
        self.y = expected_y + position * (y - expected_y)
        self.size, self.last_seen = size, stamp

    def costs(self, boxes: Sequence[tuple[float, float, float]], stamp: float) -> list[float]:
        """Return the cost of matching each box (centre x, y, size) with this face.

        The sum of squares of the distance from the expected position, relative to the reach, and
        of the change in size, relative to the largest allowed. Infinite from ``_LIMIT`` on.
        """
        unseen = stamp - self.last_seen
        coasting = _COASTING_TIME * -math.expm1(-unseen / _COASTING_TIME)
        x, y = self.x + self.velocity_x * coasting, self.y + self.velocity_y * coasting
        unsure = min(unseen, 1.0)
        reach, paid = _REACH + _REACH_GROWTH * unsure, _UNSEEN * unsure
        found = []
        for box_x, box_y, size in boxes:
            far = math.hypot(box_x - x, box_y - y) / (reach * 0.5 * (size + self.size))
            cost = math.inf
            if far < _LIMIT:
                grown = math.log(size / self.size) / math.log(_GROWTH)
                cost = paid + far * far + grown * grown
            found.append(cost if cost < _LIMIT else math.inf)
        return found


class Tracker:
    """Match the boxes of each frame with the faces of earlier frames, at the least total cost.

    Each face is expected where its velocity takes it. Without a box it coasts and is forgotten
    after ``timeout``. Ids are never reused, not even after :meth:`reset`.

    :param timeout: seconds a face may go undetected and keep its id; the time between two frames
        in which it is detected does not count. May be changed between frames.
    """

    def __init__(self, timeout: float = 0.5) -> None:
        self.timeout = timeout
        self._tracks: list[_Track] = []
        self._last_stamp = -math.inf
        self._given = 0

    def __call__(self, rois: Sequence[Roi], stamp: float) -> tuple[str, ...]:
        """Return the id of each box, in the order of ``rois``, which has no other effect.

        New faces are numbered from left to right.

        :param stamp: seconds; must not decrease.
        """
        self._forget(stamp)
        order = sorted(range(len(rois)), key=lambda r: rois[r].as_list())
        boxes = [
            (roi.x + roi.width / 2, roi.y + roi.height / 2, math.sqrt(roi.area))
            for roi in (rois[r] for r in order)
        ]
        by_track = [track.costs(boxes, stamp) for track in self._tracks]
        by_box = [[costs[b] for costs in by_track] for b in range(len(boxes))]
        ids = [''] * len(rois)
        for r, box, t in zip(order, boxes, assign(by_box, _LIMIT)):
            if t is None:
                self._given += 1
                track = _Track(f'face_{self._given}', *box, stamp)
                self._tracks.append(track)
            else:
                track = self._tracks[t]
                track.see(*box, stamp)
            ids[r] = track.face_id
        self._last_stamp = stamp
        self._forget(stamp)
        return tuple(ids)

    @property
    def face_ids(self) -> frozenset[str]:
        """Return the ids still alive, including faces undetected for less than the timeout."""
        return frozenset(track.face_id for track in self._tracks)

    def reset(self) -> None:
        """Forget every face."""
        self._tracks.clear()
        self._last_stamp = -math.inf

    def _forget(self, now: float) -> None:
        """Drop the faces missing from the last frame that are unseen for too long."""
        self._tracks = [
            track
            for track in self._tracks
            if track.last_seen == self._last_stamp or now - track.last_seen <= self.timeout
        ]
        if len(self._tracks) > _MAX_TRACKS:
            self._tracks = sorted(self._tracks, key=lambda track: track.last_seen)[-_MAX_TRACKS:]
