"""Whether the label flickers, and is therefore not to be believed soon."""

from __future__ import annotations

from collections import deque

from emotion_estimator.dialogue.window import TOLERANCE

#: Changes of the label within the last seconds from which on it flickers. Faces change less often;
#: an estimator that is wrong in a tenth of the time changes more often.
_CHANGES = 5
_WITHIN = 10.0


class Unrest:
    """Counts changes of the label, as seen at the regular looks at the rules."""

    def __init__(self) -> None:
        self._changes: deque[float] = deque(maxlen=_CHANGES)
        self._label: str | None = None

    def clear(self) -> None:
        """Forget everything: time jumped."""
        self._changes.clear()
        self._label = None

    def look(self, label: str, now: float) -> bool:
        """Take the label at ``now`` seconds; return whether it flickers."""
        if self._label is not None and label != self._label:
            self._changes.append(now)
        self._label = label
        return len(self._changes) == _CHANGES and self._changes[0] > now - _WITHIN - TOLERANCE
