"""Whether a simulated conversation is what its script expects."""

from __future__ import annotations

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.script import ROUNDING, ExpectedAction, Script
from emotion_estimator.dialogue.simulator import Event


class Verdict:
    """Compares what happens with what a script expects, as it happens.

    Within a step the expected actions come in their order, and no others.
    """

    def __init__(self, script: Script) -> None:
        """:param script: whose steps count."""
        self._script = script
        self._step = 0
        self._met = 0
        #: One line for each expectation that is not met, so far.
        self.failures: list[str] = []

    def __call__(self, event: Event) -> bool | None:
        """Take an event in the order of stamps; return whether it was as expected.

        :return: None where nothing is expected of it.
        """
        self._advance(event.stamp)
        if event.refused:
            self._fail(f'refused at {event.stamp:.2f} s: {event.refused}')
            return False
        expected = self._script.steps[self._step].expect
        if event.action is None or expected is None:
            return None
        wanted = expected[self._met] if self._met < len(expected) else None
        if wanted is not None and not self._differs(event.action, wanted):
            self._met += 1
            return True
        instead = f'where {self._name(wanted)} is expected' if wanted else 'which is not expected'
        differs = f' ({self._differs(event.action, wanted)})' if wanted else ''
        self._fail(f'{self._got(event.action)} {instead}{differs}')
        return False

    def finish(self) -> list[str]:
        """Return one line for each expectation that was not met; none is good."""
        self._advance(float('inf'))
        return self.failures

    def _advance(self, stamp: float) -> None:
        """Go to the step that ``stamp`` lies in, and note what did not come in those before."""
        steps = self._script.steps
        while stamp >= steps[self._step].end - ROUNDING:
            for missing in (steps[self._step].expect or ())[self._met :]:
                self._fail(f'{self._name(missing)} did not come')
            self._met = len(steps[self._step].expect or ())
            if self._step == len(steps) - 1:
                return
            self._step += 1
            self._met = 0

    def _differs(self, action: DialogueAction, expected: ExpectedAction) -> str:
        """Name the first thing in which an action is not as expected; empty where none is."""
        since = action.stamp - self._script.steps[self._step].begin
        if action.action != expected.action:
            return f'action {action.action}, not {expected.action}'
        if not expected.begin - ROUNDING <= since <= expected.end + ROUNDING:
            return f'{since:.2f} s after the step began'
        for name in ('rule', 'topic', 'approach'):
            wanted, got = getattr(expected, name), getattr(action, name)
            if wanted is not None and wanted != got:
                return f'{name} {got!r}, not {wanted!r}'
        if expected.says is not None and expected.says not in action.utterance:
            return f'it says {action.utterance!r}, without {expected.says!r}'
        return ''

    def _name(self, expected: ExpectedAction) -> str:
        begin = self._script.steps[self._step].begin
        span = f'{begin + expected.begin:.2f} to {begin + expected.end:.2f} s'
        return f'{expected.action} from {span}'

    def _got(self, action: DialogueAction) -> str:
        return f'{action.action} at {action.stamp:.2f} s (rule {action.rule!r})'

    def _fail(self, what: str) -> None:
        step = self._script.steps[self._step]
        self.failures.append(
            f'{self._script.origin}: step {self._step + 1} ({step.shows} from {step.begin:.2f} s): '
            f'{what}'
        )
