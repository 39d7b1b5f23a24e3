"""Faces over their image, as SVG, and the timeline."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from emotion_estimator.annotation import LABEL_COLOURS, LABEL_DASHES, SHOWN_LANDMARKS
from emotion_estimator.emotion import EXPRESSIONS, LABELS, NONE, FaceEmotion, Roi
from emotion_estimator.live.chart import LABEL, SPEAKS, TRUTH, chart
from emotion_estimator.live.moment import Moment
from emotion_estimator.live.overlay import overlay


def face(label: str = 'happy', face_id: str = '1', **more: object) -> FaceEmotion:
    given = {'landmarks': np.zeros((478, 3), np.float32), **more}
    return FaceEmotion(
        face_id, label, 0.75, LABELS, np.array([0.75, 0.15, 0.1], np.float32),
        Roi(100, 80, 60, 90), **given,
    )  # fmt: skip


def drawn(*faces: FaceEmotion, height: int = 480, chosen: str | None = None):
    return ElementTree.fromstring(f'<svg>{overlay(faces, height, chosen)}</svg>')


def test_box_label_and_landmarks_are_drawn():
    svg = drawn(face())
    box = svg.findall('rect')[-1]
    assert [box.get(name) for name in ('x', 'y', 'width', 'height')] == ['100', '80', '60', '90']
    assert svg.find('text').text == 'happy 0.75'
    assert len(svg.find('g')) == len(SHOWN_LANDMARKS)


def test_without_landmarks_the_box_and_the_directions_are_left():
    svg = drawn(face(landmarks=np.zeros(0, np.float32), head_yaw=30.0))
    assert svg.find('g') is None
    assert len(svg.findall('line')) == 3


@pytest.mark.parametrize(
    ('yaw', 'pitch', 'right', 'down'),
    [(0, 0, 0, 0), (30, 0, 1, 0), (-30, 0, -1, 0), (0, 30, 0, -1), (0, -30, 0, 1)],
)
def test_the_nose_points_where_the_head_does(yaw, pitch, right, down):
    line = drawn(face(head_yaw=yaw, head_pitch=pitch)).find('line')
    x1, y1, x2, y2 = (float(line.get(name)) for name in ('x1', 'y1', 'x2', 'y2'))
    assert (np.sign(x2 - x1), np.sign(y2 - y1)) == (right, down)


def test_gaze_is_added_to_the_head():
    ahead = face(head_yaw=20.0, gaze_yaw=-20.0)
    nose, *eyes = drawn(ahead).findall('line')
    assert float(nose.get('x2')) > float(nose.get('x1'))
    for eye in eyes:
        assert float(eye.get('x2')) == pytest.approx(float(eye.get('x1')), abs=0.11)


def test_a_label_of_another_package_cannot_become_markup():
    svg = drawn(face(label='<script>alert(1)</script>'))
    assert svg.find('.//script') is None
    assert '<script>' in svg.find('text').text


@pytest.mark.parametrize(('chosen', 'stronger'), [(None, '1'), ('1', '1'), ('2', '2')])
def test_the_chosen_face_is_drawn_stronger(chosen, stronger):
    svg = drawn(face('happy', '1'), face('sad', '2'), chosen=chosen)
    widths = {
        box.get('stroke'): float(box.get('stroke-width')) for box in svg.findall('rect')[1::2]
    }
    strongest = max(widths, key=widths.get)
    label = 'happy' if stronger == '1' else 'sad'
    assert strongest == '#{:02x}{:02x}{:02x}'.format(*LABEL_COLOURS[label])


def test_every_label_has_dashes_of_its_own():
    names = {*LABELS, *EXPRESSIONS, NONE}
    assert names == set(LABEL_DASHES) == set(LABEL_COLOURS)
    assert len({*LABEL_DASHES.values()}) == len(names)


def minute(*moments: Moment) -> dict:
    return {line['name']: line for line in chart(moments, None)['series']}


def test_a_curve_for_each_label_and_a_lane_for_each_fact():
    lines = minute(*(Moment(at / 5, (face(),), truth='happy', speaks=at > 5) for at in range(10)))
    assert set(lines) == {*LABELS, f'{LABEL}: happy', f'{TRUTH}: happy', f'{SPEAKS}: person'}
    assert lines['happy']['data'][-1] == [0.0, 0.75]
    assert lines['happy']['data'][0] == [-1.8, 0.75]
    assert lines['happy']['lineStyle']['type'] != lines['sad']['lineStyle']['type']


def test_curves_break_where_there_is_no_face():
    seen = [Moment(at / 5, (face(),) if at not in (4, 5) else ()) for at in range(10)]
    lines = minute(*seen)
    assert [value for _, value in lines['happy']['data']].count(None) == 2
    # Its label's bar ends where that of nobody begins.
    assert lines[f'{LABEL}: {NONE}']['data'] == [
        [None, None], [-1.0, LABEL], [-0.8, LABEL], [-0.6, LABEL]
    ]  # fmt: skip


def test_a_gap_in_time_is_no_curve():
    lines = minute(Moment(0.0, (face(),)), Moment(30.0, (face(),)))
    assert [-30.0, 0.75] in lines['happy']['data']
    assert any(value is None for _, value in lines['happy']['data'])


def test_thirty_images_a_second_are_drawn_as_five():
    lines = minute(*(Moment(at / 30, (face(),)) for at in range(1800)))
    assert 290 <= len(lines['happy']['data']) <= 310


def test_the_moment_that_is_looked_at_is_marked():
    moments = [Moment(at / 5, (face(),)) for at in range(20)]
    marked = chart(moments, None, at=moments[-6].stamp)['series'][0]['markLine']
    assert marked['data'] == [{'xAxis': pytest.approx(-1.0)}]


def test_a_face_that_is_not_the_first_can_be_chosen():
    both = Moment(1.0, (face('happy', '1'), face('sad', '2')))
    lines = {line['name'] for line in chart([both], '2')['series']}
    assert f'{LABEL}: sad' in lines
    assert not chart([both], 'gone')['legend']['data']


def test_an_empty_minute_can_be_drawn():
    assert chart((), None, at=3.0)['series'] == []


def test_colours_are_as_css_writes_them():
    for line in chart([Moment(0.0, (face(),))], None)['series']:
        assert re.fullmatch('#[0-9a-f]{6}', line['color'])
