"""``training appearance``: the network that reads face crops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from emotion_estimator.cli.training.options import (
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


@click.command()
@all_of(data_option, teacher_option, cache_option, run_option, written_models_option,
        config_option, grouping_option, processes_option, seed_option)
@click.option('--epochs', type=click.IntRange(1), default=None, help='Over all stills.')
def appearance(
    data: Path, teacher: Path | None, cache: Path, run: Path, models: Path, config: Path | None,
    grouping: str, processes: int | None, seed: int, epochs: int | None,
) -> None:
    """Train the network that reads face crops, after "features"; write it as int8 TFLite."""
    from emotion_estimator.training.appearance_fit import AppearanceFit
    from emotion_estimator.training.appearance_network import AppearanceSettings
    from emotion_estimator.training.appearance_run import run_appearance
    from emotion_estimator.training.appearance_ship import ship_appearance
    from emotion_estimator.training.crop_augment import CropVariation
    from emotion_estimator.training.crops import landmarks_in_stills, still_matrices
    from emotion_estimator.training.dataset import load_stills
    from emotion_estimator.training.feature_set import load_sources
    from emotion_estimator.training.features import MESH, Places, outlines
    from emotion_estimator.training.grouping import load_grouping
    from emotion_estimator.training.history_figure import draw_appearance

    stills, sources = load_stills(data), load_sources(run)
    names = [source.source for source in sources]
    # Of two sources that see the same face one will do: the bundled mesh finds more of them.
    chosen = MESH if MESH in names else names[0]
    seen = outlines(stills, Places(data, teacher, cache, models), processes, names)[chosen]
    matrices = still_matrices(landmarks_in_stills(seen.landmarks), seen.found)
    settings, variation = AppearanceSettings(), CropVariation()
    training = AppearanceFit(seed=seed)
    if epochs is not None:
        training = replace(training, epochs=epochs)
    table = run_appearance(
        run, stills, matrices, seen.found, sources, load_grouping(grouping, config), settings,
        training, variation,
    )
    draw_appearance(table['history'], run / 'figures' / 'appearance-history.png')
    card = ship_appearance(
        run, stills, matrices, seen.found, models, settings, training, variation, table['history']
    )
    last = table['history'][-1]
    click.echo(
        f'appearance, after {last["epoch"]} epochs, PublicTest: {last["appearance_seven"]:.3f} of '
        f'seven classes, {last["appearance_labels"]:.3f} of the labels; with blendshapes '
        f'{last["joined_seven"]:.3f} and {last["joined_labels"]:.3f}\n{card}'
    )
