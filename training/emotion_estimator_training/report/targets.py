"""The targets of the shipped models, and which of them the measurements reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: Targets on PrivateTest, as decided before the models were trained.
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


def targets(
    stills: Mapping[str, Any],
    stability: Mapping[str, Any],
    files: Mapping[str, Any],
    model: str,
    split: str,
    trust: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Return each target with the measured value and whether it is reached.

    Targets whose value was not measured are left out.

    :param stills: metrics by model, source and split.
    :param stability: by source, of :func:`~.stability.compare_stability`.
    :param files: facts by model, with ``share_of_paper`` if it was timed.
    :param model: name of the shipped model in these.
    :param trust: of :func:`~.trust.measure_trust`: seven expressions, bytes, time.
    :returns: rows with ``what``, ``target``, ``measured`` and ``reached``.
    """
    trust = trust or {}
    by_source = stills.get(model, {})
    sources = {name: splits[split] for name, splits in by_source.items() if split in splits}
    unique = f'{split}_without_duplicates'
    parts = {name: splits[unique] for name, splits in by_source.items() if unique in splits}
    return [
        *_still_rows(sources, ''),
        *_still_rows(parts, ', without duplicates'),
        *_seven_rows(trust),
        *_source_rows(sources),
        *_flip_rows(stability, model),
        *_cost_rows(trust, files.get(model, {}).get('share_of_paper')),
    ]


def _at_least(key: str, what: str, value: float) -> dict[str, Any]:
    return {
        'what': what,
        'target': f'at least {TARGETS[key]}',
        'measured': value,
        'reached': bool(value >= TARGETS[key]),
    }


def _at_most(key: str, what: str, value: float) -> dict[str, Any]:
    return {
        'what': what,
        'target': f'at most {TARGETS[key]:,}',
        'measured': value,
        'reached': bool(value <= TARGETS[key]),
    }


def _still_rows(sources: Mapping[str, Any], ending: str) -> Iterator[dict[str, Any]]:
    for name, metrics in sources.items():
        for key, value in (
            ('accuracy', metrics['accuracy']),
            ('macro_f1', metrics['macro_f1']),
            ('recall_sad', metrics['recall']['sad']),
        ):
            yield _at_least(key, f'{_WORDS[key]}, {name}{ending}', value)


def _seven_rows(trust: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for one in trust.get('side_by_side', ()):
        if (one['model'], one['vocabulary']) == ('fused', 'seven'):
            ending = '' if one['duplicates'] else ', without duplicates'
            yield _at_least('seven', f'accuracy of seven, {one["source"]}{ending}', one['accuracy'])


def _source_rows(sources: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    teacher, mesh = sources.get('face_landmarker'), sources.get('face_mesh')
    if teacher and mesh:
        for key in ('accuracy', 'macro_f1'):
            behind = round(teacher[key] - mesh[key], 4)
            yield _at_most('mesh_behind', f'{_WORDS[key]} lost with face_mesh', behind)
    for name, metrics in sources.items():
        yield _at_most('ece', f'calibration error, {name}', metrics['ece'])


def _flip_rows(stability: Mapping[str, Any], model: str) -> Iterator[dict[str, Any]]:
    for name, compared in stability.items():
        ratio = compared['models'].get(model, {}).get('30_fps', {}).get('flips_to_dense')
        if ratio is not None:
            yield _at_most(
                'flips_to_dense', f"flips on steady faces, share of dense's, {name}, 30 fps", ratio
            )


def _cost_rows(trust: Mapping[str, Any], share: float | None) -> Iterator[dict[str, Any]]:
    for key, what, value in (
        ('bytes', 'bytes of all shipped weights', trust.get('bytes')),
        (
            'added_ms',
            'milliseconds that a face adds, median',
            trust.get('face_times', {}).get('fused', {}).get('median_ms'),
        ),
        ('share_of_paper', "share of the time of the paper's network in its fastest form", share),
    ):
        if value is not None:
            yield _at_most(key, what, value)
