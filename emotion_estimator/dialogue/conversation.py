"""The conversation's state: mode, topic and approach, and the words for each dialogue move."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from emotion_estimator.dialogue.conversation_file import (
    LINE_KINDS,
    ConversationFile,
    Pool,
    Topic,
)
from emotion_estimator.dialogue.turns import asks

#: Kinds of lines that say nothing which the lines of the kind that stands in for them do not.
_MIXED = frozenset(('glad_answer', 'smile', 'prompt'))

#: Kinds of lines with which the camera is disclosed if the greeting was interrupted.
_DISCLOSES = frozenset(('answer', 'glad_answer', 'after_no', 'prompt', 'continue', 'resume'))

_NEXT_MODE = {'pause': 'paused', 'resume': 'running', 'end': 'ended'}


@dataclass(frozen=True)
class Move:
    """A dialogue move: how the conversation carried out an action.

    :param action: usually the one requested; ``continue`` becomes ``change_topic`` when everything
        has been said about the topic.
    :param utterance: what to say; may be empty.
    :param line: kind of line that it is.
    :param asks: whether it asks the person something.
    :param note: why the action differs from the one requested; empty when it does not.
    """

    action: str
    utterance: str
    line: str = ''
    asks: bool = False
    note: str = ''


class Conversation:
    """Carries out actions: tracks mode, topic and approach, and finds the words."""

    def __init__(self, file: ConversationFile, mode: str = 'running') -> None:
        """:param file: topics and words. :param mode: ``running``, or ``waiting`` for a face."""
        self.file = file
        self.mode = mode
        self.topic = file.start
        self.approach = file.approaches[0]
        #: Whether a service paused or ended the conversation.
        self.by_service = False
        #: Whether no action has been carried out yet.
        self.fresh = True
        #: Kind of line that was said last; empty before the first.
        self.line = ''
        self._begun = False
        self._previous = file.start
        self._wording = Wording(file)
        self._visits = {file.start: 1}

    def reload(self, file: ConversationFile) -> None:
        """Switch to another file, keeping topic and approach if it has them."""
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
        by_service: bool = False,
        silent: bool = False,
        unfinished: str = '',
    ) -> Move:
        """Carry out an action.

        :param action: one of ``action.ACTIONS``.
        :param topic: id of the topic to change to; None chooses one.
        :param approach: approach to take; None keeps the current one.
        :param kind: kind of line to say, if it is not the action.
        :param by_service: whether a service requested the action.
        :param silent: whether nothing is to be said.
        :param unfinished: the sentence that was broken off; empty if none was.
        """
        note = ''
        kind = kind or action
        self.approach = approach or self.approach
        if action == 'resume' and (self.mode in ('waiting', 'ended') or not self._begun):
            # A conversation that has not begun opens with a greeting, not with a welcome back.
            kind = 'start'
            if self.mode == 'ended':
                # Probably somebody else, to whom nothing has been said.
                self._wording = Wording(self.file)
                self._change_topic(self.next_topic())
        elif action == 'resume' and unfinished:
            kind = 'take_up'
        if kind == 'again':
            unfinished = self._wording.core
        elif action == 'continue' and self._wording.exhausted(self.topic, self.approach):
            following = self.next_topic()
            fresh = not self._wording.exhausted(following, self.approach)
            if following != self.topic and fresh:
                note = f'all has been said about {self.topic}'
                # Nobody is thanked for an answer that was not given.
                kind = 'change_topic' if kind == 'prompt' else 'move_on'
                action, topic = 'change_topic', following
        if action == 'change_topic':
            # A rule that leads to the current topic still means to leave it.
            stay = topic == self.topic and not by_service
            self._change_topic(topic if topic and not stay else self.next_topic())
        if action in _NEXT_MODE:
            # A pause by a service stays one when a rule then ends the conversation.
            self.by_service = by_service or (self.by_service and action == 'end')
            self.mode = _NEXT_MODE[action]
        self.fresh = False
        self._begun = self._begun or action != 'pause'
        if silent:
            return Move(action, '', note=note)
        if kind != 'again':
            self.line = kind
        words = self._wording.words(kind, self.approach, self.topic, self._previous, unfinished)
        return Move(action, words, kind, self._wording.asked, note)

    def expect_another(self) -> None:
        """Wait for another person, who is to be greeted and told what the robot is."""
        self.mode = 'waiting'
        self._wording.disclose_again()

    def broken_off(self) -> None:
        """Note that what was said last was not said to its end."""
        if self.line == 'start':
            self._wording.disclose_again(soon=True)

    def next_topic(self) -> str:
        """Return the id of the topic to talk about next.

        Candidates are, in this order, the topics the current one leads to, the fallbacks, then all
        others. The first one not visited yet is taken; if all have been, the one left longest ago.
        """
        here = self.file.topics[self.topic]
        fallbacks = [name for name in (here.fallback, self.file.fallback) if name]
        ranked = [*here.leads_to, *fallbacks, *self.file.topics]
        others = [name for name in ranked if name != self.topic]
        return min(others, key=lambda name: self._visits.get(name, 0), default=self.topic)

    def _change_topic(self, topic: str) -> None:
        self._previous, self.topic = self.topic, topic
        self._visits[topic] = max(self._visits.values(), default=0) + 1


class Wording:
    """Chooses and fills in lines so that nothing is repeated before it must be.

    Of the sentences of an approach it takes those that yield a new utterance; among these the one
    said least, and then the first. Once all have been said, those of the first approach are
    used before any is repeated.
    """

    def __init__(self, file: ConversationFile) -> None:
        """:param file: source of the words."""
        self.file = file
        self._said: Counter[str] = Counter()
        self._utterances: Counter[str] = Counter()
        self._last = ''
        self._disclosed = False
        self._disclose_soon = False
        #: The question of the utterance chosen last, or all of it.
        self.core = ''
        #: Whether the utterance chosen last asks the person something.
        self.asked = False

    def reload(self, file: ConversationFile) -> None:
        """Switch to another file; sentences that both files have still count as said."""
        self.file = file
        known = set(_sentences(file))
        self._said = Counter({text: n for text, n in self._said.items() if text in known})

    def words(
        self, kind: str, approach: str, topic_id: str, previous_id: str, unfinished: str = ''
    ) -> str:
        """Return what to say and count it as said; empty when no line fits.

        :param kind: an action or one of ``conversation_file.LINE_KINDS``.
        :param unfinished: the sentence that was broken off.
        """
        self.asked = False
        if not self.file.say:
            return ''
        topic = self.file.topics[topic_id]
        previous = self.file.topics.get(previous_id, topic)
        names = {'topic': topic.name, 'previous': previous.name, 'unfinished': unfinished}
        # Whoever begins to talk says what it is first, once; or later, if it was interrupted.
        due = kind == 'start' or (self._disclose_soon and kind in _DISCLOSES)
        disclosure = ' '.join(self.file.disclosure[:1]) if due and not self._disclosed else ''
        best: tuple[tuple[int, int, int], tuple[str, ...], str, str] | None = None
        for pool in self._pools(kind):
            for parts in self._candidates(pool, topic, approach):
                counts = [self._said[part] for part in parts]
                utterance = _fill(parts, {**names, 'disclosure': disclosure})
                # What was broken off may be anything: there is no end to such utterances.
                known = parts[0] if '{unfinished}' in parts[0] else utterance
                rank = self._utterances[known], max(counts), sum(counts)
                if utterance != self._last and (best is None or rank < best[0]):
                    best = rank, parts, utterance, known
            if best is not None and not best[0][0]:
                break
        if best is None:
            return ''
        _, parts, self._last, known = best
        told = any(each in self._last for each in self.file.disclosure)
        self._disclosed = self._disclosed or told
        self._disclose_soon = self._disclose_soon and not told
        self.asked = len(parts) > 1 or asks(self._last)
        if kind != 'again':
            self.core = parts[-1].format(**names) if len(parts) > 1 else self._last
        self._said.update(parts)
        self._utterances[known] += 1
        return self._last

    def disclose_again(self, soon: bool = False) -> None:
        """Disclose what the robot is with the next greeting, or (``soon``) the next question."""
        self._disclosed, self._disclose_soon = False, soon

    def _pools(self, kind: str) -> Iterator[Pool]:
        """Yield the lines of a kind, or else of the kind that stands in for it.

        A few kinds are followed by the latter's lines, for when everything else would be a
        repetition.
        """
        while kind not in self.file.lines and kind in LINE_KINDS:
            kind = LINE_KINDS[kind]
        yield self.file.lines.get(kind, {})
        while kind in _MIXED:
            kind = LINE_KINDS[kind]
            yield self.file.lines.get(kind, {})

    def exhausted(self, topic_id: str, approach: str) -> bool:
        """Return whether the topic has follow-ups and all of them have been said."""
        sentences = list(self._sentences(self.file.topics[topic_id].follow_ups, approach))
        return self.file.say and bool(sentences) and all(self._said[each] for each in sentences)

    def _candidates(self, pool: Pool, topic: Topic, approach: str) -> Iterator[tuple[str, ...]]:
        """Yield lines, each with the sentence to insert if it takes one, best first."""
        for line in self._sentences(pool, approach):
            names = {name for _, name, _, _ in string.Formatter().parse(line)}
            if 'opening' in names:
                yield from ((line, each) for each in self._sentences(topic.openings, approach))
            elif 'follow_up' in names:
                yield from ((line, each) for each in self._sentences(topic.follow_ups, approach))
            else:
                yield (line,)

    def _sentences(self, pool: Mapping[str, tuple[str, ...]], approach: str) -> Iterator[str]:
        """Yield the sentences of an approach, then those of the first approach."""
        first = self.file.approaches[0]
        yield from pool.get(approach, ())
        if approach != first:
            yield from pool.get(first, ())


def _fill(parts: tuple[str, ...], names: Mapping[str, str]) -> str:
    inner = [part.format(**names) for part in parts[1:]]
    content = inner[0] if inner else ''
    line = parts[0]
    if names['disclosure'] and '{disclosure}' not in line:
        place = max(line.find('{opening}'), line.find('{follow_up}'))
        line = (
            f'{line} {{disclosure}}'
            if place < 0
            else (f'{line[:place]}{{disclosure}} {line[place:]}')
        )
    filled = line.format(**names, opening=content, follow_up=content)
    return ' '.join(filled.split())


def _sentences(file: ConversationFile) -> Iterator[str]:
    pools = [*file.lines.values()]
    for topic in file.topics.values():
        pools += [topic.openings, topic.follow_ups]
    for pool in pools:
        for sentences in pool.values():
            yield from sentences
