"""The processor budget: its control, and what is saved on faces that stay as they are."""

from __future__ import annotations

import numpy as np
import pytest
from available import LANDMARK_SOURCE
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator import EmotionEstimator, runtimes
from emotion_estimator.emotion import Roi
from emotion_estimator.errors import InputError
from emotion_estimator.perception.appearance import FaceInput
from emotion_estimator.perception.cpu_budget import LEAST_RATE, CpuBudget
from emotion_estimator.perception.landmarks.base import FaceLandmarks
from emotion_estimator.perception.steady_face import SteadyFace
from emotion_estimator.settings import EstimatorSettings, make_settings
from emotion_estimator.sources.portrait import Portrait
from emotion_estimator.timing import RateLimit


class Robot:
    """A process that pays for each image offered and more for each processed, by a made clock."""

    def __init__(self, cost, base=0.0, camera=30.0):
        self.now = self.used = 0.0
        self.cost, self.base, self.camera = cost, base, camera
        self.budget = CpuBudget(lambda: self.now, lambda: self.used)
        self.limit = RateLimit()
        self.rates = []

    def run(self, seconds, budget):
        """Return the share that was used in the last half of the time."""
        begun, half = self.now, None
        while self.now < begun + seconds:
            self.now += 1 / self.camera
            self.used += self.base
            self.budget.offered()
            if self.limit(self.now, self.budget.rate):
                self.used += self.cost * (0.85 if self.budget.thrifty else 1.0)
                self.budget.processed(budget)
            self.rates.append(self.budget.rate)
            if half is None and self.now >= begun + seconds / 2:
                half = self.now, self.used
        return (self.used - half[1]) / (self.now - half[0])


@given(
    cost=st.floats(0.002, 0.03),
    base=st.floats(0.0, 0.002),
    budget=st.floats(0.15, 0.9),
)
def test_it_keeps_to_the_budget_and_uses_it(cost, base, budget):
    robot = Robot(cost, base)
    share = robot.run(60.0, budget)
    least = 30 * base + 0.85 * LEAST_RATE * cost
    needed = 30 * (base + cost)
    assert share <= max(1.12 * budget, 1.12 * least)
    assert share >= min(0.7 * budget, 0.9 * needed)


def test_less_is_read_of_faces_before_images_are_left_out():
    robot = Robot(cost=0.015)
    # By a tenth too much: reading less is enough.
    share = robot.run(20.0, 0.41)
    assert robot.budget.thrifty
    assert set(robot.rates) == {0.0}
    assert share < 0.41


def test_the_rate_falls_in_steps_and_comes_back():
    robot = Robot(cost=0.02)
    robot.run(30.0, 0.1)
    seen = [rate for rate in dict.fromkeys(robot.rates) if rate]
    assert seen[0] > 7 > LEAST_RATE
    robot.run(30.0, 0.0)
    assert robot.budget.rate == 0.0 and not robot.budget.thrifty
    robot.run(30.0, 0.1)
    assert robot.budget.rate > 0.0
    robot.run(60.0, 2.0)
    assert robot.budget.rate == 0.0 and not robot.budget.thrifty


def test_without_a_budget_it_only_measures():
    robot = Robot(cost=0.03)
    assert robot.run(10.0, 0.0) == pytest.approx(0.9, rel=0.05)
    assert robot.budget.share == pytest.approx(0.9, rel=0.05)
    assert set(robot.rates) == {0.0} and not robot.budget.thrifty


def test_a_gap_that_would_reset_at_its_lowest_rate_is_refused():
    make_settings(EstimatorSettings, {'reset_gap': 0.2})
    with pytest.raises(InputError, match=r'reset_gap 0\.2 s .* cpu_budget'):
        make_settings(EstimatorSettings, {'reset_gap': 0.2, 'cpu_budget': 0.3})


def face(x=100.0, smile=0.0) -> FaceLandmarks:
    landmarks = np.random.default_rng(1).random((478, 3), np.float32) * 80
    landmarks[:, 0] += np.float32(x)
    blendshapes = np.zeros(52, np.float32)
    blendshapes[44] = smile
    return FaceLandmarks(landmarks, blendshapes, Roi(round(x), 0, 80, 80))


READ = FaceInput(None, np.ones(3, np.float32))


@pytest.mark.parametrize(
    ('now', 'dt', 'steady'),
    [
        (face(), 0.03, True),
        (face(102.0, 0.05), 0.03, True),
        (face(110.0), 0.03, False),
        (face(smile=0.1), 0.03, False),
        (face(), 0.3, False),
    ],
)
def test_an_embedding_is_taken_again_of_a_face_that_stays_as_it_is(now, dt, steady):
    last = SteadyFace()
    assert last.take(now, dt) is None
    last.keep(face(), READ)
    assert (last.take(now, dt) is READ.embedding) == steady
    # Every second image only.
    assert last.take(now, dt) is None


def test_a_face_without_a_crop_is_read_each_time():
    last = SteadyFace()
    last.keep(face(), FaceInput(np.zeros(52, np.float32)))
    assert last.take(face(), 0.03) is None


def test_saving_on_steady_faces_leaves_the_labels():
    frames = list(Portrait(30.0))[:240]
    answers = {}
    for thrifty in (False, True):
        with EmotionEstimator(max_faces=1, landmark_source=LANDMARK_SOURCE) as estimator:
            estimator.thrifty = thrifty
            answers[thrifty] = [estimator(frame) for frame in frames]
            reused = estimator.reused
    assert reused > 0.25 * len(frames)
    pairs = [(a[0], b[0]) for a, b in zip(answers[False], answers[True]) if a and b]
    assert len(pairs) > 100
    assert np.mean([a.label == b.label for a, b in pairs]) >= 0.97
    assert np.mean([np.abs(a.probabilities - b.probabilities).max() for a, b in pairs]) < 0.03


def test_the_threads_of_the_settings_reach_the_runtime(monkeypatch):
    counts = []
    opened = runtimes._open

    def remember(weights, interpreter, package, threads):
        counts.append(threads)
        return opened(weights, interpreter, package, threads)

    monkeypatch.setattr(runtimes, '_open', remember)
    answers = []
    for threads in (1, 3):
        counts.clear()
        with EmotionEstimator(
            max_faces=1, landmark_source=LANDMARK_SOURCE, num_threads=threads, static=True
        ) as estimator:
            [face] = estimator.still(Portrait(30.0).frame_at(0.0))
            answers.append(face.probabilities)
        assert counts.count(threads) >= 1
        # The small networks are slower with several.
        assert 1 in counts
    assert np.abs(answers[0] - answers[1]).max() < 1e-4
