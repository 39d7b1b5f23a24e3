"""Metrics, ordering and report of the models, checked by hand on a few queries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from zoo_tracks import CLASSES, made_track, made_tracks

from emotion_estimator_training.zoo.curves import curves_chart, trained_networks
from emotion_estimator_training.zoo.data.windows import Windows, query_windows
from emotion_estimator_training.zoo.intervals import (
    baselines,
    interval_figures,
    kind_figures,
    small_test_warning,
)
from emotion_estimator_training.zoo.metrics import (
    classification_metrics,
    flips_per_second,
    one_against_rest,
    second_most_likely,
)
from emotion_estimator_training.zoo.ordering import (
    describe_ordering,
    paper_claims,
    paper_ordering,
)
from emotion_estimator_training.zoo.pictures import comparison_chart, confusions_chart
from emotion_estimator_training.zoo.report import (
    ReportFacts,
    comparisons,
    joined_notes,
    kinds_table,
    markdown,
    report_page,
    results_table,
)

ABC = ('a', 'b', 'c')
NOTHING = {'chance': 0.33, 'class': 'b', 'majority': 0.4}
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
    figures = interval_figures([found], asked, ('happy', 'sad'))
    assert figures['clip_accuracy'] == 1.0
    assert interval_figures([found[:, ::-1]], asked, ('happy', 'sad'))['clip_accuracy'] == 0.0
    assert figures['by_clip'] == [['s0', round(8 / 11, 4)], ['s0', 1.0]]
    # Of one subject nothing can be said about others: all draws are alike.
    assert figures['interval']['accuracy'] == [round(19 / 22, 4)] * 3


def asked_of(right: Sequence[bool]) -> tuple[np.ndarray, Windows]:
    """Return probabilities and windows of subjects, all of whose frames are right, or none."""
    tracks = tuple(
        made_track(CLASSES[number % 2], f's{number}', 4, number) for number in range(len(right))
    )
    asked = query_windows(tracks, CLASSES, 2)
    said = np.where(np.array(right)[asked.track], asked.labels, 1 - asked.labels)
    return np.eye(2, dtype=np.float32)[said], asked


def test_people_are_drawn_not_frames():
    found, asked = asked_of([True] * 12 + [False] * 4)
    figures = interval_figures([found], asked, CLASSES)
    value, low, high = figures['interval']['accuracy']
    assert value == figures['accuracy'] == 0.75
    # A binomial of 16 has a deviation of 0.108; one of 64 frames would have half of that.
    assert high - low == pytest.approx(2 * 1.96 * 0.108, rel=0.15)
    assert figures['interval']['clip_accuracy'] == figures['interval']['accuracy']
    low, high = figures['interval']['macro_f1'][1:]
    assert low < figures['macro_f1'] < high


def test_seeds_are_averaged():
    first, asked = asked_of([True] * 8 + [False] * 8)
    second, _ = asked_of([True] * 16)
    figures = interval_figures([first, second], asked, CLASSES)
    assert figures['accuracy'] == 0.75
    assert figures['by_seed']['accuracy'] == [0.5, 1.0]
    assert figures['by_clip'][0] == ['s0', 1.0] and figures['by_clip'][-1] == ['s15', 0.5]


def test_kinds_of_clips_have_figures_of_their_own():
    found, asked = asked_of([True, True, False, True])
    assert kind_figures(found, asked) == {}
    tracks = [
        replace(track, clip=replace(track.clip, kind=kind))
        for track, kind in zip(asked.tracks, ('shown', 'shown', 'talking', 'talking'))
    ]
    kinds = kind_figures(found, replace(asked, tracks=tuple(tracks)))
    assert kinds['shown'] == [2, 1.0, 1.0, 1.0]
    assert kinds['talking'] == [2, 0.5, 0.0, 1.0]
    head, rows = kinds_table([result('microx', by_kind=kinds), result('lstm')])
    assert head == ['model', 'shown (2)', 'talking (2)']
    assert rows == [
        ['microx', '1.000 [1.000, 1.000]', '0.500 [0.000, 1.000]'],
        ['lstm', '-', '-'],
    ]
    assert kinds_table([result('microx')]) is None


def test_what_is_not_above_chance_is_said():
    train = made_tracks(2, 4) + made_tracks(1, 4, first=7)[:1]
    nothing = baselines(train, made_tracks(3, 4), CLASSES)
    assert nothing == {'chance': 0.5, 'class': 'happy', 'majority': 0.5}
    sure = result('lstm', 0.8, interval={'accuracy': [0.8, 0.6, 0.9]})
    unsure = result('microx', 0.6, interval={'accuracy': [0.6, 0.45, 0.7]})
    _, rows = results_table([sure, unsure], nothing)
    assert [row[:2] for row in rows] == [
        ['lstm', '0.800 [0.600, 0.900]'],
        ['microx', '0.600 [0.450, 0.700], not above chance'],
        ['chance', '0.500'],
        ['always happy', '0.500'],
    ]


def test_a_small_test_part_is_warned_of():
    said = small_test_warning(made_tracks(25, 2))
    assert said is not None and '50 clips of 25 subjects' in said and 'to 0.20 only' in said
    assert small_test_warning(made_tracks(100, 2)) is None


def test_claims_are_true_false_or_open():
    def clips(*shares: float) -> list:
        return [(f's{number}', share) for number, share in enumerate(shares)]

    better, worse = clips(*[0.9] * 8), clips(*[0.4] * 8)
    mixed = clips(*[0.9, 0.1] * 4)
    run = {
        'microx': result('microx', by_clip=worse, covered_by_clip=better),
        'microx:face': result('microx:face', by_clip=better, covered_by_clip=worse),
        'microx:parts': result('microx:parts', by_clip=worse),
        'microx:grey': result('microx:grey', by_clip=mixed),
        'lstm': result('lstm', by_clip=better, covered_by_clip=worse),
    }
    found = {one['claim']: (one['verdict'], one['evidence']) for one in paper_claims(run)}
    assert {claim.split(' (')[0]: verdict for claim, (verdict, _) in found.items()} == {
        'full face above parts': 'yes',
        'parts and full face above the full face': 'no',
        'colour above grey': 'cannot be told',
        'microx: covering the mouth costs accuracy': 'no',
        'microx:face: covering the mouth costs accuracy': 'yes',
    }
    (evidence,) = (text for claim, (_, text) in found.items() if claim.startswith('full'))
    assert evidence == 'microx:face minus microx:parts: +0.500 [+0.500, +0.500]'


def test_table_has_dashes_for_missing_metrics():
    head, rows = results_table([result('microx'), result('lstm', bytes=None, ms_per_frame=None)])
    assert len(head) == len(rows[0]) == len(rows[1])
    assert rows[0][7:10] == ['1,234', '5', '1.50']
    assert rows[1][8:10] == ['-', '-']
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
    text = report_page(results, ['Made.'], facts, 'z.png', NOTHING)
    assert '- lstm: too short' in text and '**LOUD**' in text and '- 2 clips' in text
    assert '| truth b | 1 | 1 | 0 |' in text
    assert '| b | 2 | 0 | 1 | 1 |' in text


def test_what_holds_of_several_models_is_said_once():
    notes = [
        'XCEPTION IS RANDOM',
        'lstm repeats a frame',
        'ours skips one',
        'bi-lstm repeats a frame',
    ]
    assert joined_notes(notes, ['lstm', 'bi-lstm', 'ours']) == [
        'XCEPTION IS RANDOM',
        'lstm, bi-lstm: each repeats a frame',
        'ours skips one',
    ]


def test_pictures_are_drawn():
    for content in (
        comparison_chart([result('microx'), result('lstm', bytes=None)], 'made', NOTHING),
        confusions_chart(result('microx'), ABC),
    ):
        assert content.startswith(b'\x89PNG') and len(content) > 5000


def write_history(
    folder, losses: Sequence[float], scores: Sequence[float], monitor: str = ''
) -> None:
    folder.mkdir(parents=True)
    epochs = [
        {'epoch': number, 'train_loss': 1.0, 'loss': loss, 'accuracy': score, 'macro_f1': score}
        for number, (loss, score) in enumerate(zip(losses, scores), start=1)
    ]
    (folder / 'history.jsonl').write_text(''.join(json.dumps(one) + '\n' for one in epochs))
    if monitor:
        card = {'settings': {'fit': {'monitor': monitor}}}
        (folder / 'card.json').write_text(json.dumps(card))


def test_each_network_that_was_trained_has_its_curves(tmp_path):
    write_history(tmp_path / 'frame', [1.0, 0.5, 0.7], [0.5, 0.6, 0.7], 'loss')
    write_history(tmp_path / 'seed-2' / 'frame', [1.0, 0.6], [0.5, 0.6], 'loss')
    write_history(tmp_path / 'microx--face-grey', [1.0, 0.5, 0.7], [0.5, 0.6, 0.7])
    write_history(tmp_path / 'cnn-rnn--frame', [1.0], [0.5])
    write_history(tmp_path / 'cnn-rnn', [1.0], [0.5])
    write_history(tmp_path / 'another', [1.0], [0.5])
    results = [
        {'model': 'statistics', 'kind': 'statistics'},
        {'model': 'cnn-rnn', 'kind': 'cnn-rnn'},
        {'model': 'microx:face+grey', 'kind': 'microx'},
        {'model': 'shipped', 'kind': 'shipped'},
    ]
    found = trained_networks(tmp_path, results)
    assert [(one.name, [len(each) for each in one.histories], one.kept) for one in found] == [
        # Statistics are of the encodings of "frame", whose lowest loss is kept.
        ('frame', [3, 2], 2),
        ('cnn-rnn:frame', [1], 1),
        ('cnn-rnn', [1], 1),
        # The best accuracy is kept where nothing else is set.
        ('microx:face+grey', [3], 3),
    ]
    assert trained_networks(tmp_path, results[3:]) == []


def curves_of(monkeypatch, networks):
    """Return the figure that is drawn."""
    drawn = []
    monkeypatch.setattr(
        'emotion_estimator_training.zoo.curves.png', lambda figure: drawn.append(figure) or b''
    )
    curves_chart(networks)
    return drawn[0]


def test_curves_have_a_panel_for_each_network(tmp_path, monkeypatch):
    names = [f'lstm{number}' for number in range(5)]
    for name in names:
        write_history(tmp_path / name, [1.0, 0.4], [0.5, 0.6], 'loss')
        write_history(tmp_path / 'seed-9' / name, [1.0, 0.4, 0.6], [0.5, 0.6, 0.5], 'loss')
    found = trained_networks(tmp_path, [{'model': name, 'kind': 'own'} for name in names])
    figure = curves_of(monkeypatch, found)
    shown = [axis for axis in figure.axes if axis.axison]
    assert len(shown) == 2 * 5
    assert [axis.get_title() for axis in shown if axis.get_title()] == names
    loss = next(axis for axis in shown if axis.get_title() == 'lstm0')
    assert [list(line.get_ydata()) for line in loss.lines[2:4]] == [[1.0, 0.4], [1.0, 0.4, 0.6]]
    assert loss.lines[2].get_linewidth() > 2 * loss.lines[3].get_linewidth()
    assert list(loss.lines[-1].get_xdata()) == [2, 2]
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert 'validation loss' in said and 'epoch kept' in said and said[-1].startswith('other seeds')


def test_curves_of_one_network_and_one_epoch_are_a_picture(tmp_path):
    write_history(tmp_path / 'lstm', [1.0], [0.5])
    found = trained_networks(tmp_path, [{'model': 'lstm', 'kind': 'sequence'}])
    assert curves_chart(found).startswith(b'\x89PNG')
