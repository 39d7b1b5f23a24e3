"""Images without a face: counted by class, and each named by its number."""

from __future__ import annotations

import csv

import cv2
import numpy as np
import pytest

from emotion_estimator_training.data.cleaning import (
    coverage,
    undetected,
    undetected_table,
    write_undetected,
)
from emotion_estimator_training.data.pictures import draw_undetected
from emotion_estimator_training.data.stills import FER_CLASSES, PAPER_UNDETECTED, Stills

HAPPY, SAD = FER_CLASSES.index('happy'), FER_CLASSES.index('sad')


@pytest.fixture
def stills() -> Stills:
    return Stills(
        pixels=np.random.default_rng(0).integers(0, 256, (6, 48, 48)).astype(np.uint8),
        emotion=np.array([HAPPY, HAPPY, SAD, SAD, SAD, HAPPY]),
        usage=np.array([0, 0, 0, 0, 1, 2]),
        image_id=np.array([50, 40, 30, 20, 10, 0]),
        duplicate=np.zeros(6, bool),
    )


FOUND = np.array([True, False, False, False, True, False])


def test_images_without_a_face_are_counted_and_numbered(stills: Stills) -> None:
    table = undetected(stills, FOUND)
    assert table['Training']['happy'] == {
        'images': 2,
        'undetected': 1,
        'coverage': 0.5,
        'image_ids': [40],
    }
    assert table['Training']['sad']['image_ids'] == [30, 20]
    assert table['PublicTest']['sad']['undetected'] == 0
    assert table['PrivateTest']['happy']['image_ids'] == [0]
    assert table['PublicTest']['happy']['coverage'] is None, 'of no images'


def test_table_three_is_of_training_with_the_papers_counts(stills: Stills) -> None:
    head, rows = undetected_table({'face_mesh': undetected(stills, FOUND)})
    by_class = {row[0]: row[1:] for row in rows}
    assert head == ['class', 'images', 'face_mesh', 'paper', 'of']
    assert by_class['happy'] == [2, 1, 377, 7215]
    assert by_class['sad'] == [2, 2, 835, 4830]
    assert by_class['all'] == [4, 3, sum(PAPER_UNDETECTED.values()), 28709]


def test_coverage_is_the_share_of_images_with_a_face(stills: Stills) -> None:
    table = undetected(stills, FOUND)
    assert coverage({'a': table})['a'] == {'Training': 0.25, 'PublicTest': 1.0, 'PrivateTest': 0.0}


def test_the_list_names_each_image(tmp_path, stills: Stills) -> None:
    write_undetected(stills, {'face_mesh': FOUND}, tmp_path / 'undetected.csv')
    with (tmp_path / 'undetected.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [(r['image_id'], r['split'], r['class']) for r in rows] == [
        ('40', 'Training', 'happy'),
        ('30', 'Training', 'sad'),
        ('20', 'Training', 'sad'),
        ('0', 'PrivateTest', 'happy'),
    ]


def test_the_picture_of_examples_is_the_same_for_the_same_seed(tmp_path, stills: Stills) -> None:
    found = {'face_landmarker': FOUND, 'face_mesh': np.ones(6, bool)}
    a, b = (
        cv2.imread(str(draw_undetected(stills, found, tmp_path / name, 3)))
        for name in ('a.png', 'b.png')
    )
    np.testing.assert_array_equal(a, b)
    assert a.std() > 10, 'something is drawn'
