"""``emotion-estimator models``: the shipped models, and MediaPipe's Face Landmarker."""

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
    """List the models, or download the Face Landmarker."""


@models.command('list')
def list_models() -> None:
    """List the models and verify their checksums."""
    for kind in SHIPPED:
        card = ModelCard.load(models_dir() / f'{kind}.json', kind)
        size = card.path.stat().st_size / 1000
        click.echo(f'{card.title}: {card.path} ({size:.0f} kB, sha256 matches its card)')
    path = face_landmarker_path()
    if not path.is_file():
        state = 'not downloaded; run `emotion-estimator models fetch`'
    elif has_sha256(path, FACE_LANDMARKER_SHA256):
        state = 'the official file'
    else:
        state = 'not the official file; download it again'
    click.echo(f'face_landmarker: {path} ({state})')


@models.command('fetch')
@click.option(
    '--url', default=FACE_LANDMARKER_URL, show_default=True, help='Where to download it from.'
)
@click.option('--timeout', default=20.0, show_default=True, help='Seconds to wait for the server.')
def fetch_models(url: str, timeout: float) -> None:
    """Download MediaPipe's face_landmarker.task into the user's cache and verify its checksum."""
    click.echo(f'face_landmarker.task is at {fetch(url, timeout=timeout)}')
