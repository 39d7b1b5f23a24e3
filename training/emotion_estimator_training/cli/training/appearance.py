"""``training appearance``: the network for face crops."""

from __future__ import annotations

from pathlib import Path

import click

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
from emotion_estimator_training.shipping.identity import ModelIdentity

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
