"""The policy file, ``config/dialogue.yaml``: rules with their cooldowns, read and checked here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from dataclasses import fields as fields_of
from functools import partial
from pathlib import Path
from typing import Any

from emotion_estimator import strict_yaml
from emotion_estimator.dialogue.action import ACTIONS
from emotion_estimator.emotion import EXPRESSIONS, LABELS, NONE
from emotion_estimator.errors import InputError

#: In a rule's ``emotion``: somebody is in view, whatever the expression.
FACE = 'face'
#: The person in view has left.
FACE_LOST = 'face_lost'
#: Somebody is in view again after the last person left.
FACE_RETURNED = 'face_returned'

#: What a rule may watch for, besides the ``labels`` that the policy file adds.
EMOTIONS: tuple[str, ...] = tuple(
    dict.fromkeys((*LABELS, *EXPRESSIONS, NONE, FACE, FACE_LOST, FACE_RETURNED))
)

#: How a conversation begins: at once, or when the first face is seen.
BEGINNINGS: tuple[str, ...] = ('running', 'waiting')

#: Default of a rule's ``release``, as a fraction of its ``share``.
_RELEASE = 0.5


@dataclass(frozen=True)
class Rule:
    """When to do what.

    :param emotion: what to watch for, any of ``EMOTIONS``.
    :param min_confidence: probability from which a label counts, 0 to 1.
    :param held_for: length of the evidence window in seconds.
    :param restless_for: its length while the label flickers, not below ``held_for``.
    :param share: fraction of the window in which the emotion must be seen, above 0 to 1.
    :param release: after acting, the rule rearms once the fraction falls below this, 0 to
        ``share``, so that one smile is answered once.
    :param repeat: seconds after which the rule may act on the same smile again; None: never. An
        answer by a rule of higher priority counts too.
    :param cooldown: minimum seconds between two actions of this rule.
    :param topics: ids of topics in which the rule applies; empty: all.
    :param approaches: approaches in which the rule applies; empty: all.
    :param while_speaking: whether the rule may act while the person speaks.
    :param topic: id of the topic that ``change_topic`` goes to; None: the conversation chooses.
    :param approach: approach to take; None keeps the current one.
    :param priority: of several rules that could act, the one with the highest priority does; among
        equals, the first in the file.
    """

    name: str
    emotion: tuple[str, ...]
    action: str
    min_confidence: float = 0.5
    held_for: float = 1.0
    restless_for: float = 1.0
    share: float = 0.65
    release: float = 0.325
    repeat: float | None = None
    cooldown: float = 10.0
    topics: tuple[str, ...] = ()
    approaches: tuple[str, ...] = ()
    while_speaking: bool = False
    topic: str | None = None
    approach: str | None = None
    priority: int = 0


@dataclass(frozen=True)
class PolicyFile:
    """A checked policy file: the rules and what applies to all of them.

    :param min_gap: minimum seconds between any two actions.
    :param max_step: seconds between two messages beyond which the evidence is discarded.
    :param hold: maximum seconds for which one message counts.
    :param after_speaking: seconds of silence to leave after the person has spoken.
    :param speaking_timeout: seconds after which an unrepeated "the person is speaking" expires.
    :param lost_after: seconds without a face after which the person counts as gone.
    :param returned_for: seconds for which a person who came back counts as just returned.
    :param begin: one of ``BEGINNINGS``.
    :param origin: name of the file in errors.
    """

    rules: tuple[Rule, ...]
    min_gap: float = 2.0
    max_step: float = 2.0
    hold: float = 0.5
    after_speaking: float = 0.8
    speaking_timeout: float = 20.0
    lost_after: float = 1.0
    returned_for: float = 5.0
    begin: str = BEGINNINGS[0]
    origin: str = ''


#: Readers of the fields; ``Rule`` and ``PolicyFile`` declare the defaults.
_POLICY_FIELDS: dict[str, Callable[[object, str], Any]] = {
    'min_gap': strict_yaml.number(0, 3600),
    'max_step': strict_yaml.number(0.05, 60),
    'hold': strict_yaml.number(0.05, 60),
    'after_speaking': strict_yaml.number(0, 3600),
    'speaking_timeout': strict_yaml.number(0.1, 3600),
    'lost_after': strict_yaml.number(0.05, 600),
    'returned_for': strict_yaml.number(0.05, 600),
    'begin': strict_yaml.choice(BEGINNINGS),
}
_RULE_FIELDS: dict[str, Callable[[object, str], Any]] = {
    'name': strict_yaml.text,
    'emotion': strict_yaml.choices(EMOTIONS),
    'action': strict_yaml.choice(ACTIONS),
    'min_confidence': strict_yaml.number(0, 1),
    'held_for': strict_yaml.number(0.05, 600),
    'restless_for': strict_yaml.number(0.05, 600),
    'share': strict_yaml.number(0.05, 1),
    'release': strict_yaml.number(0, 1),
    'repeat': strict_yaml.number(0, 86400),
    'cooldown': strict_yaml.number(0, 86400),
    'topics': strict_yaml.names,
    'approaches': strict_yaml.names,
    'while_speaking': strict_yaml.flag,
    'topic': strict_yaml.text,
    'approach': strict_yaml.text,
    'priority': strict_yaml.integer,
}
_REQUIRED = ('name', 'emotion', 'action', 'rules')


def load_policy(path: Path) -> PolicyFile:
    """Read and check a policy file.

    :param path: YAML file; ``config/dialogue.yaml`` documents the fields.
    :raises InputError: the file is unreadable or not YAML, or a field is unknown, missing or out
        of range; the message names file, rule and field.
    """
    return parse_policy(strict_yaml.read_yaml(path), str(path))


def parse_policy(raw: object, origin: str) -> PolicyFile:
    """Check a policy that has been read from YAML or JSON.

    :param raw: the document.
    :param origin: name of the document in errors.
    :raises InputError: as :func:`load_policy`.
    """
    table = strict_yaml.Table(raw, origin)
    emotions = (*EMOTIONS, *table.take('labels', strict_yaml.names, default=()))
    rules = {'rules': partial(_rules, emotions=emotions)}
    given = _take(table, {**_POLICY_FIELDS, **rules}, PolicyFile)
    table.finish()
    names = [rule.name for rule in given['rules']]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f'{origin}: rule {name!r} occurs twice; rename one')
    return PolicyFile(**given, origin=origin)


def _rules(value: object, where: str, emotions: tuple[str, ...]) -> tuple[Rule, ...]:
    if not isinstance(value, list) or not value:
        raise InputError(f'{where} must be a list of at least one rule')
    return tuple(_rule(item, f'{where}[{i}]', emotions) for i, item in enumerate(value, 1))


def _rule(value: object, where: str, emotions: tuple[str, ...]) -> Rule:
    name = value.get('name') if isinstance(value, dict) else None
    if isinstance(name, str) and name.strip():
        where = f'{where.rpartition(": ")[0]}: rule {name!r}'
    table = strict_yaml.Table(value, where)
    readers = {**_RULE_FIELDS, 'emotion': strict_yaml.choices(emotions)}
    rule = Rule(**_take(table, readers, Rule))
    table.finish()
    given = frozenset(value) if isinstance(value, dict) else frozenset()
    if 'release' not in given:
        rule = replace(rule, release=_RELEASE * rule.share)
    if 'restless_for' not in given:
        rule = replace(rule, restless_for=rule.held_for)
    if rule.restless_for < rule.held_for:
        raise InputError(
            f'{where}: restless_for {rule.restless_for:g} is below held_for {rule.held_for:g}'
        )
    if rule.release > rule.share:
        raise InputError(f'{where}: release {rule.release:g} is above share {rule.share:g}')
    if rule.action == 'change_approach' and rule.approach is None:
        raise InputError(f'{where}: approach is missing; change_approach requires it')
    if rule.action != 'change_topic' and rule.topic is not None:
        raise InputError(
            f'{where}: topic requires action change_topic; remove it or change the action'
        )
    return rule


def _take(
    table: strict_yaml.Table, readers: dict[str, Callable[[object, str], Any]], kind: Any
) -> Any:
    """Return the checked fields by name; absent ones have the default that ``kind`` declares."""
    defaults = {field.name: field.default for field in fields_of(kind)}
    return {
        name: table.take(name, reader, **({} if name in _REQUIRED else {'default': defaults[name]}))
        for name, reader in readers.items()
    }
