"""What the fault catalogue acts on: the robot, further estimators with a driver, watched programs.

Each part is started when the first fault needs it, and serves the next ones.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from robot import START_TIMEOUT, BadCamera, ChildProcess, RosGraph, WatchedNode, WatchedRobot

from emotion_estimator.demo.nodes import find_prefix
from emotion_estimator.msg import Emotion

#: Seconds within which everything works again after a fault has passed, and after a kill.
WELL_WITHIN = 5.0
#: Most memory that a node may take for a fault, in MB.
MOST_MEMORY = 500.0


class Outcome(NamedTuple):
    """How a fault was survived.

    :param seconds: from the fault's end (of a process: from its kill) until all works again; None
        if there is nothing to come back, such as a program that refuses its input.
    :param said: the line that names the fault, in a log or in diagnostics; empty if it needs none.
    """

    seconds: float | None
    said: str = ''


@dataclass(frozen=True)
class Fault:
    """A row of the catalogue.

    :param name: short, unique.
    :param group: heading in the document.
    :param what: the fault, in words.
    :param then: what happens, in words.
    :param inflict: does it; raises AssertionError if it is not survived or not said.
    :param within: seconds until all works again.
    """

    name: str
    group: str
    what: str
    then: str
    inflict: Callable[[Scene], Outcome]
    within: float = WELL_WITHIN


#: All faults, in the order in which they are inflicted.
CATALOGUE: dict[str, Fault] = {}


def fault(name: str, group: str, what: str, then: str, within: float = WELL_WITHIN) -> Any:
    """Return a decorator that adds a function to the catalogue."""

    def add(inflict: Callable[[Scene], Outcome]) -> Callable[[Scene], Outcome]:
        assert name not in CATALOGUE, name
        CATALOGUE[name] = Fault(name, group, what, then, inflict, within)
        return inflict

    return add


class Eye:
    """An estimator of its own name and namespace, and a driver that publishes a face to it.

    :ivar feeding: whether the driver publishes good images.
    """

    def __init__(self, scene: Scene, name: str, **parameters: Any) -> None:
        self.name, self._scene = name, scene
        graph = scene.graph
        self.camera = BadCamera(graph, f'/{name}/image_raw')
        self.emotions = 0
        graph.node.create_subscription(Emotion, f'/{name}/emotion', self._on_emotion, 50)
        self.feeding = True
        self._compressed = parameters.get('image_transport') == 'compressed'
        graph.node.create_timer(1 / 15, self._feed)
        arguments = ('-r', f'__ns:=/{name}', '-r', f'__node:={name}')
        given = {'landmark_source': scene.landmarks, 'max_faces': 1, **parameters}
        self.process = graph.start('estimator', *arguments, **given)
        self.well(START_TIMEOUT)

    @property
    def pid(self) -> int:
        """Process id of the estimator."""
        return self.process.pid

    @property
    def log(self) -> str:
        """What the estimator has printed."""
        return self.process.log.read_text(errors='replace')

    def said(self, key: str) -> int:
        """Return a count that it reports."""
        return int(self._scene.robot.status(f'{self.name}/{self.name}').get(key, 0) or 0)

    def well(self, timeout: float = 30.0) -> float:
        """Wait for five emotions from now on; return the seconds taken."""
        before = self.emotions
        wait = self._scene.robot.wait
        taken = wait(lambda: self.emotions >= before + 5, timeout, f'{self.name} answers')
        assert self.process.status() is None, f'{self.name} ended'
        return taken

    def counted(self, publish: Callable[[], object], key: str = 'frames_bad') -> Outcome:
        """Publish something bad; wait until it is counted, and all is well; return what was said.

        :param key: the count that must grow.
        """
        self._scene.robot.wait_for_report(f'{self.name}/{self.name}')
        before, begin = self.said(key), len(self.log)
        # A good image that comes after it would take its place.
        self.feeding = False
        published = 0.0

        def counted() -> bool:
            nonlocal published
            if time.monotonic() - published > 3.0:
                published = time.monotonic()
                publish()
            return self.said(key) > before

        try:
            self._scene.robot.wait(counted, 30.0, f'{self.name} counts it in {key}')
        finally:
            self.feeding = True
        return Outcome(self.well(), last_line(self.log[begin:]))

    def _feed(self) -> None:
        if not self.feeding:
            return
        if self._compressed:
            import cv2

            done, data = cv2.imencode('.jpg', self.camera.face[..., ::-1])
            assert done
            self.camera.compressed(data.tobytes())
        else:
            self.camera.raw()

    def _on_emotion(self, message: Emotion) -> None:
        self.emotions += 1


class Scene:
    """A graph with everything that faults are inflicted on.

    :param landmarks: source of landmarks for all estimators.
    """

    def __init__(self, graph: RosGraph, landmarks: str = 'auto') -> None:
        self.graph, self.landmarks = graph, landmarks
        self.folder = graph.folder.absolute()
        self._eyes: dict[str, Eye] = {}
        #: Highest memory of the last command, in MB.
        self.command_mb = 0.0

    @cached_property
    def robot(self) -> WatchedRobot:
        """The three nodes, emotions flowing."""
        robot = WatchedRobot(self.graph, landmark_source=self.landmarks)
        robot.wait_for_emotions(10)
        robot.wait(lambda: all(map(robot.active, robot.nodes)), START_TIMEOUT, 'all are active')
        return robot

    def eye(self, name: str = 'eye', **parameters: Any) -> Eye:
        """Return the estimator of this name, started with these parameters."""
        assert self.robot
        if name not in self._eyes or self._eyes[name].process.status() is not None:
            self._eyes.pop(name, None)
            self._eyes[name] = Eye(self, name, **parameters)
        return self._eyes[name]

    def pids(self) -> list[int]:
        """Return the processes of all nodes that faults are inflicted on."""
        found: list[WatchedNode | Eye] = [*self.robot.nodes.values(), *self._eyes.values()]
        return [each.pid for each in found if each.process.status() is None]

    def jpeg_eye(self) -> Eye:
        """Return the estimator that reads compressed images."""
        return self.eye('jpeg_eye', image_transport='compressed')

    def dismiss(self, name: str) -> None:
        """End an estimator that no further fault needs."""
        eye = self._eyes.pop(name, None)
        if eye is not None:
            eye.feeding = False
            eye.process.collect()

    def all_well(self, timeout: float = 60.0) -> float:
        """Wait until all three nodes run, are active, and emotions come; return the seconds."""
        robot = self.robot
        before = robot.emotions
        return robot.wait(
            lambda: not robot.ended() and robot.emotions >= before + 5
            and all(map(robot.active, robot.nodes)),
            timeout, 'the three nodes are active, and emotions come',
        )  # fmt: skip

    def refuses(self, node: str, words: str, **parameters: Any) -> Outcome:
        """Start a node that cannot work with its parameters; it must end with status 2 and a line.

        :param words: must be in the line.
        """
        name = f'refusing_{len(list(self.folder.glob("*refusing*")))}'
        child = self.graph.start(node, '-r', f'__node:={name}', **parameters)
        return self.gives_up(child, words)

    def gives_up(self, child: ChildProcess, words: str) -> Outcome:
        """Wait for the end of a program with status 2 and a line that holds ``words``."""
        self.robot.wait(lambda: child.status() is not None, START_TIMEOUT, f'{child.name} ends')
        log = child.log.read_text(errors='replace')
        assert child.status() == 2, f'status {child.status()}: {last_line(log)}'
        lines = [line for line in log.splitlines() if words in line]
        assert lines, f'nothing says {words!r}: {last_line(log)}'
        assert 'Traceback' not in log, 'a traceback'
        return Outcome(None, lines[-1])

    def command(
        self, *arguments: str, shell: str = '', timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a verb of ``emotion-estimator``.

        :param shell: what follows on a shell's line, such as a redirection, or precedes it with a
            semicolon at its end.
        """
        words = [sys.executable, '-m', 'emotion_estimator.cli.main', *arguments]
        line = ' '.join(f"'{word}'" for word in words)
        # The program takes the shell's place, so that its memory can be read.
        line = f'{shell} exec {line}' if shell.endswith(';') else f'exec {line} {shell}'
        peak = 0.0
        out, err = self.folder / 'command.out', self.folder / 'command.err'
        with out.open('w') as stdout, err.open('w') as stderr:
            child = subprocess.Popen(
                ['bash', '-c', line], cwd=self.folder, stdout=stdout, stderr=stderr,
                start_new_session=True,
            )  # fmt: skip
            end = time.monotonic() + timeout
            # Its usage when it is collected would count what this process had when it forked.
            while child.poll() is None:
                peak = max(peak, _status_mb(child.pid, 'VmHWM'))
                if time.monotonic() > end:
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()
                    raise AssertionError(f'{arguments[0]} does not end within {timeout:g} s')
                time.sleep(0.02)
        self.command_mb = peak
        return subprocess.CompletedProcess(
            line, child.returncode, out.read_text(errors='replace'), err.read_text(errors='replace')
        )

    def copy_of_install(self) -> dict[str, str]:
        """Return an environment with a copy of the installed package, to be damaged."""
        import shutil

        prefix = find_prefix(os.environ)
        copy = self.folder / 'damaged_install'
        if copy.exists():
            shutil.rmtree(copy)
        shutil.copytree(prefix, copy)
        environment = dict(self.graph.environment)
        for name in ('PYTHONPATH', 'AMENT_PREFIX_PATH', 'LD_LIBRARY_PATH', 'PATH'):
            environment[name] = environment.get(name, '').replace(str(prefix), str(copy))
        return environment


class Peak:
    """Measures the highest memory of processes while a fault lasts (Linux).

    :param pids: returns the processes of the moment.
    """

    def __init__(self, pids: Callable[[], list[int]]) -> None:
        self._pids = pids
        self._before: dict[int, float] = {}
        for pid in pids():
            with suppress(OSError):
                Path(f'/proc/{pid}/clear_refs').write_text('5')
                self._before[pid] = _status_mb(pid, 'VmHWM')

    def growth(self) -> float:
        """Return by how many MB the one that grew most grew."""
        grown = [0.0]
        # One that began meanwhile grew above what it has now.
        for pid in {*self._before, *self._pids()}:
            with suppress(OSError):
                before = self._before.get(pid) or _status_mb(pid, 'VmRSS')
                grown.append(_status_mb(pid, 'VmHWM') - before)
        return max(grown)


def _status_mb(pid: int, key: str) -> float:
    for line in Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024
    return 0.0


def last_line(text: str) -> str:
    """Return the last line of a log, without the time and the node's name before it."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].rpartition(']: ')[2] if lines else ''


def said_since(log: str, begin: int, words: str) -> str:
    """Return the last line of a log that holds ``words``, from a position on.

    :raises AssertionError: there is none.
    """
    found = [line for line in log[begin:].splitlines() if words in line]
    assert found, f'nothing says {words!r}'
    return last_line(found[-1])
