"""The dialogue manager by its first name: ``DialoguePolicy.load(FILE)(face, stamp)``."""

from __future__ import annotations

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.manager import DialogueManager as DialoguePolicy

__all__ = ['DialogueAction', 'DialoguePolicy']
