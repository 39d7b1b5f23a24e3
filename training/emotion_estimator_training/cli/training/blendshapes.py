"""``training blendshapes``: the blendshape head of the bundled face mesh."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from emotion_estimator.errors import InputError
from emotion_estimator_training.cli.training.options import (
    all_of,
    cache_option,
    data_option,
    identity_options,
    processes_option,
    run_option,
    seed_option,
    teacher_option,
    written_models_option,
)
from emotion_estimator_training.features.features import Places
from emotion_estimator_training.shipping.identity import ModelIdentity


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
