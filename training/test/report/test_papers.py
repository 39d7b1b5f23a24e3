"""The published metrics next to ours, and the targets."""

from __future__ import annotations

from emotion_estimator.emotion import LABELS
from emotion_estimator_training.report.papers import HEADER, comparison, comparison_markdown
from emotion_estimator_training.report.targets import targets


def stills(accuracy: float, mesh: float, ece: float = 0.02) -> dict:
    metrics = {
        'n': 3461,
        'loss': 0.6,
        'cross_entropy': 0.6,
        'macro_f1': 0.7,
        'ece': ece,
        'recall': dict.fromkeys(LABELS, 0.5),
    }
    return {
        'streaming': {
            'face_landmarker': {'private_test': {**metrics, 'accuracy': accuracy}},
            'face_mesh': {'private_test': {**metrics, 'accuracy': mesh}},
        }
    }


def test_the_table_begins_with_the_paper() -> None:
    rows = comparison(stills(0.77, 0.768), 'private_test')
    assert [row[:2] for row in rows] == [
        ['paper, as published', 'face_landmarker'],
        ['streaming', 'face_landmarker'],
        ['streaming', 'face_mesh'],
    ]
    assert rows[0][HEADER.index('accuracy')] == '0.720'
    assert '| streaming | face_mesh | 3,461 |' in comparison_markdown(
        {'stills': stills(0.77, 0.768)}
    )


def test_targets_say_what_is_reached() -> None:
    def flips(ratio: float) -> dict:
        return {'face_mesh': {'models': {'streaming': {'30_fps': {'flips_to_dense': ratio}}}}}

    def reached(rows: list) -> list:
        return [row['what'] for row in rows if row['reached']]

    measured = stills(0.83, 0.825)
    for splits in measured['streaming'].values():
        metrics = splits['private_test']
        metrics.update(macro_f1=0.79, recall={**metrics['recall'], 'sad': 0.63})
        splits['private_test_without_duplicates'] = {**metrics, 'accuracy': 0.815}
    seven = {'model': 'fused', 'vocabulary': 'seven', 'duplicates': True, 'source': 'face_mesh'}
    trust = {
        'side_by_side': [{**seven, 'accuracy': 0.71}, {**seven, 'model': 'appearance'}],
        'bytes': 600_000,
        'face_times': {'fused': {'median_ms': 0.9}},
    }
    files = {'streaming': {'share_of_paper': 0.01}}
    good = targets(measured, flips(0.1), files, 'streaming', 'private_test', trust)
    missed = [row['what'] for row in good if not row['reached']]
    assert missed == [
        'accuracy, face_landmarker, without duplicates',
        'accuracy, face_mesh, without duplicates',
    ]
    assert {
        'accuracy of seven, face_mesh',
        'bytes of all shipped weights',
        'milliseconds that a face adds, median',
    } <= set(reached(good))
    poor = targets(
        stills(0.75, 0.73, ece=0.04),
        flips(0.11),
        {},
        'streaming',
        'private_test',
        {
            'side_by_side': [{**seven, 'accuracy': 0.69}],
            'bytes': 600_001,
            'face_times': {'fused': {'median_ms': 1.01}},
        },
    )
    assert reached(poor) == ['macro-F1 lost with face_mesh']
    assert targets({}, {}, {}, 'streaming', 'private_test') == []
