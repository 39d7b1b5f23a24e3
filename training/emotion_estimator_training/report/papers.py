"""What the paper reports, beside what this repository measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from emotion_estimator.emotion import LABELS
from emotion_estimator_training.tables import markdown_table

#: Attrah 2025, section 5 and Table 4: happy, unknown, sad; rows are the truth. 1,646 images of a
#: test file of its own, of which it says no more.
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

#: What the shipped models shall reach on PrivateTest, as it was decided before they were trained.
TARGETS: dict[str, float] = {
    'accuracy': 0.82,
    'macro_f1': 0.78,
    'recall_sad': 0.62,
    'seven': 0.70,
    'mesh_behind': 0.01,
    'ece': 0.03,
    'flips_to_dense': 0.1,
    'bytes': 600_000,
    'added_ms': 1.0,
    'share_of_paper': 0.05,
}
_WORDS = {'accuracy': 'accuracy', 'macro_f1': 'macro-F1', 'recall_sad': 'recall of sad'}

HEADER = (
    'model',
    'landmark source',
    'images',
    'loss',
    'cross-entropy',
    'accuracy',
    'macro-F1',
    'recall happy',
    'recall unknown',
    'recall sad',
    'ECE',
)


def comparison(stills: Mapping[str, Any], split: str) -> list[list[str]]:
    """Return the rows, under ``HEADER``, of the paper and of each model and source.

    :param stills: figures by model, source and split, of the labels happy, unknown and sad.
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
    """Return the table papers / ours of a ``report.json`` as Markdown, for documents."""
    return markdown_table(HEADER, comparison(report['stills'], split))


def _row(model: str, source: str, figures: Mapping[str, Any]) -> list[str]:
    recall = figures['recall']
    cells = [
        figures['loss'],
        figures['cross_entropy'],
        figures['accuracy'],
        figures['macro_f1'],
        *(recall[label] for label in LABELS),
    ]
    ece = f'{figures["ece"]:.3f}' if 'ece' in figures else '-'
    return [model, source, f'{figures["n"]:,}', *(f'{cell:.3f}' for cell in cells), ece]


def targets(
    stills: Mapping[str, Any],
    stability: Mapping[str, Any],
    files: Mapping[str, Any],
    model: str,
    split: str,
    trust: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Return what the shipped models shall reach, what they reach, and whether that is enough.

    Rows whose figures were not measured are left out.

    :param stills: figures by model, source and split; ``stability`` by source, of ``compare``;
        ``files`` by model, with ``share_of_paper`` where it was timed.
    :param trust: of :func:`~.trust_report.measure_trust`: the seven expressions, bytes, time.
    """
    sources = {
        name: splits[split] for name, splits in stills.get(model, {}).items() if split in splits
    }
    teacher, mesh = sources.get('face_landmarker'), sources.get('face_mesh')
    rows: list[tuple[str, str, float, bool]] = []
    parts = {
        name: splits[f'{split}_without_duplicates']
        for name, splits in stills.get(model, {}).items()
        if f'{split}_without_duplicates' in splits
    }
    for ending, some in (('', sources), (', without duplicates', parts)):
        for name, figures in some.items():
            reached = {
                'accuracy': figures['accuracy'],
                'macro_f1': figures['macro_f1'],
                'recall_sad': figures['recall']['sad'],
            }
            rows += [
                (
                    f'{_WORDS[key]}, {name}{ending}',
                    f'at least {TARGETS[key]}',
                    value,
                    value >= TARGETS[key],
                )
                for key, value in reached.items()
            ]
    for one in (trust or {}).get('side_by_side', ()):
        if (one['model'], one['vocabulary']) == ('fused', 'seven'):
            ending = '' if one['duplicates'] else ', without duplicates'
            rows.append(
                (
                    f'accuracy of seven, {one["source"]}{ending}',
                    f'at least {TARGETS["seven"]}',
                    one['accuracy'],
                    one['accuracy'] >= TARGETS['seven'],
                )
            )
    if teacher and mesh:
        for key in ('accuracy', 'macro_f1'):
            behind = round(teacher[key] - mesh[key], 4)
            rows.append(
                (
                    f'{_WORDS[key]} lost with face_mesh',
                    f'at most {TARGETS["mesh_behind"]}',
                    behind,
                    behind <= TARGETS['mesh_behind'],
                )
            )
    for name, figures in sources.items():
        rows.append(
            (
                f'calibration error, {name}',
                f'at most {TARGETS["ece"]}',
                figures['ece'],
                figures['ece'] <= TARGETS['ece'],
            )
        )
    for name, compared in stability.items():
        ratio = compared['models'].get(model, {}).get('30_fps', {}).get('flips_to_dense')
        if ratio is not None:
            rows.append(
                (
                    f"flips on held faces, share of dense's, {name}, 30 fps",
                    f'at most {TARGETS["flips_to_dense"]}',
                    ratio,
                    ratio <= TARGETS['flips_to_dense'],
                )
            )
    share = files.get(model, {}).get('share_of_paper')
    for key, words, value in (
        ('bytes', 'bytes of all shipped weights', (trust or {}).get('bytes')),
        (
            'added_ms',
            'milliseconds that a face adds, median',
            (trust or {}).get('pace', {}).get('fused', {}).get('median_ms'),
        ),
        ('share_of_paper', "share of the time of the paper's network in its fastest form", share),
    ):
        if value is not None:
            rows.append((words, f'at most {TARGETS[key]:,}', value, value <= TARGETS[key]))
    return [
        {'what': what, 'target': target, 'measured': value, 'reached': bool(good)}
        for what, target, value, good in rows
    ]
