"""The node that has a language model speak: hears prompts, publishes sentences."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from rclpy.lifecycle import LifecyclePublisher
from rclpy.subscription import Subscription
from std_msgs.msg import String

from emotion_estimator.dialogue.prompt import SpeakingPrompt, parse_prompt
from emotion_estimator.errors import InputError
from emotion_estimator.language_model.voice import LanguageVoice
from emotion_estimator.msg import DialogueAction
from emotion_estimator.nodes import qos
from emotion_estimator.nodes.conversion import seconds
from emotion_estimator.nodes.diagnostics import Health
from emotion_estimator.nodes.lifecycle import ManagedNode, until_shutdown
from emotion_estimator.nodes.running import run
from emotion_estimator.settings import LanguageModelSettings
from emotion_estimator.untrusted import as_line

#: Actions that end what is being said; pause and end may have words of their own.
_SILENCING = frozenset({'yield', 'pause', 'end'})
#: Seconds of the stamps within which an action and a prompt are the same decision.
_SAME = 0.002
#: Seconds for which a prompt may come later than an action that was decided after it.
_OVERTAKEN = 2.0
#: Minimum seconds between two log lines about prompts that cannot be read.
_ODD_PERIOD = 10.0
#: Most characters of recognised text that are read.
_LONGEST = 100_000


class LlmDialogueNode(ManagedNode[LanguageModelSettings]):
    """Passes each prompt to a :class:`LanguageVoice`, which publishes the sentences.

    The requests are made in a thread of the voice; no callback waits for one.
    """

    kind = LanguageModelSettings

    def __init__(self) -> None:
        super().__init__('llm_dialogue')
        self._voice: LanguageVoice | None = None
        self._listening: list[Subscription[Any]] = []
        self._sentences: LifecyclePublisher[String] | None = None
        #: Held while publishing, so that a publisher is not destroyed meanwhile.
        self._publishing = threading.Lock()
        self._prompts = self._odd = self._overtaken = 0
        self._prompt: SpeakingPrompt | None = None
        #: Stamp and name of the last silencing action, and when it was heard.
        self._silenced: tuple[float, str, float] | None = None

    def configure(self) -> None:
        """Check what a request needs, and prepare the client; nothing is sent."""
        settings = self.settings
        if not settings.model:
            raise InputError(
                'the parameter model is empty; name a model that the server at '
                f'{settings.base_url} has'
            )
        self._voice = LanguageVoice(settings, self._say, _key(settings))
        self._sentences = self.create_lifecycle_publisher(
            String, 'dialogue/say', qos.results(), qos_overriding_options=qos.OVERRIDABLE
        )
        # What an earlier conversation decided is of no interest.
        self._prompt = self._silenced = None

    def activate(self) -> None:
        """Start listening."""
        for kind, topic, callback in (
            (String, 'dialogue/prompt', self._on_prompt),
            (String, 'dialogue/user_said', self._on_speech),
            (DialogueAction, 'dialogue/action', self._on_action),
        ):
            self._listening.append(
                self.create_subscription(
                    kind, topic, callback, qos.results(), qos_overriding_options=qos.OVERRIDABLE
                )
            )

    def deactivate(self) -> None:
        """Stop listening and fall silent; what was said is remembered."""
        for subscription in self._listening:
            self.destroy_subscription(subscription)
        self._listening = []
        if self._voice is not None:
            self._voice.cancel()

    def clean_up(self) -> None:
        """End the requests and forget the conversation."""
        if self._voice is not None:
            self._voice.close()
        self._voice = None
        with self._publishing:
            if self._sentences is not None:
                self.destroy_lifecycle_publisher(self._sentences)
            self._sentences = None

    def settings_changed(self) -> None:
        """Apply limits from the next request on."""
        if self._voice is not None:
            self._voice.settings = self.settings

    def health(self) -> Health:
        """Report counts, failures by kind and the time to the first sentence."""
        voice = self._voice
        values: dict[str, object] = {
            'base_url': self.settings.base_url,
            'model': self.settings.model,
            'prompts': self._prompts,
            'prompts_odd': self._odd,
            'prompts_overtaken': self._overtaken,
        }
        if voice is None:
            return Health(values=values)
        values |= {
            'requests': voice.requests,
            'sentences': voice.sentences,
            'cancelled': voice.cancelled,
            'fallbacks': sum(voice.fallbacks.values()),
            **{f'fallbacks_{kind}': count for kind, count in sorted(voice.fallbacks.items())},
            'failures': sum(voice.failures.values()),
            **{f'failures_{kind}': count for kind, count in sorted(voice.failures.items())},
            'first_sentence_s': '' if voice.first_sentence is None else voice.first_sentence,
        }
        return Health(values=values, warning=voice.problem)

    def _on_prompt(self, message: String) -> None:
        self._prompts += 1
        try:
            prompt = parse_prompt(message.data)
        except InputError as error:
            self._odd += 1
            self.get_logger().warning(as_line(error), throttle_duration_sec=_ODD_PERIOD)
            return
        if self._is_overtaken(prompt):
            self._overtaken += 1
            return
        self._prompt = prompt
        if self._voice is not None:
            self._voice.speak(prompt)

    def _is_overtaken(self, prompt: SpeakingPrompt) -> bool:
        """Return whether a silencing action that was decided later came first.

        They come on two topics, between which there is no order.
        """
        if self._silenced is None:
            return False
        stamp, _, heard = self._silenced
        late = stamp - prompt.stamp
        return _SAME < late < _OVERTAKEN and time.monotonic() - heard < _OVERTAKEN

    def _on_action(self, message: DialogueAction) -> None:
        if message.action not in _SILENCING:
            return
        stamp = seconds(message.header.stamp)
        self._silenced = stamp, message.action, time.monotonic()
        prompt = self._prompt
        own = (
            prompt is not None
            and prompt.action == message.action
            and abs(prompt.stamp - stamp) <= _SAME
        )
        # Its own words, such as the goodbye, may have come first.
        if not own and self._voice is not None:
            self._voice.cancel()

    def _on_speech(self, message: String) -> None:
        if self._voice is not None:
            self._voice.person_said(message.data[-_LONGEST:])

    def _say(self, sentence: str) -> None:
        """Publish a sentence; called in the voice's thread."""
        with self._publishing, until_shutdown(self):
            if self._sentences is not None:
                self._sentences.publish(String(data=sentence))


def _key(settings: LanguageModelSettings) -> str:
    """Return the API key from the environment; empty for none.

    :raises InputError: the variable is not set.
    """
    if not settings.api_key_env:
        return ''
    key = os.environ.get(settings.api_key_env, '').strip()
    if not key:
        raise InputError(
            f'the environment variable {settings.api_key_env} (api_key_env) is not set; it should '
            f'hold the API key for {settings.base_url}'
        )
    return key


def main() -> int:
    """Run the node until it is stopped."""
    return run(lambda: [LlmDialogueNode()])
