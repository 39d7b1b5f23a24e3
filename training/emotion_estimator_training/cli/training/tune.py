"""``training tune``: a search of a network's settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from emotion_estimator_training.cli.training.options import all_of
from emotion_estimator_training.cli.training.still_options import (
    choice_options,
    setting_options,
    settings_of,
    table_options,
    words_of,
)
from emotion_estimator_training.models.paper_settings import (
    SEARCHABLE,
    STILL_MODELS,
    still_settings,
)
from emotion_estimator_training.tables import text_table


@click.command()
@click.argument('model', type=click.Choice(STILL_MODELS), default='paper')
@choice_options
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
    callback=words_of,
    help=f'Settings to search too, comma-separated, in ranges of our own: {", ".join(SEARCHABLE)}.',
)
@table_options
@all_of(*setting_options)
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
    base = still_settings(model, 'published', epochs=epochs, seed=seed, **settings_of(given))
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
