"""The debounced emotion: what is believed when, at any rate, whatever the input."""

from __future__ import annotations

import math
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.dialogue.debounce import BELIEVE, DebouncedEmotion, EmotionChange
from emotion_estimator.emotion import LABELS, NONE, FaceEmotion, Roi
from emotion_estimator.errors import InputError

RATES = (5, 10, 20, 30, 60)


@cache
def face(label: str, confidence: float = 0.9, face_id: str = 'a') -> FaceEmotion | None:
    if label == NONE:
        return None
    probabilities = np.full(len(LABELS), (1 - confidence) / 2, np.float32)
    probabilities[LABELS.index(label)] = confidence
    return FaceEmotion(face_id, label, confidence, LABELS, probabilities, Roi(0, 0, 9, 9))


def label_at(course, time: float) -> str:
    """Return what a course of (seconds, label) shows at ``time``."""
    for seconds, label in course:
        if time < seconds - 1e-9:
            return label
        time -= seconds
    return course[-1][1]


def frames(course, rate: float = 30.0, start: float = 1000.0):
    """Yield (label, stamp) of each frame of a course of (seconds, label)."""
    for index in range(round(sum(seconds for seconds, _ in course) * rate) + 1):
        yield label_at(course, index / rate), start + index / rate


def changes(course, rate: float = 30.0, **options) -> list[EmotionChange]:
    emotion = DebouncedEmotion(**options)
    found = (emotion(face(label), stamp) for label, stamp in frames(course, rate))
    return [change for change in found if change]


def told(found: list[EmotionChange]) -> list[tuple[str, str]]:
    return [(change.old, change.new) for change in found]


def test_happy_is_believed_early_and_sad_must_last():
    smile, frown = changes([(1, 'happy'), (4, 'sad')])
    assert (smile.old, smile.new, frown.new) == (NONE, 'happy', 'sad')
    assert smile.stamp == pytest.approx(1000 + BELIEVE['happy'], abs=0.04)
    assert frown.stamp == pytest.approx(1001 + BELIEVE['sad'], abs=0.04)
    assert frown.since == pytest.approx(1001, abs=0.04)
    assert frown.confidence == pytest.approx(0.9)
    assert frown.face_id == 'a'
    assert frown.reason == 'sad for 2.0 of the last 2.0 s, confidence 0.90'


@pytest.mark.parametrize(('label', 'short'), [('happy', 0.3), ('sad', 1.8), ('none', 0.8)])
def test_short_expressions_change_nothing(label, short):
    assert told(changes([(3, 'unknown'), (short, label), (3, 'unknown')])) == [(NONE, 'unknown')]


def test_the_caller_may_set_the_times():
    (change,) = changes([(6, 'sad')], believe={'sad': 5.0})
    assert change.stamp == pytest.approx(1005, abs=0.04)
    first = DebouncedEmotion({'happy': 0.0})(face('happy'), 7.0)
    assert first is not None and first.stamp == 7.0


@pytest.mark.parametrize('value', [-1.0, math.nan, math.inf])
def test_an_invalid_time_is_refused_by_name(value):
    with pytest.raises(InputError, match='sad must be 0 or more'):
        DebouncedEmotion({'sad': value})


def test_a_lost_face_is_nobody_and_dropouts_are_ignored():
    found = changes([(2, 'happy'), (3, NONE), (1, 'happy')])
    assert told(found) == [(NONE, 'happy'), ('happy', NONE), (NONE, 'happy')]
    # Three frames in ten are lost.
    emotion = DebouncedEmotion()
    seen = []
    for index, (label, stamp) in enumerate(frames([(8, 'happy'), (8, 'sad')])):
        seen.append(emotion(None if index % 10 in (2, 3, 7) else face(label), stamp))
    found = [change for change in seen if change]
    assert told(found) == [(NONE, 'happy'), ('happy', 'sad')]
    # They only take their own time: 2 s of sad faces are there after 2 / 0.7 s.
    assert found[1].stamp - 1008 == pytest.approx(2 / 0.7, abs=0.2)


def test_after_a_change_the_former_label_starts_from_zero():
    *_, smile, frown = changes([(5, 'sad'), (0.6, 'happy'), (4, 'sad')])
    assert (smile.new, frown.new) == ('happy', 'sad')
    assert frown.stamp - 1005.6 == pytest.approx(BELIEVE['sad'], abs=0.04)


def test_one_frame_counts_for_half_a_second_at_most():
    emotion = DebouncedEmotion({'sad': 1.0})
    assert [emotion(face('sad'), stamp) is not None for stamp in (5.0, 6.5, 8.0)] == [
        False, False, True,
    ]  # fmt: skip


def test_flicker_resolves_to_its_majority():
    """One frame in five shows another label: the stable one does not care, and stays."""
    emotion = DebouncedEmotion()
    seen = []
    for index, (label, stamp) in enumerate(frames([(10, 'unknown'), (10, 'sad')])):
        seen.append(emotion(face('happy' if index % 5 == 0 else label), stamp))
    found = [change for change in seen if change]
    assert told(found) == [(NONE, 'unknown'), ('unknown', 'sad')]
    # Four up and one down: 2 s take 10 / 3.
    assert found[1].stamp - 1010 == pytest.approx(2 / 0.6, abs=0.2)


def test_a_small_lead_takes_longer():
    clear, faint = (changes([(20, 'sad')], believe={'sad': 2.0}), [])
    emotion = DebouncedEmotion({'sad': 2.0})
    for _, stamp in frames([(20, 'sad')]):
        values = np.array([0.1, 0.4, 0.5], np.float32)
        faint.append(emotion(FaceEmotion('a', 'sad', 0.5, LABELS, values, Roi(0, 0, 9, 9)), stamp))
    (later,) = [change for change in faint if change]
    assert later.stamp - 1000 == pytest.approx(2 * (clear[0].stamp - 1000), abs=0.1)


def test_a_face_that_cannot_be_read_is_unknown():
    emotion = DebouncedEmotion()
    undecided = FaceEmotion(
        'a', 'sad', 0.4, LABELS, np.array([0.2, 0.4, 0.4], np.float32), Roi(0, 0, 9, 9)
    )
    for _, stamp in frames([(3, 'sad')]):
        emotion(undecided, stamp)
    assert emotion.label == 'unknown'


def test_evidence_of_one_face_does_not_count_for_the_next():
    emotion = DebouncedEmotion()
    for label, stamp in frames([(3, 'unknown'), (1.5, 'sad')]):
        emotion(face(label, face_id='a'), stamp)
    for label, stamp in frames([(1.5, 'sad')], start=1004.6):
        emotion(face(label, face_id='b'), stamp)
    assert (emotion.label, emotion.face_id) == ('unknown', 'a')
    for label, stamp in frames([(1.0, 'sad')], start=1006.2):
        emotion(face(label, face_id='b'), stamp)
    assert (emotion.label, emotion.face_id) == ('sad', 'b')


@pytest.mark.parametrize('step', [-5.0, -0.001, 2.5])
def test_a_jump_of_time_resets(step):
    heard: list[EmotionChange] = []
    emotion = DebouncedEmotion(on_change=heard.append)
    for label, stamp in frames([(3, 'sad')]):
        emotion(face(label), stamp)
    change = emotion(face('sad'), 1003 + step)
    assert change is not None and (change.old, change.new) == ('sad', NONE)
    assert heard[-1] is change
    assert (emotion.label, emotion.since, emotion.face_id) == (NONE, 1003 + step, '')
    # What was seen before the jump does not count.
    assert emotion(face('sad'), 1003 + step + 0.1) is None


def test_the_callback_gets_each_change_once():
    heard: list[EmotionChange] = []
    returned = changes([(1, 'happy'), (4, 'sad'), (4, NONE)], on_change=heard.append)
    assert heard == returned
    assert told(heard) == [(NONE, 'happy'), ('happy', 'sad'), ('sad', NONE)]


def test_reset_does_not_call_back():
    heard: list[EmotionChange] = []
    emotion = DebouncedEmotion(on_change=heard.append)
    for label, stamp in frames([(1, 'happy')]):
        emotion(face(label), stamp)
    emotion.reset()
    assert (emotion.label, emotion.since, len(heard)) == (NONE, None, 1)


def test_messages_are_accepted():
    emotion = DebouncedEmotion()
    for index in range(40):
        stamp = SimpleNamespace(sec=5 + index // 10, nanosec=index % 10 * 100_000_000)
        emotion.hear(
            SimpleNamespace(
                header=SimpleNamespace(stamp=stamp), face_id='a', label='sad', confidence=0.9,
                labels=['happy', 'unknown', 'sad'], probabilities=[0.05, 0.05, 0.9],
            )
        )  # fmt: skip
    assert emotion.label == 'sad' and emotion.since == pytest.approx(5.0)
    for sec in (9, 10, 11):
        emotion.hear(
            SimpleNamespace(
                header=SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=0)), label=NONE
            )
        )
    assert emotion.label == NONE


COURSE = st.lists(
    st.tuples(st.sampled_from([0.2, 0.4, 0.6, 1.0, 2.4, 3.0]), st.sampled_from([*LABELS, NONE])),
    min_size=1, max_size=8,
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(COURSE)
def test_the_rate_does_not_matter(course):
    """The same changes between 5 and 60 Hz, at most one frame of the slowest apart."""
    slowest, *faster = (changes(course, rate) for rate in RATES)
    end = 1000 + sum(seconds for seconds, _ in course)
    for found in faster:
        # What the faster sees within the last frame of the slowest, that one may see later.
        assert told(found)[: len(slowest)] == told(slowest)
        assert all(change.stamp > end - 0.2 for change in found[len(slowest) :])
        for one, other in zip(found, slowest):
            assert 0 <= other.stamp - one.stamp + 1e-6 <= 0.2 + 1e-5


ODD = st.one_of(
    st.none(), st.floats(), st.integers(), st.text(max_size=3), st.lists(st.floats(), max_size=4),
    st.sampled_from(['happy', 'sad', 'none', '', 10**400, np.float32(0.5), np.zeros((2, 2))]),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(ODD, ODD, ODD, ODD, ODD, ODD), max_size=20))
def test_nothing_raises(messages):
    emotion = DebouncedEmotion()
    for face_id, label, confidence, labels, probabilities, stamp in messages:
        odd = SimpleNamespace(
            face_id=face_id, label=label, confidence=confidence, labels=labels,
            probabilities=probabilities, header=SimpleNamespace(
                stamp=SimpleNamespace(sec=stamp, nanosec=confidence)
            ),
        )  # fmt: skip
        emotion(odd, stamp)
        emotion.hear(odd)
        emotion.hear(stamp)
        assert isinstance(emotion.label, str)
        assert 0 <= emotion.confidence <= 1


def test_memory_does_not_grow():
    """Ten thousand labels that nobody knows, one a frame."""
    emotion = DebouncedEmotion()
    for index in range(10_000):
        emotion(
            FaceEmotion('a', f'label {index}', 0.9, (), np.zeros(0, np.float32), Roi(0, 0, 9, 9)),
            index / 30,
        )
    assert len(emotion._supports) < 10
