from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator import timing
from emotion_estimator.timing import Backoff, RateLimit, SlidingWindow, Watchdog


def test_without_samples_all_is_zero():
    window = SlidingWindow()
    assert window.rate() == 0.0
    assert window.percentile(50) == 0.0


def test_only_the_last_seconds_count():
    window = SlidingWindow(length=1.0)
    for k in range(100):
        window.add(stamp=k * 0.1, value=k)
    assert window.rate() == pytest.approx(10.0)
    assert window.percentile(0) >= 88


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_percentiles_are_numpys(values):
    window = SlidingWindow(length=100.0)
    for k, value in enumerate(values):
        window.add(0.1 * k, value)
    assert window.percentile(95) == pytest.approx(np.percentile(values, 95))


def test_going_back_in_time_empties_the_window():
    window = SlidingWindow()
    window.add(10.0, 1.0)
    window.add(3.0, 2.0)
    assert window.percentile(0) == 2.0


def test_backoff_doubles_up_to_its_maximum_until_reset():
    backoff = Backoff(0.5, 3.0)
    assert [backoff.next() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert backoff.next() == 0.5


def test_one_thread_may_read_while_another_adds():
    window = SlidingWindow(length=0.5)
    window.add(0.0, 0.0)
    failures = []

    def read():
        try:
            while not done.is_set():
                window.percentile(50)
                window.rate()
        except RuntimeError as error:
            failures.append(error)

    done = threading.Event()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        reader = threading.Thread(target=read)
        reader.start()
        for k in range(20_000):
            window.add(k / 1000, k)
        done.set()
        reader.join()
    finally:
        sys.setswitchinterval(before)
    assert failures == []


def test_samples_are_forgotten_when_no_more_arrive():
    window = SlidingWindow(length=5.0)
    for tick in range(11):
        window.add(stamp=0.5 * tick, value=7.0)
    assert window.rate(now=5.0) == pytest.approx(2.0)
    assert window.percentile(50, now=9.0) == 7.0
    assert window.rate(now=10.1) == 0.0
    assert window.percentile(50, now=10.1) == 0.0


def test_the_watchdog_reports_what_has_not_arrived_until_it_does(monkeypatch):
    now = 100.0
    monkeypatch.setattr(timing.time, 'monotonic', lambda: now)
    watchdog = Watchdog('image from /camera', timeout=3.0)
    now = 102.9
    assert watchdog.problem() == ''
    now = 107.2
    assert watchdog.problem() == 'no image from /camera for 7 s'
    watchdog.reset()
    assert watchdog.problem() == ''


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


def test_going_back_in_time_restarts_the_limit():
    limit = RateLimit()
    assert limit(1000.0, 1.0)
    assert limit(0.0, 1.0)
    assert not limit(0.5, 1.0)
    assert limit(1.0, 1.0)


def test_a_raised_limit_takes_effect_at_once():
    limit = RateLimit()
    assert limit(0.0, 0.5)
    assert not limit(0.1, 0.5)
    assert limit(0.2, 10.0)
    assert limit(0.3, 0.0)
