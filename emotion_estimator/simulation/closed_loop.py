"""A conversation of a dialogue manager with a simulated person, recorded with the truth."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.conversation_file import ConversationFile
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.dialogue.policy_file import PolicyFile
from emotion_estimator.dialogue.turns import asks
from emotion_estimator.emotion import SAD
from emotion_estimator.simulation.noise import Noise, NoisyEstimator
from emotion_estimator.simulation.person import PersonState, SimulatedPerson, SimulatedTurn

#: Words per minute of the robot's voice, unless said otherwise.
WORDS_PER_MINUTE = 150.0

#: Seconds after which voice activity detection reports that a voice began or ended.
VOICE_DELAY = (0.1, 0.3)

#: Seconds after which a speech recogniser reports what was said.
_WORDS_DELAY = (0.2, 0.8)

#: Seconds after which voice activity that lasts is reported again.
_REPEAT = 5.0


@dataclass(frozen=True)
class RobotMove:
    """Something that the robot did, and said.

    :param action: what the dialogue manager decided.
    :param about: expression that the action answers, ``happy`` or ``sad``; empty for none.
    :param promised: seconds that the utterance gets for an answer; 0 if it asks for none.
    :param begin: seconds; when it was decided, and the robot began to speak.
    :param end: seconds; when the robot was silent again; ``begin`` when nothing was said.
    :param planned_end: seconds; when it would have been silent without ``cut``.
    :param cut: what ended the utterance early: ``yield``, the robot's ``next`` utterance, the
        ``end`` of the record, or nothing.
    """

    action: DialogueAction
    about: str
    promised: float
    begin: float
    end: float
    planned_end: float
    cut: str = ''

    @property
    def text(self) -> str:
        """Return what was said, to its end or not; empty for nothing."""
        return self.action.utterance


@dataclass(frozen=True)
class ConversationRecord:
    """A conversation, from second 0 on, with the truth.

    :param seconds: length.
    :param rate: messages per second.
    :param moves: what the robot did, in order.
    :param turns: what the person said, in order.
    :param states: truth about the person; each holds until the next one.
    :param floors: who had the floor in the manager's view, each with the stamp of the change.
    """

    seconds: float
    rate: float
    moves: tuple[RobotMove, ...]
    turns: tuple[SimulatedTurn, ...]
    states: tuple[PersonState, ...]
    floors: tuple[tuple[float, str], ...] = ()

    @property
    def utterances(self) -> tuple[RobotMove, ...]:
        """Return the moves with words."""
        return tuple(move for move in self.moves if move.text)

    def state(self, stamp: float) -> PersonState:
        """Return what was true at ``stamp`` seconds."""
        at = bisect_right(self.states, stamp, key=lambda state: state.stamp)
        return self.states[max(0, at - 1)]

    def spans(self) -> Iterator[tuple[float, float, PersonState]]:
        """Yield beginning, end and state for each period without a change."""
        for at, state in enumerate(self.states):
            end = self.states[at + 1].stamp if at + 1 < len(self.states) else self.seconds
            if end > state.stamp:
                yield state.stamp, end, state


class VoiceActivity:
    """Voice activity detection that reports beginnings and ends with a delay.

    A noise shorter than the longest delay is reported as long as it was.
    """

    def __init__(self, seed: int) -> None:
        """:param seed: the same seed gives the same delays."""
        self._draw = random.Random(f'{seed} voice activity')
        self._due: deque[tuple[float, bool]] = deque()
        self._last = -math.inf
        self._begun, self._delay = -math.inf, 0.0
        self._on = False

    def hear(self, voice: bool, stamp: float) -> None:
        """Take whether there is a voice from ``stamp`` seconds on."""
        last = self._due[-1][1] if self._due else self._on
        if voice == last:
            return
        if voice and self._due and self._due[-1][0] > stamp:
            # The gap was shorter than the delay of its report.
            self._due.pop()
            return
        if voice or stamp > self._begun + VOICE_DELAY[1]:
            self._begun, self._delay = stamp, self._draw.uniform(*VOICE_DELAY)
        self._last = max(stamp + self._delay, self._last + 0.01)
        self._due.append((self._last, voice))

    def reports(self, stamp: float) -> Iterator[tuple[float, bool]]:
        """Yield the reports due until ``stamp`` seconds, each with its stamp."""
        while self._due and self._due[0][0] <= stamp:
            due, self._on = self._due.popleft()
            yield due, self._on


class _Loop:
    """The state of a conversation while it is simulated."""

    def __init__(
        self,
        manager: DialogueManager,
        person: SimulatedPerson,
        seed: int,
        reports: bool,
        words_per_minute: float,
    ) -> None:
        self.manager = manager
        self.person = person
        self.moves: list[RobotMove] = []
        self._speaks = False
        self._reports = reports
        self._word = 60 / words_per_minute
        self._questions = _Questions(manager.file)
        self._about = _abouts(manager.policy)
        self._voice = VoiceActivity(seed)
        self._on, self._reported = False, -math.inf
        self._recogniser = random.Random(f'{seed} recogniser')
        self._results: deque[tuple[float, str]] = deque()
        self._states = self._phrases = 0

    def listen(self, stamp: float) -> None:
        """Report to the manager what was heard of the person until ``stamp`` seconds."""
        history, phrases = self.person.history, self.person.phrases
        for state in history[self._states :]:
            self._voice.hear(state.voice, state.stamp)
        self._states = len(history)
        for due, on in self._voice.reports(stamp):
            self._on, self._reported = on, due
            self.manager.user_speaking(on, due)
        if self._on and stamp >= self._reported + _REPEAT:
            self._reported = stamp
            self.manager.user_speaking(True, stamp)
        for phrase in phrases[self._phrases :]:
            delay = self._recogniser.uniform(*_WORDS_DELAY)
            if phrase.recognised is not None:
                self._results.append((phrase.end + delay, phrase.recognised))
        self._phrases = len(phrases)
        while self._results and self._results[0][0] <= stamp:
            due, text = self._results.popleft()
            self.manager.user_said(text, due)

    def end_speech(self, stamp: float) -> None:
        """End the robot's utterance if it is over at ``stamp`` seconds."""
        if self._speaks and self.moves[-1].end <= stamp:
            self._fall_silent(self.moves[-1].end, '')

    def do(self, action: DialogueAction, stamp: float) -> None:
        """Carry out what the manager decided."""
        if self._speaks and (action.action == 'yield' or action.utterance):
            self._fall_silent(stamp, 'yield' if action.action == 'yield' else 'next')
        text = action.utterance
        end = stamp + len(text.split()) * self._word
        asked = self._questions(text)
        promised = self.manager.policy.question_time(action.approach) if asked else 0.0
        move = RobotMove(action, self._about.get(action.rule, ''), promised, stamp, end, end)
        # Something silent while the robot talks: keep the utterance last.
        self.moves.insert(len(self.moves) - (self._speaks and not text), move)
        if text:
            self._speaks = True
            self.person.robot_begins(asked, stamp, end - stamp)
            if self._reports:
                self.manager.robot_speaking(True, stamp)

    def finish(self, stamp: float) -> None:
        """End the record at ``stamp`` seconds."""
        if self._speaks:
            self._fall_silent(stamp, 'end')

    def _fall_silent(self, stamp: float, cut: str) -> None:
        self.moves[-1] = replace(self.moves[-1], end=stamp, cut=cut)
        self._speaks = False
        self.person.robot_ends(stamp, finished=not cut)
        if self._reports and cut != 'next':
            self.manager.robot_speaking(False, stamp)


class _Questions:
    """Tells whether an utterance asks for an answer, as a listener would."""

    def __init__(self, file: ConversationFile) -> None:
        pools = [
            pool for topic in file.topics.values() for pool in (topic.openings, topic.follow_ups)
        ]
        self._sentences = tuple(
            sentence
            for pool in pools
            for sentences in pool.values()
            for sentence in sentences
            if '{' not in sentence
        )

    def __call__(self, text: str) -> bool:
        return asks(text) or any(sentence in text for sentence in self._sentences)


def _abouts(policy: PolicyFile) -> dict[str, str]:
    """Return which expression each rule answers; rules that answer none or several are left out."""
    found = {}
    for rule in policy.rules:
        if len(rule.emotion) == 1 and rule.emotion[0] in ('happy', SAD):
            found[rule.name] = rule.emotion[0]
    return found


def converse(
    manager: DialogueManager,
    person: SimulatedPerson,
    seconds: float,
    rate: float,
    noise: Noise,
    seed: int,
    reports: bool = True,
    words_per_minute: float = WORDS_PER_MINUTE,
) -> ConversationRecord:
    """Let a dialogue manager and a person talk to each other.

    The person's voice is reported to the manager with a delay of 0.1 to 0.3 s and recognised words
    0.2 to 0.8 s after they were spoken; the robot falls silent at once when it should.

    :param manager: conversation to begin.
    :param person: somebody at time 0.
    :param seconds: length of the conversation.
    :param rate: images per second, above 0.
    :param noise: errors of the estimator.
    :param seed: the same seed gives the same errors and delays.
    :param reports: whether the robot's voice reports when it speaks; if not, the manager estimates.
    :param words_per_minute: how fast the robot's voice is, above 0.
    """
    loop = _Loop(manager, person, seed, reports, words_per_minute)
    estimate = NoisyEstimator(noise, rate, seed)
    floors: list[tuple[float, str]] = []
    for number in range(math.ceil(seconds * rate)):
        stamp = number / rate
        loop.end_speech(stamp)
        state = person(stamp)
        loop.listen(stamp)
        message = estimate(state.label)
        if message.arrives:
            action = manager(message.face, stamp)
            if action is not None:
                loop.do(action, stamp)
        floor = manager.floor
        if not floors or floors[-1][1] != floor:
            floors.append((stamp, floor))
    last = person.turn_so_far(seconds)
    loop.finish(seconds)
    return ConversationRecord(
        seconds=seconds,
        rate=rate,
        moves=tuple(loop.moves),
        turns=(*person.turns, *([last] if last else [])),
        states=tuple(person.history),
        floors=tuple(floors),
    )


def transcript(
    record: ConversationRecord, begin: float = 0.0, end: float = math.inf
) -> Iterator[str]:
    """Yield a line for each turn and change of expression from ``begin`` to ``end`` seconds."""
    lines: list[tuple[float, str]] = []
    for move in record.moves:
        action = move.action
        mark = {'yield': ' --', 'next': ' >>', 'end': ' ...'}.get(move.cut, '')
        about = f'{action.action}/{action.line or action.action}, {action.rule}'
        until = f' to {move.end:.1f}' if move.text else ''
        words = f'"{move.text}"{mark}' if move.text else '(nothing)'
        lines.append((move.begin, f'ROBOT{until}  {words}  [{about}, {action.approach}]'))
    for turn in record.turns:
        cut = {'robot': ' -- (gives way)', 'left': ' -- (leaves)'}.get(turn.cut, '')
        lines.append(
            (turn.begin, f'       PERSON to {turn.end:.1f}  "{turn.text}"{cut}  [{turn.kind}]')
        )
    shown = ''
    for stamp, _, state in record.spans():
        there = 'away' if not state.present else state.label
        if there != shown:
            shown = there
            lines.append((stamp, f'              ({there})'))
    for stamp, line in sorted(lines, key=lambda each: each[0]):
        if begin <= stamp <= end:
            yield f'{stamp:7.1f} s  {line}'
