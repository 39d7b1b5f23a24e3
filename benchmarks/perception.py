"""Time and memory of each step of perception, side by side in one run.

Frames of the animated portrait, both landmark sources in turn frame by frame, so that a busy
machine disturbs both alike. Each source runs in this one process; memory is the growth at opening.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from emotion_estimator.errors import ModelError
from emotion_estimator.perception.blendshape_head import BlendshapeHead
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.perception.landmark_source import choose, open_landmarker
from emotion_estimator.sources.portrait import Portrait


def resident_megabytes() -> float:
    """Return this process's resident memory (Linux)."""
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith('VmRSS'):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> int:
    """Print a table; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model-path', default='', help='face_landmarker.task')
    parser.add_argument('--seconds', type=float, default=20.0, help='of the portrait at 30 fps')
    options = parser.parse_args()

    times: dict[str, list[float]] = defaultdict(list)
    memory: dict[str, float] = {}

    def timed(name: str, call: Callable[..., Any], *arguments: Any) -> Any:
        begun = time.perf_counter()
        result = call(*arguments)
        times[name].append(1e3 * (time.perf_counter() - begun))
        return result

    landmarkers = {}
    for source in ('face_mesh', 'face_landmarker'):
        before = resident_megabytes()
        try:
            landmarkers[source] = open_landmarker(choose(source, options.model_path))
        except ModelError as error:
            print(f'{source} left out: {error}', file=sys.stderr)
        memory[source] = resident_megabytes() - before
    head, classifier = BlendshapeHead.load(), EmotionClassifier.load()
    state = classifier.initial_state()
    portrait = Portrait(30.0)
    for frame in tqdm(portrait.frames(), total=round(30 * portrait.duration), disable=None):
        if frame.stamp > options.seconds:
            break
        for source, landmarker in landmarkers.items():
            faces = timed(source, landmarker, frame)
        if not faces:
            continue
        face = faces[0]
        timed('blendshape head', head, face.landmarks)
        _, state = timed('streaming LSTM', classifier, face.blendshapes, state, 1 / 30)

    table = Table(title='512x512 portrait, milliseconds per frame, one process')
    for column in ('step', 'calls', 'p50', 'p95', 'memory at opening'):
        table.add_column(column, justify='left' if column == 'step' else 'right')
    for name, values in times.items():
        grown = f'{memory[name]:.0f} MB' if name in memory else ''
        p50, p95 = np.percentile(values, [50, 95])
        table.add_row(name, str(len(values)), f'{p50:.2f}', f'{p95:.2f}', grown)
    Console().print(table)
    if len(landmarkers) == 2:
        ratio = np.median(times['face_landmarker']) / np.median(times['face_mesh'])
        print(f'face_landmarker takes {ratio:.2f} times as long as face_mesh with its head')
    return 0


if __name__ == '__main__':
    sys.exit(main())
