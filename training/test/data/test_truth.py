"""What to learn from labels and votes: targets are shares of votes, and not all count alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator_training.data.stills import FER_CLASSES, FERPLUS_CLASSES, Stills
from emotion_estimator_training.data.truth import (
    TruthSettings,
    joined,
    majority_of_votes,
    truth_of_labels,
    truth_of_stills,
)

HAPPY, SAD, NEUTRAL, ANGRY, DISGUST = (
    FER_CLASSES.index(name) for name in ('happy', 'sad', 'neutral', 'angry', 'disgust')
)
#: The votes' shares and the labels alone.
PLAIN = TruthSettings(own=0.0, smoothing=0.0)


def stills(votes: list[dict[str, int]] | None, emotion: list[int] | None = None) -> Stills:
    """Return stills of which ten people say ``votes``."""
    count = len(emotion) if votes is None else len(votes)
    table = np.zeros((count, 10), np.uint8)
    for row, said in enumerate(votes or []):
        for name, number in said.items():
            table[row, FERPLUS_CLASSES.index(name)] = number
    return Stills(
        np.zeros((count, 48, 48), np.uint8),
        np.full(count, SAD) if emotion is None else np.array(emotion),
        np.zeros(count, np.int64),
        np.arange(count),
        np.zeros(count, bool),
        ferplus_votes=None if votes is None else table,
    )


def test_a_target_is_the_votes_shares() -> None:
    [target] = truth_of_stills(stills([{'neutral': 6, 'angry': 4}]), PLAIN).target
    assert target[NEUTRAL] == pytest.approx(0.6) and target[ANGRY] == pytest.approx(0.4)
    [target] = truth_of_stills(
        stills([{'neutral': 6, 'angry': 4}]), TruthSettings(own=0.2, smoothing=0.07)
    ).target
    assert target[NEUTRAL] == pytest.approx(0.93 * 0.8 * 0.6 + 0.01)
    assert target[SAD] == pytest.approx(0.93 * 0.2 + 0.01), 'the label'
    assert target[HAPPY] == pytest.approx(0.01)


def test_a_single_vote_is_dropped_and_two_are_not() -> None:
    targets = truth_of_stills(
        stills([{'happy': 9, 'fear': 1}, {'happy': 8, 'fear': 2}]), PLAIN
    ).target
    np.testing.assert_allclose(targets[:, HAPPY], [1, 0.8])


def test_votes_for_what_is_no_class_lower_the_weight() -> None:
    clear, half, nobody = truth_of_stills(
        stills(
            [
                {'happy': 10},
                {'happy': 5, 'contempt': 3, 'unknown': 2},
                {'happy': 5, 'no face': 5},
            ]
        ),
        PLAIN,
    ).weight
    assert clear == pytest.approx(1)
    assert half == pytest.approx(0.3 + 0.7 * 0.5)
    assert nobody == 0, 'half of them see no face'


def test_the_label_is_learned_with_little_weight_where_hardly_anybody_voted_for_a_class() -> None:
    how = TruthSettings(own=0.0, unvoted=0.25, smoothing=0.0)
    found = truth_of_stills(stills([{'happy': 2, 'unknown': 8}, {'happy': 3, 'unknown': 7}]), how)
    assert found.target[0].argmax() == SAD and found.target[1].argmax() == HAPPY
    rare = truth_of_labels(np.array([SAD]), np.ones(1, np.float32), how).weight[0]
    assert found.weight[0] == pytest.approx(0.25 * rare)


def test_without_votes_the_label_counts_in_full() -> None:
    found = truth_of_stills(stills(None, [HAPPY, DISGUST]), PLAIN)
    np.testing.assert_array_equal(found.target.argmax(axis=1), [HAPPY, DISGUST])
    np.testing.assert_allclose(found.target.max(axis=1), 1)
    assert found.weight[0] == pytest.approx(1)
    assert found.weight[1] > 1, 'rare classes count more'


def test_of_rare_classes_those_count_more_that_people_see() -> None:
    disgusted, labelled = truth_of_stills(
        stills([{'disgust': 10}, {'neutral': 10}], [NEUTRAL, DISGUST]), PLAIN
    ).weight
    assert disgusted > 2 and labelled == pytest.approx(1)


@given(
    votes=st.lists(
        st.lists(st.integers(0, 9), min_size=10, max_size=10).map(np.array), min_size=1, max_size=6
    ),
    own=st.floats(0, 1),
    smoothing=st.floats(0, 1),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_targets_are_probabilities_and_weights_not_negative(votes, own, smoothing, seed) -> None:
    count = len(votes)
    made = stills([{}] * count, list(np.random.default_rng(seed).integers(0, 7, count)))
    assert made.ferplus_votes is not None
    made.ferplus_votes[:] = votes
    before = made.ferplus_votes.copy()
    found = truth_of_stills(made, TruthSettings(own=own, smoothing=smoothing))
    np.testing.assert_allclose(found.target.sum(axis=1), 1, atol=1e-5)
    assert found.target.min() >= 0 and found.weight.min() >= 0
    assert np.isfinite(found.weight).all()
    np.testing.assert_array_equal(made.ferplus_votes, before)
    both = joined(found, found.of(np.arange(count)[::-1]))
    np.testing.assert_array_equal(both.weight, [*found.weight, *found.weight[::-1]])
    np.testing.assert_array_equal(both.target[count:], found.target[::-1])


def test_the_majority_of_votes_and_what_has_none() -> None:
    made = stills(
        [
            {'neutral': 6, 'happy': 4},
            {'neutral': 5, 'happy': 3, 'sad': 2},
            {'contempt': 7, 'happy': 3},
            {'no face': 10},
            {'sad': 8, 'happy': 2},
            {'angry': 9, 'happy': 1},
        ]
    )
    truth, usable, left_out = majority_of_votes(made)
    assert usable.tolist() == [True, False, False, False, True, True]
    assert truth[usable].tolist() == [NEUTRAL, SAD, ANGRY]
    assert left_out == {'no majority': 1, 'contempt': 1, 'unknown': 0, 'no face': 1}
    truth, usable, left_out = majority_of_votes(made, np.array([4, 3]))
    assert (truth.tolist(), usable.tolist()) == ([SAD, 0], [True, False])
    assert left_out == {'no majority': 0, 'contempt': 0, 'unknown': 0, 'no face': 1}


def test_without_votes_nobody_agrees() -> None:
    _, usable, left_out = majority_of_votes(stills(None, [HAPPY] * 3), np.arange(2))
    assert usable.tolist() == [False] * 2
    assert left_out == {'no majority': 2}
