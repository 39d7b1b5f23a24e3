"""Lines as we write them are recognised, and mean what the general parser says."""

from __future__ import annotations

import json
import string

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emotion_estimator import frame as frames
from emotion_estimator import result_line
from emotion_estimator.emotion import EXPRESSIONS, LABELS, FaceEmotion, Roi
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult, read_glances, read_results

often = settings(deadline=None, max_examples=200)
shares = st.floats(0, 1) | st.sampled_from([0.0, 1.0, 1e-6, 9.9e-5, 1e-4, 0.5])
signed = st.floats(-1, 1) | st.just(-0.0)
degrees = st.floats(-360, 360)
pixels = st.integers(-(1 << 31), 1 << 31)
names = st.text(string.printable, max_size=8) | st.sampled_from(['face_1', 'Zoë', '水', '"', '\\'])


@st.composite
def faces(draw):
    labels = draw(st.sampled_from([LABELS, EXPRESSIONS, ('a, b', 'a": 1')]))
    values = draw(st.lists(shares, min_size=len(labels), max_size=len(labels)))
    return FaceEmotion(
        draw(names), draw(names | st.sampled_from(LABELS)), draw(shares), labels,
        np.array(values, np.float32), Roi(*draw(st.tuples(*[pixels] * 4))),
        valence=draw(signed), arousal=draw(signed), head_yaw=draw(degrees),
        head_pitch=draw(degrees), head_roll=draw(degrees), gaze_yaw=draw(degrees),
        gaze_pitch=draw(degrees), looks_at_camera=draw(st.booleans()), speaking=draw(shares),
        is_speaking=draw(st.booleans()),
    )  # fmt: skip


lines = st.builds(
    lambda stamp, found: FrameResult(stamp, tuple(found)).as_json() + '\n',
    st.floats(-(2.0**33), 2.0**33) | st.floats(1.6e9, 1.8e9),
    st.lists(faces(), max_size=3),
)


def shown(result):
    """Return all of a result, whose ``repr`` tells -0.0 from 0.0."""
    return repr(result)


def parsed(line):
    """Return what the general parser says; the error's text where it refuses the line."""
    try:
        return frames._frame(line, 'here')
    except InputError as error:
        return str(error)


def check(line):
    """Check that the line means the same both ways, if it is recognised at all."""
    right = parsed(line)
    found = frames._recognised(line)
    seen = result_line.glance(line)
    sighted = frames._sighted(line)
    assert (found is None) == (seen is None) == (sighted is None)
    if found is None:
        return
    assert shown(found) == shown(right)
    assert seen.stamp == sighted.stamp == right.stamp
    for face, whole in zip(sighted.faces, right.faces, strict=True):
        for field in ('face_id', 'label', 'confidence', 'speaking', 'is_speaking'):
            assert getattr(face, field) == getattr(whole, field)
    assert seen.faces == tuple(face.label for face in right.faces)
    first = right.faces[0] if right.faces else None
    assert seen.labels == (first.labels if first else ())
    assert seen.probabilities.tolist() == (first.probabilities.tolist() if first else [])
    assert set(seen.known) == {label for face in right.faces[1:] for label in face.labels}


@often
@given(lines)
def test_what_we_write_means_the_same_both_ways(line):
    check(line)


@often
@given(lines, st.data())
def test_a_damaged_line_is_refused_or_means_the_same(line, data):
    at = data.draw(st.integers(0, len(line) - 1))
    to = data.draw(st.integers(at, min(at + 3, len(line))))
    put = data.draw(st.text('0123456789.eE+-,:"{}[]\\ntrufals \t\x00', max_size=3))
    check(line[:at] + put + line[to:])


ONE = FrameResult(
    1.5,
    (FaceEmotion('face_1', 'sad', 0.5, LABELS, np.float32([0.25, 0.25, 0.5]), Roi(1, 2, 3, 4)),),
)


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        ('"stamp": 1.5', '"stamp": 01.5'),
        ('"stamp": 1.5', '"stamp": 8589934593.0'),
        ('"stamp": 1.5', '"stamp": \u0661.5'),
        ('"confidence": 0.5', '"confidence": 1.5'),
        ('"confidence": 0.5', f'"confidence": 0.{"5" * 70}'),
        ('"sad": 0.5', '"sad": 2.0'),
        ('"sad": 0.5', '"happy": 0.5'),
        ('[1, 2, 3, 4]', '[1, 2, 3, -0]'),
        ('[1, 2, 3, 4]', '[1, 2, 3, 04]'),
        ('"yaw": 0.0', '"yaw": 400.0'),
        ('"yaw": 0.0', '"yaw": NaN'),
        ('false', 'False'),
        ('}]}', '}, ]}'),
        ('}]}', '}]} x'),
        ('}]}', '}]}\n\n'),
    ],
)
def test_what_only_looks_like_a_result_goes_to_the_parser(old, new):
    line = ONE.as_json()
    assert old in line
    check(line.replace(old, new, 1))


@given(st.lists(st.sampled_from(LABELS), max_size=3))
@example([])
def test_an_ordinary_line_needs_no_parser(found):
    line = FrameResult(1.7e9, ONE.faces * len(found)).as_json()
    assert result_line.glance(line) is not None
    assert result_line.fields(line + '\r\n') is not None


def test_other_layouts_of_json_are_read_too(tmp_path):
    path = tmp_path / 'results.jsonl'
    compact = json.dumps(json.loads(ONE.as_json()), separators=(',', ':'))
    path.write_text(f'{ONE.as_json()}\n\n{compact}\n')
    whole = list(read_results(path))
    assert [shown(each) for each in whole] == [shown(ONE)] * 2
    first, second = read_glances(path)
    assert isinstance(first, result_line.Glance)
    assert shown(second) == shown(ONE)
