"""Seconds from the start of the estimator's process until its first emotion is heard.

A camera publishes and a subscriber waits, as on a robot whose estimator is started again; or all
three nodes start together. Each start is a new process.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from emotion_estimator.demo.nodes import (
    NODES,
    choose_domain,
    find_prefix,
    node_command,
    ros_environment,
)
from emotion_estimator.demo.processes import ChildProcess, ProcessSet
from emotion_estimator.msg import Emotion
from emotion_estimator.resources import resource_dir

CAMERA = {'source': 'portrait', 'width': 640, 'height': 480, 'loop': True, 'fps': 30.0}
SETUPS = {'estimator alone': ('estimator',), 'three nodes': NODES}
#: Seconds within which the first emotion is to be heard, and to wait for it.
GOAL, TIMEOUT = 1.5, 60.0


class EmotionEar:
    """Hears emotions."""

    def __init__(self, domain: int) -> None:
        """Subscribe in a domain."""
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = Node('bench', context=self._context)
        self._heard = 0
        self._node.create_subscription(Emotion, 'emotion', self._hear, 10)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)

    def _hear(self, _: Emotion) -> None:
        self._heard += 1

    def settle(self) -> None:
        """Wait until none comes any more: those of nodes that have ended."""
        while True:
            self._heard, end = 0, time.monotonic() + 0.5
            while time.monotonic() < end:
                self._executor.spin_once(timeout_sec=0.1)
            if not self._heard:
                return

    def wait(self) -> bool:
        """Wait for an emotion; return whether one came in time."""
        self._heard, end = 0, time.monotonic() + TIMEOUT
        while not self._heard and time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.1)
        return self._heard > 0

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()


def measure(names: tuple[str, ...], starts: int, folder: Path) -> list[float]:
    """Start nodes several times; return the seconds until an emotion was heard after each."""
    domain = choose_domain({})
    config = resource_dir('config')
    environment = ros_environment(os.environ, domain, config / 'fastdds.xml')
    os.environ.update({k: v for k, v in environment.items() if k.startswith(('FAST', 'ROS_'))})
    listener = EmotionEar(domain)
    steady = ProcessSet()

    def start(processes: ProcessSet, name: str, number: int = 0) -> ChildProcess:
        parameters = {**(CAMERA if name == 'camera' else {}), 'autostart': True}
        command = node_command(name, find_prefix(os.environ), config, parameters)
        log = folder / f'{name}_{number}.log'
        return processes.start(ChildProcess(name, command, log), environment)

    took = []
    try:
        for name in NODES:
            if name not in names:
                start(steady, name)
        if 'camera' not in names:
            time.sleep(5.0)
        for number in tqdm(range(starts), 'starts', leave=False):
            listener.settle()
            processes, begun = ProcessSet(), time.monotonic()
            try:
                children = [start(processes, name, number) for name in names]
                if not listener.wait():
                    raise SystemExit(children[-1].log.read_text())
                took.append(time.monotonic() - begun)
            finally:
                processes.stop()
    finally:
        steady.stop()
        listener.close()
    return took


def main() -> int:
    """Print the table; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--starts', type=int, default=20)
    options = parser.parse_args()
    table = Table(title='first emotion heard, s after the start', title_justify='left')
    for n, head in enumerate(('started', 'starts', 'p50', 'p95', 'longest', f'within {GOAL} s')):
        table.add_column(head, justify='right' if n else 'left')
    with tempfile.TemporaryDirectory() as folder:
        for setup, names in SETUPS.items():
            took = measure(names, options.starts, Path(folder))
            p50, p95 = np.percentile(took, [50, 95])
            within = sum(each <= GOAL for each in took)
            table.add_row(
                setup, str(len(took)), f'{p50:.2f}', f'{p95:.2f}', f'{max(took):.2f}',
                f'{within} of {len(took)}',
            )  # fmt: skip
            print(' '.join(f'{each:.2f}' for each in took), file=sys.stderr)
    Console(width=100).print(table)
    return 0


if __name__ == '__main__':
    sys.exit(main())
