"""The order of a stream's images: late ones, streams that start again, and mixed streams."""

from __future__ import annotations

import threading

#: An image older than the newest by at most so many seconds is late; beyond, time went back.
LATE = 0.5
#: So many late images in a row, or late images for so many seconds by their own stamps, are no
#: jitter: time went back by less than ``LATE``.
_LATE_IN_A_ROW, _LATE_FOR = 10, 0.3
#: Images in order after which a mixed stream counts as a single one.
_SINGLE_AFTER = 100


class StreamOrder:
    """Decides by their stamps which images of a live stream to take, in order of arrival.

    Networks and drivers deliver some images late, which must not make the stream start over. Time
    that goes back for good is another matter: a bag loops, a simulation restarts. That is a new
    stream from its first image on, unless the former one has continued beside it: then two cameras
    publish on one topic, and only the later of their clocks is followed.

    Threads may share it.

    >>> order = StreamOrder()
    >>> [order(stamp) for stamp in (5.0, 5.1, 5.05, 5.2, 0.0, 0.1)]
    [True, True, False, True, True, True]
    >>> order.late
    1
    """

    def __init__(self) -> None:
        """Start without a stream."""
        self._lock = threading.Lock()
        #: Images that were not taken.
        self.late = 0
        self._newest: float | None = None
        #: Newest stamp of the stream before time last went back.
        self._former: float | None = None
        #: Images to come in order before a mixed stream counts as single.
        self._mixed = 0
        self._late_run: tuple[int, float, float] | None = None

    @property
    def mixed(self) -> bool:
        """Return whether images of another stream have come among these lately."""
        return self._mixed > 0

    def __call__(self, stamp: float) -> bool:
        """Return whether to take an image; one that is not taken counts as late.

        :param stamp: of the image, in seconds. Images with equal stamps are all taken.
        """
        with self._lock:
            return self._take(stamp)

    def restart(self) -> None:
        """Take the next image whatever its stamp: time is known to have gone back."""
        with self._lock:
            self._newest = self._former = self._late_run = None
            self._mixed = 0

    def _take(self, stamp: float) -> bool:
        newest = self._newest
        if newest is None or stamp >= newest:
            self._mixed = max(self._mixed - 1, 0)
            if newest is not None and self._continues_the_former(stamp, newest):
                self._mixed = _SINGLE_AFTER
        elif newest - stamp > LATE and not self._mixed:
            self._former = newest
        elif not self._lasts(stamp):
            self.late += 1
            if self._mixed:
                self._mixed = _SINGLE_AFTER
            return False
        self._newest = stamp
        self._late_run = None
        return True

    def _continues_the_former(self, stamp: float, newest: float) -> bool:
        former = self._former
        return former is not None and stamp - newest > LATE and 0.0 <= stamp - former <= LATE

    def _lasts(self, stamp: float) -> bool:
        """Note a late image; return whether it is one of a stream that has gone back for good."""
        run = self._late_run
        count, first = (run[0] + 1, run[1]) if run is not None and stamp >= run[2] else (1, stamp)
        self._late_run = count, first, stamp
        return count >= _LATE_IN_A_ROW or stamp - first >= _LATE_FOR
