"""Scripts: what a face shows over time, and what the robot should do about it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from emotion_estimator import fields
from emotion_estimator.dialogue.action import ACTIONS
from emotion_estimator.dialogue.simulator import Moment
from emotion_estimator.emotion import LABELS, NONE, FaceEmotion, Roi
from emotion_estimator.errors import InputError

#: For a while no message arrives at all: a node died, or the network.
SILENCE = 'silence'

#: The labels of models that tell seven emotions apart.
SEVEN: tuple[str, ...] = ('angry', 'disgust', 'fear', 'happy', 'neutral', 'sad', 'surprise')

#: What a step may show.
SHOWN: tuple[str, ...] = (*LABELS, *(each for each in SEVEN if each not in LABELS), NONE, SILENCE)

#: What a step may ask of the dialogue manager, as its services do.
SERVICES: tuple[str, ...] = ('start', 'pause', 'resume', 'end')

#: Slack in seconds for sums of float stamps.
ROUNDING = 1e-9

_ROI = Roi(0, 0, 100, 100)
_seconds = fields.number(0, 86400)


@dataclass(frozen=True)
class ExpectedAction:
    """Something that the robot should do.

    :param action: one of ``ACTIONS``.
    :param begin: seconds from the step's beginning.
    :param end: the same; both belong to the span.
    :param rule: that should act; None for any. So are the others.
    :param topic: from then on.
    :param approach: from then on.
    :param says: something that the utterance should contain.
    """

    action: str
    begin: float
    end: float
    rule: str | None = None
    topic: str | None = None
    approach: str | None = None
    says: str | None = None


@dataclass(frozen=True)
class Step:
    """What happens for a while.

    :param shows: one of ``SHOWN``.
    :param begin: seconds from the script's beginning.
    :param end: the same, above ``begin``.
    :param confidence: of the label, 0 to 1.
    :param face: id of the face.
    :param speaking: whether the person speaks.
    :param ask: one of ``SERVICES``, asked at the beginning; empty for none.
    :param choose_topic: topic asked for at the beginning; empty for none.
    :param expect: all that the robot should do, in this order; None where that is not looked at.
    """

    shows: str
    begin: float
    end: float
    confidence: float = 0.9
    face: str = 'face_1'
    speaking: bool = False
    ask: str = ''
    choose_topic: str = ''
    expect: tuple[ExpectedAction, ...] | None = None


@dataclass(frozen=True)
class Script:
    """A conversation to be simulated.

    :param origin: its file.
    :param about: one line on it.
    :param rate: messages per second.
    :param policy: file of rules; None for the shipped one.
    :param conversation: file of topics and words; None for the shipped one.
    """

    origin: str
    steps: tuple[Step, ...]
    about: str = ''
    rate: float = 15.0
    policy: Path | None = None
    conversation: Path | None = None

    def moments(self) -> Generator[Moment, None, None]:
        """Yield the messages and what else happens, in the order of their stamps.

        Stamps are seconds from the script's beginning.
        """
        count = 0
        for step in self.steps:
            asked, choose = step.ask, step.choose_topic
            if asked or choose:
                yield Moment(step.begin, heard=False, asked=asked, choose_topic=choose)
            while (stamp := count / self.rate) < step.end - ROUNDING:
                count += 1
                yield Moment(
                    stamp, shown(step.shows, step.confidence, step.face),
                    heard=step.shows != SILENCE, speaking=step.speaking,
                )  # fmt: skip


@lru_cache(maxsize=256)
def shown(label: str, confidence: float = 0.9, face_id: str = 'face_1') -> FaceEmotion | None:
    """Return a face that shows ``label``; None for nobody.

    :param label: one of ``SHOWN``.
    :param confidence: 0 to 1; the other labels share the rest.
    """
    if label in (NONE, SILENCE):
        return None
    labels = LABELS if label in LABELS else SEVEN
    rest = (1 - confidence) / (len(labels) - 1)
    values = np.array([confidence if each == label else rest for each in labels], np.float32)
    return FaceEmotion(face_id, label, confidence, labels, values, _ROI)


def load_script(path: Path) -> Script:
    """Read a script.

    :param path: YAML, as ``examples/dialogue/care_home.yaml`` shows it.
    :raises InputError: the file is unreadable, or a field is unknown, missing or out of range; the
        text names file, step and field.
    """
    table = fields.Table(fields.read_yaml(path), str(path))
    script = Script(
        origin=str(path),
        about=table.take('about', fields.text, default=''),
        rate=table.take('rate', fields.number(0.1, 1000), default=Script.rate),
        policy=table.take('policy', _beside(path), default=None),
        conversation=table.take('conversation', _beside(path), default=None),
        steps=table.take('steps', _steps),
    )
    table.finish()
    return script


def _beside(path: Path) -> fields.Reader[Path]:
    """Make a reader of paths that are relative to the script's folder."""
    return lambda value, where: path.parent / fields.text(value, where)


def _steps(value: object, where: str) -> tuple[Step, ...]:
    if not isinstance(value, list) or not value:
        raise InputError(f'{where} must be a list of steps, not {fields.describe(value)}')
    steps: list[Step] = []
    for number, raw in enumerate(value, start=1):
        place = f'{where.rpartition(": ")[0]}: step {number}'
        steps.append(_step(raw, place, steps[-1].end if steps else 0.0))
    return tuple(steps)


def _step(raw: object, where: str, begin: float) -> Step:
    table = fields.Table(raw, where)
    shows = table.take('shows', fields.choice(SHOWN))
    lasts = table.take('for', fields.number(0.001, 86400))
    step = Step(
        shows, begin, begin + lasts,
        confidence=table.take('confidence', fields.number(0, 1), default=Step.confidence),
        face=table.take('face', fields.text, default=Step.face),
        speaking=table.take('speaking', fields.flag, default=False),
        ask=table.take('ask', fields.choice(SERVICES), default=''),
        choose_topic=table.take('choose_topic', fields.text, default=''),
        expect=table.take('expect', _expected(lasts), default=None),
    )  # fmt: skip
    table.finish()
    if step.ask and step.choose_topic:
        raise InputError(f'{where} has ask and choose_topic; give one of them a step of its own')
    return step


def _expected(lasts: float) -> fields.Reader[tuple[ExpectedAction, ...]]:
    """Make a reader of what is expected of a step of ``lasts`` seconds: a list, or ``nothing``."""

    def reader(value: object, where: str) -> tuple[ExpectedAction, ...]:
        if value == 'nothing':
            return ()
        if not isinstance(value, list) or not value:
            raise InputError(
                f'{where} must be a list of actions or the word nothing, '
                f'not {fields.describe(value)}'
            )
        return tuple(_action(raw, f'{where}, entry {n}', lasts) for n, raw in enumerate(value, 1))

    return reader


def _action(raw: object, where: str, lasts: float) -> ExpectedAction:
    table = fields.Table(raw, where)
    expected = ExpectedAction(
        action=table.take('action', fields.choice(ACTIONS)),
        begin=table.take('from', _seconds, default=0.0),
        end=table.take('to', _seconds, default=lasts),
        **{
            name: table.take(name, fields.text, default=None)
            for name in ('rule', 'topic', 'approach', 'says')
        },
    )
    table.finish()
    if not expected.begin <= expected.end <= lasts + ROUNDING:
        raise InputError(
            f'{where} is expected from {expected.begin:g} to {expected.end:g} s of a step that '
            f'lasts {lasts:g} s; correct from or to'
        )
    return expected
