"""The policy file, ``config/dialogue.yaml``: rules with their cooldowns, read and checked here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, replace
from dataclasses import fields as fields_of
from functools import partial
from pathlib import Path
from typing import Any

from emotion_estimator import strict_yaml
from emotion_estimator.dialogue.action import ACTIONS
from emotion_estimator.dialogue.conversation_file import LINE_KINDS
from emotion_estimator.dialogue.turns import TURN_EVENTS, TurnTimes
from emotion_estimator.emotion import EXPRESSIONS, LABELS, NONE
from emotion_estimator.errors import InputError
from emotion_estimator.untrusted import quote

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

#: What ``follows`` and ``not_follows`` may name: the kind of line that the robot said last.
LINES: tuple[str, ...] = (*ACTIONS, *LINE_KINDS)

#: Default of ``wait`` for rules with ``event``.
_EVENT_WAIT = 4.0
#: Default of a rule's ``release``, as a fraction of its ``share``.
_RELEASE = 0.5


@dataclass(frozen=True)
class Rule:
    """When to do what.

    :param emotion: what to watch for, any of ``EMOTIONS``; empty for a rule with ``event`` that
        acts whatever is seen.
    :param event: events of the conversation that the rule reacts to, any of ``turns.TURN_EVENTS``;
        empty: it reacts to what is seen.
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
    :param quiet_for: with ``event: silence``: seconds for which nobody has spoken.
    :param wait: seconds for which the reaction waits while somebody speaks, before it is dropped.
    :param line: kind of line to say; empty: that of the action.
    :param silent: whether the action comes without words.
    :param follows: the rule applies only after one of these kinds of lines; empty: after any.
    :param not_follows: the rule does not apply after these.
    :param min_unanswered: smallest number of questions in a row that nobody answered.
    :param max_unanswered: largest such number; None: any.
    :param min_exchanges: smallest number of the person's turns about the current topic.
    :param on_topic_for: smallest number of seconds that the topic has been the current one.
    """

    name: str
    emotion: tuple[str, ...]
    action: str
    event: tuple[str, ...] = ()
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
    quiet_for: float = 3.0
    wait: float = 1.0
    line: str = ''
    silent: bool = False
    follows: tuple[str, ...] = ()
    not_follows: tuple[str, ...] = ()
    min_unanswered: int = 0
    max_unanswered: int | None = None
    min_exchanges: int = 0
    on_topic_for: float = 0.0


@dataclass(frozen=True)
class PolicyFile:
    """A checked policy file: the rules and what applies to all of them.

    :param min_gap: minimum seconds between any two actions.
    :param max_step: seconds between two messages beyond which the evidence is discarded.
    :param hold: maximum seconds for which one message counts.
    :param times: how turns are timed.
    :param question_times: seconds that a question gets, by approach; others get
        ``times.question_time``.
    :param turn_taking: whether the robot waits for its turn; if not, it acts as soon as the
        evidence is complete and nobody is heard speaking.
    :param short_absence: seconds; whoever returns earlier is not spoken to about it.
    :param welcome_gap: minimum seconds between two welcomes.
    :param when_sad: approaches to take instead of others while the face looks sad.
    :param lost_after: seconds without a face after which the person counts as gone.
    :param returned_for: seconds for which a person who came back counts as just returned.
    :param begin: one of ``BEGINNINGS``.
    :param origin: name of the file in errors.
    """

    rules: tuple[Rule, ...]
    min_gap: float = 2.0
    max_step: float = 2.0
    hold: float = 0.5
    times: TurnTimes = field(default_factory=TurnTimes)
    question_times: Mapping[str, float] = field(default_factory=dict)
    turn_taking: bool = True
    short_absence: float = 5.0
    welcome_gap: float = 60.0
    when_sad: Mapping[str, str] = field(default_factory=dict)
    lost_after: float = 1.0
    returned_for: float = 5.0
    begin: str = BEGINNINGS[0]
    origin: str = ''
    warnings: tuple[str, ...] = ()

    def question_time(self, approach: str) -> float:
        """Return how many seconds a question in this approach gets."""
        return self.question_times.get(approach, self.times.question_time)


def _count(value: object, where: str) -> int:
    number = strict_yaml.integer(value, where)
    if number < 0:
        raise InputError(f'{where} must be 0 or more, not {number}')
    return number


def _by_name(read: strict_yaml.Reader[Any]) -> strict_yaml.Reader[dict[str, Any]]:
    """Return a reader of a mapping from approaches to what ``read`` reads."""

    def reader(value: object, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise InputError(
                f'{where} must be a mapping of approaches, not {strict_yaml.describe(value)}'
            )
        return {
            strict_yaml.text(key, f'{where}: name'): read(item, f'{where}: {key}')
            for key, item in value.items()
        }

    return reader


#: Readers of the fields of :class:`TurnTimes`, which stand at the top level of the file.
_TIME_FIELDS: dict[str, Callable[[object, str], Any]] = {
    'question_time': strict_yaml.number(0, 3600),
    'words_per_minute': strict_yaml.number(20, 1_000_000),
    'after_speaking': strict_yaml.number(0, 3600),
    'backchannel': strict_yaml.number(0, 60),
    'speaking_timeout': strict_yaml.number(0.1, 3600),
    'left_after': strict_yaml.number(0, 3600),
    'breath': strict_yaml.number(0, 3600),
    'words_within': strict_yaml.number(0.1, 600),
}

#: Readers of the fields; ``Rule`` and ``PolicyFile`` declare the defaults.
_POLICY_FIELDS: dict[str, Callable[[object, str], Any]] = {
    'min_gap': strict_yaml.number(0, 3600),
    'max_step': strict_yaml.number(0.05, 60),
    'hold': strict_yaml.number(0.05, 60),
    'question_times': _by_name(strict_yaml.number(0, 3600)),
    'turn_taking': strict_yaml.flag,
    'short_absence': strict_yaml.number(0, 3600),
    'welcome_gap': strict_yaml.number(0, 86400),
    'when_sad': _by_name(strict_yaml.text),
    'lost_after': strict_yaml.number(0.05, 600),
    'returned_for': strict_yaml.number(0.05, 600),
    'begin': strict_yaml.choice(BEGINNINGS),
}
_RULE_FIELDS: dict[str, Callable[[object, str], Any]] = {
    'name': strict_yaml.text,
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
    'event': strict_yaml.choices(TURN_EVENTS),
    'quiet_for': strict_yaml.number(0, 86400),
    'wait': strict_yaml.number(0, 600),
    'line': strict_yaml.choice(LINES),
    'silent': strict_yaml.flag,
    'follows': strict_yaml.choices(LINES),
    'not_follows': strict_yaml.choices(LINES),
    'min_unanswered': _count,
    'max_unanswered': _count,
    'min_exchanges': _count,
    'on_topic_for': strict_yaml.number(0, 86400),
}
#: What a policy without any rule for the end of an answer is told.
_OLD_FORM = (
    'has the form of an earlier release: none of its rules has `event`, so nothing follows an '
    'answer; add a rule with `event: answer` (docs/dialogue.md), or set `turn_taking: false`'
)
_REQUIRED = ('name', 'action', 'rules')


def load_policy(path: Path) -> PolicyFile:
    """Read and check a policy file.

    :param path: YAML file; ``config/dialogue.yaml`` documents the fields.
    :raises InputError: the file is unreadable or not YAML, or a field is unknown, missing or out
        of range; the message names file, rule and field.
    """
    return parse_policy(strict_yaml.read_yaml(path), quote(path))


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
    times = TurnTimes(**_take(table, _TIME_FIELDS, TurnTimes))
    table.finish()
    names = [rule.name for rule in given['rules']]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f'{origin}: rule {name!r} occurs twice; rename one')
    file = PolicyFile(**given, times=times, origin=origin)
    old = file.turn_taking and not any(rule.event for rule in file.rules)
    return replace(file, warnings=(f'{origin} {_OLD_FORM}',)) if old else file


def _rules(value: object, where: str, emotions: tuple[str, ...]) -> tuple[Rule, ...]:
    if not isinstance(value, list) or not value:
        raise InputError(f'{where} must be a list of at least one rule')
    return tuple(_rule(item, f'{where}[{i}]', emotions) for i, item in enumerate(value, 1))


def _rule(value: object, where: str, emotions: tuple[str, ...]) -> Rule:
    name = value.get('name') if isinstance(value, dict) else None
    if isinstance(name, str) and name.strip():
        where = f'{where.rpartition(": ")[0]}: rule {name!r}'
    table = strict_yaml.Table(value, where)
    given = frozenset(value) if isinstance(value, dict) else frozenset()
    watch = strict_yaml.choices(emotions)
    if 'event' in given:
        watched = table.take('emotion', watch, default=())
    else:
        watched = table.take('emotion', watch)
    rule = Rule(emotion=watched, **_take(table, _RULE_FIELDS, Rule))
    table.finish()
    if rule.event:
        # An event comes once; what a cooldown is for, it does itself.
        if 'cooldown' not in given:
            rule = replace(rule, cooldown=0.0)
        if 'wait' not in given:
            rule = replace(rule, wait=_EVENT_WAIT)
    if 'quiet_for' in given and 'silence' not in rule.event:
        raise InputError(f'{where}: quiet_for requires `event: silence`; remove it or add that')
    if rule.max_unanswered is not None and rule.max_unanswered < rule.min_unanswered:
        raise InputError(
            f'{where}: max_unanswered {rule.max_unanswered} is below min_unanswered '
            f'{rule.min_unanswered}'
        )
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
    defaults = {
        each.name: each.default if each.default_factory is MISSING else each.default_factory()
        for each in fields_of(kind)
    }
    return {
        name: table.take(name, reader, **({} if name in _REQUIRED else {'default': defaults[name]}))
        for name, reader in readers.items()
    }
