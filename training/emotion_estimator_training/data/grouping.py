"""Counts of images, as the papers' tables 1 and 2 have them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator import strict_yaml
from emotion_estimator.errors import InputError
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
    """FER2013's seven classes as fewer labels.

    :param labels: in output order.
    :param to_label: (7,), index into ``labels`` of each of ``FER_CLASSES``.
    """

    name: str
    labels: tuple[str, ...]
    to_label: NDArray[np.int64]

    @property
    def matrix(self) -> NDArray[np.float32]:
        """Seven probabilities times this (7, labels) are the labels' probabilities."""
        return np.eye(len(self.labels), dtype=np.float32)[self.to_label]


def default_config() -> Path:
    """Return the shipped ``training.yaml``."""
    return CONFIG / 'training.yaml'


def load_grouping(name: str = SHIPPED_GROUPING, config: Path | None = None) -> Grouping:
    """Read a grouping.

    :param config: a YAML file like ``config/training.yaml``; None takes that.
    :raises InputError: it is not there, or a class has no label, two, or is none of FER2013's.
    """
    path = config or default_config()
    labels = _entry(path, 'groupings', name)
    if len(labels) < 2:
        raise InputError(f'{path}: grouping {name} needs two labels or more')
    where: dict[str, int] = {}
    for index, (label, classes) in enumerate(labels.items()):
        if not isinstance(classes, list) or not classes:
            raise InputError(f'{path}: grouping {name}, label {label}: give a list of classes')
        for emotion in classes:
            if emotion not in FER_CLASSES:
                raise InputError(
                    f'{path}: grouping {name}, label {label}: {emotion!r} is none of '
                    f'{", ".join(FER_CLASSES)}'
                )
            if emotion in where:
                raise InputError(f'{path}: grouping {name} gives {emotion} two labels')
            where[emotion] = index
    missing = [emotion for emotion in FER_CLASSES if emotion not in where]
    if missing:
        raise InputError(f'{path}: grouping {name} gives {", ".join(missing)} no label')
    order = np.array([where[emotion] for emotion in FER_CLASSES], np.int64)
    return Grouping(name, tuple(str(label) for label in labels), order)


def load_counts(name: str = 'all', config: Path | None = None) -> dict[str, int]:
    """Read the most images of each class; a class that is missing is taken whole.

    :raises InputError: it is not there, a class is none of FER2013's, or a count is not over 0.
    """
    path = config or default_config()
    counts = _entry(path, 'counts', name)
    for emotion, count in counts.items():
        if emotion not in FER_CLASSES or type(count) is not int or count < 1:
            raise InputError(
                f'{path}: counts {name}: {emotion}: {count}; give one of {", ".join(FER_CLASSES)} '
                'and a whole number over 0'
            )
    return counts


def choose(emotion: NDArray[np.int64], counts: dict[str, int], seed: int) -> NDArray[np.int64]:
    """Return the rows (sorted) that remain when each class keeps at most its count, at random.

    :param emotion: (N,), index into ``FER_CLASSES``.
    """
    rng = np.random.default_rng(seed)
    kept = []
    for code, name in enumerate(FER_CLASSES):
        rows = np.flatnonzero(emotion == code)
        most = counts.get(name, len(rows))
        kept.append(rows if len(rows) <= most else rng.choice(rows, most, replace=False))
    return np.sort(np.concatenate(kept))


def _entry(path: Path, section: str, name: str) -> dict[str, Any]:
    content = strict_yaml.read_yaml(path)
    known = content.get(section) if isinstance(content, dict) else None
    if not isinstance(known, dict) or not isinstance(known.get(name), dict):
        names = ', '.join(known) if isinstance(known, dict) else 'none'
        raise InputError(f'{path} has no {section} named {name!r}; it has: {names}')
    return known[name]


def class_counts(stills: Stills) -> dict[str, dict[str, int]]:
    """Return the images of each class: ``full``, and each of ``SPLITS`` (Table 1)."""
    return {
        name: _by_split(stills, stills.emotion == code) for code, name in enumerate(FER_CLASSES)
    }


def _by_split(stills: Stills, rows: np.ndarray) -> dict[str, int]:
    parts = np.bincount(stills.usage[rows], minlength=len(SPLITS))
    return {'full': int(rows.sum()), **{name: int(n) for name, n in zip(SPLITS, parts)}}


def paper_counts() -> dict[str, dict[str, int]]:
    """Return the paper's Table 1 in the same form."""
    return {
        name: {'full': sum(parts), **dict(zip(SPLITS, parts))}
        for name, parts in PAPER_IMAGES.items()
    }


def report(stills: Stills, counts: dict[str, int], grouping: Grouping, seed: int) -> dict[str, Any]:
    """Return every table of counts.

    :param counts: most images of each class, as :func:`~.grouping.load_counts` reads them.
    :param seed: of the choice among those that are more.
    :returns: ``images``, ``duplicates`` (test images that are in Training too, by split),
        ``table1`` and ``table1_paper`` by class, ``table2`` and ``table2_paper`` (chosen from
        Training; None: all there are), and ``labels``: of the grouping, by label.
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
