"""Options that say which video set a verb reads, and how."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from emotion_estimator.cli.training.options import all_of, processes_option, seed_option

__all__ = ['all_of', 'frame_options', 'processes_option', 'seed_option', 'set_options', 'shares']

_PATH = click.Path(path_type=Path)
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


def shares(ctx: click.Context, parameter: click.Parameter, text: str) -> tuple[float, ...]:
    """Read ``50/20/30``, in percent or not."""
    try:
        values = [float(part) for part in text.split('/')]
        total = sum(values)
        whole = abs(total - 100) < 0.1 or abs(total - 1) < 1e-3
        if len(values) == 3 and min(values) > 0 and whole:
            return tuple(value / total for value in values)
    except ValueError:
        pass
    raise click.BadParameter(
        f'{text!r} are no shares of training, validation and test; give for example 50/20/30'
    )


#: Which clips, and which part of them is for what.
set_options: Callable[[Any], Any] = all_of(
    click.option('--data', required=True, type=_FOLDER, help='Folder of clips, or of frames.'),
    click.option('--csv', type=_PATH, default=None,
                 help='Table with the columns clip, label, subject, and maybe start, end (seconds) '
                      'and split; "clips.csv" in --data.'),
    click.option('--labels', 'label_map', default='identity', show_default=True,
                 help='Name of a label map in --config.'),
    click.option('--config', type=_PATH, default=None, help='Label maps; the shipped zoo.yaml.'),
    click.option('--shares', default='50/20/30', show_default=True, callback=shares,
                 help='Of training, validation and test.'),
    click.option('--by', type=click.Choice(['subject', 'clip']), default='subject',
                 show_default=True, help='What is not torn apart by the split.'),
    seed_option,
)

#: How frames become faces.
frame_options: Callable[[Any], Any] = all_of(
    click.option('--rate', type=click.FloatRange(1, 1000), default=None,
                 help='Frames per second; all there are.'),
    click.option('--side', type=click.IntRange(16, 1024), default=96, show_default=True,
                 help='Pixels of a face crop.'),
    click.option('--faces', 'max_faces', type=click.IntRange(1), default=3, show_default=True,
                 help='Most faces looked for in a frame; the central one is taken.'),
    click.option('--source', type=click.Choice(['auto', 'face_landmarker', 'face_mesh']),
                 default='auto', show_default=True, help='Landmark source.'),
    click.option('--model', default='', help='face_landmarker.task; the one in your cache.'),
    click.option('--cache', type=_PATH, default=None,
                 help='Folder for the faces found; "cache" in --data.'),
    processes_option,
)
