"""What reading faces costs on this machine, beside MediaPipe's own call on the same images."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from emotion_estimator.emotion import NONE
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.perception.landmarks.face_landmarker import face_landmarker_in_use
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.runtimes import import_mediapipe, quiet
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.sources.portrait import Portrait

SOURCES = ('face_mesh', 'face_landmarker')
#: Images a second that the stamps say.
FPS = 30.0
#: The first images search for the faces, and fill caches: they are not counted.
WARM = 15


@dataclass(frozen=True)
class Costs:
    """Milliseconds of processor time an image takes: MediaPipe's own call, and ours, in turns.

    :param latencies: milliseconds from an image to our answer.
    """

    bare: list[float]
    ours: list[float]
    latencies: list[float]

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
    """Return the portrait's frames that show a face, with ``faces`` of it in the quarters.

    :param size: width and height of the images, in pixels.
    :param faces: 0 to 4; one fills the image's height.
    :param seconds: of the portrait.
    :returns: uint8 (H, W, 3) each, RGB.
    """
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
    """Return MediaPipe's own call, given an image and milliseconds, and the object to close.

    It is what its users write: ``FaceMesh.process`` with refined landmarks, or
    ``detect_for_video`` of the Face Landmarker with blendshapes, each image wrapped anew.
    """
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
                    model_asset_path=str(face_landmarker_in_use())
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


def measure(
    source: str,
    images: Sequence[RgbImage],
    max_faces: int,
    *,
    before: Callable[[], object] = lambda: None,
    until: float = float('inf'),
) -> tuple[Costs, int]:
    """Measure both on the same images; which of the two is first alternates.

    :param source: one of :data:`SOURCES`.
    :param images: uint8 (H, W, 3) each, RGB, stamped at :data:`FPS`.
    :param before: called before each measurement.
    :param until: time of the monotonic clock at which to stop.
    :returns: the costs after the first :data:`WARM` images, and the faces in the last one.
    :raises InputError, ModelError: as for opening an estimator.
    """
    costs, faces = Costs([], [], []), 0
    settings = EstimatorSettings(landmark_source=source, max_faces=max_faces)
    with ExitStack() as stack, quiet():
        bare, closing = open_bare(source, max_faces)
        stack.callback(closing.close)
        ours = stack.enter_context(EmotionEstimator(settings))
        for number, image in enumerate(images):
            if time.monotonic() > until:
                break
            stamp = number / FPS
            ways: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = [
                ('bare', bare, (image, round(1e3 * stamp))),
                ('ours', ours, (Frame(image, stamp),)),
            ]
            for way, call, arguments in ways if number % 2 else ways[::-1]:
                before()
                begun, used = time.perf_counter(), time.process_time()
                result = call(*arguments)
                took = 1e3 * (time.process_time() - used)
                latency = 1e3 * (time.perf_counter() - begun)
                if number >= WARM:
                    getattr(costs, way).append(took)
                if way == 'ours':
                    faces = len(result)
                    if number >= WARM:
                        costs.latencies.append(latency)
    return costs, faces


def machine() -> dict[str, str]:
    """Return what this machine is: board, processor, cores, memory, system (Linux)."""
    return {
        'board': _text('/proc/device-tree/model') or _text('/sys/class/dmi/id/product_name'),
        'processor': _processor(),
        'cores': str(os.cpu_count() or ''),
        'memory': _memory(),
        'system': f'{platform.system()} {platform.release()} {platform.machine()}',
        'python': platform.python_version(),
    }


def _text(path: str) -> str:
    try:
        return Path(path).read_text(errors='replace').strip('\0 \n')
    except OSError:
        return ''


def _processor() -> str:
    # ARM kernels give numbers instead of a name.
    for line in _text('/proc/cpuinfo').splitlines():
        name, _, value = line.partition(':')
        if name.strip() in ('model name', 'Model', 'Hardware') and value.strip():
            return value.strip()
    return platform.processor() or platform.machine()


def _memory() -> str:
    first = _text('/proc/meminfo').partition('\n')[0].split()
    return f'{int(first[1]) / 2**20:.0f} GB' if len(first) > 1 and first[1].isdigit() else ''
