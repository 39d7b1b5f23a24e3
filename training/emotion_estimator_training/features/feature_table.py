"""Writes blendshapes as the papers' CSV files: 52 scores, the label, the image's number."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator_training.data.dataset import FER_CLASSES, SPLITS
from emotion_estimator_training.features.feature_set import FeatureSet

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
        parts = {'': part, **{
            f'-{name}': part.where(part.emotion == code) for code, name in enumerate(FER_CLASSES)
        }}
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
