"""Properties of the dialogue manager for any messages, at any rate, with any file."""

from __future__ import annotations

import copy
import math
import string
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from dialogue_play import RULES, TALK, face, manager, play, rules
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emotion_estimator.dialogue import policy, rule_state
from emotion_estimator.dialogue.action import ACTIONS
from emotion_estimator.dialogue.conversation_file import parse_conversation
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.dialogue.policy_file import parse_policy
from emotion_estimator.emotion import LABELS, NONE, FaceEmotion, Roi, SightedFace
from emotion_estimator.errors import InputError

CONFIG = Path(__file__).resolve().parents[2] / 'config'
SHIPPED = {
    name: yaml.safe_load((CONFIG / f'{name}.yaml').read_text())
    for name in ('dialogue', 'conversation_en', 'conversation_de')
}
LOADED = (
    parse_policy(SHIPPED['dialogue'], 'policy'),
    parse_conversation(SHIPPED['conversation_en'], 'talk'),
)

labels = st.sampled_from([*LABELS, NONE])
steps = st.one_of(st.floats(0, 0.4), st.floats(0, 0.4), st.floats(-20, 20))
#: Stretches of one label, some with jumps in time, as (label, confidence, step, face id) a frame.
stretches = st.tuples(labels, st.floats(0.4, 1), steps, st.sampled_from('aab'), st.integers(1, 15))
observations = st.lists(stretches, max_size=15).map(
    lambda parts: [
        (*part[:2], part[2] if i == 0 or part[2] >= 0 else 0.1, part[3])
        for part in parts
        for i in range(part[4])
    ]
)


def observe(decide: DialogueManager, course, start: float = 5.0):
    """Return the actions, and for each the time that had really passed (jumps back pass none)."""
    stamp, passed, actions = start, 0.0, []
    for label, confidence, dt, face_id in course:
        stamp, passed = stamp + dt, passed + max(dt, 0.0)
        action = decide(face(label, confidence, face_id), stamp)
        if action:
            actions.append((passed, action))
    return actions


@settings(max_examples=50, deadline=None)
@given(observations)
def test_cooldowns_and_rate_limit_are_never_broken(course):
    actions = observe(manager(), course)
    times = [passed for passed, _ in actions]
    assert all(b - a >= RULES['min_gap'] - 1e-3 for a, b in pairwise(times))
    for rule in RULES['rules']:
        times = [passed for passed, action in actions if action.rule == rule['name']]
        assert all(b - a >= rule['cooldown'] - 1e-3 for a, b in pairwise(times))


@settings(max_examples=30, deadline=None)
@given(observations, st.floats(-50, 50))
def test_the_same_messages_give_the_same_actions_and_no_sentence_twice_in_a_row(course, start):
    one, two = observe(manager(), course, start), observe(manager(), course, start)
    assert one == two
    assert all(action.action in ACTIONS and action.reason for _, action in one)
    said = [action.utterance for _, action in one if action.utterance]
    assert all(a != b for a, b in pairwise(said))


#: Stretches on the grid of 0.2 s that all rates from 5 to 60 messages per second share.
grid = st.lists(st.tuples(labels, st.integers(1, 18)), min_size=1, max_size=6).map(
    lambda parts: [(label, fifths / 5) for label, fifths in parts]
)


@settings(max_examples=30, deadline=None)
@given(grid, st.booleans())
def test_the_rate_of_the_messages_changes_nothing(course, shipped):
    def run(fps):
        if not shipped:
            return play(manager(), course, fps)
        # What follows the first words depends on when they began, so on when they were asked for.
        return play(DialogueManager(*LOADED), course, fps)[:1]

    slow, *others = (run(fps) for fps in (5, 20, 60))
    for other in others:
        assert [(a.rule, a.topic, a.utterance) for a in other] == [
            (a.rule, a.topic, a.utterance) for a in slow
        ]
        # What is decided between two messages is told with the next one.
        assert all(-1e-6 <= a.stamp - b.stamp <= 0.2 + 1e-6 for a, b in zip(slow, other))


@settings(max_examples=30, deadline=None)
@given(grid, st.floats(0.01, 100))
def test_stamps_that_go_backwards_discard_the_evidence(course, back):
    decide = manager(rules=[rule | {'cooldown': 0.0} for rule in RULES['rules']], min_gap=0.0)
    play(decide, course)
    begin = 100.0 + sum(seconds for _, seconds in course) - back
    needed = min(rule['held_for'] * rule.get('share', 0.65) for rule in RULES['rules'])
    after = play(decide, [(course[-1][0], needed - 0.15)], fps=20, start=begin)
    assert after == []


@settings(max_examples=30, deadline=None)
@given(grid.filter(lambda course: all(label != NONE for label, _ in course)))
def test_no_label_below_the_minimum_confidence_decides(course):
    only = [rule for rule in RULES['rules'] if rule['action'] != 'resume']
    assert play(manager(rules=only), course, fps=10, confidence=0.49) == []


@settings(max_examples=30, deadline=None)
@given(grid, st.lists(st.integers(0, 40), max_size=6))
def test_nothing_is_said_while_the_person_speaks(course, switches):
    decide, speaking, frames = manager(), False, []
    for label, seconds in course:
        frames += [label] * round(seconds * 10)
    for i, label in enumerate(frames):
        if i in switches:
            speaking = not speaking
            decide.user_speaking(speaking, 100 + i / 10)
        assert decide(face(label), 100 + i / 10) is None or not speaking


odd_texts = st.one_of(st.sampled_from([*LABELS, NONE, '', 'ANGRY', 'a\nb']), st.text(max_size=5))
odd_faces = st.none() | st.builds(
    FaceEmotion,
    face_id=odd_texts,
    label=st.one_of(odd_texts, st.none(), st.integers()),
    confidence=st.one_of(st.floats(), st.none(), st.integers(-3, 10**30)),
    labels=st.lists(odd_texts, max_size=4).map(tuple),
    probabilities=st.lists(st.floats(width=32), max_size=4).map(lambda x: np.array(x, np.float32)),
    roi=st.just(Roi(0, 0, 1, 1)),
)
stamps = st.one_of(st.floats(), st.floats(0, 100), st.sampled_from([1.0, 1.0, 1e308, -1e308]))
asked = st.sampled_from(['start', 'pause', 'resume', 'end'])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(odd_faces, stamps, st.integers(0, 9), asked), max_size=30))
def test_no_sequence_raises(course):
    decide = DialogueManager(*LOADED)
    for seen, stamp, dice, service in course:
        action = decide(seen, stamp)
        assert action is None or action.action in ACTIONS
        if dice == 0:
            decide.user_speaking(bool(len(course) % 2), stamp)
        elif dice == 1:
            try:
                getattr(decide, service)(stamp)
            except InputError as error:
                assert '\n' not in str(error)
        assert decide.context(stamp)
    # It still works.
    later = 1e6 if not math.isfinite(stamp := course[-1][1] if course else 0.0) else stamp
    if abs(later) < 1e9:
        play(decide, [('happy', 1)], start=later)


# Files ------------------------------------------------------------------------------------------

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(['happy', 'none', 'tea', 'music', 'warm', '{topic}', '{', 'continue', 1e308]),
)  # fmt: skip
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from([*RULES, *TALK, 'name', 'emotion', 'action', 'share', 'openings']),
                st.text(string.ascii_letters, max_size=4),
                st.integers(),
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


def places(raw, path=()):
    """Yield the path of each value in a document."""
    inner = raw.items() if isinstance(raw, dict) else enumerate(raw)
    for key, value in inner:
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, key))


@st.composite
def mutations(draw, raw):
    changed = copy.deepcopy(raw)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(changed)) or [()]))
        if not path:
            break
        at = changed
        for key in path[:-1]:
            at = at[key]
        if draw(st.booleans()):
            del at[path[-1]]
        else:
            at[path[-1]] = draw(documents)
    return changed


def loads_or_says_why(parse, raw):
    try:
        return parse(raw, 'file.yaml')
    except InputError as error:
        message = str(error)
        assert message.startswith('file.yaml') and '\n' not in message
        assert len(message) < 1000
        return None


@settings(max_examples=100, deadline=None)
@given(documents)
def test_any_document_is_refused_with_a_reason_or_loads(raw):
    loads_or_says_why(parse_policy, raw)
    loads_or_says_why(parse_conversation, raw)


@settings(max_examples=50, deadline=None)
@given(st.one_of(mutations(RULES), mutations(SHIPPED['dialogue'])))
def test_a_policy_that_loads_works(raw):
    policy = loads_or_says_why(parse_policy, raw)
    if policy is None:
        return
    try:
        decide = DialogueManager(policy, LOADED[1])
    except InputError as error:
        assert str(error).startswith("file.yaml: rule '")
        return
    play(decide, [('happy', 2), ('sad', 3), (NONE, 2), ('unknown', 2)], fps=5)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        mutations(TALK),
        mutations(SHIPPED['conversation_de']),
    )
)
def test_a_conversation_that_loads_works(raw):
    file = loads_or_says_why(parse_conversation, raw)
    if file is None:
        return
    try:
        decide = DialogueManager(rules(), file)
    except InputError as error:
        assert 'is not in file.yaml, which has' in str(error)
        return
    for action in play(decide, [('happy', 2), ('sad', 3), (NONE, 2), ('unknown', 2)], fps=5):
        assert action.topic in file.topics and action.approach in file.approaches


class _Restless:
    """Windows that are advanced and told of every message, whatever the policy finds of them."""

    def __init__(self, emotions, min_confidence):
        self.emotions, self.min_confidence, self.windows = emotions, min_confidence, {}

    @property
    def idle(self):
        return False

    @idle.setter
    def idle(self, value):
        pass


#: Rules of few conditions and lengths, so that many share theirs, and some only in one topic.
sharing_rules = st.lists(
    st.fixed_dictionaries(
        {
            'emotion': st.sampled_from(['happy', 'sad', 'none']),
            'held_for': st.sampled_from([0.5, 1.0]),
            'share': st.sampled_from([0.4, 0.9]),
            'action': st.sampled_from(['continue', 'acknowledge', 'change_topic']),
            'cooldown': st.sampled_from([0.0, 2.0]),
            'repeat': st.sampled_from([0.5, 3.0]),
            'topics': st.sampled_from([[], ['weather'], ['food', 'weather']]),
        }
    ),
    min_size=2,
    max_size=6,
)


def sharing_policy(conditions):
    """Return a policy of such rules beside one that begins the conversation."""
    begin = {'name': 'greet', 'emotion': 'face', 'held_for': 0.3, 'action': 'resume'}
    named = [
        {'name': f'rule {number}', 'priority': number} | {k: v for k, v in each.items() if v != []}
        for number, each in enumerate(conditions)
    ]
    return parse_policy({'min_gap': 0.1, 'turn_taking': False, 'rules': [begin, *named]}, 'policy')


@settings(max_examples=100, deadline=None)
@given(observations, st.integers(0, 200), st.none() | sharing_rules)
def test_evidence_that_is_not_advanced_would_have_been_none(course, reloaded, conditions):
    """Windows at rest are left alone, and rules share windows; actions are the same to the bit.

    So they are when faces come without what only the history reads.
    """
    files = LOADED if conditions is None else (sharing_policy(conditions), LOADED[1])

    def played(lean):
        decide, stamp, done = DialogueManager(*files), 5.0, []
        decide.remembers = not lean
        decide.robot_speaking(False, stamp)
        for number, (label, confidence, dt, face_id) in enumerate(course):
            stamp += dt
            if number == reloaded:
                decide.use(*files)
            if label == 'sad' and number % 7 == 0:
                decide.user_speaking(number % 2 == 0, stamp)
            if number % 11 == 10 and decide.mode == 'running':
                decide.choose_topic(('weather', 'food', 'family')[number % 3], stamp)
            seen = face(label, confidence, face_id)
            if lean and seen is not None:
                seen = SightedFace(seen.face_id, seen.label, seen.confidence)
            if not lean:
                # Nothing is concluded from the message before.
                decide._policy._sight = decide._policy._there = None
            action = decide(seen, stamp)
            known = [state.window.evidence() for state in decide._policy._watching]
            done.append((action, decide.suppressed, known))
        return done

    lean = played(lean=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy, '_Watch', _Restless)
        state = rule_state.RuleState
        patch.setattr(policy, 'RuleState', lambda rule, hold, shared=None: state(rule, hold))
        assert played(lean=False) == lean
