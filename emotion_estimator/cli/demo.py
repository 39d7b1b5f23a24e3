"""``emotion-estimator demo``: the three ROS 2 nodes on a face, shown, recorded and summed up."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import click

from emotion_estimator.cli.main import complain
from emotion_estimator.demo.nodes import find_prefix
from emotion_estimator.demo.settings import DemoSettings
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.errors import EmotionEstimatorError, InputError

_DEFAULTS = DemoSettings()
#: Libraries of the extra `demo`, which the rest of the package does not need.
_LIBRARIES = ('matplotlib', 'rich')


@click.command()
@click.option(
    '--source',
    default=_DEFAULTS.source,
    show_default=True,
    help='`portrait`, device number, http:// or rtsp:// address, video, image, or folder.',
)
@click.option(
    '--landmarks',
    default=_DEFAULTS.landmarks,
    show_default=True,
    type=click.Choice(['auto', 'face_landmarker', 'face_mesh']),
    help='Landmark source.',
)
@click.option(
    '--model',
    default=_DEFAULTS.model,
    help='JSON card of a model to use instead of the shipped networks (docs/zoo.md).',
)
@click.option(
    '--conversation',
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help='YAML file of topics and utterances. Default: the shipped conversation_en.yaml.',
)
@click.option(
    '--policy',
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help='YAML file of dialogue rules. Default: the shipped dialogue.yaml.',
)
@click.option(
    '--output',
    default=_DEFAULTS.output,
    show_default=True,
    type=click.Path(path_type=Path),
    help='Folder for the video, the chart, the summary and the logs.',
)
@click.option(
    '--fps', default=_DEFAULTS.fps, show_default=True, type=float, help='Frames per second.'
)
@click.option(
    '--duration', type=float, help='Stop after this many seconds. Default: when the source ends.'
)
@click.option(
    '--domain', type=int, help="ROS_DOMAIN_ID. Default: the environment's, or a free one."
)
@click.option(
    '--patience',
    default=_DEFAULTS.patience,
    show_default=True,
    type=float,
    help='Give up after this many seconds without a message on /emotion.',
)
@click.option(
    '--page/--no-page',
    default=_DEFAULTS.page,
    show_default=True,
    help='Serve a page to watch in a browser on this machine.',
)
@click.option('--plain', is_flag=True, help='Print lines instead of the live screen.')
@click.pass_context
def demo(context: click.Context, /, **options: Any) -> None:
    """Run camera, estimator and dialogue manager, and record a video (needs ROS 2).

    The portrait reports when it speaks; the demo passes that on in place of a microphone. The exit
    status is 0 at the end of the source, 1 if a node failed or the robot spoke while the person
    was speaking, and 128 plus the signal's number after a signal.
    """
    settings = DemoSettings(**options)
    problem = settings.problem()
    if problem:
        raise click.UsageError(problem)
    # In a node the same errors would come only after the start, and in its log.
    DialogueManager.load(settings.policy, settings.conversation)
    prefix = find_prefix(os.environ)
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"the demo needs {' and '.join(missing)}: pip install 'emotion-estimator[demo]'"
        )
    from emotion_estimator.demo.run import Interrupted, run_demo

    try:
        run_demo(settings, prefix)
    except Interrupted as interrupted:
        complain(f'stopped by {interrupted}')
        context.exit(128 + interrupted.number)
    except InputError:
        raise
    except EmotionEstimatorError as error:
        complain(error)
        context.exit(1)
