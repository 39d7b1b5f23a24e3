"""The processor time of the whole pipeline beside MediaPipe's own call on the same frames.

Bare MediaPipe is what its users write: ``FaceMesh.process``, or ``detect_for_video`` of the Face
Landmarker with blendshapes, each image wrapped anew. Both take turns frame by frame in this
process, bound to one core, on frames drawn beforehand; which of the two is first alternates. Time
is processor time of all threads, which other load affects least; cold is after 32 MB of other data
went through the caches. ``--write`` puts the table into README.md and docs/cost.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from emotion_estimator.emotion import NONE
from emotion_estimator.frame import Frame, RgbImage
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
                if number >= 15:
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


def main() -> int:
    """Print the table; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=float, default=6.0, help='of the portrait, 30 fps')
    parser.add_argument('--source', choices=SOURCES, action='append')
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    cv2.setNumThreads(1)
    table = Table(title='processor time, ms a frame, one core', title_justify='left')
    heads = ('source', 'image', 'max_faces', 'faces', 'caches', 'MediaPipe', 'ours', 'ratio')
    for n, head in enumerate((*heads, 'of means', 'of p95')):
        table.add_column(head, justify='right' if n else 'left')
    for row in rows(options.source or list(SOURCES), options.seconds):
        table.add_row(*row)
    Console(width=100).print(table)
    return 0


if __name__ == '__main__':
    sys.exit(main())
