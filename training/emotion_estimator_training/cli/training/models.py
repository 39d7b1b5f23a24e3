"""``training blendshapes``, ``fit`` and ``tune``: verbs that train networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from emotion_estimator.errors import InputError
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
from emotion_estimator_training.features.features import SOURCES, Places
from emotion_estimator_training.models.losses import LOSSES
from emotion_estimator_training.models.still_run import DataChoice, chosen_data, in_words, run_still
from emotion_estimator_training.models.still_settings import SCHEDULES, STILL_MODELS, still_settings
from emotion_estimator_training.text_table import text_table

_choice_options = all_of(
    run_option, config_option, grouping_option,
    click.option('--counts', default='paper', show_default=True,
                 help='Name of the most images of each class in --config.'),
    click.option('--source', type=click.Choice(SOURCES), default='face_landmarker',
                 show_default=True, help='Landmark source whose blendshapes are learned from.'),
    click.option('--loss', type=click.Choice(list(LOSSES)), default='cce', show_default=True,
                 help='Categorical cross-entropy, mean squared error or categorical focal.'),
    click.option('--class-weights', default='none', show_default=True,
                 help='none, balanced, or a number for each label, separated by commas.'),
    seed_option,
)

#: Figures that are told of the streaming network.
_REACHED = ('accuracy', 'macro_f1', 'ece')


@click.command()
@click.argument('model', type=click.Choice([*STILL_MODELS, 'streaming']))
@_choice_options
@click.option('--schedule', type=click.Choice(SCHEDULES), default='short', show_default=True,
              help='The published 5,000 epochs, or a few at a higher rate that decays.')
@click.option('--epochs', type=click.IntRange(1), default=None, help="Most epochs; the schedule's.")
@click.option('--steps', type=click.IntRange(1), default=None,
              help='Batches of sequences, for streaming.')
def fit(
    model: str, run: Path, config: Path | None, grouping: str, counts: str, source: str, loss: str,
    class_weights: str, seed: int, schedule: str, epochs: int | None, steps: int | None,
) -> None:
    """Train MODEL on what "features" wrote, and measure it on PublicTest.

    paper, paper-relevant (on the relevant blendshapes alone) and dense; or streaming, the shipped
    one, which learns from all landmark sources and all images, reads crops too ("appearance" comes
    first), and heeds --run, --config, --grouping, --seed, --epochs (over the stills, at first) and
    --steps alone.
    """
    if model == 'streaming':
        _fit_streaming(run, config, grouping, {'epochs': epochs, 'steps': steps, 'seed': seed})
        return
    settings = still_settings(
        model, schedule, epochs=epochs, loss=loss, class_weights=class_weights, seed=seed
    )
    click.echo(in_words(run_still(
        run, model, settings, DataChoice(source, grouping, counts, config)
    )))


def _fit_streaming(
    run: Path, config: Path | None, grouping: str, changes: dict[str, Any]
) -> None:
    from emotion_estimator_training.models.streaming_fit import FitSettings
    from emotion_estimator_training.models.streaming_network import StreamingSettings
    from emotion_estimator_training.models.streaming_run import run_streaming
    from emotion_estimator_training.sequences.sequences import SequenceSettings

    training = FitSettings(**{name: one for name, one in changes.items() if one is not None})
    table = run_streaming(
        run, StreamingSettings(), training, SequenceSettings(), config, grouping
    )
    rows = [
        [vocabulary, source, branch, *(f'{figures[name]:.3f}' for name in _REACHED)]
        for vocabulary, sources in table['public_test'].items()
        for source, branches in sources.items() for branch, figures in branches.items()
    ]
    click.echo('streaming, on PublicTest')
    click.echo(text_table(['labels', 'landmark source', 'reads', *_REACHED], rows))


@click.command()
@click.argument('model', type=click.Choice(STILL_MODELS), default='paper')
@_choice_options
@click.option('--trials', type=click.IntRange(1), default=10, show_default=True,
              help='Settings to try; more than last time adds to those tried.')
@click.option('--epochs', type=click.IntRange(1), default=5, show_default=True,
              help='Epochs of each.')
@click.option('--rows', type=click.IntRange(1), default=None,
              help='Learn from so many rows drawn at random only, to be quicker.')
@click.option('--json', 'as_json', is_flag=True, help='One JSON list.')
def tune(
    model: str, run: Path, config: Path | None, grouping: str, counts: str, source: str, loss: str,
    class_weights: str, seed: int, trials: int, epochs: int, rows: int | None, as_json: bool,
) -> None:
    """Search MODEL's settings at random in the papers' ranges with Keras Tuner (seed 002, 5.3)."""
    data = chosen_data(run, model, DataChoice(source, grouping, counts, config), seed)
    base = still_settings(
        model, 'published', epochs=epochs, loss=loss, class_weights=class_weights, seed=seed
    )
    from emotion_estimator_training.models.tuning import tune as search
    from emotion_estimator_training.models.tuning import write_results

    results = search(
        data.sample(rows, seed) if rows else data, base, run / 'tuning', trials, not as_json
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
@all_of(data_option, teacher_option, cache_option, run_option, written_models_option,
        processes_option)
@click.option('--passes', type=click.IntRange(0), default=1, show_default=True,
              help='Varied passes over the stills.')
@click.option('--epochs', type=click.IntRange(1), default=30, show_default=True)
@click.option('--clips', type=click.Path(path_type=Path, exists=True, file_okay=False),
              default=None, help='Folder of videos to compare the sources on.')
def blendshapes(
    data: Path, teacher: Path | None, cache: Path, run: Path, models: Path,
    processes: int | None, passes: int, epochs: int, clips: Path | None,
) -> None:
    """Distil the bundled face mesh's blendshape head from the Face Landmarker; write its cards."""
    if teacher is None:
        raise InputError('the blendshape head learns from --teacher face_landmarker.task')
    from emotion_estimator.perception.landmarks.blendshape_head import BlendshapeHead
    from emotion_estimator_training.features.clips import clip_agreement
    from emotion_estimator_training.models import head_run
    from emotion_estimator_training.models.blendshape_head_fit import HeadSettings
    from emotion_estimator_training.shipping.card_text import write_text

    card = models / 'blendshape_head.json'
    head_run.run(
        Places(data, teacher, cache, models), passes, HeadSettings(epochs=epochs), processes
    )
    if clips:
        raw: dict[str, Any] = json.loads(card.read_text())
        raw['metrics']['clips'] = clip_agreement(clips, teacher, BlendshapeHead.load(card))
        card.write_text(json.dumps(raw, indent=1) + '\n')
    click.echo(write_text(card).read_text())
