"""``training sequences``: a picture of what the streaming network learns from."""

from __future__ import annotations

from pathlib import Path

import click

from emotion_estimator_training.cli.training.options import (
    all_of,
    config_option,
    grouping_option,
    run_option,
    seed_option,
)


@click.command()
@all_of(run_option, config_option, grouping_option, seed_option)
def sequences(run: Path, config: Path | None, grouping: str, seed: int) -> None:
    """Draw sequences of moving faces, generated from the stills of "features", as a picture."""
    from emotion_estimator_training.data.grouping import load_grouping
    from emotion_estimator_training.sequences.picture import draw_sequences

    click.echo(draw_sequences(run, load_grouping(grouping, config), seed))
