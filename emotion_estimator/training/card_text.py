"""The shipped models' cards for people: Markdown made from the JSON cards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Table = Sequence[Sequence[Any]]


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table."""
    lines = [header, ['---'] * len(header), *rows]
    return '\n'.join('| ' + ' | '.join(str(cell) for cell in line) + ' |' for line in lines)


def emotion_table(figures: dict[str, Any]) -> str:
    """Return the table of a classifier's figures on still faces, as ``evaluate`` measures them."""
    header = ('landmark source', 'split', 'n', 'coverage', 'accuracy', 'macro-F1',
              'recall happy', 'recall unknown', 'recall sad', 'ECE')
    splits = ('public_test', 'private_test', 'private_test_without_duplicates')
    return markdown_table(header, [
        (source, split, part['n'], part['coverage'], part['accuracy'], part['macro_f1'],
         *(part['recall'][label] for label in ('happy', 'unknown', 'sad')), part['ece'])
        for source, whole in figures.items() for split, part in
        ((name, whole[name]) for name in splits)
    ])


def confusion_table(figures: dict[str, Any]) -> str:
    """Return both sources' confusion matrices on the test split, truth in rows."""
    labels = ('happy', 'unknown', 'sad')
    return markdown_table(('landmark source', 'truth', *(f'says {label}' for label in labels)), [
        (source, label, *row) for source, whole in figures.items()
        for label, row in zip(labels, whole['private_test']['confusion_matrix'])
    ])


def response_table(figures: dict[str, Any]) -> str:
    """Return the table of how soon the label follows a clear change."""
    return markdown_table(
        ('landmark source', 'rate', 'median s', '95th percentile s', 'within 0.25 s'),
        [(source, f'{rate} fps', *whole['response'][f'{rate}_fps'].values())
         for source, whole in figures.items() for rate in (10, 30, 60)],
    )


def blendshape_table(sets: dict[str, dict[str, Any]]) -> str:
    """Return the table of each blendshape's agreement with the teacher, a column pair per set."""
    header = ['blendshape']
    for name in sets:
        header += [f'{name}: correlation', 'MAE', "teacher's std", 'moves']
    first = next(iter(sets.values()))
    rows = []
    for blendshape in first['blendshapes']:
        row: list[Any] = [blendshape]
        for figures in sets.values():
            one = figures['blendshapes'][blendshape]
            row += [one['correlation'], one['mae'], one['teacher_std'],
                    'yes' if one['moves'] else '']
        rows.append(row)
    return markdown_table(header, rows)


def write_text(card: Path) -> Path:
    """Write the Markdown card beside a JSON card; return its path."""
    raw = json.loads(card.read_text())
    body = _head_text(raw) if raw['kind'] == 'blendshape_head' else _emotion_text(raw)
    # Long lists are for the code alone.
    settings = {
        name: value for name, value in raw['settings'].items()
        if not (isinstance(value, list) and len(value) > 10)
    }
    general = markdown_table(('', ''), [
        ('version', raw['version']), ('file', f'`{raw["file"]}`, {raw["bytes"]} bytes'),
        ('sha256', f'`{raw["sha256"]}`'), ('licence', raw['license']),
        ('trained on', raw['trained_on']), ('settings', f'`{json.dumps(settings)}`'),
    ])
    text = card.with_suffix('.md')
    text.write_text(f'# {raw["name"]} {raw["version"]}\n\n{body[0]}\n\n{general}\n\n{body[1]}\n')
    return text


def _head_text(raw: dict[str, Any]) -> tuple[str, str]:
    sets = {name: figures for name, figures in raw['metrics'].items() if 'blendshapes' in figures}
    summary = markdown_table(
        ('images never trained on', 'n', 'blendshapes that move', 'their mean correlation',
         'mean absolute error of all 52'),
        [(name, f['n'], f['moving'], f['mean_correlation_moving'], f['mean_absolute_error'])
         for name, f in sets.items()],
    )
    return (
        'Blendshapes from the 478 landmarks of the face mesh that `mediapipe` 0.10.21 bundles. '
        'Distilled from MediaPipe\'s Face Landmarker; unchanged by place, scale and head roll of '
        'the face, and exactly symmetric: the mirrored face gives the mirrored scores.',
        'Agreement with the Face Landmarker. A blendshape moves in a set where the teacher\'s '
        'standard deviation is over 0.05, or where more than 100 images score over 0.4. On the '
        'clips both sources tracked from frame to frame; on FER2013 each image stood alone. '
        'Known limit: asymmetric scores (jaw and mouth to one side) follow the teacher '
        f'least.\n\n{summary}\n\n{_symmetry_text(sets)}{blendshape_table(sets)}\n\n'
        'Measured by `python -m emotion_estimator.training blendshapes` (docs/training.md).',
    )


def _symmetry_text(sets: dict[str, dict[str, Any]]) -> str:
    return ''.join(
        f'The teacher is not symmetric: on {name}, what it says of an image and of its mirror '
        f'image correlates with {figures["teacher_with_itself_mirrored"]} only, which no '
        'symmetric head can follow. With the mean of both, the teacher made symmetric, the head '
        f'correlates with {figures["mean_correlation_with_symmetric_teacher"]}.\n\n'
        for name, figures in sets.items() if 'teacher_with_itself_mirrored' in figures
    )


def _emotion_text(raw: dict[str, Any]) -> tuple[str, str]:
    figures = raw['metrics']['fer2013']
    return (
        'Happy, unknown or sad from a face\'s blendshapes, one step per frame. The state of a '
        'face goes in and comes out, so that one file serves many faces. Seven classes inside, '
        'summed to three after a correction of their logits that was chosen for macro-F1 on '
        'FER2013\'s PublicTest.',
        f'Still faces of FER2013, {raw["settings"]["still_steps"]} equal frames each (coverage: '
        f'share of images in which the source finds a face):\n\n{emotion_table(figures)}\n\n'
        f'Confusion on PrivateTest:\n\n{confusion_table(figures)}\n\n'
        'Seconds from the middle of a change of 0.2 s, between PrivateTest faces that are each '
        f'labelled rightly with at least 0.6, to the right label:\n\n{response_table(figures)}\n\n'
        'Greatest difference in probability to the float model over 900 frames: '
        f'{raw["metrics"]["int8_to_float_max_difference_900_frames"]}.\n\n'
        'A first version: `sad` is hard to tell from neutral in blendshapes, and FER2013\'s own '
        'labels are noisy. Stills were collected from the web and are no sample of the people a '
        'robot meets; expression is not feeling.\n\n'
        'Reproduced by `python -m emotion_estimator.training evaluate` (docs/training.md).',
    )
