"""Tables, curves and the sheet of worst errors of the benchmark on real people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import LABELS
from emotion_estimator.frame import RgbImage
from emotion_estimator_training.evaluation.image_reading import FER_NAMES
from emotion_estimator_training.evaluation.threshold_curve import MOST_NEUTRAL, best_within
from emotion_estimator_training.report.charts import new_figure, png
from emotion_estimator_training.tables import markdown_table

Measured = Mapping[str, Any]

#: Columns of the two tables of each set: title and figure.
_LABEL_COLUMNS = {
    'accuracy': 'accuracy',
    'macro-F1': 'macro_f1',
    **{f'recall {name}': f'recall_{name}' for name in LABELS},
    **{f'precision {name}': f'precision_{name}' for name in LABELS},
}
_NEUTRAL_COLUMNS = {
    'neutral reported sad': 'neutral_sad',
    'neutral reported happy': 'neutral_happy',
    'calibration error': 'ece',
    'seven labels: accuracy': 'seven_accuracy',
    'recall of neutral': 'seven_recall_neutral',
}
#: Line and colour of each model: the palette of Okabe and Ito 2008.
_STYLES = {
    'fused': ('#0072B2', '-'),
    'blendshapes': ('#009E73', ':'),
    'appearance': ('#D55E00', '--'),
    **dict(zip(FER_NAMES, (('#777777', '-.'), ('#bbbbbb', '-.')))),
}
#: Pixels of a picture in the sheet of errors, of the text below it, and pictures in a row.
_TILE, _TEXT, _ACROSS = 168, 34, 6


def interval(value: Sequence[float | None] | None, *, percent: bool = False) -> str:
    """Return a figure with its interval, if it has one, as tables show it; ``-`` for None."""
    if value is None:
        return '-'
    middle, low, high = ('' if one is None else _number(one, percent) for one in value)
    unit = ' %' if percent else ''
    return f'{middle}{unit} ({low} to {high})' if low and high else f'{middle}{unit}'


def _number(value: float, percent: bool) -> str:
    return f'{100 * value:.1f}' if percent else f'{value:.3f}'


def picture_tables(measured: Mapping[str, Measured], *, by_condition: bool = True) -> str:
    """Return the tables of pictures as Markdown.

    :param measured: by landmark source, :func:`~.real_people.measure_pictures`.
    """
    parts = [
        markdown_table(
            ['landmark source', 'pictures', 'people', 'face found', 'not found', 'several faces'],
            [
                [
                    source,
                    f'{one["pictures"]:,}',
                    f'{one["people"]:,}',
                    f'{one["found"]:,}',
                    f'{one["pictures"] - one["found"]:,}',
                    f'{one["several"]:,}',
                ]
                for source, one in measured.items()
            ],
        )
    ]
    for columns in (_LABEL_COLUMNS, _NEUTRAL_COLUMNS):
        parts.append(_models_table(measured, columns))
    rows = [
        [source, f'fused minus {name}', *(interval(found[key]) for key in _DIFFERENCES.values())]
        for source, one in measured.items()
        for name, found in one['fused_minus_fer'].items()
    ]
    if rows:
        parts.append(markdown_table(['landmark source', 'difference', *_DIFFERENCES], rows))
    if by_condition:
        parts += [_conditions_table(source, one) for source, one in measured.items()]
        parts += [_thresholds_table(source, one) for source, one in measured.items()]
    return '\n\n'.join(parts)


_DIFFERENCES = {
    'accuracy': 'accuracy',
    'macro-F1': 'macro_f1',
    'recall sad': 'recall_sad',
    'neutral reported sad': 'neutral_sad',
    'neutral reported happy': 'neutral_happy',
}


def _models_table(measured: Mapping[str, Measured], columns: Mapping[str, str]) -> str:
    return markdown_table(
        ['landmark source', 'model', *columns],
        [
            [
                source,
                name,
                *(
                    interval(found[key], percent=key.startswith('neutral_'))
                    for key in columns.values()
                ),
            ]
            for source, one in measured.items()
            for name, found in one['models'].items()
        ],
    )


def _conditions_table(source: str, measured: Measured) -> str:
    models = list(measured['models'])
    rows = []
    for title, ranges in measured['conditions'].items():
        for one in ranges:
            fused = one['models'].get('fused', {})
            rows.append(
                [
                    f'{title}: {one["range"]}',
                    f'{one["faces"]:,}',
                    f'{one["neutral"]:,}',
                    interval(fused.get('accuracy')),
                    interval(fused.get('neutral_sad'), percent=True),
                    interval(fused.get('neutral_happy'), percent=True),
                    ' / '.join(_short(one['models'][name]['neutral_sad']) for name in models[1:]),
                ]
            )
    return markdown_table(
        [
            source,
            'faces',
            'neutral',
            'fused: accuracy',
            'neutral reported sad',
            'neutral reported happy',
            f'neutral reported sad by {" / ".join(models[1:])}',
        ],
        rows,
    )


def _short(value: Sequence[float] | None) -> str:
    return '-' if value is None else f'{100 * value[0]:.1f} %'


def _thresholds_table(source: str, measured: Measured, model: str = 'fused') -> str:
    curves = measured['curves'].get(model)
    if not curves:
        return f'{source}: no faces to try thresholds on.'

    def cell(value: float | None) -> str:
        return _short(None if value is None else [value])

    table = markdown_table(
        [
            f'{source}, {model}: threshold',
            *(
                text
                for name in curves
                for text in (
                    f'{name}_threshold: neutral reported {name}',
                    f'recall {name}',
                    f'precision {name}',
                )
            ),
        ],
        [
            [
                f'{points[0]["threshold"]:.2f}',
                *(
                    cell(point[key])
                    for point in points
                    for key in ('neutral_told', 'recall', 'precision')
                ),
            ]
            for points in zip(*curves.values())
        ],
    )
    return f'{table}\n\n{_within(curves)}'


def _within(curves: Measured) -> str:
    """Return the thresholds that keep neutral faces from each label."""
    chosen = []
    for name, points in curves.items():
        best = best_within(points)
        found = (
            'none'
            if best is None
            else f'{best["threshold"]:.2f} (recall {_short([best["recall"]])})'
        )
        chosen.append(f'{name}_threshold {found}')
    return f'At most {MOST_NEUTRAL:.0%} of the neutral: {"; ".join(chosen)}.'.replace('%', ' %', 1)


def film_tables(measured: Mapping[str, Measured]) -> str:
    """Return the tables of films as Markdown.

    :param measured: by landmark source, :func:`~.real_people.measure_films`.
    """
    groups = [
        [
            source,
            title,
            name,
            str(group['films']),
            f'{one["frames"]:,}',
            *(interval(one[label], percent=True) for label in LABELS),
            interval(one['flips_per_s']),
            f'{one["films_that_become_happy"]} of {group["films"]}',
            f'{one["films_that_become_sad"]} of {group["films"]}',
        ]
        for source, found in measured.items()
        for title, group in found['groups'].items()
        for name, one in group['models'].items()
    ]
    shares = [f'frames {label}' for label in LABELS]
    films = [
        [
            source,
            film['film'],
            _said_of(film),
            name,
            f'{one["frames"]:,}',
            _short([one['found']]),
            *(_short(None if one[label] is None else [one[label]]) for label in LABELS),
            f'{one["flips_per_s"]:.2f}',
            ', '.join(f'{new} at {at:.1f} s' for at, new in one['becomes']) or 'nothing',
        ]
        for source, found in measured.items()
        for film in found['films']
        for name, one in film['models'].items()
    ]
    parts = []
    if groups:
        parts.append(
            markdown_table(
                [
                    'landmark source',
                    'shown',
                    'model',
                    'films',
                    'frames',
                    *shares,
                    'flips a second',
                    'becomes happy',
                    'becomes sad',
                ],
                groups,
            )
        )
    parts.append(
        markdown_table(
            [
                'landmark source',
                'film',
                'shown',
                'model',
                'frames',
                'face found',
                *shares,
                'flips a second',
                'debounced label becomes',
            ],
            films,
        )
    )
    parts.append(
        markdown_table(
            ['landmark source', 'film', 'shown', 'frames reported speaking'],
            [
                [source, film['film'], _said_of(film), _short([film['reported_speaking']])]
                for source, found in measured.items()
                for film in found['films']
            ],
        )
    )
    return '\n\n'.join(parts)


def _said_of(film: Measured) -> str:
    doing = {True: 'talking', False: 'at rest', None: ''}[film['speaking']]
    return ', '.join(part for part in (film['label'], doing) if part) or '-'


def curve_chart(measured: Mapping[str, Measured]) -> bytes:
    """Draw the recall of sad and of happy against the neutral people reported so, as PNG.

    :param measured: as for :func:`picture_tables`.
    """
    figure = new_figure(9.6, 3.6 * max(len(measured), 1))
    axes = figure.subplots(max(len(measured), 1), 2, squeeze=False)
    for row, (source, one) in zip(axes, measured.items()):
        for axis, name, most in zip(row, ('sad', 'happy'), (0.5, 0.3)):
            for model, curve in one['curves'].items():
                _draw_curve(axis, name, model, curve[name], one['models'][model])
            axis.set(xlabel=f'neutral reported {name}', ylabel=f'recall of {name}', xlim=(0, most))
            axis.set_ylim(0, 1)
            axis.set_title(f'{name}_threshold, {source}', fontsize=9)
            axis.grid(alpha=0.3)
        if one['curves']:
            row[0].legend(fontsize=7, loc='lower right')
    return png(figure)


def _draw_curve(
    axis: Any, name: str, model: str, curve: Sequence[Measured], found: Measured
) -> None:
    colour, line = _STYLES[model]
    points = [
        (point['neutral_told'], point['recall'])
        for point in curve
        # At 0 it is the most probable label: the ring.
        if point['threshold'] > 0 and None not in (point['neutral_told'], point['recall'])
    ]
    across, up = zip(*points) if points else ((), ())
    axis.plot(across, up, color=colour, ls=line, marker='.', ms=4, label=model)
    own = found[f'neutral_{name}'], found[f'recall_{name}']
    if None not in own:
        # Without thresholds.
        axis.plot(own[0][0], own[1][0], marker='o', ms=8, mfc='none', color=colour)


def error_sheet(errors: Sequence[Measured], image: Callable[[int], RgbImage]) -> bytes:
    """Draw the pictures of the worst errors with what is shown and what was said, as PNG.

    :param errors: of :func:`~.real_people.worst_errors`.
    :param image: returns the picture of a row.
    """
    height = _TILE + _TEXT
    down = max(-(-len(errors) // _ACROSS), 1)
    sheet = np.full((down * height, _ACROSS * _TILE, 3), 255, np.uint8)
    for number, one in enumerate(errors):
        top, left = number // _ACROSS * height, number % _ACROSS * _TILE
        sheet[top : top + _TILE, left : left + _TILE] = _tile(image(one['row']))
        for line, text in enumerate(
            (
                f'{number + 1}: {one["shown"]}, said {one["said"]} {one["probability"]:.2f}',
                f'down {one["looks_down"]:.2f}, turned {one["turned"]}, {one["width"]} px',
            )
        ):
            at = (left + 2, top + _TILE + 13 + 15 * line)
            cv2.putText(sheet, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.33, (0, 0, 0), 1, cv2.LINE_AA)
    return bytes(cv2.imencode('.png', cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1])


def _tile(image: RgbImage) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    scale = _TILE / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    tile = np.full((_TILE, _TILE, 3), 255, np.uint8)
    top, left = (_TILE - size[1]) // 2, (_TILE - size[0]) // 2
    tile[top : top + size[1], left : left + size[0]] = small
    return tile


def error_list(errors: Sequence[Measured], names: Sequence[str], person: Sequence[str]) -> str:
    """Return the same errors as a Markdown table.

    :param names: file of each row; ``person`` likewise.
    """
    return markdown_table(
        ['', 'picture', 'person', 'shown', 'said', 'probability', 'looks down', 'turned', 'width'],
        [
            [
                number,
                names[one['row']],
                person[one['row']],
                one['shown'],
                one['said'],
                f'{one["probability"]:.3f}',
                f'{one["looks_down"]:.2f}',
                f'{one["turned"]} degrees',
                f'{one["width"]} px',
            ]
            for number, one in enumerate(errors, start=1)
        ],
    )


def votes_table(measured: Mapping[str, Measured]) -> str:
    """Return the tables of FER2013 by the majority of votes, as Markdown.

    :param measured: by landmark source, :func:`~.real_people.measure_pictures`, in which only
        three and seven labels are of interest.
    """
    columns = {
        'three labels: accuracy': 'accuracy',
        'macro-F1': 'macro_f1',
        **{f'recall {name}': f'recall_{name}' for name in LABELS},
        'neutral reported sad': 'neutral_sad',
        'seven labels: accuracy': 'seven_accuracy',
        'recall of neutral': 'seven_recall_neutral',
        'calibration error': 'ece',
    }
    table = _models_table(measured, columns)
    found = ', '.join(
        f'{source} finds {one["found"]:,} of {one["pictures"]:,} faces'
        for source, one in measured.items()
    )
    return f'{table}\n\n{found}.'
