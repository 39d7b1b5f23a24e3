"""A launch file of the built package in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from diagnostic_msgs.msg import DiagnosticArray
from ros_graph import RosGraph, value_of

from emotion_estimator.sources.portrait import Portrait

START_TIMEOUT = 60.0
FOLDER = Path(get_package_share_directory('emotion_estimator')) / 'launch'
NODES = ('camera', 'estimator', 'dialogue_manager')

#: What `ros2 launch` does, less its command line.
RUN = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
file, *arguments = sys.argv[1:]
service = LaunchService(noninteractive=True)
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
    PythonLaunchDescriptionSource(file),
    launch_arguments=[tuple(a.split(':=', 1)) for a in arguments])]))
sys.exit(service.run())
"""


class Launched:
    """A running launch file; ending it sends one SIGINT, as Ctrl-C does."""

    def __init__(self, graph: RosGraph, file: str | Path, **arguments: str) -> None:
        self._graph = graph
        self._diagnostics = graph.hear(DiagnosticArray, '/diagnostics', 100)
        command = [sys.executable, '-c', RUN, str(FOLDER / file)]
        command += [f'{name}:={value}' for name, value in arguments.items()]
        # The nodes' `#!/usr/bin/env python3` must find this environment.
        path = f'{Path(sys.executable).parent}{os.pathsep}{graph.environment["PATH"]}'
        environment = {**graph.environment, 'PATH': path, 'ROS_LOG_DIR': str(graph.folder / 'log')}
        self._log = graph.folder / 'launch.log'
        with self._log.open('w') as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=graph.folder,
                env=environment,
            )

    @property
    def text(self) -> str:
        return self._log.read_text()

    def wait(self, done, what: str, timeout: float = START_TIMEOUT) -> None:
        try:
            self._graph.wait_until(lambda: done() or self.ended(), timeout, what)
            assert done(), f'launch ended before: {what}'
        except AssertionError as error:
            raise AssertionError(f'{error}\n{self.text}') from None

    def wait_for_states(self, state: str, *nodes: str) -> None:
        # Not by asking, which loses the answer where a node has not quite found the asker.
        for node in nodes:
            self.wait(
                lambda node=node: value_of(self._diagnostics, node, 'state') == state,
                f'{node} is {state}',
            )

    def ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self) -> int:
        """Return the exit status after a SIGINT, where it still runs."""
        if not self.ended():
            self._process.send_signal(signal.SIGINT)
        return self._process.wait(timeout=30)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def launched(
    graph: RosGraph, file: str | Path, *, statuses: tuple[int, ...] = (0,), **arguments: str
) -> Iterator[Launched]:
    launch = Launched(graph, file, **arguments)
    try:
        yield launch
        assert launch.stop() in statuses, launch.text
    finally:
        launch.kill()


def face_image():
    return next(iter(Portrait(30.0).frames())).image
