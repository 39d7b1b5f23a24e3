"""Faces of people to learn from: how much each counts, what a source sees, and their file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_people import HAPPY, NEUTRAL, SAD, made_people

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import InputError
from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.features.people import (
    PeopleSet,
    load_people,
    people_path,
    save_people,
)

DOWN = [BLENDSHAPE_NAMES.index(f'eyeLookDown{side}') for side in ('Left', 'Right')]


def people(count: int, emotion: int = NEUTRAL, **changes: object) -> PeopleSet:
    """Return photographs of one class, each of another person who looks straight ahead."""
    made = made_people()
    rows = np.zeros(count, np.int64)
    straight = replace(
        made,
        scores=np.zeros((count, 2, 52), np.float32),
        known=np.ones((count, 2), bool),
        crops=made.crops[rows],
        chips=made.chips[rows],
        emotion=np.full(count, emotion),
        usage=np.zeros(count, np.int64),
        person=np.arange(count),
        turned=np.zeros(count, np.float32),
        film=np.zeros(count, bool),
        base=np.arange(count),
    )
    return replace(straight, **changes)


def test_a_frequent_person_counts_less_a_picture_and_more_in_all() -> None:
    weight = people(30, person=np.repeat([0, 1, 2], [2, 8, 20])).weight
    assert weight[0] == pytest.approx(weight[5])
    assert weight[10] < 0.6 * weight[5]
    assert weight[10:].sum() > weight[2:10].sum()


def test_all_mouths_of_a_face_count_as_much_as_the_face_and_not_as_more_pictures() -> None:
    alone = people(1).weight[0]
    weight = people(12, person=np.zeros(12, np.int64), base=np.zeros(12, np.int64)).weight
    assert weight[0] == pytest.approx(alone)
    assert weight[1:].sum() == pytest.approx(alone, rel=1e-5)
    np.testing.assert_allclose(weight[1:], weight[1])


def test_neutral_faces_that_look_down_or_away_count_more_and_others_do_not() -> None:
    scores = np.zeros((4, 2, 52), np.float32)
    scores[1, :, DOWN] = 0.5
    scores[3, :, DOWN] = 0.2
    turned = np.float32([0, 0, 40, 20])
    straight, down, away, hardly = people(4, scores=scores, turned=turned).weight
    assert down == pytest.approx(2 * straight)
    assert away == pytest.approx(1.5 * straight)
    assert hardly == pytest.approx(straight)
    assert np.ptp(people(4, HAPPY, scores=scores, turned=turned).weight) == 0


def test_who_looks_down_is_said_by_the_sources_that_see_the_face() -> None:
    scores = np.zeros((2, 2, 52), np.float32)
    scores[:, 0, DOWN] = 0.8
    scores[:, 1, DOWN] = 0.4
    known = np.array([[True, True], [False, True]])
    np.testing.assert_allclose(people(2, scores=scores, known=known).looking_down, [0.6, 0.4])


def test_rare_classes_count_more() -> None:
    happy, neutral, sad, angry = (
        people(1, one).weight[0] for one in (HAPPY, NEUTRAL, SAD, FER_CLASSES.index('angry'))
    )
    assert happy < neutral < angry < sad


def test_of_a_source_are_the_faces_that_it_found() -> None:
    made = made_people()
    assert made.talking.tolist() == [False] * 8 + [True] * 6 + [False, True, True]
    faces, rows = made.of('face_landmarker')
    assert rows.tolist() == [row for row in range(17) if row != 3]
    assert faces.source == 'face_landmarker'
    np.testing.assert_array_equal(faces.blendshapes, made.scores[rows, 0])
    np.testing.assert_array_equal(faces.crops, made.crops[rows, 0])
    for name in ('emotion', 'usage'):
        np.testing.assert_array_equal(getattr(faces, name), getattr(made, name)[rows])
    assert len(made.of('face_mesh')[1]) == 17


def test_they_are_read_back_and_a_damaged_file_is_named(tmp_path) -> None:
    assert load_people(tmp_path) is None
    made = made_people()
    path = save_people(made, people_path(tmp_path))
    read = load_people(tmp_path)
    assert read is not None and read.sources == made.sources
    for name in ('scores', 'known', 'crops', 'chips', 'emotion', 'usage', 'person', 'base'):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))
    np.testing.assert_array_equal(read.weight, made.weight)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=r'people\.npz is damaged .*training people') as caught:
        load_people(tmp_path)
    assert '\n' not in str(caught.value)
