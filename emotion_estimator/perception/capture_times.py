"""Capture times of a live stream, also of drivers that do not stamp their images."""

from __future__ import annotations

#: A stamp that several images have for so many seconds stands still.
_STUCK = 1.0


class CaptureTimes:
    """Gives each image of a live stream its capture time: its stamp, or its time of arrival.

    Nothing can be estimated over time from stamps that are 0 or do not advance. With ``auto`` such
    images have the time of their arrival instead, which is later than their capture and jitters,
    but advances.

    >>> times = CaptureTimes('auto')
    >>> times(stamp=0.0, arrival=1700000000.5, now=12.0)
    1700000000.5
    >>> times.problem
    'images have no stamp'
    """

    def __init__(self, source: str) -> None:
        """Start a stream.

        :param source: ``auto``, ``message`` (always the stamp) or ``arrival`` (never).
        """
        self._source = source
        self._stamp: float | None = None
        self._since = 0.0
        self._count = 0
        #: Why the last image has its time of arrival, or its bad stamp; empty for a good stamp.
        self.problem = ''

    def __call__(self, stamp: float, arrival: float, now: float) -> float:
        """Return the capture time of the next image in seconds.

        :param stamp: of the message, in seconds.
        :param arrival: the node's time, in seconds.
        :param now: the monotonic clock's time in seconds, which advances whatever the others do.
        """
        if self._source == 'arrival':
            return arrival
        if stamp != self._stamp:
            self._stamp, self._since, self._count = stamp, now, 0
        self._count += 1
        if stamp <= 0.0:
            self.problem = 'images have no stamp'
        elif self._count > 2 and now - self._since >= _STUCK:
            self.problem = f'the stamps of the images stand still at {stamp:.3f} s'
        else:
            self.problem = ''
        return arrival if self.problem and self._source == 'auto' else stamp
