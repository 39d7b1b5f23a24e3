"""The policy file: what a rule is, and the one place that reads and checks it."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from emotion_estimator import fields
from emotion_estimator.emotion import LABELS, NONE
from emotion_estimator.errors import InputError

#: What a dialogue engine may be asked to do.
ACTIONS: tuple[str, ...] = (
    'continue',
    'change_topic',
    'change_approach',
    'check_in',
    'celebrate',
    'pause',
    'resume',
    'end',
)

#: What may stand between braces in an utterance: the topic's name and its opening sentence.
PLACEHOLDERS: tuple[str, ...] = ('topic', 'opening')

_T = TypeVar('_T')


@dataclass(frozen=True)
class Rule:
    """When to do what.

    :param emotion: labels that count, any of them; ``none`` is no face.
    :param min_confidence: a frame counts from this probability on, 0 to 1.
    :param held_for: length of the window in seconds.
    :param share: part of the window in which the label must hold, above 0 to 1.
    :param cooldown: seconds before this rule may act again.
    :param topic: topic that ``change_topic`` goes to; None goes to the next of the list.
    :param approach: approach taken from then on; None keeps the present one.
    :param utterances: what to say, in rotation; empty leaves the words to the engine.
    :param priority: of several rules that could act, the highest does; of equals, the first.
    """

    name: str
    emotion: tuple[str, ...]
    action: str
    min_confidence: float = 0.5
    held_for: float = 1.0
    share: float = 0.8
    cooldown: float = 10.0
    topic: str | None = None
    approach: str | None = None
    utterances: tuple[str, ...] = ()
    priority: int = 0


@dataclass(frozen=True)
class Topic:
    """Something to talk about: its name, and the sentence that opens it."""

    name: str
    opening: str = ''


@dataclass(frozen=True)
class PolicyRules:
    """A whole policy file.

    :param min_gap: seconds between any two actions.
    :param max_step: a longer pause between two observations, in seconds, voids the evidence.
    :param topics: in the order in which they are taken up; the conversation starts with the first.
    :param approaches: known tones; the conversation starts with the first.
    """

    min_gap: float
    max_step: float
    topics: tuple[Topic, ...]
    approaches: tuple[str, ...]
    rules: tuple[Rule, ...]


def load_rules(path: Path) -> PolicyRules:
    """Read and check a policy file.

    :param path: YAML, as ``config/dialogue.yaml`` documents it.
    :raises InputError: unreadable, not YAML, or a field is unknown, missing or out of range; the
        text names file, rule and field.
    """
    return parse_rules(fields.read_yaml(path), str(path))


def parse_rules(raw: object, origin: str) -> PolicyRules:
    """Check a policy already read from YAML or JSON.

    :param raw: the document.
    :param origin: what to call it in errors.
    :raises InputError: see :func:`load_rules`.
    """
    table = fields.Table(raw, origin)
    topics = table.take('topics', _list_of(_topic))
    approaches = table.take('approaches', fields.names, default=('neutral',))
    known = {topic.name for topic in topics}
    rules = table.take('rules', _list_of(lambda v, w: _rule(v, w, known, set(approaches))))
    for what, names in (('topic', [t.name for t in topics]), ('rule', [r.name for r in rules])):
        for name in names:
            if names.count(name) > 1:
                raise InputError(f'{origin}: {what} {name!r} stands there twice; rename one')
    loaded = PolicyRules(
        min_gap=table.take('min_gap', fields.number(0, 3600), default=2.0),
        max_step=table.take('max_step', fields.number(0.05, 3600), default=2.0),
        topics=topics,
        approaches=approaches,
        rules=rules,
    )
    table.finish()
    return loaded


def _list_of(read: Callable[[object, str], _T]) -> Callable[[object, str], tuple[_T, ...]]:
    def reader(value: object, where: str) -> tuple[_T, ...]:
        if not isinstance(value, list) or not value:
            raise InputError(f'{where} must be a list with at least one entry')
        return tuple(read(item, f'{where}[{i}]') for i, item in enumerate(value, 1))

    return reader


def _topic(value: object, where: str) -> Topic:
    table = fields.Table(value, where)
    topic = Topic(table.take('name', fields.text), table.take('opening', fields.text, default=''))
    table.finish()
    return topic


def _rule(value: object, where: str, topics: set[str], approaches: set[str]) -> Rule:
    name = value.get('name') if isinstance(value, dict) else None
    if isinstance(name, str) and name.strip():
        where = f'{where.rpartition(": ")[0]}: rule {name!r}'
    table = fields.Table(value, where)
    given: dict[str, Any] = {
        'name': table.take('name', fields.text),
        'emotion': table.take('emotion', fields.choices((*LABELS, NONE))),
        'action': table.take('action', fields.choice(ACTIONS)),
        'min_confidence': table.take('min_confidence', fields.number(0, 1), default=0.5),
        'held_for': table.take('held_for', fields.number(0.05, 600), default=1.0),
        'share': table.take('share', fields.number(0.05, 1), default=0.8),
        'cooldown': table.take('cooldown', fields.number(0, 86400), default=10.0),
        'topic': table.take('topic', fields.choice(sorted(topics)), default=None),
        'approach': table.take('approach', fields.choice(sorted(approaches)), default=None),
        'utterances': table.take('utterances', _list_of(_utterance), default=()),
        'priority': table.take('priority', fields.integer, default=0),
    }
    table.finish()
    rule = Rule(**given)
    if rule.action == 'change_approach' and rule.approach is None:
        raise InputError(f'{where}: approach is missing, change_approach needs it')
    if rule.action != 'change_topic' and rule.topic is not None:
        raise InputError(f'{where}: topic only goes with action change_topic; remove one')
    return rule


def _utterance(value: object, where: str) -> str:
    words = fields.text(value, where)
    try:
        parts = [part for part in string.Formatter().parse(words) if part[1] is not None]
    except ValueError as error:
        raise InputError(f'{where} has a stray brace ({error}); write {{{{ or }}}}') from error
    for _, name, spec, conversion in parts:
        if name not in PLACEHOLDERS or spec or conversion:
            raise InputError(
                f'{where} has {fields.describe(name)} in braces; '
                'plain {topic} and {opening} are known'
            )
    return words
