"""Groupings of FER2013's classes into labels, and counts of images by class and label."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator.strict_yaml import read_yaml
from emotion_estimator_training import CONFIG
from emotion_estimator_training.data.stills import (
    FER_CLASSES,
    PAPER_CHOSEN,
    PAPER_IMAGES,
    SPLITS,
    TRAINING,
    Stills,
)

#: The grouping that robots run.
SHIPPED_GROUPING = 'happy-unknown-sad'


@dataclass(frozen=True, eq=False)
class Grouping:
    """A grouping of FER2013's seven classes into labels.

    :param labels: in output order.
    :param to_label: (7,), index into ``labels`` for each of ``FER_CLASSES``.
    """

    name: str
    labels: tuple[str, ...]
    to_label: NDArray[np.int64]

    @property
    def matrix(self) -> NDArray[np.float32]:
        """Matrix (7, labels) that maps probabilities of the classes to those of the labels."""
        return np.eye(len(self.labels), dtype=np.float32)[self.to_label]


def default_config() -> Path:
    """Return the shipped ``training.yaml``."""
    return CONFIG / 'training.yaml'


def load_grouping(name: str = SHIPPED_GROUPING, config: Path | None = None) -> Grouping:
    """Read a grouping.

    :param config: a YAML file like ``config/training.yaml``, the default.
    :raises InputError: it does not exist, or a class is unknown or does not have one label.
    """
    path = config or default_config()
    labels = _entry(path, 'groupings', name)
    if len(labels) < 2:
        raise InputError(f'{path}: grouping {name} needs at least two labels')
    label_of: dict[str, int] = {}
    for index, (label, classes) in enumerate(labels.items()):
        if not isinstance(classes, list) or not classes:
            raise InputError(f'{path}: grouping {name}, label {label}: list its classes')
        for emotion in classes:
            if emotion not in FER_CLASSES:
                raise InputError(
                    f'{path}: grouping {name}, label {label}: {emotion!r} is none of '
                    f'{", ".join(FER_CLASSES)}'
                )
            if emotion in label_of:
                raise InputError(f'{path}: grouping {name} gives {emotion} two labels')
            label_of[emotion] = index
    missing = [emotion for emotion in FER_CLASSES if emotion not in label_of]
    if missing:
        raise InputError(f'{path}: grouping {name} gives {", ".join(missing)} no label')
    order = np.array([label_of[emotion] for emotion in FER_CLASSES], np.int64)
    return Grouping(name, tuple(str(label) for label in labels), order)


def load_counts(name: str = 'all', config: Path | None = None) -> dict[str, int]:
    """Read the maximum number of images of each class; a class that is not listed has no maximum.

    :param config: as for :func:`load_grouping`.
    :raises InputError: it does not exist, a class is unknown, or a count is not positive.
    """
    path = config or default_config()
    counts = _entry(path, 'counts', name)
    for emotion, count in counts.items():
        if emotion not in FER_CLASSES or type(count) is not int or count < 1:
            raise InputError(
                f'{path}: counts {name}: {emotion}: {count}; give one of {", ".join(FER_CLASSES)} '
                'and an integer of at least 1'
            )
    return counts


def choose(emotion: NDArray[np.int64], counts: dict[str, int], seed: int) -> NDArray[np.int64]:
    """Return a random sample of rows (sorted) with at most ``counts`` images of each class.

    :param emotion: (N,), index into ``FER_CLASSES``.
    :param counts: as :func:`load_counts` returns them.
    """
    rng = np.random.default_rng(seed)
    kept = []
    for code, name in enumerate(FER_CLASSES):
        rows = np.flatnonzero(emotion == code)
        maximum = counts.get(name, len(rows))
        kept.append(rows if len(rows) <= maximum else rng.choice(rows, maximum, replace=False))
    return np.sort(np.concatenate(kept))


def _entry(path: Path, section: str, name: str) -> dict[str, Any]:
    content = read_yaml(path)
    known = content.get(section) if isinstance(content, dict) else None
    entry = known.get(name) if isinstance(known, dict) else None
    if not isinstance(entry, dict):
        names = ', '.join(known) if isinstance(known, dict) else 'none'
        raise InputError(f'{path} has no {section} named {name!r}; it has: {names}')
    return entry


def class_counts(stills: Stills) -> dict[str, dict[str, int]]:
    """Return the number of images of each class: ``full`` and by split (Attrah 2025, Table 1)."""
    return {
        name: _by_split(stills, stills.emotion == code) for code, name in enumerate(FER_CLASSES)
    }


def _by_split(stills: Stills, rows: NDArray[np.bool_]) -> dict[str, int]:
    parts = np.bincount(stills.usage[rows], minlength=len(SPLITS))
    return {'full': int(rows.sum()), **{name: int(n) for name, n in zip(SPLITS, parts)}}


def paper_counts() -> dict[str, dict[str, int]]:
    """Return the paper's Table 1 in the form of :func:`class_counts`."""
    return {
        name: {'full': sum(parts), **dict(zip(SPLITS, parts))}
        for name, parts in PAPER_IMAGES.items()
    }


def report(stills: Stills, counts: dict[str, int], grouping: Grouping, seed: int) -> dict[str, Any]:
    """Return every table of counts.

    :param counts: maximum number of images of each class, as :func:`load_counts` returns them.
    :param seed: for the random selection from classes with more images.
    :returns: ``images``, ``duplicates`` (test images that are also in Training, by split),
        ``table1`` and ``table1_paper`` by class, ``table2`` and ``table2_paper`` (selected from
        Training; None is all), and ``labels``, counts by label of the grouping.
    """
    training = stills.emotion[stills.usage == TRAINING]
    chosen = training[choose(training, counts, seed)]
    labels = grouping.to_label[stills.emotion]
    return {
        'images': len(stills),
        'duplicates': _by_split(stills, stills.duplicate),
        'table1': class_counts(stills),
        'table1_paper': paper_counts(),
        'table2': {name: int(n) for name, n in zip(FER_CLASSES, np.bincount(chosen, minlength=7))},
        'table2_paper': {name: PAPER_CHOSEN.get(name) for name in FER_CLASSES},
        'grouping': grouping.name,
        'labels': {
            label: {
                **_by_split(stills, labels == index),
                'chosen': int((grouping.to_label[chosen] == index).sum()),
            }
            for index, label in enumerate(grouping.labels)
        },
    }
