"""``training features``, ``covered``, ``people``, ``relevant``: from images to blendshapes."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np

from emotion_estimator.errors import InputError
from emotion_estimator.worker_pool import on_dask, on_processes
from emotion_estimator_training.cli.training.options import (
    all_of,
    cache_option,
    check_people,
    config_option,
    data_option,
    enlarge_option,
    grouping_option,
    models_option,
    photographs_option,
    processes_option,
    run_option,
    seed_option,
    talking_option,
    teacher_option,
)
from emotion_estimator_training.data.grouping import choose, load_counts, load_grouping
from emotion_estimator_training.data.photographs import load_photographs
from emotion_estimator_training.data.pictures import draw_augmented, draw_relevant
from emotion_estimator_training.data.stills import (
    FER_CLASSES,
    PUBLIC_TEST,
    SPLITS,
    TRAINING,
    load_stills,
)
from emotion_estimator_training.features import relevant as choice
from emotion_estimator_training.features.feature_set import (
    FeatureSet,
    load_features,
    save_features,
    write_tables,
)
from emotion_estimator_training.features.features import (
    SOURCES,
    Places,
    covered_folder,
    covered_sets,
    feature_sets,
)
from emotion_estimator_training.features.people import people_path, save_people
from emotion_estimator_training.features.people_reading import neutral_films, people_set
from emotion_estimator_training.features.talking import TalkingPlan
from emotion_estimator_training.tables import text_table, write_json

_source_option = click.option(
    '--source',
    type=click.Choice(['all', *SOURCES]),
    default='all',
    show_default=True,
    help='Landmark source; all means every available one.',
)


@click.command()
@all_of(
    data_option,
    teacher_option,
    cache_option,
    models_option,
    run_option,
    config_option,
    grouping_option,
    processes_option,
    _source_option,
    enlarge_option,
)
@click.option(
    '--augment',
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help='Passes over Training with randomly rotated and flipped images.',
)
@click.option(
    '--engine',
    'pool',
    type=click.Choice(['processes', 'dask']),
    default='processes',
    show_default=True,
    help='Worker pool.',
)
@click.option('--scheduler', default=None, help='Address of a running Dask scheduler.')
def features(
    data: Path,
    teacher: Path | None,
    cache: Path,
    models: Path,
    run: Path,
    config: Path | None,
    grouping: str,
    processes: int | None,
    source: str,
    enlarge: float,
    augment: int,
    pool: str,
    scheduler: str | None,
) -> None:
    """Extract blendshapes and crops from every image, as .npz and in the papers' CSV form."""
    if scheduler and pool != 'dask':
        raise click.UsageError('--scheduler needs --engine dask')
    labels = load_grouping(grouping, config)
    stills = load_stills(data)
    runner = on_dask(processes, scheduler) if pool == 'dask' else on_processes(processes)
    sets = feature_sets(
        stills,
        Places(data, teacher, cache, models, enlarge),
        augment,
        runner,
        SOURCES if source == 'all' else (source,),
    )
    folder = run / 'features'
    rows: list[list[object]] = []
    for name, table in sets.items():
        save_features(table, folder / f'{name}.npz')
        write_tables(table, labels.to_label, folder)
        plain = [int(((table.usage == part) & ~table.augmented).sum()) for part in range(3)]
        rows.append([name, *plain, int(table.augmented.sum())])
    click.echo('Faces found')
    click.echo(text_table(['source', *SPLITS, 'augmented'], rows))
    click.echo(f'\n{folder}')
    if augment:
        click.echo(draw_augmented(stills, run / 'figures' / 'augmented.png'))


@click.command()
@all_of(
    data_option,
    teacher_option,
    cache_option,
    models_option,
    run_option,
    processes_option,
    _source_option,
    seed_option,
)
@click.option(
    '--faces',
    type=click.IntRange(1),
    default=18000,
    show_default=True,
    help='Maximum number of faces, from Training.',
)
def covered(
    data: Path,
    teacher: Path | None,
    cache: Path,
    models: Path,
    run: Path,
    processes: int | None,
    source: str,
    seed: int,
    faces: int,
) -> None:
    """Cover parts of some faces, as masks and glasses do, and extract their features."""
    sets = covered_sets(
        load_stills(data),
        Places(data, teacher, cache, models),
        faces,
        seed,
        processes,
        SOURCES if source == 'all' else (source,),
    )
    folder = covered_folder(run)
    for name, table in sets.items():
        save_features(table, folder / f'{name}.npz')
    click.echo('Covered faces found')
    click.echo(text_table(['source', 'faces'], [[name, len(one)] for name, one in sets.items()]))
    click.echo(f'\n{folder}')


@click.command()
@all_of(
    photographs_option,
    talking_option,
    teacher_option,
    cache_option,
    models_option,
    run_option,
    processes_option,
    _source_option,
    seed_option,
)
@click.option(
    '--faces',
    type=click.IntRange(1),
    default=TalkingPlan.faces,
    show_default=True,
    help='Maximum number of neutral faces that are made to talk.',
)
def people(
    photographs: Path | None,
    talking: Path | None,
    teacher: Path | None,
    cache: Path,
    models: Path,
    run: Path,
    processes: int | None,
    source: str,
    seed: int,
    faces: int,
) -> None:
    """Extract features of photographs of people, and of the same people made to talk.

    Without --photographs, forget those of an earlier call, so that nothing is learned from people.
    """
    check_people(photographs, talking)
    if photographs is None:
        people_path(run).unlink(missing_ok=True)
        click.echo('no --photographs: nothing is learned from people')
        return
    found = load_photographs(photographs)
    films: dict[Path, bool] = {}
    lines: list[object] = [*found.problems]
    if talking is not None:
        films, of_films = neutral_films(talking)
        lines += of_films
    made, left_out = people_set(
        found,
        films,
        Places(photographs, teacher, cache, models),
        TalkingPlan(faces=faces),
        seed,
        processes,
        SOURCES if source == 'all' else (source,),
    )
    for line in [*lines, *left_out]:
        click.echo(line)
    path = save_people(made, people_path(run))
    still = ~made.talking
    click.echo(
        text_table(
            ['class', 'to train on', 'held out', 'talking', 'talking, held out'],
            [
                [
                    name,
                    *(
                        int(((made.emotion == code) & part & (made.usage == usage)).sum())
                        for part in (still, ~still)
                        for usage in (TRAINING, PUBLIC_TEST)
                    ),
                ]
                for code, name in enumerate(FER_CLASSES)
            ],
        )
    )
    click.echo(f'\n{path}')


@click.command()
@all_of(run_option, _source_option, config_option, seed_option)
@click.option(
    '--counts',
    default='all',
    show_default=True,
    help='Name of the counts of images per class in --config: the images of Training to use.',
)
@click.option(
    '--threshold',
    type=click.FloatRange(0, 1),
    default=choice.THRESHOLD,
    show_default=True,
    help='A blendshape counts in an image if its score is above this.',
)
@click.option(
    '--least',
    type=click.IntRange(0),
    default=choice.LEAST,
    show_default=True,
    help='A blendshape is relevant if it counts in more images than this.',
)
@click.option('--json', 'as_json', is_flag=True, help='Print one JSON object.')
def relevant(
    run: Path,
    source: str,
    config: Path | None,
    seed: int,
    counts: str,
    threshold: float,
    least: int,
    as_json: bool,
) -> None:
    """List the relevant blendshapes, from the output of "features" (Attrah 2025, 4.1)."""
    names = (
        [source]
        if source != 'all'
        else [name for name in SOURCES if (run / 'features' / f'{name}.npz').exists()]
    )
    if not names:
        raise InputError(
            f'{run / "features"} holds no features; "emotion-estimator training features" '
            'writes them'
        )
    most = load_counts(counts, config)
    tables = {
        name: _chosen(load_features(run / 'features' / f'{name}.npz'), most, seed) for name in names
    }
    reports = {name: choice.report(table, threshold, least) for name, table in tables.items()}
    write_json(reports, run / 'tables' / 'relevant.json')
    # Of the first source: the Face Landmarker, as in the papers, if available.
    picture = draw_relevant(
        tables[names[0]],
        tuple(reports[names[0]]['indices']),
        threshold,
        run / 'figures' / 'relevant.png',
    )
    if as_json:
        click.echo(json.dumps(reports))
        return
    for name, report in reports.items():
        click.echo(
            f'{name}: {len(report["indices"])} blendshapes above {threshold} in more than {least} '
            f'of {report["images"]} faces of Training'
        )
        click.echo('  ' + ', '.join(report['relevant']))
        click.echo(
            f'  The paper keeps {report["paper_count"]} without naming them; "above in more than '
            f'{report["least_for_paper_count"]} faces" keeps as many here.'
        )
        for other, agrees in report['paper_irrelevant'].items():
            click.echo(
                f'  {other}: irrelevant in the paper, {"also here" if agrees else "relevant here"}'
            )
    click.echo(picture)


def _chosen(features: FeatureSet, counts: dict[str, int], seed: int) -> FeatureSet:
    """Return Training's faces without augmented copies, at most ``counts`` of each class."""
    rows = np.flatnonzero((features.usage == TRAINING) & ~features.augmented)
    return features.where(rows[choose(features.emotion[rows], counts, seed)])
