"""What it costs to bring an image from camera to estimator, on real nodes over real DDS.

Three ways in turn, several rounds, so that a busy machine disturbs all alike: two processes with
raw images, two processes with JPEGs, and both nodes in one process. Latency is from an image's
stamp to its emotion's publication, as the node measures it; CPU is what all processes used.
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

from emotion_estimator.demo.processes import ChildProcess, ProcessSet
from emotion_estimator.demo.programs import (
    choose_domain,
    find_prefix,
    node_command,
    ros_environment,
)
from emotion_estimator.msg import Emotion
from emotion_estimator.resources import resource_dir

CAMERA = {'source': 'portrait', 'width': 640, 'height': 480, 'loop': True, 'fps': 30.0}
WAYS: dict[str, dict[str, dict[str, object]]] = {
    'two processes, raw': {'camera': CAMERA, 'estimator': {}},
    'two processes, compressed': {
        'camera': CAMERA, 'estimator': {'image_transport': 'compressed'},
    },
    'one process': {'camera_estimator': CAMERA},
}  # fmt: skip


def cpu_seconds(children: list[ChildProcess]) -> float:
    """Return the processor time that processes have used so far (Linux)."""
    ticks = 0
    for child in children:
        fields = Path(f'/proc/{child.pid}/stat').read_text().rpartition(')')[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf('SC_CLK_TCK')


def measure(way: str, seconds: float, folder: Path) -> tuple[list[float], float, float]:
    """Run one way; return latencies in ms, CPU ms per emotion, and emotions per second."""
    domain = choose_domain({})
    config = resource_dir('config')
    environment = ros_environment(os.environ, domain, config / 'fastdds.xml')
    os.environ.update({k: v for k, v in environment.items() if k.startswith(('FAST', 'ROS_'))})
    context, heard = rclpy.Context(), []
    rclpy.init(context=context, domain_id=domain)
    node = Node('bench', context=context)
    node.create_subscription(Emotion, 'emotion', heard.append, 100)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    processes, children = ProcessSet(), []

    def spin(until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            executor.spin_once(timeout_sec=left)

    try:
        for name, parameters in WAYS[way].items():
            command = node_command(name, find_prefix(os.environ), config, parameters)
            children.append(
                processes.start(ChildProcess(name, command, folder / f'{name}.log'), environment)
            )
        deadline = time.monotonic() + 60
        while len(heard) < 30 and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.5)
        if len(heard) < 30:
            raise SystemExit(f'{way}: no emotions; see {children[-1].log.read_text()}')
        heard.clear()
        begun, used = time.monotonic(), cpu_seconds(children)
        spin(begun + seconds)
        used = cpu_seconds(children) - used
        count = max(len(heard), 1)
        rate = len(heard) / (time.monotonic() - begun)
        return [1e3 * m.latency for m in heard], 1e3 * used / count, rate
    finally:
        processes.stop()
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


def main() -> int:
    """Print a table; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=float, default=8.0, help='of each way in each round')
    parser.add_argument('--rounds', type=int, default=3)
    options = parser.parse_args()
    latency, cpu, rate = defaultdict(list), defaultdict(list), defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        rounds = [way for _ in range(options.rounds) for way in WAYS]
        for way in tqdm(rounds, desc='transport', leave=False):
            found = measure(way, options.seconds, Path(folder))
            latency[way] += found[0]
            cpu[way].append(found[1])
            rate[way].append(found[2])
    table = Table('640x480, 30 fps', 'latency p50 ms', 'p95 ms', 'CPU ms per emotion', 'emotions/s')
    for way in WAYS:
        p50, p95 = np.percentile(latency[way], [50, 95])
        table.add_row(
            way, f'{p50:.1f}', f'{p95:.1f}', f'{np.median(cpu[way]):.1f}',
            f'{np.median(rate[way]):.1f}',
        )  # fmt: skip
    Console(width=100).print(table)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
