"""``training quantize``: the streaming network as TFLite."""

from __future__ import annotations

from pathlib import Path

import click

from emotion_estimator_training.cli.training.options import (
    all_of,
    identity_options,
    run_option,
    written_models_option,
)
from emotion_estimator_training.shipping.identity import ModelIdentity
from emotion_estimator_training.tables import text_table


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
