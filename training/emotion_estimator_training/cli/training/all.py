"""``training all``: every verb in order, from raw images to models and a report."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from emotion_estimator.emotion import LABELS
from emotion_estimator.errors import InputError
from emotion_estimator_training.cli.training.appearance import (
    appearance,
    check_plan,
    continue_released_option,
    long_option,
)
from emotion_estimator_training.cli.training.blendshapes import blendshapes
from emotion_estimator_training.cli.training.data import clean, data
from emotion_estimator_training.cli.training.features import covered, features, people, relevant
from emotion_estimator_training.cli.training.fit import fit
from emotion_estimator_training.cli.training.options import (
    all_of,
    check_people,
    config_option,
    grouping_option,
    identity_parameters,
    photographs_option,
    processes_option,
    run_option,
    seed_option,
    stated_identity,
    talking_option,
    teacher_option,
)
from emotion_estimator_training.cli.training.quantize import quantize
from emotion_estimator_training.cli.training.report import evaluate
from emotion_estimator_training.cli.training.sequences import sequences
from emotion_estimator_training.data import made_set
from emotion_estimator_training.data.grouping import load_grouping
from emotion_estimator_training.pipeline import PAPER_STAGES, Verb, run_stages, training_stages
from emotion_estimator_training.shipping.model_folder import MODELS, copy_model
from emotion_estimator_training.tables import text_table

_PATH = click.Path(path_type=Path)
#: Faces of the synthetic set that ``--quick`` makes.
_MADE_FACES = 180
#: The verbs that stages run.
_VERBS = (
    data,
    blendshapes,
    clean,
    features,
    covered,
    people,
    appearance,
    relevant,
    sequences,
    fit,
    quantize,
    evaluate,
)


@click.command('all')
@click.option(
    '--data',
    'images',
    type=_PATH,
    default=None,
    help='fer2013.csv, fer2013.npz, or a folder <split>/<emotion>/*.png.',
)
@all_of(teacher_option, photographs_option, talking_option, run_option)
@click.option(
    '--cache',
    type=_PATH,
    default=None,
    help='Folder for intermediate results. Default: data/cache, or with --quick "cache" in the run '
    'folder.',
)
@click.option(
    '--models',
    'ship',
    type=_PATH,
    default=None,
    help='Folder to copy the models to once all stages have passed ("models" in this '
    'repository ships them). They are always in "models" in the run folder.',
)
@all_of(
    config_option,
    grouping_option,
    processes_option,
    seed_option,
    long_option,
    continue_released_option,
    *identity_parameters,
)
@click.option(
    '--clips',
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=None,
    help='Folder of videos of faces to measure on.',
)
@click.option(
    '--split',
    type=click.Choice(['all', 'public']),
    default='all',
    show_default=True,
    help='public leaves PrivateTest out of the report.',
)
@click.option(
    '--keep-head',
    is_flag=True,
    help='Use the shipped blendshape head; implied without --teacher.',
)
@click.option('--skip-papers', is_flag=True, help="Skip the papers' LSTM, which takes longest.")
@click.option(
    '--quick',
    is_flag=True,
    help='Test that everything runs: short schedules, the shipped head, and without --data a '
    'small synthetic set. The models are useless.',
)
@click.option(
    '--from',
    'restart',
    default=None,
    metavar='STAGE',
    help='Restart this stage and all later ones, done or not; omit it to resume such a call.',
)
def all(  # noqa: A001 -- the verb's name
    images: Path | None,
    run: Path,
    cache: Path | None,
    ship: Path | None,
    seed: int,
    keep_head: bool,
    skip_papers: bool,
    quick: bool,
    restart: str | None,
    **shared: Any,
) -> None:
    """Train and measure everything, from raw images to models and a report.

    Run again, the same command skips what is done and continues what was interrupted. Each stage
    is a verb of its own; its output is kept in "log" in the run folder, and its duration in
    "tables/times.json".
    """
    stated_identity({**shared})
    check_people(shared['photographs'], shared['talking'])
    check_plan(shared['longer'], shared['continue_released'])
    _check(shared['grouping'], shared['config'])
    if images is None:
        if not quick:
            raise click.UsageError("Missing option '--data'; --quick makes a small set instead.")
        images = run / f'made-{seed}' / 'fer2013.npz'
        if not images.is_file():
            made_set.write(made_set.make(_MADE_FACES, seed), images.parent)
    options = {
        **shared,
        'data': images,
        'run': run,
        'models': run / 'models',
        'seed': seed,
        'cache': cache or (run / 'cache' if quick else Path('data/cache')),
        'source': 'all',
        'out': run / 'report',
    }
    keep_head = keep_head or quick or shared['teacher'] is None
    stages = training_stages(_verbs(), options, quick, keep_head)
    if skip_papers:
        stages = [stage for stage in stages if stage.name not in PAPER_STAGES]
    if restart and restart not in [stage.name for stage in stages]:
        names = ', '.join(stage.name for stage in stages)
        raise InputError(f'there is no stage {restart!r}; choose one of {names}')
    times = run_stages(stages, run, click.echo, restart)
    if ship:
        for name in MODELS:
            copy_model(name, run / 'models', ship)
    rows = [*times['stages'].items(), ('all', {**times, 'this_call': True})]
    click.echo(
        '\n'
        + text_table(
            ['stage', 's', ''],
            [
                [name, one['seconds'], '' if one['this_call'] else 'already done']
                for name, one in rows
            ],
        )
    )
    click.echo(f'\n{ship or run / "models"}\n{run / "report" / "index.html"}')


def _check(grouping: str, config: Path | None) -> None:
    """Raise what would otherwise fail after hours of work."""
    for module in ('tensorflow', 'tf_keras', 'jinja2'):
        if find_spec(module) is None:
            raise InputError(f'training needs {module}; pip install ./training')
    labels = load_grouping(grouping, config).labels
    if sorted(labels) != sorted(LABELS):
        raise InputError(
            f'grouping {grouping} has the labels {", ".join(labels)}, but the shipped file has '
            f'{", ".join(LABELS)}; run the verbs one by one up to "fit", then "evaluate"'
        )


def _verbs() -> dict[str, Verb]:
    context = click.get_current_context()
    return {
        str(command.name): Verb(
            frozenset(str(parameter.name) for parameter in command.params),
            partial(context.invoke, command),
        )
        for command in _VERBS
    }
