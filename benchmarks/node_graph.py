"""Real nodes as processes in a domain of their own, and a subscriber of their emotions."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from emotion_estimator.demo.nodes import (
    choose_domain,
    find_prefix,
    node_command,
    ros_environment,
)
from emotion_estimator.demo.processes import ChildProcess, ProcessSet
from emotion_estimator.msg import Emotion
from emotion_estimator.resources import resource_dir


class NodeGraph:
    """Starts nodes and listens; leaving the ``with`` block ends all of it.

    :ivar emotions: those heard so far.
    """

    def __init__(self, folder: Path) -> None:
        """Choose a domain.

        :param folder: for logs.
        """
        self._folder = folder
        self._config = resource_dir('config')
        domain = choose_domain({})
        self._environment = ros_environment(os.environ, domain, self._config / 'fastdds.xml')
        # Read by this process's own Fast DDS.
        here = {k: v for k, v in self._environment.items() if k.startswith(('FAST', 'ROS_'))}
        os.environ.update(here)
        self.emotions: list[Emotion] = []
        self._processes = ProcessSet()
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = Node('bench', context=self._context)
        self._node.create_subscription(Emotion, 'emotion', self.emotions.append, 100)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)

    def __enter__(self) -> NodeGraph:
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.stop()
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    def start(
        self, name: str, parameters: dict[str, object], processes: ProcessSet | None = None
    ) -> ChildProcess:
        """Start a node.

        :param processes: what ends it; None is the end of the ``with`` block.
        """
        command = node_command(name, find_prefix(os.environ), self._config, parameters)
        child = ChildProcess(name, command, self._folder / f'{name}.log')
        return (processes or self._processes).start(child, self._environment)

    def spin(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Listen for some seconds, or until something is so; return whether it is."""
        end = time.monotonic() + seconds
        while not until() and (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left, 0.1))
        return until()

    def settle(self) -> None:
        """Wait until no emotions come any more: those of nodes that have ended."""
        while True:
            self.emotions.clear()
            self.spin(0.5)
            if not self.emotions:
                return
