"""What may ship: the gate, the rule that chooses one of several, and their table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emotion_estimator.errors import ModelError
from emotion_estimator_training.shipping.parity import (
    LEAST_AGREEMENT,
    Candidate,
    Parity,
    ParityError,
    choose,
    parity,
    parity_table,
)

GOOD, POOR = Parity(12000, 0.997, 0.02, 0.001), Parity(12000, 0.9899, 0.3, 0.05)


def candidate(name: str, size: int = 100, us: float = 10.0, **changed) -> Candidate:
    values = {'parity': {'a': GOOD, 'b': GOOD}, 'failures': {}, 'step_us': {'a': 1.0, 'b': us}}
    return Candidate(name, size, **{**values, **changed})


def probabilities(frames: int, seed: int = 3) -> np.ndarray:
    raw = np.random.default_rng(seed).random((4, frames // 4, 3)).astype(np.float32)
    return raw / raw.sum(axis=-1, keepdims=True)


def test_the_same_answers_are_at_parity() -> None:
    answers = probabilities(400)
    assert parity(answers, answers) == Parity(400, 1.0, 0.0, 0.0)


def test_differences_are_counted_by_frame() -> None:
    reference = np.tile(np.array([0.5, 0.3, 0.2], np.float32), (2, 50, 1))
    answers = reference.copy()
    answers[0, :3] = [0.2, 0.6, 0.2]
    found = parity(answers, reference)
    assert found.frames == 100
    assert found.agreement == 0.97
    assert found.greatest == pytest.approx(0.3, abs=1e-5)
    assert found.mean == pytest.approx(3 * 0.6 / 300, abs=1e-5)


@given(st.floats(0, 1))
@example(3.2738556874868174e-06)
def test_a_mixture_is_never_nearer_than_it_is(share: float) -> None:
    reference, other = probabilities(40), probabilities(40, 5)
    found = parity(reference + np.float32(share) * (other - reference), reference)
    assert 0 <= found.agreement <= 1
    assert found.mean <= found.greatest <= 1
    assert found.greatest <= share + 1e-5


def test_what_is_not_finite_is_refused() -> None:
    answers = probabilities(40)
    answers[0, 0, 0] = np.nan
    with pytest.raises(ParityError, match='not finite'):
        parity(answers, probabilities(40))


def test_the_gate_names_the_metrics_of_every_candidate() -> None:
    failed = candidate('c', parity={}, failures={'a': 'no LOG'}, step_us={})
    with pytest.raises(ParityError) as caught:
        choose([candidate('one', parity={'a': GOOD, 'b': POOR}), failed])
    text = str(caught.value)
    assert isinstance(caught.value, ModelError)
    assert '\n' not in text
    for words in ('one', '98.99%', '12000', '99%', '0.300', ' b,', 'c: a cannot run it: no LOG'):
        assert words in text


def test_a_runtime_that_cannot_run_it_is_enough_to_refuse() -> None:
    assert not candidate('a').refused
    assert 'old cannot run it: x' in candidate('a', failures={'old': 'x'}).refused
    assert candidate('a', parity={}).refused


def test_at_the_limit_is_enough() -> None:
    exact = Parity(100, LEAST_AGREEMENT, 0.1, 0.0)
    assert not candidate('a', parity={'a': exact}).refused


def test_the_fastest_in_its_slowest_runtime_is_taken() -> None:
    slow_somewhere = candidate('s', us=30.0, size=1)
    assert choose([slow_somewhere, candidate('f', us=20.0)]).name == 'f'


def test_within_a_tenth_the_smallest_is_taken() -> None:
    fast, small = candidate('fast', us=10.0), candidate('small', size=50, us=10.9)
    assert choose([fast, small]).name == 'small'
    assert choose([fast, candidate('small', size=50, us=11.1)]).name == 'fast'


def test_a_refused_one_is_not_taken_however_fast() -> None:
    poor = candidate('poor', size=1, us=1.0, parity={'a': POOR})
    assert choose([poor, candidate('good')]).name == 'good'


def test_the_table_shows_the_worse_value_and_the_outcome() -> None:
    one = candidate('one', parity={'a': GOOD, 'b': POOR})
    metrics = {
        'chosen': 'two',
        'candidates': {
            'one': {**one.summary(), 'float_operators': ['LOG']},
            'two': {**candidate('two').summary(), 'float_operators': ['FULLY_CONNECTED', 'LOG']},
            'three': {**candidate('three').summary(), 'float_operators': []},
        },
    }
    head, rows = parity_table(metrics)
    assert len(head) == len(rows[0])
    assert rows[0][1:5] == [100, 'log', 0.9899, 0.3]
    assert '98.99%' in rows[0][-1]
    assert rows[1][2::4] == ['all', 'shipped']
    assert rows[2][2::4] == ['none', 'passes, not chosen']
