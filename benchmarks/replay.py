"""Measure the speed of replay, relative to one core.

All variants run on the same bags (VGA, JPEG), alternating over several rounds:

- one core: one process bound to one core, the baseline;
- one bag: the same on all cores, with images decoded ahead;
- --jobs N: one bag per core at the same time.

Beside MediaPipe's own call: benchmarks/mediapipe_cost.py.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from emotion_estimator.bags.messages import Header
from emotion_estimator.bags.writer import BagWriter
from emotion_estimator.sources.portrait import Portrait

_PROGRAM = 'import sys; from emotion_estimator.cli.main import main; sys.exit(main())'


def make_bag(folder: Path) -> int:
    """Record the portrait as VGA JPEG images; return their number."""
    count = 0
    with BagWriter(folder) as writer:
        for frame in Portrait(30.0, (640, 480)).frames():
            count += 1
            header = Header(round((1 + frame.stamp) * 1e9), 'camera')
            writer.image('/image_raw/compressed', frame.image, header, 90)
    return count


def run(bags: list[Path], source: str, jobs: int, cores: set[int]) -> float:
    """Replay with the command line; return the duration in seconds, including start-up."""
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, '-c', _PROGRAM, 'replay', *map(str, bags), '--output', output]
        command += ['--landmarks', source, '--jobs', str(jobs)]
        begun = time.perf_counter()
        done = subprocess.run(
            command, capture_output=True, text=True, check=False,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(done.stderr)
        return time.perf_counter() - begun


def main() -> int:
    """Print a table; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--landmarks', default='face_mesh')
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    rates = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        bags = [Path(folder) / f'bag{n}' for n in range(len(cores))]
        counts = [make_bag(bag) for bag in bags]
        count = counts[0]
        together = f'--jobs {len(cores)}'
        for _ in tqdm(range(options.rounds), desc='replay', unit='round', leave=False):
            one = run(bags[:1], options.landmarks, 1, set(cores[:1]))
            rates['one core'].append(count / one)
            rates['one bag'].append(count / run(bags[:1], options.landmarks, 1, set(cores)))
            every = run(bags, options.landmarks, len(cores), set(cores))
            rates[together].append(count * len(bags) / every)
    table = Table('VGA, JPEG', 'images/s (median)', 'relative to one core (median of ratios)')
    for way, found in rates.items():
        ratio = statistics.median(a / b for a, b in zip(found, rates['one core']))
        table.add_row(way, f'{statistics.median(found):.0f}', f'{ratio:.2f}')
    Console(width=100).print(table)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
