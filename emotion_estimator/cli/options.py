"""Options that several verbs share, and how they print a face."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from emotion_estimator.emotion import FaceEmotion

Command = TypeVar('Command', bound=Callable[..., Any])


def perception_options(command: Command) -> Command:
    """Add ``--json``, as ``as_json``, and what is told of perception, named as its settings are."""
    for option in (
        click.option('--json', 'as_json', is_flag=True, help='One JSON object a line.'),
        click.option(
            '--max-faces',
            default=8,
            type=click.IntRange(1, 16),
            show_default=True,
            help='Most faces looked for in an image.',
        ),
        click.option(
            '--abstain-below',
            default=0.0,
            type=click.FloatRange(0, 1),
            show_default=True,
            help='A label less probable than this is told as unknown.',
        ),
        click.option(
            '--vocabulary',
            default='three',
            show_default=True,
            type=click.Choice(['three', 'seven']),
            help='Labels: happy, unknown, sad; or the seven basic expressions.',
        ),
        click.option(
            '--branches',
            default='fused',
            show_default=True,
            type=click.Choice(['fused', 'blendshapes', 'appearance']),
            help='What is read of a face.',
        ),
        click.option(
            '--model',
            default='',
            help='Card of a model of the zoo, to run in place of the shipped networks.',
        ),
        click.option(
            '--model-path',
            'face_landmarker_path',
            default='',
            help="face_landmarker.task, if not in the user's cache.",
        ),
        click.option(
            '--landmarks',
            'landmark_source',
            default='auto',
            show_default=True,
            type=click.Choice(['auto', 'face_landmarker', 'face_mesh']),
            help='Landmark source.',
        ),
    ):
        command = option(command)
    return command


def in_words(faces: tuple[FaceEmotion, ...]) -> str:
    """Return the faces in one short phrase."""
    described = [f'{f.label} {f.confidence:.2f} at {f.roi.as_list()}' for f in faces]
    return ', '.join(described) or 'no face'
