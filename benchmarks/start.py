"""Seconds from the start of the estimator's process until its first emotion is heard.

A camera publishes and a subscriber waits, as on a robot whose estimator is started again; or all
three nodes start together. Each start is a new process.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from node_graph import NodeGraph
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from emotion_estimator.demo.nodes import NODES
from emotion_estimator.demo.processes import ChildProcess, ProcessSet

CAMERA = {'source': 'portrait', 'width': 640, 'height': 480, 'loop': True, 'fps': 30.0}
SETUPS = {'estimator alone': ('estimator',), 'three nodes': NODES}
#: Seconds within which the first emotion is to be heard, and to wait for it.
GOAL, TIMEOUT = 1.5, 60.0


def measure(names: tuple[str, ...], starts: int, folder: Path) -> list[float]:
    """Start nodes several times; return the seconds until an emotion was heard after each."""
    took = []
    with NodeGraph(folder) as graph:

        def start(name: str, processes: ProcessSet | None = None) -> ChildProcess:
            parameters = {**(CAMERA if name == 'camera' else {}), 'autostart': True}
            return graph.start(name, parameters, processes)

        for name in NODES:
            if name not in names:
                start(name)
        if 'camera' not in names:
            time.sleep(5.0)
        for _ in tqdm(range(starts), 'starts', leave=False):
            graph.settle()
            processes, begun = ProcessSet(), time.monotonic()
            try:
                children = [start(name, processes) for name in names]
                if not graph.spin(TIMEOUT, lambda: bool(graph.emotions)):
                    raise SystemExit(children[-1].log.read_text())
                took.append(time.monotonic() - begun)
            finally:
                processes.stop()
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
