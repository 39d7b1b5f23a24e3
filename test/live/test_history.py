"""The last minute in memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.live.history import MINUTE, History
from emotion_estimator.live.moment import Moment
from emotion_estimator.live.remark import PERSON, Remark

STEPS = st.lists(st.floats(0.01, 20.0), min_size=1, max_size=60)


def filled(steps: list[float]) -> tuple[History, list[float]]:
    history, stamps, now = History(), [], 1e9
    for step in steps:
        now += step
        stamps.append(now)
        history.add(Moment(now))
    return history, stamps


@given(STEPS)
def test_a_minute_is_kept_and_no_more(steps):
    history, stamps = filled(steps)
    kept = [moment.stamp for moment in history.moments()]
    assert kept == [stamp for stamp in stamps if stamp >= stamps[-1] - MINUTE]
    assert history.newest is not None
    assert history.newest.stamp == stamps[-1]


@given(STEPS, st.floats(-5.0, 100.0))
def test_the_moment_at_a_stamp_is_the_last_one_until_then(steps, back):
    history, _ = filled(steps)
    kept = [moment.stamp for moment in history.moments()]
    at = kept[-1] - back
    found = history.at(at)
    assert found is not None
    assert found.stamp == max((stamp for stamp in kept if stamp <= at), default=kept[0])


@given(STEPS, st.integers(-3, 3))
def test_stepping_ends_at_the_first_and_the_last(steps, by):
    history, _ = filled(steps)
    kept = [moment.stamp for moment in history.moments()]
    for index, stamp in enumerate(kept):
        found = history.beside(stamp, by)
        assert found is not None
        assert found.stamp == kept[min(max(index + by, 0), len(kept) - 1)]


def test_an_earlier_stamp_begins_a_new_minute():
    history, _ = filled([1.0] * 5)
    history.add(Moment(3.0))
    assert [moment.stamp for moment in history.moments()] == [3.0]


def test_nothing_is_at_hand_before_the_first_image():
    history = History()
    assert history.newest is history.at(1.0) is history.beside(1.0, 1) is None
    assert history.rate() == 0.0


@pytest.mark.parametrize('fps', [5.0, 30.0])
def test_the_rate_is_that_of_the_last_seconds(fps):
    history, _ = filled([1.0, 1.0, *[1 / fps] * 200])
    assert history.rate() == pytest.approx(fps, rel=0.01)


@given(st.lists(st.integers(0, 400), max_size=8))
def test_each_line_is_returned_once_as_far_as_it_is_kept(amounts):
    history, seen, taken, said = History(), [], 0, 0
    for amount in amounts:
        for _ in range(amount):
            history.say(Remark(0.0, PERSON, str(said)))
            said += 1
        remarks, taken = history.remarks(taken)
        seen += [int(remark.words) for remark in remarks]
        assert taken == said
    assert seen == list(range(said))
