"""The processor time of the whole pipeline beside MediaPipe's own call on the same frames.

Bare MediaPipe is what its users write: ``FaceMesh.process``, or ``detect_for_video`` of the Face
Landmarker with blendshapes, each image wrapped anew. Both take turns frame by frame in this
process, bound to one core, on frames drawn beforehand; which of the two is first alternates. Time
is processor time of all threads, which other load affects least; cold is after 32 MB of other data
went through the caches. ``--write`` puts the tables into docs/cost.md.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
from tqdm import tqdm

import emotion_estimator
from emotion_estimator.cost import FPS, SOURCES, WARM, Costs, measure, scene
from emotion_estimator.frame import Frame
from emotion_estimator.perception import appearance, pipeline
from emotion_estimator.perception.landmarks import face_mesh, mediapipe_graph
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.runtimes import quiet
from emotion_estimator.settings import EstimatorSettings

#: Size of the image, the limit of faces, and the faces in view.
SCENES = (
    ((640, 480), 1, 1),
    ((640, 480), 4, 0),
    ((640, 480), 4, 1),
    ((640, 480), 4, 2),
    ((640, 480), 4, 4),
    ((1280, 720), 1, 1),
    ((1280, 720), 4, 1),
)
_CACHES = 32 << 20

DOCUMENT = Path(__file__).parents[1] / 'docs' / 'cost.md'
_BEGIN, _END = '<!-- measured: begin -->', '<!-- measured: end -->'
#: What costs most of it; a test compares their checksum with that in the document.
MEASURED = (
    'perception/landmarks/mediapipe_graph.py',
    'perception/appearance.py',
    'perception/face_crop.py',
)

#: Robots' processors: cores, GHz, float32 multiply-adds a cycle of one core (two vector units of
#: 128 or 256 bits, by the makers' optimization guides). A frame's time is estimated to lie between
#: the ratio of the clocks, and that of the multiply-adds a second.
ROBOTS = (
    ('Raspberry Pi 5', '4 Cortex-A76', 2.4, 8),
    ('Jetson Orin Nano (15 W)', '6 Cortex-A78AE', 1.5, 8),
    ('NUC 13 (Core i5-1340P)', '4 + 8 Raptor Lake', 4.6, 16),
)
#: Of the machine that measures: AMD EPYC 7003, at its boost clock.
HERE = (3.5, 16)

#: Steps of a frame: where their functions are looked up, and what they do.
STEPS: tuple[tuple[Any, str, str], ...] = (
    (mediapipe_graph._Graph, '__call__', "MediaPipe's graph"),
    (appearance.AppearanceNetwork, '__call__', 'appearance network'),
    (appearance, 'visible_crop', 'crop of the face'),
    (face_mesh.BlendshapeHead, '__call__', 'blendshape head'),
    (pipeline.SpeechDetector, '__call__', 'movement of the mouth'),
    (pipeline.UprightNetwork, '__call__', 'is the mesh upright'),
    (pipeline, 'head_pose', 'head pose'),
    (pipeline.EmotionClassifier, 'step', 'step of the LSTM'),
    (pipeline.Tracker, '__call__', 'tracker'),
)


def costs_of(
    source: str, size: tuple[int, int], max_faces: int, faces: int, seconds: float, cold: bool
) -> Costs:
    """Measure one scene."""
    junk = np.zeros(_CACHES, np.uint8)

    def pollute() -> None:
        if cold:
            np.add(junk, 1, out=junk)

    costs, found = measure(source, scene(size, faces, seconds), max_faces, before=pollute)
    if found != faces:
        raise SystemExit(f'{source} found {found} faces of {faces}')
    return costs


def rows(sources: list[str], seconds: float) -> Iterator[tuple[str, ...]]:
    """Measure all scenes; yield the cells of a table."""
    every = [(source, *each, cold) for source in sources for each in SCENES for cold in (0, 1)]
    for source, size, limit, faces, cold in tqdm(every, 'scenes', disable=None, leave=False):
        costs = costs_of(source, size, limit, faces, seconds, bool(cold))
        yield (
            source, 'x'.join(map(str, size)), str(limit), str(faces), 'cold' if cold else 'hot',
            f'{np.median(costs.bare):.2f}', f'{np.median(costs.ours):.2f}',
            f'{costs.ratio:.2f}', f'{costs.mean_ratio:.2f}', f'{costs.p95_ratio:.2f}',
        )  # fmt: skip


def profile(source: str, seconds: float) -> list[tuple[str, float]]:
    """Return what the steps of a frame with one face take, in ms (medians), the longest first.

    Processor time of this thread, in which MediaPipe's graph runs, too. The rest is what no step
    has.
    """
    times: dict[str, list[float]] = {}

    def watched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            start = time.thread_time()
            result = call(*arguments, **options)
            times.setdefault(name, []).append(1e3 * (time.thread_time() - start))
            return result

        return run

    settings = EstimatorSettings(landmark_source=source, max_faces=1)
    with ExitStack() as stack, quiet():
        for owner, name, title in STEPS:
            stack.enter_context(
                mock.patch.object(owner, name, watched(title, getattr(owner, name)))
            )
        estimator = stack.enter_context(EmotionEstimator(settings))
        whole = watched('', estimator)
        times.clear()
        for number, image in enumerate(scene((640, 480), 1, seconds)):
            whole(Frame(image, number / FPS))
    medians = {name: float(np.median(each[WARM:])) for name, each in times.items()}
    rest = medians.pop('') - sum(medians.values())
    return [*sorted(medians.items(), key=lambda pair: -pair[1]), ('all else', rest)]


def robots(milliseconds: float) -> Iterator[tuple[str, ...]]:
    """Yield the cells of a table of estimates for robots.

    :param milliseconds: that a frame takes here.
    """
    clock, width = HERE
    for name, cores, hertz, wide in ROBOTS:
        least = milliseconds * clock / hertz
        most = least * width / wide
        both = [f'{each:.0f}' for each in (least, most)]
        shares = [f'{each * FPS / 10:.0f} %' for each in (least, most)]
        yield (
            name, cores, f'{hertz:g}',
            ' to '.join(dict.fromkeys(both)), ' to '.join(dict.fromkeys(shares)),
        )  # fmt: skip


def checksum() -> str:
    """Return the checksum of the code that is measured."""
    package = Path(emotion_estimator.__path__[0])
    return hashlib.sha256(b''.join((package / name).read_bytes() for name in MEASURED)).hexdigest()


def _table(heads: tuple[str, ...], lines: Iterator[tuple[str, ...]], text_columns: int) -> str:
    right = len(heads) - text_columns
    rows_of_text = [heads, ('---',) * text_columns + ('--:',) * right, *lines]
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows_of_text)


def sections(sources: list[str], seconds: float) -> Iterator[str]:
    """Measure; yield the parts of the document."""
    yield f'Code with sha256 `{checksum()}`.'
    heads = ('source', 'image', '`max_faces`', 'faces', 'caches', 'MediaPipe, ms', 'ours, ms')
    ratios = ('ratio', 'of means', 'of p95')
    measured = list(rows(sources, seconds))
    yield _table((*heads, *ratios), iter(measured), 5)
    ours = next(float(row[6]) for row in measured if row[1:5] == ('640x480', '4', '1', 'hot'))
    yield f'Estimated for robots, one face in 640x480, {sources[0]}, from {ours:.2f} ms here:'
    heads = ('robot', 'cores', 'GHz', 'a frame, ms', 'of a core at 30 a second')
    yield _table(heads, robots(ours), 2)
    for source in sources:
        yield f'A frame of {source}, one face, 640x480, `max_faces` 1:'
        steps = profile(source, seconds)
        yield _table(('step', 'ms'), ((name, f'{each:.2f}') for name, each in steps), 1)


def main() -> int:
    """Print the tables, and write them; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=float, default=6.0, help='of the portrait, 30 fps')
    parser.add_argument('--source', choices=SOURCES, action='append')
    parser.add_argument('--write', action='store_true', help=f'write into {DOCUMENT}')
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    cv2.setNumThreads(1)
    sources = options.source or list(SOURCES)
    text = '\n\n'.join(sections(sources, options.seconds))
    print(text)
    if options.write:
        before, _, rest = DOCUMENT.read_text().partition(_BEGIN)
        DOCUMENT.write_text(f'{before}{_BEGIN}\n\n{text}\n\n{_END}{rest.partition(_END)[2]}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
