"""Options that the verbs of training share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar('Command', bound=Callable[..., Any])

_PATH = click.Path(path_type=Path)

data_option = click.option(
    '--data', required=True, type=_PATH,
    help='fer2013.csv, fer2013.npz, or a folder <split>/<emotion>/*.png.',
)
teacher_option = click.option(
    '--teacher', type=_PATH, default=None,
    help='face_landmarker.task; without it only the bundled face mesh looks at the images.',
)
cache_option = click.option(
    '--cache', type=_PATH, default=Path('data/cache'), show_default=True,
    help='Folder for what is computed on the way.',
)
models_option = click.option(
    '--models', type=_PATH, default=Path('models'), show_default=True,
    help='Folder of the shipped models.',
)
run_option = click.option(
    '--run', type=_PATH, default=Path('out/training'), show_default=True,
    help='Folder for tables, pictures and checkpoints.',
)
config_option = click.option(
    '--config', type=_PATH, default=None, help='Groupings and counts; the shipped training.yaml.'
)
grouping_option = click.option(
    '--grouping', default='happy-unknown-sad', show_default=True,
    help='Name of a grouping of the classes in --config.',
)
processes_option = click.option(
    '--processes', type=click.IntRange(1), default=None, help='Worker processes; all cores.'
)
seed_option = click.option('--seed', type=int, default=11, show_default=True)


def all_of(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return a decorator that adds ``options`` in this order."""
    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command
    return add
