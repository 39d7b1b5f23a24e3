"""What is told of the zoo's models: figures of merit, confusions, comparisons, order, tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator_training.evaluation.scores import classification
from emotion_estimator_training.zoo.data.windows import Windows

Result = dict[str, Any]

#: Models of each level that the paper puts in order (Terbouche and Chaoui, 3.3).
ORDER = (
    ('per frame', ('frame',)),
    ('aggregation', ('mean', 'weighted', 'statistics', 'statistics:mlp')),
    ('sequence', ('lstm', 'deep-lstm', 'bi-lstm')),
)
#: What the models of a level are chosen by.
_VALIDATION = 'validation_macro_f1'
#: Resamplings of the test's subjects, and the share of them that an interval holds.
_DRAWS, _SHARE = 2000, 0.95


def papers_order(results: Mapping[str, Result]) -> dict[str, Any] | None:
    """Say whether sequence models are above aggregation above single frames, by macro-F1.

    Each level is its best model on the validation clips, where all results have their
    ``validation_macro_f1``; where one has not, on the test clips.

    :param results: by model.
    :returns: ``levels``: the model of each and its macro-F1; ``chosen_on``: ``validation`` or
        ``test``; ``holds``; ``steps``: from each
        level to the next the difference in accuracy, and between which values 95 % of the
        differences lie when the test's subjects are drawn anew. None where a level was not run.
    """
    run = {
        level: [name for name in names if 'macro_f1' in results.get(name, {})]
        for level, names in ORDER
    }
    if not all(run.values()):
        return None
    validated = all(_VALIDATION in results[name] for names in run.values() for name in names)
    by = _VALIDATION if validated else 'macro_f1'
    best: dict[str, dict[str, Any]] = {}
    for level, names in run.items():
        _, name = max((results[name][by], name) for name in names)
        best[level] = {'model': name, 'macro_f1': results[name]['macro_f1']}
    scores = [one['macro_f1'] for one in best.values()]
    steps = []
    for (lower, first), (upper, second) in pairwise(best.items()):
        difference = _difference(results[first['model']], results[second['model']])
        if difference is not None:
            steps.append({'from': lower, 'to': upper, **difference})
    return {
        'levels': best,
        'chosen_on': 'validation' if validated else 'test',
        'holds': scores[0] < scores[1] < scores[2],
        'steps': steps,
    }


def in_words(order: Mapping[str, Any]) -> str:
    """Return what :func:`papers_order` found, in Markdown."""
    levels = ', '.join(
        f'{level} {one["macro_f1"]:.3f} ({one["model"]})' for level, one in order['levels'].items()
    )
    says = 'holds here' if order['holds'] else 'does **not** hold here'
    chosen = (
        'which the validation clips chose'
        if order['chosen_on'] == 'validation'
        else 'picked on the test clips themselves, which flatters levels of several models'
    )
    text = (
        f"Terbouche and Chaoui's ordering {says}; "
        f"macro-F1 of each level's best model, {chosen}: {levels}."
    )
    for one in order['steps']:
        sure = one['low'] > 0 or one['high'] < 0
        text += (
            f' From {one["from"]} to {one["to"]} accuracy changes by {one["difference"]:+.3f} '
            f'({one["low"]:+.3f} to {one["high"]:+.3f} in 95 % of the draws of test subjects'
            + ('' if sure else ': **these clips do not tell the two apart**')
            + ').'
        )
    return text


def _difference(first: Result, second: Result) -> dict[str, float] | None:
    """Return how much more accurate the second is, over the same clips, and how sure that is."""
    if 'by_clip' not in first or 'by_clip' not in second:
        return None
    subjects = np.array([subject for subject, _ in first['by_clip']])
    more = np.array(
        [after - before for (_, before), (_, after) in zip(first['by_clip'], second['by_clip'])]
    )
    names, which = np.unique(subjects, return_inverse=True)
    drawn = np.random.default_rng(0).multinomial(
        len(names), np.full(len(names), 1 / len(names)), _DRAWS
    )
    # A subject that is drawn brings all of its clips.
    weights: NDArray[np.int64] = drawn[:, which]
    means = (weights * more).sum(axis=1) / weights.sum(axis=1)
    low, high = np.quantile(means, ((1 - _SHARE) / 2, (1 + _SHARE) / 2))
    return {
        'difference': round(float(more.mean()), 4),
        'low': round(float(low), 4),
        'high': round(float(high), 4),
    }


Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


def measures(found: Floats, truth: Ints, classes: Sequence[str]) -> Result:
    """Return accuracy, precision, recall and F1 over all and of each class, and the confusions.

    :param found: probabilities (N, C); ``truth`` (N,), index into ``classes``.
    :returns: of :func:`~.evaluation.scores.classification`; ``macro_precision``,
        ``macro_recall``; ``one_against_rest``: for each class true and false positives and
        negatives; ``second``: for each class, how often which one was second most likely where it
        was said.
    """
    figures = classification(found, truth, classes)
    matrix = np.array(figures['confusion_matrix'])
    return {
        **figures,
        'macro_precision': round(float(np.mean(list(figures['precision'].values()))), 4),
        'macro_recall': round(float(np.mean(list(figures['recall'].values()))), 4),
        'one_against_rest': one_against_rest(matrix, classes),
        'second': second_most_likely(found, classes),
    }


def one_against_rest(matrix: Ints, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return each class's own 2 x 2 confusions (Pua et al., figures 11 to 14).

    :param matrix: (C, C), rows truth, columns said.
    """
    total = int(matrix.sum())
    found = {}
    for index, name in enumerate(classes):
        right = int(matrix[index, index])
        missed = int(matrix[index].sum()) - right
        wrong = int(matrix[:, index].sum()) - right
        found[name] = {
            'true_negative': total - right - missed - wrong,
            'false_positive': wrong,
            'false_negative': missed,
            'true_positive': right,
        }
    return found


def second_most_likely(found: Floats, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return how often each class is second where another is first (Pua et al., figure 15)."""
    order = np.argsort(-found, axis=1, kind='stable')[:, :2]
    return {
        said: {
            other: int(((order[:, 0] == i) & (order[:, 1] == j)).sum())
            for j, other in enumerate(classes)
            if j != i
        }
        for i, said in enumerate(classes)
    }


def flips_per_second(found: Floats, asked: Windows) -> float:
    """Return how often the label changes from one moment of a track to the next, per second.

    Each clip of the set has one truth, so that each change is one too many, but for the first.

    :param found: probabilities (N, C) of ``asked``, whose windows lie in order of time.
    """
    said = found.argmax(axis=1)
    flips, seconds = 0, 0.0
    for track in np.unique(asked.track):
        rows = np.flatnonzero(asked.track == track)
        times = asked.tracks[track].times[asked.frames[rows, -1]]
        flips += int((np.diff(said[rows]) != 0).sum())
        seconds += float(times[-1] - times[0])
    return flips / seconds if seconds > 0 else 0.0


def right_by_clip(found: Floats, asked: Windows) -> list[list[Any]]:
    """Return each track's subject, and the share of its moments that are right."""
    right = found.argmax(axis=1) == asked.labels
    return [
        [asked.tracks[track].clip.subject, round(float(right[asked.track == track].mean()), 4)]
        for track in np.unique(asked.track)
    ]


def clip_accuracy(found: Floats, asked: Windows) -> float:
    """Return the share of tracks whose mean probabilities are greatest for the truth."""
    labels = asked.labels
    right = [
        found[asked.track == track].mean(axis=0).argmax() == labels[asked.track == track][0]
        for track in np.unique(asked.track)
    ]
    return float(np.mean(right)) if right else 0.0


def strengths(asked: Windows) -> Floats:
    """Return how strong the expression is at the windows' last frames, (N,); NaN is unknown."""
    found = [
        np.nan if asked.tracks[track].strength is None else asked.tracks[track].strength[last]
        for track, last in zip(asked.track, asked.frames[:, -1])
    ]
    return np.array(found, np.float32)


#: Columns of the table: of a result, its head, and how it is written.
_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ('accuracy', 'accuracy', '.3f'),
    ('macro_f1', 'macro-F1', '.3f'),
    ('strong_accuracy', 'at its apex', '.3f'),
    ('clip_accuracy', 'clips right', '.3f'),
    ('flips_per_second', 'flips/s', '.2f'),
    ('parameters', 'parameters', ',d'),
    ('bytes', 'kB', 'kB'),
    ('ms_per_frame', 'ms/frame', '.2f'),
    ('covered_accuracy', 'mouth covered', '.3f'),
)


def table(results: Sequence[Result]) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the one table of all models; ``-`` where nothing is known."""
    head = ['model', *(name for _, name, _ in _COLUMNS)]
    return head, [
        [one['model'], *(_written(one.get(key), form) for key, _, form in _COLUMNS)]
        for one in results
    ]


def _written(value: Any, form: str) -> str:
    if value is None:
        return '-'
    return f'{value / 1000:,.0f}' if form == 'kB' else format(value, form)


def markdown(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table in Markdown, the first column to the left."""
    lines = ['| ' + ' | '.join(head) + ' |', '|---|' + '---:|' * (len(head) - 1)]
    lines += ['| ' + ' | '.join(map(str, row)) + ' |' for row in rows]
    return '\n'.join(lines)


#: Comparisons of Pua et al. (tables 4 to 6): title, and what each row is called.
_MICROX = (
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


def comparisons(results: Mapping[str, Result]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return Pua et al.'s comparisons, as far as their models were run: title, head, rows.

    :param results: by model.
    """
    found = []
    for title, names in _MICROX:
        rows = [
            [says, f'{results[name]["accuracy"]:.3f}', f'{results[name]["macro_f1"]:.3f}']
            for name, says in names.items()
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


def page(results: Sequence[Result], facts: Mapping[str, Any], picture: str) -> str:
    """Return the report in Markdown.

    :param facts: of the run: ``data``, ``size``, ``counts``, ``classes``, ``notes``,
        ``problems``.
    :param picture: the picture's file name.
    """
    by_name = {one['model']: one for one in results}
    done = [one for one in results if 'accuracy' in one]
    parts = ['# The zoo on one set of clips', *facts['facts']]
    parts += [f'- **{note}**' for note in facts['notes']]
    parts += [markdown(*table(done)), f'![Accuracy, macro-F1, flips, size and time]({picture})']
    failed = [one for one in results if 'failed' in one]
    if failed:
        parts.append(
            '## Not measured\n\n'
            + '\n'.join(f'- {one["model"]}: {one["failed"]}' for one in failed)
        )
    order = papers_order(by_name)
    if order:
        parts.append(
            f'## Sequence models above aggregation above single frames?\n\n{in_words(order)}'
        )
    for title, head, rows in comparisons(by_name):
        parts.append(f'## {title}\n\n{markdown(head, rows)}')
    for one in done:
        parts.append(_details(one))
    if facts['problems']:
        parts.append('## Clips left out\n\n' + '\n'.join(f'- {one}' for one in facts['problems']))
    return '\n\n'.join(parts) + '\n'


def _details(one: Result) -> str:
    classes = list(one['f1'])
    each = [
        [metric, *(f'{one[key][name]:.3f}' for name in classes), f'{one[over]:.3f}']
        for metric, key, over in (
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
            f'## {one["model"]}: {one["says"]}',
            f'Accuracy {one["accuracy"]:.3f}, expected calibration error {one["ece"]:.3f}, '
            f'{one["n"]} moments; window {one["window"]} frames; '
            f'trained in {one["fit_seconds"]:.0f} s, {one["epochs"]} epochs.',
            markdown(['', *classes, 'average'], each),
            markdown(['said', *classes], confusions),
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
            markdown(['second, where said', *classes], second),
        ]
    )
