"""What this machine can do: versions, runtimes, models, landmark source, ROS 2."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from emotion_estimator.errors import EmotionEstimatorError
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator.perception.landmark_source import choose, open_landmarker
from emotion_estimator.tflite import open_interpreter, runtime_name


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    :param good: found and working.
    :param needed: False where the package works without it.
    """

    subject: str
    text: str
    good: bool
    needed: bool = True


def examine() -> list[Finding]:
    """Look at everything; nothing is changed and no network is used but DDS on this machine."""
    return [
        Finding('system', f'{platform.platform()}, {os.cpu_count()} cores', True),
        Finding('python', f'{platform.python_version()} at {sys.executable}', True),
        *_packages(),
        _attempt('landmarks', _landmarks),
        _attempt('runtime', lambda: runtime_name() or _fail('no TFLite runtime installed')),
        _attempt('blendshape head', lambda: _model('blendshape_head')),
        _attempt('emotion model', lambda: _model('emotion_lstm')),
        *_ros(),
    ]


_PACKAGES = {
    'emotion-estimator': True,
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
            yield Finding(name, 'not installed', False, needed)
    try:
        cv2 = importlib.import_module('cv2')
    except ImportError as error:
        yield Finding('cv2', f'cannot be imported: {error}', False)
    else:
        yield Finding('cv2', cv2.__version__, True)


def _fail(text: str) -> str:
    raise EmotionEstimatorError(text)


def _attempt(subject: str, work: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, work(), True)
    except EmotionEstimatorError as error:
        return Finding(subject, str(error), False)


def _landmarks() -> str:
    choice = choose('auto')
    open_landmarker(choice).close()
    return f'{choice.name}: {choice.reason}'


def _model(kind: str) -> str:
    card = ModelCard.load(models_dir() / f'{kind}.json', kind)
    open_interpreter(card.path)
    return f'{card.title} at {card.path}'


#: Runs in a process of its own: rclpy may be absent, broken, or of another distribution.
_TALK = """
import rclpy
from rclpy.qos import QoSProfile
from emotion_estimator.msg import Emotion
rclpy.init()
here, there = rclpy.create_node('doctor_here'), rclpy.create_node('doctor_there')
heard = []
qos = QoSProfile(depth=1)
there.create_subscription(Emotion, 'emotion_estimator_doctor', heard.append, qos)
publisher = here.create_publisher(Emotion, 'emotion_estimator_doctor', qos)
for _ in range(100):
    publisher.publish(Emotion(label='none'))
    rclpy.spin_once(there, timeout_sec=0.1)
    if heard:
        break
print(rclpy.get_rmw_implementation_identifier(), 'heard' if heard else 'silent')
"""


def _ros() -> Iterator[Finding]:
    distribution = os.environ.get('ROS_DISTRO', 'not set')
    domain = os.environ.get('ROS_DOMAIN_ID', '0 (not set)')
    yield Finding('ROS_DISTRO', distribution, 'ROS_DISTRO' in os.environ, needed=False)
    yield Finding('ROS_DOMAIN_ID', domain, True, needed=False)
    try:
        # Not from this folder: in a checkout it would hide the built package.
        talk = subprocess.run(
            [sys.executable, '-c', _TALK],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            cwd=os.sep,
        )
    except subprocess.TimeoutExpired:
        yield Finding('nodes talk', 'no answer within 30 s', False, needed=False)
        return
    if talk.returncode == 0:
        rmw, _, result = talk.stdout.strip().rpartition(' ')
        yield Finding('nodes talk', f'{result} over {rmw}', result == 'heard', needed=False)
        return
    reason = talk.stderr.strip().splitlines()[-1:] or ['no output']
    yield Finding(
        'nodes talk',
        f'{reason[0]} (source ROS 2 and this package: `. install/local_setup.sh`)',
        False,
        needed=False,
    )
