"""The noise of a simulated estimator."""

from __future__ import annotations

import math
from itertools import groupby

import pytest

from emotion_estimator.emotion import LABELS, NONE
from emotion_estimator.errors import InputError
from emotion_estimator.simulation.noise import Noise, NoisyEstimator

HOUR = 3600
CALM = ['unknown'] * 20 * HOUR
EMPTY = [NONE] * 10 * HOUR


def messages(course, noise, rate=10.0, seed=1):
    estimate = NoisyEstimator(noise, rate, seed)
    return [estimate(label) for label in course]


def labels(course, noise, rate=10.0, seed=1):
    return [m.face.label if m.face else NONE for m in messages(course, noise, rate, seed)]


@pytest.mark.parametrize('rate', [5.0, 60.0])
def test_without_noise_the_truth_is_seen_at_any_rate(rate):
    course = [*LABELS, NONE] * 25
    assert labels(course, Noise(), rate) == course
    assert all(message.arrives for message in messages(course, Noise(), rate))


@pytest.mark.parametrize('burst', [0.0, 0.4, 2.0])
@pytest.mark.parametrize('share', [0.1, 0.2, 0.4])
def test_the_share_of_wrong_labels_is_as_requested(share, burst):
    seen = labels(CALM, Noise(labels=share, burst=burst))
    wrong = [label for label in seen if label != 'unknown']
    # Errors that last are fewer, so that chance has more of a say.
    assert len(wrong) / len(seen) == pytest.approx(share, rel=0.2 if burst else 0.05)
    # Both of the others alike.
    assert wrong.count('happy') / len(wrong) == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize(('burst', 'mean'), [(0.0, 0.111), (0.5, 0.5), (2.0, 2.0)])
def test_errors_last_as_long_as_requested(burst, mean):
    # A tenth by themselves: runs of one label are a tenth of a second, seldom two.
    seen = labels(CALM, Noise(labels=0.1, burst=burst))
    runs = [len(list(run)) / 10 for label, run in groupby(seen) if label != 'unknown']
    assert sum(runs) / len(runs) == pytest.approx(mean, rel=0.2)


def test_errors_remain_errors_after_the_truth_has_changed():
    course = [label for label in ('unknown', 'happy', 'sad') * 2000 for _ in range(20)]
    seen = labels(course, Noise(labels=0.3, burst=3.0), seed=5)
    wrong = sum(label != true for label, true in zip(seen, course))
    assert wrong / len(course) == pytest.approx(0.3, rel=0.15)


def test_faces_are_missed_and_seen_in_empty_rooms():
    noise = Noise(undetected=0.1)
    assert labels(CALM, noise).count(NONE) == pytest.approx(0.1 * len(CALM), rel=0.2)
    ghosts = [label for label in labels(EMPTY, noise) if label != NONE]
    assert len(ghosts) == pytest.approx(0.1 * len(EMPTY), rel=0.2)
    assert set(ghosts) == set(LABELS)


def test_messages_are_lost_without_changing_the_others():
    all_of_them = messages(CALM, Noise(labels=0.2))
    some = messages(CALM, Noise(labels=0.2, lost=0.3))
    assert sum(m.arrives for m in some) / len(some) == pytest.approx(0.7, rel=0.1)
    assert all(a.face is b.face for a, b in zip(all_of_them, some))


def test_the_confidence_carries_no_information():
    seen = [m.face for m in messages(CALM, Noise(labels=0.3, burst=0.4))]
    right = [face.confidence for face in seen if face.label == 'unknown']
    wrong = [face.confidence for face in seen if face.label != 'unknown']
    assert sum(right) / len(right) == pytest.approx(0.8, abs=0.01)
    assert sum(wrong) / len(wrong) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(
    'wrong', [{'labels': 1.0}, {'lost': -0.1}, {'undetected': math.nan}, {'burst': math.inf}]
)
def test_noise_out_of_range_is_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Noise(**wrong)
