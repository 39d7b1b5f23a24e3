"""Keeps to a share of a processor core: by less work for each image first, then by fewer images."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds over which the share is measured, and between two corrections.
_PERIOD = 1.0
#: Least images a second, whatever the budget: faces are lost that are not seen for half a second.
LEAST_RATE = 4.0
#: Below this part of the budget there is room for more; largest steps of the rate down and up.
_ROOM = 0.85
_DOWN, _UP = 0.5, 1.2


class CpuBudget:
    """Measures what this process takes of a core, and says how many images to process.

    Over the budget, steady faces are read less thoroughly first (:attr:`thrifty`); if that is not
    enough, the rate falls in steps. Below it, both are taken back in the opposite order.

    :ivar share: processor time of all threads of the process, as a share of one core, 0 or more.
    :ivar rate: most images a second; 0 is no limit.
    :ivar thrifty: read the crops of steady faces in every second image only.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        processor: Callable[[], float] = time.process_time,
    ) -> None:
        """Start measuring.

        :param clock: returns seconds.
        :param processor: returns the seconds of processor time used so far.
        """
        self._clock, self._processor = clock, processor
        self._begun, self._used = clock(), processor()
        self._offered = self._processed = 0
        self.share = 0.0
        self.rate = 0.0
        self.thrifty = False

    def offered(self) -> None:
        """Note that an image could be processed."""
        self._offered += 1

    def processed(self, budget: float) -> None:
        """Note that an image was processed.

        :param budget: share of a core to keep to; 0 is no limit.
        """
        self._processed += 1
        seconds = self._clock() - self._begun
        if seconds < _PERIOD:
            return
        used = self._processor()
        self.share = (used - self._used) / seconds
        offered, processed = self._offered / seconds, self._processed / seconds
        self._begun, self._used = self._clock(), used
        self._offered = self._processed = 0
        if budget <= 0:
            self.rate, self.thrifty = 0.0, False
        elif self.share > budget:
            self._save(budget / self.share, processed)
        elif self.share < _ROOM * budget:
            self._spend(budget / max(self.share, 1e-3), offered)

    def _save(self, wanted: float, processed: float) -> None:
        if not self.thrifty:
            self.thrifty = True
            return
        self.rate = max(processed * max(wanted, _DOWN), LEAST_RATE)

    def _spend(self, possible: float, offered: float) -> None:
        if not self.rate:
            # Twice the room, since reading all faces takes more than reading some.
            self.thrifty = self.thrifty and possible < 1 / _ROOM**2
            return
        self.rate *= min(possible, _UP)
        if self.rate > offered:
            self.rate = 0.0
