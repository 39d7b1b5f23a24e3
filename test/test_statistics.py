from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator import timing
from emotion_estimator.timing import Backoff, Silence, SlidingWindow


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


def test_time_going_back_starts_anew():
    window = SlidingWindow()
    window.add(10.0, 1.0)
    window.add(3.0, 2.0)
    assert window.percentile(0) == 2.0


def test_backoff_doubles_up_to_its_maximum_and_begins_anew():
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


def test_what_has_ceased_to_come_is_forgotten_in_time():
    window = SlidingWindow(length=5.0)
    for tick in range(11):
        window.add(stamp=0.5 * tick, value=7.0)
    assert window.rate(now=5.0) == pytest.approx(2.0)
    assert window.percentile(50, now=9.0) == 7.0
    assert window.rate(now=10.1) == 0.0
    assert window.percentile(50, now=10.1) == 0.0


def test_silence_is_told_after_a_while_and_ended_by_what_comes(monkeypatch):
    now = 100.0
    monkeypatch.setattr(timing.time, 'monotonic', lambda: now)
    silence = Silence('image from /camera', patience=3.0)
    now = 102.9
    assert silence.problem() == ''
    now = 107.2
    assert silence.problem() == 'no image from /camera for 7 s'
    silence.end()
    assert silence.problem() == ''
