"""Faces of photographs and films of people, and the same faces talking: what they hold, weights."""

from __future__ import annotations

import zipfile
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.atomic_write import atomic_write
from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.perception.face_crop import SIDE
from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.features.feature_set import FeatureSet

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Rows = NDArray[np.bool_]

#: Side in pixels of the picture of a face that varied crops are cut from, and its width in crops.
CHIP, _CHIP_CROPS = 96, 1.5
#: From pixels of such a picture to those of its crop.
CHIP_TO_CROP: Floats = np.array(
    [[_CHIP_CROPS * SIDE / CHIP, 0, 0], [0, _CHIP_CROPS * SIDE / CHIP, 0]], np.float32
)
CHIP_TO_CROP[:, 2] = (SIDE - 1) / 2 - CHIP_TO_CROP[0, 0] * (CHIP - 1) / 2
_NEUTRAL = FER_CLASSES.index('neutral')
#: How much a face of each class counts: of some there are few.
_CLASS_WEIGHTS = np.array(
    [{'happy': 0.8, 'neutral': 1.2, 'sad': 4.0}.get(name, 2.0) for name in FER_CLASSES]
)
#: How much a frame of a film counts: a film has hundreds, of one person.
_FILM_FRAME = 0.2
#: Pictures of one person that count in full, and how steeply each counts less beyond.
_FULL_PICTURES, _STEEPNESS = 8, 0.7
_DOWN = tuple(BLENDSHAPE_NAMES.index(f'eyeLookDown{side}') for side in ('Left', 'Right'))
#: Blendshape from which a face looks down, and degrees from which it is turned.
_LOOKS_DOWN, _TURNED = 0.25, 25.0


@dataclass(frozen=True, eq=False)
class PeopleSet:
    """Faces of photographs and films, and the same ones talking, by K landmark sources.

    :param sources: names of the landmark sources.
    :param scores: float32 (N, K, 52), blendshapes; zeros if the source found no face.
    :param known: bool (N, K), whether it found one.
    :param crops: uint8 (N, K, 48, 48), by the source's landmarks; zeros if there is none.
    :param chips: uint8 (N, 96, 96), the face upright with what is around it, to cut varied crops
        from with ``CHIP_TO_CROP``.
    :param emotion: int64 (N,), index into ``FER_CLASSES``.
    :param usage: int64 (N,), ``TRAINING``, or ``PUBLIC_TEST`` of held-out people.
    :param person: int64 (N,), number of the person.
    :param turned: float32 (N,), degrees by which the face is turned away from the camera.
    :param film: bool (N,), whether it is a frame of a film.
    :param base: int64 (N,), the row of which this is a picture with another mouth, or of a film the
        row of its first frame; its own row for the others.
    """

    sources: tuple[str, ...]
    scores: Floats
    known: Rows
    crops: NDArray[np.uint8]
    chips: NDArray[np.uint8]
    emotion: Ints
    usage: Ints
    person: Ints
    turned: Floats
    film: Rows
    base: Ints

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.scores)

    @property
    def talking(self) -> Rows:
        """Return (N,), whether the face was made to talk or is a later frame of a film."""
        return np.asarray(self.base != np.arange(len(self)))

    @property
    def weight(self) -> Floats:
        """Return (N,), how much each face counts to learn from.

        Of a person with more than eight pictures each counts less; all mouths of a face together
        count as much as the face itself. Rare classes count more, and so do neutral faces that look
        down or are turned, which are easily taken for sad ones. Each frame of a film counts alike.
        """
        number = Counter(self.person[~self.talking].tolist())
        each = np.array(
            [
                min(1.0, (_FULL_PICTURES / max(number[one], 1)) ** _STEEPNESS)
                for one in self.person.tolist()
            ]
        )
        mouths = Counter(self.base[self.talking].tolist())
        shared = np.array([1 / max(mouths[one], 1) for one in self.base.tolist()])
        hard = 1.0 + (self.looking_down > _LOOKS_DOWN) + 0.5 * (self.turned > _TURNED)
        lot = each * np.where(self.talking, shared, 1) * _CLASS_WEIGHTS[self.emotion]
        lot = np.where(self.emotion == _NEUTRAL, hard * lot, lot)
        return np.where(self.film, _FILM_FRAME, lot).astype(np.float32)

    @property
    def looking_down(self) -> Floats:
        """Return (N,), 0 to 1, the blendshape of looking down, of the sources that see the face."""
        both = self.scores[..., list(_DOWN)].mean(axis=-1)
        return np.asarray(
            (both * self.known).sum(axis=1) / np.maximum(self.known.sum(axis=1), 1), np.float32
        )

    def of(self, source: str) -> tuple[FeatureSet, Ints]:
        """Return the faces that a source found, and their rows here."""
        k = self.sources.index(source)
        rows = np.flatnonzero(self.known[:, k])
        nothing = np.zeros(len(rows), bool)
        return FeatureSet(
            source=source,
            blendshapes=self.scores[rows, k],
            emotion=self.emotion[rows],
            usage=self.usage[rows],
            image_id=rows,
            duplicate=nothing,
            augmented=nothing,
            crops=self.crops[rows, k],
        ), rows


def people_path(run: Path) -> Path:
    """Return the file of people's faces in a run folder."""
    return run / 'people' / 'people.npz'


def save_people(people: PeopleSet, path: Path) -> Path:
    """Write a file that :func:`load_people` reads, and its folder; return ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        np.savez(partial, **{one.name: getattr(people, one.name) for one in fields(people)})
    return path


def load_people(run: Path) -> PeopleSet | None:
    """Read the faces of people in a run folder; None if there are none.

    :raises InputError: the file is damaged.
    """
    path = people_path(run)
    if not path.exists():
        return None
    try:
        with np.load(path) as data:
            arrays = {one.name: data[one.name] for one in fields(PeopleSet)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f'{path} is damaged ({first_line(error)}); run "emotion-estimator training people"'
        ) from error
    return PeopleSet(**{**arrays, 'sources': tuple(arrays['sources'].tolist())})
