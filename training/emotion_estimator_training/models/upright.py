"""Train the network that tells whether a mesh lies upright on its face.

    python -m emotion_estimator_training.models.upright --stills fer2013.csv --pictures FOLDER

MediaPipe follows a face up to a roll of about 90 degrees; beyond, it lays an upright mesh on a face
that is not. Such meshes are made here: each picture is shown in a random roll of up to 75 degrees,
and twice upside down, some of these mirrored, and what both landmark sources find is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import FloatArray
from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.perception.head_pose import head_pose
from emotion_estimator.perception.landmarks.base import Landmarker
from emotion_estimator.perception.landmarks.source import choose, open_landmarker
from emotion_estimator.perception.upright import grey_values, normalized
from emotion_estimator.sources.images import read_image
from emotion_estimator_training.data.stills import TRAINING, load_stills
from emotion_estimator_training.shipping.pins import pin

#: Degrees by which a mesh may differ from its face and still lie upright, and from which on it does
#: not; between the two are hardly any.
_UPRIGHT, _TURNED = 25.0, 60.0
#: Roll of the faces shown, to both sides, in degrees.
_ROLL = 75.0
#: Share of the faces upside down that are mirrored too.
_MIRRORED = 0.4


@dataclass(frozen=True, eq=False)
class MeshSamples:
    """Meshes that landmark sources found.

    :param values: float32 (N, P), as :func:`~emotion_estimator.perception.upright.grey_values`.
    :param upright: bool (N,), whether each lies upright on its face.
    """

    values: FloatArray
    upright: NDArray[np.bool_]


def turned(image: RgbImage, degrees: float) -> RgbImage:
    """Return the complete image turned clockwise, on a square; its edge is replicated."""
    height, width = image.shape[:2]
    side = math.ceil(math.hypot(height, width))
    matrix = np.array(cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0), np.float64)
    matrix[:, 2] += ((side - width) / 2, (side - height) / 2)
    return np.asarray(
        cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def sample_meshes(
    images: Iterable[RgbImage], landmarkers: Iterable[Landmarker], seed: int
) -> MeshSamples:
    """Show each image upright and upside down to each landmark source, opened for stills.

    :param images: uint8 (H, W, 3) RGB, each of an upright face.
    """
    random = np.random.default_rng(seed)
    sources = tuple(landmarkers)
    values: list[FloatArray] = []
    upright: list[bool] = []
    for image in images:
        for down in (False, True, True):
            roll = random.uniform(-_ROLL, _ROLL) + 180.0 * down
            mirrored = down and random.random() < _MIRRORED
            # Mirrored top to bottom is mirrored side to side, and turned by 180 degrees.
            shown = turned(image[:, ::-1] if mirrored else image, roll)
            for source in sources:
                for face in source(Frame(shown, 0.0)):
                    off = (head_pose(face.landmarks).angles[2] - roll + 180.0) % 360.0 - 180.0
                    if _UPRIGHT < abs(off) < _TURNED:
                        continue
                    values.append(grey_values(shown, face.landmarks))
                    upright.append(abs(off) <= _UPRIGHT)
    return MeshSamples(np.array(values, np.float32), np.array(upright))


def fit(
    samples: MeshSamples, *, hidden: int = 32, epochs: int = 80, seed: int
) -> dict[str, FloatArray]:
    """Return the weights, float32, of a network with one hidden layer.

    Both kinds of meshes weigh the same. Trained with Adam (Kingma and Ba 2015), noise on the input,
    dropout (Srivastava et al. 2014), and a learning rate that falls to zero.

    :raises InputError: a kind of mesh is missing.
    """
    if not 0 < samples.upright.mean() < 1:
        raise InputError('needs meshes upright and turned; show more pictures with faces')
    random = np.random.default_rng(seed)
    inputs = normalized(samples.values)
    wanted = samples.upright.astype(np.float32)
    weight = np.where(samples.upright, 0.5 / wanted.mean(), 0.5 / (1 - wanted.mean()))
    count = inputs.shape[1]
    names = ('hidden', 'hidden_bias', 'out', 'out_bias')
    values = [
        random.normal(0, math.sqrt(2 / count), (count, hidden)),
        np.zeros(hidden),
        random.normal(0, math.sqrt(2 / hidden), hidden),
        np.zeros(1),
    ]
    first = [np.zeros_like(value) for value in values]
    second = [np.zeros_like(value) for value in values]
    batch, step = 64, 0
    steps = epochs * math.ceil(len(inputs) / batch)
    for _ in range(epochs):
        order = random.permutation(len(inputs))
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            x = inputs[chosen] + random.normal(0, 0.15, (len(chosen), count))
            into = x @ values[0] + values[1]
            kept = (random.random(into.shape) > 0.3) / 0.7
            active = np.maximum(into, 0) * kept
            logit = active @ values[2] + values[3]
            error = (1 / (1 + np.exp(-logit)) - wanted[chosen]) * weight[chosen] / len(chosen)
            back = np.outer(error, values[2]) * kept * (into > 0)
            gradients = [
                x.T @ back + 2e-4 * values[0],
                back.sum(axis=0),
                active.T @ error,
                np.array([error.sum()]),
            ]
            step += 1
            rate = 2e-3 * 0.5 * (1 + math.cos(math.pi * step / steps))
            for value, gradient, mean, square in zip(values, gradients, first, second):
                mean += 0.1 * (gradient - mean)
                square += 0.001 * (gradient**2 - square)
                value -= (
                    rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
                )
    return {name: value.astype(np.float32) for name, value in zip(names, values)}


def _pictures(stills: Path | None, folder: Path | None, most: int, seed: int) -> Iterator[RgbImage]:
    random = np.random.default_rng(seed)
    if stills is not None:
        loaded = load_stills(stills)
        pixels = loaded.pixels[loaded.usage == TRAINING]
        for index in random.permutation(len(pixels))[:most].tolist():
            larger = cv2.resize(pixels[index], (192, 192), interpolation=cv2.INTER_CUBIC)
            framed = cv2.copyMakeBorder(larger, 64, 64, 64, 64, cv2.BORDER_REPLICATE)
            yield np.asarray(cv2.cvtColor(framed, cv2.COLOR_GRAY2RGB), np.uint8)
    if folder is not None:
        files = sorted(file for file in folder.iterdir() if file.suffix in ('.jpg', '.png'))
        for index in random.permutation(len(files))[:most].tolist():
            yield read_image(files[index])


@click.command()
@click.option('--stills', type=click.Path(path_type=Path), help='FER2013, as `training` reads it.')
@click.option(
    '--pictures',
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help='Folder of photographs of upright faces.',
)
@click.option('--most', type=click.IntRange(1), default=2700, show_default=True, help='Of each.')
@click.option('--teacher', type=click.Path(path_type=Path), help='face_landmarker.task.')
@click.option('--seed', type=int, default=1, show_default=True)
@click.option('--output', type=click.Path(path_type=Path), default='upright.npz', show_default=True)
def main(
    stills: Path | None,
    pictures: Path | None,
    most: int,
    teacher: Path | None,
    seed: int,
    output: Path,
) -> None:
    """Train the network that tells whether a mesh lies upright, and write its weights."""
    choices = [choose('face_mesh')]
    if teacher is not None:
        choices.append(choose('face_landmarker', str(teacher)))
    landmarkers = [open_landmarker(choice, static=True) for choice in choices]
    samples = sample_meshes(_pictures(stills, pictures, most, seed), landmarkers, seed)
    click.echo(f'{len(samples.upright)} meshes, {(~samples.upright).sum()} not upright')
    np.savez(output, **{k: v.astype(np.float16) for k, v in fit(samples, seed=seed).items()})
    pin(output.absolute().parent)


if __name__ == '__main__':
    main()
