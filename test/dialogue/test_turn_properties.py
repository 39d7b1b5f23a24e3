"""Properties of taking turns, for any interleaving of frames, reports of speech and services."""

from __future__ import annotations

import json
import random
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import yaml
from dialogue_play import face
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emotion_estimator.dialogue.action import ACTIONS, DialogueAction
from emotion_estimator.dialogue.conversation_file import parse_conversation
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.dialogue.policy_file import LINES, parse_policy
from emotion_estimator.dialogue.turns import speech_seconds
from emotion_estimator.emotion import LABELS, NONE
from emotion_estimator.errors import InputError

CONFIG = Path(__file__).resolve().parents[2] / 'config'
POLICY = parse_policy(yaml.safe_load((CONFIG / 'dialogue.yaml').read_text()), 'policy')
TALK = parse_conversation(yaml.safe_load((CONFIG / 'conversation_en.yaml').read_text()), 'talk')
FLOORS = {'robot_speaks', 'person_speaks', 'waiting', 'silence', 'nobody'}
FPS = 10

#: What may happen: (kind, value, ...). Frames last some tenths of a second.
labels = st.sampled_from([*LABELS, NONE])
frames = st.tuples(
    st.just('frames'), labels, st.integers(1, 40), st.sampled_from(['a', 'b', 'ab', 'ba', 'cab'])
)
voices = st.tuples(st.just('user_speaking'), st.booleans(), st.sampled_from(['topic', 'face']))
words = st.tuples(
    st.just('user_said'),
    st.one_of(
        st.sampled_from(
            [
                'No.',
                'Stop.',
                'Pardon?',
                "I don't want to talk.",
                'My sister had a garden.',
                '',
                'नहीं',
            ]
        ),
        st.text(max_size=40),
        st.integers(1, 30_000).map(lambda n: 'ha ' * n),
    ),
)
robots = st.tuples(st.just('robot_speaking'), st.booleans())
others_words = st.tuples(
    st.just('robot_said'),
    st.one_of(st.sampled_from(['Tea?', 'Tea.', '', '…']), st.text(max_size=80)),
)
services = st.tuples(
    st.just('service'), st.sampled_from(['start', 'pause', 'resume', 'end', 'topic'])
)
jumps = st.tuples(st.just('jump'), st.sampled_from([-1e9, -30.0, -0.3, 0.0, 0.3, 2.5, 30.0, 1e7]))
odd = st.sampled_from([None, float('nan'), float('inf'), -1e300, 1e300, 'soon', -5.0, 1e6])
#: Frames twice, since they are what moves time.
anything = st.lists(
    st.one_of(frames, frames, voices, words, robots, others_words, services, jumps),
    min_size=5,
    max_size=40,
)


@dataclass
class Played:
    """A manager that anything happens to; ``odd`` stamps replace some of the right ones."""

    decide: DialogueManager = field(default_factory=lambda: DialogueManager(POLICY, TALK))
    now: float = 100.0
    actions: list[DialogueAction] = field(default_factory=list)

    def happen(self, what: tuple, stamp: object = ...) -> None:
        kind, value, *more = what
        decide, at = self.decide, self.now if stamp is ... else stamp
        if kind == 'frames':
            for _ in range(more[0]):
                self.frame(value, more[1])
        elif kind == 'jump':
            self.now += value
        elif kind == 'service':
            try:
                if value == 'topic':
                    self.actions.append(decide.choose_topic('music', at))
                else:
                    self.actions.append(getattr(decide, value)(at))
            except InputError as error:
                assert '\n' not in str(error)
        else:
            getattr(decide, kind)(value, at, *more)

    def frame(self, label: str, people: str) -> None:
        self.now += 1 / FPS
        seen = [face(label, face_id=each) for each in people]
        others = tuple(each for each in seen[1:] if each)
        action = self.decide(seen[0], self.now, others if len(people) > 1 else None)
        if action is not None:
            self.actions.append(action)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(anything, st.lists(odd, max_size=8), st.booleans())
def test_nothing_raises_and_the_state_stays_valid(course, stamps, own_words):
    played = Played()
    played.decide.own_words = own_words
    for index, what in enumerate(course):
        played.happen(what, stamps[index % 9] if index % 9 < len(stamps) else ...)
        assert played.decide.floor in FLOORS
        assert played.decide.mode in ('waiting', 'running', 'paused', 'ended')
        context = played.decide.context(played.now)
        text = json.dumps(context, ensure_ascii=False, allow_nan=False)
        assert json.loads(text) == context
        assert len(text.encode(errors='replace')) < 6000
        assert context['turns']['floor'] == played.decide.floor
    for action in played.actions:
        assert action.action in ACTIONS
        assert action.line in ('', *LINES)
        assert action.line or not action.utterance
        assert action.reason


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(anything)
def test_the_same_inputs_give_the_same_actions(course):
    one, two = Played(), Played()
    for what in course:
        one.happen(what)
        two.happen(what)
    assert one.actions == two.actions
    assert one.decide.context(one.now) == two.decide.context(two.now)


@dataclass
class Watched(Played):
    """Keeps its own account of who speaks, from the inputs and the utterances alone."""

    robot_until: float = -1e9
    answer_until: float = -1e9
    face_at: float = -1e9
    speaking: dict[str, float] = field(default_factory=dict)
    heard_at: float = -1e9
    faults: list[str] = field(default_factory=list)

    def happen(self, what: tuple, stamp: object = ...) -> None:
        before = len(self.actions)
        kind, value, *more = what
        if kind == 'user_speaking':
            if value:
                self.speaking[more[0]] = self.now
            else:
                self.speaking.pop(more[0], None)
        if kind == 'user_said' and value.strip():
            self.answer_until = -1e9
        super().happen(what, stamp)
        if kind == 'service':
            for action in self.actions[before:]:
                self.say(action)

    def frame(self, label: str, people: str) -> None:
        seen_before = self.face_at
        before = len(self.actions)
        super().frame(label, people)
        expires = POLICY.times.speaking_timeout
        for source in [each for each, at in self.speaking.items() if self.now > at + expires]:
            del self.speaking[source]
        if self.speaking:
            self.heard_at = self.now
            # Whoever speaks answers, unless it is a cough.
            self.answer_until = -1e9
        for action in self.actions[before:]:
            if action.action == 'yield':
                self.robot_until, self.answer_until = min(self.robot_until, self.now), -1e9
            if action.utterance:
                self.judge(action, max(seen_before, self.face_at))
            self.say(action)
        if label != NONE:
            self.face_at = self.now
        elif self.now - self.face_at > POLICY.short_absence:
            self.answer_until = -1e9
        elif self.answer_until > 0:
            # Whoever looks away gets the time again.
            self.answer_until = max(self.answer_until, self.now)

    def judge(self, action: DialogueAction, face_at: float) -> None:
        late = 2 / FPS
        if self.speaking:
            self.faults.append(f'{action.line} while the person speaks')
        if self.now < self.robot_until - late:
            self.faults.append(f'{action.line} while the robot speaks')
        if self.now < self.answer_until - late:
            self.faults.append(f'{action.line} while a question waits')
        if self.now - face_at > POLICY.lost_after + late:
            self.faults.append(f'{action.line} to nobody')

    def say(self, action: DialogueAction) -> None:
        if not action.line:
            return
        self.robot_until = self.now + speech_seconds(
            action.utterance, POLICY.times.words_per_minute
        )
        asks = action.utterance.endswith('?')
        wait = POLICY.question_time(action.approach)
        self.answer_until = self.robot_until + wait if asks else -1e9


plain = st.lists(st.one_of(frames, frames, voices, words, services), min_size=10, max_size=60)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plain)
def test_it_never_begins_to_speak_out_of_turn(course):
    watched = Watched()
    for what in course:
        watched.happen(what)
    assert watched.faults == []


@pytest.mark.parametrize('seed', range(4))
def test_it_never_begins_to_speak_out_of_turn_in_a_long_conversation(seed):
    dice = random.Random(seed)
    watched = Watched()
    for _ in range(120):
        label = dice.choice(['unknown', 'unknown', 'happy', 'happy', 'sad', NONE])
        watched.happen(('frames', label, dice.randint(1, 60), 'a'))
        kind = dice.randint(0, 5)
        if kind < 2:
            watched.happen(('user_speaking', kind == 0, 'topic'))
        elif kind == 2:
            watched.happen(('user_said', dice.choice(['No.', 'We had a garden.'])))
    assert watched.faults == []
    assert len({action.line for action in watched.actions}) >= 5


def test_the_account_that_the_property_keeps_finds_what_a_policy_without_turns_does():
    raw = yaml.safe_load((CONFIG / 'dialogue.yaml').read_text()) | {'turn_taking': False}
    watched = Watched(DialogueManager(parse_policy(raw, 'policy'), TALK))
    for label in ('unknown', 'happy', 'sad', NONE) * 4:
        watched.happen(('frames', label, 60, 'a'))
    kinds = {fault.partition(' ')[2] for fault in watched.faults}
    assert kinds >= {'while the robot speaks', 'while a question waits', 'to nobody'}


def drama(seed: int, minutes: float):
    """Yield what happens in a long conversation in which everything occurs, by chance."""
    dice = random.Random(seed)
    end = minutes * 60 * FPS
    count = 0
    while count < end:
        length = dice.randint(1, 60)
        count += length
        people = dice.choice(['a', 'a', 'a', 'b', 'ab', f'{dice.randint(0, 10**6)}'])
        yield 'frames', dice.choice([*LABELS, NONE, 'unknown', 'sad']), length, people
        kind = dice.randint(0, 9)
        if kind < 3:
            yield 'user_speaking', dice.random() < 0.5, dice.choice(['topic', 'face'])
        elif kind < 5:
            yield 'user_said', f'word {dice.random()} ' * dice.randint(0, 200)
        elif kind == 5:
            yield 'robot_speaking', dice.random() < 0.5
        elif kind == 6:
            yield 'robot_said', f'words of a model {dice.random()} ' * dice.randint(1, 99)
        elif kind == 7:
            yield 'service', dice.choice(['start', 'pause', 'resume', 'end', 'topic', 'resume'])


def contents(value: object, seen: set[int]) -> Counter[str]:
    """Return how many items each container within an object has, and how long its texts are."""
    found: Counter[str] = Counter()
    if id(value) in seen or value is POLICY or value is TALK:
        return found
    seen.add(id(value))
    name = type(value).__name__
    if isinstance(value, str):
        found['text'] += len(value)
    elif isinstance(value, np.ndarray):
        found[name] += value.size
    elif isinstance(value, (list, tuple, set, frozenset, deque)):
        found[name] += len(value)
        for each in value:
            found += contents(each, seen)
    elif isinstance(value, dict):
        found[name] += len(value)
        for key, each in value.items():
            found += contents(key, seen) + contents(each, seen)
    elif hasattr(value, '__dict__'):
        found += contents(vars(value), seen)
    return found


def test_memory_is_bounded_in_a_long_conversation():
    played = Played()
    sizes = []
    for part in range(4):
        for what in drama(part, 6):
            played.happen(what)
        sizes.append(contents(played.decide, set()))
    assert len(played.actions) > 60
    _, early, _, late = sizes
    # Which sentences were said is remembered, of those that there are; nothing else grows.
    for name, count in late.items():
        assert count <= 1.2 * early[name] + (4000 if name == 'text' else 200), name
    assert len(played.decide.problems) <= 10


def test_sentences_that_were_broken_off_are_not_all_remembered():
    """There is no end to what a language model says, and whoever listens may leave each time."""
    played = Played()
    played.happen(('frames', 'unknown', 20, 'a'))
    sizes = []
    for part in range(8):
        played.happen(('robot_said', f'{part} and then it was so ' * 100))
        played.happen(('frames', 'unknown', 5, 'a'))
        played.happen(('frames', NONE, 80, 'a'))
        played.happen(('frames', 'unknown', 20, 'a'))
        # One that was taken up and broken off again would not be taken up once more.
        played.happen(('service', 'topic'))
        sizes.append(contents(played.decide, set())['text'])
    assert [each.line for each in played.actions].count('take_up') == 8
    assert max(sizes) < 1.3 * sizes[1]


def scene(kind: str, fps: int) -> list[tuple[str, str, float]]:
    """Play a scene at some rate; return lines, topics and times of what the robot did."""
    decide = DialogueManager(POLICY, TALK)
    course = {
        'calm': [('unknown', 60)],
        'sad': [('unknown', 17), ('sad', 43)],
        'glad': [('unknown', 17), ('happy', 8), ('unknown', 35)],
        'comes and goes': [('unknown', 4), (NONE, 8), ('unknown', 20), (NONE, 3), ('unknown', 25)],
    }[kind]
    done, frame = [], 0
    for label, seconds in course:
        for _ in range(round(seconds * fps)):
            stamp = frame / fps
            action = decide(face(label), stamp)
            if action is not None:
                done.append((action.line or action.action, action.topic, stamp))
            frame += 1
    return done


@pytest.mark.parametrize('kind', ['calm', 'sad', 'glad', 'comes and goes'])
def test_the_rate_of_the_frames_delays_each_reaction_by_a_frame_at_most(kind):
    fast = scene(kind, 60)
    assert len(fast) >= 3
    for fps in (10, 20, 30):
        slow = scene(kind, fps)
        assert [each[:2] for each in slow] == [each[:2] for each in fast]
        # The robot begins to speak with a frame, so each reaction adds its frame to the next.
        for index, (late, soon) in enumerate(zip(slow, fast), start=1):
            assert -0.05 - 1e-6 <= late[2] - soon[2] <= index * (1 / fps + 0.05) + 1e-6
