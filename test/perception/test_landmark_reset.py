"""A reset forgets the stream as well as a new landmark source does, and opens none."""

from __future__ import annotations

import numpy as np
import pytest
from available import TASK, needs_face_mesh

from emotion_estimator.frame import Frame
from emotion_estimator.perception.landmarks import face_landmarker, face_mesh
from emotion_estimator.sources.portrait import Portrait


@pytest.fixture(scope='module')
def frames():
    return [frame for frame, _ in zip(Portrait(15.0).frames(), range(40))]


def opened(name, faces):
    if name == 'face_mesh':
        return face_mesh.FaceMesh(face_mesh.BlendshapeHead.load(), max_faces=faces)
    return face_landmarker.FaceLandmarker(TASK, max_faces=faces)


@pytest.mark.parametrize('faces', [1, 4])
@pytest.mark.parametrize(
    'name',
    [
        pytest.param('face_mesh', marks=needs_face_mesh),
        'face_landmarker',
    ],
)
def test_after_a_reset_the_answers_are_those_of_a_new_source(frames, name, faces, monkeypatch):
    source = opened(name, faces)
    stream = frames[:10]
    fresh = [source(frame) for frame in stream]
    for frame in frames[20:]:
        # Another place, so that a face that is still followed would be found elsewhere.
        source(Frame(np.roll(frame.image, 100, axis=1), frame.stamp))

    def open_again(*_):
        raise AssertionError('opened again')

    for module in (face_mesh, face_landmarker):
        monkeypatch.setattr(module, 'warm_up', open_again)
    source.reset()
    again = [source(frame) for frame in stream]
    assert [len(found) for found in again] == [1] * 10
    for before, after in zip(fresh, again):
        np.testing.assert_array_equal(before[0].landmarks, after[0].landmarks)
        np.testing.assert_array_equal(before[0].blendshapes, after[0].blendshapes)
