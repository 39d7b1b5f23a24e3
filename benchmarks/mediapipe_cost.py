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
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
from tqdm import tqdm

import emotion_estimator
from emotion_estimator.emotion import NONE
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.perception import appearance, pipeline
from emotion_estimator.perception.landmarks import face_mesh, mediapipe_graph
from emotion_estimator.perception.landmarks.face_landmarker import face_landmarker_path
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.runtimes import import_mediapipe, quiet
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.sources.portrait import Portrait

SOURCES = ('face_mesh', 'face_landmarker')
FPS = 30.0
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
#: Frames that search and fill caches first.
_WARM = 15

DOCUMENT = Path(__file__).parents[1] / 'docs' / 'cost.md'
_BEGIN, _END = '<!-- measured: begin -->', '<!-- measured: end -->'
#: What costs most of it; a test compares their checksum with that in the document.
MEASURED = (
    'perception/landmarks/mediapipe_graph.py',
    'perception/appearance.py',
    'perception/face_crop.py',
)

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


@dataclass(frozen=True)
class Costs:
    """Milliseconds a frame of bare MediaPipe and of ours, in turns."""

    bare: list[float]
    ours: list[float]

    @property
    def ratio(self) -> float:
        """Ratio of the medians."""
        return float(np.median(self.ours) / np.median(self.bare))

    @property
    def mean_ratio(self) -> float:
        """Ratio of the means."""
        return float(np.mean(self.ours) / np.mean(self.bare))

    @property
    def p95_ratio(self) -> float:
        """Ratio of the 95th percentiles."""
        return float(np.percentile(self.ours, 95) / np.percentile(self.bare, 95))


def scene(size: tuple[int, int], faces: int, seconds: float) -> list[RgbImage]:
    """Return the portrait's frames that show a face, with ``faces`` of it in the quarters."""
    width, height = size
    images = []
    for frame in Portrait(FPS, size).frames():
        if frame.stamp > seconds:
            break
        if frame.truth == NONE:
            continue
        if faces == 1:
            images.append(frame.image)
            continue
        canvas = np.full((height, width, 3), (118, 128, 140), np.uint8)
        # The face, at the size that a quarter holds.
        side = min(width, height)
        left = (width - side) // 2
        square = frame.image[:, left : left + side]
        small = cv2.resize(square, (height // 2, height // 2), interpolation=cv2.INTER_AREA)
        for n in range(faces):
            top = (n // 2) * (height // 2)
            edge = (n % 2) * (width // 2) + (width // 2 - height // 2) // 2
            canvas[top : top + height // 2, edge : edge + height // 2] = small
        images.append(canvas)
    return images


def open_bare(source: str, max_faces: int) -> tuple[Callable[[RgbImage, int], Any], Any]:
    """Return MediaPipe's own call, given an image and milliseconds, and the object to close."""
    mediapipe = import_mediapipe()
    with quiet():
        if source == 'face_mesh':
            mesh = mediapipe.solutions.face_mesh.FaceMesh(
                max_num_faces=max_faces, refine_landmarks=True
            )
            return lambda image, _: mesh.process(image), mesh
        vision = mediapipe.tasks.vision
        landmarker = vision.FaceLandmarker.create_from_options(
            vision.FaceLandmarkerOptions(
                base_options=mediapipe.tasks.BaseOptions(
                    model_asset_path=str(face_landmarker_path())
                ),
                running_mode=vision.RunningMode.VIDEO,
                num_faces=max_faces,
                output_face_blendshapes=True,
            )
        )

        def detect(image: RgbImage, milliseconds: int) -> Any:
            wrapped = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
            return landmarker.detect_for_video(wrapped, milliseconds)

        return detect, landmarker


def timed(call: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """Return the milliseconds of processor time that a call takes, and its result."""
    start = time.process_time()
    result = call(*arguments)
    return 1e3 * (time.process_time() - start), result


def measure(
    source: str, size: tuple[int, int], max_faces: int, faces: int, seconds: float, cold: bool
) -> Costs:
    """Measure one scene."""
    images = scene(size, faces, seconds)
    costs = Costs([], [])
    junk = np.zeros(_CACHES, np.uint8)
    settings = EstimatorSettings(landmark_source=source, max_faces=max_faces)
    with ExitStack() as stack, quiet():
        bare, closing = open_bare(source, max_faces)
        stack.callback(closing.close)
        ours = stack.enter_context(EmotionEstimator(settings))
        for number, image in enumerate(images):
            stamp = number / FPS
            ways: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = [
                ('bare', bare, (image, round(1e3 * stamp))),
                ('ours', ours, (Frame(image, stamp),)),
            ]
            for way, call, arguments in ways if number % 2 else ways[::-1]:
                if cold:
                    junk += 1
                took, result = timed(call, *arguments)
                # The first frames search, and fill caches.
                if number >= _WARM:
                    getattr(costs, way).append(took)
                if way == 'ours' and number == 30 and len(result) != faces:
                    raise SystemExit(f'{source} found {len(result)} faces of {faces}')
    return costs


def rows(sources: list[str], seconds: float) -> Iterator[tuple[str, ...]]:
    """Measure all scenes; yield the cells of a table."""
    every = [(source, *each, cold) for source in sources for each in SCENES for cold in (0, 1)]
    for source, size, limit, faces, cold in tqdm(every, 'scenes', disable=None, leave=False):
        costs = measure(source, size, limit, faces, seconds, bool(cold))
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
    medians = {name: float(np.median(each[_WARM:])) for name, each in times.items()}
    rest = medians.pop('') - sum(medians.values())
    return [*sorted(medians.items(), key=lambda pair: -pair[1]), ('all else', rest)]


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
    yield _table((*heads, *ratios), rows(sources, seconds), 5)
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
    sources = options.source or ['face_mesh']
    if not options.source and face_landmarker_path().is_file():
        sources = list(SOURCES)
    text = '\n\n'.join(sections(sources, options.seconds))
    print(text)
    if options.write:
        before, _, rest = DOCUMENT.read_text().partition(_BEGIN)
        DOCUMENT.write_text(f'{before}{_BEGIN}\n\n{text}\n\n{_END}{rest.partition(_END)[2]}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
