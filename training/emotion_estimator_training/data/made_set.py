"""A small synthetic set in FER2013's form, rendered from the portrait, to try training on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator import sources
from emotion_estimator.errors import InputError
from emotion_estimator.sources import portrait_face as points
from emotion_estimator.sources.portrait_warp import FaceWarp
from emotion_estimator_training.data.stills import (
    FER_CLASSES,
    SIDE,
    TRAINING,
    Stills,
    write_csv,
    write_folder,
    write_npz,
)
from emotion_estimator_training.seed import SEED

FORMS = ('npz', 'csv', 'folder')

#: Share of each class, roughly FER2013's.
_SHARES = {
    'angry': 0.13,
    'disgust': 0.04,
    'fear': 0.13,
    'happy': 0.25,
    'sad': 0.18,
    'surprise': 0.11,
    'neutral': 0.16,
}
#: Splits of five images of a class: three of Training, one of each test.
_SPLITS = (0, 0, 0, 1, 2)
#: Share of images without a face: FER2013 has some, of one grey.
_EMPTY = 0.05

_PICTURE = Path(sources.__file__).resolve().parent / 'data' / 'astronaut.jpg'
#: Enlargement at which the face is moved.
SCALE = 2
#: Middle of the face and its width, in pixels of the picture.
MIDDLE, WIDTH = (223.0, 126.0), 90.0

#: The unused second map of ``cv2.remap``; OpenCV 5 would use an empty array as a map.
_NO_MAP: Any = None

#: Points of the face that move, in pixels of the picture: the viewer's left and right one (equal if
#: there is only one), and the standard deviation of how far the skin around follows.
_PLACES = {
    'inner brow': ((211.0, 91.5), (240.0, 92.5), 9.0),
    'outer brow': ((196.0, 88.5), (256.0, 92.0), 10.0),
    'upper lid': ((203.0, 98.0), (247.0, 100.5), 5.0),
    'lower lid': ((203.0, 104.0), (247.0, 106.0), 5.0),
    'nose wing': ((214.0, 127.0), (234.0, 128.0), 7.0),
    'mouth corner': ((206.0, 146.0), (240.0, 147.0), 8.0),
    'upper lip': ((222.5, 142.0), (222.5, 142.0), 8.0),
    'lower lip': ((222.5, 152.0), (222.5, 152.0), 11.0),
    'chin': ((221.5, 168.0), (221.5, 168.0), 16.0),
}


@dataclass(frozen=True)
class _Look:
    """An expression: a mix of the portrait's own expressions, with points moved in addition.

    :param shares: weights of the portrait's expressions, 0 to 1; empty is its smile.
    :param moves: by key of ``_PLACES``, (outwards, down) in pixels of the picture.
    """

    shares: dict[str, float] = field(default_factory=dict)
    moves: dict[str, tuple[float, float]] = field(default_factory=dict)


_LOOKS = {
    'happy': _Look(),
    'neutral': _Look({'neutral': 1.0}),
    'sad': _Look({'sad': 1.0}),
    'angry': _Look(
        {'neutral': 1.0},
        {
            'inner brow': (-4.0, 6.0),
            'outer brow': (0.0, 1.0),
            'lower lid': (0.0, -1.5),
            'mouth corner': (-1.0, 2.5),
            'upper lip': (0.0, 2.0),
            'lower lip': (0.0, -2.0),
        },
    ),
    'disgust': _Look(
        {'neutral': 1.0},
        {
            'inner brow': (-2.0, 4.0),
            'lower lid': (0.0, -2.5),
            'nose wing': (1.0, -3.5),
            'upper lip': (0.0, -4.5),
            'mouth corner': (1.0, 1.5),
        },
    ),
    'fear': _Look(
        {'neutral': 0.6},
        {
            'inner brow': (-1.5, -6.0),
            'outer brow': (0.0, -1.0),
            'upper lid': (0.0, -2.0),
            'mouth corner': (2.0, 3.0),
            'lower lip': (0.0, 3.0),
            'chin': (0.0, 3.0),
        },
    ),
    'surprise': _Look(
        {'neutral': 0.6},
        {
            'inner brow': (0.0, -7.0),
            'outer brow': (0.0, -7.0),
            'upper lid': (0.0, -2.5),
            'mouth corner': (-6.0, 6.0),
            'lower lip': (0.0, 9.0),
            'chin': (0.0, 9.0),
        },
    ),
}


class MadeFace:
    """Renders the portrait's face with the expression of a class; creating it takes a second.

    :raises InputError: the portrait is missing from the installation.
    """

    def __init__(self) -> None:
        picture = cv2.imread(str(_PICTURE), cv2.IMREAD_COLOR)
        if picture is None:
            raise InputError(f'{_PICTURE} is missing; reinstall the package')
        large = cv2.resize(picture, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
        self._picture = np.asarray(cv2.cvtColor(large, cv2.COLOR_BGR2RGB), np.uint8)
        self._face = FaceWarp(self._picture, SCALE)
        x, y, width, height = points.PATCH
        rows, columns = np.mgrid[: height * SCALE, : width * SCALE].astype(np.float32)
        #: Coordinates of the patch's pixels, in pixels of the picture.
        self._at = np.dstack([(columns + 0.5) / SCALE - 0.5 + x, (rows + 0.5) / SCALE - 0.5 + y])
        self._grid = np.dstack([columns, rows])

    def __call__(self, expression: str, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return a still, uint8 (48, 48), grey.

        :param expression: one of ``FER_CLASSES``.
        :param rng: decides strength, size, position, roll, light, blur and noise.
        """
        strength = rng.uniform(0.75, 1.1)
        blink = max(rng.uniform(-0.6, 0.3), 0.0)
        posed = cv2.warpAffine(
            self.picture(expression, strength, blink),
            _pose(rng),
            (4 * SIDE, 4 * SIDE),
            borderMode=cv2.BORDER_REPLICATE,
        )
        return _degraded(np.asarray(posed, np.uint8), rng)

    def picture(
        self, expression: str, strength: float, blink: float = 0.0, speech: float = 0.0
    ) -> NDArray[np.uint8]:
        """Return the portrait, enlarged by ``SCALE``, with an expression: uint8 (H, W, 3), RGB.

        :param expression: one of ``FER_CLASSES``.
        :param strength: of the expression, 0 (neutral) to about 1.
        :param blink: how far the lids are closed, 0 to 1.
        :param speech: how far the lower lip is lowered, in pixels of the picture (the face is
            ``WIDTH`` wide).
        """
        look = _LOOKS[expression]
        shares = {name: share * min(strength, 1.0) for name, share in look.shares.items()}
        shares['neutral'] = shares.get('neutral', 0.0) + max(1.0 - strength, 0.0)
        shares['blink'] = blink
        moves = {
            name: (strength * outwards, strength * down)
            for name, (outwards, down) in look.moves.items()
        }
        if speech:
            for name in ('lower lip', 'chin'):
                outwards, down = moves.get(name, (0.0, 0.0))
                moves[name] = (outwards, down + speech)
        picture = self._picture.copy()
        picture[self._face.area] = self._moved(self._face(shares), moves)
        return picture

    def _moved(
        self, patch: NDArray[np.uint8], moves: dict[str, tuple[float, float]]
    ) -> NDArray[np.uint8]:
        shift = np.zeros_like(self._grid)
        for name, (outwards, down) in moves.items():
            left, right, spread = _PLACES[name]
            for place, side in {left: -1.0, right: 1.0}.items():
                # Points on the middle line do not move sideways.
                across = 0.0 if left == right else side * outwards
                distance = ((self._at - np.array(place, np.float32)) ** 2).sum(axis=-1)
                bump = np.exp(-distance / np.float32(2 * spread**2))
                shift += bump[..., None] * np.array((across, down), np.float32)
        where = self._grid - np.float32(SCALE) * shift
        moved = cv2.remap(patch, where, _NO_MAP, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved, np.uint8)


def _pose(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a random affine map (2, 3) from the enlarged picture to four times the still."""
    zoom = 4 * rng.uniform(30.0, 40.0) / (WIDTH * SCALE)
    roll = np.radians(np.clip(rng.normal(scale=7.0), -20, 20))
    mirror = rng.choice([-1.0, 1.0])
    linear = zoom * np.array(
        [[mirror * np.cos(roll), -np.sin(roll)], [mirror * np.sin(roll), np.cos(roll)]]
    )
    middle = (np.array(MIDDLE) + 0.5) * SCALE - 0.5
    place = 2 * SIDE + rng.normal(scale=4.0, size=2)
    return np.hstack([linear, (place - linear @ middle)[:, None]])


def _degraded(large: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Turn a picture, RGB (192, 192, 3), into a still: small, grey, with random light and noise."""
    grey = cv2.cvtColor(large, cv2.COLOR_RGB2GRAY)
    grey = cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.3, 3.0))
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA) / 255.0
    slope = np.linspace(-1, 1, SIDE) * rng.normal(scale=0.15)
    lit = small ** rng.uniform(0.7, 1.5) * rng.uniform(0.7, 1.1) * (1 + slope)
    noisy = 255 * lit + rng.normal(scale=rng.uniform(1.0, 6.0), size=small.shape)
    return np.asarray(np.rint(noisy.clip(0, 255)), np.uint8)


def make(faces: int = 420, seed: int = SEED) -> Stills:
    """Return rendered stills, and a twentieth as many images without a face.

    Strength of the expression, position, size, roll, light, blur and noise vary.

    :param faces: number of images with a face, at least 30.
    :param seed: of everything random.
    """
    rng = np.random.default_rng(seed)
    face = MadeFace()
    pixels, emotion, usage = [], [], []
    ends = np.rint(faces * np.cumsum([_SHARES[name] for name in FER_CLASSES])).astype(int)
    for code, count in enumerate(np.diff(ends, prepend=0)):
        for number in range(count):
            pixels.append(face(FER_CLASSES[code], rng))
            emotion.append(code)
            usage.append(_SPLITS[number % len(_SPLITS)])
    for _ in range(max(round(_EMPTY * faces), 3)):
        pixels.append(_no_face(rng))
        emotion.append(int(rng.integers(len(FER_CLASSES))))
        usage.append(TRAINING)
    order = rng.permutation(len(pixels))
    return Stills(
        pixels=np.stack(pixels)[order],
        emotion=np.array(emotion, np.int64)[order],
        usage=np.array(usage, np.int64)[order],
        image_id=np.arange(len(pixels)),
        duplicate=np.zeros(len(pixels), bool),
    )


def write(stills: Stills, folder: Path, form: str = 'npz') -> Path:
    """Write ``fer2013.npz``, ``fer2013.csv`` or ``<split>/<emotion>/*.png`` to a folder.

    :param form: one of ``FORMS``.
    :returns: the path to pass as ``--data``.
    :raises InputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if form == 'folder':
            return write_folder(stills, folder)
        writer = {'npz': write_npz, 'csv': write_csv}[form]
        return writer(stills, folder / f'fer2013.{form}')
    except OSError as error:
        raise InputError(
            f'{folder} cannot be written ({error.strerror}); choose another folder'
        ) from error


def _no_face(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return an image without a face: one grey, a gradient, or blurred noise."""
    kind = rng.integers(3)
    if kind == 0:
        image = np.full((SIDE, SIDE), rng.uniform(0, 255))
    elif kind == 1:
        begin, end = rng.uniform(0, 255, 2)
        image = np.tile(np.linspace(begin, end, SIDE), (SIDE, 1))
    else:
        noise = rng.uniform(0, 255, (SIDE, SIDE))
        image = np.asarray(cv2.GaussianBlur(noise, (0, 0), rng.uniform(0.5, 6)))
    return image.astype(np.uint8)
