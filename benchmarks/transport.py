"""Latency and processor time of the real nodes on a film, beside a bare loop of MediaPipe.

Compares two processes with raw images, two with JPEGs, camera and estimator in one process, and all
three nodes, with what a user writes without ROS: a loop over ``cv2.VideoCapture`` that calls
``FaceMesh.process``, at the film's rate. They take turns for several rounds, so that other load
affects all alike. The camera is a film of the portrait, whose drawing would otherwise count.

Latency is from an image's stamp to the publication of its emotion, measured by the node; in the
loop from the decoded image to the landmarks. Processor time is that of all processes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from node_graph import NodeGraph
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from emotion_estimator.demo.processes import ChildProcess
from emotion_estimator.film_writer import FilmWriter
from emotion_estimator.sources.portrait import Portrait

FPS = 30.0
CAMERA = {'loop': True}
ESTIMATOR = {'landmark_source': 'face_mesh'}
BARE = "MediaPipe's own call in a loop"
SETUPS: dict[str, dict[str, dict[str, object]]] = {
    BARE: {},
    'two processes, raw': {'camera': CAMERA, 'estimator': ESTIMATOR},
    'two processes, compressed': {
        'camera': CAMERA, 'estimator': {**ESTIMATOR, 'image_transport': 'compressed'},
    },
    'one process': {'camera_estimator': {**CAMERA, **ESTIMATOR}},
    'three nodes': {'camera': CAMERA, 'estimator': ESTIMATOR, 'dialogue_manager': {}},
}  # fmt: skip

#: The loop, in a process of its own: prints processor seconds, then the latencies in ms.
_LOOP = """
import sys, time
import cv2, mediapipe
film, seconds, fps = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
mesh = mediapipe.solutions.face_mesh.FaceMesh(max_num_faces=4, refine_landmarks=True)
capture, took, used, begun = cv2.VideoCapture(film), [], 0.0, time.monotonic() + 2.0
number = 0
while time.monotonic() < begun + seconds:
    ok, image = capture.read()
    if not ok:
        capture = cv2.VideoCapture(film)
        continue
    number += 1
    time.sleep(max(begun - 2.0 + number / fps - time.monotonic(), 0.0))
    start = time.monotonic()
    mesh.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    if start < begun:
        used = time.process_time()
    else:
        took.append(1e3 * (time.monotonic() - start))
print(time.process_time() - used, *took)
"""


def cpu_seconds(children: list[ChildProcess]) -> float:
    """Return the CPU time that the processes have used so far, in seconds (Linux)."""
    ticks = 0
    for child in children:
        fields = Path(f'/proc/{child.pid}/stat').read_text().rpartition(')')[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf('SC_CLK_TCK')


def write_film(path: Path) -> None:
    """Write a pass of the portrait, 640x480."""
    film = FilmWriter(path, FPS)
    for frame in Portrait(FPS, (640, 480)).frames():
        film.add(frame.stamp, frame.image)
    if not film.close():
        raise SystemExit(f'{path} cannot be written')


def loop(film: Path, seconds: float) -> tuple[list[float], float, float]:
    """Run the bare loop; return what :func:`measure` does."""
    done = subprocess.run(
        [sys.executable, '-P', '-c', _LOOP, str(film), str(seconds), str(FPS)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
    )  # fmt: skip
    used, *took = map(float, done.stdout.split())
    return took, 1e3 * used / len(took), len(took) / seconds


def measure(
    setup: str, film: Path, seconds: float, folder: Path
) -> tuple[list[float], float, float]:
    """Run one setup; return latencies in ms, CPU ms per emotion, and emotions per second."""
    if setup == BARE:
        return loop(film, seconds)
    with NodeGraph(folder) as graph:
        children = []
        for name, parameters in SETUPS[setup].items():
            given = {'source': str(film)} if 'camera' in name else {}
            children.append(graph.start(name, {**parameters, **given}))
        if not graph.spin(60.0, lambda: len(graph.emotions) >= 60):
            raise SystemExit(f'{setup}: no emotions; the log: {children[-1].log.read_text()}')
        graph.emotions.clear()
        used = cpu_seconds(children)
        graph.spin(seconds)
        used = cpu_seconds(children) - used
        took = [1e3 * message.latency for message in graph.emotions]
        return took, 1e3 * used / max(len(took), 1), len(took) / seconds


def main() -> int:
    """Print the table of results; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=float, default=8.0, help='seconds per setup and round')
    parser.add_argument('--rounds', type=int, default=3)
    options = parser.parse_args()
    latency, cpu, rate = defaultdict(list), defaultdict(list), defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / 'portrait.mp4'
        write_film(film)
        rounds = [setup for _ in range(options.rounds) for setup in SETUPS]
        for setup in tqdm(rounds, desc='transport', leave=False):
            found = measure(setup, film, options.seconds, Path(folder))
            latency[setup] += found[0]
            cpu[setup].append(found[1])
            rate[setup].append(found[2])
    heads = ('latency p50 ms', 'p95 ms', 'of the loop', 'CPU ms an image', 'of a core at 30/s')
    table = Table('640x480, 30 fps', *heads, 'images/s')
    bare = float(np.percentile(latency[BARE], 95))
    for setup in SETUPS:
        p50, p95 = np.percentile(latency[setup], [50, 95])
        used = float(np.median(cpu[setup]))
        table.add_row(
            setup, f'{p50:.1f}', f'{p95:.1f}', f'{p95 / bare:.2f}', f'{used:.1f}',
            f'{used * FPS / 1e3:.0%}', f'{np.median(rate[setup]):.1f}',
        )  # fmt: skip
    Console(width=110).print(table)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
