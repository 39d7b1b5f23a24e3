"""A table of blendshapes and crops, with what is known of each face: what models learn from."""

from __future__ import annotations

import csv
import zipfile
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.perception.face_crop import SIDE
from emotion_estimator_training.data.stills import FER_CLASSES, SPLITS

Floats = NDArray[np.float32]

SHAPES = len(BLENDSHAPE_NAMES)
EMBEDDING = 64
WIDTH = SHAPES + EMBEDDING + 2

#: What each branch is called, and the two columns that say what is known.
PRESENT = {'fused': (1.0, 1.0), 'appearance': (1.0, 0.0), 'blendshapes': (0.0, 1.0)}


def face_vectors(blendshapes: Floats, embedding: Floats | None = None) -> Floats:
    """Return rows (..., 118) of blendshapes (..., 52) and embeddings (..., 64), if there are."""
    rows = np.zeros((*blendshapes.shape[:-1], WIDTH), np.float32)
    rows[..., :SHAPES] = blendshapes
    rows[..., -1] = 1
    if embedding is not None:
        rows[..., SHAPES:-2] = embedding
        rows[..., -2] = 1
    return rows


def whole(rows: Floats) -> Floats:
    """Return rows (..., 118), of which some may be blendshapes alone (..., 52)."""
    return rows if rows.shape[-1] == WIDTH else face_vectors(rows)


def only(rows: Floats, branch: str) -> Floats:
    """Return rows (..., 118) of which no more is known than ``branch`` of ``PRESENT`` reads."""
    known = whole(rows).copy()
    known[..., -2:] *= np.array(PRESENT[branch], np.float32)
    return known


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Blendshapes and crops of the faces that one landmark source found.

    :param source: ``face_landmarker`` or ``face_mesh``.
    :param blendshapes: float32 (N, 52), 0 to 1, in ``BLENDSHAPE_NAMES`` order.
    :param emotion: int64 (N,), index into ``FER_CLASSES``.
    :param usage: int64 (N,), ``TRAINING``, ``PUBLIC_TEST`` or ``PRIVATE_TEST``.
    :param image_id: int64 (N,), the image's row in FER2013's own file.
    :param duplicate: bool (N,), a test image that is a training image too.
    :param augmented: bool (N,), seen on a rotated or flipped copy (Training only).
    :param crops: uint8 (N, 48, 48), the face as the appearance network sees it, cut from the still
        by the source's landmarks; zeros where ``augmented``.
    :param embeddings: float32 (N, 64), of the crops, where they were asked for (``embeddings``);
        not kept in files.
    :param moves: float32 (N, K, 64), how far from these the embeddings of K varied crops of each
        face lie, alike.
    """

    source: str
    blendshapes: NDArray[np.float32]
    emotion: NDArray[np.int64]
    usage: NDArray[np.int64]
    image_id: NDArray[np.int64]
    duplicate: NDArray[np.bool_]
    augmented: NDArray[np.bool_]
    crops: NDArray[np.uint8]
    embeddings: NDArray[np.float32] | None = None
    moves: NDArray[np.float32] | None = None

    @property
    def vectors(self) -> NDArray[np.float32]:
        """Return what is known of each face (N, 118), see ``face_vector``.

        Without a crop there is no embedding.
        """
        vectors = face_vectors(self.blendshapes, self.embeddings)
        vectors[~self.crops.any(axis=(1, 2)), SHAPES:-1] = 0
        return vectors

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.blendshapes)

    def where(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> FeatureSet:
        """Return some of the rows."""
        return replace(
            self,
            **{
                field.name: getattr(self, field.name)[rows]
                for field in fields(self)
                if field.name != 'source' and getattr(self, field.name) is not None
            },
        )


_NOT_KEPT = ('embeddings', 'moves')


def save_features(features: FeatureSet, path: Path) -> Path:
    """Write an ``.npz`` that :func:`load_features` reads; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = asdict(features)
    for name in _NOT_KEPT:
        del arrays[name]
    np.savez_compressed(path, **arrays)
    return path


def load_features(path: Path) -> FeatureSet:
    """Read what :func:`save_features` wrote.

    :raises InputError: the file is missing, or holds something else; says what.
    """
    names = [field.name for field in fields(FeatureSet) if field.name not in _NOT_KEPT]
    try:
        with np.load(path) as data:
            missing = [name for name in names if name not in data.files]
            if missing:
                raise InputError(f'{path} has no array {missing[0]}; {_AGAIN}')
            arrays = {name: data[name] for name in names}
    except OSError as error:
        raise InputError(
            f'{path} cannot be read ({error.strerror or first_line(error)}); {_AGAIN}'
        ) from error
    except (ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise InputError(
            f'{path} is no .npz of features ({first_line(error)}); {_AGAIN}'
        ) from error
    source = str(arrays.pop('source'))
    count = len(np.atleast_1d(arrays['emotion']))
    of_a_face = {'blendshapes': (len(BLENDSHAPE_NAMES),), 'crops': (SIDE, SIDE)}
    for name, array in arrays.items():
        shape = (count, *of_a_face.get(name, ()))
        if array.shape != shape:
            raise InputError(f'{path}: {name} is {array.shape} instead of {shape}; {_AGAIN}')
    blendshapes = arrays.pop('blendshapes').astype(np.float32)
    if not ((blendshapes >= 0) & (blendshapes <= 1)).all():
        raise InputError(f'{path}: a blendshape is not in 0 to 1; {_AGAIN}')
    if arrays['crops'].dtype != np.uint8:
        raise InputError(f'{path}: crops are {arrays["crops"].dtype} instead of uint8; {_AGAIN}')
    for name, end in (('emotion', len(FER_CLASSES)), ('usage', len(SPLITS))):
        if not np.isin(arrays[name], range(end)).all():
            raise InputError(f'{path}: {name} is not always 0 to {end - 1}; {_AGAIN}')
    return FeatureSet(source, blendshapes, **arrays)


_AGAIN = 'write it with "emotion-estimator training features"'


def load_sources(run: Path) -> list[FeatureSet]:
    """Read the features of every landmark source that a run folder holds.

    :raises InputError: it holds none, or they were taken of different images.
    """
    paths = sorted((run / 'features').glob('*.npz'))
    found = [load_features(path) for path in paths]
    if not found:
        raise InputError(f'{run}/features has no features; {_AGAIN}')
    first = found[0].where(~found[0].augmented)
    for other in found[1:]:
        second = other.where(~other.augmented)
        # Not every source finds every face: where both did, they know the same of it.
        _, one, two = np.intersect1d(first.image_id, second.image_id, return_indices=True)
        same = (first.emotion[one] == second.emotion[two]) & (first.usage[one] == second.usage[two])
        if not len(one) or not same.all():
            raise InputError(
                f'the features of {first.source} and {second.source} in {run}/features are of '
                f'different images; remove that folder, and {_AGAIN}'
            )
    return found


_HEAD = [*BLENDSHAPE_NAMES, 'label', 'index', 'class', 'augmented']
_SCORES = ','.join(['%.6f'] * len(BLENDSHAPE_NAMES))


def write_tables(features: FeatureSet, to_label: NDArray[np.int64], folder: Path) -> list[Path]:
    """Write ``<source>-<split>.csv`` and ``<source>-<split>-<class>.csv``; return their paths.

    The columns, named in the first line: the 52 blendshapes (0 to 1, six decimals), the label's
    number, the image's number, the class's name, and 1 where a turned or flipped copy was seen.
    ``emotion-estimator evaluate --blendshapes`` reads them where the labels are the shipped ones.
    Splits and classes without a face have no file.

    :param to_label: (7,), the label of each of ``FER_CLASSES``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for usage, split in enumerate(SPLITS):
        part = features.where(features.usage == usage)
        parts = {
            '': part,
            **{
                f'-{name}': part.where(part.emotion == code)
                for code, name in enumerate(FER_CLASSES)
            },
        }
        for suffix, rows in parts.items():
            path = folder / f'{features.source}-{split.lower()}{suffix}.csv'
            # One of an earlier run would be taken for this one's.
            path.unlink(missing_ok=True)
            if len(rows):
                _write(rows, to_label, path)
                written.append(path)
    return written


def _write(features: FeatureSet, to_label: NDArray[np.int64], path: Path) -> None:
    with path.open('w', newline='') as file:
        csv.writer(file, lineterminator='\n').writerow(_HEAD)
        for scores, emotion, number, augmented in zip(
            features.blendshapes, features.emotion, features.image_id, features.augmented
        ):
            file.write(
                f'{_SCORES % tuple(scores)},{to_label[emotion]},{number},'
                f'{FER_CLASSES[emotion]},{int(augmented)}\n'
            )
