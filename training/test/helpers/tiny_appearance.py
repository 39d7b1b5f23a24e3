"""Stills that a tiny appearance network learns in seconds, and that network, trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emotion_estimator_training.data.stills import Stills
from emotion_estimator_training.features.crops import CropVariation
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.features.people import PeopleSet
from emotion_estimator_training.models.appearance_network import AppearanceFit, AppearanceSettings
from emotion_estimator_training.models.appearance_run import Part
from emotion_estimator_training.models.branches import BranchSettings

# Without dropout, so that nothing but the batches' numbers decides.
SETTINGS = AppearanceSettings(
    widths=(4, 6, 8),
    narrow=4,
    places=2,
    dropout=0.0,
    branches=BranchSettings(embedding=6, blendshapes=8, joined=8, dropout=0.0),
)
# As many steps as the means of batch normalization need.
FIT = AppearanceFit(epochs=15, batch=12, learning_rate=1e-2, average=0.9, calm=2, seed=7)
VARIATION = CropVariation()
PLAN = {'last': Part(SETTINGS, FIT, VARIATION)}


def made_stills(votes: bool = False) -> Stills:
    """Return 96 stills of Training and 48 of PublicTest: happy has a bright bar below, sad above.

    :param votes: FER+'s annotators agree, but find no face in one still.
    """
    rng = np.random.default_rng(6)
    emotion = np.tile([3, 4], 72)
    pixels = rng.integers(60, 140, (144, 48, 48))
    pixels[emotion == 3, 30:40, 8:40] += 90
    pixels[emotion == 4, 8:18, 8:40] += 90
    usage = np.repeat([0, 1], [96, 48])
    votes_of_stills = np.zeros((144, 10), np.uint8)
    votes_of_stills[np.arange(144), np.where(emotion == 3, 1, 3)] = 10
    votes_of_stills[5] = np.eye(10, dtype=np.uint8)[9] * 10
    return Stills(
        pixels.astype(np.uint8),
        emotion,
        usage,
        np.arange(144),
        np.zeros(144, bool),
        ferplus_votes=votes_of_stills if votes else None,
    )


def made_scores(stills: Stills) -> FeatureSet:
    """Return blendshapes of the stills but every fifth, in which no face was seen: smile, frown."""
    rng = np.random.default_rng(7)
    scores = rng.uniform(0, 0.2, (144, 52)).astype(np.float32)
    scores[stills.emotion == 3, 44:46] += 0.6
    scores[stills.emotion == 4, 30:32] += 0.6
    seen = np.flatnonzero(np.arange(144) % 5)
    return FeatureSet(
        'face_mesh',
        scores[seen],
        stills.emotion[seen],
        stills.usage[seen],
        seen,
        np.zeros(len(seen), bool),
        np.zeros(len(seen), bool),
        stills.pixels[seen],
    )


#: Each still is its own crop.
MATRICES, FOUND = np.tile(np.eye(2, 3, dtype=np.float32), (144, 1, 1)), np.ones(144, bool)


@dataclass(frozen=True)
class Trained:
    """A run folder with the trained float network, and its history."""

    run: Path
    table: dict[str, Any]


def train(
    run: Path,
    votes: bool = False,
    plan: Mapping[str, Part] = PLAN,
    name: str = 'last',
    people: PeopleSet | None = None,
) -> Trained:
    """Train a part of it."""
    from emotion_estimator_training.data.grouping import load_grouping
    from emotion_estimator_training.models.appearance_run import run_appearance

    stills = made_stills(votes)
    return Trained(
        run,
        run_appearance(
            run,
            stills,
            MATRICES,
            FOUND,
            [made_scores(stills)],
            load_grouping(),
            plan,
            name,
            people,
        ),
    )


def ship(trained: Trained, models: Path) -> Path:
    """Write it as the robot's file; return the card's path."""
    from emotion_estimator_training.shipping.appearance import ship_appearance

    return ship_appearance(
        trained.run,
        made_stills(),
        MATRICES,
        FOUND,
        models,
        PLAN,
        {'last': trained.table},
    )
