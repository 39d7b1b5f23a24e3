"""The line between the labels, and how sure answers sound, on logits whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from emotion_estimator_training.data.grouping import load_grouping
from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.evaluation.scores import confusion, macro_f1
from emotion_estimator_training.models.operating_point import (
    calibrated_temperature,
    choose_class_operating_point,
    choose_operating_point,
    choose_robot_point,
    sharpen,
    softmax,
)

GROUPING = load_grouping()
DISGUST, HAPPY, SAD, NEUTRAL = (
    FER_CLASSES.index(name) for name in ('disgust', 'happy', 'sad', 'neutral')
)


def shy_of_sadness(count: int = 3000, shy: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a network that predicts "sad" too rarely, and the true classes."""
    rng = np.random.default_rng(1)
    emotion = rng.choice([HAPPY, SAD, NEUTRAL], count, p=[0.3, 0.2, 0.5])
    logits = rng.normal(0, 1, (count, 7)).astype(np.float32)
    logits[:, [one for one in range(7) if one not in (HAPPY, SAD, NEUTRAL)]] -= 8
    logits[np.arange(count), emotion] += 1.5
    logits[:, SAD] -= shy
    return logits, emotion


def figures(logits: np.ndarray, emotion: np.ndarray) -> tuple[float, float]:
    chosen = (softmax(logits) @ GROUPING.matrix).argmax(axis=1)
    matrix = confusion(GROUPING.to_label[emotion], chosen)
    return float(np.diag(matrix).sum() / matrix.sum()), macro_f1(matrix)


def test_a_network_that_is_shy_of_sadness_is_helped() -> None:
    logits, emotion = shy_of_sadness()
    point = choose_operating_point(
        [(logits, emotion)], GROUPING, accuracy_counts=0.0, least_counts=0.0
    )
    assert figures(logits + point, emotion)[1] > figures(logits, emotion)[1] + 0.01
    assert point[SAD] > point[HAPPY] + 0.5
    assert not np.delete(point, [HAPPY, SAD]).any()


def test_accuracy_counts_as_much_as_asked() -> None:
    sets = [shy_of_sadness(shy=0.0)]
    by_f1, by_accuracy = (choose_operating_point(sets, GROUPING, counts) for counts in (1.0, 100.0))
    # Macro-F1 wants rare labels more often than accuracy does.
    assert by_f1[SAD] > by_accuracy[SAD]
    assert (
        figures(sets[0][0] + by_accuracy, sets[0][1])[0]
        >= figures(sets[0][0] + by_f1, sets[0][1])[0]
    )


def test_the_least_recall_counts_as_much_as_asked() -> None:
    logits, emotion = shy_of_sadness()
    plain, fair = (
        choose_operating_point([(logits, emotion)], GROUPING, 1.0, one) for one in (0.0, 1.0)
    )
    least = [
        min(
            (softmax(logits + point).argmax(axis=1) == emotion)[emotion == one].mean()
            for one in (HAPPY, SAD, NEUTRAL)
        )
        for point in (plain, fair)
    ]
    assert least[1] > least[0] + 0.02
    assert fair[SAD] > plain[SAD], 'sad is the rarest, and predicted too rarely'


def test_both_sources_count() -> None:
    one, other = shy_of_sadness(shy=0.2), shy_of_sadness(shy=1.4)
    alone = [choose_operating_point([each], GROUPING)[SAD] for each in (one, other)]
    assert alone[0] < choose_operating_point([one, other], GROUPING)[SAD] < alone[1]


def eager_for_sadness(eager: float, clear: float = 2.2) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a network that predicts "sad" too often, and the true classes of 3,000 faces."""
    rng = np.random.default_rng(5)
    emotion = rng.choice([HAPPY, SAD, NEUTRAL], 3000, p=[0.3, 0.2, 0.5])
    logits = rng.normal(0, 1, (3000, 7)).astype(np.float32)
    logits[:, [one for one in range(7) if one not in (HAPPY, SAD, NEUTRAL)]] -= 8
    logits[np.arange(3000), emotion] += clear
    logits[:, SAD] += eager
    return logits, emotion


def neutral_called(logits: np.ndarray, emotion: np.ndarray, grouping=GROUPING) -> np.ndarray:
    """Return the share of neutral faces with each label."""
    labels = (softmax(logits[emotion == NEUTRAL]) @ grouping.matrix).argmax(axis=1)
    return np.bincount(labels, minlength=len(grouping.labels)) / len(labels)


HAPPY_LABEL, SAD_LABEL = (int(GROUPING.to_label[one]) for one in (HAPPY, SAD))


def test_a_robot_hardly_calls_neutral_people_sad_whatever_that_costs() -> None:
    logits, emotion = eager_for_sadness(-0.5)
    best = choose_operating_point([(logits, emotion)], GROUPING)
    assert neutral_called(logits + best, emotion)[[HAPPY_LABEL, SAD_LABEL]].min() > 0.03
    point = choose_robot_point([(logits, emotion)], [(logits, emotion)], GROUPING)
    called = neutral_called(logits + point, emotion)
    assert called[SAD_LABEL] <= 0.03 and called[HAPPY_LABEL] <= 0.03
    assert not np.delete(point, [HAPPY, SAD]).any()
    # The best of those that are allowed, not the most careful one.
    careful = np.zeros(7, np.float32)
    careful[[HAPPY, SAD]] = -0.8
    worth = [sum(figures(logits + one, emotion)) for one in (point, careful)]
    assert worth[0] > worth[1] + 0.03


def test_a_robots_limit_is_of_the_people_alone_and_where_it_costs_nothing_nothing_changes() -> None:
    sets = [shy_of_sadness(shy=0.0), eager_for_sadness(0.0, clear=3.5)]
    best = choose_operating_point(sets, GROUPING, least_counts=1.0)
    assert neutral_called(sets[0][0] + best, sets[0][1])[SAD_LABEL] > 0.03
    np.testing.assert_array_equal(choose_robot_point(sets, sets[1:], GROUPING, most=0.05), best)
    np.testing.assert_array_equal(choose_robot_point(sets, sets, GROUPING, most=1.0), best)
    assert choose_robot_point(sets, sets, GROUPING)[SAD] < best[SAD]


def test_where_no_point_is_allowed_the_fewest_neutral_people_are_called_sad_or_happy() -> None:
    logits, emotion = eager_for_sadness(4.0)
    point = choose_robot_point([(logits, emotion)], [(logits, emotion)], GROUPING, most=0.0)
    assert point[SAD] == pytest.approx(-0.8)
    assert neutral_called(logits + point, emotion)[SAD_LABEL] > 0.3


def test_a_label_that_neutral_faces_have_is_right_for_them() -> None:
    grouping = load_grouping('positive-negative')
    logits, emotion = eager_for_sadness(0.5)
    point = choose_robot_point([(logits, emotion)], [(logits, emotion)], grouping)
    assert neutral_called(logits + point, emotion, grouping)[grouping.to_label[SAD]] <= 0.03


def shy_of_disgust(shy: float, count: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a network that predicts a rare class too rarely, and the true classes."""
    rng = np.random.default_rng(3)
    emotion = rng.choice(7, count, p=[0.15, 0.05, 0.15, 0.2, 0.15, 0.1, 0.2])
    logits = rng.normal(0, 1, (count, 7)).astype(np.float32)
    logits[np.arange(count), emotion] += 2.5
    logits[:, DISGUST] -= shy
    return logits, emotion


def seven(logits: np.ndarray, emotion: np.ndarray) -> float:
    matrix = confusion(emotion, logits.argmax(axis=1), 7)
    return float(np.diag(matrix).sum() / matrix.sum()) + macro_f1(matrix)


def test_a_class_that_is_predicted_too_rarely_is_helped() -> None:
    even, shy = shy_of_disgust(0.0), shy_of_disgust(1.2)
    point = choose_class_operating_point([shy])
    assert point.shape == (7,)
    assert point[NEUTRAL] == 0, 'only differences count'
    assert seven(shy[0] + point, shy[1]) > seven(*shy) + 0.02
    # What was taken from it is given back, and nothing much to the others.
    assert point[DISGUST] - choose_class_operating_point([even])[DISGUST] == pytest.approx(
        1.2, abs=0.15
    )
    assert point.argmax() == DISGUST
    others = np.delete(point, DISGUST)
    assert np.abs(others).max() < point[DISGUST] - 0.2


def test_the_classes_operating_point_is_of_all_sets() -> None:
    one, other = shy_of_disgust(0.2), shy_of_disgust(1.2)
    alone = [choose_class_operating_point([each])[DISGUST] for each in (one, other)]
    assert alone[0] < choose_class_operating_point([one, other])[DISGUST] < alone[1]


@pytest.mark.parametrize('scale', [0.8, 1.0, 1.5])
def test_a_known_temperature_is_found(scale: float) -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 1.5, (20000, 3)).astype(np.float32)
    true = softmax(logits)
    truth = (true.cumsum(axis=1) < rng.random((len(true), 1))).sum(axis=1)
    # Told ``scale`` times too surely.
    found = calibrated_temperature([(softmax(logits * scale), truth)])
    assert found == pytest.approx(scale, abs=0.07)


@given(st.integers(0, 1000), st.floats(0.6, 2.0))
@settings(max_examples=25, deadline=None)
def test_a_temperature_changes_no_label(seed: int, temperature: float) -> None:
    raw = np.random.default_rng(seed).random((20, 3)).astype(np.float32) + 0.01
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    sharp = sharpen(probabilities, temperature)
    np.testing.assert_allclose(sharp.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(sharp.argmax(axis=1), probabilities.argmax(axis=1))
    assume(abs(temperature - 1) > 0.01)
    more_even = sharp.max(axis=1) <= probabilities.max(axis=1) + 1e-4
    assert more_even.all() if temperature >= 1 else (~more_even).any()
