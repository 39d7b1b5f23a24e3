"""Limits: what the file says, what breaks it, and where first."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import yaml
from courses import course, frame
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.emotion import LABELS, NONE, FaceEmotion, Roi
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult
from emotion_estimator.replay.comparison import compare
from emotion_estimator.replay.comparison_report import broken_line
from emotion_estimator.replay.limits import (
    Limits,
    broken_limits,
    load_limits,
    parse_limits,
    shipped_limits,
)

TEN = course(['happy'] * 10)
briefly = settings(deadline=None, max_examples=50)


def names(comparison, **limits):
    return [each.limit for each in broken_limits(comparison, Limits(**limits))]


# --- the file


def test_the_shipped_file_names_every_limit_and_is_kept_by_the_same_course():
    text = shipped_limits().read_text()
    limits = load_limits(shipped_limits())
    for field in fields(Limits):
        assert f'\n{field.name}: ' in text or f'\n# {field.name}: ' in text
    frames = course(['happy', 'sad', NONE, 'unknown'] * 5)
    assert broken_limits(compare(frames, frames), limits) == []
    # What is commented out is a limit, too: it is no example that would be refused.
    complete = text.replace('# max_prob', 'max_prob')
    assert parse_limits(yaml.safe_load(complete), 'x').max_probability_difference == 0.3


def test_limits_of_single_labels():
    limits = parse_limits({'min_agreement_per_label': {'sad': 0.95, 'none': 1}}, 'x')
    assert (limits.least_for('sad'), limits.least_for(NONE), limits.least_for('happy')) == (
        0.95, 1.0, None,
    )  # fmt: skip
    assert parse_limits({'min_agreement_per_label': 0.9}, 'x').least_for('happy') == 0.9


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('min_agreement: 98', r'limits.yaml: min_agreement must be a number from 0 to 1, not 98'),
        ('min_agreement: "0.9"', "min_agreement must be a number from 0 to 1, not '0.9'"),
        ('min_agreement: .nan', 'min_agreement must be a number from 0 to 1, not nan'),
        ('min_agreement: true', 'min_agreement must be a number'),
        ('min_agreement: 0.9\nmax_onset_shift: -1', 'max_onset_shift must be a number from 0 to'),
        ('max_missing:', 'max_missing must be a number from 0 to 1, not nothing'),
        ('min_agrement: 0.9', 'unknown field min_agrement; known are min_agreement, '),
        ('min_agreement_per_label: {sad: 2}', 'per_label: sad must be a number from 0 to 1'),
        ('min_agreement_per_label: {1: 0.5}', 'per_label: a label must be text, not 1'),
        ('- 0.9', 'limits.yaml must be a mapping of fields'),
        ('', 'limits.yaml must be a mapping of fields, not nothing'),
        ('{}', 'limits.yaml sets no limit'),
        ('margin: 0.3', 'limits.yaml sets no limit'),
        ('a: [', 'limits.yaml: invalid YAML in line 1'),
    ],
)
def test_a_wrong_file_is_one_line_that_names_file_and_field(tmp_path, text, says):
    path = tmp_path / 'limits.yaml'
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_limits(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)


def test_a_missing_file_and_wrong_values_in_code(tmp_path):
    with pytest.raises(InputError, match=r'gone.yaml cannot be read'):
        load_limits(tmp_path / 'gone.yaml')
    with pytest.raises(InputError, match='limits: min_agreement must be a number from 0 to 1'):
        Limits(min_agreement=1.5)


def test_a_label_that_nobody_knows_would_never_be_looked_at():
    same = compare(TEN, TEN)
    with pytest.raises(InputError, match="names 'hapy'; the recordings know happy, none, sad"):
        broken_limits(same, Limits(min_agreement_per_label={'hapy': 0.9}))
    assert names(same, min_agreement_per_label={NONE: 1.0, 'sad': 1.0}) == []


def test_unknown_for_want_of_probability_may_have_a_limit_in_any_vocabulary():
    found = np.array([0.4, 0.3], np.float32)
    withheld = FaceEmotion('face_1', 'unknown', 0.4, ('neutral', 'sad'), found, Roi(0, 0, 9, 9))
    same = [FrameResult(0.1 * n, (withheld,)) for n in range(10)]
    assert names(compare(same, same), min_agreement_per_label={'unknown': 1.0}) == []


# --- at the border


@briefly
@given(st.integers(1, 60), st.data())
def test_agreement_is_kept_at_its_limit_and_broken_above(count, data):
    wrong = data.draw(st.integers(1, count))
    found = compare(
        course(['happy'] * count), course(['sad'] * wrong + ['happy'] * (count - wrong))
    )
    share = (count - wrong) / count
    assert names(found, min_agreement=share) == []
    assert names(found, min_agreement=min(1.0, share + 0.001)) == ['min_agreement']
    assert names(found, min_agreement_per_label=share) == []


@pytest.mark.parametrize('begin', [0.0, 1.7e9])
def test_each_limit_at_its_border_and_its_first_place(begin):
    expected = course(['unknown'] * 10 + ['happy'] * 10 + ['sad'] * 10, begin)
    actual = course(['unknown'] * 12 + ['happy'] * 8 + ['sad'] * 10, begin)
    actual[4] = frame(begin + 0.4, 'unknown', 0.7)
    actual[25] = frame(begin + 2.5, 'sad', 0.8, others=['happy'])
    del actual[7]
    actual.append(frame(begin + 3.5, 'sad'))
    found = compare(expected, actual)
    # Two of 29 frames, each with 0.8 for another label than expected, and one with 0.1 less.
    kept = {
        'min_agreement': 27 / 29,
        'min_agreement_per_label': {'happy': 0.8},
        'max_probability_difference': 0.7,
        'max_mean_probability_difference': (2 * 0.7 + 0.1) / 29,
        'max_onset_shift': 0.2,
        'max_missing': 1 / 30,
        'max_extra': 1 / 30,
        'max_miscounted_faces': 1 / 29,
    }
    assert names(found, **kept) == []
    first = {
        'min_agreement': 1.0, 'min_agreement_per_label': 1.0, 'max_probability_difference': 1.0,
        'max_mean_probability_difference': 0.4, 'max_onset_shift': 1.0, 'max_missing': 0.7,
        'max_extra': 3.5, 'max_miscounted_faces': 2.5,
    }  # fmt: skip
    for name, value in kept.items():
        tighter = 0.801 if isinstance(value, dict) else value - 0.001
        if name == 'min_agreement':
            tighter = value + 0.001
        (each,) = broken_limits(found, Limits(**{name: tighter}))
        assert each.limit.startswith(name)
        assert each.allowed == tighter
        assert each.stamp - begin == pytest.approx(first[name], abs=1e-6)
        line = broken_line(found, each)
        assert name in line
        assert f'{first[name]:.3f}' in line


def test_the_first_of_several_places_is_named():
    expected = course(['unknown'] * 10 + ['happy'] * 10 + ['sad'] * 10)
    late = compare(expected, course(['unknown'] * 12 + ['happy'] * 11 + ['sad'] * 7))
    (each,) = broken_limits(late, Limits(max_onset_shift=0.1))
    assert (each.stamp, each.value) == (pytest.approx(1.0), pytest.approx(0.3))
    (each,) = broken_limits(compare(expected, expected[3:-3]), Limits(max_missing=0.1))
    assert (each.stamp, each.value) == (0.0, pytest.approx(0.2))
    flicker = course(['unknown'] * 10 + ['happy'] * 10 + ['sad'] * 5 + ['happy'] + ['sad'] * 4)
    (each,) = broken_limits(compare(expected, flicker), Limits(max_flip_rate_increase=0.1))
    assert each.stamp == pytest.approx(2.5)


def test_changes_that_are_lost_or_added():
    expected = course(['happy'] * 10 + ['sad'] * 10 + ['happy'] * 11)
    lost = compare(expected, course(['happy'] * 31))
    (each,) = broken_limits(lost, Limits(max_lost_onsets=0.99))
    assert (each.value, each.stamp) == (1.0, pytest.approx(1.0))
    assert each.place == 'expected changes to sad, actual does not'
    assert names(lost, max_onset_shift=0.0, max_lost_onsets=1.0) == []
    # In three seconds there are two changes more.
    more = compare(course(['happy'] * 31), expected)
    assert names(more, max_flip_rate_increase=2 / 3) == []
    (each,) = broken_limits(more, Limits(max_flip_rate_increase=0.66))
    assert (each.stamp, each.place) == (pytest.approx(1.0), 'actual changes to sad')
    assert names(lost, max_flip_rate_increase=0.0) == []


def test_the_same_changes_in_a_shorter_time_are_more_often():
    expected = course(['happy'] * 10 + ['sad'] * 10)
    (each,) = broken_limits(compare(expected, expected[5:15]), Limits(max_flip_rate_increase=0.1))
    assert (each.stamp, each.place) == (pytest.approx(1.0), 'actual changes to sad')


def test_away_from_changes_a_late_label_breaks_nothing():
    late = compare(course(['happy'] * 9 + ['sad'] * 9), course(['happy'] * 10 + ['sad'] * 8))
    assert names(late, min_settled_agreement=1.0, margin=0.05, min_agreement=0.9) == []
    assert names(late, min_settled_agreement=1.0, margin=0.0) == []
    far = compare(course(['happy'] * 9), course(['happy'] * 4 + ['sad'] + ['happy'] * 4))
    (each,) = broken_limits(far, Limits(min_settled_agreement=1.0))
    assert each.stamp == pytest.approx(0.4)


def test_other_faces():
    expected = [frame(0.0, 'happy', others=['sad']), frame(0.1, 'happy', others=['sad'])]
    found = compare(expected, [expected[0], frame(0.1, 'happy', others=['unknown'])])
    assert names(found, max_misread_others=0.5) == []
    (each,) = broken_limits(found, Limits(max_misread_others=0.4))
    assert each.stamp == 0.1
    assert each.place == 'expected sad besides the primary face, actual unknown'


def test_rounding_to_six_decimals_breaks_nothing():
    found = compare(course(['sad'], confidence=0.8), course(['sad'], confidence=0.8000004))
    assert found.most_different.difference > 0
    assert names(found, max_probability_difference=0, max_mean_probability_difference=0) == []


@briefly
@given(st.lists(st.sampled_from([*LABELS, NONE]), min_size=1, max_size=30))
def test_the_strictest_limits_are_kept_by_the_same_course(labels):
    strictest = {
        field.name: 1.0 if field.name.startswith('min') else 0.0 for field in fields(Limits)
    }
    assert names(compare(course(labels), course(labels)), **strictest) == []
