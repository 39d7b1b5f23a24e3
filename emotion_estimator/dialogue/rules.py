"""The policy file: what a rule is, and the one place that reads and checks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from dataclasses import fields as fields_of
from functools import partial
from pathlib import Path
from typing import Any

from emotion_estimator import strict_yaml
from emotion_estimator.dialogue.action import ACTIONS
from emotion_estimator.emotion import LABELS, NONE
from emotion_estimator.errors import InputError

#: In a rule's ``emotion``: somebody is there, whatever the face shows.
FACE = 'face'
#: Nobody is there any more, after somebody was.
FACE_LOST = 'face_lost'
#: Somebody is there again, after nobody was.
FACE_RETURNED = 'face_returned'

#: What models of other vocabularies tell apart.
_OTHER_LABELS = ('angry', 'disgust', 'fear', 'surprise', 'neutral')

#: What a rule may watch for, beside what the policy file names under ``labels``.
EMOTIONS: tuple[str, ...] = (*LABELS, *_OTHER_LABELS, NONE, FACE, FACE_LOST, FACE_RETURNED)

#: How a conversation begins: at once, or with whoever is seen first.
BEGINNINGS: tuple[str, ...] = ('running', 'waiting')

#: Part of ``share`` below which the evidence must fall for a rule that acted to be ready again.
_RELEASE = 0.5


@dataclass(frozen=True)
class Rule:
    """When to do what.

    :param emotion: what to watch for, any of these; see ``EMOTIONS``.
    :param min_confidence: a message counts from this probability on, 0 to 1.
    :param held_for: length of the window in seconds.
    :param restless_for: its length while the label flickers, not below ``held_for``.
    :param share: part of the window in which the emotion must be seen, above 0 to 1.
    :param release: once it acted the rule is ready again when the part of the window is below
        this, 0 to ``share``: the same smile is answered once.
    :param repeat: seconds after which it may act upon the same smile again; None never does. What
        a rule above it acted upon counts as acted upon.
    :param cooldown: seconds before this rule may act again in any case.
    :param topics: ids of topics in which the rule applies; empty means all.
    :param approaches: approaches in which it applies; empty means all.
    :param while_speaking: whether it may act while the person speaks.
    :param topic: id of the topic that ``change_topic`` goes to; None leaves it to the conversation.
    :param approach: approach taken from then on; None keeps the present one.
    :param priority: of several rules that could act, the highest does; of equals, the first.
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
class PolicyRules:
    """A whole policy file.

    :param min_gap: seconds between any two actions.
    :param max_step: a longer pause between two messages, in seconds, voids the evidence.
    :param hold: seconds for which a message counts at most.
    :param after_speaking: seconds of silence to leave after the person has spoken.
    :param speaking_timeout: seconds after which "the person speaks" needs to be said again.
    :param lost_after: seconds without a face after which somebody is gone.
    :param returned_for: seconds for which somebody who came back has just come back.
    :param begin: one of ``BEGINNINGS``.
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


def load_rules(path: Path) -> PolicyRules:
    """Read and check a policy file.

    :param path: YAML, as ``config/dialogue.yaml`` documents it.
    :raises InputError: unreadable, not YAML, or a field is unknown, missing or out of range; the
        text names file, rule and field.
    """
    return parse_rules(strict_yaml.read_yaml(path), str(path))


def parse_rules(raw: object, origin: str) -> PolicyRules:
    """Check a policy already read from YAML or JSON.

    :param raw: the document.
    :param origin: what to call it in errors.
    :raises InputError: see :func:`load_rules`.
    """
    table = strict_yaml.Table(raw, origin)
    emotions = (*EMOTIONS, *table.take('labels', strict_yaml.names, default=()))
    rules = {'rules': partial(_rules, emotions=emotions)}
    given = _take(table, {**_POLICY_FIELDS, **rules}, PolicyRules)
    table.finish()
    names = [rule.name for rule in given['rules']]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f'{origin}: rule {name!r} stands there twice; rename one')
    return PolicyRules(**given, origin=origin)


def _rules(value: object, where: str, emotions: tuple[str, ...]) -> tuple[Rule, ...]:
    if not isinstance(value, list) or not value:
        raise InputError(f'{where} must be a list with at least one entry')
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
        raise InputError(f'{where}: approach is missing, change_approach needs it')
    if rule.action != 'change_topic' and rule.topic is not None:
        raise InputError(f'{where}: topic only goes with action change_topic; remove one')
    return rule


def _take(
    table: strict_yaml.Table, readers: dict[str, Callable[[object, str], Any]], kind: Any
) -> Any:
    """Return checked fields by name; what is absent has the default of ``kind``, if any."""
    defaults = {field.name: field.default for field in fields_of(kind)}
    needed = ('name', 'emotion', 'action', 'rules')
    return {
        name: table.take(name, reader, **({} if name in needed else {'default': defaults[name]}))
        for name, reader in readers.items()
    }


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
