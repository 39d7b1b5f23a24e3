"""The report's tables as header and rows, and as Markdown for documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emotion_estimator.emotion import LABELS
from emotion_estimator_training.evaluation.recognizers import BRANCHES
from emotion_estimator_training.evaluation.side_by_side import LABELS_OF
from emotion_estimator_training.evaluation.threshold_curve import Curves
from emotion_estimator_training.report.papers import PAPER, PAPER_NAME
from emotion_estimator_training.tables import markdown_table

Rows = Sequence[Mapping[str, Any]]

TIME_HEADER = (
    'rate',
    'model',
    'flips/s, steady',
    "share of dense's",
    'right while steady',
    'median delay s',
    '95th percentile s',
    'never',
    'changes',
)
#: Titles of the vocabularies.
_VOCABULARIES = {'three': 'three labels', 'seven': 'seven expressions'}


def number(value: Any) -> str:
    """Return a value as the report shows it; ``-`` for None."""
    if value is None:
        return '-'
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if isinstance(value, float):
        return f'{value:.3f}'
    return f'{value:,}' if isinstance(value, int) else str(value)


def time_rows(compared: Mapping[str, Any]) -> list[list[str]]:
    """Return rows for ``TIME_HEADER``.

    :param compared: one source's :func:`~.stability.compare_stability`.
    """
    rates = [key for key in next(iter(compared['models'].values())) if key.endswith('_fps')]
    return [
        [
            rate.replace('_', ' '),
            name,
            *(
                number(metrics[rate].get(key))
                for key in (
                    'flips_per_s',
                    'flips_to_dense',
                    'right_while_steady',
                    'median_s',
                    'p95_s',
                    'never',
                    'changes',
                )
            ),
        ]
        for rate in rates
        for name, metrics in compared['models'].items()
    ]


def video_table(videos: Rows) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the flips on tracked videos.

    :param videos: of :func:`~.stability.video_flips`.
    """
    names = list(videos[0]['flips']) if videos else []
    return (
        ['video', 'source', 'seconds', 'changes shown', *names],
        [
            [
                row['video'],
                row['source'],
                number(row['seconds']),
                number(row['changes_shown']),
                *(number(row['flips'][name]) for name in names),
            ]
            for row in videos
        ],
    )


def trust_tables(trust: Mapping[str, Any]) -> dict[str, str]:
    """Return the tables of the report's part on trust as Markdown, by title.

    :param trust: the metrics of :func:`~.trust.measure_trust`.
    """
    tables: dict[str, str] = {}
    for vocabulary, words in _VOCABULARIES.items():
        for duplicates in (True, False):
            ending = '' if duplicates else ', without the images that Training has too'
            tables[f'Side by side, {words}, {trust["split"]}{ending}'] = side_by_side_table(
                trust['side_by_side'], vocabulary, duplicates
            )
    tables['Milliseconds per face behind the landmark source, in turns'] = face_time_table(
        trust['face_times']
    )
    for source, calibration in trust['sure'].items():
        tables[f'Calibration and abstention, {source}'] = _calibration_table(
            calibration['branches']
        )
    for source, curves in trust['thresholds'].items():
        title = f'Thresholds, {trust["model"]}, {source}, {trust["split"]}'
        tables[title] = threshold_table(curves)
    for source, rows in trust['occlusion'].items():
        tables[f'Covered faces, {source}'] = occlusion_table(rows)
    for source, rows in trust['conditions'].items():
        tables[f'Hard stills, {source}'] = _condition_table([*rows, *trust['yaw'].get(source, ())])
    for vocabulary in _VOCABULARIES if trust['clips'] else ():
        tables[f'Clips, vocabulary {vocabulary}'] = clip_table(trust['clips'], vocabulary)
    tables['Adaptation to a face at rest, on made sequences'] = neutral_gain_table(trust['neutral'])
    return tables


def side_by_side_table(rows: Rows, vocabulary: str, duplicates: bool) -> str:
    """Return one vocabulary's rows as Markdown, with the paper's first for three labels.

    :param rows: of :func:`~.side_by_side.comparison_metrics`.
    :param duplicates: whether to show the rows with or without duplicates.
    """
    labels = LABELS_OF[vocabulary]
    header = [
        'model',
        'landmark source',
        'faces',
        'coverage',
        'accuracy',
        'macro-F1',
        *(f'recall {label}' for label in labels),
        'ECE',
        'accuracy of all',
        'bytes',
    ]
    cells: list[list[str]] = []
    if vocabulary == 'three':
        cells.append(
            [
                PAPER_NAME,
                'face_landmarker',
                f'{PAPER["n"]:,}',
                '-',
                _share(PAPER['accuracy']),
                _share(PAPER['macro_f1']),
                *(_share(PAPER['recall'][label]) for label in labels),
                '-',
                '-',
                '-',
            ]
        )
    for one in rows:
        if (one['vocabulary'], one['duplicates']) != (vocabulary, duplicates):
            continue
        note = f' ({one["note"]})' if one['note'] and vocabulary == 'three' else ''
        cells.append(
            [
                one['model'] + note,
                one['source'],
                f'{one["n"]:,}',
                f'{one["coverage"]:.4f}',
                _share(one['accuracy']),
                _share(one['macro_f1']),
                *(_share(one['recall'][label]) for label in labels),
                _share(one['ece']),
                _share(one['accuracy_of_all']),
                f'{one["bytes"]:,}',
            ]
        )
    return markdown_table(header, cells)


def face_time_table(times: Mapping[str, Mapping[str, float]]) -> str:
    """Return :func:`~.side_by_side.face_times` as Markdown."""
    return markdown_table(
        ['network', 'median', '95th percentile'],
        [[name, _share(one['median_ms']), _share(one['p95_ms'])] for name, one in times.items()],
    )


def _calibration_table(branches: Mapping[str, Mapping[str, Any]]) -> str:
    return markdown_table(
        [
            'branch',
            'ECE before',
            'ECE after',
            'mean risk',
            'abstain_below',
            'answered',
            'accuracy',
            'macro-F1',
        ],
        [
            [
                branch,
                *(_share(one[key]) for key in ('ece_before', 'ece', 'aurc')),
                f'{row["abstain_below"]:g}',
                *(_share(row[key]) for key in ('answered', 'accuracy', 'macro_f1')),
            ]
            for branch, one in branches.items()
            for row in one['thresholds']
        ],
    )


def threshold_table(curves: Curves) -> str:
    """Return :func:`~.threshold_curve.threshold_curves` as Markdown, a row for each value.

    What ``sad_threshold`` gives stands beside what ``happy_threshold`` gives; in brackets are the
    numbers of faces.
    """
    columns = {
        'neutral_told': 'neutral ({n_neutral:,}) reported {label}',
        'recall': 'recall of {label} ({n_label:,})',
        'precision': 'precision of {label}',
        'macro_f1': 'macro-F1',
    }
    return markdown_table(
        [
            'threshold',
            *(
                words.format(label=label, **rows[0])
                for label, rows in curves.items()
                for words in columns.values()
            ),
        ],
        [
            [
                f'{beside[0]["threshold"]:g}' if beside[0]['threshold'] else 'none',
                *(_share(row[key]) for row in beside for key in columns),
            ]
            for beside in zip(*curves.values())
        ],
    )


def threshold_document(curves: Mapping[str, Curves]) -> str:
    """Return tables of thresholds as ``out/thresholds/*.md`` holds them for docs/accuracy.md.

    :param curves: by what was measured on, such as ``emotion_lstm-4.0.0, 1,100 photographs``.
    """
    return ''.join(
        f'Thresholds, {title}:\n\n{threshold_table(each)}\n\n' for title, each in curves.items()
    )


def occlusion_table(rows: Rows) -> str:
    """Return :func:`~.trust.falls` as Markdown."""
    return markdown_table(
        [
            'covered',
            'branch',
            'faces found',
            'accuracy',
            'uncovered',
            'fall',
            'more than fused (95 %)',
            'macro-F1',
            'uncovered',
            'fall',
        ],
        [
            [
                one['cover'],
                one['branch'],
                f'{one["n"]:,}',
                *(_share(one[key]) for key in ('accuracy', 'uncovered_accuracy', 'fall')),
                ''
                if one['branch'] == 'fused'
                else f'{one["more_than_fused"]:+.3f} ± {one["margin"]:.3f}',
                *(_share(one[key]) for key in ('macro_f1', 'uncovered_macro_f1', 'macro_f1_fall')),
            ]
            for one in rows
        ],
    )


def _condition_table(rows: Rows) -> str:
    metrics = {'accuracy': 'accuracy', 'macro_f1': 'macro-F1'}
    return markdown_table(
        [
            'changed',
            'how much',
            'images',
            'face found',
            *(f'{words}, {branch}' for words in metrics.values() for branch in BRANCHES),
        ],
        [
            [
                row['what'],
                row['how_much'],
                row['images'],
                _share(row['found']),
                *(_share(row.get(branch, {}).get(key)) for key in metrics for branch in BRANCHES),
            ]
            for row in rows
        ],
    )


def clip_table(rows: Rows, vocabulary: str) -> str:
    """Return one vocabulary's rows of :func:`~.clip_reading.clip_metrics` as Markdown."""
    return markdown_table(
        [
            'clip',
            'landmark source',
            'branch',
            'frames',
            'video = stills',
            'flips/s, video',
            'flips/s, stills',
            'shown',
            'called so, video',
            'called so, stills',
            'most, video',
        ],
        [
            [
                one['video'],
                one['source'],
                one['branch'],
                one['frames'],
                _share(one['agreement']),
                f'{one["flips_per_s"]:.2f}',
                f'{one["stills_flips_per_s"]:.2f}',
                one['shown'] or '-',
                _share(one['right']),
                _share(one['stills_right']),
                one['most'],
            ]
            for one in rows
            if one['vocabulary'] == vocabulary
        ],
    )


def neutral_gain_table(rows: Rows) -> str:
    """Return :func:`~.neutral_gain.neutral_gain` as Markdown."""
    return markdown_table(
        [
            'landmark source',
            'branch',
            'begins',
            'adaptation',
            'faces',
            'accuracy',
            'macro-F1',
            *(f'recall {label}' for label in LABELS),
        ],
        [
            [
                one['source'],
                one['branch'],
                one['case'],
                f'{one["baseline"]:g} s' if one['baseline'] else 'off',
                one['n'],
                _share(one['accuracy']),
                _share(one['macro_f1']),
                *(_share(one['recall'][label]) for label in LABELS),
            ]
            for one in rows
        ],
    )


def _share(value: float | None) -> str:
    return '-' if value is None else f'{value:.3f}'
