"""An account of a reading: what was declared, what was read, and what was left out and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from emotion_estimator.untrusted import quote

#: Reason for what was declared, and neither read nor left out for a known reason.
MISSING = 'missing: the input ends early'
#: Reasons that are named; further ones are counted together.
_MOST_REASONS = 20
_OTHER = 'for other reasons'


@dataclass
class Account:
    """Counts of one reading.

    >>> account = Account('frames', declared=72)
    >>> account.read = 40
    >>> account.leave_out('damaged', 2)
    >>> str(account)
    'declared 72 frames, read 40, left out 32: 2 damaged, 30 missing: the input ends early'
    >>> account.complete
    False

    :param unit: what is counted, in the plural: ``frames``, ``images``, ``messages``.
    :param declared: how many there are, by the input's own word; None if it does not say.
    :param read: how many were read.
    :param reasons: how many were left out, by the reason.
    """

    unit: str
    declared: int | None = None
    read: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def leave_out(self, reason: str, count: int = 1) -> None:
        """Count what is left out.

        :param reason: a few words, such as ``damaged``; at most 20 different ones are kept.
        """
        reason = quote(reason)
        if reason not in self.reasons and len(self.reasons) >= _MOST_REASONS:
            reason = _OTHER
        self.reasons[reason] += count

    @property
    def left_out(self) -> Counter[str]:
        """Return how many were left out by reason, with those that were declared but missing."""
        found = Counter({reason: n for reason, n in self.reasons.items() if n})
        if self.declared is not None:
            missing = self.declared - self.read - found.total()
            if missing > 0:
                found[MISSING] += missing
        return found

    @property
    def complete(self) -> bool:
        """Return whether nothing was left out."""
        return not self.left_out

    def __str__(self) -> str:
        """Return the account in one line."""
        left_out = self.left_out
        if self.declared is None:
            line = f'read {self._counted(self.read)}'
        else:
            line = f'declared {self._counted(self.declared)}, read {self.read}'
        if left_out:
            reasons = ', '.join(f'{n} {reason}' for reason, n in left_out.items())
            line += f', left out {left_out.total()}: {reasons}'
        return line

    def _counted(self, number: int) -> str:
        return f'{number} {self.unit.removesuffix("s") if number == 1 else self.unit}'

    def to_dict(self) -> dict[str, Any]:
        """Return the account as JSON-compatible values."""
        return {
            'unit': self.unit,
            'declared': self.declared,
            'read': self.read,
            'left_out': dict(self.left_out),
        }
