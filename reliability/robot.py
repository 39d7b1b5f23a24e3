"""The three nodes as real processes, started again as by a launch file; what they publish.

`make` puts test/helpers, whose graph of processes the tests use too, on the import path.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from ros_graph import RosGraph
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from emotion_estimator.demo.nodes import PACKAGE, find_prefix, node_command
from emotion_estimator.demo.processes import ChildProcess
from emotion_estimator.msg import DialogueAction, Emotion
from emotion_estimator.sources.portrait import Portrait

NODES = ('camera', 'estimator', 'dialogue_manager')

#: Seconds between a node's end and its next start: as launching/respawn.py, which needs `launch`.
RESPAWN_DELAY = 2.0
#: Exit status of a node that cannot start as it is configured, which is not started again.
CANNOT_START = 2
#: Seconds for a graph of three nodes on a busy machine.
START_TIMEOUT = 90.0


class WatchedNode:
    """A node's process, which is started again when it ends by itself.

    :ivar starts: how often it was started.
    :ivar started: when it was started last, monotonic.
    :ivar respawn: whether it is started again.
    """

    def __init__(self, graph: RosGraph, name: str, *arguments: str, **parameters: object) -> None:
        self.name = name
        self.respawn = True
        self.starts = 0
        self._graph, self._arguments, self.parameters = graph, arguments, parameters
        self._ended: float | None = None
        self.process = self._start()

    @property
    def pid(self) -> int:
        """Process id of the present one."""
        return self.process.pid

    @property
    def log(self) -> str:
        """What the present process has printed."""
        return self.process.log.read_text(errors='replace')

    def look(self) -> None:
        """Start it again if it ended some time ago."""
        if self.process.status() is None:
            return
        now = time.monotonic()
        if self._ended is None:
            self._ended = now
        # Its own autostart brings it up; in a launch file that is done from outside.
        may = self.respawn and self.process.status() != CANNOT_START
        if may and now - self._ended >= RESPAWN_DELAY:
            self.process = self._start()

    def _start(self) -> ChildProcess:
        self._ended = None
        self.starts += 1
        self.started = time.monotonic()
        return self._graph.start(self.name, *self._arguments, **self.parameters)


class WatchedRobot:
    """Camera, estimator and dialogue manager in one graph.

    :ivar latencies: seconds from an image's stamp to its emotion, of the last ones.
    """

    def __init__(
        self, graph: RosGraph, camera: dict[str, Any] | None = None, **estimator: Any
    ) -> None:
        self.graph = graph
        self.emotions = self.actions = 0
        self.latencies: deque[float] = deque(maxlen=2000)
        self.last: Emotion | None = None
        self._emotion_times: deque[float] = deque(maxlen=2000)
        #: When each node's process first reported that it is active.
        self._active_at: dict[str, float] = {}
        self._status: dict[str, tuple[float, Any]] = {}
        self.nodes: dict[str, WatchedNode] = {}
        node = graph.node
        node.create_subscription(Emotion, 'emotion', self._on_emotion, 50)
        node.create_subscription(DialogueAction, 'dialogue/action', self._on_action, 50)
        node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 50)
        source = {'source': 'portrait', 'loop': True, 'fps': 15.0, 'width': 320, 'height': 240}
        self.nodes = {
            'camera': WatchedNode(graph, 'camera', **{**source, **(camera or {})}),
            'estimator': WatchedNode(graph, 'estimator', **{'max_faces': 1, **estimator}),
            'dialogue_manager': WatchedNode(graph, 'dialogue_manager'),
        }

    def status(self, node: str) -> dict[str, str]:
        """Return the values that a node last said on /diagnostics; empty before."""
        _, status = self._status.get(node, (0.0, None))
        return {item.key: item.value for item in status.values} if status else {}

    def message(self, node: str) -> str:
        """Return the summary that a node last said."""
        _, status = self._status.get(node, (0.0, None))
        return status.message if status else ''

    def wait(self, done: Callable[[], object], timeout: float, what: str) -> float:
        """Spin, starting ended nodes again, until ``done()``; return the seconds taken.

        :raises AssertionError: not within ``timeout`` seconds.
        """
        begin = time.monotonic()

        def looked() -> object:
            for node in self.nodes.values():
                node.look()
            return done()

        self.graph.wait_until(looked, timeout, what)
        return time.monotonic() - begin

    def spin(self, seconds: float) -> None:
        """Spin for a while."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() >= end, seconds + 60.0, 'time passes')

    def wait_for_emotions(self, count: int = 5, timeout: float = START_TIMEOUT) -> float:
        """Wait for emotions from now on; return the seconds taken."""
        before = self.emotions
        return self.wait(lambda: self.emotions >= before + count, timeout, 'emotions')

    def wait_for_report(self, node: str, timeout: float = 30.0) -> None:
        """Wait for a report on /diagnostics from now on, the second, which covers what was."""
        for _ in range(2):
            now = time.monotonic()
            self.wait(
                lambda now=now: self._status.get(node, (0.0, None))[0] > now,
                timeout, f'{node} reports',
            )  # fmt: skip

    def active(self, node: str) -> bool:
        """Return whether a node has said within the last 3 s that it is active."""
        when, _ = self._status.get(node, (0.0, None))
        return time.monotonic() - when < 3.0 and self.status(node).get('state') == 'active'

    def heard_since(self, node: str, when: float) -> bool:
        """Return whether a node started after a time (monotonic) has said that it is active."""
        said, _ = self._status.get(node, (0.0, None))
        active = self.status(node).get('state') == 'active'
        return active and said > self.nodes[node].started > when

    def well_at(self, node: str) -> float:
        """Return when a node last began to work: its first emotion, image or report, monotonic.

        :param node: for the dialogue manager the report that it is active, else an emotion.
        """
        if node == 'dialogue_manager':
            return self._active_at.get(node, 0.0)
        return next(t for t in self._emotion_times if t > self.nodes[node].started)

    def ended(self) -> list[str]:
        """Return the nodes that do not run."""
        return [name for name, node in self.nodes.items() if node.process.status() is not None]

    def _on_emotion(self, message: Emotion) -> None:
        self.emotions += 1
        self._emotion_times.append(time.monotonic())
        self.last = message
        self.latencies.append(float(message.latency))

    def _on_action(self, message: DialogueAction) -> None:
        self.actions += 1

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            now = time.monotonic()
            self._status[status.name] = now, status
            node = self.nodes.get(status.name)
            if node is None or self.status(status.name).get('state') != 'active':
                continue
            if self._active_at.get(status.name, 0.0) < node.started:
                self._active_at[status.name] = now


class BadCamera:
    """Publishes images that no camera should."""

    def __init__(self, graph: RosGraph, topic: str = 'image_raw') -> None:
        """:param topic: of the raw images."""
        self._node = graph.node
        self._raw = graph.node.create_publisher(Image, topic, 5)
        self._packed = graph.node.create_publisher(CompressedImage, f'{topic}/compressed', 5)
        self.face = cv2.resize(next(iter(Portrait(15.0).frames())).image, (320, 240))

    def close(self) -> None:
        """Leave the topics."""
        self._node.destroy_publisher(self._raw)
        self._node.destroy_publisher(self._packed)

    def heard(self) -> bool:
        """Return whether the estimator has found the publisher of raw images."""
        return self._raw.get_subscription_count() > 0

    def heard_compressed(self) -> bool:
        """Return whether it has found that of compressed ones."""
        return self._packed.get_subscription_count() > 0

    def raw(self, *, stamp: float | None = None, data: bytes | None = None, **fields: Any) -> None:
        """Publish an image of a face, except for the fields given."""
        height, width = self.face.shape[:2]
        content = data if data is not None else self.face.tobytes()
        message = Image(header=_header(stamp), encoding='rgb8', height=height, width=width)
        message.step = 3 * width
        message.data = _array(content)
        for name, value in fields.items():
            setattr(message, name, value)
        self._raw.publish(message)

    def compressed(self, data: bytes, kind: str = 'jpeg', stamp: float | None = None) -> None:
        """Publish a compressed image."""
        message = CompressedImage(header=_header(stamp), format=kind)
        message.data = _array(data)
        self._packed.publish(message)


def _header(stamp: float | None) -> Header:
    stamp = time.time() if stamp is None else stamp
    seconds = int(stamp // 1)
    return Header(stamp=Time(sec=seconds, nanosec=int((stamp - seconds) * 1e9)), frame_id='eye')


def _array(data: bytes) -> Any:
    from array import array

    made = array('B')
    made.frombytes(data)
    return made


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def noise(height: int = 240, width: int = 320) -> np.ndarray:
    """Return an image without a face."""
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def program(name: str) -> list[str]:
    """Return the command line of an installed program of the package."""
    return [sys.executable, str(find_prefix(os.environ) / 'lib' / PACKAGE / name)]


def damaged_estimator(environment: dict[str, str], landmarks: str) -> list[str]:
    """Return the command line of the estimator installed in another environment."""
    prefix = find_prefix(environment)
    config = prefix / 'share' / PACKAGE / 'config'
    arguments = ('-r', '__node:=damaged_estimator')
    return node_command('estimator', prefix, config, {'landmark_source': landmarks}, arguments)


def save_face(path: Path) -> None:
    """Write a picture of the portrait."""
    cv2.imwrite(str(path), next(iter(Portrait(15.0).frames())).image[..., ::-1])
