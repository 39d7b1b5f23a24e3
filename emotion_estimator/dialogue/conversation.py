"""Where a conversation is: its mode, topic and approach, and how it gets from one to the next."""

from __future__ import annotations

from dataclasses import dataclass

from emotion_estimator.dialogue.conversation_file import ConversationFile
from emotion_estimator.dialogue.wording import Wording

_NEXT_MODE = {'pause': 'paused', 'resume': 'running', 'end': 'ended'}


@dataclass(frozen=True)
class Move:
    """What came of an action.

    :param action: mostly the one that was decided; a topic of which everything was said is changed.
    :param utterance: what to say; may be empty.
    :param note: in words, where the action became another.
    """

    action: str
    utterance: str
    note: str = ''


class Conversation:
    """Goes where actions lead it."""

    def __init__(self, file: ConversationFile, mode: str = 'running') -> None:
        """:param file: topics and words. :param mode: ``running``, or ``waiting`` for a face."""
        self.file = file
        self.mode = mode
        self.asked = False
        self.topic = file.start
        self.approach = file.approaches[0]
        self.fresh = True
        self._begun = False
        self._previous = file.start
        self._wording = Wording(file)
        self._visits = {file.start: 1}

    def reload(self, file: ConversationFile) -> None:
        """Go on with another file: topic and approach stay where it has them."""
        self.file = file
        self._wording.reload(file)
        if self.topic not in file.topics:
            self.topic = file.start
        if self._previous not in file.topics:
            self._previous = self.topic
        if self.approach not in file.approaches:
            self.approach = file.approaches[0]
        self._visits = {name: n for name, n in self._visits.items() if name in file.topics}

    def apply(
        self,
        action: str,
        topic: str | None = None,
        approach: str | None = None,
        kind: str = '',
        asked: bool = False,
    ) -> Move:
        """Do what was decided.

        :param action: one of ``action.ACTIONS``.
        :param topic: id to change to; None chooses one.
        :param approach: taken from now on; None keeps the present one.
        :param kind: of lines to say, where it is not the action.
        :param asked: whether a service asked for it.
        """
        note = ''
        kind = kind or action
        self.approach = approach or self.approach
        if action == 'resume' and (self.mode in ('waiting', 'ended') or not self._begun):
            # Who has only been waited for so far hears the first words, and not of going on.
            kind = 'start'
            if self.mode == 'ended':
                self._go(self.next_topic())
        if action == 'continue' and self._wording.told_out(self.topic, self.approach):
            following = self.next_topic()
            if following != self.topic:
                note = f'all has been said about {self.topic}'
                action, kind, topic = 'change_topic', 'move_on', following
        if action == 'change_topic':
            # A rule wants to leave the topic, also where it leads to this one.
            self._go(topic if topic and (asked or topic != self.topic) else self.next_topic())
        if action in _NEXT_MODE:
            # What a service paused stays its own when a rule ends it.
            self.asked = asked or (self.asked and action == 'end')
            self.mode = _NEXT_MODE[action]
        self.fresh = False
        self._begun = self._begun or action != 'pause'
        words = self._wording.words(kind, self.approach, self.topic, self._previous)
        return Move(action, words, note)

    def next_topic(self) -> str:
        """Return the topic that follows.

        Where the present one leads, if that is new; else what to fall back to, if that is new; else
        the first that is new; else, other than the present one, the one left longest ago.
        """
        here = self.file.topics[self.topic]
        fallbacks = [name for name in (here.fallback, self.file.fallback) if name]
        ranked = [*here.leads_to, *fallbacks, *self.file.topics]
        others = [name for name in ranked if name != self.topic]
        return min(others, key=lambda name: self._visits.get(name, 0), default=self.topic)

    def _go(self, topic: str) -> None:
        self._previous, self.topic = self.topic, topic
        self._visits[topic] = max(self._visits.values(), default=0) + 1
