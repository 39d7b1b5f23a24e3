"""The feature set that models learn from: blendshapes and crops of labelled faces."""

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

#: By branch, the flags at the end of a face's vector: embedding known, blendshapes known.
PRESENT = {'fused': (1.0, 1.0), 'appearance': (1.0, 0.0), 'blendshapes': (0.0, 1.0)}
#: Fields of :class:`FeatureSet` that files do not have.
_NOT_SAVED = ('embeddings', 'moves')
#: Columns of the papers' CSV form.
_CSV_HEADER = [*BLENDSHAPE_NAMES, 'label', 'index', 'class', 'augmented']
_CSV_SCORES = ','.join(['%.6f'] * len(BLENDSHAPE_NAMES))
_REMEDY = 'write it with "emotion-estimator training features"'


def face_vectors(blendshapes: Floats, embedding: Floats | None = None) -> Floats:
    """Return the vectors (..., 118) that models read.

    They hold 52 blendshapes, 64 numbers of the embedding, and two flags: embedding known,
    blendshapes known.

    :param blendshapes: (..., 52).
    :param embedding: (..., 64); None leaves it unknown.
    """
    rows = np.zeros((*blendshapes.shape[:-1], WIDTH), np.float32)
    rows[..., :SHAPES] = blendshapes
    rows[..., -1] = 1
    if embedding is not None:
        rows[..., SHAPES:-2] = embedding
        rows[..., -2] = 1
    return rows


def complete_vectors(rows: Floats) -> Floats:
    """Return vectors (..., 118) of rows that may be blendshapes only, (..., 52)."""
    return rows if rows.shape[-1] == WIDTH else face_vectors(rows)


def only_branch(rows: Floats, branch: str) -> Floats:
    """Return vectors (..., 118) with only the inputs of a branch known.

    :param rows: (..., 118 or 52).
    :param branch: a key of ``PRESENT``.
    """
    known = complete_vectors(rows).copy()
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
    :param duplicate: bool (N,), whether a test image is also a training image.
    :param augmented: bool (N,), whether the face is of a rotated or flipped copy (Training only).
    :param crops: uint8 (N, 48, 48), the appearance network's input, cut from the still by the
        source's landmarks; zeros if ``augmented``.
    :param embeddings: float32 (N, 64), of the crops; None if not computed; not saved.
    :param moves: float32 (N, K, 64), deviation of the embeddings of K varied crops of each face
        from ``embeddings``; None if not computed; not saved.
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
        """Return the vectors (N, 118) of the faces; see :func:`face_vectors`.

        The embedding of a face without a crop is unknown.
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


def save_features(features: FeatureSet, path: Path) -> Path:
    """Write an ``.npz`` that :func:`load_features` reads, and its folder; return ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = asdict(features)
    for name in _NOT_SAVED:
        del arrays[name]
    np.savez_compressed(path, **arrays)
    return path


def load_features(path: Path) -> FeatureSet:
    """Read what :func:`save_features` wrote.

    :raises InputError: the file is missing or holds something else.
    """
    names = [field.name for field in fields(FeatureSet) if field.name not in _NOT_SAVED]
    try:
        with np.load(path) as data:
            missing = [name for name in names if name not in data.files]
            if missing:
                raise InputError(f'{path} has no array {missing[0]}; {_REMEDY}')
            arrays = {name: data[name] for name in names}
    except OSError as error:
        raise InputError(
            f'{path} cannot be read ({error.strerror or first_line(error)}); {_REMEDY}'
        ) from error
    except (ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise InputError(
            f'{path} is not an .npz of features ({first_line(error)}); {_REMEDY}'
        ) from error
    source = str(arrays.pop('source'))
    count = len(np.atleast_1d(arrays['emotion']))
    shapes = {'blendshapes': (len(BLENDSHAPE_NAMES),), 'crops': (SIDE, SIDE)}
    for name, array in arrays.items():
        shape = (count, *shapes.get(name, ()))
        if array.shape != shape:
            raise InputError(f'{path}: {name} is {array.shape} instead of {shape}; {_REMEDY}')
    blendshapes = arrays.pop('blendshapes').astype(np.float32)
    if not ((blendshapes >= 0) & (blendshapes <= 1)).all():
        raise InputError(f'{path}: a blendshape is outside 0 to 1; {_REMEDY}')
    if arrays['crops'].dtype != np.uint8:
        raise InputError(f'{path}: crops are {arrays["crops"].dtype} instead of uint8; {_REMEDY}')
    for name, end in (('emotion', len(FER_CLASSES)), ('usage', len(SPLITS))):
        if not np.isin(arrays[name], range(end)).all():
            raise InputError(f'{path}: {name} is outside 0 to {end - 1}; {_REMEDY}')
    return FeatureSet(source, blendshapes, **arrays)


def load_sources(run: Path) -> list[FeatureSet]:
    """Read the features of every landmark source in a run folder.

    :raises InputError: there are none, or they are of different images.
    """
    paths = sorted((run / 'features').glob('*.npz'))
    found = [load_features(path) for path in paths]
    if not found:
        raise InputError(f'{run}/features has no features; {_REMEDY}')
    first = found[0].where(~found[0].augmented)
    for other in found[1:]:
        second = other.where(~other.augmented)
        # Faces that both sources found must agree.
        _, one, two = np.intersect1d(first.image_id, second.image_id, return_indices=True)
        same = (first.emotion[one] == second.emotion[two]) & (first.usage[one] == second.usage[two])
        if not len(one) or not same.all():
            raise InputError(
                f'the features of {first.source} and {second.source} in {run}/features are of '
                f'different images; remove that folder, and {_REMEDY}'
            )
    return found


def write_tables(features: FeatureSet, to_label: NDArray[np.int64], folder: Path) -> list[Path]:
    """Write ``<source>-<split>.csv`` and ``<source>-<split>-<class>.csv``; return their paths.

    The columns, named in the first line: the 52 blendshapes (0 to 1, six decimals), the index of
    the label, the number of the image, the name of the class, and 1 for an augmented copy. With the
    shipped labels, ``emotion-estimator evaluate --blendshapes`` reads these files. Splits and
    classes without faces have no file.

    :param to_label: (7,), index of the label of each of ``FER_CLASSES``.
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
            # A file of an earlier run must not be mistaken for this one's.
            path.unlink(missing_ok=True)
            if len(rows):
                _write(rows, to_label, path)
                written.append(path)
    return written


def _write(features: FeatureSet, to_label: NDArray[np.int64], path: Path) -> None:
    with path.open('w', newline='') as file:
        csv.writer(file, lineterminator='\n').writerow(_CSV_HEADER)
        for scores, emotion, number, augmented in zip(
            features.blendshapes, features.emotion, features.image_id, features.augmented
        ):
            file.write(
                f'{_CSV_SCORES % tuple(scores)},{to_label[emotion]},{number},'
                f'{FER_CLASSES[emotion]},{int(augmented)}\n'
            )
