"""``emotion-estimator evaluate``: the shipped model on a table of blendshapes."""

from __future__ import annotations

import json
from pathlib import Path

import click

from emotion_estimator.cli.evaluation import evaluate_stills, read_blendshape_table


@click.command()
@click.option(
    '--blendshapes', 'table', required=True, type=click.Path(path_type=Path),
    help="CSV: 52 scores in MediaPipe's order, then the label 0 happy, 1 unknown, 2 sad.",
)
@click.option('--json', 'as_json', is_flag=True, help='One JSON object.')
def evaluate(table: Path, as_json: bool) -> None:
    """Measure the shipped model on rows of blendshapes, each taken as a still face."""
    report = evaluate_stills(*read_blendshape_table(table))
    if as_json:
        click.echo(json.dumps(report))
        return
    click.echo(f'{report["n"]} rows: accuracy {report["accuracy"]:.4f}, '
               f'macro-F1 {report["macro_f1"]:.4f}')
    for label, recall in report['recall'].items():
        shown = '-' if recall is None else f'{recall:.4f}'
        click.echo(f'  recall {label:8} {shown}')
