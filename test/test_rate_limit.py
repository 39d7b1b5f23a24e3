from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.timing import RateLimit


def taken(stamps, rate):
    limit = RateLimit()
    return [stamp for stamp in stamps if limit(stamp, rate)]


def test_without_a_limit_everything_is_taken():
    stamps = [0.0, 0.001, 0.002, 5.0]
    assert taken(stamps, 0.0) == stamps


def test_a_stream_just_above_the_limit_is_not_halved():
    assert len(taken([k / 30 for k in range(3000)], 29.0)) >= 2899


@given(
    gaps=st.lists(st.floats(0.0, 0.2), min_size=2, max_size=200),
    rate=st.floats(0.5, 60.0),
)
def test_the_mean_rate_stays_at_or_below_the_limit(gaps, rate):
    stamps = [sum(gaps[:k]) for k in range(len(gaps))]
    chosen = taken(stamps, rate)
    assert chosen[0] == stamps[0]
    # A late item does not delay the next one's due time, so two may come closer than a period.
    assert len(chosen) <= (stamps[-1] - stamps[0]) * rate + 1 + 1e-6 * len(stamps)


@given(rate=st.floats(1.0, 30.0), jitter=st.lists(st.floats(-0.004, 0.004), min_size=300))
def test_jitter_costs_no_more_than_an_item(rate, jitter):
    stamps = [k / 60 + wobble for k, wobble in enumerate(jitter)]
    span = stamps[-1] - stamps[0]
    assert len(taken(stamps, rate)) >= int(span * rate) - 1


def test_time_that_goes_backwards_begins_anew():
    limit = RateLimit()
    assert limit(1000.0, 1.0)
    assert limit(0.0, 1.0)
    assert not limit(0.5, 1.0)
    assert limit(1.0, 1.0)


def test_a_raised_limit_counts_at_once():
    limit = RateLimit()
    assert limit(0.0, 0.5)
    assert not limit(0.1, 0.5)
    assert limit(0.2, 10.0)
    assert limit(0.3, 0.0)
