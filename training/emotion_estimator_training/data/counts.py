"""Counts of images, as the papers' tables 1 and 2 have them."""

from __future__ import annotations

from typing import Any

import numpy as np

from emotion_estimator_training.data.dataset import FER_CLASSES, SPLITS, TRAINING, Stills
from emotion_estimator_training.data.fer2013 import PAPER_CHOSEN, PAPER_IMAGES
from emotion_estimator_training.data.grouping import Grouping, choose


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
        'table2': {
            name: int(n) for name, n in zip(FER_CLASSES, np.bincount(chosen, minlength=7))
        },
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
