"""Figures by person: the same as elsewhere, with intervals that know whose pictures are alike."""

from __future__ import annotations

import numpy as np
import pytest

from emotion_estimator.emotion import LABELS
from emotion_estimator_training.data.stills import FER_CLASSES, TO_LABEL
from emotion_estimator_training.evaluation.person_bootstrap import (
    PersonBootstrap,
    difference,
    figures,
    share,
    with_interval,
)
from emotion_estimator_training.evaluation.scores import classification

NEUTRAL, HAPPY = (FER_CLASSES.index(name) for name in ('neutral', 'happy'))


def _made(count: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    emotion = rng.choice(7, count, p=[0.1, 0.05, 0.05, 0.2, 0.2, 0.1, 0.3])
    seven = rng.dirichlet(np.ones(7), count)
    seven[np.arange(count), emotion] += 0.4
    seven /= seven.sum(axis=1, keepdims=True)
    three = seven @ np.eye(3)[TO_LABEL]
    return emotion, three.argmax(axis=1), three, seven


def test_figures_are_those_of_scores() -> None:
    emotion, label, three, seven = _made(400)
    rows = np.arange(400) % 5 > 0
    bootstrap = PersonBootstrap([str(n % 90) for n in range(400)])
    found = {k: v[0] for k, v in figures(bootstrap, emotion, label, three, seven, rows).items()}
    expected = classification(three[rows], TO_LABEL[emotion[rows]])
    assert found['n'] == expected['n'] == 320
    for key in ('accuracy', 'macro_f1', 'ece'):
        assert found[key] == pytest.approx(expected[key], abs=1e-4)
    for kind in ('recall', 'precision'):
        for name in LABELS:
            assert found[f'{kind}_{name}'] == pytest.approx(expected[kind][name], abs=1e-4)
    of_seven = classification(seven[rows], emotion[rows], FER_CLASSES)
    assert found['seven_accuracy'] == pytest.approx(of_seven['accuracy'], abs=1e-4)
    assert found['seven_recall_neutral'] == pytest.approx(of_seven['recall']['neutral'], abs=1e-4)
    neutral = rows & (emotion == NEUTRAL)
    assert found['neutral'] == neutral.sum()
    assert found['neutral_sad'] == pytest.approx((label[neutral] == 2).mean())
    assert found['neutral_happy'] == pytest.approx((label[neutral] == 0).mean())


def test_the_label_reported_counts_not_the_most_probable() -> None:
    emotion, _, three, seven = _made(50)
    label = np.ones(50, np.int64)
    found = figures(PersonBootstrap(['a'] * 50), emotion, label, three, seven, np.ones(50, bool))
    assert found['recall_unknown'][0] == 1 and found['recall_sad'][0] == 0


def test_intervals_are_wider_if_the_pictures_of_a_person_are_alike() -> None:
    rng = np.random.default_rng(2)
    right = np.repeat(rng.random(40) < 0.7, 25)[:, None].astype(float)
    ones = np.ones_like(right)
    widths = []
    for person in (np.repeat(np.arange(40), 25), np.arange(1000)):
        sums = PersonBootstrap(person.astype(str).tolist()).sums(np.hstack([right, ones]))
        value, low, high = with_interval(share(sums[:, 0], sums[:, 1]))
        assert low < value < high and value == pytest.approx(right.mean(), abs=1e-4)
        widths.append(high - low)
    # Of 25 alike, one counts: the square root of 25 times as wide.
    assert 3.5 < widths[0] / widths[1] < 6.5
    p = right.mean()
    assert widths[1] == pytest.approx(2 * 1.96 * np.sqrt(p * (1 - p) / 1000), rel=0.2)


def test_differences_are_of_the_same_draws() -> None:
    emotion, label, three, seven = _made(300)
    bootstrap = PersonBootstrap([str(n) for n in range(300)])
    one = figures(bootstrap, emotion, label, three, seven, np.ones(300, bool))
    assert difference(one, one)['accuracy'] == [0.0, 0.0, 0.0]


def test_what_cannot_be_counted_has_no_figure() -> None:
    emotion, label, three, seven = _made(20)
    emotion[:] = HAPPY
    found = figures(
        PersonBootstrap(['a', 'b'] * 10), emotion, label, three, seven, np.ones(20, bool)
    )
    assert with_interval(found['neutral_sad']) is None
    assert with_interval(found['recall_sad']) is None
    nothing = figures(
        PersonBootstrap(['a', 'b'] * 10), emotion, label, three, seven, np.zeros(20, bool)
    )
    assert with_interval(nothing['accuracy']) is None and with_interval(nothing['ece']) is None
    # One person: no draw differs.
    assert with_interval(np.array([0.5, np.nan])) == [0.5, None, None]
