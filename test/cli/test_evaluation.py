from __future__ import annotations

import numpy as np
import pytest

from emotion_estimator.cli.evaluate import (
    classification_report,
    evaluate_stills,
    read_blendshape_table,
)
from emotion_estimator.errors import InputError

ROW = ','.join(['0.25'] * 52)
HEADER = ','.join(f's{k}' for k in range(52)) + ',label,index\n'


def write(tmp_path, text):
    path = tmp_path / 'table.csv'
    path.write_text(text)
    return path


def test_a_table_reads_with_or_without_header_and_further_columns(tmp_path):
    scores, labels = read_blendshape_table(write(tmp_path, f'{HEADER}{ROW},2,17\n\n{ROW},0.0,18\n'))
    assert scores.shape == (2, 52)
    assert scores.dtype == np.float32
    assert labels.tolist() == [2, 0]


def test_a_byte_order_mark_is_passed_over(tmp_path):
    path = tmp_path / 'table.csv'
    path.write_text(f'{ROW},1\n', encoding='utf-8-sig')
    assert len(read_blendshape_table(path)[0]) == 1


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('', 'has no rows'),
        ('0.1,0.2\n', 'line 1: 2 columns'),
        (f'{ROW.replace("0.25", "x", 1)},1\n{ROW},1\n', 'line 1: could not convert string'),
        (f'\n{ROW.replace("0.25", "x")},1\n{ROW},1\n', 'line 2: could not convert string'),
        (f'{ROW},"{"1" * 200_000}"\n', 'larger than field limit'),
        (f'{ROW},3\n', "label '3'; use 0 happy"),
        (f'{HEADER}{ROW},1\n\n{ROW},joy\n', "line 4: label 'joy'; use 0 happy"),
        (f'{ROW},nan\n', "line 1: label 'nan'; use 0 happy"),
        (f'{ROW},1\n{ROW.replace("0.25", "x", 1)},1\n', 'line 2'),
        (
            f'{ROW.replace("0.25", "nan", 1)},1\n',
            'line 1: every score must be a number from 0 to 1',
        ),
        (
            f'{ROW},1\n{ROW.replace("0.25", "1.5", 1)},1\n',
            'line 2: every score must be a number from 0 to 1',
        ),
    ],
)
def test_a_bad_table_is_named(tmp_path, text, expected):
    with pytest.raises(InputError) as caught:
        read_blendshape_table(write(tmp_path, text))
    assert expected in str(caught.value)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match='cannot be read'):
        read_blendshape_table(tmp_path / 'gone.csv')


def test_the_report_of_a_known_case():
    truth = np.array([0, 0, 1, 1, 1, 2])
    predicted = np.array([0, 1, 1, 1, 1, 1])
    report = classification_report(truth, predicted)
    assert report['accuracy'] == pytest.approx(4 / 6)
    assert report['recall'] == {'happy': 0.5, 'unknown': 1.0, 'sad': 0.0}
    assert report['macro_f1'] == pytest.approx((2 / 3 + 6 / 8 + 0) / 3)
    assert report['confusion_matrix'] == [[1, 1, 0], [0, 3, 0], [0, 1, 0]]
    assert report['n'] == 6


def test_a_label_that_never_occurs_does_not_count():
    report = classification_report(np.array([0, 0]), np.array([0, 0]))
    assert report['macro_f1'] == 1.0
    assert report['recall']['sad'] is None


def test_rows_are_classified_by_the_classifier_given():
    class Reads:
        labels = ('sad', 'happy', 'unknown')  # Another order than LABELS on purpose.
        title = 'reads-1'
        sha256 = '12' * 32

        def classify_still(self, blendshapes):
            return np.eye(3, dtype=np.float32)[int(blendshapes[0])]

    scores = np.zeros((3, 52), np.float32)
    scores[:, 0] = [0, 1, 2]
    report = evaluate_stills(scores, np.array([2, 0, 1]), Reads())
    assert report['accuracy'] == 1.0
    assert report['model'] == 'reads-1'
    assert (report['model_sha256'], report['model_released']) == ('12' * 32, False)
