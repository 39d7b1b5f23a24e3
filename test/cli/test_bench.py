"""``emotion-estimator bench``: a screen to share, and the same as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from available import LANDMARK_SOURCE
from click.testing import CliRunner

from emotion_estimator import cost
from emotion_estimator.cli import bench
from emotion_estimator.cost import WARM, Costs, machine, measure, scene
from emotion_estimator.perception.landmarks.source import open_first


@pytest.fixture(autouse=True)
def stay_on_all_cores(monkeypatch):
    monkeypatch.setattr(bench.os, 'sched_setaffinity', lambda *_: None)
    monkeypatch.setattr(bench.cv2, 'setNumThreads', lambda _: None)


@pytest.mark.parametrize('faces', [0, 1, 2, 4])
def test_a_scene_shows_as_many_faces_as_it_says(faces):
    images = scene((640, 480), faces, 0.8)
    costs, found = measure(LANDMARK_SOURCE, images, 4)
    assert found == faces
    assert len(costs.ours) == len(costs.bare) == len(costs.latencies) == len(images) - WARM
    # Of one core: it cannot take less than it computes.
    assert all(took > 0 for took in (*costs.ours, *costs.bare))


def test_ratios_are_of_medians_means_and_percentiles():
    costs = Costs([1.0] * 90 + [2.0] * 10, [2.0] * 90 + [8.0] * 10, [])
    assert costs.ratio == 2.0
    assert costs.mean_ratio == pytest.approx(2.6 / 1.1)
    assert costs.p95_ratio == 4.0


def fake(monkeypatch, count=40):
    """Have three images take 5 and 6 ms and one much longer."""
    asked = []

    def measured(source, images, limit, until):
        asked.append((images[0].shape, limit))
        return Costs([5.0] * count, [6.0] * count, [7.0] * count), 1

    monkeypatch.setattr(bench, 'measure', measured)
    monkeypatch.setattr(
        bench, 'scene', lambda size, *_: [np.zeros((size[1], size[0], 3), np.uint8)]
    )
    return asked


def test_the_screen_names_the_machine_and_every_scene(monkeypatch):
    asked = fake(monkeypatch)
    done = CliRunner().invoke(bench.bench, ['--source', LANDMARK_SOURCE])
    assert done.exit_code == 0, done.output
    for words in ('processor', 'mediapipe', 'one face, 640x480', 'four faces', '1280x720', '1.20'):
        assert words in done.output
    assert '30 images a second take 18% of a core' in done.output
    # One screen.
    assert len(done.output.splitlines()) < 24
    assert max(map(len, done.output.splitlines())) < 100
    assert asked[0] == ((480, 640, 3), 4)


def test_json_is_one_object_of_the_same(monkeypatch):
    fake(monkeypatch)
    done = CliRunner().invoke(bench.bench, ['--json', '--source', LANDMARK_SOURCE])
    report = json.loads(done.output)
    assert report['landmark_source'] == LANDMARK_SOURCE
    assert [row['ours_ms'] for row in report['scenes']] == [6.0] * 4
    assert report['scenes'][0]['share'] == 0.18
    assert report['machine']['cores'] == machine()['cores']


def test_it_leaves_the_process_as_it_was(monkeypatch):
    fake(monkeypatch)
    asked = []
    monkeypatch.setattr(bench.os, 'sched_setaffinity', lambda _, cores: asked.append(set(cores)))
    before = bench.os.sched_getaffinity(0)
    assert CliRunner().invoke(bench.bench, ['--source', LANDMARK_SOURCE]).exit_code == 0
    assert len(asked[0]) == 1
    assert asked[-1] == before


def test_nan_is_no_time(monkeypatch):
    fake(monkeypatch)
    done = CliRunner().invoke(bench.bench, ['--seconds', 'nan'])
    assert done.exit_code == 2
    assert 'not a number of seconds' in done.output


def test_too_few_images_are_no_result(monkeypatch):
    fake(monkeypatch, count=3)
    done = CliRunner().invoke(bench.bench, ['--source', LANDMARK_SOURCE])
    assert done.exit_code != 0
    assert 'give more --seconds' in str(done.exception)


@pytest.mark.parametrize(
    ('share', 'words'),
    [(0.3, 'nothing needs to be set'), (0.8, 'cpu_budget'), (2.0, 'reads 15 of 30 images')],
)
def test_it_says_what_to_do(share, words):
    assert words in bench._advice(share)


def test_it_stops_in_time(monkeypatch):
    images = scene((640, 480), 1, 0.3) * 400
    times = iter(range(10**6))
    monkeypatch.setattr(cost.time, 'monotonic', lambda: float(next(times)))
    costs, _ = measure(LANDMARK_SOURCE, images, 1, until=200.0)
    assert 0 < len(costs.ours) < 400


def test_bare_mediapipe_is_its_own_call():
    _, choice = open_first(LANDMARK_SOURCE)
    call, closing = cost.open_bare(choice.name, 1)
    with_face = scene((640, 480), 1, 0.1)[0]
    result = call(with_face, 0)
    closing.close()
    kind = {'face_mesh': 'multi_face_landmarks', 'face_landmarker': 'face_landmarks'}
    assert len(getattr(result, kind[choice.name])) == 1
