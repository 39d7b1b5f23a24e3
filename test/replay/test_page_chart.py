"""What the page of a report draws: all that can be seen of any number of frames."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from courses import any_courses, course, frame
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.emotion import LABELS, NONE
from emotion_estimator.replay import page_chart as module
from emotion_estimator.replay.comparison import compare
from emotion_estimator.replay.expectations import (
    Expectation,
    Expectations,
    ExpectedDecision,
    examine,
)
from emotion_estimator.replay.limits import Limits, broken_limits
from emotion_estimator.replay.page_chart import page_chart

ACTION = DialogueAction('resume', 'tea', 'warm', 'Hello', 'a face', 'happy', 0.8, 'greet', 'f', 0.5)


def row(chart, name):
    return next(each['parts'] for each in chart['rows'] if each['name'] == name)


@given(any_courses())
def test_every_change_of_label_is_a_band_and_time_ascends(results):
    chart = page_chart(results, [])
    bands = row(chart, 'label')
    assert {label for _, _, label in bands} == {each.label for each in results}
    assert all(begin <= end for begin, end, _ in bands)
    assert [begin for begin, *_ in bands] == sorted(begin for begin, *_ in bands)
    times = [time for time, *_ in chart['curves']]
    assert times == sorted(times)
    assert times[0] == 0
    assert len(times) == len(results)
    assert chart['end'] >= times[-1] - 1e-3


@given(
    st.lists(
        st.tuples(st.sampled_from([*LABELS, NONE]), st.floats(0.34, 1.0)), min_size=50, max_size=300
    )
)
def test_of_many_frames_the_lows_and_highs_and_the_ends_of_gaps_are_drawn(made):
    results = [frame(0.1 * n, label, confidence) for n, (label, confidence) in enumerate(made)]
    whole = page_chart(results, [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, '_PIECES', 5)
        thin = page_chart(results, [])
    assert thin['rows'] == whole['rows']
    drawn = [tuple(each) for each in thin['curves']]
    assert set(drawn) <= {tuple(each) for each in whole['curves']}
    assert drawn[0][0] == 0
    assert drawn[-1] == tuple(whole['curves'][-1])
    for column in range(1, len(whole['names']) + 1):
        seen = [each[column] for each in whole['curves'] if each[column] is not None]
        shown = [each[column] for each in drawn if each[column] is not None]
        assert (min(seen), max(seen)) == (min(shown), max(shown))
    # Where a face comes or goes, both sides are there, so that no line crosses the time between.
    for before, after in zip(whole['curves'], whole['curves'][1:]):
        if (before[1:] == [None] * 3) != (after[1:] == [None] * 3):
            assert {tuple(before), tuple(after)} <= set(drawn)


def test_an_hour_is_as_small_as_a_minute():
    few = page_chart(course(['happy', 'sad'] * 900, step=1 / 30), [])
    many = page_chart(course(['happy'] * 50_000 + ['sad'] * 50_000, step=1 / 30), [])
    assert len(few['curves']) == few['frames'] == 1800
    assert many['frames'] == 100_000
    assert len(many['curves']) < 10_000


def test_actions_and_speech_are_on_the_same_axis():
    import dataclasses

    results = course(['happy'] * 20, begin=100.0)
    results[5:10] = [
        dataclasses.replace(each, faces=(dataclasses.replace(each.faces[0], is_speaking=True),))
        for each in results[5:10]
    ]
    chart = page_chart(results, [dataclasses.replace(ACTION, stamp=100.5)])
    assert chart['actions'] == [[0.5, 'resume: Hello', 'a face']]
    assert row(chart, 'mouth') == [[0.5, 1.0, 'speaks']]
    assert chart['laps'] == [[0.0, 100.0]]


def test_a_second_lap_follows_the_first_with_its_own_stamps():
    lap = course(['happy'] * 11, begin=100.0)
    chart = page_chart([*lap, *lap], [])
    assert chart['laps'] == [[0.0, 100.0], [2.0, 100.0]]
    assert chart['curves'][-1][0] == 3.0


def test_what_was_expected_is_in_rows_that_do_not_overlap():
    results = course(['happy'] * 40)
    expected = Expectations(
        (
            Expectation('happy', 0.0, 2.0),
            Expectation('sad', 1.0, 3.0),
            Expectation('happy', 2.5, 3),
        ),
        (ExpectedDecision('resume', 0.0, 1.0),),
    )
    chart = page_chart(results, [ACTION], examine(results, [ACTION], expected))
    rows = [each['parts'] for each in chart['rows'] if each['name'] == 'expected']
    assert sum(map(len, rows)) == 3
    assert len(rows) == 2
    for parts in rows:
        assert all(one[1] <= other[0] for one, other in itertools.pairwise(parts))
    sad = next(part for parts in rows for part in parts if part[2] == 'sad')
    assert sad[4] is False
    assert 'not met' in sad[3]
    assert row(chart, 'action') == [[0.0, 1.0, 'resume', 'resume: met', True]]


def test_expected_results_are_drawn_beside_and_broken_limits_marked():
    results = course(['happy'] * 20 + ['sad'] * 20)
    found = compare(course(['happy'] * 40), results, keep=True)
    chart = page_chart(results, [], (), found, broken_limits(found, Limits(min_agreement=0.9)))
    assert row(chart, 'expected') == [[0.0, 3.9, 'happy']]
    assert len(chart['before']) == 40
    assert [limit for _, limit in chart['broken']] == ['min_agreement']
    assert all(math.isfinite(value) for each in chart['before'] for value in each)


def test_only_numbers_that_json_knows(tmp_path):
    import json

    chart = page_chart(course(['happy', NONE]), [])
    assert json.loads(json.dumps(chart, allow_nan=False)) == chart
    assert not any(isinstance(each, np.generic) for line in chart['curves'] for each in line)
