"""Groupings and counts as configuration, and the tables of counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.emotion import LABELS
from emotion_estimator.errors import InputError
from emotion_estimator_training.data.grouping import choose, load_counts, load_grouping, report
from emotion_estimator_training.data.stills import (
    FER_CLASSES,
    PAPER_CHOSEN,
    PAPER_IMAGES,
    TO_LABEL,
    Stills,
)


def test_the_shipped_grouping_is_the_one_that_robots_run() -> None:
    grouping = load_grouping()
    assert grouping.labels == LABELS
    np.testing.assert_array_equal(grouping.to_label, TO_LABEL)
    np.testing.assert_array_equal(grouping.matrix.sum(axis=1), np.ones(7))


@pytest.mark.parametrize(
    ('name', 'labels'),
    [
        ('positive-negative', ('positive', 'negative')),
        ('seven', FER_CLASSES),
    ],
)
def test_the_other_groupings_are_configuration(name: str, labels: tuple[str, ...]) -> None:
    grouping = load_grouping(name)
    assert grouping.labels == labels
    # Attrah's report, chapter 7: disgust, angry, fear and sad against happy, surprise and neutral.
    if name == 'positive-negative':
        assert grouping.to_label.tolist() == [1, 1, 1, 0, 1, 0, 0]


def _config(tmp_path: Path, groupings: str, counts: str = '{}') -> Path:
    path = tmp_path / 'training.yaml'
    path.write_text(f'groupings: {{mine: {groupings}}}\ncounts: {{mine: {counts}}}\n')
    return path


@pytest.mark.parametrize(
    ('groupings', 'message'),
    [
        ('{a: [happy]}', 'needs at least two labels'),
        ('{a: [happy], a: [sad]}', "line 1 .key 'a' occurs twice"),
        ('{a: [happy], b: [sad]}', 'gives angry, disgust, fear, surprise, neutral no label'),
        ('{a: [happy], b: [happy]}', 'gives happy two labels'),
        ('{a: [happy], b: [bored]}', "'bored' is none of angry"),
        ('{a: happy, b: [sad]}', 'label a: list its classes'),
    ],
)
def test_a_bad_grouping_is_named(tmp_path, groupings: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_grouping('mine', _config(tmp_path, groupings))


@pytest.mark.parametrize('counts', ['{happy: 0}', '{happy: many}', '{happy: true}', '{bored: 3}'])
def test_a_bad_count_is_named(tmp_path, counts: str) -> None:
    with pytest.raises(InputError, match='counts mine'):
        load_counts('mine', _config(tmp_path, '{}', counts))


def test_what_is_not_there_is_named_with_what_is(tmp_path) -> None:
    with pytest.raises(InputError, match="no groupings named 'six'; it has: happy-unknown-sad"):
        load_grouping('six')
    with pytest.raises(InputError, match=r'none\.yaml cannot be read'):
        load_counts('all', tmp_path / 'none.yaml')


@given(
    emotion=st.lists(st.integers(0, 6), min_size=1, max_size=80),
    most=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_a_choice_takes_each_class_up_to_its_count(
    emotion: list[int], most: int, seed: int
) -> None:
    codes = np.array(emotion)
    rows = choose(codes, {'happy': most, 'sad': 2 * most}, seed)
    assert np.all(np.diff(rows) > 0)
    for code, name in enumerate(FER_CLASSES):
        limit = {'happy': most, 'sad': 2 * most}.get(name, len(codes))
        assert (codes[rows] == code).sum() == min((codes == code).sum(), limit)
    np.testing.assert_array_equal(rows, choose(codes, {'happy': most, 'sad': 2 * most}, seed))


def test_the_papers_own_set_gives_the_papers_tables() -> None:
    parts = [
        (code, usage, n)
        for code, name in enumerate(FER_CLASSES)
        for usage, n in enumerate(PAPER_IMAGES[name])
    ]
    emotion = np.repeat([p[0] for p in parts], [p[2] for p in parts])
    usage = np.repeat([p[1] for p in parts], [p[2] for p in parts])
    stills = Stills(
        np.zeros((len(emotion), 1, 1), np.uint8),
        emotion,
        usage,
        np.arange(len(emotion)),
        np.zeros(len(emotion), bool),
    )
    tables = report(stills, load_counts('paper'), load_grouping(), 1)
    assert tables['images'] == 35_887
    assert tables['table1'] == tables['table1_paper']
    assert tables['table1']['happy'] == {
        'full': 8989,
        'Training': 7215,
        'PublicTest': 895,
        'PrivateTest': 879,
    }
    assert tables['table2'] == {**PAPER_CHOSEN, 'disgust': 436}
    assert [label['chosen'] for label in tables['labels'].values()] == [4000, 6436, 4000]
    assert tables['labels']['unknown']['full'] == 4953 + 547 + 5121 + 4002 + 6198
