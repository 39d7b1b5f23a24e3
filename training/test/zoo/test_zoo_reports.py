"""Metrics, ordering and report of the models, checked by hand on a few queries."""

from __future__ import annotations

import json

import numpy as np
import pytest
from zoo_tracks import made_tracks

from emotion_estimator_training.zoo.data.windows import query_windows
from emotion_estimator_training.zoo.metrics import (
    accuracy_by_clip,
    classification_metrics,
    clip_accuracy,
    flips_per_second,
    one_against_rest,
    second_most_likely,
)
from emotion_estimator_training.zoo.ordering import describe_ordering, paper_ordering
from emotion_estimator_training.zoo.pictures import comparison_chart, confusions_chart
from emotion_estimator_training.zoo.report import (
    ReportFacts,
    comparisons,
    markdown,
    report_page,
    results_table,
)

ABC = ('a', 'b', 'c')
#: Predicted: a, a, b, c.
FOUND = np.array([[0.6, 0.3, 0.1], [0.5, 0.1, 0.4], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]], np.float32)
TRUTH = np.array([0, 1, 1, 2])


def result(model: str, accuracy: float = 0.5, **others) -> dict:
    found = classification_metrics(FOUND, TRUTH, ABC)
    return {
        'model': model,
        'description': f'the {model}',
        'kind': 'microx',
        **found,
        'accuracy': accuracy,
        'macro_f1': accuracy,
        'clip_accuracy': 1.0,
        'flips_per_second': 0.25,
        'parameters': 1234,
        'bytes': 5000,
        'ms_per_frame': 1.5,
        'covered_accuracy': None,
        'window': 10,
        'fit_seconds': 1.0,
        'epochs': 3,
        **others,
    }


def test_measures_of_all_and_of_each():
    found = classification_metrics(FOUND, TRUTH, ABC)
    assert found['accuracy'] == 0.75
    assert found['precision'] == {'a': 0.5, 'b': 1.0, 'c': 1.0}
    assert found['recall'] == {'a': 1.0, 'b': 0.5, 'c': 1.0}
    assert found['macro_precision'] == pytest.approx(2.5 / 3, abs=1e-4)
    assert found['confusion_matrix'] == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    json.dumps(found)


def test_each_class_against_the_rest():
    rest = one_against_rest(np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]]), ABC)
    assert rest['a'] == {
        'true_negative': 2,
        'false_positive': 1,
        'false_negative': 0,
        'true_positive': 1,
    }
    assert rest['b'] == {
        'true_negative': 2,
        'false_positive': 0,
        'false_negative': 1,
        'true_positive': 1,
    }


def test_second_most_likely():
    assert second_most_likely(FOUND, ABC) == {
        'a': {'b': 1, 'c': 1},
        'b': {'a': 1, 'c': 0},
        'c': {'a': 0, 'b': 1},
    }


def test_flips_are_counted_within_clips_only():
    # Two clips of 1 s each: the one flips twice, the other never.
    asked = query_windows(made_tracks(1, 11), ('happy', 'sad'), 3)
    found = np.tile([[1.0, 0.0]], (len(asked), 1)).astype(np.float32)
    found[4:7] = found[4:7, ::-1]
    found[asked.track == 1] = [0.0, 1.0]
    assert flips_per_second(found, asked) == pytest.approx(2 / 2)
    assert clip_accuracy(found, asked) == 1.0
    assert clip_accuracy(found[:, ::-1], asked) == 0.0
    assert accuracy_by_clip(found, asked) == [['s0', round(8 / 11, 4)], ['s0', 1.0]]


def test_table_has_dashes_for_missing_metrics():
    head, rows = results_table([result('microx'), result('lstm', bytes=None, ms_per_frame=None)])
    assert len(head) == len(rows[0]) == len(rows[1])
    assert rows[0][6:9] == ['1,234', '5', '1.50']
    assert rows[1][7:9] == ['-', '-']
    assert markdown(head, rows).splitlines()[1].startswith('|---|---:|')


def test_comparisons_as_the_paper_has_them():
    run = {
        name: result(name, accuracy)
        for name, accuracy in (
            ('microx', 0.5),
            ('microx:grey', 0.4),
            ('microx:face', 0.7),
            ('microx:mouth', 0.3),
            ('microx:nose', 0.2),
        )
    }
    run['microx']['covered_accuracy'] = 0.3
    found = {title: rows for title, _, rows in comparisons(run)}
    assert [rows for title, rows in found.items() if 'grey' in title] == [
        [['colour', '0.500', '0.500'], ['grey', '0.400', '0.400']]
    ]
    assert [rows for title, rows in found.items() if 'alone' in title] == [
        [['nose', '0.200', '0.200'], ['mouth', '0.300', '0.300']]
    ]
    assert [rows for title, rows in found.items() if 'covered' in title] == [
        [['microx', '0.500', '0.300', '-0.200']]
    ]


def test_ordering_holds_or_not():
    levels = {'frame': 0.4, 'mean': 0.5, 'lstm': 0.6}
    order = paper_ordering({name: result(name, score) for name, score in levels.items()})
    assert order['holds'] and order['levels']['sequence']['model'] == 'lstm'
    levels['statistics'] = 0.7
    assert not paper_ordering({n: result(n, score) for n, score in levels.items()})['holds']
    assert paper_ordering({'frame': result('frame')}) is None


def test_each_level_is_the_one_that_validation_chooses():
    run = {
        name: result(name, score, validation_macro_f1=chosen)
        for name, score, chosen in (
            ('frame', 0.4, 0.4),
            ('mean', 0.7, 0.5),
            ('weighted', 0.5, 0.6),
            ('lstm', 0.6, 0.6),
        )
    }
    order = paper_ordering(run)
    assert order['levels']['aggregation'] == {'model': 'weighted', 'macro_f1': 0.5}
    assert order['holds'] and 'chosen on the test clips' not in describe_ordering(order)
    del run['mean']['validation_macro_f1']
    order = paper_ordering(run)
    assert order['levels']['aggregation'] == {'model': 'mean', 'macro_f1': 0.7}
    assert 'chosen on the test clips' in describe_ordering(order)


def test_order_says_how_sure_it_is():
    def clips(*shares: float) -> list:
        return [(f's{number // 2}', share) for number, share in enumerate(shares)]

    run = {
        'frame': result('frame', 0.4, by_clip=clips(0.1, 0.2, 0.3, 0.4, 0.3, 0.2)),
        # Better by as much on each clip: sure. Then better on one subject, worse on another.
        'mean': result('mean', 0.5, by_clip=clips(0.3, 0.4, 0.5, 0.6, 0.5, 0.4)),
        'lstm': result('lstm', 0.6, by_clip=clips(0.9, 1.0, 0.1, 0.2, 0.5, 0.4)),
    }
    order = paper_ordering(run)
    sure, unsure = order['steps']
    assert (sure['difference'], sure['low'], sure['high']) == (0.2, 0.2, 0.2)
    assert unsure['low'] < 0 < unsure['high']
    assert unsure['difference'] == pytest.approx(0.2 / 3, abs=1e-3)
    text = describe_ordering(order)
    assert text.count('not significant on these clips') == 1
    assert 'From per frame to aggregation, accuracy changes by +0.200' in text
    assert 'test subjects +0.200 to +0.200).' in text


def test_page_names_what_failed_and_what_was_left_out():
    results = [
        result('microx'),
        {'model': 'lstm', 'description': '', 'kind': 'x', 'failed': 'too short'},
    ]
    facts = ReportFacts('set', 'reduced', 1, ['LOUD'], ['2 clips'])
    text = report_page(results, ['Made.'], facts, 'z.png')
    assert '- lstm: too short' in text and '**LOUD**' in text and '- 2 clips' in text
    assert '| truth b | 1 | 1 | 0 |' in text
    assert '| b | 2 | 0 | 1 | 1 |' in text


def test_pictures_are_drawn():
    for content in (
        comparison_chart([result('microx'), result('lstm', bytes=None)], 'made'),
        confusions_chart(result('microx'), ABC),
    ):
        assert content.startswith(b'\x89PNG') and len(content) > 5000
