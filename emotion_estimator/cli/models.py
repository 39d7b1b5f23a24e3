"""``emotion-estimator models``: the shipped weights, and MediaPipe's official file."""

from __future__ import annotations

import click

from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator.perception.landmarks.face_landmarker import (
    FACE_LANDMARKER_SHA256,
    FACE_LANDMARKER_URL,
    face_landmarker_path,
    fetch,
    has_sha256,
)

SHIPPED = ('blendshape_head', 'appearance', 'emotion_lstm')


@click.group(no_args_is_help=False)
def models() -> None:
    """List the models, or fetch the Face Landmarker."""


@models.command('list')
def list_models() -> None:
    """Say which models are there, checksums compared."""
    for kind in SHIPPED:
        card = ModelCard.load(models_dir() / f'{kind}.json', kind)
        size = card.path.stat().st_size / 1000
        click.echo(f'{card.title}: {card.path} ({size:.0f} kB, sha256 as its card says)')
    path = face_landmarker_path()
    if not path.is_file():
        state = 'not fetched; `emotion-estimator models fetch` gets it'
    elif has_sha256(path, FACE_LANDMARKER_SHA256):
        state = 'the official file'
    else:
        state = 'another file than the official one; fetch it again'
    click.echo(f'face_landmarker: {path} ({state})')


@models.command('fetch')
@click.option('--url', default=FACE_LANDMARKER_URL, show_default=True, help='Where it lies.')
@click.option('--timeout', default=20.0, show_default=True, help='Seconds to wait for an answer.')
def fetch_models(url: str, timeout: float) -> None:
    """Fetch MediaPipe's face_landmarker.task into the user's cache; the checksum is verified."""
    click.echo(f'face_landmarker.task is at {fetch(url, timeout=timeout)}')
