"""One run of the demo: start the nodes, watch them, stop them, write the results."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from rich.console import Console

from emotion_estimator.demo.nodes import choose_domain, node_command, ros_environment
from emotion_estimator.demo.processes import ChildProcess, ProcessSet
from emotion_estimator.demo.results import (
    UNFINISHED,
    VIDEO,
    begin_results,
    check_not_replaced,
    check_turns,
    describe_results,
    finish_results,
    write_results,
)
from emotion_estimator.demo.settings import DemoSettings
from emotion_estimator.demo.state import DemoState
from emotion_estimator.demo.video import VideoRecorder
from emotion_estimator.demo.view import LiveView, PlainView, View
from emotion_estimator.dialogue.manager import read_together
from emotion_estimator.errors import EmotionEstimatorError, InputError
from emotion_estimator.film_writer import FilmWriter
from emotion_estimator.live.server import show_address
from emotion_estimator.resources import resource_dir
from emotion_estimator.sources.network import is_network, without_credentials
from emotion_estimator.sources.open_source import is_device, open_source

#: Seconds for the estimator to load its models and be discovered; generous for a slow machine.
READY_WITHIN = 90.0
#: Seconds between two checks of the processes and updates of the screen.
TICK = 0.1
#: Seconds of silence after the end of the source that mean that the last frame has arrived.
QUIET = 0.5


def run_demo(settings: DemoSettings, prefix: Path) -> None:
    """Run the nodes, show what they publish, and write video, chart and summary.

    :param prefix: install prefix of the nodes.
    :raises InputError: there is no such camera, ROS cannot be used, a file of the dialogue is
        invalid, or old results or an input would be replaced.
    :raises EmotionEstimatorError: a node failed, results cannot be written, or the robot spoke
        while the person did.
    :raises Interrupted: SIGINT, SIGTERM or SIGHUP arrived.
    """
    with stop_requests() as stop:
        _run(settings, prefix, Console(), stop)


def _run(settings: DemoSettings, prefix: Path, console: Console, stop: StopRequest) -> None:
    check_not_replaced(settings.output, settings.inputs())
    check_camera(settings.source)
    config = resource_dir('config')
    policy, _ = read_together(settings.policy, settings.conversation)
    domain = choose_domain(os.environ, settings.domain)
    environment = ros_environment(os.environ, domain, config / 'fastdds.xml')
    # ROS reads these when it starts in this process.
    os.environ.update(environment)
    try:
        from emotion_estimator.demo.listener import listening
    except ImportError as error:
        raise InputError(
            f'ROS messages cannot be imported ({error}); run `make demo`, or source '
            'install/local_setup.bash and set PYTHONSAFEPATH=1, so that the checkout does not hide '
            'the installed package'
        ) from error
    rate = policy.times.words_per_minute
    console.print(
        _announcement(settings, domain, rate), markup=False, highlight=False, soft_wrap=True
    )
    unfinished = begin_results(settings.output)
    state = DemoState(rate)
    video = FilmWriter(unfinished / VIDEO, settings.fps)
    recorder = VideoRecorder(state, video)
    live = console.is_terminal and not settings.plain
    view = LiveView(console, f'ROS_DOMAIN_ID={domain}') if live else PlainView(console)
    well = False
    try:
        with listening(state) as listener, ProcessSet() as processes:
            robot = Robot(processes, settings, environment, prefix, config)
            if settings.page:
                open_page(robot, console, stop)
            watch(robot, state, listener.ready, view, settings, stop)
        check_turns(state.history())
        well = True
    except Interrupted:
        # A camera has no other end.
        well = is_camera(settings.source) and state.snapshot().received > 0
        raise
    finally:
        written = [f'{video.path}'] if recorder.finish() else []
        written += write_results(state.history(), unfinished)
        if well:
            written = finish_results(settings.output)
        lines = describe_results(state.history(), video, written)
        if lines:
            console.print('\n'.join(lines), markup=False, highlight=False, soft_wrap=True)


def open_page(robot: Robot, console: Console, stop: StopRequest) -> None:
    """Start the live node, print where its page is, and show it where there is a screen.

    :raises EmotionEstimatorError: the node died.
    :raises Interrupted: a signal arrived.
    """
    if importlib.util.find_spec('nicegui') is None:
        console.print("there is no page without NiceGUI: pip install 'emotion-estimator[live]'")
        return
    page = robot.start('live')
    deadline = time.monotonic() + READY_WITHIN
    while not (address := page_address(page.log)) and time.monotonic() < deadline:
        stop.check()
        robot.source_ended()
        time.sleep(TICK)
    if not address:
        console.print(f'the page is not served; see {page.log}')
        return
    console.print(f'to watch in a browser on this machine: {address}', soft_wrap=True)
    if console.is_terminal:
        show_address(address)


def page_address(log: Path) -> str:
    """Return the address that the live node has printed into its log; empty before it has."""
    with suppress(OSError):
        found = re.search(r'(http://127\.0\.0\.1:\S+)\s', log.read_text(errors='replace'))
        return found[1] if found else ''
    return ''


def check_camera(source: str) -> None:
    """Open and close a camera: its node would wait until somebody plugs it in.

    :param source: as of :class:`DemoSettings`; what is no camera is not opened.
    :raises InputError: it cannot be opened; the message says why.
    """
    if is_camera(source):
        open_source(source).close()


def is_camera(source: str) -> bool:
    """Return whether a source is a device or an address, which may have no end."""
    return is_device(source) or is_network(source)


def _announcement(settings: DemoSettings, domain: int, words_per_minute: float) -> str:
    hearing = (
        'the portrait also knows when the person speaks: the demo publishes it as '
        "dialogue/user_speaking, in place of a microphone's voice activity detector\n"
        if settings.source == 'portrait'
        else ''
    )
    return (
        f'starting camera ({without_credentials(settings.source)}), estimator and dialogue '
        f'manager with ROS_DOMAIN_ID={domain}\n'
        f'to watch in another terminal: ROS_DOMAIN_ID={domain} ros2 topic echo /emotion '
        f'(or make echo DOMAIN={domain})\n'
        f'annotated video, chart and logs are written to {settings.output.resolve()}, of a run '
        f'that fails to the folder {UNFINISHED} in it; no image leaves this machine\n'
        f'{hearing}nothing is heard of the robot: its sentences are taken to last as long as '
        f'{words_per_minute:g} words a minute do'
    )


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

    def start(self, node: str) -> ChildProcess:
        """Start a node and return its process.

        :raises EmotionEstimatorError: it cannot be executed.
        """
        parameters = self._settings.parameters(node)
        command = node_command(node, self._prefix, self._config, parameters)
        child = ChildProcess(node, command, self._settings.output / 'log' / f'{node}.log')
        self._processes.start(child, self._environment)
        if node == 'camera':
            self._camera = child
        return child

    def source_ended(self) -> bool:
        """Return whether the camera has finished its source; the other nodes run until stopped.

        :raises EmotionEstimatorError: a node died; shows its last lines.
        """
        ended = False
        for child in self._processes.ended():
            if child is self._camera and child.status() == 0:
                ended = True
            else:
                raise EmotionEstimatorError(_death_report(child))
        return ended


def _death_report(child: ChildProcess) -> str:
    status = child.status() or 0
    how = f'exit status {status}' if status >= 0 else signal.Signals(-status).name
    lines = ''.join(f'\n    {line}' for line in child.last_lines())
    return f'node {child.name} died ({how}); last lines of {child.log}:{lines}'


def watch(
    robot: Robot,
    state: DemoState,
    ready: Callable[[], bool],
    view: View,
    settings: DemoSettings,
    stop: StopRequest,
) -> None:
    """Run the nodes until the source ends or ``settings.duration`` is over.

    :param ready: returns whether estimator and dialogue manager are connected.
    :raises EmotionEstimatorError: a node died, was not ready in time, or nothing was published.
    :raises Interrupted: a signal arrived.
    """
    robot.start('estimator')
    robot.start('dialogue_manager')
    deadline = time.monotonic() + READY_WITHIN
    while not ready():
        stop.check()
        robot.source_ended()
        if time.monotonic() > deadline:
            raise EmotionEstimatorError(
                f'the nodes were not ready within {READY_WITHIN:g} s; see {settings.output}/log'
            )
        time.sleep(TICK)
    state.expect_readings()
    robot.start('camera')
    end = float('inf')
    with view:
        while not robot.source_ended() and time.monotonic() < end:
            stop.check()
            _check_silence(state, settings.patience)
            snapshot = state.snapshot()
            view.show(snapshot)
            if snapshot.received and settings.duration is not None:
                end = min(end, time.monotonic() + settings.duration)
            time.sleep(TICK)
        deadline = time.monotonic() + 4 * QUIET
        while state.silence() < QUIET and time.monotonic() < deadline:
            time.sleep(TICK)
        view.show(state.snapshot())
    if not state.snapshot().received:
        raise EmotionEstimatorError(
            f'nothing was published on /emotion; see {settings.output}/log/estimator.log'
        )


def _check_silence(state: DemoState, patience: float) -> None:
    if state.silence() <= patience:
        return
    problems = [values.get('last_error', '') for values in state.snapshot().health.values()]
    cause = next((f' ({problem})' for problem in problems if problem), '')
    raise EmotionEstimatorError(f'nothing was published on /emotion for {patience:g} s{cause}')


class Interrupted(Exception):  # noqa: N818 - a request, not an error
    """A signal asked the demo to stop; ``number`` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class StopRequest:
    """Remembers the first signal; nothing else happens inside the handler."""

    def __init__(self) -> None:
        self._number: int | None = None

    def check(self) -> None:
        """Return if no signal has arrived.

        :raises Interrupted: one has.
        """
        if self._number is not None:
            raise Interrupted(self._number)

    def note(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        self._number = self._number or number


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Note SIGINT, SIGTERM and SIGHUP inside the block instead of dying of them."""
    request = StopRequest()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, request.note) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
