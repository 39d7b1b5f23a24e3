"""Odd values in an emotion are recognized and named."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from emotion_estimator.dialogue.observation import oddity, vote_of
from emotion_estimator.emotion import LABELS, FaceEmotion, Roi

FACE = FaceEmotion(
    'face_1', 'sad', 0.7, LABELS, np.array([0.1, 0.2, 0.7], np.float32), Roi(0, 0, 9, 9)
)


@pytest.mark.parametrize(
    'face',
    [
        None,
        FACE,
        # As some publish it: the label and no more; and what rounding does.
        replace(FACE, labels=(), probabilities=np.zeros(0, np.float32)),
        replace(FACE, confidence=1.0000001),
        # A model of other labels, none of which is likely enough.
        replace(FACE, label='unknown', labels=('angry', 'neutral', 'sad'), confidence=0.4),
    ],
)
def test_valid_faces_are_not_odd(face):
    assert oddity(face) == ''


@pytest.mark.parametrize(
    ('changes', 'says'),
    [
        ({'label': ''}, 'the label is empty'),
        ({'confidence': math.nan}, 'confidence nan is outside 0 to 1'),
        ({'confidence': -0.1}, 'confidence -0.1 is outside 0 to 1'),
        ({'labels': ('sad',)}, '1 labels have 3 probabilities'),
        ({'probabilities': np.array([0.1, math.inf, 0.2])}, 'a probability is outside 0 to 1'),
        ({'probabilities': np.array([0.1, math.nan, 0.2])}, 'a probability is outside 0 to 1'),
        ({'probabilities': np.array([0.1, -0.5, 0.2])}, 'a probability is outside 0 to 1'),
        ({'label': 'x' * 5000}, f"'{'x' * 40}' is none of the labels"),
    ],
)
def test_odd_values_are_named(changes, says):
    assert oddity(replace(FACE, **changes)) == says


def voted(label, confidence, *probabilities):
    face = replace(
        FACE,
        label=label,
        confidence=confidence,
        probabilities=np.array(probabilities, np.float32),
    )
    vote = vote_of(face)
    return vote.label, pytest.approx(vote.weight, abs=1e-6)


def test_a_lead_casts_the_vote_and_a_tie_none():
    assert voted('sad', 0.7, 0.1, 0.2, 0.7) == ('sad', 1.0)
    assert voted('sad', float(np.float32(0.45)), 0.2, 0.35, 0.45) == ('sad', 0.5)
    assert voted('sad', 0.5, 0.0, 0.5, 0.5) == ('unknown', 1.0)


def test_a_label_that_a_threshold_chose_casts_a_vote_too():
    third, half = float(np.float32(0.3)), float(np.float32(0.45))
    assert voted('sad', third, 0.1, 0.6, 0.3) == ('sad', 1.0)
    assert voted('sad', half, 0.0, 0.55, 0.45) == ('sad', 0.5)
    # Sad, but not by enough.
    assert voted('unknown', third, 0.1, 0.3, 0.6) == ('unknown', 1.0)


@pytest.mark.parametrize('confidence', [0.2, 0.0, math.nan])
def test_a_confidence_that_is_not_the_labels_is_no_choice(confidence):
    assert voted('sad', confidence, 0.1, 0.6, 0.3) == ('unknown', 1.0)
