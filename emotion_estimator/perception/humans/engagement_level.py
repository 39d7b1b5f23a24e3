"""How much a person attends to the robot, in the levels of ``hri_msgs/EngagementLevel``."""

from __future__ import annotations

import math
from enum import IntEnum

#: Seconds over which looks at the camera are averaged.
_MEMORY = 1.0
#: Averages (0 never, 1 always) at which a level changes; apart, so that blinks and glances do not
#: make it flicker.
_STARTS, _ENGAGED, _LEAVES, _GONE = 0.3, 0.75, 0.7, 0.25
#: Seconds without an image after which nothing is known.
_FORGOTTEN = 5.0


class EngagementStatus(IntEnum):
    """The levels, by their numbers in the message."""

    UNKNOWN = 0
    DISENGAGED = 1
    ENGAGING = 2
    ENGAGED = 3
    DISENGAGING = 4


class EngagementMeter:
    """Follows one person from look to look: disengaged, engaging, engaged, disengaging."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._level = EngagementStatus.UNKNOWN
        self._share = 0.0
        self._stamp = -math.inf

    def __call__(self, looks: bool, stamp: float) -> EngagementStatus:
        """Take in an image of the person and return the level.

        :param looks: whether the person looks at the camera.
        :param stamp: of the image in seconds; if it goes back, all starts over.
        """
        step, self._stamp = stamp - self._stamp, stamp
        if not 0.0 <= step <= _FORGOTTEN:
            self._level, self._share = EngagementStatus.DISENGAGED, 0.0
            return self._level
        self._share += (float(looks) - self._share) * -math.expm1(-step / _MEMORY)
        self._level = _next(self._level, self._share)
        return self._level


def _next(level: EngagementStatus, share: float) -> EngagementStatus:
    """Return the level that follows, a neighbour of the present one."""
    if level is EngagementStatus.DISENGAGED:
        return EngagementStatus.ENGAGING if share > _STARTS else level
    if level is EngagementStatus.ENGAGED:
        return EngagementStatus.DISENGAGING if share < _LEAVES else level
    if share > _ENGAGED:
        return EngagementStatus.ENGAGED
    return EngagementStatus.DISENGAGED if share < _GONE else level
