"""The report: everything that is measured, as one JSON file and one self-contained page."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emotion_estimator.emotion import LABELS
from emotion_estimator.errors import InputError
from emotion_estimator.model_card import ModelCard
from emotion_estimator_training.evaluation.compared_models import STREAMING
from emotion_estimator_training.evaluation.measuring import (
    Material,
    MeasurementPlan,
    gather,
    measure,
)
from emotion_estimator_training.evaluation.most_people import by_labels, most_people
from emotion_estimator_training.evaluation.recognizers import RobotNetworks
from emotion_estimator_training.evaluation.trust import measure_trust
from emotion_estimator_training.report.papers import (
    HEADER,
    PAPER_CONFUSION,
    comparison,
    comparison_markdown,
)
from emotion_estimator_training.report.pictures import (
    charts,
    error_gallery,
    portrait_pictures,
    trust_charts,
)
from emotion_estimator_training.report.tables import (
    TIME_HEADER,
    number,
    time_rows,
    trust_tables,
    video_table,
)
from emotion_estimator_training.report.targets import targets
from emotion_estimator_training.shipping.cards import measure_card, other_metrics
from emotion_estimator_training.shipping.parity import parity_table
from emotion_estimator_training.shipping.step_time import time_table
from emotion_estimator_training.tables import markdown_table

_TEMPLATE = 'report.html.j2'


def write_report(plan: MeasurementPlan, out: Path, card: bool = False) -> Path:
    """Measure, and write ``index.html``, ``report.json``, ``tables.md`` and pictures to a folder.

    :param card: also write the shipped classifier's metrics into its card.
    :returns: the page's path.
    :raises InputError: Jinja2 is missing, or there is nothing to measure.
    """
    # First, as measuring takes minutes.
    template = page_template()
    material = gather(plan)
    if card:
        measure_card(
            plan.places.models / 'emotion_lstm.json',
            material.features,
            plan.public_only,
            material.stills,
            plan.faces,
            plan.pairs,
            _seen_by_most(plan, material),
        )
    return compose(plan, material, template, out)


def _seen_by_most(plan: MeasurementPlan, material: Material) -> dict[str, Any]:
    """Measure the shipped classifier where the truth is what most people see, and by labels."""
    models = plan.places.models
    card = models / 'emotion_lstm.json'
    return {
        'most_people': most_people(
            card,
            plan.run,
            material.stills,
            material.features,
            (material.networks or RobotNetworks.load(models)).seen,
            plan.public_only,
        ),
        'by_labels': by_labels(card, material.features, plan.public_only),
    }


def compose(plan: MeasurementPlan, material: Material, template: Any, out: Path) -> Path:
    """Measure the material and write the report; see :func:`write_report`.

    :param template: of :func:`page_template`.
    """
    report = {**measure(plan, material), **_card_parts(plan, material)}
    pictures: dict[str, bytes] = {}
    if material.networks is not None:
        trust = measure_trust(plan, material, material.networks)
        report['trust'] = trust.metrics
        pictures.update(trust_charts(trust))
    if tuple(sorted(plan.grouping.labels)) == tuple(sorted(LABELS)):
        report['comparison'] = {
            split: [dict(zip(HEADER, row)) for row in comparison(report['stills'], split)]
            for split in next(iter(next(iter(report['stills'].values())).values()))
        }
        report['targets'] = targets(
            report['stills'],
            report['stability']['constructed'],
            report['models'],
            STREAMING,
            plan.split,
            report.get('trust'),
        )
    report['errors'], faces = error_gallery(plan, material)
    pictures.update(charts(plan, material, report), **portrait_pictures(plan))
    _write_pictures(pictures, out / 'figures')
    tables = trust_tables(report['trust']) if 'trust' in report else {}
    (out / 'tables.md').write_text(_document(report, tables))
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
            trust_tables={title: _cells(table) for title, table in tables.items()},
            number=number,
        )
    )
    return page


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


def _card_parts(plan: MeasurementPlan, material: Material) -> dict[str, Any]:
    """Return the shipped card's other metrics and its tables of quantization and time."""
    if material.networks is None:
        return {'card_metrics': {}, 'card_tables': {}}
    metrics = ModelCard.load(plan.places.models / 'emotion_lstm.json', 'emotion_lstm').metrics
    tables: dict[str, dict[str, Any]] = {}
    for name, title, table in (
        ('quantization', 'Quantized, compared with the float network', parity_table),
        ('time', 'Microseconds of a step', time_table),
    ):
        if name in metrics:
            header, rows = table(metrics[name])
            tables[title] = {'header': header, 'rows': rows}
    return {'card_metrics': other_metrics(metrics), 'card_tables': tables}


def _write_pictures(pictures: Mapping[str, bytes], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in pictures.items():
        suffix = 'png' if content.startswith(b'\x89PNG') else 'jpg'
        file = f'{name.replace(",", "").replace(" ", "-")}.{suffix}'
        (folder / file).write_bytes(content)


def _document(report: Mapping[str, Any], tables: Mapping[str, str]) -> str:
    """Return all tables as Markdown, for documents."""
    parts = [f'Made by `{report["command"]}`, {report["made"]}.']
    for split in report.get('comparison', {}):
        parts.append(f'Still faces, {split}:\n\n{comparison_markdown(report, split)}')
    for source, compared in report['stability']['constructed'].items():
        table = markdown_table(TIME_HEADER, time_rows(compared))
        parts.append(f'Over time, {source}, {report["split"]}:\n\n{table}')
    parts.append(markdown_table(*video_table(report['stability']['videos'])))
    parts += [f'{title}:\n\n{table}' for title, table in tables.items()]
    return '\n\n'.join(parts) + '\n'


def _cells(markdown: str) -> list[list[str]]:
    """Return the cells of a Markdown table, its header first."""
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in markdown.splitlines()]
    return [rows[0], *rows[2:]]


def _embedded(content: bytes) -> str:
    kind = 'png' if content.startswith(b'\x89PNG') else 'jpeg'
    return f'data:image/{kind};base64,{base64.b64encode(content).decode()}'
