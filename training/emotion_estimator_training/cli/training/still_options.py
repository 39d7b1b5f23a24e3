"""Options of the papers' networks, which ``fit`` and ``tune`` share."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from emotion_estimator_training.cli.training.options import (
    all_of,
    config_option,
    grouping_option,
    run_option,
    seed_option,
)
from emotion_estimator_training.features.features import SOURCES
from emotion_estimator_training.models.losses import LOSSES
from emotion_estimator_training.models.paper_settings import (
    ACTIVATIONS,
    INITIALIZERS,
    OPTIMIZERS,
    RECURRENT_ACTIVATIONS,
    StillSettings,
)

choice_options = all_of(
    run_option,
    config_option,
    grouping_option,
    click.option(
        '--counts',
        default='paper',
        show_default=True,
        help='Name of the counts of images per class in --config.',
    ),
    click.option(
        '--source',
        type=click.Choice(SOURCES),
        default='face_landmarker',
        show_default=True,
        help='Landmark source of the blendshapes.',
    ),
    click.option(
        '--loss',
        type=click.Choice(list(LOSSES)),
        default='cce',
        show_default=True,
        help='Loss: categorical cross-entropy, mean squared error or categorical focal loss.',
    ),
    click.option(
        '--class-weights',
        default='none',
        show_default=True,
        help='Weights of the labels in the loss: none, balanced, or comma-separated numbers.',
    ),
    seed_option,
)


def _units(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Any:
    """Return the widths that an option lists."""
    if text is None:
        return None
    words = text.split(',')
    if not all(
        word.strip().isdecimal() and 0 < int(word) <= 4096 for word in words if word
    ) or not (all(words) and len(words) <= 32):
        raise click.BadParameter('give up to 32 widths from 1 to 4096, such as 52,16,48,44')
    return tuple(int(word) for word in words)


def words_of(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, ...]:
    """Return the words that an option lists."""
    return tuple(dict.fromkeys(filter(None, (part.strip() for part in (text or '').split(',')))))


_SHARE = click.FloatRange(0, 1, max_open=True)
#: Data of the papers' networks, other than what "features" wrote.
table_options = all_of(
    click.option(
        '--table',
        'tables',
        multiple=True,
        type=click.Path(path_type=Path),
        help='CSV file of blendshapes to train on instead of "features": columns by name, label, '
        'and usage (Training, PublicTest). All its rows are used. May be repeated.',
    ),
    click.option(
        '--labels',
        default=None,
        callback=words_of,
        help="Labels of --table, comma-separated, in output order. Default: the grouping's.",
    ),
    click.option(
        '--blendshapes',
        default='',
        help='Blendshapes to read: names, indices, ranges of indices (9-20), all, relevant, or '
        "attrah-27 (those of Attrah's code), separated by commas. Default: the model's.",
    ),
)
#: Settings of the papers' networks; each sets the field of ``StillSettings`` that it is named like.
setting_options = (
    click.option('--optimizer', type=click.Choice(OPTIMIZERS), help='Default: adamw.'),
    click.option(
        '--learning-rate',
        type=click.FloatRange(0, 10, min_open=True),
        help="Highest rate. Default: the schedule's.",
    ),
    click.option('--momentum', type=_SHARE, help='Of sgd. Default: 0.'),
    click.option('--beta-1', type=_SHARE, help='Of adamw. Default: 0.9.'),
    click.option('--beta-2', type=_SHARE, help='Of adamw. Default: 0.999.'),
    click.option('--amsgrad/--no-amsgrad', default=None, help='Of adamw. Default: on.'),
    click.option('--weight-decay', type=click.FloatRange(0, 1), help='Default: 0.004.'),
    click.option(
        '--clipnorm',
        type=click.FloatRange(0, 1e6),
        help="Greatest norm of a layer's gradients, instead of --global-clipnorm. Default: none.",
    ),
    click.option(
        '--global-clipnorm',
        type=click.FloatRange(0, 1e6),
        help='Greatest norm of all gradients; 0 does not limit it. Default: 1.',
    ),
    click.option(
        '--ema/--no-ema', default=None, help="Average the weights' past values. Default: off."
    ),
    click.option('--ema-momentum', type=_SHARE, help='Of that average. Default: 0.99.'),
    click.option(
        '--units',
        callback=_units,
        metavar='LIST',
        help="Units of each layer, such as 52,16,48,44. Default: the model's.",
    ),
    click.option('--activation', type=click.Choice(ACTIVATIONS), help="Default: the model's."),
    click.option(
        '--recurrent-activation',
        type=click.Choice(RECURRENT_ACTIVATIONS),
        help="Of an LSTM's gates. Default: sigmoid.",
    ),
    click.option(
        '--kernel-initializer', type=click.Choice(INITIALIZERS), help='Default: glorot_uniform.'
    ),
    click.option(
        '--dropout', type=_SHARE, help="Share dropped at each layer. Default: the model's."
    ),
    click.option(
        '--go-backwards/--no-go-backwards',
        default=None,
        help='Let each LSTM read its inputs from the last to the first. Default: off.',
    ),
    click.option('--l2', type=click.FloatRange(0, 1), help='Default: 1.95e-6.'),
    click.option('--batch', type=click.IntRange(1, 100_000), help='Default: 128.'),
)


def settings_of(given: dict[str, Any]) -> dict[str, Any]:
    """Take the values of ``setting_options`` that were given out of a command's."""
    names = {field.name for field in fields(StillSettings)} & given.keys()
    return {name: one for name in names if (one := given.pop(name)) is not None}
