"""Find the topics on which a bag has the dialogue's speech, and read their messages.

The dialogue manager decides by them as well as by the emotions, see ``docs/dialogue.md``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emotion_estimator.bags.messages import deserialize
from emotion_estimator.bags.stamp_order import Unstamped
from emotion_estimator.bags.storage import Bag, BagMessage
from emotion_estimator.dialogue.turns import MAX_WORDS
from emotion_estimator.errors import InputError
from emotion_estimator.untrusted import quote, quote_some

if TYPE_CHECKING:
    from emotion_estimator.dialogue.manager import DialogueManager

BOOL = 'std_msgs/msg/Bool'
STRING = 'std_msgs/msg/String'

#: Names of the topics in the dialogue manager's namespace, with their types.
SPEECH_TOPICS = {
    'dialogue/user_speaking': BOOL,
    'dialogue/user_said': STRING,
    'dialogue/robot_speaking': BOOL,
}

#: Characters of a text that the dialogue manager looks at; the others need no memory.
_MAX_TEXT = 2 * MAX_WORDS


@dataclass(frozen=True)
class SpeechMessage(Unstamped):
    """What was reported of the person's speech or the robot's voice.

    :param name: one of ``SPEECH_TOPICS``.
    :param speaking: content of a Bool.
    :param text: content of a String, up to the characters that the dialogue manager looks at.
    """

    name: str
    speaking: bool = False
    text: str = ''

    def report_to(self, manager: DialogueManager, stamp: float) -> None:
        """Report to a dialogue manager what its node would have.

        :param stamp: of the last emotion before the message, in seconds; NaN if there is none.
        """
        if self.name == 'dialogue/user_speaking':
            manager.user_speaking(self.speaking, stamp)
        elif self.name == 'dialogue/user_said':
            manager.user_said(self.text, stamp)
        else:
            manager.robot_speaking(self.speaking, stamp)


class SpeechTopics:
    """The speech topics of one dialogue manager in a bag.

    They are those of the namespace that the other topic lies in, the innermost if there are
    several. If it lies in none, they are those of the bag's only namespace with speech.

    :ivar topics: those to read.
    """

    def __init__(self, bag: Bag, beside: str, namespace: str | None = None) -> None:
        """:param beside: topic of the images or emotions.

        :param namespace: namespace to read, with or without its leading slash; None finds it.
        :raises InputError: the bag has no speech in this namespace; lists where it has.
        """
        found: dict[str, dict[str, str]] = {}
        for topic in sorted(bag.topics):
            for name in SPEECH_TOPICS:
                if topic.endswith(f'/{name}') and bag.counts[topic]:
                    found.setdefault(topic.removesuffix(f'/{name}'), {})[topic] = name
        self._names: dict[str, str] = {}
        self._unusable: list[str] = []
        self._damaged: Counter[str] = Counter()
        self._first: dict[str, str] = {}
        chosen = self._choose(found, bag, beside, namespace)
        for topic, name in found[chosen].items() if chosen is not None else ():
            kind = SPEECH_TOPICS[name]
            if bag.topics[topic] == kind:
                self._names[topic] = name
            else:
                self._unusable.append(
                    f'topic {quote(topic)} is of type {quote(bag.topics[topic])}, not {kind}; '
                    'it is not heard'
                )
        self.topics = tuple(self._names)

    @property
    def problems(self) -> list[str]:
        """One line for each topic that is not heard, or has messages that cannot be read."""
        damaged = (
            f'topic {quote(topic)}: {count} messages cannot be read and are not heard, first at '
            f'{self._first[topic]}'
            for topic, count in self._damaged.items()
        )
        return [*self._unusable, *damaged]

    def read(self, message: BagMessage) -> SpeechMessage | None:
        """Read a message of one of the topics; None if it is damaged, which is counted."""
        name = self._names[message.topic]
        kind = SPEECH_TOPICS[name]
        try:
            if message.connection.msgtype != kind:
                raise InputError(f'it is of type {quote(message.connection.msgtype)}, not {kind}')
            content = deserialize(message.data, kind)
        except InputError as error:
            self._first.setdefault(message.topic, f'{message.log_time * 1e-9:.6f} s: {error}')
            self._damaged[message.topic] += 1
            return None
        if kind == BOOL:
            return SpeechMessage(name, speaking=bool(content.data))
        return SpeechMessage(name, text=content.data[:_MAX_TEXT])

    def _choose(
        self, found: Mapping[str, Mapping[str, str]], bag: Bag, beside: str, wanted: str | None
    ) -> str | None:
        """Return the namespace, empty for the root; None if there is none."""
        known = quote_some([space or '/' for space in found], 20)
        if wanted is not None:
            slashed = f'/{wanted.strip("/")}'.rstrip('/')
            if slashed not in found:
                advice = f'choose {known}' if known else 'it has no speech'
                raise InputError(
                    f'bag {quote(bag.path)} has no message on {", ".join(SPEECH_TOPICS)} in the '
                    f'namespace {quote(slashed or "/")}; {advice}'
                )
            return slashed
        around = [space for space in found if beside.startswith(f'{space}/')]
        if around:
            return max(around, key=len)
        if len(found) > 1:
            self._unusable.append(
                f'speech was recorded in several namespaces, none of them that of {quote(beside)}, '
                f'and is not heard; name one: {known}'
            )
            return None
        return next(iter(found), None)
