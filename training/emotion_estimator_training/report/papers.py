"""The metrics that Attrah 2025 published, next to those measured here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from emotion_estimator.emotion import LABELS
from emotion_estimator_training.tables import markdown_table

#: Attrah 2025, section 5 and Table 4: happy, unknown, sad; rows are the truth. 1,646 images of its
#: own test file, which it does not describe further.
PAPER_CONFUSION = np.array([[251, 35, 5], [110, 850, 150], [21, 140, 84]])
PAPER: dict[str, Any] = {
    'n': int(PAPER_CONFUSION.sum()),
    'loss': 0.6238,
    'cross_entropy': 0.6235,
    'accuracy': 0.7199,
    'macro_f1': 0.6298,
    'precision': dict(zip(LABELS, np.diag(PAPER_CONFUSION) / PAPER_CONFUSION.sum(axis=0))),
    'recall': dict(zip(LABELS, np.diag(PAPER_CONFUSION) / PAPER_CONFUSION.sum(axis=1))),
    'confusion_matrix': PAPER_CONFUSION.tolist(),
}
PAPER_NAME = 'paper, as published'

HEADER = (
    'model',
    'landmark source',
    'images',
    'loss',
    'cross-entropy',
    'accuracy',
    'macro-F1',
    *(f'recall {label}' for label in LABELS),
    'ECE',
)


def comparison(stills: Mapping[str, Any], split: str) -> list[list[str]]:
    """Return rows for ``HEADER``: the paper, then each model and source.

    :param stills: metrics by model, source and split, for the labels happy, unknown and sad.
    """
    rows = [_row(PAPER_NAME, 'face_landmarker', PAPER)]
    for model, sources in stills.items():
        rows += [
            _row(model, source, splits[split])
            for source, splits in sources.items()
            if split in splits
        ]
    return rows


def comparison_markdown(report: Mapping[str, Any], split: str = 'private_test') -> str:
    """Return :func:`comparison` of a ``report.json`` as Markdown, for documents."""
    return markdown_table(HEADER, comparison(report['stills'], split))


def _row(model: str, source: str, metrics: Mapping[str, Any]) -> list[str]:
    cells = [
        *(metrics[key] for key in ('loss', 'cross_entropy', 'accuracy', 'macro_f1')),
        *(metrics['recall'][label] for label in LABELS),
    ]
    ece = f'{metrics["ece"]:.3f}' if 'ece' in metrics else '-'
    return [model, source, f'{metrics["n"]:,}', *(f'{cell:.3f}' for cell in cells), ece]
