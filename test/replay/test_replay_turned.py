"""Bags of cameras that are mounted turned."""

from __future__ import annotations

from dataclasses import replace

import pytest
from available import LANDMARK_SOURCE

from emotion_estimator.bags.recorder import record
from emotion_estimator.bags.writer import BagWriter
from emotion_estimator.perception.mounting import turned
from emotion_estimator.replay.job import ReplayJob, run_job
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.sources.portrait import Portrait


class OnItsSide(Portrait):
    """The portrait, by a camera that must be turned by 90 degrees clockwise to be upright."""

    def frames(self):
        for frame in super().frames():
            yield replace(frame, image=turned(frame.image, 270))


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    folder = tmp_path_factory.mktemp('turned') / 'bag'
    with BagWriter(folder, 'mcap') as writer:
        record(
            OnItsSide(5.0, (192, 192), noise=0.0), writer,
            topic='image_raw', quality=80, frame_id='camera', duration=16.0,
        )  # fmt: skip
    return folder


def labels_of(bag, rotate):
    settings = EstimatorSettings(landmark_source=LANDMARK_SOURCE, rotate=rotate)
    return run_job(ReplayJob(bag, settings=settings))


def test_a_replay_turns_images_as_the_node_does(bag):
    summary = labels_of(bag, '90')
    assert summary.labels['none'] == 0
    assert not summary.problems


def test_a_replay_finds_the_turn_with_auto(bag):
    summary = labels_of(bag, 'auto')
    assert summary.labels['none'] < 0.6 * summary.frames
    assert summary.labels['happy'] > 0


def test_a_replay_says_that_faces_appear_only_turned(bag):
    summary = labels_of(bag, '0')
    assert any('set rotate:=90' in line for line in summary.problems), summary.problems
