"""Options that say which video set a verb reads, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emotion_estimator_training.cli.training.options import all_of, processes_option, seed_option

if TYPE_CHECKING:
    from emotion_estimator_training.zoo.data.frames import ClipFrameSettings
    from emotion_estimator_training.zoo.data.video_set import SetChoice, VideoSet

_PATH = click.Path(path_type=Path)
_THERE = click.Path(path_type=Path, exists=True)


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
    click.option(
        '--data',
        required=True,
        type=_THERE,
        help='CSV with the columns clip, label, subject, and maybe start, end (seconds) '
        'and split; or a folder with clips.csv.',
    ),
    click.option(
        '--clips',
        type=_THERE,
        default=None,
        help='Folder of the clips (videos, or folders of frames); where the CSV is.',
    ),
    click.option(
        '--labels', default='identity', show_default=True, help='Name of a label map in --config.'
    ),
    click.option('--config', type=_PATH, default=None, help='Label maps; the shipped zoo.yaml.'),
    click.option(
        '--shares',
        default='50/20/30',
        show_default=True,
        callback=shares,
        help='Of training, validation and test.',
    ),
    click.option(
        '--by',
        type=click.Choice(['subject', 'clip']),
        default='subject',
        show_default=True,
        help='What is not torn apart by the split.',
    ),
    seed_option,
)

#: How frames become faces.
frame_options: Callable[[Any], Any] = all_of(
    click.option(
        '--rate',
        type=click.FloatRange(0, 1000),
        default=0.0,
        show_default=True,
        help='Frames per second; 0 takes all there are.',
    ),
    click.option(
        '--folder-rate',
        type=click.FloatRange(0.1, 1000),
        default=30.0,
        show_default=True,
        help='Frames per second of folders of frames.',
    ),
    click.option(
        '--side',
        type=click.IntRange(16, 1024),
        default=96,
        show_default=True,
        help='Pixels of a face crop.',
    ),
    click.option(
        '--faces',
        'max_faces',
        type=click.IntRange(1),
        default=3,
        show_default=True,
        help='Most faces looked for in a frame; the central one is taken.',
    ),
    click.option(
        '--source',
        type=click.Choice(['auto', 'face_landmarker', 'face_mesh']),
        default='auto',
        show_default=True,
        help='Landmark source.',
    ),
    click.option(
        '--face-landmarker',
        default='',
        help='face_landmarker.task, for that source; the one in your cache.',
    ),
    click.option(
        '--cache',
        type=_PATH,
        default=Path('data/cache/zoo'),
        show_default=True,
        help='Folder for the faces found.',
    ),
    processes_option,
)


def choice(
    data: Path,
    clips: Path | None,
    labels: str,
    config: Path | None,
    shares: tuple[float, ...],
    by: str,
    seed: int,
    frames: ClipFrameSettings | None = None,
) -> SetChoice:
    """Return what ``set_options`` say."""
    from emotion_estimator_training.zoo.data.video_set import SetChoice

    chosen = SetChoice(data, clips, labels, config, shares, by, seed)
    return chosen if frames is None else replace(chosen, frames=frames)


def opened(
    rate: float,
    side: int,
    max_faces: int,
    folder_rate: float,
    source: str,
    face_landmarker: str,
    cache: Path,
    processes: int | None,
    **of_set: Any,
) -> VideoSet:
    """Open what ``set_options`` and ``frame_options`` say; say what was left out."""
    from emotion_estimator_training.zoo.data.frames import ClipFrameSettings
    from emotion_estimator_training.zoo.data.video_set import open_set

    frames = ClipFrameSettings(rate, side, max_faces, folder_rate, source, face_landmarker)
    video = open_set(choice(**of_set, frames=frames), cache, processes)
    say(video.problems, video.warnings)
    return video


def say(problems: Sequence[str], warnings: Sequence[str]) -> None:
    """Write problems and warnings to standard error."""
    for line in (
        *(f'left out: {line}' for line in problems),
        *(f'warning: {line}' for line in warnings),
    ):
        click.echo(line, err=True)
