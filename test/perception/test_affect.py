from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.affect import COORDINATES, Affect, affect
from emotion_estimator.emotion import LABELS

SEVEN = tuple(COORDINATES)

any_number = st.floats(width=32, allow_nan=True, allow_infinity=True)
labels = st.sampled_from((*LABELS, *COORDINATES, 'bored', ''))
anything = st.lists(st.tuples(labels, any_number), max_size=8)


@st.composite
def distributions(draw, labels=LABELS):
    """Probabilities of so many labels that sum to 1."""
    weights = [draw(st.floats(0, 1)) + 1e-6 for _ in labels]
    return [weight / sum(weights) for weight in weights]


def of(distribution):
    return affect(zip(LABELS, distribution))


def test_a_certain_class_is_its_own_point():
    assert affect([('happy', 1.0)]) == COORDINATES['happy']
    assert affect([('happy', 0.0), ('unknown', 0.0), ('sad', 1.0)]) == COORDINATES['sad']


def test_unknown_or_nothing_is_the_origin():
    assert affect([('unknown', 1.0)]) == affect([('bored', 1.0)]) == affect([]) == Affect(0.0, 0.0)


def test_happy_is_pleasant_and_aroused_and_sad_neither():
    assert COORDINATES['happy'].valence > 0 and COORDINATES['happy'].arousal > 0
    assert COORDINATES['sad'].valence < 0 and COORDINATES['sad'].arousal < 0


@pytest.mark.parametrize(
    ('label', 'valence', 'arousal'),
    [('angry', -1, 1), ('disgust', -1, 1), ('fear', -1, 1), ('surprise', 1, 1), ('neutral', 0, 0)],
)
def test_the_other_expressions_lie_in_the_quadrants_of_the_circumplex(label, valence, arousal):
    assert np.sign(COORDINATES[label]).tolist() == [valence, arousal]


@given(distributions(SEVEN))
def test_of_seven_it_lies_within_their_points(distribution):
    point = affect(zip(SEVEN, distribution))
    for value, ends in zip(point, zip(*COORDINATES.values())):
        assert min(ends) - 1e-9 <= value <= max(ends) + 1e-9


def test_half_and_half_lies_between():
    happy, sad = COORDINATES['happy'], COORDINATES['sad']
    assert of([0.5, 0, 0.5]) == pytest.approx(
        ((happy.valence + sad.valence) / 2, (happy.arousal + sad.arousal) / 2)
    )
    assert of([0.5, 0.5, 0]) == pytest.approx((happy.valence / 2, happy.arousal / 2))


@given(anything)
def test_in_range_whatever_comes(pairs):
    point = affect(pairs)
    assert all(type(value) is float and -1 <= value <= 1 for value in point)


@given(distributions())
def test_never_beyond_the_labels_own_points(distribution):
    valence, arousal = of(distribution)
    assert COORDINATES['sad'].valence <= valence <= COORDINATES['happy'].valence
    assert COORDINATES['sad'].arousal <= arousal <= COORDINATES['happy'].arousal


@given(st.permutations(LABELS), distributions())
def test_the_order_of_the_labels_does_not_matter(order, distribution):
    by_label = dict(zip(LABELS, distribution))
    assert affect((label, by_label[label]) for label in order) == pytest.approx(of(distribution))


@given(distributions(), distributions())
def test_continuous(one, other):
    step = sum(abs(a - b) for a, b in zip(one, other))
    for a, b in zip(of(one), of(other)):
        # Lipschitz with the greatest coordinate.
        assert abs(a - b) <= 0.81 * step + 1e-9


@given(distributions(), st.floats(0.001, 1))
def test_more_of_happy_is_more_pleasant_and_more_aroused(distribution, share):
    moved = [p * (1 - share) for p in distribution]
    moved[LABELS.index('happy')] += share
    before, after = of(distribution), of(moved)
    assert after.valence >= before.valence - 1e-9 and after.arousal >= before.arousal - 1e-9


@given(anything)
def test_what_is_no_number_counts_as_nothing(pairs):
    clean = [(label, weight) for label, weight in pairs if not math.isnan(weight)]
    assert affect(pairs) == affect(clean)


def test_numpys_numbers_are_welcome():
    probabilities = np.array([0.2, 0.3, 0.5], np.float32)
    assert of(probabilities) == pytest.approx(of([0.2, 0.3, 0.5]), abs=1e-6)
