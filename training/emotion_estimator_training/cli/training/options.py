"""Options shared by the training verbs."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from emotion_estimator_training.data.augment import Enlargement
from emotion_estimator_training.seed import SEED
from emotion_estimator_training.shipping.identity import ModelIdentity
from emotion_estimator_training.shipping.model_folder import own_models

Command = TypeVar('Command', bound=Callable[..., Any])

_PATH = click.Path(path_type=Path)

data_option = click.option(
    '--data',
    required=True,
    type=_PATH,
    help='fer2013.csv, fer2013.npz, or a folder <split>/<emotion>/*.png.',
)
teacher_option = click.option(
    '--teacher',
    type=_PATH,
    default=None,
    help='face_landmarker.task; without it only the bundled face mesh is used.',
)
cache_option = click.option(
    '--cache',
    type=_PATH,
    default=Path('data/cache'),
    show_default=True,
    help='Folder for intermediate results.',
)
photographs_option = click.option(
    '--photographs',
    type=click.Path(path_type=Path, exists=True),
    default=None,
    help='Folder or zip of photographs of people, with a CSV (image, label, person). Without it '
    'nothing is learned from people.',
)
talking_option = click.option(
    '--talking',
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=None,
    help='Folder of films with clips.csv (clip, label, speaking, person), beside --photographs; '
    'those of people with a neutral face are used.',
)
# Eager: the default of --models depends on it.
run_option = click.option(
    '--run',
    type=_PATH,
    default=Path('out/training'),
    show_default=True,
    is_eager=True,
    help='Folder for tables, pictures, checkpoints and models.',
)
models_option = click.option(
    '--models',
    type=_PATH,
    callback=lambda ctx, _, models: models or own_models(ctx.params['run']),
    help="Folder of the models to use. Default: the run's, or the shipped ones if it has none.",
)
written_models_option = click.option(
    '--models',
    type=_PATH,
    callback=lambda ctx, _, models: models or ctx.params['run'] / 'models',
    help='Folder to write the model to. Default: "models" in the run folder.',
)
config_option = click.option(
    '--config',
    type=_PATH,
    default=None,
    help='Groupings and counts. Default: the shipped training.yaml.',
)
grouping_option = click.option(
    '--grouping',
    default='happy-unknown-sad',
    show_default=True,
    help='Name of a grouping of the classes in --config.',
)
processes_option = click.option(
    '--processes',
    type=click.IntRange(1),
    default=None,
    help='Worker processes. Default: one per core.',
)
enlarge_option = click.option(
    '--enlarge',
    type=click.FloatRange(1, 8),
    default=Enlargement.scale,
    show_default=True,
    help='Factor by which each still is enlarged, with a border, before a face is looked for; 1 '
    'leaves it at 48 pixels, as in the papers.',
)
# The range that NumPy and Keras accept.
seed_option = click.option(
    '--seed',
    type=click.IntRange(0, 2**32 - 1),
    default=SEED,
    show_default=True,
    help='Seed of everything random.',
)


#: Whose the models are that a verb writes.
identity_parameters = (
    click.option('--model-name', default='', help="Name in the model's card. Default: its kind."),
    click.option(
        '--model-version',
        default='',
        help="Version in the model's card. Default: the release's with "
        '"+local." and the start of the file\'s SHA-256.',
    ),
    click.option('--trained-on', default='', help='Training data, for the card.'),
    click.option('--licence', default='', help='Licence of the weights, for the card.'),
    click.option('--data-licence', default='', help='Licence of the data, for the card.'),
    click.option(
        '--release',
        is_flag=True,
        help="Describe the models as this project's release (releases.yaml).",
    ),
)


def stated_identity(given: dict[str, Any]) -> ModelIdentity:
    """Take the values of ``identity_parameters`` out of a command's; return what they state.

    :raises InputError: a release states something of its own.
    """
    return ModelIdentity(
        name=given.pop('model_name'),
        version=given.pop('model_version'),
        **{name: given.pop(name) for name in ('trained_on', 'licence', 'data_licence', 'release')},
    )


def identity_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of ``identity_parameters``; the command gets them as one ``identity``."""

    @wraps(command)
    def with_identity(**given: Any) -> Any:
        return command(identity=stated_identity(given), **given)

    return all_of(*identity_parameters)(with_identity)


def all_of(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return a decorator that adds ``options`` to a command, in this order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def check_people(photographs: Path | None, talking: Path | None) -> None:
    """Refuse films of people who talk without photographs of people that they could lend mouths.

    :raises click.UsageError: so it is.
    """
    if talking and not photographs:
        raise click.UsageError('--talking needs --photographs, whose people are made to talk.')
