"""Lost images, counted by the stamps of those that arrive."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.perception.lost_images import LostImages

rates = st.sampled_from([5.0, 15.0, 24.0, 30.0, 60.0])


def share_of(stamps):
    lost = LostImages()
    for stamp in stamps:
        lost.add(stamp)
    return lost.share()


@given(rate=rates, loss=st.floats(0.0, 0.65), seed=st.integers(0, 10_000))
def test_the_share_of_random_losses_is_estimated(rate, loss, seed):
    noise = random.Random(seed)
    jitter = 0.05 / rate
    count = int(rate * 8)
    arrived = [
        100.0 + n / rate + noise.uniform(-jitter, jitter)
        for n in range(count)
        if noise.random() >= loss
    ]
    last = [s for s in arrived if s >= arrived[-1] - 5.0]
    sent = round((last[-1] - last[0]) * rate) + 1
    if len(last) > 15:
        assert share_of(arrived) == pytest.approx(1 - len(last) / sent, abs=0.05)


@given(rate=rates, keep=st.integers(2, 4))
def test_a_steady_lower_rate_is_no_loss(rate, keep):
    # A driver that halves its own rate; what a filter takes away regularly cannot be known.
    assert share_of([n * keep / rate for n in range(200)]) == 0.0


@given(seed=st.integers(0, 10_000))
def test_of_a_camera_without_a_steady_rate_nothing_is_said(seed):
    noise = random.Random(seed)
    stamp, stamps = 0.0, []
    for _ in range(150):
        stamp += noise.uniform(0.03, 0.12)
        stamps.append(stamp)
    assert share_of(stamps) == 0.0


def test_late_images_are_not_lost_and_a_new_stream_starts_over():
    stamps = [n / 30 for n in range(150)]
    swapped = [s for a, b in zip(stamps[::2], stamps[1::2]) for s in (b, a)]
    assert share_of(swapped) == 0.0
    gaps = [n / 30 for n in range(150) if n % 2 or n % 5 == 0]
    assert share_of(gaps) > 0.3
    assert share_of([*gaps, *(500.0 + n / 30 for n in range(60))]) == 0.0


def test_a_stamp_that_stands_still_fills_no_memory():
    lost = LostImages()
    for _ in range(10_000):
        lost.add(0.0)
    assert len(lost._stamps) == 1
    assert lost.share() == 0.0


def test_a_pause_is_no_loss():
    assert share_of([*(n / 30 for n in range(60)), *(3.5 + n / 30 for n in range(30))]) < 0.01


def test_what_the_middleware_reports_lost_counts_where_hardly_any_image_arrives():
    lost = LostImages()
    for n in range(60):
        if n % 10 == 0:
            lost.add(n / 15, now=n / 15)
        else:
            lost.report(1, now=n / 15)
    assert lost.share(now=59 / 15) == pytest.approx(0.9)
    assert lost.share(now=59 / 15 + 6.0) == 0.0


@given(reports=st.lists(st.tuples(st.floats(0, 9), st.integers(-2, 9)), max_size=40))
def test_reports_give_a_share(reports):
    lost = LostImages()
    for now, count in sorted(reports):
        lost.report(count, now)
        assert 0.0 <= lost.share(now) <= 1.0


def test_stamps_that_crawl_fill_no_memory():
    lost = LostImages()
    for n in range(20_000):
        lost.add(n * 1e-6, n * 1e-3)
    assert len(lost._stamps) <= 5000
    assert lost.share(20.0) < 0.01
