"""``training appearance``, ``blendshapes``, ``fit``, ``tune``, ``sequences``, ``quantize``."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from emotion_estimator.errors import InputError
from emotion_estimator_training.cli.training.options import (
    all_of,
    cache_option,
    config_option,
    data_option,
    grouping_option,
    identity_options,
    processes_option,
    run_option,
    seed_option,
    teacher_option,
    written_models_option,
)
from emotion_estimator_training.features.features import SOURCES, Places
from emotion_estimator_training.models.losses import LOSSES
from emotion_estimator_training.models.paper_settings import (
    ACTIVATIONS,
    INITIALIZERS,
    OPTIMIZERS,
    RECURRENT_ACTIVATIONS,
    SCHEDULES,
    SEARCHABLE,
    STILL_MODELS,
    StillSettings,
    still_settings,
)
from emotion_estimator_training.shipping.identity import ModelIdentity
from emotion_estimator_training.tables import text_table


@click.command()
@all_of(run_option, config_option, grouping_option, seed_option)
def sequences(run: Path, config: Path | None, grouping: str, seed: int) -> None:
    """Draw sequences of moving faces, generated from the stills of "features", as a picture."""
    from emotion_estimator_training.data.grouping import load_grouping
    from emotion_estimator_training.sequences.picture import draw_sequences

    click.echo(draw_sequences(run, load_grouping(grouping, config), seed))


@click.command()
@all_of(run_option, written_models_option)
@click.option(
    '--paper/--no-paper',
    default=True,
    show_default=True,
    help="Time the paper's network too; it takes half a minute to convert.",
)
@click.option(
    '--rounds',
    type=click.IntRange(1),
    default=40,
    show_default=True,
    help='Rounds of timing all networks in turns.',
)
@click.option(
    '--faces',
    type=click.IntRange(1),
    default=200,
    show_default=True,
    help='Steady faces for counting flips; 1.5 times as many changes are timed.',
)
@identity_options
def quantize(
    run: Path, models: Path, paper: bool, rounds: int, faces: int, identity: ModelIdentity
) -> None:
    """Write the network of "fit streaming" as TFLite, with its card.

    Of int8, dynamic-range and mixed conversions, the fastest whose label is the float network's in
    at least 99 % of 12,000 frames of moving PublicTest faces is written.
    """
    from emotion_estimator_training.shipping.parity import parity_table
    from emotion_estimator_training.shipping.step_time import time_table
    from emotion_estimator_training.shipping.streaming import quantize_streaming

    metrics = quantize_streaming(run, models, paper, rounds, faces, identity)
    head, rows = parity_table(metrics['quantization'])
    # Without the two long columns.
    click.echo(
        text_table([head[0], head[1], *head[3:6]], [[row[0], row[1], *row[3:6]] for row in rows])
        + '\n'
    )
    for row in rows:
        click.echo(f'{row[0]}: {row[6]}')
    click.echo()
    click.echo(text_table(*time_table(metrics['time'])) + '\n')
    for form, share in metrics['time'].get('share_of_paper', {}).items():
        click.echo(f'a step takes {share:.4f} of {form} ({metrics["time"]["paper"]})')
    for note in metrics['time']['notes']:
        click.echo(note)
    click.echo(models / 'emotion_lstm.json')


long_option = click.option(
    '--long',
    'longer',
    is_flag=True,
    help='Train the larger appearance network as long as the first one before it teaches, as for '
    'the released model (over an hour more on two cores).',
)

continue_released_option = click.option(
    '--continue-released',
    is_flag=True,
    help='Train the released appearance network further instead of a new one, in one part.',
)


def check_plan(longer: bool, continue_released: bool) -> None:
    """Refuse two plans of training at once.

    :raises click.UsageError: both are asked for.
    """
    if longer and continue_released:
        raise click.UsageError('--long and --continue-released exclude each other; give one.')


@click.command()
@all_of(
    data_option,
    teacher_option,
    cache_option,
    run_option,
    written_models_option,
    config_option,
    grouping_option,
    processes_option,
    seed_option,
    long_option,
    continue_released_option,
)
@click.option(
    '--epochs', type=click.IntRange(1), default=None, help='Epochs of each part, for a trial run.'
)
@identity_options
def appearance(
    data: Path,
    teacher: Path | None,
    cache: Path,
    run: Path,
    models: Path,
    config: Path | None,
    grouping: str,
    processes: int | None,
    seed: int,
    longer: bool,
    continue_released: bool,
    epochs: int | None,
    identity: ModelIdentity,
) -> None:
    """Train the network that reads face crops, after "features"; write it as int8 TFLite.

    In three parts: the network, a larger one, and the network again, also taught by the larger one.
    It learns from the photographs of "people" too, if there are any.
    """
    check_plan(longer, continue_released)
    from emotion_estimator_training.data.grouping import load_grouping
    from emotion_estimator_training.data.stills import load_stills
    from emotion_estimator_training.features.crops import landmarks_in_stills, still_matrices
    from emotion_estimator_training.features.feature_set import load_sources
    from emotion_estimator_training.features.features import MESH, Places, outlines
    from emotion_estimator_training.features.people import load_people
    from emotion_estimator_training.models.appearance_run import planned, run_appearance
    from emotion_estimator_training.report.training_curves import draw_appearance, draw_trainings
    from emotion_estimator_training.shipping.appearance import ship_appearance

    stills, sources = load_stills(data), load_sources(run)
    names = [source.source for source in sources]
    # One source is enough for crops: the bundled mesh, which finds more faces.
    chosen = MESH if MESH in names else names[0]
    seen = outlines(stills, Places(data, teacher, cache, models), processes, names)[chosen]
    matrices = still_matrices(landmarks_in_stills(seen.landmarks), seen.found)
    plan = planned(seed, epochs, longer, continue_released)
    labels, people = load_grouping(grouping, config), load_people(run)
    tables = {}
    for name in plan:
        table = tables[name] = run_appearance(
            run, stills, matrices, seen.found, sources, labels, plan, name, people
        )
        draw_appearance(
            table['history'],
            run / 'figures' / f'appearance-{name}-history.png',
            f'appearance, {name} of its trainings, {table["parameters"]:,} parameters',
        )
    draw_trainings(tables, run / 'figures' / 'appearance-trainings.png')
    card = ship_appearance(run, stills, matrices, seen.found, models, plan, tables, identity)
    for name, table in tables.items():
        last = table['history'][-1]
        click.echo(
            f'appearance, {name} ({table["parameters"]:,} parameters), after {last["epoch"]} '
            f'epochs, accuracy on PublicTest: {last["appearance_seven"]:.3f} of seven classes, '
            f'{last["appearance_labels"]:.3f} of the labels; with blendshapes '
            f'{last["joined_seven"]:.3f} and {last["joined_labels"]:.3f}, with the mirror image '
            f'too {table["mirrored_seven"]:.3f} and {table["mirrored_labels"]:.3f}'
        )
    click.echo(card)


_choice_options = all_of(
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


def _words(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, ...]:
    """Return the words that an option lists."""
    return tuple(dict.fromkeys(filter(None, (part.strip() for part in (text or '').split(',')))))


_SHARE = click.FloatRange(0, 1, max_open=True)
#: Data of the papers' networks, other than what "features" wrote.
_table_options = all_of(
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
        callback=_words,
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
_setting_options = (
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

#: Metrics that are shown of the streaming network.
_SHOWN = ('accuracy', 'macro_f1', 'ece')


def _settings_of(given: dict[str, Any]) -> dict[str, Any]:
    """Take the values of ``_setting_options`` that were given out of a command's."""
    names = {field.name for field in fields(StillSettings)} & given.keys()
    return {name: one for name in names if (one := given.pop(name)) is not None}


@click.command()
@click.argument('model', type=click.Choice([*STILL_MODELS, 'streaming']))
@_choice_options
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
@_table_options
@all_of(*_setting_options)
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
    settings = still_settings(model, schedule, epochs=epochs, seed=seed, **_settings_of(given))
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


@click.command()
@click.argument('model', type=click.Choice(STILL_MODELS), default='paper')
@_choice_options
@click.option(
    '--trials',
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help='Settings to try; a higher number continues an earlier search.',
)
@click.option(
    '--epochs', type=click.IntRange(1), default=5, show_default=True, help='Epochs of each trial.'
)
@click.option(
    '--rows',
    type=click.IntRange(1),
    default=None,
    help='Train on a random sample of this many rows, to be faster.',
)
@click.option(
    '--search',
    'more',
    default='',
    callback=_words,
    help=f'Settings to search too, comma-separated, in ranges of our own: {", ".join(SEARCHABLE)}.',
)
@_table_options
@all_of(*_setting_options)
@click.option('--json', 'as_json', is_flag=True, help='Print one JSON list.')
def tune(
    model: str,
    run: Path,
    config: Path | None,
    grouping: str,
    counts: str,
    source: str,
    seed: int,
    trials: int,
    epochs: int,
    rows: int | None,
    more: tuple[str, ...],
    tables: tuple[Path, ...],
    labels: tuple[str, ...],
    blendshapes: str,
    as_json: bool,
    **given: Any,
) -> None:
    """Search MODEL's settings with Keras Tuner, at random in the ranges of Attrah's report, 5.3.

    Learning rate, units, L2, activation and weight decay are always searched for; other settings
    keep the value given, unless --search names them.
    """
    from emotion_estimator_training.models.paper_training import DataChoice, chosen_data

    choice = DataChoice(source, grouping, counts, config, blendshapes, tables, labels)
    data = chosen_data(run, model, choice, seed)
    base = still_settings(model, 'published', epochs=epochs, seed=seed, **_settings_of(given))
    from emotion_estimator_training.models.tuning import tune as search
    from emotion_estimator_training.models.tuning import write_results

    results = search(
        data.sample(rows, seed) if rows else data,
        base,
        run / 'tuning',
        trials,
        not as_json,
        more,
    )
    path = write_results(results, run / 'tables' / f'tune-{model}.json')
    if as_json:
        click.echo(json.dumps(results))
        return
    click.echo(text_table(list(results[0]), [_rounded(row) for row in results]))
    click.echo(path)


def _rounded(row: dict[str, Any]) -> list[Any]:
    return [f'{one:.3g}' if isinstance(one, float) else one for one in row.values()]


@click.command()
@all_of(
    data_option,
    teacher_option,
    cache_option,
    run_option,
    written_models_option,
    processes_option,
    seed_option,
)
@click.option(
    '--passes',
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help='Passes over varied copies of the stills.',
)
@click.option(
    '--epochs', type=click.IntRange(1), default=30, show_default=True, help='Epochs of training.'
)
@click.option(
    '--clips',
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=None,
    help='Folder of videos on which head and teacher are compared too.',
)
@identity_options
def blendshapes(
    data: Path,
    teacher: Path | None,
    cache: Path,
    run: Path,
    models: Path,
    processes: int | None,
    seed: int,
    passes: int,
    epochs: int,
    clips: Path | None,
    identity: ModelIdentity,
) -> None:
    """Distil the blendshape head of the bundled face mesh from the Face Landmarker."""
    if teacher is None:
        raise InputError('the blendshape head needs a teacher: pass --teacher face_landmarker.task')
    from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead
    from emotion_estimator_training.evaluation.agreement import clip_agreement
    from emotion_estimator_training.models.blendshape_head import HeadSettings
    from emotion_estimator_training.shipping.blendshape_head import ship_head
    from emotion_estimator_training.shipping.cards import write_markdown

    card = models / 'blendshape_head.json'
    ship_head(
        Places(data, teacher, cache, models),
        passes,
        HeadSettings(epochs=epochs, seed=seed),
        run / 'checkpoints' / 'blendshape_head',
        processes,
        identity,
    )
    if clips:
        raw: dict[str, Any] = json.loads(card.read_text())
        raw['metrics']['clips'] = clip_agreement(clips, teacher, BlendshapeHead.load(card))
        card.write_text(json.dumps(raw, indent=1) + '\n')
    click.echo(write_markdown(card).read_text())
