"""Latency and CPU time of passing images from camera to estimator, with real nodes over DDS.

Compares two processes with raw images, two processes with JPEGs, and both nodes in one process.
They take turns for several rounds, so that other load affects all alike. Latency is from an image's
stamp to the publication of its emotion, measured by the node; CPU is the time of all processes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from emotion_estimator.demo.nodes import (
    choose_domain,
    find_prefix,
    node_command,
    ros_environment,
)
from emotion_estimator.demo.processes import ChildProcess, ProcessSet
from emotion_estimator.msg import Emotion
from emotion_estimator.resources import resource_dir

CAMERA = {'source': 'portrait', 'width': 640, 'height': 480, 'loop': True, 'fps': 30.0}
SETUPS: dict[str, dict[str, dict[str, object]]] = {
    'two processes, raw': {'camera': CAMERA, 'estimator': {}},
    'two processes, compressed': {
        'camera': CAMERA, 'estimator': {'image_transport': 'compressed'},
    },
    'one process': {'camera_estimator': CAMERA},
}  # fmt: skip


def cpu_seconds(children: list[ChildProcess]) -> float:
    """Return the CPU time that the processes have used so far, in seconds (Linux)."""
    ticks = 0
    for child in children:
        fields = Path(f'/proc/{child.pid}/stat').read_text().rpartition(')')[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf('SC_CLK_TCK')


def measure(setup: str, seconds: float, folder: Path) -> tuple[list[float], float, float]:
    """Run one setup; return latencies in ms, CPU ms per emotion, and emotions per second."""
    domain = choose_domain({})
    config = resource_dir('config')
    environment = ros_environment(os.environ, domain, config / 'fastdds.xml')
    os.environ.update({k: v for k, v in environment.items() if k.startswith(('FAST', 'ROS_'))})
    context, emotions = rclpy.Context(), []
    rclpy.init(context=context, domain_id=domain)
    node = Node('bench', context=context)
    node.create_subscription(Emotion, 'emotion', emotions.append, 100)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    processes, children = ProcessSet(), []

    def spin(until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            executor.spin_once(timeout_sec=left)

    try:
        for name, parameters in SETUPS[setup].items():
            command = node_command(name, find_prefix(os.environ), config, parameters)
            children.append(
                processes.start(ChildProcess(name, command, folder / f'{name}.log'), environment)
            )
        deadline = time.monotonic() + 60
        while len(emotions) < 30 and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.5)
        if len(emotions) < 30:
            raise SystemExit(f'{setup}: no emotions; the log: {children[-1].log.read_text()}')
        emotions.clear()
        start, used = time.monotonic(), cpu_seconds(children)
        spin(start + seconds)
        used = cpu_seconds(children) - used
        count = max(len(emotions), 1)
        rate = len(emotions) / (time.monotonic() - start)
        return [1e3 * m.latency for m in emotions], 1e3 * used / count, rate
    finally:
        processes.stop()
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


def main() -> int:
    """Print the table of results; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=float, default=8.0, help='seconds per setup and round')
    parser.add_argument('--rounds', type=int, default=3)
    options = parser.parse_args()
    latency, cpu, rate = defaultdict(list), defaultdict(list), defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        rounds = [setup for _ in range(options.rounds) for setup in SETUPS]
        for setup in tqdm(rounds, desc='transport', leave=False):
            found = measure(setup, options.seconds, Path(folder))
            latency[setup] += found[0]
            cpu[setup].append(found[1])
            rate[setup].append(found[2])
    table = Table('640x480, 30 fps', 'latency p50 ms', 'p95 ms', 'CPU ms per emotion', 'emotions/s')
    for setup in SETUPS:
        p50, p95 = np.percentile(latency[setup], [50, 95])
        table.add_row(
            setup, f'{p50:.1f}', f'{p95:.1f}', f'{np.median(cpu[setup]):.1f}',
            f'{np.median(rate[setup]):.1f}',
        )  # fmt: skip
    Console(width=100).print(table)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
