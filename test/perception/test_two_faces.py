"""Real faces through all of perception: identities, the primary face, and jumps in time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from available import TASK, needs_face_mesh

pytest.importorskip('mediapipe', reason='needs mediapipe')

from emotion_estimator.frame import Frame
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.sources.portrait import Portrait


@pytest.fixture(
    params=[
        pytest.param('face_mesh', marks=needs_face_mesh),
        'face_landmarker',
    ]
)
def estimator(request):
    path = str(TASK) if request.param == 'face_landmarker' else ''
    made = EmotionEstimator.load(
        EstimatorSettings(landmark_source=request.param, face_landmarker_path=path)
    )
    yield made
    made.close()


def beside(small, large):
    """Return one image with ``small`` at the left and ``large`` at the right."""
    canvas = np.full((large.shape[0], small.shape[1] + large.shape[1], 3), 200, np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    canvas[:, small.shape[1] :] = large
    return canvas


def test_the_larger_face_comes_first_also_when_the_smaller_was_there_before(estimator):
    face = next(iter(Portrait(30.0).frames())).image
    small = cv2.resize(face, None, fx=0.6, fy=0.6)
    alone = beside(small, np.full_like(face, 200))
    for k in range(10):
        (only,) = estimator(Frame(alone, k / 30))
    both = beside(small, face)
    for k in range(10, 20):
        faces = estimator(Frame(both, k / 30))
    assert len(faces) == 2
    assert faces[0].roi.x > small.shape[1]
    assert faces[0].roi.area > 2 * faces[1].roi.area
    assert faces[1].face_id == only.face_id
    assert faces[0].face_id != only.face_id


def walking_past_each_other():
    """Yield frames of a large and a small face; the small one is behind the large for 0.4 s."""
    portrait = next(iter(Portrait(30.0).frames())).image[80:340, 130:370]
    small, large = cv2.resize(portrait, (200, 217)), cv2.resize(portrait, (240, 260))
    for k in range(40, 85):
        image = np.full((360, 1100, 3), 128, np.uint8)
        moved = round(240 * 1.4 * (k / 30 - 2.0))
        for face, left in ((small, 450 - moved), (large, 430 + moved)):
            image[50 : 50 + face.shape[0], left : left + face.shape[1]] = face
        yield Frame(image, k / 30)


def test_faces_that_walk_past_each_other_keep_their_ids(estimator):
    seen = [[face.face_id for face in estimator(frame)] for frame in walking_past_each_other()]
    # The large face, always seen and always primary; the other one, missing in between.
    assert [ids[0] for ids in seen] == ['face_1'] * len(seen)
    assert seen[0] == seen[-1] == ['face_1', 'face_2']
    assert {len(ids) for ids in seen} == {1, 2}
    assert {face_id for ids in seen for face_id in ids} == {'face_1', 'face_2'}


def test_time_that_jumps_makes_new_faces_and_raises_nothing(estimator):
    image = next(iter(Portrait(30.0).frames())).image
    stamps = [10.0, 10.1, 10.1, 10.2, 3.0, 3.1, 0.0, 1e9, 1e9 + 0.1, -5.0, -5.0, -4.9]
    ids = [[face.face_id for face in estimator(Frame(image, stamp))] for stamp in stamps]
    numbers = [1, 1, 1, 1, 2, 2, 3, 4, 4, 5, 5, 5]
    assert ids == [[f'face_{number}'] for number in numbers]
    assert estimator.resets == 4


def test_nothing_of_the_warm_up_is_seen(estimator):
    wall = np.full((512, 512, 3), 128, np.uint8)
    assert estimator(Frame(wall, 0.0)) == ()
    estimator.reset()
    assert estimator(Frame(wall, 0.1)) == ()


@needs_face_mesh
def test_a_source_opens_and_sees_its_first_face_quietly(capfd):
    estimator = EmotionEstimator.load(EstimatorSettings(landmark_source='face_mesh'))
    face = next(iter(Portrait(30.0).frames()))
    capfd.readouterr()
    assert len(estimator(face)) == 1
    estimator.close()
    assert capfd.readouterr().err == ''
