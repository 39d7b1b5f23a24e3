"""Which point of a face mirrors which."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('scipy', reason='training needs scipy (pip install ./training)')

from emotion_estimator_training.models.blendshape_head import mirror_partners


def test_mirror_partners_of_a_symmetric_cloud() -> None:
    rng = np.random.default_rng(2)
    half = rng.uniform(0.2, 1, (20, 3))
    cloud = np.concatenate([half, half * (-1, 1, 1), [[0, 0, 0], [0, 1, 0]]])
    faces = cloud + rng.normal(scale=0.01, size=(200, *cloud.shape))
    partners = mirror_partners(faces.astype(np.float32))
    assert partners.tolist() == [*range(20, 40), *range(20), 40, 41]
