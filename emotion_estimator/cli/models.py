"""``emotion-estimator models``: the shipped models, and MediaPipe's Face Landmarker."""

from __future__ import annotations

import click

from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator.perception.landmarks.face_landmarker import (
    FACE_LANDMARKER_SHA256,
    FACE_LANDMARKER_URL,
    face_landmarker_in_use,
    fetch,
    has_sha256,
)
from emotion_estimator.perception.upright import WEIGHTS
from emotion_estimator.weights import WeightsFile, stated

SHIPPED = ('blendshape_head', 'appearance', 'emotion_lstm', 'speaking')


@click.group(no_args_is_help=False)
def models() -> None:
    """List the models, or download the Face Landmarker."""


@models.command('list')
def list_models() -> None:
    """List the models, verify their checksums, and show which are released."""
    for kind in SHIPPED:
        card = ModelCard.load(models_dir() / f'{kind}.json', kind)
        click.echo(f'{card.title}: {_described(card.weights, "sha256 matches its card, ")}')
    click.echo(f'upright: {_described(WeightsFile.read(models_dir() / WEIGHTS))}')
    path = face_landmarker_in_use()
    if not path.is_file():
        state = 'missing; run `emotion-estimator models fetch`'
    elif has_sha256(path, FACE_LANDMARKER_SHA256):
        state = 'the official file'
    else:
        state = 'not the official file; download it again'
    click.echo(f'face_landmarker: {path} ({state})')


def _described(weights: WeightsFile, more: str = '') -> str:
    size = len(weights.content) / 1000
    return f'{weights.path} ({size:.0f} kB, {more}{stated(weights.sha256)})'


@models.command('fetch')
@click.option(
    '--url', default=FACE_LANDMARKER_URL, show_default=True, help='Where to download it from.'
)
@click.option('--timeout', default=20.0, show_default=True, help='Seconds to wait for the server.')
def fetch_models(url: str, timeout: float) -> None:
    """Download MediaPipe's face_landmarker.task into the user's cache and verify its checksum.

    The package contains the file too. The one in the cache takes precedence over it and, with the
    landmark source auto, over a face mesh that mediapipe bundles.
    """
    click.echo(f'face_landmarker.task is at {fetch(url, timeout=timeout)}')
