"""The label of a face: the most probable one, chosen by thresholds, or unknown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from emotion_estimator.emotion import EXPRESSIONS, LABELS, UNKNOWN
from emotion_estimator.perception.label_choice import choose_label

THRESHOLD = st.floats(0, 1)
ABOVE_ZERO = st.floats(0.01, 1)
VOCABULARY = st.sampled_from([LABELS, EXPRESSIONS, ('angry', 'sad', 'neutral'), ('fear', 'calm')])


def row(*values):
    return np.array(values, np.float32)


@st.composite
def faces(draw):
    """Draw labels and their probabilities."""
    labels = draw(VOCABULARY)
    weights = draw(st.lists(st.floats(0.01, 1), min_size=len(labels), max_size=len(labels)))
    return labels, np.array(weights, np.float32) / np.float32(sum(weights))


def test_without_a_threshold_the_most_probable_label_wins():
    assert choose_label(LABELS, row(0.3, 0.3, 0.4)) == ('sad', pytest.approx(0.4))


def test_below_the_threshold_it_abstains_and_keeps_the_confidence():
    assert choose_label(LABELS, row(0.3, 0.3, 0.4), 0.5) == ('unknown', pytest.approx(0.4))
    assert choose_label(LABELS, row(0.3, 0.1, 0.6), 0.5) == ('sad', pytest.approx(0.6))


def test_at_the_threshold_it_does_not_abstain():
    assert choose_label(LABELS, row(0.5, 0.25, 0.25), 0.5).label == 'happy'
    assert choose_label(LABELS, row(1.0, 0.0, 0.0), 1.0).label == 'happy'
    assert choose_label(LABELS, row(0.7, 0.2, 0.1), 0.7).label == 'happy'


def test_the_seven_expressions_have_an_unknown_too():
    values = row(0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1)
    assert choose_label(EXPRESSIONS, values).label == 'angry'
    assert choose_label(EXPRESSIONS, values, 0.5) == ('unknown', pytest.approx(0.4))


@given(st.lists(st.floats(0.01, 1), min_size=7, max_size=7), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_only_abstains_more(weights, one, other):
    probabilities = np.array(weights, np.float32) / np.float32(sum(weights))
    low, high = (float(np.float32(value)) for value in sorted((one, other)))
    before = choose_label(EXPRESSIONS, probabilities, low)
    after = choose_label(EXPRESSIONS, probabilities, high)
    assert after.label in (before.label, 'unknown')
    assert before.confidence == after.confidence == float(probabilities.max())
    assert (after.label == 'unknown') == (after.confidence < high)


@pytest.mark.parametrize(
    ('probabilities', 'sad', 'happy', 'label', 'confidence'),
    [
        # Sad exactly from its threshold on, whether or not it is the most probable.
        ((0.1, 0.5, 0.4), 0.4, 0.0, 'sad', 0.4),
        ((0.1, 0.5, 0.4), 0.41, 0.0, 'unknown', 0.5),
        ((0.1, 0.2, 0.7), 0.7, 0.0, 'sad', 0.7),
        ((0.1, 0.2, 0.7), 0.71, 0.0, 'unknown', 0.2),
        ((0.45, 0.5, 0.05), 0.0, 0.45, 'happy', 0.45),
        ((0.7, 0.2, 0.1), 0.0, 0.71, 'unknown', 0.2),
        # Not sad enough is no reason to be called happy.
        ((0.3, 0.2, 0.5), 0.6, 0.0, 'unknown', 0.2),
        # Both reach theirs: the more probable.
        ((0.4, 0.3, 0.3), 0.3, 0.3, 'happy', 0.4),
        ((0.3, 0.3, 0.4), 0.3, 0.3, 'sad', 0.4),
        # The most probable label reaches a threshold of 0.
        ((0.7, 0.05, 0.25), 0.2, 0.0, 'happy', 0.7),
        ((0.3, 0.45, 0.25), 0.2, 0.0, 'sad', 0.25),
        # Only one reaches its own.
        ((0.4, 0.25, 0.35), 0.3, 0.5, 'sad', 0.35),
    ],
)
def test_thresholds_choose_among_three_labels(probabilities, sad, happy, label, confidence):
    chosen = choose_label(LABELS, row(*probabilities), sad_threshold=sad, happy_threshold=happy)
    assert chosen == (label, pytest.approx(confidence))


def test_of_seven_labels_the_best_of_the_others_remains():
    values = row(0.1, 0.05, 0.05, 0.1, 0.4, 0.05, 0.25)
    assert choose_label(EXPRESSIONS, values).label == 'sad'
    assert choose_label(EXPRESSIONS, values, sad_threshold=0.5) == ('neutral', pytest.approx(0.25))
    assert choose_label(EXPRESSIONS, values, sad_threshold=0.3).label == 'sad'


def test_what_thresholds_chose_is_withheld_if_it_is_improbable():
    values = row(0.1, 0.5, 0.4)
    assert choose_label(LABELS, values, 0.4, sad_threshold=0.3) == ('sad', pytest.approx(0.4))
    assert choose_label(LABELS, values, 0.45, sad_threshold=0.3) == (
        'unknown',
        pytest.approx(0.4),
    )


def test_a_model_without_other_labels_has_an_unknown_too():
    labels = ('happy', 'sad')
    assert choose_label(labels, row(0.4, 0.6), sad_threshold=0.7) == ('unknown', pytest.approx(0.6))
    assert choose_label(labels, row(0.4, 0.6), sad_threshold=0.6).label == 'sad'
    assert choose_label(labels, row(0.6, 0.4), sad_threshold=0.7).label == 'happy'


@given(faces(), THRESHOLD)
def test_without_thresholds_nothing_changes(face, abstain_below):
    labels, probabilities = face
    best = int(np.argmax(probabilities))
    said = choose_label(
        labels, probabilities, abstain_below, sad_threshold=0.0, happy_threshold=0.0
    )
    unsure = probabilities[best] < np.float32(abstain_below)
    assert said == (UNKNOWN if unsure else labels[best], float(probabilities[best]))


@given(faces(), ABOVE_ZERO, ABOVE_ZERO, THRESHOLD, st.sampled_from(['sad', 'happy']))
def test_raising_a_threshold_never_adds_its_label(face, one, another, other_label, label):
    labels, probabilities = face
    other = 'happy_threshold' if label == 'sad' else 'sad_threshold'
    at = [
        choose_label(
            labels, probabilities, **{f'{label}_threshold': value, other: other_label}
        ).label
        for value in sorted((one, another))
    ]
    assert at[1] != label or at[0] == label


@given(faces(), st.floats(0.5, 1))
def test_a_threshold_of_half_or_more_adds_none_to_the_models_own_point(face, threshold):
    labels, probabilities = face
    if choose_label(labels, probabilities, sad_threshold=threshold).label == 'sad':
        assert probabilities[labels.index('sad')] == probabilities.max()


@given(faces(), ABOVE_ZERO, ABOVE_ZERO)
def test_sad_exactly_where_it_reaches_its_threshold_and_happy_is_not_preferred(
    face, sad_threshold, happy_threshold
):
    labels, probabilities = face
    p = dict(zip(labels, probabilities))
    sad = 'sad' in p and p['sad'] >= np.float32(sad_threshold)
    happy = 'happy' in p and p['happy'] >= np.float32(happy_threshold)
    said = choose_label(
        labels, probabilities, sad_threshold=sad_threshold, happy_threshold=happy_threshold
    )
    assert said.confidence == float(p[said.label])
    if sad and happy:
        assert said.confidence == float(max(p['sad'], p['happy']))
        assert said.label in ('sad', 'happy')
    elif sad or happy:
        assert said.label == ('sad' if sad else 'happy')
    else:
        others = {label: value for label, value in p.items() if label not in ('sad', 'happy')}
        assert said.label in others and said.confidence == float(max(others.values()))


@given(faces())
def test_a_threshold_of_one_takes_certainty(face):
    labels, probabilities = face
    assume(probabilities.max() < 1)
    said = choose_label(labels, probabilities, sad_threshold=1.0, happy_threshold=1.0)
    assert said.label not in ('sad', 'happy')
    assert choose_label(LABELS, row(0, 0, 1), sad_threshold=1.0).label == 'sad'
