"""Blendshapes that are above a threshold often enough (Attrah 2025, 4.1)."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import InputError
from emotion_estimator_training.data.pictures import draw_relevant
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.features.relevant import (
    blendshapes_named,
    counts_above,
    relevant_blendshapes,
    report,
)


@pytest.fixture
def table() -> FeatureSet:
    """Blendshape k is above 0.4 in k plain faces of Training; the other faces do not count."""
    count = 60
    blendshapes = np.zeros((3 * count, 52), np.float32)
    blendshapes[:count] = np.where(np.arange(count)[:, None] < np.arange(52), 0.41, 0.4)
    blendshapes[count:] = 1.0
    usage = np.repeat([0, 1, 0], count)
    return FeatureSet(
        'face_mesh',
        blendshapes,
        np.zeros(3 * count, int),
        usage,
        np.arange(3 * count),
        np.zeros(3 * count, bool),
        np.repeat([False, False, True], count),
        np.zeros((3 * count, 48, 48), np.uint8),
    )


def test_plain_faces_of_training_above_the_threshold_count(table: FeatureSet) -> None:
    np.testing.assert_array_equal(counts_above(table), np.arange(52))


def test_relevant_are_those_above_in_more_than_so_many(table: FeatureSet) -> None:
    assert relevant_blendshapes(table, least=40) == tuple(range(41, 52))
    assert relevant_blendshapes(table, least=100) == ()
    assert relevant_blendshapes(table, threshold=0.39, least=59) == tuple(range(52))
    assert relevant_blendshapes(table, threshold=0.41, least=0) == ()


def test_the_authors_27_are_listed() -> None:
    chosen = blendshapes_named('attrah-27')
    assert len(chosen) == 27
    assert chosen == blendshapes_named('1-5,9-20,25,34,35,38,44-49')
    assert BLENDSHAPE_NAMES[chosen[17]] == 'jawOpen'


def test_blendshapes_are_named_or_numbered_in_the_order_given() -> None:
    assert blendshapes_named(' jawOpen, 3,44-45 ,') == (25, 3, 44, 45)
    assert blendshapes_named('all') == tuple(range(52))


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('smile', 'unknown blendshapes smile; give names, indices'),
        ('52', 'unknown blendshapes 52'),
        ('9-5', 'unknown blendshapes 9-5'),
        ('jawOpen,25', 'has jawOpen twice'),
        (' ,', 'has none'),
    ],
)
def test_a_wrong_list_is_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        blendshapes_named(text)
    assert '\n' not in str(caught.value)


def test_the_report_says_what_the_paper_says_and_no_more(table: FeatureSet) -> None:
    got = report(table, least=7)
    assert got['images'] == 60
    assert got['relevant'] == list(BLENDSHAPE_NAMES[8:])
    assert got['counts']['_neutral'] == 0
    assert got['paper_count'] == 27
    assert len(relevant_blendshapes(table, least=got['least_for_paper_count'])) == 27
    assert got['paper_irrelevant'] == {
        'cheekPuff': True,
        'cheekSquintLeft': True,
        'cheekSquintRight': False,
    }


def test_the_picture_tells_relevant_from_others(tmp_path, table: FeatureSet) -> None:
    path = draw_relevant(table, tuple(range(24)), 0.4, tmp_path / 'figures' / 'relevant.png')
    picture = cv2.imread(str(path))
    blue = (picture[..., 0] > 150) & (picture[..., 2] < 60)
    # 24 of 52 in lines of 8 are the first three of seven lines.
    middle = len(picture) // 2
    assert blue[:middle].sum() > 300
    assert blue[middle:].sum() < 10
