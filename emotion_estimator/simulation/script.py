"""Scripts: what a face shows over time, what the robot should do, and whether it did."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from emotion_estimator import strict_yaml
from emotion_estimator.dialogue.action import ACTIONS, DialogueAction
from emotion_estimator.dialogue.policy_file import LINES
from emotion_estimator.emotion import EXPRESSIONS, LABELS, NONE, FaceEmotion, Roi
from emotion_estimator.errors import InputError
from emotion_estimator.simulation.simulator import Event, SimulatedInput
from emotion_estimator.untrusted import quote

#: A step without any messages: a node or the network is down.
SILENCE = 'silence'

#: What a step may show: the labels of both vocabularies, nobody, or no messages.
SHOWN: tuple[str, ...] = tuple(dict.fromkeys((*LABELS, *EXPRESSIONS, NONE, SILENCE)))

#: Services of the dialogue manager that a step may call.
SERVICES: tuple[str, ...] = ('start', 'pause', 'resume', 'end')

#: Slack in seconds for sums of float stamps.
ROUNDING = 1e-9

_ROI = Roi(0, 0, 100, 100)
_SECONDS = strict_yaml.number(0, 86400)


@dataclass(frozen=True)
class ExpectedAction:
    """An action that the robot should take; attributes that are None are not checked.

    :param action: one of ``ACTIONS``.
    :param begin: earliest time, in seconds from the beginning of the step.
    :param end: latest time, likewise.
    :param rule: name of the rule that should act.
    :param topic: id of the topic after the action.
    :param approach: approach after the action.
    :param line: kind of line that it should say.
    :param utterance: text that the utterance should contain, by language (empty: any language);
        ``says`` in the file.
    """

    action: str
    begin: float
    end: float
    rule: str | None = None
    topic: str | None = None
    approach: str | None = None
    line: str | None = None
    utterance: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """A period of a script.

    :param shows: one of ``SHOWN``.
    :param begin: seconds from the beginning of the script.
    :param end: seconds from the beginning of the script, above ``begin``.
    :param confidence: confidence of the label, 0 to 1.
    :param face: id of the face.
    :param speaking: whether the person speaks.
    :param said: what was recognised of their speech by the end of the step, by language (empty:
        any language).
    :param also: expressions of further faces in view, by face; None: not known whether any are.
    :param robot_speaking: what the robot's voice reports; None for no report.
    :param ask: one of ``SERVICES``, called at the beginning; empty for none.
    :param choose_topic: topic requested from a service at the beginning; empty for none.
    :param expect: everything the robot should do, in order; None: not checked.
    """

    shows: str
    begin: float
    end: float
    confidence: float = 0.9
    face: str = 'face_1'
    speaking: bool = False
    said: Mapping[str, str] = field(default_factory=dict)
    also: Mapping[str, str] | None = None
    robot_speaking: bool | None = None
    ask: str = ''
    choose_topic: str = ''
    expect: tuple[ExpectedAction, ...] | None = None


@dataclass(frozen=True)
class Script:
    """A conversation to simulate.

    :param origin: name of the file in errors.
    :param about: one-line description.
    :param rate: messages per second.
    :param policy: policy file; None for the shipped one.
    :param conversation: conversation file; None for the shipped one.
    """

    origin: str
    steps: tuple[Step, ...]
    about: str = ''
    rate: float = 15.0
    policy: Path | None = None
    conversation: Path | None = None

    def inputs(self, language: str = '') -> Generator[SimulatedInput, None, None]:
        """Yield messages and service calls in the order of their stamps.

        Stamps are seconds from the beginning of the script.

        :param language: BCP 47 tag of what the person says.
        """
        count = 0
        for step in self.steps:
            if step.ask or step.choose_topic:
                yield SimulatedInput(
                    step.begin, has_frame=False, service=step.ask, choose_topic=step.choose_topic
                )
            others = _others(step)
            while (stamp := count / self.rate) < step.end - ROUNDING:
                count += 1
                yield SimulatedInput(
                    stamp, simulated_face(step.shows, step.confidence, step.face),
                    has_frame=step.shows != SILENCE, speaking=step.speaking, others=others,
                    robot_speaking=step.robot_speaking,
                )  # fmt: skip
            said = step.said.get(language, step.said.get('', ''))
            if said:
                yield SimulatedInput(step.end, has_frame=False, speaking=step.speaking, said=said)


def _others(step: Step) -> tuple[FaceEmotion, ...] | None:
    if step.also is None:
        return None
    faces = (simulated_face(label, step.confidence, name) for name, label in step.also.items())
    return tuple(face for face in faces if face is not None)


@lru_cache(maxsize=256)
def simulated_face(
    label: str, confidence: float = 0.9, face_id: str = 'face_1'
) -> FaceEmotion | None:
    """Return a face with an expression; None for nobody.

    :param label: one of ``SHOWN``.
    :param confidence: probability of the label, 0 to 1; the other labels share the rest.
    """
    if label in (NONE, SILENCE):
        return None
    labels = LABELS if label in LABELS else EXPRESSIONS
    rest = (1 - confidence) / (len(labels) - 1)
    values = np.array([confidence if each == label else rest for each in labels], np.float32)
    return FaceEmotion(face_id, label, confidence, labels, values, _ROI)


def load_script(path: Path) -> Script:
    """Read a script.

    :param path: YAML file; ``examples/dialogue/care_home.yaml`` documents the fields.
    :raises InputError: the file is unreadable or not YAML, or a field is unknown, missing or out
        of range; the message names file, step and field.
    """
    table = strict_yaml.Table(strict_yaml.read_yaml(path), quote(path))
    script = Script(
        origin=quote(path),
        about=table.take('about', strict_yaml.text, default=''),
        rate=table.take('rate', strict_yaml.number(0.1, 1000), default=Script.rate),
        policy=table.take('policy', _relative_to(path), default=None),
        conversation=table.take('conversation', _relative_to(path), default=None),
        steps=table.take('steps', _steps),
    )
    table.finish()
    return script


def _relative_to(path: Path) -> strict_yaml.Reader[Path]:
    """Return a reader of paths relative to the folder of the script."""
    return lambda value, where: path.parent / strict_yaml.text(value, where)


def _steps(value: object, where: str) -> tuple[Step, ...]:
    if not isinstance(value, list) or not value:
        raise InputError(f'{where} must be a list of steps, not {strict_yaml.describe(value)}')
    steps: list[Step] = []
    for number, raw in enumerate(value, start=1):
        place = f'{where.rpartition(": ")[0]}: step {number}'
        steps.append(_step(raw, place, steps[-1].end if steps else 0.0))
    return tuple(steps)


def _step(raw: object, where: str, begin: float) -> Step:
    table = strict_yaml.Table(raw, where)
    shows = table.take('shows', strict_yaml.choice(SHOWN))
    lasts = table.take('for', strict_yaml.number(0.001, 86400))
    step = Step(
        shows, begin, begin + lasts,
        confidence=table.take('confidence', strict_yaml.number(0, 1), default=Step.confidence),
        face=table.take('face', strict_yaml.text, default=Step.face),
        speaking=table.take('speaking', strict_yaml.flag, default=False),
        said=table.take('said', _by_language, default={}),
        also=table.take('also', _faces, default=None),
        robot_speaking=table.take('robot_speaking', strict_yaml.flag, default=None),
        ask=table.take('ask', strict_yaml.choice(SERVICES), default=''),
        choose_topic=table.take('choose_topic', strict_yaml.text, default=''),
        expect=table.take('expect', _expected(lasts), default=None),
    )  # fmt: skip
    table.finish()
    if step.ask and step.choose_topic:
        raise InputError(f'{where} has both ask and choose_topic; move one to a step of its own')
    return step


def _faces(value: object, where: str) -> dict[str, str]:
    """Read a mapping from faces to what they show."""
    if not isinstance(value, dict):
        raise InputError(
            f'{where} must be a mapping of faces to expressions, not {strict_yaml.describe(value)}'
        )
    shown = strict_yaml.choice(SHOWN)
    return {
        strict_yaml.text(name, f'{where}: name'): shown(label, f'{where}: {name}')
        for name, label in value.items()
    }


def _by_language(value: object, where: str) -> dict[str, str]:
    """Read words: a text for every language, or one for each."""
    if not isinstance(value, dict):
        return {'': strict_yaml.text(value, where)}
    return {
        strict_yaml.text(language, f'{where}: language'): strict_yaml.text(
            words, f'{where}: {language}'
        )
        for language, words in value.items()
    }


def _expected(lasts: float) -> strict_yaml.Reader[tuple[ExpectedAction, ...]]:
    """Return a reader of what a step of ``lasts`` seconds expects: a list, or ``nothing``."""

    def reader(value: object, where: str) -> tuple[ExpectedAction, ...]:
        if value == 'nothing':
            return ()
        if not isinstance(value, list) or not value:
            raise InputError(
                f'{where} must be a list of actions or the word nothing, '
                f'not {strict_yaml.describe(value)}'
            )
        return tuple(_action(raw, f'{where}, entry {n}', lasts) for n, raw in enumerate(value, 1))

    return reader


def _action(raw: object, where: str, lasts: float) -> ExpectedAction:
    table = strict_yaml.Table(raw, where)
    expected = ExpectedAction(
        action=table.take('action', strict_yaml.choice(ACTIONS)),
        begin=table.take('from', _SECONDS, default=0.0),
        end=table.take('to', _SECONDS, default=lasts),
        rule=table.take('rule', strict_yaml.text, default=None),
        topic=table.take('topic', strict_yaml.text, default=None),
        approach=table.take('approach', strict_yaml.text, default=None),
        line=table.take('line', strict_yaml.choice(LINES), default=None),
        utterance=table.take('says', _by_language, default={}),
    )
    table.finish()
    if not expected.begin <= expected.end <= lasts + ROUNDING:
        raise InputError(
            f'{where} is expected from {expected.begin:g} to {expected.end:g} s of a step that '
            f'lasts {lasts:g} s; correct from or to'
        )
    return expected


class ScriptChecker:
    """Compares events with what a script expects, as they happen.

    Within a step, the expected actions must occur in order, and no others.
    """

    def __init__(self, script: Script, language: str = '') -> None:
        """:param script: script with the expectations.

        :param language: BCP 47 tag of the language that the robot speaks.
        """
        self._script = script
        self._language = language
        self._step = 0
        self._met = 0
        #: One line for each unmet expectation so far.
        self.failures: list[str] = []

    def __call__(self, event: Event) -> bool | None:
        """Take the next event; return whether it was as expected.

        :return: None when the script expects nothing about it.
        """
        self._advance(event.stamp)
        if event.refused:
            self._fail(f'refused at {event.stamp:.2f} s: {event.refused}')
            return False
        expected = self._script.steps[self._step].expect
        if event.action is None or expected is None:
            return None
        wanted = expected[self._met] if self._met < len(expected) else None
        if wanted is not None and not self._differs(event.action, wanted):
            self._met += 1
            return True
        instead = f'where {self._name(wanted)} is expected' if wanted else 'which is not expected'
        differs = f' ({self._differs(event.action, wanted)})' if wanted else ''
        self._fail(f'{self._got(event.action)} {instead}{differs}')
        return False

    def finish(self) -> list[str]:
        """Return one line for each unmet expectation, at the end of the script."""
        self._advance(float('inf'))
        return self.failures

    def _advance(self, stamp: float) -> None:
        """Advance to the step at ``stamp``, and record what is missing in the steps before it."""
        steps = self._script.steps
        while stamp >= steps[self._step].end - ROUNDING:
            for missing in (steps[self._step].expect or ())[self._met :]:
                self._fail(f'{self._name(missing)} did not come')
            self._met = len(steps[self._step].expect or ())
            if self._step == len(steps) - 1:
                return
            self._step += 1
            self._met = 0

    def _differs(self, action: DialogueAction, expected: ExpectedAction) -> str:
        """Return the first difference from the expected action; empty when there is none."""
        since = action.stamp - self._script.steps[self._step].begin
        if action.action != expected.action:
            return f'action {action.action}, not {expected.action}'
        if not expected.begin - ROUNDING <= since <= expected.end + ROUNDING:
            return f'{since:.2f} s after the step began'
        for name in ('rule', 'topic', 'approach', 'line'):
            wanted, got = getattr(expected, name), getattr(action, name)
            if wanted is not None and wanted != got:
                return f'{name} {got!r}, not {wanted!r}'
        words = expected.utterance.get(self._language, expected.utterance.get(''))
        if words is not None and words not in action.utterance:
            return f'it says {action.utterance!r}, without {words!r}'
        return ''

    def _name(self, expected: ExpectedAction) -> str:
        begin = self._script.steps[self._step].begin
        span = f'{begin + expected.begin:.2f} to {begin + expected.end:.2f} s'
        return f'{expected.action} from {span}'

    def _got(self, action: DialogueAction) -> str:
        return f'{action.action} at {action.stamp:.2f} s (rule {action.rule!r})'

    def _fail(self, what: str) -> None:
        step = self._script.steps[self._step]
        self.failures.append(
            f'{self._script.origin}: step {self._step + 1} ({step.shows} from {step.begin:.2f} s): '
            f'{what}'
        )
