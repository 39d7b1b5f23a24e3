"""``training fit``: the papers' networks, and the streaming one."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from emotion_estimator_training.cli.training.options import all_of
from emotion_estimator_training.cli.training.still_options import (
    choice_options,
    setting_options,
    settings_of,
    table_options,
)
from emotion_estimator_training.models.paper_settings import (
    SCHEDULES,
    STILL_MODELS,
    StillSettings,
    still_settings,
)
from emotion_estimator_training.tables import text_table

#: Metrics that are shown of the streaming network.
_SHOWN = ('accuracy', 'macro_f1', 'ece')


@click.command()
@click.argument('model', type=click.Choice([*STILL_MODELS, 'streaming']))
@choice_options
@click.option(
    '--schedule',
    type=click.Choice(SCHEDULES),
    default='short',
    show_default=True,
    help='The published 5,000 epochs, or a few at a higher, decaying rate.',
)
@click.option(
    '--epochs',
    type=click.IntRange(1),
    default=None,
    help="Maximum number of epochs. Default: the schedule's.",
)
@click.option(
    '--steps', type=click.IntRange(1), default=None, help='Batches of sequences (streaming only).'
)
@click.option(
    '--data',
    type=click.Path(path_type=Path),
    default=None,
    help="The images of the features, for FER+'s votes on them (streaming only, which needs it).",
)
@click.option(
    '--name',
    default='',
    help="Folder of the checkpoints, and name in tables. Default: the model's. Another name keeps "
    'an earlier training.',
)
@click.option(
    '--keep-every',
    'every',
    type=click.IntRange(0),
    default=0,
    help='Keep each so many-th epoch too, and list how good each is.',
)
@click.option(
    '--patience',
    type=click.IntRange(1),
    help="Epochs without a better one after which training stops. Default: the schedule's.",
)
@table_options
@all_of(*setting_options)
def fit(
    model: str,
    run: Path,
    config: Path | None,
    grouping: str,
    counts: str,
    source: str,
    seed: int,
    schedule: str,
    epochs: int | None,
    steps: int | None,
    data: Path | None,
    name: str,
    every: int,
    tables: tuple[Path, ...],
    labels: tuple[str, ...],
    blendshapes: str,
    **given: Any,
) -> None:
    """Train MODEL on the output of "features" or --table, and measure it on PublicTest.

    MODEL is paper, paper-relevant (only the relevant blendshapes), dense (the same widths without
    memory), paper-dense (the ablation of its author), or streaming: the shipped one, which is
    trained on all images of all landmark sources and needs "appearance" first. It takes only --run,
    --data, --config, --grouping, --seed, --epochs (over the stills) and --steps.
    """
    from emotion_estimator_training.models.paper_training import (
        DataChoice,
        checkpoint_rows,
        in_words,
        run_still,
        warnings_of,
    )

    if model == 'streaming':
        _refuse_for_streaming(('every', 'name', 'tables', 'labels', 'blendshapes', 'patience'))
        if data is None:
            raise click.UsageError("Missing option '--data', which the streaming network needs.")
        _fit_streaming(
            run, data, config, grouping, {'epochs': epochs, 'steps': steps, 'seed': seed}
        )
        return
    if name == 'streaming' or not re.fullmatch(r'([A-Za-z0-9][A-Za-z0-9._-]{0,63})?', name):
        raise click.UsageError('--name takes up to 64 letters, digits, ".", "_" and "-".')
    settings = still_settings(model, schedule, epochs=epochs, seed=seed, **settings_of(given))
    # A verb that "all" invokes gets the defaults as they are written.
    choice = DataChoice(
        source, grouping, counts, config, blendshapes, tuple(tables), tuple(labels or ())
    )
    table = run_still(run, model, settings, choice, name=name, every=every)
    click.echo(in_words(table))
    if every:
        header, rows = checkpoint_rows(table)
        click.echo('\n' + text_table(header, rows) + '\n')
    for line in warnings_of(table):
        click.echo(line, err=True)


def _refuse_for_streaming(others: tuple[str, ...]) -> None:
    """Refuse options of the papers' networks.

    :raises click.UsageError: one was given.
    """
    context = click.get_current_context()
    names = [*others, *(field.name for field in fields(StillSettings))]
    for parameter in context.command.params:
        given = context.get_parameter_source(str(parameter.name))
        if (
            given is ParameterSource.COMMANDLINE
            and parameter.name in names
            and parameter.name not in ('epochs', 'seed')
        ):
            raise click.UsageError(f'{parameter.opts[0]} is not an option of streaming.')


def _fit_streaming(
    run: Path, data: Path, config: Path | None, grouping: str, changes: dict[str, Any]
) -> None:
    from emotion_estimator_training.models.streaming_fit import StreamingFitSettings
    from emotion_estimator_training.models.streaming_network import StreamingSettings
    from emotion_estimator_training.models.streaming_run import run_streaming
    from emotion_estimator_training.sequences.sequences import SequenceSettings

    training = StreamingFitSettings(
        **{name: one for name, one in changes.items() if one is not None}
    )
    table = run_streaming(
        run, StreamingSettings(), training, SequenceSettings(), data, config, grouping
    )
    rows = [
        [vocabulary, source, branch, *(f'{metrics[name]:.3f}' for name in _SHOWN)]
        for vocabulary, sources in table['public_test'].items()
        for source, branches in sources.items()
        for branch, metrics in branches.items()
    ]
    click.echo('streaming, on PublicTest')
    click.echo(text_table(['labels', 'landmark source', 'reads', *_SHOWN], rows))
