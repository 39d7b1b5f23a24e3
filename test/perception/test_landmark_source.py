from __future__ import annotations

import logging
import sys

import pytest

from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.perception.landmarks import face_landmarker
from emotion_estimator.perception.landmarks import source as landmark_source
from emotion_estimator.perception.landmarks.face_landmarker import (
    FACE_LANDMARKER_SHA256,
    has_sha256,
    shipped_face_landmarker,
)
from emotion_estimator.perception.landmarks.source import (
    choose,
    open_first,
    open_landmarker,
)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    folder = tmp_path / 'emotion_estimator'
    folder.mkdir()
    return folder


@pytest.fixture
def nothing_shipped(monkeypatch, tmp_path):
    (tmp_path / 'models').mkdir()
    monkeypatch.setattr(face_landmarker, 'models_dir', lambda: tmp_path / 'models')


def test_the_package_has_the_official_file():
    assert has_sha256(shipped_face_landmarker(), FACE_LANDMARKER_SHA256)


@pytest.mark.parametrize('source', ['auto', 'face_landmarker'])
def test_without_a_download_the_file_of_the_package_is_used(monkeypatch, source):
    monkeypatch.setattr(landmark_source, 'bundles_face_mesh', lambda: False)
    choice = choose(source)
    assert (choice.name, choice.model_path) == ('face_landmarker', shipped_face_landmarker())
    assert choice.sha256 == FACE_LANDMARKER_SHA256
    open_landmarker(choice, static=True).close()


@pytest.mark.parametrize('mesh', [True, False])
@pytest.mark.parametrize('source', ['auto', 'face_landmarker'])
def test_what_the_user_downloaded_or_named_goes_first(cache, monkeypatch, tmp_path, source, mesh):
    monkeypatch.setattr(landmark_source, 'bundles_face_mesh', lambda: mesh)
    for path in (cache / 'face_landmarker.task', tmp_path / 'named.task'):
        path.write_bytes(b'x')
    assert choose(source).model_path == cache / 'face_landmarker.task'
    assert choose(source, str(tmp_path / 'named.task')).model_path == tmp_path / 'named.task'


def test_auto_prefers_the_face_landmarker_where_its_file_is(cache):
    (cache / 'face_landmarker.task').write_bytes(b'x')
    choice = choose('auto')
    assert choice.name == 'face_landmarker'
    assert 'exists' in choice.reason


def test_auto_falls_back_to_the_bundled_mesh_and_says_why(monkeypatch):
    monkeypatch.setattr(landmark_source, 'bundles_face_mesh', lambda: True)
    choice = choose('auto')
    assert choice.name == 'face_mesh'
    assert 'face_landmarker.task does not exist' in choice.reason
    assert 'models fetch' in choice.reason


@pytest.mark.parametrize(
    ('machine', 'python', 'release'),
    [
        ('x86_64', (3, 12), 'mediapipe 0.10.21'),
        # For which 0.10.21 has no wheel.
        ('aarch64', (3, 10), 'mediapipe 0.10.18'),
        ('aarch64', (3, 13), ''),
    ],
)
def test_without_either_the_error_names_both_ways_out(
    monkeypatch, nothing_shipped, machine, python, release
):
    monkeypatch.setattr(landmark_source, 'bundles_face_mesh', lambda: False)
    monkeypatch.setattr('platform.machine', lambda: machine)
    monkeypatch.setattr(sys, 'version_info', python)
    with pytest.raises(ModelError) as caught:
        choose('auto')
    for part in ('models fetch', 'https://', 'models/face_landmarker.task exists', release):
        assert part in str(caught.value)
    assert ('or install mediapipe' in str(caught.value)) == bool(release)


def test_a_path_that_was_named_must_be_there(tmp_path):
    with pytest.raises(ModelError, match='does not exist; correct or empty the path'):
        choose('auto', str(tmp_path / 'gone.task'))


def test_an_unknown_source_is_refused():
    with pytest.raises(InputError, match="unknown landmark source 'dlib'"):
        choose('dlib')


def test_a_corrupt_task_file_is_named(cache):
    (cache / 'face_landmarker.task').write_bytes(b'garbage')
    with pytest.raises(ModelError, match=r'face_landmarker\.task') as caught:
        open_landmarker(choose('auto'))
    assert '\n' not in str(caught.value)


@pytest.fixture
def mesh(monkeypatch):
    monkeypatch.setattr(landmark_source, 'bundles_face_mesh', lambda: True)
    monkeypatch.setattr(landmark_source, 'FaceMesh', lambda head, *arguments: arguments)


def test_auto_takes_the_mesh_when_the_cached_file_does_not_open(cache, mesh, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger('emotion_estimator'), 'propagate', True)
    (cache / 'face_landmarker.task').write_bytes(b'garbage')
    opened, choice = open_first('auto', max_faces=3, static=True, min_confidence=0.4)
    assert opened == (3, True, 0.4, None)
    assert choice.name == 'face_mesh'
    assert (
        f'sha256 795b6904e54f..., the official one {FACE_LANDMARKER_SHA256[:12]}' in choice.reason
    )
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert 'face_landmarker.task' in record.getMessage()


def test_what_was_asked_for_is_not_replaced(cache, mesh, tmp_path):
    broken = cache / 'face_landmarker.task'
    broken.write_bytes(b'garbage')
    with pytest.raises(ModelError, match='is not a face landmarker model'):
        open_first('auto', str(broken))
    with pytest.raises(ModelError, match='the official one'):
        open_first('face_landmarker')


def test_without_the_mesh_a_cached_file_that_does_not_open_is_the_error(cache, monkeypatch):
    monkeypatch.setattr(landmark_source, 'bundles_face_mesh', lambda: False)
    (cache / 'face_landmarker.task').write_bytes(b'garbage')
    with pytest.raises(ModelError, match='the official one'):
        open_first('auto')


@pytest.mark.parametrize('path', ['x' * 300, '~nobody-here/x.task', 'x' * 100_000])
def test_a_path_that_cannot_be_opened_is_named(path):
    with pytest.raises(ModelError, match='cannot be opened') as caught:
        choose('auto', path)
    assert len(str(caught.value)) < 400


def test_a_missing_task_file_is_named(nothing_shipped):
    with pytest.raises(ModelError, match='models fetch'):
        open_landmarker(choose('face_landmarker'))
