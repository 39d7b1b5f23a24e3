"""CSV files of blendshapes: columns by name, words or numbers as labels, splits."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from still_features import made_features

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import InputError
from emotion_estimator_training.data.grouping import load_grouping
from emotion_estimator_training.data.stills import PRIVATE_TEST, PUBLIC_TEST, TRAINING
from emotion_estimator_training.features.blendshape_table import NO_USAGE, read_tables
from emotion_estimator_training.features.feature_set import write_tables

GROUPING = load_grouping()


def written(path, header, *rows):
    with path.open('w', newline='') as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_columns_are_found_by_name_in_any_order(tmp_path):
    path = written(
        tmp_path / 'mine.csv',
        ['note', 'jawOpen', 'emotion', 'Usage', 'blend1', 'person'],
        ['x', 0.5, 'Happiness', 'train', 0.25, 'Ann'],
        ['y', 1, 'sad', 'PrivateTest', 0, 'Bo'],
        [],
    )
    table = read_tables([path])
    assert table.known == (1, BLENDSHAPE_NAMES.index('jawOpen'))
    assert table.blendshapes[:, [1, 25]].tolist() == [[0.25, 0.5], [0, 1]]
    assert table.usage.tolist() == [TRAINING, PRIVATE_TEST]
    assert table.person == ('Ann', 'Bo')
    assert table.indices(GROUPING.labels, GROUPING).tolist() == [0, 2]


def test_what_features_writes_is_read_again(tmp_path):
    features = made_features(copies=1)
    paths = write_tables(features, GROUPING.to_label, tmp_path)
    table = read_tables([path for path in paths if path.stem.count('-') == 1])
    order = np.argsort(features.usage, kind='stable')
    assert table.blendshapes == pytest.approx(features.blendshapes[order], abs=1e-6)
    assert table.usage.tolist() == features.usage[order].tolist()
    assert table.augmented.tolist() == features.augmented[order].tolist()
    wanted = GROUPING.to_label[features.emotion[order]]
    assert table.indices(GROUPING.labels, GROUPING).tolist() == wanted.tolist()
    seven = load_grouping('seven')
    assert table.indices(seven.labels, seven).tolist() == features.emotion[order].tolist()


@pytest.mark.parametrize(
    ('name', 'usage'),
    [
        ('blends_val_full_set.csv', PUBLIC_TEST),
        ('blends_train_set.csv', TRAINING),
        ('face_mesh-privatetest.csv', PRIVATE_TEST),
        ('contest.csv', NO_USAGE),
    ],
)
def test_without_a_column_the_name_of_the_file_tells_the_split(tmp_path, name, usage):
    path = written(tmp_path / name, ['jawOpen', 'emotion'], [0.1, 2])
    assert read_tables([path]).usage.tolist() == [usage]


def test_numbers_are_indices_of_the_groupings_labels(tmp_path):
    path = written(tmp_path / 'a.csv', ['jawOpen', 'label'], [0, 0], [0, '1.0'], [0, 2])
    table = read_tables([path])
    assert table.indices(('sad', 'happy', 'unknown'), GROUPING).tolist() == [1, 2, 0]
    assert table.indices(('bored', 'keen', 'lost')).tolist() == [0, 1, 2]
    with pytest.raises(InputError, match='label 2; known are bored, keen, and 0 to 1'):
        table.indices(('bored', 'keen'))


def test_an_eighth_class_is_a_label_of_ones_own_or_refused(tmp_path):
    path = written(tmp_path / 'a.csv', ['jawOpen', 'label'], [0, 'contempt'], [0, 'happy'])
    table = read_tables([path])
    assert table.indices(('happy', 'contempt')).tolist() == [1, 0]
    with pytest.raises(InputError, match=r'label contempt; known are happy, .*angry'):
        table.indices(GROUPING.labels, GROUPING)


def test_a_table_without_names_has_52_scores_and_the_label(tmp_path):
    row = [*(f'{i / 100:.18e}' for i in range(52)), '1.000000000000000000e+00', '7']
    table = read_tables([written(tmp_path / 'full.csv', row, row)])
    assert len(table) == 2
    assert table.blendshapes[1, 25] == pytest.approx(0.25)
    assert table.indices(GROUPING.labels, GROUPING).tolist() == [1, 1]


@pytest.mark.parametrize(
    ('lines', 'says'),
    [
        ([['a', 'label'], [1, 1]], 'line 1 names no blendshape such as jawOpen'),
        ([['jawOpen', 'what'], [1, 1]], 'line 1: no column class, label, emotion'),
        ([['jawOpen', 'blend25', 'label']], 'line 1: jawOpen has two columns'),
        ([['jawOpen', 'label']], 'has no rows'),
        ([['jawOpen', 'label'], [0.1]], 'line 2: 1 columns instead of 2'),
        ([['jawOpen', 'label'], ['nan', 1]], 'line 2: jawOpen is nan; give a number from 0'),
        ([['jawOpen', 'label'], ['much', 1]], 'line 2: jawOpen is much'),
        ([['jawOpen', 'label'], [0.1, ' ']], 'line 2: no label'),
        ([['jawOpen', 'label', 'split'], [0.1, 1, 'x']], 'line 2: usage x; use Training'),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(tmp_path, lines, says):
    path = written(tmp_path / 'faces.csv', *lines)
    with pytest.raises(InputError, match=says) as caught:
        read_tables([path])
    assert '\n' not in str(caught.value)
    assert 'faces.csv' in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp('any') / 'any.csv'
    path.write_bytes(b'jawOpen,label\n0.5,happy\n' + content)
    try:
        assert len(read_tables([path])) >= 1
    except InputError as error:
        assert str(error).isprintable()
