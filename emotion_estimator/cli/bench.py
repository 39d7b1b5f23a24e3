"""``emotion-estimator bench``: what this machine can do, in a minute and on one screen."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

import click
import cv2
import numpy as np

from emotion_estimator import __version__
from emotion_estimator.cost import FPS, SOURCES, machine, measure, scene
from emotion_estimator.errors import EmotionEstimatorError
from emotion_estimator.perception.landmarks.source import open_first

#: What is measured: title, size, the limit of faces, faces in view.
_SCENES = (
    ('one face, 640x480', (640, 480), 4, 1),
    ('nobody, 640x480', (640, 480), 4, 0),
    ('four faces, 640x480', (640, 480), 4, 4),
    ('one face, 1280x720', (1280, 720), 4, 1),
)
#: Packages whose versions matter for the figures.
_PACKAGES = ('mediapipe', 'numpy', 'ai-edge-litert', 'tflite-runtime')
#: Fewest images of which a median says anything.
_FEWEST = 20


@dataclass(frozen=True)
class Row:
    """What one scene took; milliseconds of processor time are of all threads, medians.

    :param share: of one core at 30 images a second.
    :param latency_p95: milliseconds from an image to its answer.
    """

    scene: str
    mediapipe_ms: float
    ours_ms: float
    ratio: float
    share: float
    latency_p50: float
    latency_p95: float


def rows(source: str, seconds: float) -> Iterator[Row]:
    """Measure all scenes within some seconds."""
    for number, (title, size, limit, faces) in enumerate(_SCENES):
        begun = time.monotonic()
        left = seconds / (len(_SCENES) - number)
        images = scene(size, faces, 6.0)
        costs, _ = measure(source, images, limit, until=begun + left)
        seconds -= time.monotonic() - begun
        if len(costs.ours) < _FEWEST:
            raise EmotionEstimatorError(
                f'too few images in {left:.0f} s for {title}; give more --seconds'
            )
        ours = float(np.median(costs.ours))
        yield Row(
            title,
            round(float(np.median(costs.bare)), 2),
            round(ours, 2),
            round(costs.ratio, 2),
            round(ours * FPS / 1e3, 3),
            round(float(np.percentile(costs.latencies, 50)), 2),
            round(float(np.percentile(costs.latencies, 95)), 2),
        )


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _advice(share: float) -> str:
    if share <= 0.5:
        return f'30 images a second take {share:.0%} of a core here: nothing needs to be set.'
    if share <= 1.0:
        return (
            f'30 images a second take {share:.0%} of a core here; the parameter cpu_budget keeps '
            'the estimator to less.'
        )
    return (
        f'this machine reads {FPS / share:.0f} of 30 images a second; cpu_budget or max_rate_hz '
        'spares it, and images that it cannot keep up with are dropped and counted.'
    )


@click.command()
@click.option(
    '--source',
    type=click.Choice(['auto', *SOURCES]),
    default='auto',
    help='Where landmarks come from.',
)
@click.option(
    '--seconds',
    type=click.FloatRange(4.0, 600.0),
    default=45.0,
    show_default=True,
    help='Seconds to measure, in addition to start-up.',
)
@click.option('--json', 'as_json', is_flag=True, help='Print one JSON object.')
def bench(source: str, seconds: float, as_json: bool) -> None:
    """Measure what reading faces costs on this machine, in a minute.

    MediaPipe's own call and ours alternate on the same images, on one core; nothing else should
    run. The output can be shared: it describes the machine and contains no personal data.
    """
    if math.isnan(seconds):
        raise click.BadParameter('nan is not a number of seconds', param_hint='--seconds')
    with _one_core():
        _report(source, seconds, as_json)


@contextmanager
def _one_core() -> Iterator[None]:
    """Stay on one core, as on a robot whose other cores are busy."""
    cores: set[int] = set()
    with suppress(AttributeError, OSError):
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, sorted(cores)[:1])
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
        if cores:
            os.sched_setaffinity(0, cores)


def _report(source: str, seconds: float, as_json: bool) -> None:
    begun = time.monotonic()
    landmarker, choice = open_first(source)
    landmarker.close()
    start = time.monotonic() - begun
    about: dict[str, Any] = {**machine(), 'emotion-estimator': __version__, **_versions()}
    if not as_json:
        for name, value in about.items():
            click.echo(f'{name:18}  {value}')
        click.echo(f'{"landmarks":18}  {choice.name}, opened in {start:.2f} s\n')
        heads = ('MediaPipe, ms', 'ours, ms', 'ratio', 'core at 30/s', 'answer after, ms (95 %)')
        click.echo(f'{"":22}' + '  '.join(heads))
    measured = []
    for row in rows(choice.name, seconds):
        measured.append(row)
        if not as_json:
            click.echo(
                f'{row.scene:22}{row.mediapipe_ms:13.2f}  {row.ours_ms:8.2f}  {row.ratio:5.2f}  '
                f'{row.share:12.0%}  {row.latency_p50:10.1f} ({row.latency_p95:.1f})'
            )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if as_json:
        report = {
            'machine': about,
            'landmark_source': choice.name,
            'start_s': round(start, 3),
            'memory_mb': round(memory),
            'scenes': [asdict(row) for row in measured],
        }
        click.echo(json.dumps(report))
        return
    click.echo(f'\n{memory:.0f} MB of memory at most, MediaPipe once more beside ours included.')
    click.echo(_advice(measured[0].share))
    click.echo('Reports from robots are welcome: paste this screen into an issue of the project.')
