"""Losses, class weights and settings of the papers' networks."""

from __future__ import annotations

import numpy as np
import pytest

from emotion_estimator.errors import InputError
from emotion_estimator_training.models.losses import class_weights, loss_named
from emotion_estimator_training.models.paper_settings import STILL_MODELS, still_settings

LABEL = np.array([0] * 6 + [1] * 3 + [2])


def test_balanced_weights_make_every_label_count_alike():
    weights = class_weights('balanced', LABEL, 3)
    sums = [weights[label] * (label == LABEL).sum() for label in range(3)]
    assert sums == pytest.approx([10 / 3] * 3)


def test_weights_may_be_given_or_left_out():
    assert class_weights('1,0.5, 2', LABEL, 3) == {0: 1.0, 1: 0.5, 2: 2.0}
    assert class_weights('none', LABEL, 3) is None


@pytest.mark.parametrize('choice', ['', '1,2', '1,2,3,4', '1,2,x', '1,-2,3', '1,nan,3', '1,inf,3'])
def test_odd_weights_are_refused_in_one_line(choice):
    with pytest.raises(InputError, match='3 numbers over 0') as caught:
        class_weights(choice, LABEL, 3)
    assert '\n' not in str(caught.value)


def test_paper_settings_are_those_published():
    paper = still_settings('paper', 'published')
    assert paper.units == (52, 16, 48, 44)
    assert (paper.learning_rate, paper.l2, paper.batch) == (1.0955e-6, 1.95e-6, 128)
    assert (paper.epochs, paper.global_clipnorm, paper.amsgrad) == (5000, 1.0, True)


@pytest.mark.parametrize('model', STILL_MODELS)
def test_short_schedule_changes_only_rate_and_epochs(model):
    short, published = (still_settings(model, name) for name in ('short', 'published'))
    changed = {name for name in vars(short) if getattr(short, name) != getattr(published, name)}
    assert changed == {'learning_rate', 'cosine', 'epochs', 'patience'}


def test_settings_take_changes_but_not_none():
    settings = still_settings('dense', loss='focal', epochs=None, seed=3)
    assert (settings.loss, settings.seed) == ('focal', 3)
    assert settings.epochs == still_settings('dense').epochs


def test_only_a_constant_rate_can_be_trained_for_longer():
    def identity(schedule, epochs):
        return still_settings('paper', schedule, epochs=epochs).identity()

    assert identity('published', 10) == identity('published', 20)
    assert identity('short', 10) != identity('short', 20)


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="unknown model 'papre'"):
        still_settings('papre')
    with pytest.raises(InputError, match="unknown schedule 'long'"):
        still_settings('paper', 'long')


def test_losses_are_the_papers_equations():
    pytest.importorskip('tf_keras', reason='needs tf_keras (pip install ./training)')
    truth = np.array([[0, 1, 0]], np.float32)
    guess = np.array([[0.2, 0.7, 0.1]], np.float32)
    entropy = -np.log(0.7)
    assert float(loss_named('cce')(truth, guess)) == pytest.approx(entropy, abs=1e-6)
    assert float(loss_named('mse')(truth, guess)) == pytest.approx((0.04 + 0.09 + 0.01) / 3)
    focal = 0.25 * (1 - 0.7) ** 2 * entropy
    assert float(loss_named('focal')(truth, guess)) == pytest.approx(focal, abs=1e-6)


def test_unknown_loss_is_refused():
    pytest.importorskip('tf_keras', reason='needs tf_keras (pip install ./training)')
    with pytest.raises(InputError, match='cce, mse, focal'):
        loss_named('hinge')
