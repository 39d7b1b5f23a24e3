"""The estimating thread, with a scripted estimator."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from emotion_estimator.errors import InputError
from emotion_estimator.perception.worker import EstimatorWorker, PendingImage
from emotion_estimator.settings import EstimatorSettings

IMAGE = np.zeros((4, 4, 3), np.uint8)
PATIENCE = 10.0


class ScriptedEstimator:
    """Waits before each frame until it may continue; fails as scripted."""

    def __init__(self):
        self.may_continue = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.stamps = []
        self.applied = []
        self.resets = 0
        self.errors = {}

    def __call__(self, frame):
        self.begun.release()
        assert self.may_continue.acquire(timeout=PATIENCE)
        self.stamps.append(frame.stamp)
        if frame.stamp in self.errors:
            raise self.errors[frame.stamp]
        return ()

    def apply(self, settings):
        self.applied.append(settings)

    def reset(self):
        self.resets += 1
        if 'reset' in self.errors:
            raise self.errors['reset']


class Bench:
    def __init__(self):
        self.estimator = ScriptedEstimator()
        self.settings = EstimatorSettings()
        self.answers, self.rejections, self.failures = [], [], []
        self.something = threading.Semaphore(0)
        self.worker = EstimatorWorker(
            self.estimator,
            lambda: self.settings,
            answer=self.answer,
            reject=self.reject,
            fail=self.fail,
        )

    def answer(self, picture, image, faces):
        self.answers.append((picture.header, faces))
        self.something.release()

    def reject(self, picture, problem, kind):
        self.rejections.append((picture.header, problem, kind))
        self.something.release()

    def fail(self, problem):
        self.failures.append(problem)
        self.something.release()

    def offer(self, stamp, decode=lambda: IMAGE):
        self.worker.offer(PendingImage(stamp, f'header {stamp}', decode))

    def work_on(self, stamp, decode=lambda: IMAGE):
        """Offer a picture and wait until it was answered, rejected, or broke the worker."""
        self.estimator.may_continue.release()
        self.offer(stamp, decode)
        assert self.something.acquire(timeout=PATIENCE)


@pytest.fixture
def bench():
    made = Bench()
    made.worker.start()
    yield made
    for _ in range(10):
        made.estimator.may_continue.release()
    assert made.worker.stop()


def test_the_newest_wins_and_what_it_replaced_is_counted(bench):
    bench.offer(1.0)
    assert bench.estimator.begun.acquire(timeout=PATIENCE)
    for stamp in (2.0, 3.0, 4.0):
        bench.offer(stamp)
    for _ in range(2):
        bench.estimator.may_continue.release()
        assert bench.something.acquire(timeout=PATIENCE)
    assert [header for header, _ in bench.answers] == ['header 1.0', 'header 4.0']
    assert (bench.worker.counts.processed, bench.worker.counts.dropped) == (2, 2)


def test_what_is_dropped_is_never_decoded(bench):
    bench.offer(1.0)
    assert bench.estimator.begun.acquire(timeout=PATIENCE)
    decoded = []
    bench.offer(2.0, lambda: decoded.append(2) or IMAGE)
    bench.offer(3.0, lambda: decoded.append(3) or IMAGE)
    for _ in range(2):
        bench.estimator.may_continue.release()
        assert bench.something.acquire(timeout=PATIENCE)
    assert decoded == [3]


def test_a_change_of_settings_counts_from_the_next_picture_on(bench):
    bench.work_on(1.0)
    bench.settings = replace(bench.settings, face_timeout=2.0)
    bench.work_on(2.0)
    bench.work_on(3.0)
    assert [s.face_timeout for s in bench.estimator.applied] == [0.5, 2.0]


def test_a_late_picture_is_counted_and_replaces_none_that_waits(bench):
    bench.offer(1.0)
    assert bench.estimator.begun.acquire(timeout=PATIENCE)
    for stamp in (1.2, 1.1):
        bench.offer(stamp)
    for _ in range(2):
        bench.estimator.may_continue.release()
        assert bench.something.acquire(timeout=PATIENCE)
    assert [header for header, _ in bench.answers] == ['header 1.0', 'header 1.2']
    assert (bench.worker.counts.late, bench.worker.counts.dropped) == (1, 0)
    bench.worker.time_went_back()
    bench.work_on(1.1)
    assert bench.answers[-1][0] == 'header 1.1'


def test_the_rate_limit_skips_by_stamps_and_counts(bench):
    bench.settings = replace(bench.settings, max_rate_hz=10.0)
    bench.work_on(1.0)
    bench.offer(1.05)
    bench.work_on(1.1)
    counts = bench.worker.counts
    assert counts.processed == 2
    assert counts.skipped + counts.dropped == 1
    assert bench.estimator.stamps == [1.0, 1.1]


def test_a_bad_picture_is_rejected_and_the_next_one_answered(bench):
    def broken():
        raise InputError('no picture; send one', 'encoding')

    bench.work_on(1.0, broken)
    bench.estimator.may_continue.acquire(timeout=PATIENCE)
    bench.work_on(2.0)
    assert bench.rejections == [('header 1.0', 'no picture; send one', 'encoding')]
    assert bench.worker.counts.bad == 1
    assert len(bench.answers) == 1


def test_a_landmark_source_that_fails_is_restarted(bench):
    bench.estimator.errors[1.0] = RuntimeError('graph error\nwith details')
    resets = bench.estimator.resets
    bench.work_on(1.0)
    bench.work_on(2.0)
    assert bench.rejections == [
        (
            'header 1.0',
            'landmark source failed and was restarted: graph error',
            'landmark_source',
        )
    ]
    assert bench.estimator.resets == resets + 1
    assert len(bench.answers) == 1


def test_one_that_cannot_be_restarted_ends_the_work(bench):
    bench.estimator.errors[1.0] = RuntimeError('graph error')
    bench.estimator.errors['reset'] = RuntimeError('no memory')
    bench.work_on(1.0)
    assert bench.something.acquire(timeout=PATIENCE)
    assert bench.failures == ['the estimator cannot continue: no memory']


def test_what_is_offered_between_stop_and_start_is_not_worked_on(bench):
    bench.work_on(1.0)
    assert bench.worker.stop()
    bench.offer(1.5)
    bench.worker.start()
    bench.work_on(2.0)
    assert bench.estimator.stamps == [1.0, 2.0]
    assert bench.worker.counts.processed == 2


def test_a_thread_that_hangs_is_reported():
    bench = Bench()
    bench.worker.start()
    bench.offer(1.0)
    assert bench.estimator.begun.acquire(timeout=PATIENCE)
    assert not bench.worker.stop(patience=0.01)
    bench.estimator.may_continue.release()
    bench.worker._thread.join(PATIENCE)
    assert not bench.worker._thread.is_alive()
    assert bench.answers == bench.failures == []
