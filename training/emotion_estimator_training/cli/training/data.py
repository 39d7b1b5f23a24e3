"""``training data``, ``clean`` and ``make-set``: the images to learn from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from emotion_estimator_training.cli.training.options import (
    all_of,
    cache_option,
    config_option,
    data_option,
    enlarge_option,
    grouping_option,
    models_option,
    processes_option,
    run_option,
    seed_option,
    teacher_option,
)
from emotion_estimator_training.data import cleaning, made_set
from emotion_estimator_training.data.grouping import load_counts, load_grouping
from emotion_estimator_training.data.grouping import report as count_report
from emotion_estimator_training.data.pictures import draw_undetected
from emotion_estimator_training.data.stills import PAPER_UNDETECTED, SPLITS, load_stills
from emotion_estimator_training.features.features import Places, seen_by_both
from emotion_estimator_training.tables import text_table, write_json

_json_option = click.option('--json', 'as_json', is_flag=True, help='Print one JSON object.')


@click.command()
@all_of(data_option, config_option, grouping_option, run_option, seed_option)
@click.option(
    '--counts',
    'choice',
    default='paper',
    show_default=True,
    help='Name of the counts of images per class in --config.',
)
@_json_option
def data(
    data: Path,
    config: Path | None,
    grouping: str,
    run: Path,
    seed: int,
    choice: str,
    as_json: bool,
) -> None:
    """Count the images of each class and split (Attrah 2025, Tables 1 and 2)."""
    chosen, labels = load_counts(choice, config), load_grouping(grouping, config)
    report = count_report(load_stills(data), chosen, labels, seed)
    write_json(report, run / 'tables' / 'counts.json')
    if as_json:
        click.echo(json.dumps(report))
        return
    twice = ', '.join(f'{report["duplicates"][split]} of {split}' for split in SPLITS[1:])
    click.echo(
        f'{report["images"]} images; also in Training: {twice}\n\n'
        'Table 1, images here / in the paper'
    )
    head = ('full', *SPLITS)
    click.echo(
        text_table(
            ['class', *head],
            [
                [name, *(f'{n[part]} / {report["table1_paper"][name][part]}' for part in head)]
                for name, n in report['table1'].items()
            ],
        )
    )
    click.echo(f'\nTable 2, selected from Training (counts {choice})')
    click.echo(
        text_table(
            ['class', 'here', 'paper'],
            [
                [name, n, report['table2_paper'][name] or 'all']
                for name, n in report['table2'].items()
            ],
        )
    )
    click.echo(f'\nGrouping {grouping}')
    click.echo(
        text_table(
            ['label', *head, 'selected'],
            [
                [f'{index} {name}', *n.values()]
                for index, (name, n) in enumerate(report['labels'].items())
            ],
        )
    )


@click.command()
@all_of(
    data_option,
    teacher_option,
    cache_option,
    models_option,
    run_option,
    processes_option,
    seed_option,
    enlarge_option,
)
@_json_option
def clean(
    data: Path,
    teacher: Path | None,
    cache: Path,
    models: Path,
    run: Path,
    processes: int | None,
    seed: int,
    enlarge: float,
    as_json: bool,
) -> None:
    """Find the images in which a landmark source finds no face (Attrah 2025, Table 3).

    With --enlarge 1 they are looked at as the paper did; the tables of other enlargements than the
    default are kept beside its own.
    """
    stills = load_stills(data)
    sources = seen_by_both(stills, Places(data, teacher, cache, models, enlarge), processes)
    found = {name: seen.found for name, seen in sources.items()}
    tables = {name: cleaning.undetected(stills, seen) for name, seen in found.items()}
    report: dict[str, Any] = {
        'enlarge': enlarge,
        'coverage': cleaning.coverage(tables),
        'paper': PAPER_UNDETECTED,
        'sources': tables,
    }
    name = cleaning.table_name(enlarge)
    table = write_json(report, run / 'tables' / f'{name}.json')
    cleaning.write_undetected(stills, found, table.with_suffix('.csv'))
    picture = draw_undetected(stills, found, run / 'figures' / f'{name}.png', seed)
    if as_json:
        click.echo(json.dumps(report))
        return
    click.echo("Table 3, images of Training without a face (the last two columns are the paper's)")
    click.echo(text_table(*cleaning.undetected_table(tables)))
    click.echo('\nCoverage: share of images with a face')
    click.echo(
        text_table(
            ['source', *SPLITS],
            [
                [name, *('-' if share is None else f'{share:.4f}' for share in shares.values())]
                for name, shares in report['coverage'].items()
            ],
        )
    )
    click.echo(f'\n{table}\n{table.with_suffix(".csv")}\n{picture}')


@click.command('make-set')
@all_of(seed_option)
@click.option('--out', type=click.Path(path_type=Path), required=True, help='Folder to write to.')
@click.option(
    '--faces',
    type=click.IntRange(30),
    default=420,
    show_default=True,
    help='Number of images with a face.',
)
@click.option(
    '--form',
    type=click.Choice(made_set.FORMS),
    default='npz',
    show_default=True,
    help='Form of the data: fer2013.npz, fer2013.csv or a folder of images.',
)
def make_set(seed: int, out: Path, faces: int, form: str) -> None:
    """Make a small synthetic set of one face, to try training without FER2013."""
    path = made_set.write(made_set.make(faces, seed), out, form)
    click.echo(f'{path}\nIt shows one person: good for testing that training runs, nothing else.')
