"""A simulated conversation in which a language model finds the robot's words."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.dialogue.prompt import make_prompt, parse_prompt
from emotion_estimator.language_model.voice import LanguageVoice
from emotion_estimator.settings import LanguageModelSettings

#: Seconds beyond the model's own time limit after which its answer is given up.
_SLACK = 2.0


class ModelSpeech:
    """Replaces the words of the conversation file by those of a language model.

    The simulated time stands still while the model thinks; where it does not answer in time, it
    speaks the words of the conversation file, as on a robot.
    """

    def __init__(self, voice: LanguageVoice, sentences: list[str]) -> None:
        """:param voice: its sentences are appended to ``sentences``."""
        self._voice = voice
        self._sentences = sentences

    def hear(self, said: str) -> None:
        """Take what the person said."""
        self._voice.person_said(said)

    def speak(self, manager: DialogueManager, action: DialogueAction) -> DialogueAction:
        """Return the action with the model's words, of which the manager is told."""
        if not action.line:
            return action
        prompt = make_prompt(
            action,
            manager.context(action.stamp),
            line=action.line,
            topic_name=manager.file.topics[action.topic].name,
            language=manager.language,
            said=manager.said,
            disclosure=manager.disclosure(action),
        )
        before = self._voice.answered
        self._sentences.clear()
        self._voice.speak(parse_prompt(json.dumps(prompt)))
        deadline = time.monotonic() + self._voice.settings.total_timeout + _SLACK
        while self._voice.answered == before and time.monotonic() < deadline:
            time.sleep(0.01)
        for sentence in self._sentences:
            manager.robot_said(sentence, action.stamp)
        return replace(action, utterance=' '.join(self._sentences))


@contextmanager
def model_speech(settings: LanguageModelSettings, key: str = '') -> Iterator[ModelSpeech]:
    """Open a language model for the simulator; nothing is sent before the first prompt.

    :param settings: server, model and limits.
    :param key: the API key; empty sends none.
    :raises InputError: the package ``openai`` is not installed.
    """
    sentences: list[str] = []
    voice = LanguageVoice(settings, sentences.append, key)
    try:
        yield ModelSpeech(voice, sentences)
    finally:
        voice.close()
