"""``zoo run``, ``structure``, ``grid`` and ``export``: the papers' models, trained and compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from emotion_estimator.errors import InputError
from emotion_estimator_training.cli.training.options import all_of
from emotion_estimator_training.cli.zoo.options import frame_options, opened, set_options
from emotion_estimator_training.tables import text_table

_PATH = click.Path(path_type=Path)
_SIZES = ('reduced', 'paper')

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
    help="The models' settings; the shipped zoo_models.yaml.",
)
_size_option = click.option(
    '--size',
    type=click.Choice(_SIZES),
    default='reduced',
    show_default=True,
    help="The papers' full settings, or smaller ones that train in minutes on two cores.",
)
_weights_option = click.option(
    '--xception-weights',
    type=_PATH,
    default=None,
    help="Keras' file of ImageNet weights without the top; else ~/.keras/models, else random.",
)
_own_models_option = click.option(
    '--own-models',
    type=_PATH,
    default=None,
    help="Folder of this package's own models; the shipped ones.",
)
_set = all_of(set_options, frame_options)


@click.command()
@click.option(
    '--models',
    default='all',
    show_default=True,
    help='Models, variants (microx:face+grey) and groups, separated by commas.',
)
@_set
@all_of(_run_option, _size_option, _models_config_option, _weights_option, _own_models_option)
@click.option(
    '--hop',
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help='Ask the models at every so many frames of the test clips.',
)
@click.option(
    '--covered/--no-covered',
    default=True,
    show_default=True,
    help='Ask them of faces behind a mask too.',
)
@click.option(
    '--timed/--no-timed',
    default=True,
    show_default=True,
    help='Export them to TFLite, for size and time.',
)
@click.option('--json', 'as_json', is_flag=True, help='One JSON list.')
def run(
    models: str,
    run: Path,
    size: str,
    models_config: Path | None,
    xception_weights: Path | None,
    own_models: Path | None,
    hop: int,
    covered: bool,
    timed: bool,
    as_json: bool,
    **of_set: Any,
) -> None:
    """Train and measure models on one split of one set; write one table and one picture."""
    video = opened(**of_set)
    from emotion_estimator_training.zoo.models.catalog import Catalog
    from emotion_estimator_training.zoo.reports import table
    from emotion_estimator_training.zoo.run import PAGE, PICTURE, RunSettings
    from emotion_estimator_training.zoo.run import run as run_all

    settings = RunSettings(
        size, hop, covered, timed, xception_weights, own_models, not as_json, of_set['data'].name
    )
    run.mkdir(parents=True, exist_ok=True)
    results = run_all(video, Catalog.load(models_config), models, run, settings)
    if as_json:
        click.echo(json.dumps(results))
        return
    click.echo('\n' + text_table(*table([one for one in results if 'accuracy' in one])))
    for one in results:
        if 'failed' in one:
            click.echo(f'not measured: {one["model"]}: {one["failed"]}')
    click.echo(f'{run / PAGE}\n{run / PICTURE}')


@click.command()
@click.argument('model')
@all_of(_size_option, _models_config_option)
@click.option(
    '--classes',
    type=click.IntRange(2, 100),
    default=7,
    show_default=True,
    help='How many emotions it tells.',
)
@click.option('--json', 'as_json', is_flag=True, help='One JSON list.')
def structure(
    model: str, size: str, models_config: Path | None, classes: int, as_json: bool
) -> None:
    """Print MODEL's layers, as the papers' figures have them; "all" lists the models."""
    from emotion_estimator_training.zoo.models.catalog import Catalog

    catalog = Catalog.load(models_config)
    if model == 'all':
        rows = [
            [name, catalog.entry(name, size).says, ' '.join(catalog.variants(name))]
            for name in catalog.names
        ]
        for row in rows:
            variants = f' (variants: {row[2]})' if row[2] else ''
            click.echo(f'{row[0]}: {row[1]}{variants}')
        return
    from emotion_estimator_training.zoo.models.model import RunContext, in_print
    from emotion_estimator_training.zoo.run import build

    names = tuple(f'emotion_{number}' for number in range(1, classes + 1))
    entry = catalog.entry(model, size)
    if entry.kind == 'frame' and entry.settings.get('encoder') == 'xception':
        entry = entry.changed(weights='random')
    found = build(entry, RunContext(Path(), catalog, names, size)).structure()
    if as_json:
        click.echo(json.dumps([one._asdict() for one in found]))
    else:
        click.echo(f'{entry.says}\n\n{in_print(found)}')


@click.command()
@click.argument('model', default='lstm')
@_set
@all_of(_run_option, _size_option, _models_config_option, _weights_option, _own_models_option)
@click.option('--json', 'as_json', is_flag=True, help='One JSON list.')
def grid(
    model: str,
    run: Path,
    size: str,
    models_config: Path | None,
    xception_weights: Path | None,
    own_models: Path | None,
    as_json: bool,
    **of_set: Any,
) -> None:
    """Search MODEL's learning rate, hidden units and dropout over Terbouche and Chaoui's grid."""
    video = opened(**of_set)
    from emotion_estimator_training.zoo.models.catalog import Catalog
    from emotion_estimator_training.zoo.models.model import RunContext, Split
    from emotion_estimator_training.zoo.run import search

    catalog = Catalog.load(models_config)
    place = RunContext(
        run / 'models',
        catalog,
        video.classes,
        size,
        video.rate,
        xception_weights,
        own_models,
        not as_json,
    )
    split = Split(video.classes, video.tracks['train'], video.tracks['validation'])
    results = search(catalog.entry(model, size), catalog.grid(size), place, split, run / 'grid')
    if as_json:
        click.echo(json.dumps(results))
        return
    head = [*results[0]['settings'], 'accuracy', 'macro-F1', 'loss', 'epoch']
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
    """Say where a model of a run is as TFLite, for the estimator node; copy it with --out."""
    card = run / 'exported' / (model.replace(':', '--').replace('+', '-') + '.json')
    if not card.is_file():
        raise InputError(
            f'{card} is not there; "emotion-estimator zoo run --models {model} --run {run}" '
            'trains and exports it'
        )
    from emotion_estimator.perception.window_classifier import WindowClassifier

    found = WindowClassifier.load(card)
    if out is not None:
        import shutil

        out.mkdir(parents=True, exist_ok=True)
        for path in card.parent.glob(f'{card.stem}.*'):
            shutil.copy(path, out / path.name)
        card = out / card.name
    click.echo(
        f'{card}: window {found.window} frames at {found.rate:g} per second, '
        f'labels {", ".join(found.labels)}'
    )
