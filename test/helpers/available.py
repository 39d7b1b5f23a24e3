"""What this environment has for perception, so that no test asks for what is not there."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from emotion_estimator.perception.landmarks.face_landmarker import face_landmarker_path

#: MediaPipe's official model: where `models fetch` puts it, else where this project is developed.
TASK = next(
    filter(Path.is_file, [face_landmarker_path()]),
    Path(__file__).resolve().parents[3] / 'shared' / 'models' / 'face_landmarker.task',
)


def _bundles_face_mesh() -> bool:
    """Look for its folder, since importing MediaPipe takes a second."""
    spec = importlib.util.find_spec('mediapipe')
    folders = spec.submodule_search_locations if spec else None
    return any(Path(folder, 'python', 'solutions').is_dir() for folder in folders or ())


HAS_FACE_MESH = _bundles_face_mesh()

#: For tests of the whole, which need some landmarks and care little whose.
LANDMARK_SOURCE = 'face_mesh' if HAS_FACE_MESH else 'face_landmarker'

needs_face_mesh = pytest.mark.skipif(
    not HAS_FACE_MESH, reason='this mediapipe bundles no face mesh'
)
needs_task = pytest.mark.skipif(not TASK.is_file(), reason=f'needs {TASK}')
