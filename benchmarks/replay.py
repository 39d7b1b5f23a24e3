"""Measure the speed of replay, relative to one core and to MediaPipe alone.

All variants run on the same bags (VGA, JPEG), alternating over several rounds:

- one core: one process bound to one core, the baseline;
- one bag: the same on all cores, with images decoded ahead;
- --jobs N: one bag per core at the same time;
- MediaPipe alone: its time per decoded image, alternating with a replay's in one process.
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
from emotion_estimator.bags.reader import open_bag
from emotion_estimator.bags.writer import BagWriter
from emotion_estimator.frame import Frame
from emotion_estimator.perception.landmarks.source import choose, open_landmarker
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.replay.run import replay
from emotion_estimator.settings import EstimatorSettings
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


def compare_with_mediapipe(bag: Path, source: str) -> list[tuple[float, float]]:
    """Return the ms per image of a replay and of MediaPipe alone on the same images.

    There is one pair per two seconds of the bag. Which of the two runs first alternates, so that
    other load on the machine affects both equally.
    """
    settings = EstimatorSettings(landmark_source=source)
    # The same number of faces: searching for more than one takes two more milliseconds.
    landmarker = open_landmarker(choose(source, ''), max_faces=settings.max_faces)
    estimator = EmotionEstimator.load(settings)
    pairs = []
    with open_bag(bag) as opened:
        images = list(opened.images())
        stretches = [images[k : k + 60] for k in range(0, len(images) - 59, 60)]
        for turn, stretch in enumerate(stretches):
            frames = [Frame(image.decode(), image.stamp) for image in stretch]
            took = {}
            for way in ('replay', 'alone') if turn % 2 else ('alone', 'replay'):
                begun = time.perf_counter()
                if way == 'replay':
                    for _ in replay(stretch, estimator):
                        pass
                else:
                    for frame in frames:
                        landmarker(frame)
                took[way] = 1e3 * (time.perf_counter() - begun) / len(stretch)
            pairs.append((took['replay'], took['alone']))
    estimator.close()
    landmarker.close()
    return pairs


def main() -> int:
    """Print two tables; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--landmarks', default='face_mesh')
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    rates, pairs = defaultdict(list), []
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
            pairs += compare_with_mediapipe(bags[0], options.landmarks)
    table = Table('VGA, JPEG', 'images/s (median)', 'relative to one core (median of ratios)')
    for way, found in rates.items():
        ratio = statistics.median(a / b for a, b in zip(found, rates['one core']))
        table.add_row(way, f'{statistics.median(found):.0f}', f'{ratio:.2f}')
    console = Console(width=100)
    console.print(table)
    table = Table('per image', 'ms (median)')
    replayed, alone = zip(*pairs)
    table.add_row('replay, including decoding and LSTM', f'{statistics.median(replayed):.2f}')
    table.add_row(f'{options.landmarks} alone', f'{statistics.median(alone):.2f}')
    ratio = statistics.median(r / a for r, a in pairs)
    table.add_row('ratio (median)', f'{ratio:.3f}')
    console.print(table)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
