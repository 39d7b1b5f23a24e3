"""``training appearance``: the network that reads face crops."""

from __future__ import annotations

from pathlib import Path

import click

from emotion_estimator_training.cli.training.options import (
    all_of,
    cache_option,
    config_option,
    data_option,
    grouping_option,
    processes_option,
    run_option,
    seed_option,
    teacher_option,
    written_models_option,
)

long_option = click.option(
    '--long', 'longer', is_flag=True,
    help='Train the larger appearance network for as long as the first before it teaches, as for '
         'the one that ships (over an hour more on two cores).',
)


@click.command()
@all_of(data_option, teacher_option, cache_option, run_option, written_models_option,
        config_option, grouping_option, processes_option, seed_option, long_option)
@click.option('--epochs', type=click.IntRange(1), default=None,
              help='Of each part, to see that it runs.')
def appearance(
    data: Path, teacher: Path | None, cache: Path, run: Path, models: Path, config: Path | None,
    grouping: str, processes: int | None, seed: int, longer: bool, epochs: int | None,
) -> None:
    """Train the network that reads face crops, after "features"; write it as int8 TFLite.

    Three parts: the network; a larger one; the network again from where it was, taught by the
    larger one too.
    """
    from emotion_estimator_training.data.dataset import load_stills
    from emotion_estimator_training.data.grouping import load_grouping
    from emotion_estimator_training.features.crops import landmarks_in_stills, still_matrices
    from emotion_estimator_training.features.feature_set import load_sources
    from emotion_estimator_training.features.features import MESH, Places, outlines
    from emotion_estimator_training.models.appearance_plan import planned
    from emotion_estimator_training.models.appearance_run import run_appearance
    from emotion_estimator_training.report.history_figure import draw_appearance, draw_trainings
    from emotion_estimator_training.shipping.appearance_ship import ship_appearance

    stills, sources = load_stills(data), load_sources(run)
    names = [source.source for source in sources]
    # Of two sources that see the same face one will do: the bundled mesh finds more of them.
    chosen = MESH if MESH in names else names[0]
    seen = outlines(stills, Places(data, teacher, cache, models), processes, names)[chosen]
    matrices = still_matrices(landmarks_in_stills(seen.landmarks), seen.found)
    plan, labels = planned(seed, epochs, longer), load_grouping(grouping, config)
    tables = {}
    for name in plan:
        table = tables[name] = run_appearance(
            run, stills, matrices, seen.found, sources, labels, plan, name
        )
        draw_appearance(
            table['history'], run / 'figures' / f'appearance-{name}-history.png',
            f'appearance, {name} of its trainings, {table["parameters"]:,} parameters',
        )
    draw_trainings(tables, run / 'figures' / 'appearance-trainings.png')
    card = ship_appearance(run, stills, matrices, seen.found, models, plan, tables)
    for name, table in tables.items():
        last = table['history'][-1]
        click.echo(
            f'appearance, {name} ({table["parameters"]:,} parameters), after {last["epoch"]} '
            f'epochs, PublicTest: {last["appearance_seven"]:.3f} of seven classes, '
            f'{last["appearance_labels"]:.3f} of the labels; with blendshapes '
            f'{last["joined_seven"]:.3f} and {last["joined_labels"]:.3f}, the mirror image seen '
            f'too {table["mirrored_seven"]:.3f} and {table["mirrored_labels"]:.3f}'
        )
    click.echo(card)
