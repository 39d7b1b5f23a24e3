"""Expectations of a recording: met, not met, and files of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.emotion import LABELS, FaceEmotion, Roi
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult
from emotion_estimator.replay.expectations import (
    Expectation,
    Expectations,
    ExpectedDecision,
    check,
    examine,
    load_expectations,
)

#: Seconds since 1970, whose floats have but six decimals.
LONG_AGO = 1_700_000_000.0


def frame(stamp, label):
    if label == 'none':
        return FrameResult(stamp, ())
    probabilities = np.array([float(name == label) for name in LABELS], np.float32)
    return FrameResult(
        stamp, (FaceEmotion('face_1', label, 1.0, LABELS, probabilities, Roi(0, 0, 9, 9)),)
    )


def course(*labels, begin=LONG_AGO):
    """One label for each tenth of a second."""
    return [frame(begin + k / 10, label) for k, label in enumerate(labels)]


def decision(action, stamp):
    return DialogueAction(action, 'weather', 'warm', '', '', 'happy', 1.0, 'rule', 'face_1', stamp)


#: 0 to 0.9 s nobody, 1.0 to 1.9 s happy but for 1.4 s, 2.0 to 2.9 s sad.
VISIT = course(*['none'] * 10, *['happy'] * 4, 'sad', *['happy'] * 5, *['sad'] * 10)


@pytest.mark.parametrize(
    'expectation',
    [
        Expectation('none', 0.0, 0.9, 1.0),
        Expectation('happy', 1.0, 1.9),
        Expectation('happy', 1.0, 1.9, 0.9),
        Expectation('happy', 1.0, 1.3, 1.0),
        Expectation('happy', 1.3, 1.3, 1.0),
        Expectation('sad', 2.0, 2.9, 1.0),
        # Half a second beyond the last frame is within what a camera may leave out.
        Expectation('sad', 2.0, 3.3, 1.0),
    ],
)
def test_met(expectation):
    assert check(VISIT, (), [expectation]) == []


@pytest.mark.parametrize(
    ('expectation', 'line'),
    [
        (
            Expectation('happy', 1.0, 1.9, 0.95),
            'happy from 1.00 to 1.90 s: 9 of 10 frames, a share of 0.90 where 0.95 is expected; '
            'first other at 1.400 s (stamp 1700000001.400000): sad (in total 1 sad)',
        ),
        (
            Expectation('happy', 0.5, 2.4),
            'happy from 0.50 to 2.40 s: 9 of 20 frames, a share of 0.45 where 0.8 is expected; '
            'first other at 0.500 s (stamp 1700000000.500000): none (in total 6 sad, 5 none)',
        ),
        (
            Expectation('hapy', 1.0, 1.0),
            'hapy from 1.00 to 1.00 s: 0 of 1 frames, a share of 0.00 where 0.8 is expected; '
            'first other at 1.000 s (stamp 1700000001.000000): happy (in total 1 happy); '
            "'hapy' is not one of the labels happy, none, sad, unknown",
        ),
        (Expectation('happy', 1.31, 1.39), 'happy from 1.31 to 1.39 s: there are no frames'),
        # All frames there are sad, but who knows of those that are not.
        (Expectation('sad', 2.0, 3.5), 'sad from 2.00 to 3.50 s: the recording ends at 2.90 s'),
    ],
)
def test_not_met(expectation, line):
    assert check(VISIT, (), [expectation]) == [line]


def test_unknown_for_want_of_probability_is_a_label_of_any_vocabulary():
    withheld = FaceEmotion(
        'face_1', 'unknown', 0.4, ('neutral', 'sad'), np.array([0.4, 0.3]), Roi(0, 0, 9, 9)
    )
    sure = FaceEmotion(
        'face_1', 'sad', 0.9, ('neutral', 'sad'), np.array([0.1, 0.9]), Roi(0, 0, 9, 9)
    )
    course = [FrameResult(0.0, (withheld,)), FrameResult(0.1, (sure,))]
    (line,) = check(course, (), [Expectation('unknown', 0.0, 0.1)])
    assert line.endswith('(in total 1 sad)')


def holed(begin, end):
    """Return four seconds of smiling without the frames from begin to end."""
    return [f for f in course(*['happy'] * 41) if not begin < f.stamp - LONG_AGO < end]


@pytest.mark.parametrize(
    ('begin', 'end', 'between'),
    [
        (1.05, 2.95, '1.000 s (stamp 1700000001.000000) and 3.000 s (stamp 1700000003.000000)'),
        # The part of a hole that lies in the span.
        (0.05, 1.55, '0.900 s (stamp 1700000000.900000) and 1.600 s (stamp 1700000001.600000)'),
        (2.45, 3.95, '2.400 s (stamp 1700000002.400000) and 3.100 s (stamp 1700000003.100000)'),
    ],
)
def test_a_hole_in_the_span_is_not_met(begin, end, between):
    (line,) = check(holed(begin, end), (), [Expectation('happy', 0.9, 3.1)])
    assert line == f'happy from 0.90 to 3.10 s: there are no frames between {between}'


def test_a_hole_in_any_time_round_counts():
    (line,) = check(VISIT + VISIT[:10] + VISIT[20:], (), [Expectation('happy', 0.0, 2.9, 0.3)])
    assert 'there are no frames between 0.900 s' in line


def test_few_frames_lost_or_a_hole_elsewhere_do_no_harm():
    for frames in (holed(1.05, 1.45), holed(0.05, 0.85), holed(0.05, 1.35), holed(3.15, 3.95)):
        assert check(frames, (), [Expectation('happy', 0.9, 3.1)]) == []


def test_a_recording_of_few_images_has_no_hole_after_each():
    slow = [frame(LONG_AGO + 2.0 * k, 'happy') for k in range(10)]
    assert check(slow, (), [Expectation('happy', 1.0, 17.0)]) == []
    (line,) = check(slow[:4] + slow[5:], (), [Expectation('happy', 1.0, 17.0)])
    assert 'between 6.000 s' in line


def test_simulated_time_needs_no_stamp_beside_the_seconds():
    (line,) = check(course('sad', 'happy', begin=0.0), (), [Expectation('sad', 0.0, 0.1, 1.0)])
    assert 'first other at 0.100 s: happy' in line


def test_actions():
    actions = [decision('continue', LONG_AGO + 1.5), decision('celebrate', LONG_AGO + 2.0)]
    assert check(VISIT, actions, (), [ExpectedDecision('celebrate', 2.0, 2.0)]) == []
    assert check(VISIT, actions, (), [ExpectedDecision('celebrate', 1.0, 5.0)]) == []
    wanted = [ExpectedDecision('celebrate', 2.1, 3.0), ExpectedDecision('end', 0.0, 9.0)]
    assert check(VISIT, actions, (), wanted) == [
        'action celebrate from 2.10 to 3.00 s: not decided; decisions in the 2.90 s of the '
        'recording: continue at 1.50 s, celebrate at 2.00 s',
        'action end from 0.00 to 9.00 s: not decided; decisions in the 2.90 s of the recording: '
        'continue at 1.50 s, celebrate at 2.00 s',
    ]
    assert check(VISIT, (), (), wanted)[0].endswith('recording: none')


def test_each_expectation_that_is_not_met_has_its_line():
    wrong = [Expectation('sad', 1.0, 1.3), Expectation('happy', 1.0, 1.3), Expectation('sad', 0, 1)]
    lines = check(VISIT, (), wrong, [ExpectedDecision('end', 0, 1)])
    assert [line.split(':')[0] for line in lines] == [
        'sad from 1.00 to 1.30 s', 'sad from 0.00 to 1.00 s', 'action end from 0.00 to 1.00 s',
    ]  # fmt: skip


def test_a_recording_without_frames_meets_nothing():
    assert check([], (), [Expectation('none', 0, 1)]) == [
        'the recording has no frame that could be read'
    ]


@pytest.mark.parametrize(
    ('expectation', 'share', 'words'),
    [
        (Expectation('happy', 1.0, 1.9), 0.9, 'happy, 80% expected: 90%, met'),
        (Expectation('happy', 0.5, 2.4), 0.45, 'happy, 80% expected: 45%, not met'),
        # What there is of it, though the recording ends early or is empty there.
        (Expectation('sad', 2.0, 9.0), 1.0, 'sad, 80% expected: 100%, not met'),
        (Expectation('sad', 7.0, 9.0), None, 'sad, 80% expected: not met'),
        (ExpectedDecision('end', 0.0, 2.0), None, 'end: met'),
        (ExpectedDecision('change_topic', 0.0, 2.0), None, 'change topic: not met'),
    ],
)
def test_a_finding_says_the_share_and_whether_it_is_met(expectation, share, words):
    is_action = isinstance(expectation, ExpectedDecision)
    expected = Expectations((), (expectation,)) if is_action else Expectations((expectation,), ())
    (found,) = examine(VISIT, [decision('end', LONG_AGO + 1.0)], expected)
    assert found.expected == expectation
    assert found.share == (None if share is None else pytest.approx(share))
    assert found.words == words
    assert found.met == (not found.problem) == (not words.endswith('not met'))


def test_nearly_all_of_the_frames_are_not_all_in_words():
    most = [frame(LONG_AGO + k / 10, 'happy' if k else 'sad') for k in range(3000)]
    (found,) = examine(most, (), Expectations((Expectation('happy', 0, 299, 1.0),), ()))
    assert found.words == 'happy, 100% expected: 99.9%, not met'


def test_a_looped_recording_has_one_finding_of_all_its_laps():
    twice = VISIT + course(*['none'] * 10, *['sad'] * 20)
    (found,) = examine(twice, (), Expectations((Expectation('happy', 1.0, 1.9),), ()))
    assert found.share == pytest.approx(0.45)


def test_without_frames_each_expectation_is_found_not_met():
    expected = Expectations((Expectation('none', 0, 1),), (ExpectedDecision('end', 0, 1),))
    found = examine([], (), expected)
    assert [each.expected for each in found] == [*expected.labels, *expected.actions]
    assert not any(each.met for each in found)
    assert [each.share for each in found] == [None, None]


def test_where_a_recording_goes_back_each_time_round_counts():
    twice = VISIT + course(*['none'] * 10, *['sad'] * 20)
    assert check(twice, (), [Expectation('none', 0.0, 0.9, 1.0), Expectation('sad', 2, 2.9)]) == []
    (line,) = check(twice, (), [Expectation('happy', 1.0, 1.9)])
    assert '9 of 20 frames' in line
    interrupted = VISIT + course('none', 'none')
    assert check(interrupted, (), [Expectation('sad', 2.0, 2.9)]) == []


@given(
    st.lists(st.sampled_from([*LABELS, 'none']), min_size=1, max_size=40),
    st.sampled_from([*LABELS, 'none']),
    st.floats(0.001, 1),
    st.integers(0, 39),
    st.integers(0, 39),
)
def test_the_share_decides(labels, label, share, one, other):
    last = len(labels) - 1
    first, end = sorted((min(one, last), min(other, last)))
    span = labels[first : end + 1]
    met = not check(course(*labels), (), [Expectation(label, first / 10, end / 10, share)])
    assert met == (span.count(label) / len(span) >= share - 1e-6)


@pytest.mark.parametrize(
    ('make', 'said'),
    [
        (lambda: Expectation('happy', 3.0, 2.0), 'ends at 2 s, before it begins at 3 s'),
        (lambda: Expectation('happy', -1.0, 2.0), 'from must be a number from 0'),
        (lambda: Expectation('happy', 0.0, float('nan')), 'to must be a number'),
        (lambda: Expectation('happy', 0.0, 1.0, 0.0), 'share must be a number'),
        (lambda: Expectation('happy', 0.0, 1.0, 80), 'share must be a number'),
        (lambda: Expectation('', 0.0, 1.0), 'label must be text'),
        (lambda: ExpectedDecision('dance', 0.0, 1.0), 'must be one of continue, '),
        (lambda: ExpectedDecision('end', 2.0, 1.0), 'ends at 1 s, before it begins'),
    ],
)
def test_what_can_never_be_met_is_refused(make, said):
    with pytest.raises(InputError, match=said) as caught:
        make()
    assert '\n' not in str(caught.value)


def test_a_file_says_the_same(tmp_path):
    path = tmp_path / 'visit.yaml'
    path.write_text(
        'labels:\n'
        '  - {label: happy, from: 2, to: 8.5, share: 0.9}\n'
        '  - {label: none, from: 9, to: 10}\n'
        'actions:\n'
        '  - {action: celebrate, from: 5.0, to: 9.0}\n'
    )
    assert load_expectations(path) == Expectations(
        (Expectation('happy', 2.0, 8.5, 0.9), Expectation('none', 9.0, 10.0, 0.8)),
        (ExpectedDecision('celebrate', 5.0, 9.0),),
    )


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('labels: [{label: happy, from: 1, to: x}]', 'labels, entry 1: to must be a number'),
        ('labels: [{label: happy, to: 2}]', 'labels, entry 1: from is missing'),
        ('labels: [{label: happy, from: 1, to: 2, min: 1}]', 'entry 1: unknown field min'),
        (
            'labels: [{label: happy, from: 1, to: 2}, {label: sad, from: 3, to: 2}]',
            'labels, entry 2: expectation of sad ends at 2 s',
        ),
        ('actions: [{action: dance, from: 1, to: 2}]', 'actions, entry 1: action must be one of'),
        ('actions: {action: end}', 'actions must be a list'),
        ('label: []', 'unknown field label; known are labels, actions'),
        ('{}', 'expects nothing'),
        ('[', 'invalid YAML'),
        ('happy', 'must be a mapping'),
    ],
)
def test_a_bad_file_is_one_line_that_names_it_and_the_field(tmp_path, text, said):
    path = tmp_path / 'visit.yaml'
    path.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        load_expectations(path)
    assert str(caught.value).startswith(str(path))
    assert '\n' not in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(InputError, match='cannot be read'):
        load_expectations(tmp_path / 'none.yaml')
