"""MediaPipe is opened without a sound of its threads, and without TensorFlow."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest

from emotion_estimator.perception.landmarks import face_landmarker, face_mesh
from emotion_estimator.perception.landmarks.mediapipe_graph import SearchClock
from emotion_estimator.runtimes import import_mediapipe

_SAID = b'INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n'


@pytest.fixture
def late(monkeypatch):
    """Let a thread of MediaPipe speak as soon as the source is made, before it is warmed up."""
    opened = []

    def speak(process):
        os.write(2, _SAID)
        opened.append(process)

    nobody = SimpleNamespace(multi_face_landmarks=None)
    mesh = SimpleNamespace(process=lambda image: nobody, reset=lambda: None, close=lambda: None)
    mediapipe = SimpleNamespace(
        __file__='',
        solutions=SimpleNamespace(face_mesh=SimpleNamespace(FaceMesh=lambda **_: mesh)),
    )
    monkeypatch.setattr(face_mesh, 'import_mediapipe', lambda: mediapipe)
    for module in (face_mesh, face_landmarker):
        monkeypatch.setattr(module, 'warm_up', speak)
    return opened


def test_a_face_mesh_that_opens_or_opens_again_is_not_heard(late, capfd) -> None:
    source = face_mesh.FaceMesh(head=lambda landmarks: landmarks)
    source.reset()
    assert len(late) == 1

    def broken(image, search=True):
        raise RuntimeError('the graph has errors')

    source._mesh.process = broken
    source.reset()
    assert len(late) == 2
    os.write(2, b'heard again\n')
    assert capfd.readouterr().err == 'heard again\n'


def test_a_face_landmarker_that_opens_is_not_heard(late, capfd) -> None:
    source = face_landmarker.FaceLandmarker.__new__(face_landmarker.FaceLandmarker)
    made = SimpleNamespace(create_from_options=lambda options: SimpleNamespace())
    source._mediapipe = SimpleNamespace(
        tasks=SimpleNamespace(vision=SimpleNamespace(FaceLandmarker=made))
    )
    source._options, source._static, source._search = None, False, SearchClock()
    source._open()
    assert len(late) == 1
    assert not capfd.readouterr().err


@pytest.mark.parametrize('already', [False, True], ids=['installed', 'imported already'])
def test_mediapipe_is_imported_without_tensorflow(monkeypatch, tmp_path, already: bool) -> None:
    name = 'tensorflow'
    (tmp_path / f'{name}.py').write_text('found = True\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    if already:
        __import__(name)
    seen = []

    def imported(_: str) -> str:
        try:
            seen.append(__import__(name).found)
        except ModuleNotFoundError:
            seen.append(False)
        return 'mediapipe'

    monkeypatch.setattr('emotion_estimator.runtimes.importlib.import_module', imported)
    assert import_mediapipe() == 'mediapipe'
    assert seen == [already]
    assert __import__(name).found, 'whoever needs it has it afterwards'
    del sys.modules[name]
