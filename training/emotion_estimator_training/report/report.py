"""Everything that is measured, as one JSON file and one page that needs nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emotion_estimator.emotion import LABELS
from emotion_estimator.errors import InputError
from emotion_estimator_training.report.measuring import Material, Question, gather, measure
from emotion_estimator_training.report.models import STREAMING
from emotion_estimator_training.report.papers import (
    HEADER,
    PAPER_CONFUSION,
    comparison,
    comparison_markdown,
    targets,
)
from emotion_estimator_training.report.pictures import (
    charts,
    error_gallery,
    portrait_pictures,
)
from emotion_estimator_training.report.trust_report import measure_trust, tables
from emotion_estimator_training.shipping.cards import measure_card
from emotion_estimator_training.tables import markdown_table

_TEMPLATE = 'report.html.j2'
TIME_HEADER = (
    'rate',
    'model',
    'flips/s, held',
    "share of dense's",
    'right while held',
    'median delay s',
    '95th percentile s',
    'never',
    'changes',
)


def write_report(question: Question, out: Path, card: bool = False) -> Path:
    """Measure, and write ``index.html``, ``report.json``, ``tables.md`` and figures to a folder.

    :param card: write the shipped classifier's figures into its card, too.
    :returns: the page's path.
    :raises InputError: Jinja2 is missing, or there is nothing to measure.
    """
    # Before minutes of measuring.
    template = page_template()
    material = gather(question)
    if card:
        measure_card(
            question.places.models / 'emotion_lstm.json',
            material.features,
            question.public_only,
            material.stills,
            question.faces,
            question.pairs,
        )
    return compose(question, material, template, out)


def compose(question: Question, material: Material, template: Any, out: Path) -> Path:
    """Measure what was gathered and write it; see :func:`write_report`."""
    report = measure(question, material)
    pictures: dict[str, bytes] = {}
    if material.networks is not None:
        report['trust'] = measure_trust(question, material, material.networks)
        pictures.update(report['trust'].pop('pictures'))
    if tuple(sorted(question.grouping.labels)) == tuple(sorted(LABELS)):
        report['comparison'] = {
            split: [dict(zip(HEADER, row)) for row in comparison(report['stills'], split)]
            for split in next(iter(next(iter(report['stills'].values())).values()))
        }
        report['targets'] = targets(
            report['stills'],
            report['stability']['constructed'],
            report['models'],
            STREAMING,
            question.split,
            report.get('trust'),
        )
    report['errors'], faces = error_gallery(question, material)
    pictures.update(charts(question, material, report), **portrait_pictures(question))
    (out / 'figures').mkdir(parents=True, exist_ok=True)
    for name, content in pictures.items():
        suffix = 'png' if content.startswith(b'\x89PNG') else 'jpg'
        file = f'{name.replace(",", "").replace(" ", "-")}.{suffix}'
        (out / 'figures' / file).write_bytes(content)
    (out / 'tables.md').write_text(_tables(report))
    (out / 'report.json').write_text(json.dumps(report, indent=1) + '\n')
    page = out / 'index.html'
    page.write_text(
        template.render(
            report=report,
            paper_confusion=PAPER_CONFUSION.tolist(),
            labels=LABELS,
            pictures={name: _embedded(content) for name, content in {**pictures, **faces}.items()},
            comparison_header=HEADER,
            time_header=TIME_HEADER,
            time_rows={
                source: time_rows(each)
                for source, each in report['stability']['constructed'].items()
            },
            trust_tables={title: _cells(table) for title, table in _trust(report).items()},
            number=_number,
        )
    )
    return page


def _trust(report: Mapping[str, Any]) -> dict[str, str]:
    return tables(report['trust']) if 'trust' in report else {}


def _cells(markdown: str) -> list[list[str]]:
    """Return the cells of a Markdown table, its header first."""
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in markdown.splitlines()]
    return [rows[0], *rows[2:]]


def _tables(report: Mapping[str, Any]) -> str:
    """Return the comparisons as Markdown, for documents."""
    parts = [f'Made by `{report["command"]}`, {report["made"]}.']
    for split in report.get('comparison', {}):
        parts.append(f'Still faces, {split}:\n\n{comparison_markdown(report, split)}')
    for source, compared in report['stability']['constructed'].items():
        table = markdown_table(TIME_HEADER, time_rows(compared))
        parts.append(f'In time, {source}, {report["split"]}:\n\n{table}')
    parts.append(markdown_table(*video_table(report['stability']['videos'])))
    parts += [f'{title}:\n\n{table}' for title, table in _trust(report).items()]
    return '\n\n'.join(parts) + '\n'


def time_rows(compared: Mapping[str, Any]) -> list[list[str]]:
    """Return the table of one source's ``compare`` in time, as text."""
    rates = [key for key in next(iter(compared['models'].values())) if key.endswith('_fps')]
    return [
        [
            rate.replace('_', ' '),
            name,
            *(
                _number(figures[rate].get(key))
                for key in (
                    'flips_per_s',
                    'flips_to_dense',
                    'right_while_held',
                    'median_s',
                    'p95_s',
                    'never',
                    'changes',
                )
            ),
        ]
        for rate in rates
        for name, figures in compared['models'].items()
    ]


def video_table(videos: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the flips on tracked videos, as text."""
    names = list(videos[0]['flips']) if videos else []
    return (
        ['video', 'source', 'seconds', 'changes shown', *names],
        [
            [
                row['video'],
                row['source'],
                _number(row['seconds']),
                _number(row['changes_shown']),
                *(_number(row['flips'][name]) for name in names),
            ]
            for row in videos
        ],
    )


def _number(value: Any) -> str:
    if value is None:
        return '-'
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if isinstance(value, float):
        return f'{value:.3f}'
    return f'{value:,}' if isinstance(value, int) else str(value)


def _embedded(content: bytes) -> str:
    kind = 'png' if content.startswith(b'\x89PNG') else 'jpeg'
    return f'data:image/{kind};base64,{base64.b64encode(content).decode()}'


def page_template() -> Any:
    """Return the page's Jinja2 template.

    :raises InputError: Jinja2 is missing.
    """
    try:
        import jinja2
    except ImportError as error:
        raise InputError('the report needs Jinja2; pip install ./training') from error
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals['video_table'] = video_table
    return environment.get_template(_TEMPLATE)
