"""Small faces in large pictures: how many are found, with and without ``small``, at which size.

The demo's portrait is pasted at known sizes and places into 1280x720 pictures of generated texture,
and looked for by ``EmotionEstimator.still``. Printed are the share of faces that are found, how
far their landmarks are off, the share with the label of the portrait in its own size, and how many
faces are found where there is none, also in textures without any. With ``--write`` the tables go
into docs/small_faces.md.

    python benchmarks/small_faces.py --task face_landmarker.task --write
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import emotion_estimator
from emotion_estimator import EmotionEstimator
from emotion_estimator.emotion import FaceEmotion, FloatArray, Roi, overlap
from emotion_estimator.frame import RgbImage
from emotion_estimator.sources.portrait import Portrait

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / 'docs' / 'small_faces.md'
BEGIN, END = '<!-- measured -->', '<!-- end of measured -->'
#: What decides which faces are found; a test compares their checksum with that in the document.
MEASURED = ('perception/landmarks/source.py', 'perception/small_faces.py', 'perception/upright.py')

WIDTH, HEIGHT = 1280, 720
#: Heights of the pasted faces in pixels: of the box around the mesh, from brows to chin.
SIZES = (16, 20, 24, 28, 36, 48, 64, 80)
#: Seconds into the portrait: at rest, happy, sad.
STAMPS = (2.0, 5.5, 12.5)
#: Faces in a picture, in columns and rows.
COLUMNS, ROWS = 4, 2
#: A face is found where boxes overlap by more, as intersection over union.
SAME = 0.3


def clouds(rng: np.random.Generator) -> RgbImage:
    """Return smooth noise of all scales, as of walls, leaves and cloth."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for octave in range(2, 9):
        columns = 2**octave
        rows = max(columns * HEIGHT // WIDTH, 2)
        noise = rng.normal(0, 1, (rows, columns, 3)).astype(np.float32)
        image += cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) / octave
    return np.asarray((128 + 45 * image).clip(0, 255), np.uint8)


def shapes(rng: np.random.Generator) -> RgbImage:
    """Return discs and bars of all sizes and colours, as of a shelf or a fair."""
    image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    for _ in range(500):
        colour = [int(c) for c in rng.integers(0, 256, 3)]
        x, y, size = (int(rng.integers(0, most)) for most in (WIDTH, HEIGHT, 50))
        if rng.random() < 0.5:
            cv2.circle(image, (x, y), size, colour, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(image, (x, y), (x + 2 * size, y + size), colour, -1)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0), np.uint8)


def grain(rng: np.random.Generator) -> RgbImage:
    """Return the noise of a dark camera on a gradient of light."""
    x, y = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    light = 60 + 120 * (x * rng.random() + y * rng.random())
    noise = rng.normal(0, 25, (HEIGHT, WIDTH, 3))
    return np.asarray((light[..., None] + noise).clip(0, 255), np.uint8)


TEXTURES = (clouds, shapes, grain)


@dataclass(frozen=True, eq=False)
class Model:
    """The portrait with one expression, and what is found in it at its own size."""

    image: RgbImage
    face: FaceEmotion

    def shrunk(self, height: int) -> tuple[RgbImage, FloatArray, float]:
        """Return the picture with a face of this height, its landmarks, and the scale."""
        scale = height / self.face.roi.height
        image = cv2.resize(self.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        exact = np.array([image.shape[1], image.shape[0]]) / [*self.image.shape[1::-1]]
        points = self.face.landmarks[:468, :2] * exact
        return np.asarray(image, np.uint8), np.asarray(points, np.float32), scale


def models(estimator: EmotionEstimator) -> list[Model]:
    """Return the portrait with each of its expressions."""
    portrait = Portrait(30.0)
    images = [portrait.frame_at(stamp).image for stamp in STAMPS]
    return [Model(image, estimator.still(image)[0]) for image in images]


def scene(
    rng: np.random.Generator, background: RgbImage, faces: Sequence[Model], height: int
) -> tuple[RgbImage, list[tuple[Model, FloatArray]]]:
    """Return the background with faces at random places that do not overlap, and landmarks."""
    image, truth = background.copy(), []
    for place in range(COLUMNS * ROWS):
        model = faces[place % len(faces)]
        small, points, _ = model.shrunk(height)
        tall, wide = small.shape[:2]
        cell_x, cell_y = WIDTH // COLUMNS, HEIGHT // ROWS
        x = place % COLUMNS * cell_x + int(rng.integers(0, cell_x - wide))
        y = place // COLUMNS * cell_y + int(rng.integers(0, cell_y - tall))
        image[y : y + tall, x : x + wide] = small
        truth.append((model, points + np.array([x, y], np.float32)))
    return image, truth


def box(points: FloatArray) -> Roi:
    """Return the box around landmarks (N, 2)."""
    low, high = points.min(axis=0), points.max(axis=0)
    return Roi(*(round(float(n)) for n in (*low, *(high - low))))


@dataclass
class Count:
    """What was found of the pasted faces of one size."""

    faces: int = 0
    found: int = 0
    same_label: int = 0
    false: int = 0
    errors: list[float] = field(default_factory=list)

    def add(self, found: Sequence[FaceEmotion], truth: Sequence[tuple[Model, FloatArray]]) -> None:
        """Count one picture."""
        left = list(found)
        for model, points in truth:
            self.faces += 1
            there = box(points)
            face = max(left, key=lambda each: overlap(each.roi, there), default=None)
            if face is None or overlap(face.roi, there) <= SAME:
                continue
            left.remove(face)
            self.found += 1
            self.same_label += face.label == model.face.label
            away = np.linalg.norm(face.landmarks[:468, :2] - points, axis=1)
            self.errors.append(float(away.mean()) / there.height)
        self.false += len(left)

    def row(self, name: str) -> str:
        """Return a row of the table."""
        error = f'{100 * float(np.median(self.errors)):.0f} %' if self.errors else '-'
        label = f'{100 * self.same_label / self.found:.0f} %' if self.found else '-'
        return (
            f'| {name} | {100 * self.found / self.faces:.0f} % | {error} | {label} | {self.false} |'
        )


def sections(sources: Sequence[tuple[str, dict[str, Any]]], pictures: int) -> Iterator[str]:
    """Yield the tables, a source each.

    :param sources: name of each, and the settings that open it.
    :param pictures: of each texture, for each size and without faces.
    """
    for name, settings in sources:
        with EmotionEstimator(static=True, max_faces=16, **settings) as estimator:
            faces = models(estimator)
            rows: dict[bool, list[str]] = {False: [], True: []}
            for small in rows:
                rng = np.random.default_rng(20)
                for size in SIZES:
                    count = Count()
                    for texture in TEXTURES * pictures:
                        image, truth = scene(rng, texture(rng), faces, size)
                        count.add(estimator.still(image, small=small), truth)
                    rows[small].append(count.row(f'{size} pixels{", `small`" if small else ""}'))
                empty = sum(
                    len(estimator.still(texture(rng), small=small))
                    for texture in TEXTURES * pictures
                )
                rows[small].append(
                    f'| no face{", `small`" if small else ""} | - | - | - | {empty} |'
                )
            title = name.replace('_', ' ')
            yield '\n'.join((
                f'{title}, {pictures * len(TEXTURES)} pictures a row, '
                f'{COLUMNS * ROWS} faces in each:',
                '',
                '| height of the face | found | landmarks off by | label as in full size '
                '| false faces |',
                '|---|---|---|---|---|',
                *rows[False],
                *rows[True],
            ))  # fmt: skip


def checksum() -> str:
    """Return the checksum of the code that is measured."""
    package = Path(emotion_estimator.__path__[0])
    return hashlib.sha256(b''.join((package / name).read_bytes() for name in MEASURED)).hexdigest()


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--task', type=Path, help="MediaPipe's face_landmarker.task")
    parser.add_argument('--pictures', type=int, default=1, help='of each texture, for each size')
    parser.add_argument('--write', action='store_true', help=f'write into {DOCUMENT}')
    arguments = parser.parse_args()
    sources: list[tuple[str, dict[str, Any]]] = [('face_mesh', {'landmark_source': 'face_mesh'})]
    if arguments.task is not None:
        task = str(arguments.task)
        sources.append((
            'face_landmarker',
            {'landmark_source': 'face_landmarker', 'face_landmarker_path': task},
        ))  # fmt: skip
    head = f'Code with sha256 `{checksum()}`.'
    text = '\n\n'.join((head, *sections(sources, arguments.pictures)))
    print(text)
    if arguments.write:
        before, _, rest = DOCUMENT.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        DOCUMENT.write_text(f'{before}{BEGIN}\n\n{text}\n\n{END}{after}')


if __name__ == '__main__':
    main()
