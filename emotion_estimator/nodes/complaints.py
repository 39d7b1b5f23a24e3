"""Complaints about what arrives: at most one line a second, however much is wrong, and counts."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

from emotion_estimator.untrusted import as_line

#: Seconds between two lines, and between two about the same problem.
_PERIOD, _SAME = 1.0, 5.0
#: Kinds that are counted apart; others are counted together as ``other``.
_MOST_KINDS = 16


class Complaints:
    """Chooses what to log of a stream of faults, and counts all of them by kind.

    Threads may share it. The first fault gives its line; what follows within a second is counted,
    and so is the same fault within five seconds. The number comes with the next line, or alone by
    :meth:`rest`.

    >>> seconds = iter([0.0, 0.1, 0.2, 1.3])
    >>> complain = Complaints('bad images', clock=lambda: next(seconds))
    >>> [complain('image', f'step {n}', 'step') for n in range(4)]
    ['image: step 0', '', '', 'image: step 3 (2 more bad images in the last 1.3 s)']
    >>> complain.counts
    Counter({'step': 4})
    """

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without faults.

        :param what: names them, in the plural.
        :param clock: returns seconds, never going back.
        """
        self._what = what
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._said_at = float('-inf')
        #: The problem of the last line, and when it was said.
        self._problem, self._problem_at = '', float('-inf')
        #: Faults since the last line, and whether any differs from its problem.
        self._unsaid, self._varied = 0, False

    @property
    def counts(self) -> Counter[str]:
        """Return the number of faults so far by kind."""
        with self._lock:
            return Counter(self._counts)

    @property
    def total(self) -> int:
        """Return the number of faults so far."""
        with self._lock:
            return self._counts.total()

    def summary(self) -> str:
        """Return the counts as ``encoding 3, step 1``, the most frequent first; empty for none."""
        return ', '.join(f'{kind} {count}' for kind, count in self.counts.most_common())

    def __call__(self, where: str, problem: str, kind: str = 'other') -> str:
        """Count a fault, and return the line to log; empty if it is too soon for one.

        :param where: what has the fault, which may be different each time.
        :param problem: what is wrong.
        :param kind: of fault, by which it is counted: one word of the code's, not of the data's.
        """
        with self._lock:
            known = kind in self._counts or len(self._counts) < _MOST_KINDS - 1
            self._counts[kind if known else 'other'] += 1
            now = self._clock()
            same = problem == self._problem and now - self._problem_at < _SAME
            if same or now - self._said_at < _PERIOD:
                self._unsaid += 1
                self._varied |= problem != self._problem
                return ''
            rest = f' ({self._rest(now)})' if self._unsaid else ''
            self._say(now)
            self._problem, self._problem_at = problem, now
            return as_line(f'{where}: {problem}') + rest

    def rest(self) -> str:
        """Return a line with the number of faults that were not logged; empty if it is too soon.

        To call about once a second: the number is then said even when no further fault comes.
        """
        with self._lock:
            now = self._clock()
            if not self._unsaid or now - self._said_at < (_PERIOD if self._varied else _SAME):
                return ''
            line = self._rest(now)
            self._say(now)
            return line

    def _rest(self, now: float) -> str:
        return f'{self._unsaid} more {self._what} in the last {now - self._said_at:.1f} s'

    def _say(self, now: float) -> None:
        self._said_at, self._unsaid, self._varied = now, 0, False
