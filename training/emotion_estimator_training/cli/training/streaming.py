"""``training sequences`` and ``quantize``: what the streaming network learns from, and its file."""

from __future__ import annotations

from pathlib import Path

import click

from emotion_estimator_training.cli.training.options import (
    all_of,
    config_option,
    grouping_option,
    run_option,
    seed_option,
    written_models_option,
)
from emotion_estimator_training.text_table import text_table


@click.command()
@all_of(run_option, config_option, grouping_option, seed_option)
def sequences(run: Path, config: Path | None, grouping: str, seed: int) -> None:
    """Draw sequences of moving faces, made of the stills that "features" wrote, as a picture."""
    from emotion_estimator_training.data.grouping import load_grouping
    from emotion_estimator_training.sequences.sequences_figure import draw_sequences

    click.echo(draw_sequences(run, load_grouping(grouping, config), seed))


@click.command()
@all_of(run_option, written_models_option)
@click.option('--paper/--no-paper', default=True, show_default=True,
              help="Time the paper's network in the same run; it takes half a minute to convert.")
@click.option('--rounds', type=click.IntRange(1), default=40, show_default=True,
              help='Of timing all networks in turns.')
@click.option('--faces', type=click.IntRange(1), default=200, show_default=True,
              help='Faces held for counting flips; as many changes and a half are timed.')
def quantize(run: Path, models: Path, paper: bool, rounds: int, faces: int) -> None:
    """Write what "fit streaming" trained as TFLite, if it still says the same, and its card.

    Of int8, dynamic-range and mixed conversions the fastest is taken whose label is the float
    network's in at least 99 % of 12,000 frames of PublicTest's faces in motion.
    """
    from emotion_estimator_training.shipping.parity import parity_table
    from emotion_estimator_training.shipping.quantize_run import quantize_streaming
    from emotion_estimator_training.shipping.step_time import time_table

    metrics = quantize_streaming(run, models, paper, rounds, faces)
    head, rows = parity_table(metrics['quantization'])
    # Without the two long columns.
    click.echo(text_table(
        [head[0], head[1], *head[3:6]], [[row[0], row[1], *row[3:6]] for row in rows]
    ) + '\n')
    for row in rows:
        click.echo(f'{row[0]}: {row[6]}')
    click.echo()
    click.echo(text_table(*time_table(metrics['time'])) + '\n')
    for form, share in metrics['time'].get('share_of_paper', {}).items():
        click.echo(f'a step takes {share:.4f} of {form} ({metrics["time"]["paper"]})')
    for note in metrics['time']['notes']:
        click.echo(note)
    click.echo(models / 'emotion_lstm.json')
