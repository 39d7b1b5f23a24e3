"""Capture times of drivers that do not stamp their images."""

from __future__ import annotations

import pytest

from emotion_estimator.perception.capture_times import CaptureTimes

NOW = 1.7e9


def stream(times, stamps, rate=15.0):
    """Return the capture times of images that arrive at a rate."""
    return [times(stamp, NOW + n / rate, 100.0 + n / rate) for n, stamp in enumerate(stamps)]


def test_stamps_are_kept_while_they_advance():
    stamps = [5.0 + n / 15 for n in range(60)]
    times = CaptureTimes('auto')
    assert stream(times, stamps) == stamps
    assert times.problem == ''


@pytest.mark.parametrize('stamp', [0.0, -3.0])
def test_without_a_stamp_the_time_of_arrival_counts_at_once(stamp):
    times = CaptureTimes('auto')
    assert stream(times, [stamp] * 4) == [NOW + n / 15 for n in range(4)]
    assert times.problem == 'images have no stamp'


def test_a_stamp_that_stands_still_is_given_up_after_a_second():
    times = CaptureTimes('auto')
    got = stream(times, [7.0] * 30)
    assert got[:15] == [7.0] * 15
    assert got[15:] == [NOW + n / 15 for n in range(15, 30)]
    assert times.problem == 'the stamps of the images stand still at 7.000 s'
    # And trusted again once it advances.
    assert times(8.0, NOW + 9, 109.0) == 8.0
    assert times.problem == ''


def test_two_images_with_one_stamp_far_apart_are_no_stuck_clock():
    times = CaptureTimes('auto')
    assert [times(7.0, NOW + t, t) for t in (0.0, 5.0)] == [7.0, 7.0]


def test_the_setting_is_obeyed_and_a_bad_stamp_is_reported_all_the_same():
    times = CaptureTimes('message')
    assert stream(times, [0.0] * 3) == [0.0] * 3
    assert times.problem == 'images have no stamp'
    times = CaptureTimes('arrival')
    assert stream(times, [5.0, 6.0]) == [NOW, NOW + 1 / 15]
    assert times.problem == ''
