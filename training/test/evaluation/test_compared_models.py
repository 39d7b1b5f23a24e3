"""The compared models: which are found, and one branch of a recognizer."""

from __future__ import annotations

import numpy as np

from emotion_estimator.model_card import models_dir
from emotion_estimator_training.data.grouping import load_grouping
from emotion_estimator_training.evaluation.compared_models import OneBranch, gather_models


def test_missing_networks_are_said_and_do_not_fail(tmp_path) -> None:
    models = gather_models(tmp_path, models_dir(), load_grouping())
    assert list(models.recognizers) == [
        'streaming, blendshapes',
        'streaming, appearance',
        'streaming',
    ]
    assert any('training fit paper' in note for note in models.notes)
    assert len(models.files['streaming']['sha256']) == 64
    other = gather_models(tmp_path, models_dir(), load_grouping('positive-negative'))
    assert not other.recognizers
    assert any('left out' in note for note in other.notes)


def test_one_branch_hides_the_other() -> None:
    class Remembers:
        name, labels = 'streaming', ('a',)

        def stills(self, vectors):
            return vectors[:, -2:]

        sequences = None

    both = np.ones((1, 118), np.float32)
    assert OneBranch(Remembers(), 'blendshapes').stills(both).tolist() == [[0, 1]]
    assert OneBranch(Remembers(), 'appearance').stills(both).tolist() == [[1, 0]]
