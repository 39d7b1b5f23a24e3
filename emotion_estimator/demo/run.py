"""The demo's course: start the nodes, watch them, stop them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from emotion_estimator.demo.processes import ChildProcess, ProcessSet
from emotion_estimator.demo.programs import DemoSettings, node_command, parameters
from emotion_estimator.demo.state import DemoState
from emotion_estimator.demo.view import View
from emotion_estimator.errors import EmotionEstimatorError

#: Seconds for the estimator to load its models and be found, generous for a cold, slow machine.
READY_WITHIN = 90.0
#: Seconds between two looks at processes and screen.
TICK = 0.1
#: After the source's end: seconds of silence that mean the last frame has come through.
QUIET = 0.5


class Interrupted(Exception):  # noqa: N818 - a request, not an error
    """The user, or the system, asked the demo to stop; ``number`` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class StopRequest:
    """Remembers the first signal; nothing else happens inside the handler."""

    def __init__(self) -> None:
        self._number: int | None = None

    def check(self) -> None:
        """Return unless a signal has come.

        :raises Interrupted: one has.
        """
        if self._number is not None:
            raise Interrupted(self._number)

    def note(self, number: int, frame: FrameType | None) -> None:
        """Take a signal."""
        self._number = self._number or number


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Note SIGINT, SIGTERM and SIGHUP instead of dying of them, inside the block."""
    request = StopRequest()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, request.note) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Robot:
    """The three nodes as processes."""

    def __init__(
        self,
        processes: ProcessSet,
        settings: DemoSettings,
        environment: Mapping[str, str],
        prefix: Path,
        config: Path,
    ) -> None:
        """:param config: folder with the nodes' parameter files."""
        self._processes = processes
        self._settings = settings
        self._environment = environment
        self._prefix = prefix
        self._config = config
        self._camera: ChildProcess | None = None

    def start(self, node: str) -> None:
        """Start a node.

        :raises EmotionEstimatorError: it cannot be executed.
        """
        command = node_command(node, self._prefix, self._config, parameters(node, self._settings))
        child = ChildProcess(node, command, self._settings.output / 'log' / f'{node}.log')
        self._processes.start(child, self._environment)
        if node == 'camera':
            self._camera = child

    def check(self) -> bool:
        """Return whether the camera's source has ended; the other nodes never end by themselves.

        :raises EmotionEstimatorError: a node died; names it and shows its last lines.
        """
        finished = False
        for child in self._processes.ended():
            if child is self._camera and child.status() == 0:
                finished = True
            else:
                raise EmotionEstimatorError(_obituary(child))
        return finished


def _obituary(child: ChildProcess) -> str:
    status = child.status() or 0
    how = f'exit status {status}' if status >= 0 else signal.Signals(-status).name
    told = ''.join(f'\n    {line}' for line in child.last_lines())
    return f'node {child.name} died ({how}); its last lines, from {child.log}:{told}'


def run_course(
    robot: Robot,
    state: DemoState,
    ready: Callable[[], bool],
    view: View,
    settings: DemoSettings,
    stop: StopRequest,
) -> None:
    """Run the nodes until the source ends or ``settings.duration`` is over.

    :param ready: whether estimator and dialogue manager are there.
    :raises EmotionEstimatorError: a node died, was not ready in time, or nothing was published.
    :raises Interrupted: a signal has come.
    """
    robot.start('estimator')
    robot.start('dialogue_manager')
    deadline = time.monotonic() + READY_WITHIN
    while not ready():
        stop.check()
        robot.check()
        if time.monotonic() > deadline:
            raise EmotionEstimatorError(
                f'the nodes were not ready within {READY_WITHIN:g} s; see {settings.output}/log'
            )
        time.sleep(TICK)
    state.expect_readings()
    robot.start('camera')
    end = float('inf')
    with view:
        while not robot.check() and time.monotonic() < end:
            stop.check()
            _check_silence(state, settings.patience)
            moment = state.moment()
            view.show(moment)
            if moment.received and settings.duration is not None:
                end = min(end, time.monotonic() + settings.duration)
            time.sleep(TICK)
        deadline = time.monotonic() + 4 * QUIET
        while state.silence() < QUIET and time.monotonic() < deadline:
            time.sleep(TICK)
        view.show(state.moment())
    if not state.moment().received:
        raise EmotionEstimatorError(
            f'nothing was published on /emotion; see {settings.output}/log/estimator.log'
        )


def _check_silence(state: DemoState, patience: float) -> None:
    if state.silence() <= patience:
        return
    problems = [values.get('last_error', '') for values in state.moment().health.values()]
    because = next((f' ({problem})' for problem in problems if problem), '')
    raise EmotionEstimatorError(f'nothing was published on /emotion for {patience:g} s{because}')
