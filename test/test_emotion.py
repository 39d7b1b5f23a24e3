from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.emotion import LABELS, FaceEmotion, Roi, overlap, primary
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult, read_results, write_results

ROIS = st.builds(
    Roi, st.integers(0, 400), st.integers(0, 400), st.integers(1, 200), st.integers(1, 200)
)


@given(a=ROIS, b=ROIS)
def test_overlap_is_symmetric_and_one_only_for_equal_boxes(a, b):
    assert overlap(a, b) == overlap(b, a)
    assert 0.0 <= overlap(a, b) <= 1.0
    assert (overlap(a, b) == 1.0) == (a == b)


def test_overlap_of_known_boxes():
    assert overlap(Roi(0, 0, 10, 10), Roi(5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert overlap(Roi(0, 0, 10, 10), Roi(10, 0, 10, 10)) == 0.0


def test_the_primary_face_is_the_first_of_what_the_estimator_returns():
    small, large = (
        FaceEmotion('f', 'sad', 0.5, LABELS, np.ones(3, np.float32) / 3, Roi(0, 0, side, side))
        for side in (9, 90)
    )
    assert primary((small, large)) is small
    assert primary(iter((large, small))) is large
    assert primary(()) is None


ANGLES = ('head_yaw', 'head_pitch', 'head_roll', 'gaze_yaw', 'gaze_pitch')
FACES = st.builds(
    FaceEmotion,
    face_id=st.text(max_size=4),
    label=st.sampled_from(LABELS),
    confidence=st.floats(0, 1),
    labels=st.just(LABELS),
    probabilities=st.just(np.array([0.5, 0.25, 0.25], np.float32)),
    roi=ROIS,
    **{name: st.floats(-180, 180) for name in ANGLES},
    looks_at_camera=st.booleans(),
    speaking=st.floats(0, 1),
    is_speaking=st.booleans(),
)


@given(faces=st.lists(FACES, max_size=3))
def test_a_face_comes_back_from_its_json(tmp_path_factory, faces):
    path = tmp_path_factory.mktemp('results') / 'results.jsonl'
    assert write_results([FrameResult(1.5, tuple(faces))], path) == 1
    [result] = read_results(path)
    assert len(result.faces) == len(faces)
    for back, face in zip(result.faces, faces):
        assert (back.looks_at_camera, back.is_speaking) == (face.looks_at_camera, face.is_speaking)
        assert back.speaking == pytest.approx(face.speaking, abs=5.1e-4)
        for name in ANGLES:
            assert getattr(back, name) == pytest.approx(getattr(face, name), abs=0.051)
        assert back.to_dict() == face.to_dict()


def test_json_of_before_head_pose_has_its_defaults(tmp_path):
    face = FaceEmotion(
        'f',
        'sad',
        0.5,
        LABELS,
        np.array([0.25, 0.25, 0.5], np.float32),
        Roi(0, 0, 9, 9),
        head_yaw=12.0,
        gaze_pitch=5.0,
        looks_at_camera=True,
        speaking=0.5,
        is_speaking=True,
    )
    old = face.to_dict()
    for name in ('head_pose', 'gaze', 'looks_at_camera', 'speaking', 'is_speaking'):
        del old[name]
    path = tmp_path / 'results.jsonl'
    path.write_text(json.dumps({'stamp': 1.0, 'faces': [old]}) + '\n')
    [result] = read_results(path)
    (back,) = result.faces
    assert (back.head_yaw, back.gaze_pitch, back.speaking) == (0.0, 0.0, 0.0)
    assert not back.looks_at_camera and not back.is_speaking


@pytest.mark.parametrize(
    ('name', 'value', 'says'),
    [
        ('stamp', '1e300', '1e\\+300 is not from'),
        ('stamp', '1e400', 'too large'),
        ('stamp', '1' + '0' * 400, 'number of 401 digits'),
        ('stamp', 'NaN', 'NaN, which is not JSON'),
        ('confidence', '1.5', 'is not from 0 to 1'),
        ('probabilities', '{"sad": -1}', 'is not from 0 to 1'),
        ('probabilities', '{"sad": [1]}', ''),
        ('roi', '[0, 0, 1e308, 9]', 'is not from'),
        ('label', '"\\ud800"', 'half a surrogate pair'),
        ('faces', '[' * 1000, 'nested more than 40 deep'),
        ('speaking', '"x\\u001b\\n' + 'x' * 1000 + '"', ''),
    ],
)
def test_values_that_break_others_are_refused_in_a_short_line(tmp_path, name, value, says):
    face = {
        'face_id': '"f"', 'label': '"sad"', 'confidence': '0.5', 'probabilities': '{"sad": 1.0}',
        'roi': '[0, 0, 9, 9]',
    }  # fmt: skip
    result = {'stamp': '1.0'}
    (result if name in ('stamp', 'faces') else face)[name] = value
    result.setdefault('faces', f'[{_json(face)}]')
    path = tmp_path / 'results.jsonl'
    path.write_text(_json(result) + '\n')
    with pytest.raises(InputError, match=f'line 1 is not a result as .*{says}') as caught:
        list(read_results(path))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < len(str(path)) + 400


def _json(fields):
    return '{' + ', '.join(f'"{name}": {value}' for name, value in fields.items()) + '}'


@pytest.mark.parametrize('value', ['[1, 2, 3]', '"left"', 'null', '{"yaw": "left"}'])
def test_json_whose_head_pose_has_another_form_names_the_line(tmp_path, value):
    path = tmp_path / 'results.jsonl'
    path.write_text(
        '{"stamp": 1.0, "faces": [{"face_id": "f", "label": "sad", "confidence": 0.5, '
        f'"probabilities": {{"sad": 1.0}}, "roi": [0, 0, 9, 9], "head_pose": {value}}}]}}\n'
    )
    with pytest.raises(InputError, match='line 1 is not a result as'):
        list(read_results(path))
