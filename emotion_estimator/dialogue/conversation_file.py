"""The conversation file, ``config/conversation_en.yaml``: topics and lines, read and checked."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_estimator import strict_yaml
from emotion_estimator.dialogue.action import ACTIONS
from emotion_estimator.errors import InputError
from emotion_estimator.untrusted import quote

#: Kinds of lines besides the actions, each with the kind whose lines are used when it has none.
#: ``config/conversation_en.yaml`` says when each is used.
LINE_KINDS: Mapping[str, str] = {
    'start': 'resume',
    'take_up': 'resume',
    'answer': 'continue',
    'again': 'continue',
    'after_no': 'answer',
    'listen': 'more',
    'glad_answer': 'answer',
    'smile': 'continue',
    'prompt': 'continue',
    'validate': 'acknowledge',
    'comfort': 'acknowledge',
    'quiet': 'acknowledge',
    'peace': 'quiet',
    'more': 'check_in',
    'offer': 'change_topic',
    'move_on': 'change_topic',
    'choose_topic': 'change_topic',
}

#: Placeholders in a line: the spoken names of the topic and of the previous one, the topic's next
#: opening or follow-up, the disclosure, and the sentence that was broken off.
PLACEHOLDERS: tuple[str, ...] = (
    'topic',
    'previous',
    'opening',
    'follow_up',
    'disclosure',
    'unfinished',
)

#: Kinds of lines that a conversation needs since the robot waits for answers. A file without them
#: was written for an earlier release.
_NEEDED = ('answer', 'prompt', 'acknowledge')

#: Sentences by approach.
Pool = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Topic:
    """A topic of conversation.

    :param name: spoken name.
    :param openings: sentences that introduce the topic.
    :param follow_ups: sentences that continue it.
    :param leads_to: ids of topics that follow naturally, the best first.
    :param fallback: id of the topic to take when nothing new follows; None: that of the file.
    """

    name: str
    openings: Pool
    follow_ups: Pool
    leads_to: tuple[str, ...] = ()
    fallback: str | None = None


@dataclass(frozen=True)
class ConversationFile:
    """A checked conversation file.

    :param language: BCP 47 tag of the sentences, for a text-to-speech node.
    :param say: whether the robot's words come from this file rather than from its dialogue system.
    :param approaches: tones; the conversation begins with the first, whose lines are also used
        when another has none left.
    :param topics: topics by id.
    :param start: id of the first topic.
    :param fallback: id of the topic to take when nothing new follows.
    :param lines: lines by action or one of ``LINE_KINDS``.
    :param disclosure: sentences that say that a camera is used; one is said at the first greeting.
    :param refusals: words and phrases, in lower case, by which a person asks to be left alone.
    :param noes: answers, in lower case, that mean no.
    :param other_topics: phrases, in lower case, by which a person asks for another topic.
    :param repeats: words and phrases, in lower case, by which a person asks to hear it again.
    :param origin: name of the file in errors.
    :param warnings: what to improve, a line each.
    """

    language: str
    say: bool
    approaches: tuple[str, ...]
    topics: Mapping[str, Topic]
    start: str
    fallback: str | None
    lines: Mapping[str, Pool]
    disclosure: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    repeats: tuple[str, ...] = ()
    noes: tuple[str, ...] = ()
    other_topics: tuple[str, ...] = ()
    origin: str = ''
    warnings: tuple[str, ...] = ()

    def topic_id(self, name: str) -> str:
        """Return the id of a topic given by id or spoken name, ignoring case.

        :raises InputError: there is no such topic; the message lists the topics.
        """
        wanted = name.strip().casefold()
        for topic_id, topic in self.topics.items():
            if wanted in (topic_id.casefold(), topic.name.casefold()):
                return topic_id
        raise InputError(
            f'there is no topic {strict_yaml.describe(name)}; known are {", ".join(self.topics)}'
        )


def load_conversation(path: Path) -> ConversationFile:
    """Read and check a conversation file.

    :param path: YAML file; ``config/conversation_en.yaml`` documents the fields.
    :raises InputError: the file is unreadable or not YAML, or a field is unknown, missing or out
        of range; the message names file, topic and field.
    """
    return parse_conversation(strict_yaml.read_yaml(path), quote(path))


def parse_conversation(raw: object, origin: str) -> ConversationFile:
    """Check a conversation that has been read from YAML or JSON.

    :param raw: the document.
    :param origin: name of the document in errors.
    :raises InputError: as :func:`load_conversation`.
    """
    table = strict_yaml.Table(raw, origin)
    approaches = table.take('approaches', strict_yaml.names, default=('neutral',))
    language = table.take('language', strict_yaml.text, default='en')
    say = table.take('say', strict_yaml.flag, default=True)
    abilities = table.take('abilities', _ids, default=())
    tones = _Tones(approaches, abilities)
    topics = table.take('topics', _mapping(lambda v, w: _topic(v, w, tones), 'topic'))
    known = strict_yaml.choice(tuple(topics))
    start = table.take('start', known, default=next(iter(topics)))
    fallback = table.take('fallback', known, default=None)
    kinds = (*ACTIONS, *LINE_KINDS)
    lines = table.take('lines', _mapping(lambda v, w: _pool(v, w, tones, PLACEHOLDERS)), default={})
    disclosure = table.take('disclosure', lambda v, w: _texts(v, w, tones, ()), default=())
    refusals = table.take('refusals', _words, default=())
    repeats = table.take('repeats', _words, default=())
    noes = table.take('noes', _words, default=())
    other_topics = table.take('other_topics', _words, default=())
    table.finish()
    for kind in lines:
        if kind not in kinds:
            raise InputError(
                f'{origin}: lines: unknown kind of line {strict_yaml.describe(kind)}; '
                f'known are {", ".join(kinds)}'
            )
    for topic_id, topic in topics.items():
        for field, ids in (('leads_to', topic.leads_to), ('fallback', (topic.fallback,))):
            for other in ids:
                if other is not None and other not in topics:
                    raise InputError(
                        f'{origin}: topic {topic_id!r}: {field} must name topics of this file '
                        f'({", ".join(topics)}), not {strict_yaml.describe(other)}'
                    )
    warnings = _warnings(lines, origin) if say else ()
    return ConversationFile(
        language, say, approaches, topics, start, fallback, lines, disclosure, refusals, repeats,
        noes, other_topics, origin, warnings,
    )  # fmt: skip


def _warnings(lines: Mapping[str, Pool], origin: str) -> tuple[str, ...]:
    missing = [kind for kind in _NEEDED if kind not in lines]
    if not lines or not missing:
        return ()
    return (
        f'{origin} has the form of an earlier release: it has no lines {" and ".join(missing)}, so '
        f'those of `continue` are said after an answer; add them (docs/dialogue.md)',
    )


@dataclass(frozen=True)
class _Tones:
    """What sentences may rely on: the approaches of the file, and what the robot is able to do."""

    approaches: tuple[str, ...]
    abilities: tuple[str, ...]


def _mapping(
    read: Callable[[object, str], Any], called: str = ''
) -> strict_yaml.Reader[dict[str, Any]]:
    """Return a reader of a mapping from names to what ``read`` reads.

    :param called: what a named item is called in errors; empty: its name follows the mapping's.
    """

    def reader(value: object, where: str) -> dict[str, Any]:
        if not isinstance(value, dict) or (called and not value):
            raise InputError(
                f'{where} must be a mapping of names, not {strict_yaml.describe(value)}'
            )
        found: dict[str, Any] = {}
        for key, item in value.items():
            name = strict_yaml.text(key, f'{where}: name')
            if name in found:
                raise InputError(f'{where}: {name!r} occurs twice; rename one')
            inner = f'{where.rpartition(": ")[0]}: {called} {name!r}' if called else None
            found[name] = read(item, inner or f'{where}: {name}')
        return found

    return reader


def _topic(value: object, where: str, tones: _Tones) -> Topic:
    table = strict_yaml.Table(value, where)

    def pool(value: object, where: str) -> Pool:
        return _pool(value, where, tones, ('topic', 'previous'))

    topic = Topic(
        name=table.take('name', strict_yaml.text),
        openings=table.take('openings', pool, default={}),
        follow_ups=table.take('follow_ups', pool, default={}),
        leads_to=table.take('leads_to', _ids, default=()),
        fallback=table.take('fallback', strict_yaml.text, default=None),
    )
    table.finish()
    return topic


def _ids(value: object, where: str) -> tuple[str, ...]:
    return () if value == [] else strict_yaml.names(value, where)


def _words(value: object, where: str) -> tuple[str, ...]:
    return tuple(each.casefold().strip() for each in _ids(value, where))


def _pool(value: object, where: str, tones: _Tones, placeholders: tuple[str, ...]) -> Pool:
    """Read a mapping from approaches to lists of sentences."""
    approaches = tones.approaches
    if not isinstance(value, dict):
        raise InputError(
            f'{where} must be a mapping of approaches ({", ".join(approaches)}) to sentences, '
            f'not {strict_yaml.describe(value)}'
        )
    pool: dict[str, tuple[str, ...]] = {}
    for approach, sentences in value.items():
        if approach not in approaches:
            raise InputError(
                f'{where}: {strict_yaml.describe(approach)} is not one of the approaches '
                f'({", ".join(approaches)})'
            )
        pool[approach] = _texts(sentences, f'{where}: {approach}', tones, placeholders)
    return pool


def _texts(
    value: object, where: str, tones: _Tones, placeholders: tuple[str, ...]
) -> tuple[str, ...]:
    """Read a list of sentences; leave out those that need something the robot is not able to do."""
    if not isinstance(value, list):
        raise InputError(f'{where} must be a list of sentences, not {strict_yaml.describe(value)}')
    found: list[str] = []
    for i, item in enumerate(value, 1):
        at, needs = f'{where}[{i}]', None
        if isinstance(item, dict):
            table = strict_yaml.Table(item, at)
            item = table.take('say', strict_yaml.text)
            needs = table.take('needs', strict_yaml.text)
            table.finish()
        words = _sentence(item, at, placeholders)
        if needs is None or needs in tones.abilities:
            found.append(words)
    return tuple(found)


def _sentence(value: object, where: str, placeholders: tuple[str, ...]) -> str:
    words = strict_yaml.text(value, where)
    try:
        parts = [part for part in string.Formatter().parse(words) if part[1] is not None]
    except ValueError as error:
        raise InputError(
            f'{where} has an unmatched brace ({error}); write {{{{ or }}}} for a literal one'
        ) from error
    for _, name, spec, conversion in parts:
        if name not in placeholders or spec or conversion:
            known = ', '.join(f'{{{each}}}' for each in placeholders)
            raise InputError(
                f'{where} has {strict_yaml.describe(name)} in braces; '
                f'use one of {known}, without formatting'
            )
    if {'opening', 'follow_up'} <= {name for _, name, _, _ in parts}:
        raise InputError(f'{where} has both {{opening}} and {{follow_up}}; keep one')
    return words
