"""Options that select a set of labelled video and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from emotion_estimator_training.cli.training.options import all_of, processes_option, seed_option

if TYPE_CHECKING:
    from emotion_estimator_training.zoo.data.face_tracks import ClipFrameSettings
    from emotion_estimator_training.zoo.data.video_set import SetChoice, VideoSet

_PATH = click.Path(path_type=Path)
_THERE = click.Path(path_type=Path, exists=True)


def shares(ctx: click.Context, parameter: click.Parameter, text: str) -> tuple[float, ...]:
    """Parse ``50/20/30``, as percentages or fractions."""
    try:
        values = [float(part) for part in text.split('/')]
        total = sum(values)
        complete = abs(total - 100) < 0.1 or abs(total - 1) < 1e-3
        if len(values) == 3 and min(values) > 0 and complete:
            return tuple(value / total for value in values)
    except ValueError:
        pass
    raise click.BadParameter(
        f'{text!r} is not valid; give shares of training, validation and test like 50/20/30'
    )


#: Options of a set and its split.
set_options: Callable[[Any], Any] = all_of(
    click.option(
        '--data',
        required=True,
        type=_THERE,
        help='CSV table with columns clip, label, subject, and optionally start, end (seconds) '
        'and split; or a folder with clips.csv.',
    ),
    click.option(
        '--clips',
        type=_THERE,
        default=None,
        help='Folder of the clips (videos or folders of frames). Default: folder of the table.',
    ),
    click.option('--labels', default='identity', show_default=True, help='Label map in --config.'),
    click.option(
        '--config',
        type=_PATH,
        default=None,
        help='File of label maps. Default: the shipped zoo.yaml.',
    ),
    click.option(
        '--shares',
        default='50/20/30',
        show_default=True,
        callback=shares,
        help='Shares of training, validation and test in percent.',
    ),
    click.option(
        '--by',
        type=click.Choice(['subject', 'clip']),
        default='subject',
        show_default=True,
        help='Keep the clips of a subject together, or split clips independently.',
    ),
    seed_option,
)

#: Options of face detection and cropping.
frame_options: Callable[[Any], Any] = all_of(
    click.option(
        '--rate',
        type=click.FloatRange(0, 1000),
        default=0.0,
        show_default=True,
        help='Frames per second to read from videos; 0 reads all.',
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
        help='Side of a face crop in pixels.',
    ),
    click.option(
        '--faces',
        'max_faces',
        type=click.IntRange(1),
        default=3,
        show_default=True,
        help='Maximum number of faces to detect in a frame; the central one is used.',
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
        help='Path of face_landmarker.task. Default: that in your cache, or of the package.',
    ),
    click.option(
        '--cache',
        type=_PATH,
        default=Path('data/cache/zoo'),
        show_default=True,
        help='Folder for cropped faces.',
    ),
    processes_option,
)


def set_choice(
    data: Path,
    clips: Path | None,
    labels: str,
    config: Path | None,
    shares: tuple[float, ...],
    by: str,
    seed: int,
    frames: ClipFrameSettings | None = None,
) -> SetChoice:
    """Return the set selected by ``set_options``."""
    from emotion_estimator_training.zoo.data.video_set import SetChoice

    chosen = SetChoice(data, clips, labels, config, shares, by, seed)
    return chosen if frames is None else replace(chosen, frames=frames)


def open_video_set(cache: Path, processes: int | None, **of_set: Any) -> VideoSet:
    """Open the set selected by ``set_options`` and ``frame_options``; print its problems."""
    from emotion_estimator_training.zoo.data.video_set import open_set

    video = open_set(_choice_with_frames(**of_set), cache, processes)
    print_problems(video.problems, video.warnings)
    return video


def set_opener(cache: Path, processes: int | None, **of_set: Any) -> Callable[[], VideoSet]:
    """Return what opens the set again in another process, once its faces are in the cache."""
    from emotion_estimator_training.zoo.data.video_set import open_set

    return partial(open_set, _choice_with_frames(**of_set), cache, 1)


def open_fold_sets(count: int, cache: Path, processes: int | None, **of_set: Any) -> list[VideoSet]:
    """Open the set as so many folds; print its problems, and the warnings of each fold."""
    from emotion_estimator_training.zoo.data.video_set import open_folds

    folds = open_folds(_choice_with_frames(**of_set), cache, processes, count)
    warnings = [
        f'fold {number}: {line}'
        for number, video in enumerate(folds, start=1)
        for line in video.warnings
    ]
    print_problems(folds[0].problems, warnings)
    return folds


def _choice_with_frames(
    rate: float,
    side: int,
    max_faces: int,
    folder_rate: float,
    source: str,
    face_landmarker: str,
    **of_set: Any,
) -> SetChoice:
    """Return the set selected by ``set_options`` and ``frame_options``."""
    from emotion_estimator_training.zoo.data.face_tracks import ClipFrameSettings

    frames = ClipFrameSettings(rate, side, max_faces, folder_rate, source, face_landmarker)
    return set_choice(**of_set, frames=frames)


def print_problems(problems: Sequence[str], warnings: Sequence[str]) -> None:
    """Print problems and warnings on standard error."""
    for line in (
        *(f'left out: {line}' for line in problems),
        *(f'warning: {line}' for line in warnings),
    ):
        click.echo(line, err=True)
