"""Levels of engagement from looks at the camera."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.perception.humans.engagement_level import EngagementMeter, EngagementStatus

UNKNOWN, DISENGAGED, ENGAGING, ENGAGED, DISENGAGING = EngagementStatus


def watched(meter, looks, seconds, start, rate=20):
    return [meter(looks, start + i / rate) for i in range(1, round(seconds * rate) + 1)]


def test_a_person_comes_stays_and_leaves():
    meter = EngagementMeter()
    levels = [
        *watched(meter, False, 1, 0), *watched(meter, True, 3, 1), *watched(meter, False, 3, 4)
    ]  # fmt: skip
    changes = [a for a, b in zip(levels, [None, *levels]) if a is not b]
    assert changes == [DISENGAGED, ENGAGING, ENGAGED, DISENGAGING, DISENGAGED]
    # About a third of a second, and a second and a half.
    assert 0.3 < levels.index(ENGAGING) / 20 - 1 < 0.5
    assert 1.2 < levels.index(ENGAGED) / 20 - 1 < 1.6


def test_a_blink_or_a_glance_changes_nothing():
    meter = EngagementMeter()
    watched(meter, True, 5, 0)
    assert set(watched(meter, False, 0.25, 5)) == {ENGAGED}
    assert set(watched(meter, True, 5, 5.25)) == {ENGAGED}
    watched(meter, False, 10, 10.25)
    assert set(watched(meter, True, 0.25, 20.25)) == {DISENGAGED}


def test_who_was_away_or_went_back_in_time_starts_over():
    for stamp in (20.0, 1.0):
        meter = EngagementMeter()
        assert watched(meter, True, 5, 0)[-1] is ENGAGED
        assert meter(True, stamp) is DISENGAGED


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 4))))
def test_levels_follow_one_another_and_none_is_skipped(course):
    meter, stamp, before = EngagementMeter(), 0.0, None
    following = {
        None: {DISENGAGED},
        DISENGAGED: {DISENGAGED, ENGAGING},
        ENGAGING: {DISENGAGED, ENGAGING, ENGAGED},
        ENGAGED: {ENGAGED, DISENGAGING},
        DISENGAGING: {DISENGAGING, ENGAGED, DISENGAGED},
    }
    for looks, step in course:
        stamp += step
        level = meter(looks, stamp)
        assert level in following[before]
        before = level
