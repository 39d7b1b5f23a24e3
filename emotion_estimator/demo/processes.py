"""Child processes that are watched and stopped, so that none outlives the demo."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from emotion_estimator.errors import EmotionEstimatorError

_POLL = 0.02
_TETHER = Path(__file__).with_name('tether.py')


class ChildProcess:
    """A program in a session of its own, whose output goes to a file.

    On Linux it gets SIGTERM when the thread that started it ends, for whatever reason.

    Its exit status is peeked at until :meth:`collect` reaps it: until then its process id, which is
    also its group's, cannot be reused, so that signals cannot reach another program.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        """:param log: file for standard output and error, overwritten."""
        self.name = name
        self.log = log
        self._command = list(command)
        self._popen: subprocess.Popen[bytes] | None = None
        self._collected: int | None = None

    @property
    def pid(self) -> int:
        """Process id, which is also its group's and session's; only after :meth:`start`."""
        assert self._popen is not None
        return self._popen.pid

    def start(self, environment: Mapping[str, str]) -> None:
        """Start the program.

        :raises EmotionEstimatorError: it cannot be executed, or its log cannot be written.
        """
        if shutil.which(self._command[0], path=environment.get('PATH')) is None:
            raise EmotionEstimatorError(
                f'{self.name} cannot be started: {self._command[0]} is not an executable file'
            )
        # Isolated and without site-packages, Python starts in a few milliseconds.
        tether = [sys.executable, '-I', '-S', str(_TETHER), str(os.getpid())]
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open('wb') as log:
                self._popen = subprocess.Popen(
                    [*tether, *self._command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=dict(environment),
                    start_new_session=True,
                )
        except OSError as error:
            raise EmotionEstimatorError(f'{self.name} cannot be started: {error}') from error

    def status(self) -> int | None:
        """Return the exit status, or -N if signal N ended the program; None while it runs."""
        if self._popen is None or self._collected is not None:
            return self._collected
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        found = os.waitid(os.P_PID, self.pid, options)
        if found is None:
            return None
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program and to everything in its group."""
        if self._popen is not None and self._collected is None:
            os.killpg(self.pid, number)

    def collect(self) -> None:
        """Kill what is left of the group, and reap the program."""
        if self._popen is not None and self._collected is None:
            self.send(signal.SIGKILL)
            self._collected = self._popen.wait()

    def last_lines(self, count: int = 8) -> list[str]:
        """Return the last non-blank lines that it printed."""
        try:
            lines = self.log.read_text(errors='replace').splitlines()
        except OSError:
            return []
        return [line for line in lines if line.strip()][-count:]


class ProcessSet:
    """Several programs; leaving the ``with`` block stops those that still run.

    :param patience: seconds to wait after SIGINT, and after SIGTERM, which precede SIGKILL.
    """

    def __init__(self, patience: tuple[float, float] = (5.0, 2.0)) -> None:
        self._patience = patience
        self._children: list[ChildProcess] = []

    def __enter__(self) -> ProcessSet:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, child: ChildProcess, environment: Mapping[str, str]) -> ChildProcess:
        """Start a program and add it to this set.

        :raises EmotionEstimatorError: it cannot be executed.
        """
        child.start(environment)
        self._children.append(child)
        return child

    def ended(self) -> list[ChildProcess]:
        """Return the programs that have ended."""
        return [child for child in self._children if child.status() is not None]

    def stop(self) -> None:
        """Stop all programs: SIGINT, then SIGTERM, then SIGKILL; may be called again."""
        running = self._running()
        for number, patience in zip((signal.SIGINT, signal.SIGTERM), self._patience):
            for child in running:
                child.send(number)
            running = self._wait(running, patience)
        for child in self._children:
            child.collect()

    def _running(self) -> list[ChildProcess]:
        return [child for child in self._children if child.status() is None]

    def _wait(self, children: Iterable[ChildProcess], patience: float) -> list[ChildProcess]:
        deadline = time.monotonic() + patience
        running = [child for child in children if child.status() is None]
        while running and time.monotonic() < deadline:
            time.sleep(_POLL)
            running = [child for child in running if child.status() is None]
        return running
