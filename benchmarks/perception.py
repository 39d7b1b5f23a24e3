"""Time and memory of perception: of each step, of each additional face, and of the tracker.

The input is the animated portrait. What is compared takes turns frame by frame in this process, so
that other load affects all alike. Memory is the growth on loading; CPU is the time of all threads,
which other processes affect least.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from emotion_estimator.emotion import NONE, Roi
from emotion_estimator.errors import ModelError
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.perception.appearance import AppearanceNetwork, Branches
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.perception.face_crop import crop
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead
from emotion_estimator.perception.landmarks.source import (
    choose,
    open_first,
    open_landmarker,
)
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.perception.tracker import Tracker
from emotion_estimator.runtimes import runtimes
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.sources.portrait import Portrait

SOURCES = ('face_mesh', 'face_landmarker')
MAX_FACES = 4
FPS = 30.0

Times = dict[Any, list[float]]


def resident_megabytes() -> float:
    """Return this process's resident memory in MB (Linux)."""
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith('VmRSS'):
            return int(line.split()[1]) / 1024
    return 0.0


def timed(times: Times, name: Any, call: Callable[..., Any], *arguments: Any) -> Any:
    """Call ``call``, record the milliseconds it took under ``name``, and return its result."""
    start = time.perf_counter()
    result = call(*arguments)
    times[name].append(1e3 * (time.perf_counter() - start))
    return result


def portrait_frames(seconds: float, what: str) -> Iterator[Frame]:
    """Yield the frames of the portrait's first seconds, with a progress bar."""
    bar = tqdm(Portrait(FPS).frames(), what, total=round(FPS * seconds), disable=None, leave=False)
    with bar:
        for frame in bar:
            if frame.stamp > seconds:
                return
            yield frame


def opened(open_source: Callable[[str], Any]) -> dict[str, Any]:
    """Open both landmark sources; print which one is not available."""
    found = {}
    for source in SOURCES:
        try:
            found[source] = open_source(source)
        except ModelError as error:
            print(f'{source} left out: {error}', file=sys.stderr)
    return found


def print_table(title: str, heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Print a table; the first column is aligned left, the others right."""
    table = Table(title=title, title_justify='left')
    for n, head in enumerate(heads):
        table.add_column(head, justify='right' if n else 'left')
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def p50_p95(values: list[float], digits: int = 2) -> tuple[str, str]:
    """Return median and 95th percentile as text."""
    p50, p95 = np.percentile(values, [50, 95])
    return f'{p50:.{digits}f}', f'{p95:.{digits}f}'


def bench_steps(path: str, seconds: float) -> None:
    """Measure the landmark sources, the blendshape head and the classifier on one face."""
    times: Times = defaultdict(list)
    memory: dict[str, float] = {}

    def open_one(source: str) -> Any:
        before = resident_megabytes()
        landmarker = open_landmarker(choose(source, path))
        memory[source] = resident_megabytes() - before
        return landmarker

    landmarkers = opened(open_one)
    head, classifier = BlendshapeHead.load(), EmotionClassifier.load()
    state = classifier.initial_state()
    for frame in portrait_frames(seconds, 'steps'):
        faces: tuple[Any, ...] = ()
        for source, landmarker in landmarkers.items():
            faces = timed(times, source, landmarker, frame)
        if not faces:
            continue
        timed(times, 'blendshape head', head, faces[0].landmarks)
        _, state = timed(times, 'streaming LSTM', classifier, faces[0].blendshapes, state, 1 / FPS)
    for landmarker in landmarkers.values():
        landmarker.close()
    print_table(
        'each step, ms per frame (512x512, one face)',
        ('step', 'calls', 'p50', 'p95', 'memory at opening'),
        [
            (
                name,
                str(len(values)),
                *p50_p95(values),
                f'{memory[name]:.0f} MB' if name in memory else '',
            )
            for name, values in times.items()
        ],
    )
    if len(landmarkers) == 2:
        ratio = np.median(times['face_landmarker']) / np.median(times['face_mesh'])
        print(f'face_landmarker takes {ratio:.2f} times as long as face_mesh with its head\n')


def bench_resets(path: str, seconds: float) -> None:
    """Measure what a jump of time costs: all faces are forgotten."""
    times: Times = defaultdict(list)
    landmarkers = opened(lambda source: open_landmarker(choose(source, path)))
    for number, frame in enumerate(portrait_frames(seconds, 'resets')):
        for source, landmarker in landmarkers.items():
            landmarker(frame)
            if number % 5 == 4:
                timed(times, source, landmarker.reset)
    for landmarker in landmarkers.values():
        landmarker.close()
    print_table(
        'reset of a landmark source, ms (512x512, one face)',
        ('source', 'resets', 'p50', 'p95'),
        [(name, str(len(values)), *p50_p95(values)) for name, values in times.items()],
    )


def bench_branches(path: str, seconds: float) -> None:
    """Measure what each branch costs per face, besides the landmarks, in each runtime."""
    times: Times = defaultdict(list)
    landmarker = open_first('auto', path)[0]
    networks = {name: AppearanceNetwork.load(runtime=name) for name in runtimes()}
    branches = {
        (runtime, branch.name): branch
        for runtime, network in networks.items()
        for branch in (Branches(None), Branches(network, alone=True), Branches(network))
    }
    classifiers = {one: EmotionClassifier.load(runtime=one[0]) for one in branches}
    states = {one: each.initial_state() for one, each in classifiers.items()}
    for frame in portrait_frames(seconds, 'branches'):
        for face in landmarker(frame)[:1]:
            picture = timed(times, 'crop', crop, frame.image, face.landmarks)
            for runtime, network in networks.items():
                timed(times, (runtime, 'network'), network, picture)
            for one, branch in branches.items():
                start = time.perf_counter()
                seen = branch(frame.image, face.landmarks, face.blendshapes)
                step = timed(
                    times,
                    (*one, 'step'),
                    classifiers[one].step,
                    seen.features,
                    states[one],
                    1 / FPS,
                    seen.embedding,
                )
                times[one].append(1e3 * (time.perf_counter() - start))
                states[one] = step.state
    landmarker.close()
    rows = []
    for runtime, name in branches:
        reads = name != 'blendshapes'
        rows.append(
            (
                name,
                runtime,
                p50_p95(times['crop'], 3)[0] if reads else '',
                p50_p95(times[runtime, 'network'], 3)[0] if reads else '',
                p50_p95(times[runtime, name, 'step'], 3)[0],
                *p50_p95(times[runtime, name], 3),
            )
        )
    print_table(
        'classifier, ms per face and frame (512x512)',
        ('branches', 'runtime', 'crop', 'network', 'step', 'together p50', 'p95'),
        rows,
    )


def crowd(image: RgbImage, faces: int) -> RgbImage:
    """Return a 640x640 image with the portrait's face in ``faces`` of its four quarters."""
    face = cv2.resize(image[80:340, 130:370], (290, 314))
    canvas = np.full((640, 640, 3), 128, np.uint8)
    for n in range(faces):
        top, left = 3 + 320 * (n // 2), 15 + 320 * (n % 2)
        canvas[top : top + 314, left : left + 290] = face
    return canvas


def bench_faces(path: str, seconds: float) -> None:
    """Measure all of perception on one to four faces, with one estimator per number of faces."""
    times: Times = defaultdict(list)
    cpu: Times = defaultdict(list)
    numbers = range(1, MAX_FACES + 1)

    def open_all(source: str) -> list[EmotionEstimator]:
        settings = EstimatorSettings(
            landmark_source=source, face_landmarker_path=path, max_faces=MAX_FACES
        )
        return [EmotionEstimator.load(settings) for _ in numbers]

    estimators = opened(open_all)
    others = 0
    for frame in portrait_frames(seconds, 'faces'):
        if frame.truth == NONE:
            continue
        for n in numbers:
            picture = Frame(crowd(frame.image, n), frame.stamp)
            for source, each in estimators.items():
                start = time.process_time()
                faces = timed(times, (source, n), each[n - 1], picture)
                cpu[source, n].append(1e3 * (time.process_time() - start))
                if len(faces) != n:
                    times[source, n].pop()
                    cpu[source, n].pop()
                    others += 1
    rows = []
    for source in estimators:
        for n in numbers:
            one = (source, n)
            added = [
                f'{np.median(kind[one]) - np.median(kind[source, n - 1]):+.2f}' if n > 1 else ''
                for kind in (times, cpu)
            ]
            rows.append(
                (source, str(n), *p50_p95(times[one]), added[0], p50_p95(cpu[one])[0], added[1])
            )
    for each in estimators.values():
        for estimator in each:
            estimator.close()
    print_table(
        f'each additional face, ms per frame (640x640, max_faces {MAX_FACES}, all of perception)',
        ('source', 'faces', 'p50', 'p95', 'added', 'CPU p50', 'added'),
        rows,
    )
    used = sum(map(len, times.values()))
    print(f'{used} frames; {others} excluded because another number of faces was found\n')


def bench_tracker(calls: int = 2000) -> None:
    """Measure the tracker alone, on jittering faces that cross each other."""
    rng = random.Random(0)
    rows = []
    for number in (4, 16):
        times: Times = defaultdict(list)
        tracker = Tracker()
        for k in range(calls):
            rois = [
                Roi(
                    round(500 + 400 * np.sin(k / FPS + n) + rng.gauss(0, 1)),
                    round(90 * (n // 2) + rng.gauss(0, 1)),
                    100 + rng.randrange(3),
                    120 + rng.randrange(3),
                )
                for n in range(number)
            ]
            timed(times, number, tracker, rois, k / FPS)
        rows.append((str(number), str(calls), *p50_p95(times[number], 3)))
    print_table('tracker, ms per frame', ('faces', 'frames', 'p50', 'p95'), rows)


def main() -> int:
    """Print the tables; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--model-path', default='', help='face_landmarker.task')
    parser.add_argument(
        '--seconds', type=float, default=10.0, help='seconds of the portrait at 30 fps'
    )
    options = parser.parse_args()
    bench_steps(options.model_path, options.seconds)
    bench_resets(options.model_path, options.seconds)
    bench_branches(options.model_path, options.seconds)
    bench_faces(options.model_path, options.seconds)
    bench_tracker()
    return 0


if __name__ == '__main__':
    sys.exit(main())
