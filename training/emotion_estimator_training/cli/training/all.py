"""``training all``: every verb in order, from raw images to models and a report."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from emotion_estimator import __version__
from emotion_estimator.emotion import LABELS
from emotion_estimator.errors import InputError
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator_training.cli.training.data import clean, data
from emotion_estimator_training.cli.training.features import covered, features, relevant
from emotion_estimator_training.cli.training.models import (
    appearance,
    blendshapes,
    fit,
    long_option,
    quantize,
    sequences,
)
from emotion_estimator_training.cli.training.options import (
    all_of,
    config_option,
    grouping_option,
    identity_parameters,
    processes_option,
    run_option,
    seed_option,
    stated_identity,
    teacher_option,
)
from emotion_estimator_training.cli.training.report import evaluate
from emotion_estimator_training.data import made_set
from emotion_estimator_training.data.grouping import load_grouping
from emotion_estimator_training.pipeline import Stage, fingerprint, run_stages
from emotion_estimator_training.shipping.model_folder import (
    APPEARANCE,
    HEAD,
    MODELS,
    STREAMING,
    copy_model,
)
from emotion_estimator_training.tables import text_table

_PATH = click.Path(path_type=Path)
#: Faces of the set that ``--quick`` makes.
_MADE_FACES = 180
#: Stages that ``--skip-papers`` leaves out.
_PAPERS = ('fit paper', 'fit paper-relevant')

#: What ``--quick`` changes of each stage.
_QUICK: dict[str, dict[str, Any]] = {
    'appearance': {'epochs': 2},
    'covered': {'faces': 40},
    'relevant': {'least': 20},
    'fit dense': {'epochs': 10},
    'fit paper': {'epochs': 1},
    'fit paper-relevant': {'epochs': 1},
    'fit streaming': {'epochs': 10, 'steps': 60},
    'quantize': {'paper': False, 'rounds': 3, 'faces': 20},
    'evaluate': {'faces': 20, 'hard': 12},
}


@click.command('all')
@click.option(
    '--data',
    'images',
    type=_PATH,
    default=None,
    help='fer2013.csv, fer2013.npz, or a folder <split>/<emotion>/*.png.',
)
@all_of(teacher_option, run_option)
@click.option(
    '--cache',
    type=_PATH,
    default=None,
    help='Folder for what is computed on the way; data/cache, with --quick "cache" in '
    'the folder of the run.',
)
@click.option(
    '--models',
    'ship',
    type=_PATH,
    default=None,
    help='Folder to copy the models to once all stages have passed ("models" in this '
    'repository ships them). They always lie in "models" in the folder of the run.',
)
@all_of(
    config_option, grouping_option, processes_option, seed_option, long_option, *identity_parameters
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
    help='Take the shipped blendshape head; so it is without --teacher.',
)
@click.option('--skip-papers', is_flag=True, help="Leave out the papers' LSTM; it takes longest.")
@click.option(
    '--quick',
    is_flag=True,
    help='To see that it runs: short schedules, the shipped head, and without --data a '
    'small made set. The models are no good.',
)
@click.option(
    '--from',
    'again',
    default=None,
    metavar='STAGE',
    help='Run this stage and all after it again from their beginnings, done or not; '
    'leave it out to continue such a call.',
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
    again: str | None,
    **shared: Any,
) -> None:
    """Train and measure everything, from raw images to models and a report.

    What is done is left out when the same command is called again, and what was interrupted
    continues. Each stage is a verb of its own; what it says is kept in "log" in the folder of the
    run, and how long it took in "tables/times.json".
    """
    # Before hours of work.
    for module in ('tensorflow', 'tf_keras', 'jinja2'):
        if find_spec(module) is None:
            raise InputError(f'training needs {module}; pip install ./training')
    stated_identity({**shared})
    labels = load_grouping(shared['grouping'], shared['config']).labels
    if sorted(labels) != sorted(LABELS):
        raise InputError(
            f'grouping {shared["grouping"]} has the labels {", ".join(labels)}; robots run '
            f'{", ".join(LABELS)}, and the shipped file tells no others apart; call the verbs one '
            'by one up to "fit", then "evaluate"'
        )
    if images is None:
        if not quick:
            raise click.UsageError("Missing option '--data'; --quick makes a small set instead.")
        images = run / f'made-{seed}' / 'fer2013.npz'
        if not images.is_file():
            made_set.write(made_set.make(_MADE_FACES, seed), images.parent)
    shared |= {
        'data': images,
        'run': run,
        'models': run / 'models',
        'seed': seed,
        'cache': cache or (run / 'cache' if quick else Path('data/cache')),
        'source': 'all',
        'out': run / 'report',
    }
    teacher = shared['teacher']
    stages = _stages(shared, quick, keep_head or quick or teacher is None)
    if skip_papers:
        stages = [stage for stage in stages if stage.name not in _PAPERS]
    if again and again not in [stage.name for stage in stages]:
        names = ', '.join(stage.name for stage in stages)
        raise InputError(f'there is no stage {again!r}; there are: {names}')
    whole = run_stages(stages, run, click.echo, again)
    if ship:
        for name in MODELS:
            copy_model(name, run / 'models', ship)
    click.echo(
        '\n'
        + text_table(
            ['stage', 's', ''],
            [
                [name, one['seconds'], '' if one['this_call'] else 'done before']
                for name, one in [*whole['stages'].items(), ('all', {**whole, 'this_call': True})]
            ],
        )
    )
    click.echo(f'\n{ship or run / "models"}\n{run / "report" / "index.html"}')


def _stages(shared: dict[str, Any], quick: bool, keep_head: bool) -> list[Stage]:
    run, models, teacher = shared['run'], shared['models'], shared['teacher']
    #: Of the papers' networks, which read one source only.
    source = 'face_landmarker' if teacher else 'face_mesh'
    origin = {
        'version': __version__,
        'quick': quick,
        'data': fingerprint(shared['data']),
        **{
            name: fingerprint(shared[name]) if shared[name] else None
            for name in ('teacher', 'config')
        },
    }
    stages: list[Stage] = []
    ctx = click.get_current_context()

    def add(
        name: str, verb: click.Command, *makes: Path, continues: tuple[Path, ...] = (), **own: Any
    ) -> None:
        taken = {parameter.name for parameter in verb.params}
        given = {
            **{key: one for key, one in shared.items() if key in taken},
            **own,
            **(_QUICK.get(name, {}) if quick else {}),
        }
        # How many workers there are, and where things are kept, changes no outcome.
        decides = {key: one for key, one in given.items() if key not in ('processes', 'cache')}
        stages.append(
            Stage(name, lambda: ctx.invoke(verb, **given), {**origin, **decides}, makes, continues)
        )

    def fitted(model: str) -> None:
        add(
            f'fit {model}',
            fit,
            run / 'tables' / f'{model}.json',
            model=model,
            source=source,
            continues=(run / 'checkpoints' / model,),
        )

    add('data', data, run / 'tables' / 'counts.json')
    if keep_head:
        shipped = ModelCard.load(models_dir() / f'{HEAD}.json', HEAD)
        stages.append(
            Stage(
                'head',
                lambda: copy_model(HEAD, models_dir(), models),
                {**origin, 'sha256': shipped.sha256},
                (models / f'{HEAD}.json',),
            )
        )
    else:
        add(
            'blendshapes',
            blendshapes,
            models / f'{HEAD}.json',
            continues=(run / 'checkpoints' / 'blendshape_head',),
            model_name='',
        )
    add('clean', clean, run / 'tables' / 'undetected.json')
    add('features', features, run / 'features' / f'{source}.npz')
    add('covered', covered, run / 'covered' / f'{source}.npz')
    add(
        'appearance',
        appearance,
        models / f'{APPEARANCE}.json',
        continues=(run / 'checkpoints' / 'appearance',),
        # --model-name names the classifier, the one whose name is published.
        model_name='',
    )
    add('relevant', relevant, run / 'tables' / 'relevant.json')
    add('sequences', sequences, run / 'figures' / 'sequences.png')
    for model in ('dense', 'paper', 'paper-relevant', 'streaming'):
        fitted(model)
    add('quantize', quantize, models / f'{STREAMING}.json')
    add('evaluate', evaluate, run / 'report' / 'index.html', card=True)
    return stages
