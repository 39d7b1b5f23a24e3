"""``zoo pretrain``, ``run``, ``structure``, ``grid``, ``export``: train, compare, export models."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from emotion_estimator.errors import InputError
from emotion_estimator_training.cli.training.options import (
    all_of,
    data_option,
    processes_option,
    seed_option,
    teacher_option,
)
from emotion_estimator_training.cli.zoo.options import (
    frame_options,
    open_fold_sets,
    open_video_set,
    set_opener,
    set_options,
)
from emotion_estimator_training.seed import SEED
from emotion_estimator_training.tables import text_table
from emotion_estimator_training.zoo.models.catalog import SIZES, Catalog, slug

_PATH = click.Path(path_type=Path)

_run_option = click.option(
    '--run',
    type=_PATH,
    default=Path('out/zoo'),
    show_default=True,
    help='Folder for models, results and the report.',
)
_models_config_option = click.option(
    '--models-config',
    type=_PATH,
    default=None,
    help='File of models and their settings. Default: the shipped zoo_models.yaml.',
)
_size_option = click.option(
    '--size',
    type=click.Choice(SIZES),
    default=SIZES[0],
    show_default=True,
    help='"paper" uses the published settings, "reduced" trains in minutes on two cores.',
)
_weights_option = click.option(
    '--weights',
    # The name that it had first.
    '--xception-weights',
    'weights',
    type=_PATH,
    default=None,
    help="Keras' file of Xception's ImageNet weights. Default: in ~/.keras/models, else random.",
)
_own_models_option = click.option(
    '--own-models',
    type=_PATH,
    default=None,
    help="Folder of this package's models. Default: the shipped ones.",
)
_models_option = click.option(
    '--models',
    default='all',
    show_default=True,
    help='Comma-separated models, variants (microx:face+grey) and groups.',
)
_pretrained_option = click.option(
    '--pretrained',
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=None,
    help='Folder of "zoo pretrain", whose weights networks of pixels begin from.',
)
_set = all_of(set_options, frame_options)


@click.command()
@_models_option
@data_option
@click.option(
    '--out',
    type=_PATH,
    default=Path('out/zoo/pretrained'),
    show_default=True,
    help='Folder for weights, their cards and the table.',
)
@click.option(
    '--stills',
    'per_class',
    type=click.IntRange(0),
    default=300,
    show_default=True,
    help='Stills of each class of Training at most; of PublicTest a third as many. 0: all.',
)
@click.option(
    '--epochs',
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help='Epochs at most; 0 is what the models file has for each model.',
)
@click.option(
    '--without',
    type=click.Path(path_type=Path, exists=True),
    default=None,
    help='A set of "zoo make-set", whose people are not learned from.',
)
@click.option(
    '--side',
    type=click.IntRange(16, 1024),
    default=96,
    show_default=True,
    help='Side of a face crop in pixels.',
)
@click.option(
    '--cache',
    type=_PATH,
    default=Path('data/cache/zoo'),
    show_default=True,
    help='Folder for the landmarks of the stills.',
)
@all_of(teacher_option, _size_option, _models_config_option, _weights_option)
@all_of(seed_option, processes_option)
@click.option('--json', 'as_json', is_flag=True, help='Print one JSON list.')
def pretrain(
    models: str,
    data: Path,
    out: Path,
    per_class: int,
    epochs: int,
    without: Path | None,
    side: int,
    cache: Path,
    teacher: Path | None,
    size: str,
    models_config: Path | None,
    weights: Path | None,
    seed: int,
    processes: int | None,
    as_json: bool,
) -> None:
    """Let every network of pixels learn the same stills first, for "zoo run --pretrained".

    FER2013's Training is learned, the epoch chosen on PublicTest; PrivateTest is not looked at.
    """
    catalog = Catalog.load(models_config)
    catalog.chosen(models, size)
    from emotion_estimator_training.zoo.data.still_tracks import (
        StillTrackSettings,
        open_still_tracks,
        people_of,
    )
    from emotion_estimator_training.zoo.data.video_set import SetChoice

    people = frozenset() if without is None else people_of(SetChoice(without).read().clips)
    chosen = StillTrackSettings(per_class, side, seed, people)
    tracks = open_still_tracks(data, chosen, cache, teacher, processes)
    from emotion_estimator_training.zoo.pretrain import (
        PRETRAINED_TABLE,
        PretrainSettings,
        pretrained_table,
    )
    from emotion_estimator_training.zoo.pretrain import pretrain as pretrain_all

    limited = per_class > 0 or bool(people)
    settings = PretrainSettings(
        size, epochs, limited, seed, weights, progress=not as_json, processes=processes
    )
    opener = partial(open_still_tracks, data, chosen, cache, teacher, 1)
    rows = pretrain_all(tracks, catalog, models, out, settings, opener)
    if as_json:
        click.echo(json.dumps(rows))
        return
    click.echo('\n' + text_table(*pretrained_table(rows)))
    click.echo(
        f'{len(tracks.train)} stills of Training, accuracy on {len(tracks.validation)} of '
        f'PublicTest; no face found in {tracks.missed}'
    )
    for row in rows:
        if 'failed' in row:
            click.echo(f'not fitted: {", ".join(row["models"])}: {row["failed"]}')
    click.echo(out / PRETRAINED_TABLE)


@click.command()
@_models_option
@_set
@all_of(_run_option, _size_option, _models_config_option, _weights_option, _own_models_option)
@_pretrained_option
@click.option(
    '--hop',
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help='Query models at every N-th frame of the test clips.',
)
@click.option(
    '--seeds',
    type=click.IntRange(1, 20),
    default=1,
    show_default=True,
    help='Train each model with so many seeds; the table has their mean and spread.',
)
@click.option(
    '--covered/--no-covered',
    default=True,
    show_default=True,
    help='Also query them with a face mask over mouth and nose.',
)
@click.option(
    '--timed/--no-timed',
    default=True,
    show_default=True,
    help='Export models to TFLite, and measure size and time.',
)
@click.option(
    '--folds',
    type=click.IntRange(3),
    default=None,
    help='Cross-validate: test every clip once, in so many runs. --shares do not count.',
)
@click.option(
    '--docs',
    type=_PATH,
    default=None,
    help='Also write the tables as a page of the documentation, with pictures in "images".',
)
@click.option('--json', 'as_json', is_flag=True, help='Print one JSON list.')
def run(
    models: str,
    run: Path,
    size: str,
    models_config: Path | None,
    weights: Path | None,
    own_models: Path | None,
    pretrained: Path | None,
    hop: int,
    seeds: int,
    covered: bool,
    timed: bool,
    folds: int | None,
    docs: Path | None,
    as_json: bool,
    **of_set: Any,
) -> None:
    """Train and compare models on one split of a set; write a table and a chart."""
    if docs is not None and folds:
        raise click.UsageError('--docs is for one split; leave out --folds')
    videos = open_fold_sets(folds, **of_set) if folds else [open_video_set(**of_set)]
    from emotion_estimator_training.zoo.intervals import baselines
    from emotion_estimator_training.zoo.report import PAGE, PICTURE, results_table
    from emotion_estimator_training.zoo.run import RunSettings
    from emotion_estimator_training.zoo.run import run as run_all

    settings = RunSettings(
        size=size,
        seeds=tuple(range(SEED, SEED + seeds)) if seeds > 1 else (),
        hop=hop,
        covered=covered,
        timed=timed,
        weights=weights,
        own_models=own_models,
        pretrained=pretrained,
        progress=not as_json,
        name=of_set['data'].name,
        processes=of_set['processes'],
    )
    run.mkdir(parents=True, exist_ok=True)
    if folds:
        from emotion_estimator_training.zoo import cross_validation

        together = cross_validation.cross_validate(
            videos, Catalog.load(models_config), models, run, settings
        )
        _print_folds(together, run, as_json)
        return
    (video,) = videos
    catalog = Catalog.load(models_config)
    results = run_all(video, catalog, models, run, settings, set_opener(**of_set))
    if docs is not None:
        from emotion_estimator_training.zoo.docs_page import write_docs

        write_docs(run, docs, shlex.join(['emotion-estimator', *sys.argv[1:]]))
    if as_json:
        click.echo(json.dumps(results))
        return
    nothing = baselines(video.tracks['train'], video.tracks['test'], video.classes)
    measured = [one for one in results if 'accuracy' in one]
    click.echo('\n' + text_table(*results_table(measured, nothing)))
    for one in results:
        if 'failed' in one:
            click.echo(f'not measured: {one["model"]}: {one["failed"]}')
    click.echo(f'{run / PAGE}\n{run / PICTURE}')


def _print_folds(results: Sequence[Any], run: Path, as_json: bool) -> None:
    from emotion_estimator_training.zoo.cross_validation import FOLDS_PAGE, folds_table

    if as_json:
        click.echo(json.dumps(results))
        return
    click.echo('\n' + text_table(*folds_table(results)))
    for one in results:
        for number, reason in one['failed'].items():
            click.echo(f'not measured: {one["model"]}, fold {number}: {reason}')
    click.echo(run / FOLDS_PAGE)


@click.command()
@click.argument('model')
@all_of(_size_option, _models_config_option)
@click.option(
    '--classes',
    type=click.IntRange(2, 100),
    default=7,
    show_default=True,
    help='Number of output classes.',
)
@click.option('--json', 'as_json', is_flag=True, help='Print one JSON list.')
def structure(
    model: str, size: str, models_config: Path | None, classes: int, as_json: bool
) -> None:
    """Print the layers of MODEL; "all" lists the models."""
    catalog = Catalog.load(models_config)
    if model == 'all':
        for name in catalog.names:
            variants = ' '.join(catalog.variants(name))
            suffix = f' (variants: {variants})' if variants else ''
            click.echo(f'{name}: {catalog.entry(name, size).description}{suffix}')
        return
    from emotion_estimator_training.zoo.models.layer_summary import layer_table
    from emotion_estimator_training.zoo.models.model import RunContext
    from emotion_estimator_training.zoo.models.registry import build

    names = tuple(f'emotion_{number}' for number in range(1, classes + 1))
    entry = catalog.entry(model, size)
    if entry.kind == 'frame' and entry.settings.get('encoder') == 'xception':
        entry = entry.changed(weights='random')
    layers = build(entry, RunContext(Path(), catalog, names, size)).structure()
    if as_json:
        click.echo(json.dumps([one._asdict() for one in layers]))
    else:
        click.echo(f'{entry.description}\n\n{layer_table(layers)}')


@click.command()
@click.argument('model', default='lstm')
@_set
@all_of(_run_option, _size_option, _models_config_option, _weights_option, _own_models_option)
@_pretrained_option
@click.option('--json', 'as_json', is_flag=True, help='Print one JSON list.')
def grid(
    model: str,
    run: Path,
    size: str,
    models_config: Path | None,
    weights: Path | None,
    own_models: Path | None,
    pretrained: Path | None,
    as_json: bool,
    **of_set: Any,
) -> None:
    """Search learning rate, hidden units and dropout of MODEL over Terbouche and Chaoui's grid."""
    video = open_video_set(**of_set)
    from emotion_estimator_training.zoo.grid_search import grid_search
    from emotion_estimator_training.zoo.models.model import RunContext, Split

    catalog = Catalog.load(models_config)
    context = RunContext(
        run / 'models',
        catalog,
        video.classes,
        size=size,
        rate=video.rate,
        weights=weights,
        own_models=own_models,
        pretrained=pretrained,
        progress=not as_json,
    )
    split = Split(video.classes, video.tracks['train'], video.tracks['validation'])
    results = grid_search(
        catalog.entry(model, size), catalog.grid(size), context, split, run / 'grid'
    )
    if as_json:
        click.echo(json.dumps(results))
        return
    head = [*results[0]['settings'], 'accuracy', 'macro-F1', 'loss', 'epoch', 'saw']
    click.echo(
        text_table(
            head,
            [
                [
                    *one['settings'].values(),
                    *(
                        one.get(key, one.get('failed', '-'))
                        for key in ('accuracy', 'macro_f1', 'loss', 'epoch')
                    ),
                    one.get('saw', '-'),
                ]
                for one in results
            ],
        )
    )


@click.command()
@click.argument('model')
@all_of(_run_option)
@click.option('--out', type=_PATH, default=None, help='Folder to copy the model to.')
def export(model: str, run: Path, out: Path | None) -> None:
    """Print where the TFLite export of MODEL is, for the estimator node; copy it with --out."""
    card = run / 'exported' / f'{slug(model)}.json'
    if not card.is_file():
        raise InputError(
            f'{card} does not exist; train and export it with '
            f'"emotion-estimator zoo run --models {model} --run {run}"'
        )
    from emotion_estimator.perception.window_classifier import WindowClassifier

    found = WindowClassifier.load(card)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for path in card.parent.glob(f'{card.stem}.*'):
            shutil.copy(path, out / path.name)
        card = out / card.name
    click.echo(
        f'{card}: window {found.window} frames at {found.rate:g} per second, '
        f'labels {", ".join(found.labels)}'
    )
