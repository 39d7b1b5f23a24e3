"""Where a conversation is: its mode, topic and approach, and how it gets from one to the next."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from emotion_estimator.dialogue.conversation_file import KINDS, ConversationFile, Pool, Topic


class Wording:
    """Fills lines in and remembers what was said, so that nothing is repeated before it must be.

    Of the sentences of an approach the one said least is taken, of equals that which makes words
    not said yet, and of these the first; where all have been said, those of the first approach
    serve before any is said again.
    """

    def __init__(self, file: ConversationFile) -> None:
        """:param file: where the words come from."""
        self.file = file
        self._said: Counter[str] = Counter()
        self._whole: Counter[str] = Counter()
        self._last = ''

    def reload(self, file: ConversationFile) -> None:
        """Take words from another file; what it shares with the last one stays known as said."""
        self.file = file
        known = set(_sentences(file))
        self._said = Counter({text: n for text, n in self._said.items() if text in known})

    def words(self, kind: str, approach: str, topic_id: str, previous_id: str) -> str:
        """Return what to say, and remember that it was said; empty where there is nothing.

        :param kind: an action or one of ``conversation_file.KINDS``.
        """
        if not self.file.say:
            return ''
        topic = self.file.topics[topic_id]
        previous = self.file.topics.get(previous_id, topic)
        pool = self.file.lines.get(kind) or self.file.lines.get(KINDS.get(kind, ''), {})
        best: tuple[tuple[int, int, int], tuple[str, ...], str] | None = None
        for parts in self._combinations(pool, topic, approach):
            counts = [self._said[part] for part in parts]
            filled = _fill(parts, topic.name, previous.name)
            rank = max(counts), sum(counts), self._whole[filled]
            if filled != self._last and (best is None or rank < best[0]):
                best = rank, parts, filled
        if best is None:
            return ''
        self._said.update(best[1])
        self._whole[best[2]] += 1
        self._last = best[2]
        return best[2]

    def told_out(self, topic_id: str, approach: str) -> bool:
        """Tell whether a topic had follow-ups, and all of them were said."""
        sentences = list(self._pool(self.file.topics[topic_id].follow_ups, approach))
        return self.file.say and bool(sentences) and all(self._said[each] for each in sentences)

    def _combinations(self, pool: Pool, topic: Topic, approach: str) -> Iterator[tuple[str, ...]]:
        """Yield lines, each with what goes into it, in the order of preference."""
        for line in self._pool(pool, approach):
            names = {name for _, name, _, _ in string.Formatter().parse(line)}
            if 'opening' in names:
                yield from ((line, each) for each in self._pool(topic.openings, approach))
            elif 'follow_up' in names:
                yield from ((line, each) for each in self._pool(topic.follow_ups, approach))
            else:
                yield (line,)

    def _pool(self, pool: Mapping[str, tuple[str, ...]], approach: str) -> Iterator[str]:
        first = self.file.approaches[0]
        yield from pool.get(approach, ())
        if approach != first:
            yield from pool.get(first, ())


def _fill(parts: tuple[str, ...], topic: str, previous: str) -> str:
    names = {'topic': topic, 'previous': previous}
    inner = [part.format(**names) for part in parts[1:]]
    content = inner[0] if inner else ''
    return parts[0].format(**names, opening=content, follow_up=content)


def _sentences(file: ConversationFile) -> Iterator[str]:
    pools = [*file.lines.values()]
    for topic in file.topics.values():
        pools += [topic.openings, topic.follow_ups]
    for pool in pools:
        for sentences in pool.values():
            yield from sentences


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
