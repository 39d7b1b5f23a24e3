"""Measure the verbs that read long recordings of results: their time and memory.

The rows are those of a day with one person at 30 frames per second, or of some hours of it:

- compare: two results of the same frames, with other probabilities and some other labels;
- dialogue --from: one of them, through the dialogue manager; processor time, and what a day's rows
  (2.6 million) would take by the cost of further rows. ``--rows 1300000`` measures them instead.

Each is measured for a number of rows and for twice as many, in turns: memory that does not grow
with them is flat. Beside them stands the command line that does nothing, the cost of starting it.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from emotion_estimator.emotion import LABELS, NONE, FaceEmotion, Roi
from emotion_estimator.frame import FrameResult, write_results

#: Rows of a day at 30 frames per second.
_DAY = 24 * 3600 * 30

_PROGRAM = 'import sys; from emotion_estimator.cli.main import main; sys.exit(main())'


def rows(count: int, seed: int) -> Iterator[FrameResult]:
    """Yield results of a person whose label changes every half to thirty seconds.

    :param seed: of what varies between two runs: probabilities, and one label in 300.
    """
    course, run = random.Random(1), random.Random(seed)
    shown, until = 'unknown', 0
    for number in range(count):
        if number >= until:
            shown, until = course.choice((*LABELS, NONE)), number + course.randrange(15, 900)
        stamp = 1.7e9 + number / 30
        label = run.choice(LABELS) if shown != NONE and run.random() < 1 / 300 else shown
        yield FrameResult(stamp, () if label == NONE else (_face(label, run),))


def _face(label: str, run: random.Random) -> FaceEmotion:
    sure = run.uniform(0.55, 0.95)
    others = iter((run.uniform(0.2, 0.8) * (1 - sure),))
    values = [sure if name == label else next(others, None) for name in LABELS]
    rest = 1 - sum(value for value in values if value is not None)
    return FaceEmotion(
        'face_1', label, sure, LABELS,
        np.array([rest if value is None else value for value in values], np.float32),
        Roi(run.randrange(300), run.randrange(200), 120, 120),
        valence=run.uniform(-1, 1), arousal=run.uniform(-1, 1), head_yaw=run.uniform(-30, 30),
        head_pitch=run.uniform(-30, 30), head_roll=run.uniform(-9, 9),
        gaze_yaw=run.uniform(-20, 20), gaze_pitch=run.uniform(-9, 9),
        looks_at_camera=run.random() < 0.6, speaking=run.random(),
        is_speaking=run.random() < 0.2,
    )  # fmt: skip


def run(*arguments: str | Path) -> tuple[float, float, float]:
    """Run a verb; return its duration and processor time in seconds, and its most MiB."""
    command = [sys.executable, '-c', _PROGRAM, *map(str, arguments)]
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        said = process.stderr.read().decode()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    # 1: the two differ by more than the limits, which does not matter here.
    if process.returncode not in (0, 1):
        raise SystemExit(said)
    processor = used.ru_utime + used.ru_stime
    return time.perf_counter() - begun, processor, used.ru_maxrss / 1024


def main() -> int:
    """Print a table; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--rows', type=int, default=100_000, help='of the shorter material')
    options = parser.parse_args()
    took: defaultdict[tuple[str, int], list[tuple[float, float, float]]] = defaultdict(list)
    counts = (options.rows, 2 * options.rows)
    with tempfile.TemporaryDirectory() as folder:
        files = {
            (count, seed): Path(folder) / f'{count}_{seed}.jsonl'
            for count in counts
            for seed in (2, 3)
        }
        for (count, seed), path in files.items():
            write_results(rows(count, seed), path)
        for _ in tqdm(range(options.rounds), desc='verbs', unit='round', leave=False):
            took['--help', 0].append(run('--help'))
            for count in counts:
                one, other = files[count, 2], files[count, 3]
                took['compare', count].append(run('compare', one, other))
                took['dialogue --from', count].append(run('dialogue', '--from', one, '--json'))
    begin = statistics.median(processor for _, processor, _ in took['--help', 0])
    table = Table(
        'verb', 'rows', 's (median)', 'processor s', 'us a row', 's a day', 'MiB (median)'
    )
    for (verb, count), runs in sorted(took.items()):
        seconds, processor, memory = (statistics.median(each) for each in zip(*runs))
        read = count * (2 if verb == 'compare' else 1)
        cost = (processor - begin) / read if read else 0.0
        each = f'{1e6 * cost:.1f}' if read else ''
        day = ''
        if verb.startswith('dialogue') and count == counts[1]:
            # By what the second half of the rows costs, without the verb's own start.
            shorter = statistics.median(used for _, used, _ in took[verb, counts[0]])
            more = (processor - shorter) / counts[0]
            day = f'{processor + more * (_DAY - count):.0f}'
        table.add_row(
            verb, f'{read:,}', f'{seconds:.2f}', f'{processor:.2f}', each, day, f'{memory:.0f}'
        )
    Console(width=100).print(table)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
