"""``emotion-estimator training <verb>``: from raw images to the shipped models."""

from __future__ import annotations

import importlib
from typing import Any

import click

from emotion_estimator.errors import InputError

#: Each verb's module, imported when it is asked for: some of them bring TensorFlow.
VERBS = {
    'data': 'data',
    'clean': 'data',
    'features': 'features',
    'relevant': 'features',
    'make-set': 'data',
    'blendshapes': 'models',
    'fit': 'models',
    'tune': 'models',
    'sequences': 'streaming',
    'quantize': 'streaming',
    'evaluate': 'report',
    'stability': 'report',
    'all': 'all',
}


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        try:
            module: Any = importlib.import_module(f'{__name__}.{VERBS[name]}')
        except ImportError as error:
            raise InputError(
                f'training needs {error.name or error}; pip install "emotion-estimator[training]"'
            ) from error
        command: click.Command = getattr(module, name.replace('-', '_'))
        return command


training = _Verbs('training', help=(
    'Train and measure the models on labelled faces (docs/training.md). An interrupted verb '
    'continues where it was when called again.'
))
