"""The report of a run: ``zoo.md``, ``zoo.json``, ``zoo.png``, ``curves.png`` (docs/zoo.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_estimator_training.zoo.curves import curves_chart, trained_networks
from emotion_estimator_training.zoo.data.video_set import VideoSet, class_counts
from emotion_estimator_training.zoo.intervals import above_chance, baselines
from emotion_estimator_training.zoo.metrics import Result
from emotion_estimator_training.zoo.ordering import (
    describe_ordering,
    paper_claims,
    paper_ordering,
)
from emotion_estimator_training.zoo.pictures import comparison_chart

PICTURE, CURVES, PAGE, TABLE = 'zoo.png', 'curves.png', 'zoo.md', 'zoo.json'
#: What the curves show, for readers who do not see them.
CURVES_TEXT = 'Training and validation loss, validation accuracy and macro-F1, by epoch'

#: Columns of the main table: key of a result, heading, format.
_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ('accuracy', 'accuracy', 'interval'),
    ('macro_f1', 'macro-F1', 'interval'),
    ('strong_accuracy', 'at its apex', '.3f'),
    ('clip_accuracy', 'clips right', 'interval'),
    ('by_seed', 'by seed', 'seeds'),
    ('flips_per_second', 'flips/s', '.2f'),
    ('parameters', 'parameters', ',d'),
    ('bytes', 'kB', 'kB'),
    ('ms_per_frame', 'ms/frame', '.2f'),
    ('covered_accuracy', 'mouth covered', '.3f'),
    ('saw', 'saw', 's'),
)
#: Comparisons of Pua et al. (tables 4 to 6): title, and the row heading of each model.
_COMPARISONS = (
    ('Colour against grey (Pua et al., table 4)', {'microx': 'colour', 'microx:grey': 'grey'}),
    (
        'Full face against parts (Pua et al., table 5)',
        {
            'microx:face': 'full face',
            'microx:parts': 'parts',
            'microx': 'parts and full face',
        },
    ),
    (
        'Accuracy of each part alone (Pua et al., table 6)',
        {
            f'microx:{part}': part.replace('_', ' ')
            for part in ('left_eyebrow', 'right_eyebrow', 'left_eye', 'right_eye', 'nose', 'mouth')
        },
    ),
)


@dataclass(frozen=True)
class ReportFacts:
    """What the report states about the run as a whole.

    :param name: what the report calls the set.
    :param size: of the models: ``paper`` or ``reduced``.
    :param hop: models are queried at every so many frames of the test clips.
    :param notes: warnings and remarks, printed in bold.
    :param problems: one line for each kind of clips that were left out.
    """

    name: str
    size: str
    hop: int
    notes: Sequence[str]
    problems: Sequence[str]


def joined_notes(notes: Sequence[str], models: Sequence[str]) -> list[str]:
    """Return notes in order, those that say the same of several models as one.

    :param models: names that notes may begin with.
    """
    found: dict[str, list[str]] = {}
    for note in notes:
        name, _, rest = note.partition(' ')
        if name in models:
            found.setdefault(rest, []).append(name)
        else:
            found.setdefault(note, [])
    return [
        f'{", ".join(names)}{": each" if len(names) > 1 else ""} {rest}'.lstrip()
        for rest, names in found.items()
    ]


def write_report(
    results: Sequence[Result], video: VideoSet, facts: ReportFacts, folder: Path
) -> None:
    """Write the results as Markdown, JSON and charts into ``folder``.

    :param folder: of the run; its ``models`` have the histories that learning curves are drawn of.
    """
    measured = [one for one in results if 'accuracy' in one]
    title = f'{facts.name}: {len(video.tracks["test"])} test clips, {facts.size} models'
    nothing = baselines(video.tracks['train'], video.tracks['test'], video.classes)
    if measured:
        (folder / PICTURE).write_bytes(comparison_chart(measured, title, nothing))
    networks = trained_networks(folder / 'models', results)
    if networks:
        (folder / CURVES).write_bytes(curves_chart(networks))
    else:
        # Of an earlier run, of other models.
        (folder / CURVES).unlink(missing_ok=True)
    curves = CURVES if networks else ''
    (folder / PAGE).write_text(
        report_page(results, _introduction(video, facts), facts, PICTURE, nothing, curves)
    )
    content = {
        'data': facts.name,
        'classes': list(video.classes),
        'rate': video.rate,
        'size': facts.size,
        'hop': facts.hop,
        'notes': list(facts.notes),
        'problems': list(facts.problems),
        'clips': {part: len(tracks) for part, tracks in video.tracks.items()},
        'subjects': {
            part: len({track.clip.subject for track in tracks})
            for part, tracks in video.tracks.items()
        },
        'baselines': nothing,
        'order': paper_ordering({one['model']: one for one in results}),
        'claims': paper_claims({one['model']: one for one in results}),
        'models': list(results),
    }
    (folder / TABLE).write_text(json.dumps(content, indent=1) + '\n')


def _introduction(video: VideoSet, facts: ReportFacts) -> list[str]:
    parts = ' '.join(
        f'{part.capitalize()}: {len(tracks)} clips ({class_counts(tracks, video.classes)}).'
        for part, tracks in video.tracks.items()
    )
    return [
        f'Clips of {facts.name}, {video.rate:g} frames per second. {parts}',
        f'Models: {facts.size}. All are queried at the same times, every {facts.hop} frame(s) of '
        "the test clips, with a window that ends there; the clip's label is the truth. "
        'Milliseconds are the median processor time for cutting the inputs of one more frame and '
        'running the TFLite file, without landmark detection. The shipped networks take one step '
        'for it, the others run their complete window. For models that read embeddings of the '
        'shipped appearance network, size and time include that network; parameters do not.',
        'In brackets: 95 % intervals of a bootstrap over the test subjects. Accuracy, macro-F1 and '
        'clips right are means over the seeds, whose accuracies stand beside them; everything else '
        'is of the first seed.',
    ]


def report_page(
    results: Sequence[Result],
    introduction: Sequence[str],
    facts: ReportFacts,
    picture: str,
    nothing: Mapping[str, Any],
    curves: str = '',
) -> str:
    """Return the report in Markdown.

    :param introduction: paragraphs below the title.
    :param picture: file name of the chart.
    :param nothing: what :func:`~.intervals.baselines` returns.
    :param curves: file name of the learning curves; empty without any.
    """
    by_name = {one['model']: one for one in results}
    measured = [one for one in results if 'accuracy' in one]
    parts = ['# The zoo on one set of clips', *introduction]
    parts += [f'- **{note}**' for note in facts.notes]
    parts += [
        markdown(*results_table(measured, nothing)),
        f'![Accuracy, macro-F1, flips, size and time]({picture})',
    ]
    failed = [f'- {one["model"]}: {one["failed"]}' for one in results if 'failed' in one]
    if failed:
        parts.append('## Not measured\n\n' + '\n'.join(failed))
    kinds = kinds_table(measured)
    if kinds is not None:
        parts.append(f'## Kinds of clips: share of right ones\n\n{markdown(*kinds)}')
    claims = claims_table(paper_claims(by_name))
    if claims is not None:
        parts.append(f"## The papers' claims\n\n{markdown(*claims)}")
    ordering = paper_ordering(by_name)
    if ordering:
        parts.append(
            '## Sequence models above aggregation above single frames?\n\n'
            + describe_ordering(ordering)
        )
    for title, head, rows in comparisons(by_name):
        parts.append(f'## {title}\n\n{markdown(head, rows)}')
    if curves:
        parts.append(f'## Learning curves\n\n![{CURVES_TEXT}]({curves})')
    for one in measured:
        parts.append(_details(one))
    if facts.problems:
        parts.append('## Clips left out\n\n' + '\n'.join(f'- {one}' for one in facts.problems))
    return '\n\n'.join(parts) + '\n'


def results_table(
    results: Sequence[Result], nothing: Mapping[str, Any] | None = None
) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of the table of all models; ``-`` where a metric is missing.

    :param nothing: what :func:`~.intervals.baselines` returns, for rows of their own and for what
        is not above them.
    """
    head = ['model', *(name for _, name, _ in _COLUMNS)]
    rows = [
        [one['model'], *(_formatted(one, key, form) for key, _, form in _COLUMNS)]
        for one in results
    ]
    if nothing is None:
        return head, rows
    for one, row in zip(results, rows):
        if not above_chance(one, dict(nothing)):
            row[1] += ', not above chance'
    empty = ['-'] * (len(_COLUMNS) - 1)
    rows.append(['chance', f'{nothing["chance"]:.3f}', *empty])
    rows.append([f'always {nothing["class"]}', f'{nothing["majority"]:.3f}', *empty])
    return head, rows


def kinds_table(results: Sequence[Result]) -> tuple[list[str], list[list[str]]] | None:
    """Return head and rows of the share of right clips by kind; None if clips have no kinds."""
    counts = {kind: cells[0] for one in results for kind, cells in one.get('by_kind', {}).items()}
    if not counts:
        return None
    head = ['model', *(f'{kind} ({count})' for kind, count in counts.items())]
    rows = []
    for one in results:
        cells = [one.get('by_kind', {}).get(kind) for kind in counts]
        rows.append([one['model'], *('-' if cell is None else _bounds(cell[1:]) for cell in cells)])
    return head, rows


def claims_table(
    claims: Sequence[Mapping[str, Any]],
) -> tuple[list[str], list[list[str]]] | None:
    """Return head and rows of what :func:`~.ordering.paper_claims` returns; None without any."""
    rows = [[one['claim'], one['verdict'], one['evidence']] for one in claims]
    return (['claim', 'here', 'difference in accuracy'], rows) if rows else None


def _formatted(one: Result, key: str, form: str) -> str:
    value = one.get(key)
    if form == 'interval':
        return _bounds(one.get('interval', {}).get(key) or [value])
    if form == 'seeds':
        seeds = (value or {}).get('accuracy', [])
        return ' '.join(f'{each:.3f}' for each in seeds) if len(seeds) > 1 else '-'
    if value is None:
        return '-'
    return f'{value / 1000:,.0f}' if form == 'kB' else format(value, form)


def _bounds(values: Sequence[float | None]) -> str:
    """Return a figure and its interval as text."""
    value, *bounds = values
    if value is None:
        return '-'
    known = [f'{bound:.3f}' for bound in bounds if bound is not None]
    return f'{value:.3f} [{", ".join(known)}]' if known else f'{value:.3f}'


def markdown(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a Markdown table with the first column left-aligned, the others right-aligned."""
    lines = ['| ' + ' | '.join(head) + ' |', '|---|' + '---:|' * (len(head) - 1)]
    lines += ['| ' + ' | '.join(map(str, row)) + ' |' for row in rows]
    return '\n'.join(lines)


def comparisons(results: Mapping[str, Result]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return Pua et al.'s comparisons whose models were run, each as title, head and rows.

    :param results: by model.
    """
    found = []
    for title, names in _COMPARISONS:
        rows = [
            [heading, f'{results[name]["accuracy"]:.3f}', f'{results[name]["macro_f1"]:.3f}']
            for name, heading in names.items()
            if 'accuracy' in results.get(name, {})
        ]
        if len(rows) > 1:
            found.append((title, ['model', 'accuracy', 'macro-F1'], rows))
    covered = [
        [
            name,
            f'{one["accuracy"]:.3f}',
            f'{one["covered_accuracy"]:.3f}',
            f'{one["covered_accuracy"] - one["accuracy"]:+.3f}',
        ]
        for name, one in results.items()
        if one.get('covered_accuracy') is not None
    ]
    if covered:
        found.append(
            (
                'Mouth covered against uncovered (Pua et al., table 3)',
                ['model', 'uncovered', 'covered', 'difference'],
                covered,
            )
        )
    return found


def _details(one: Result) -> str:
    classes = list(one['f1'])
    each = [
        [metric, *(f'{one[key][name]:.3f}' for name in classes), f'{one[average]:.3f}']
        for metric, key, average in (
            ('precision', 'precision', 'macro_precision'),
            ('recall', 'recall', 'macro_recall'),
            ('F1', 'f1', 'macro_f1'),
        )
    ]
    confusions = [[f'truth {name}', *row] for name, row in zip(classes, one['confusion_matrix'])]
    rest = [[name, *cells.values()] for name, cells in one['one_against_rest'].items()]
    second = [
        [name, *(cells.get(other, '') for other in classes)]
        for name, cells in one['second'].items()
    ]
    return '\n\n'.join(
        [
            f'## {one["model"]}: {one["description"]}',
            f'Accuracy {one["accuracy"]:.3f}, expected calibration error {one["ece"]:.3f}, '
            f'{one["n"]} queries; window of {one["window"]} frames; '
            f'trained in {one["fit_seconds"]:.0f} s, {one["epochs"]} epochs.',
            markdown(['', *classes, 'average'], each),
            markdown(['predicted', *classes], confusions),
            *([f'![Confusions]({one["confusions"]})'] if 'confusions' in one else []),
            markdown(
                [
                    'against the rest',
                    'true negative',
                    'false positive',
                    'false negative',
                    'true positive',
                ],
                rest,
            ),
            markdown(['second most likely, by prediction', *classes], second),
        ]
    )
