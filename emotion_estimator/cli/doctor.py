"""``emotion-estimator doctor``: check the installation, on one screen for a bug report."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

import emotion_estimator
from emotion_estimator import __version__
from emotion_estimator.cli.privacy import privacy
from emotion_estimator.errors import EmotionEstimatorError, first_line
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator.perception.landmarks.source import open_first
from emotion_estimator.runtimes import open_interpreter
from emotion_estimator.sources.v4l2 import GROUP_HINT, find_video_nodes
from emotion_estimator.weights import stated


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    :param good: it was found and works.
    :param needed: False if the package works without it.
    """

    subject: str
    text: str
    good: bool
    needed: bool = True


def examine() -> list[Finding]:
    """Check everything; changes nothing, and uses no network but DDS on this machine."""
    return [
        Finding('system', f'{platform.platform()}, {os.cpu_count()} cores', True),
        Finding('python', f'{platform.python_version()} at {sys.executable}', True),
        Finding('emotion-estimator', f'{__version__} at {_package_folder()}', True),
        *_packages(),
        _attempt('cv2', lambda: importlib.import_module('cv2').__version__),
        _attempt('landmarks', _landmarks),
        _attempt('runtime', _runtime),
        _attempt('blendshape head', lambda: _model('blendshape_head')),
        _attempt('appearance', lambda: _model('appearance')),
        _attempt('emotion model', lambda: _model('emotion_lstm')),
        *_cameras(),
        *_ros_settings(),
        _attempt('node communication', _communication, needed=False),
        *(Finding(f'privacy: {subject}', text, True, needed=False) for subject, text in privacy()),
    ]


def _package_folder() -> Path:
    return Path(emotion_estimator.__file__).parent


_PACKAGES = {
    'mediapipe': True,
    'numpy': True,
    'opencv-python': False,
    'opencv-python-headless': False,
    'opencv-contrib-python': False,
    'tflite-runtime': False,
    'ai-edge-litert': False,
    'cv_bridge': False,
    'rclpy': False,
}


def _packages() -> Iterator[Finding]:
    for name, needed in _PACKAGES.items():
        try:
            yield Finding(name, importlib.metadata.version(name), True)
        except importlib.metadata.PackageNotFoundError:
            if name.startswith('opencv-'):
                # One of them is enough, as the line of cv2 shows.
                continue
            yield Finding(name, 'not installed', False, needed)


def _attempt(subject: str, work: Callable[[], str], needed: bool = True) -> Finding:
    try:
        return Finding(subject, work(), True, needed)
    except EmotionEstimatorError as error:
        return Finding(subject, str(error), False, needed)
    except Exception as error:
        # A broken package may raise anything; reporting it is what this verb is for.
        return Finding(subject, f'{type(error).__name__}: {first_line(error)}', False, needed)


def _landmarks() -> str:
    landmarker, choice = open_first('auto')
    landmarker.close()
    return f'{choice.name}: {choice.reason}'


def _runtime() -> str:
    interpreter = open_interpreter(models_dir() / 'blendshape_head.tflite')
    return type(interpreter).__module__.partition('.')[0]


def _model(kind: str) -> str:
    card = ModelCard.load(models_dir() / f'{kind}.json', kind)
    open_interpreter(card.weights)
    return f'{card.title} at {card.path}, sha256 {stated(card.sha256)}'


def _cameras() -> Iterator[Finding]:
    cameras = [node for node in find_video_nodes() if node.captures]
    for node in cameras:
        if not node.exists:
            hint = f'not in /dev; pass it to the container (docker run --device {node.path})'
        else:
            hint = '' if node.readable else f'not readable; {GROUP_HINT}'
        yield Finding('camera', f'{node}{": " if hint else ""}{hint}', not hint, needed=False)
    if not cameras:
        yield Finding(
            'camera',
            'none found; plug one in, or pass its /dev/video* to the container',
            False,
            needed=False,
        )


#: Runs in its own process: rclpy may be missing, broken, or from another distribution.
_ECHO = """
import rclpy
from rclpy.qos import QoSProfile
from emotion_estimator.msg import Emotion
rclpy.init()
sender, receiver = rclpy.create_node('doctor_sender'), rclpy.create_node('doctor_receiver')
received = []
qos = QoSProfile(depth=1)
receiver.create_subscription(Emotion, 'emotion_estimator_doctor', received.append, qos)
publisher = sender.create_publisher(Emotion, 'emotion_estimator_doctor', qos)
for _ in range(100):
    publisher.publish(Emotion(label='none'))
    rclpy.spin_once(receiver, timeout_sec=0.1)
    if received:
        break
print(rclpy.get_rmw_implementation_identifier(), 'received' if received else 'lost')
"""


def _ros_settings() -> Iterator[Finding]:
    distribution = os.environ.get('ROS_DISTRO', 'not set')
    domain = os.environ.get('ROS_DOMAIN_ID', '0 (not set)')
    yield Finding('ROS_DISTRO', distribution, 'ROS_DISTRO' in os.environ, needed=False)
    yield Finding('ROS_DOMAIN_ID', domain, True, needed=False)


def _communication() -> str:
    try:
        # Not in the current folder: a checkout would hide the built package.
        echo = subprocess.run(
            [sys.executable, '-c', _ECHO],
            capture_output=True,
            text=True,
            errors='replace',
            timeout=30,
            check=False,
            cwd=os.sep,
        )
    except subprocess.TimeoutExpired as error:
        raise EmotionEstimatorError('no answer within 30 s') from error
    if echo.returncode != 0:
        reason = echo.stderr.strip().splitlines()[-1:] or ['no output']
        raise EmotionEstimatorError(
            f'{reason[0]} (source ROS 2 and this package: `. install/local_setup.sh`)'
        )
    rmw, _, result = echo.stdout.strip().rpartition(' ')
    if result != 'received':
        raise EmotionEstimatorError(f'no message received over {rmw}')
    return f'message received over {rmw}'


@click.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Check the installation, the models, and communication between nodes.

    Its last lines tell of privacy: what of a person is published in this ROS domain now, who hears
    it, and what is recorded or sent.

    The exit status is 1 if emotions cannot be read on this machine, 0 otherwise.
    """
    findings = examine()
    for finding in findings:
        mark = 'ok' if finding.good else 'NO' if finding.needed else '--'
        click.echo(f'{mark}  {finding.subject:24}  {finding.text}')
    context.exit(0 if all(f.good or not f.needed for f in findings) else 1)
