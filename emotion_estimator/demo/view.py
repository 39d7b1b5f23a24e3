"""The terminal while the demo runs: a live screen, or plain lines where there is none."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.live import Live

from emotion_estimator.demo.screen import latencies, rate, screen
from emotion_estimator.demo.state import Moment
from emotion_estimator.dialogue.action import DialogueAction


class View(Protocol):
    """Shows a moment again and again, between entering and leaving."""

    def __enter__(self) -> View: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def show(self, moment: Moment) -> None:
        """Show the newest state."""
        ...


class LiveView:
    """A screen that is drawn anew some times a second."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._live = Live(console=console, screen=True, auto_refresh=False)

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, moment: Moment) -> None:
        """Draw the screen."""
        width, height = self._console.size
        self._live.update(screen(moment, self._title, width, height), refresh=True)


class PlainView:
    """Lines for a log: one a second of stamps, one when the label changes, one for each action."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._label = ''
        self._next = float('-inf')
        self._told: DialogueAction | None = None
        self._begin: float | None = None

    def __enter__(self) -> PlainView:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def show(self, moment: Moment) -> None:
        """Write the lines that are due."""
        if not moment.recent:
            return
        last = moment.recent[-1]
        self._begin = last.stamp if self._begin is None else self._begin
        if last.label != self._label or last.stamp >= self._next:
            self._write(last.stamp, self._reading(moment))
            self._label, self._next = last.label, last.stamp + 1.0
        at = moment.actions.index(self._told) + 1 if self._told in moment.actions else 0
        for action in moment.actions[at:]:
            self._write(action.stamp, f'{action.action}: {action.utterance} ({action.reason})')
            self._told = action

    def _reading(self, moment: Moment) -> str:
        last = moment.recent[-1]
        p50, p95 = latencies(moment)
        scores = ' '.join(f'{label} {value:.2f}' for label, value in last.probabilities.items())
        truth = f', truth {moment.truth}' if moment.truth else ''
        dropped = moment.health.get('estimator', {}).get('frames_dropped', '-')
        return (
            f'{last.label} ({scores or "no face"}{truth}), {rate(moment):.1f} fps, '
            f'latency {p50:.1f}/{p95:.1f} ms, dropped {dropped}'
        )

    def _write(self, stamp: float, line: str) -> None:
        seconds = stamp - (self._begin or 0.0)
        self._console.print(
            f'{seconds:6.1f} s  {line}', markup=False, highlight=False, soft_wrap=True
        )
