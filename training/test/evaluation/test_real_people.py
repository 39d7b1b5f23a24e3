"""Figures of real people: conditions, votes, worst errors, groups of films; and their tables."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from emotion_estimator.emotion import LABELS
from emotion_estimator_training.data.stills import FER_CLASSES, TO_LABEL
from emotion_estimator_training.evaluation.film_reading import FilmReading, LabelledFilm
from emotion_estimator_training.evaluation.image_reading import (
    FER_NAMES,
    ImageReading,
    ModelAnswer,
)
from emotion_estimator_training.evaluation.real_people import (
    ReadPictures,
    measure_films,
    measure_pictures,
    worst_errors,
)
from emotion_estimator_training.report.real_people import (
    curve_chart,
    error_list,
    error_sheet,
    film_tables,
    interval,
    picture_tables,
    votes_table,
)

HAPPY, SAD, NEUTRAL = (FER_CLASSES.index(name) for name in ('happy', 'sad', 'neutral'))


def _answer(label: str, sure: float = 0.8) -> ModelAnswer:
    three = np.full(3, (1 - sure) / 2)
    three[LABELS.index(label)] = sure
    seven = np.full(7, 0.05)
    seven[{'happy': HAPPY, 'sad': SAD, 'unknown': NEUTRAL}[label]] = 0.7
    return ModelAnswer(label, tuple(three), tuple(seven))


def _reading(label: str, sure: float = 0.8, **where: float) -> ImageReading:
    fields = {'looks_down': 0.05, 'turned': 5.0, 'light': 120.0, **where}
    return ImageReading(
        1,
        (0, 0, 120, 130),
        answers={
            'fused': _answer(label, sure),
            **{name: _answer('unknown') for name in FER_NAMES},
        },
        **fields,
    )


@pytest.fixture
def pictures() -> ReadPictures:
    """Neutral people: those who look down are reported sad; a happy and a sad one; and no face."""
    return ReadPictures.of(
        [
            _reading('unknown'),
            _reading('unknown', light=20.0),
            _reading('sad', 0.6, looks_down=0.3),
            _reading('sad', 0.9, looks_down=0.6, turned=45.0),
            _reading('happy', light=220.0),
            _reading('sad', 0.7),
            ImageReading(0),
        ]
    )


EMOTION = np.array([NEUTRAL] * 4 + [HAPPY, SAD, NEUTRAL])
PERSON = ['a', 'b', 'c', 'd', 'e', 'f', 'f']


def test_pictures_are_told_apart_by_what_is_seen(pictures) -> None:
    measured = measure_pictures(pictures, EMOTION, PERSON)
    assert (measured['pictures'], measured['people'], measured['found']) == (7, 6, 6)
    assert measured['shown']['neutral'] == 4
    fused = measured['models']['fused']
    assert fused['neutral_sad'][0] == 0.5 and fused['accuracy'][0] == pytest.approx(4 / 6, abs=1e-4)
    by_look = {
        one['range']: (one['faces'], one['models']['fused']['neutral_sad'])
        for one in measured['conditions']['eyes look down']
    }
    assert by_look['below 0.1'][0] == 4 and by_look['below 0.1'][1][0] == 0
    assert by_look['0.1 to 0.25'] == (0, None)
    assert by_look['0.25 to 0.5'][1][0] == by_look['0.5 and more'][1][0] == 1
    turned = measured['conditions']['head turned']
    assert [one['faces'] for one in turned] == [5, 0, 0, 1]
    # A picture without a face is in none of the ranges, though its values are 0.
    for ranges in measured['conditions'].values():
        assert sum(one['faces'] for one in ranges) == 6
    assert measured['fused_minus_fer'][next(iter(FER_NAMES))]['recall_sad'][0] == 1
    curve = {one['threshold']: one for one in measured['curves']['fused']['sad']}
    # The two are 0.6 and 0.9 sure, the one who is sad 0.7; the one without a face does not count.
    assert curve[0.55]['neutral_told'] == 0.5 and curve[0.65]['neutral_told'] == 0.25
    assert curve[0.65]['recall'] == 1 and curve[0.75]['recall'] == 0
    assert curve[0.65]['n_neutral'] == 4


def test_the_worst_errors_come_first(pictures) -> None:
    errors = worst_errors(pictures, EMOTION)
    assert [(one['row'], one['probability'], one['said']) for one in errors] == [
        (3, 0.9, 'sad'),
        (2, 0.6, 'sad'),
    ]
    assert errors[0]['turned'] == 45 and errors[0]['shown'] == 'neutral'
    assert worst_errors(pictures, EMOTION, count=1) == errors[:1]
    sheet = cv2.imdecode(
        np.frombuffer(
            error_sheet(errors, lambda row: np.full((40, 80, 3), (255, 0, 10 * row), np.uint8)),
            np.uint8,
        ),
        cv2.IMREAD_COLOR,
    )
    # The first picture is row 3, in red, centred.
    assert sheet[84, 84].tolist() == [30, 0, 255] and sheet[10, 84].tolist() == [255, 255, 255]
    listed = error_list(errors, [f'{n}.jpg' for n in range(7)], PERSON)
    assert '| 1 | 3.jpg | d | neutral | sad | 0.900 |' in listed


def _film(*labels: str, becomes: tuple[tuple[float, str], ...] = ()) -> FilmReading:
    stamps = tuple(0.1 * n for n in range(len(labels)))
    speaking = tuple(n % 2 == 0 for n in range(len(labels)))
    return FilmReading(stamps, {'fused': labels}, {'fused': becomes}, speaking)


def test_films_are_summed_up_by_what_is_said_of_them() -> None:
    films = [
        LabelledFilm(Path('a.mp4'), 'unknown', True, 'ann'),
        LabelledFilm(Path('b.mp4'), 'unknown', True, 'ben'),
        LabelledFilm(Path('c.mp4')),
    ]
    readings = [
        _film(*['unknown'] * 6, *['happy'] * 2, becomes=((0.4, 'happy'),)),
        _film(*['unknown'] * 2, 'none'),
        _film('sad', 'sad'),
    ]
    measured = measure_films(films, readings)
    [(title, group)] = measured['groups'].items()
    assert title == 'unknown, talking' and (group['films'], group['people']) == (2, 2)
    fused = group['models']['fused']
    # By frames in which a face is found: 2 of 10.
    assert fused['frames'] == 10 and fused['happy'][0] == 0.2 and fused['sad'][0] == 0
    assert fused['films_that_become_happy'] == 1 and fused['films_that_become_sad'] == 0
    text = film_tables({'face_mesh': measured})
    assert '| face_mesh | unknown, talking | fused | 2 | 10 | 20.0 % (0.0 to 25.0) |' in text
    assert '| face_mesh | c | - | fused | 2 | 100.0 % | 0.0 % | 0.0 % | 100.0 % |' in text
    assert 'happy at 0.4 s' in text
    assert '| face_mesh | a | unknown, talking | 50.0 % |' in text


def test_tables_show_every_figure_with_its_interval(pictures) -> None:
    measured = {'face_mesh': measure_pictures(pictures, EMOTION, PERSON)}
    text = picture_tables(measured)
    assert '| face_mesh | 7 | 6 | 6 | 1 | 0 |' in text
    value, low, high = measured['face_mesh']['models']['fused']['neutral_sad']
    assert f'{100 * value:.1f} % ({100 * low:.1f} to {100 * high:.1f})' in text
    assert '| eyes look down: 0.5 and more | 1 | 1 |' in text
    assert '| 0.65 | 25.0 % | 100.0 % |' in text
    # Only a threshold that nobody reaches keeps the neutral from sad here.
    within = 'sad_threshold 0.95 (recall 0.0 %); happy_threshold 0.00 (recall 100.0 %).'
    assert f'At most 3 % of the neutral: {within}' in text
    assert 'nan' not in text and 'None' not in text
    assert interval(None) == '-'
    assert interval([0.25, None, None], percent=True) == '25.0 %'
    assert interval([0.25, 0.0, 0.5]) == '0.250 (0.000 to 0.500)'
    chart = cv2.imdecode(np.frombuffer(curve_chart(measured), np.uint8), cv2.IMREAD_COLOR)
    assert chart.shape[0] > 200 and chart.std() > 5
    assert 'face_mesh finds 6 of 7 faces' in votes_table(measured)


def test_sets_without_faces_or_fer_have_tables_too() -> None:
    nothing = ReadPictures.of([ImageReading(0), ImageReading(0)])
    measured = {'face_mesh': measure_pictures(nothing, np.array([SAD, NEUTRAL]), ['a', 'b'])}
    assert '| face_mesh | 2 | 2 | 0 | 2 | 0 |' in picture_tables(measured)
    assert curve_chart(measured) and worst_errors(nothing, np.array([SAD, NEUTRAL])) == []
    alone = ReadPictures.of([ImageReading(1, (0, 0, 9, 9), answers={'fused': _answer('sad')})])
    only = measure_pictures(alone, np.array([SAD]), ['a'])
    assert list(only['models']) == ['fused'] and only['fused_minus_fer'] == {}
    assert TO_LABEL[SAD] == LABELS.index('sad') and '1.000' in picture_tables({'x': only})
