"""Head pose: errors on rendered heads whose angles are known, for both landmark sources.

Faces of photographs are laid on MediaPipe's canonical face model, turned by known angles, seen by a
pinhole camera, and put before the blurred photograph. The mean absolute errors of yaw, pitch and
roll, in the axes of the camera, are printed beside those of the Face Landmarker's own
``facial_transformation_matrixes``, and the share of heads that are found. With ``--docs`` they are
written to docs/face_direction.md.

    python benchmarks/face_direction.py --task face_landmarker.task --pictures FOLDER
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import emotion_estimator.perception.head_pose as released
from emotion_estimator.emotion import FloatArray
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.perception.head_pose import Intrinsics, head_pose
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead, FaceMesh
from emotion_estimator.runtimes import import_mediapipe
from emotion_estimator.sources.images import read_image

DOCUMENT = Path(__file__).parents[1] / 'docs' / 'face_direction.md'
WIDTH, HEIGHT = 640, 480
CAMERA = Intrinsics(560.0, 560.0, WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT)
#: Distance of the head from the camera in centimetres.
DISTANCE = 45.0
#: A photograph serves if its face looks at the camera, within so many degrees, and is so large.
FRONTAL, LEAST_WIDTH = 8.0, 110.0

#: Places of the geometry's messages, up to MediaPipe 0.10 and later.
_MESSAGES = (
    'mediapipe.modules.face_geometry.protos.geometry_pipeline_metadata_pb2',
    'mediapipe.tasks.cc.vision.face_geometry.proto.geometry_pipeline_metadata_pb2',
)
#: Yaw, pitch, roll in degrees, then where the head is, in pixels from the image's middle.
_POSES: dict[str, tuple[tuple[float, ...], ...]] = {
    'in the middle, turned by up to 30 degrees': (
        *((yaw, 0, 0, 0, 0) for yaw in range(-30, 31, 15)),
        *((0, pitch, 0, 0, 0) for pitch in (-30, -15, 15, 30)),
        *((0, 0, roll, 0, 0) for roll in (-45, -30, -15, 15, 30, 45)),
        *((yaw, pitch, 0, 0, 0) for yaw in (-30, 30) for pitch in (-20, 20)),
    ),
    'in the middle, turned by 45 and 60 degrees': (
        *((yaw, 0, 0, 0, 0) for yaw in (-60, -45, 45, 60)),
        *((0, pitch, 0, 0, 0) for pitch in (-45, 45)),
    ),
    'at the border': (
        *((yaw, 0, 0, x, 0) for yaw in (0, 20) for x in (-200, 200)),
        *((0, 0, 0, 0, y) for y in (-130, 130)),
    ),
}


@dataclass(frozen=True)
class CanonicalHead:
    """MediaPipe's canonical face model: vertices (468, 3) in image axes, triangles (898, 3)."""

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int64]

    @classmethod
    def load(cls, task: Path) -> CanonicalHead:
        """Read it from ``face_landmarker.task``."""
        for name in _MESSAGES:
            try:
                messages = importlib.import_module(name)
                break
            except ModuleNotFoundError:
                continue
        data = messages.GeometryPipelineMetadata()
        with zipfile.ZipFile(task) as archive:
            data.ParseFromString(archive.read('geometry_pipeline_metadata_landmarks.binarypb'))
        rows = np.array(data.canonical_mesh.vertex_buffer, np.float64).reshape(-1, 5)
        vertices = rows[:, :3] * [1, -1, -1]
        triangles = np.array(data.canonical_mesh.index_buffer, np.int64).reshape(-1, 3)
        return cls(vertices - vertices.mean(axis=0), triangles)


def rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """Return the matrix (3, 3) of a head with these angles in degrees."""
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = [[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]]
    about_x = [[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]]
    about_z = [[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]]
    return np.array(about_y) @ np.array(about_x) @ np.array(about_z)


def rendered(
    head: CanonicalHead, photograph: RgbImage, landmarks: FloatArray, pose: tuple[float, ...]
) -> RgbImage:
    """Return the head with the face of a photograph, before the blurred photograph."""
    yaw, pitch, roll, x, y = pose
    points = head.vertices @ rotation(yaw, pitch, roll).T
    points += np.array([x * DISTANCE / CAMERA.fx, y * DISTANCE / CAMERA.fy, DISTANCE])
    seen = points[:, :2] / points[:, 2:] * CAMERA.fx + [CAMERA.cx, CAMERA.cy]
    corners = seen[head.triangles]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    # Most triangles of a face look at the camera.
    shown = area * np.sign(np.median(area)) > 0
    which = np.full((HEIGHT, WIDTH), -1, np.int32)
    for index in np.argsort(-points[head.triangles].mean(axis=1)[:, 2]).tolist():
        if shown[index]:
            outline = np.round(corners[index] * 16).astype(np.int32)
            cv2.fillConvexPoly(which, outline, index, shift=4)
    rows, columns = np.nonzero(which >= 0)
    triangle = which[rows, columns]
    away = np.stack([columns, rows], axis=-1) - corners[triangle, 0]
    a, b, whole = first[triangle], second[triangle], area[triangle]
    u = (away[:, 0] * b[:, 1] - away[:, 1] * b[:, 0]) / whole
    v = (a[:, 0] * away[:, 1] - a[:, 1] * away[:, 0]) / whole
    source = landmarks[head.triangles[triangle], :2]
    place = source[:, 0]
    place = place + u[:, None] * (source[:, 1] - place) + v[:, None] * (source[:, 2] - place)
    maps = np.zeros((2, HEIGHT, WIDTH), np.float32)
    maps[:, rows, columns] = place.T
    face = cv2.remap(photograph, maps[0], maps[1], cv2.INTER_LINEAR)
    behind = cv2.GaussianBlur(cv2.resize(photograph, (WIDTH, HEIGHT)), (0, 0), 25)
    return np.where(which[..., None] >= 0, face, behind).astype(np.uint8)


class GeometrySource:
    """The Face Landmarker with its own transformation matrices."""

    def __init__(self, task: Path, head: CanonicalHead) -> None:
        """Open the model for stills."""
        self._vertices = head.vertices
        self._mediapipe: Any = import_mediapipe()
        vision = self._mediapipe.tasks.vision
        options = vision.FaceLandmarkerOptions(
            base_options=self._mediapipe.tasks.BaseOptions(model_asset_buffer=task.read_bytes()),
            running_mode=vision.RunningMode.IMAGE,
            output_facial_transformation_matrixes=True,
        )
        self._model = vision.FaceLandmarker.create_from_options(options)

    def __call__(self, image: RgbImage) -> tuple[FloatArray, NDArray[np.float64]] | None:
        """Return landmarks (478, 3) in pixels, and yaw, pitch, roll of the matrix in degrees."""
        found = self._model.detect(
            self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=image)
        )
        if not found.face_landmarks:
            return None
        height, width = image.shape[:2]
        landmarks = np.array([(p.x, p.y, p.z) for p in found.face_landmarks[0]], np.float32)
        matrix = np.asarray(found.facial_transformation_matrixes[0])[:3, :3]
        turn = (matrix / np.linalg.norm(matrix, axis=0)) * np.outer([1, -1, -1], [1, -1, -1])
        # The same points, turned as the matrix says.
        points = np.zeros((478, 3))
        points[:468] = self._vertices @ turn.T
        return landmarks * np.float32([width, height, width]), np.array(
            head_pose(points.astype(np.float32)).angles
        )


def frontal(folder: Path, source: GeometrySource, most: int) -> Iterator[tuple[RgbImage, Any]]:
    """Yield photographs of faces that look at the camera, with their landmarks."""
    count = 0
    for file in sorted(folder.iterdir()):
        if count == most or file.suffix.lower() not in ('.jpg', '.jpeg', '.png'):
            continue
        image = read_image(file)
        found = source(image)
        if found is None or abs(found[1]).max() > FRONTAL:
            continue
        if np.ptp(found[0][:, 0]) >= LEAST_WIDTH:
            count += 1
            yield image, found[0]


def errors(
    faces: Sequence[tuple[RgbImage, FloatArray]],
    poses: Sequence[tuple[float, ...]],
    landmarker: GeometrySource,
    mesh: FaceMesh,
    head: CanonicalHead,
) -> dict[str, list[NDArray[np.float64]]]:
    """Return the absolute errors of yaw, pitch and roll of each head found, by method."""
    measured: dict[str, list[NDArray[np.float64]]] = {}
    for photograph, landmarks in faces:
        for pose in poses:
            picture = rendered(head, photograph, landmarks, pose)
            answers: dict[str, NDArray[np.float64]] = {}
            if (found := landmarker(picture)) is not None:
                answers['its own matrix'] = found[1]
                answers['Face Landmarker'] = _in_camera(found[0])
            if seen := mesh(Frame(picture, 0.0)):
                answers['face mesh'] = _in_camera(seen[0].landmarks)
            for name, angles in answers.items():
                wrong = np.abs((angles - pose[:3] + 180) % 360 - 180)
                measured.setdefault(name, []).append(wrong)
    return measured


def _in_camera(landmarks: FloatArray) -> NDArray[np.float64]:
    return np.array(head_pose(landmarks).angles_in(CAMERA, (WIDTH, HEIGHT)))


def table(measured: Mapping[str, list[NDArray[np.float64]]], shown: int) -> str:
    """Return the mean absolute errors as a Markdown table; ``shown`` is the number of pictures."""
    rows = ['| | yaw | pitch | roll | found |', '|---|---|---|---|---|']
    for name, each in measured.items():
        yaw, pitch, roll = np.mean(each, axis=0)
        rows.append(f'| {name} | {yaw:.1f} | {pitch:.1f} | {roll:.1f} | {len(each)} of {shown} |')
    return '\n'.join(rows)


def sha256_of_head_pose() -> str:
    """Return the digest of the module that is measured."""
    assert released.__file__ is not None
    return hashlib.sha256(Path(released.__file__).read_bytes()).hexdigest()


def main() -> None:
    """Render, measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n', 1)[0])
    parser.add_argument('--task', type=Path, required=True, help='face_landmarker.task')
    parser.add_argument('--pictures', type=Path, required=True, help='folder of photographs')
    parser.add_argument('--most', type=int, default=16, help='faces to render')
    parser.add_argument('--docs', action='store_true', help='update docs/face_direction.md')
    options = parser.parse_args()
    head = CanonicalHead.load(options.task)
    landmarker = GeometrySource(options.task, head)
    mesh = FaceMesh(BlendshapeHead.load(), static=True)
    faces = list(frontal(options.pictures, landmarker, options.most))
    parts = [f'{len(faces)} faces; `head_pose.py`, sha256 `{sha256_of_head_pose()}`.']
    for title, poses in _POSES.items():
        measured = errors(faces, poses, landmarker, mesh, head)
        parts.append(f'Mean absolute error in degrees, head {title}:')
        parts.append(table(measured, len(faces) * len(poses)))
        print('\n\n'.join(parts[-2:]), flush=True)
    if options.docs:
        document = DOCUMENT.read_text()
        begin, end = '<!-- errors -->', '<!-- end of errors -->'
        block = '\n\n'.join([begin, *parts, end])
        DOCUMENT.write_text(re.sub(f'{begin}.*{end}', lambda _: block, document, flags=re.S))


if __name__ == '__main__':
    main()
