"""Emotions from camera images, and a conversation that follows them.

Example::

    from emotion_estimator import EmotionEstimator

    with EmotionEstimator() as estimator:
        for face in estimator('portrait.jpg'):  # or a Frame, or a numpy array
            print(face.label, face.confidence)

These names are the public interface. Each is imported when it is first used, so that importing the
messages (``emotion_estimator.msg``) loads nothing else.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emotion_estimator.dialogue.debounce import DebouncedEmotion
    from emotion_estimator.dialogue.manager import DialogueManager
    from emotion_estimator.emotion import FaceEmotion
    from emotion_estimator.frame import Frame
    from emotion_estimator.perception.pipeline import EmotionEstimator
    from emotion_estimator.sources.open_source import open_source

#: setup.py reads it here, ROS in package.xml; a test compares them.
__version__ = '0.1.0'

__all__ = [
    'DebouncedEmotion',
    'DialogueManager',
    'EmotionEstimator',
    'FaceEmotion',
    'Frame',
    '__version__',
    'open_source',
]

_MODULE_OF = {
    'DebouncedEmotion': 'emotion_estimator.dialogue.debounce',
    'DialogueManager': 'emotion_estimator.dialogue.manager',
    'EmotionEstimator': 'emotion_estimator.perception.pipeline',
    'FaceEmotion': 'emotion_estimator.emotion',
    'Frame': 'emotion_estimator.frame',
    'open_source': 'emotion_estimator.sources.open_source',
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
