"""Stills made harder: covered, smaller, blurred, darker, turned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.perception.primary_face import turned_away
from emotion_estimator_training.tables import markdown_table

Floats = NDArray[np.float32]
Images = NDArray[np.uint8]

#: Mesh points around what is covered: nose, cheeks and jaw below it; brows and the eyes' surround.
_MASK = (
    5,
    50,
    123,
    93,
    58,
    172,
    136,
    150,
    149,
    176,
    148,
    152,
    377,
    400,
    378,
    379,
    365,
    397,
    288,
    323,
    352,
    280,
)
_GLASSES = (
    70,
    63,
    105,
    66,
    107,
    9,
    336,
    296,
    334,
    293,
    300,
    356,
    340,
    330,
    329,
    6,
    100,
    101,
    111,
    127,
)
#: By name: the points, and the grey of a paper mask and of dark glasses.
COVERS: dict[str, tuple[tuple[int, ...], int]] = {'mouth': (_MASK, 205), 'eyes': (_GLASSES, 25)}


def covered(still: Images, landmarks: Floats, part: str) -> Images:
    """Return a still with the mouth or the eyes covered.

    :param still: uint8 (48, 48).
    :param landmarks: (478, 2), in pixels of the still.
    :param part: of ``COVERS``.
    """
    points, grey = COVERS[part]
    outline = cv2.convexHull(landmarks[list(points)].astype(np.float32))
    painted = still.copy()
    # Sixteenths of a pixel, which fillConvexPoly takes as whole numbers.
    cv2.fillConvexPoly(painted, np.rint(outline * 16).astype(np.int32), grey, cv2.LINE_AA, 4)
    return painted


def covered_by_chance(still: Images, landmarks: Floats, rng: np.random.Generator) -> Images:
    """Return a still with the mouth, the eyes or anything else covered, for training.

    Unlike :func:`covered`, which measures, in any grey, rough or plain, its outline a little off.

    :param still: uint8 (48, 48).
    :param landmarks: (478, 2), in pixels of the still.
    """
    drawn = rng.random()
    if drawn < 0.8:
        points, _ = COVERS['mouth' if drawn < 0.4 else 'eyes']
        outline = landmarks[list(points)] + rng.normal(size=(len(points), 2)) * 1.2
    else:
        turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        shape = np.stack([np.cos(turn), np.sin(turn)], axis=1) * rng.uniform(6, 14, 2)
        outline = landmarks[rng.integers(len(landmarks))] + shape
    mask = np.zeros(still.shape, np.uint8)
    hull = cv2.convexHull(outline.astype(np.float32))
    cv2.fillConvexPoly(mask, np.rint(hull * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    rough = rng.normal(size=still.shape) * rng.choice([0.0, rng.uniform(2, 25)])
    share = mask / 255
    painted = still * (1 - share) + (rng.uniform(0, 255) + rough) * share
    return np.clip(np.rint(painted), 0, 255).astype(np.uint8)


def falls(figures: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return what each branch loses under each cover, against the same faces uncovered.

    :param figures: by cover and branch, ``n``, ``accuracy`` and ``macro_f1``, and both
        ``uncovered``: of the faces that are found covered, before they were; ``lost`` of
        :func:`lost`.
    :returns: rows; ``fall`` and ``macro_f1_fall`` are how much less, over 0 where it is less;
        ``more_than_fused`` how much more than fused's accuracy falls, ``margin`` how sure that is
        (95 %, of the same faces by both).
    """
    return [
        {
            **_against(one['lost'], branches['fused']['lost']),
            'cover': cover,
            'branch': branch,
            'n': one['n'],
            'accuracy': one['accuracy'],
            'macro_f1': one['macro_f1'],
            'uncovered_accuracy': one['uncovered']['accuracy'],
            'uncovered_macro_f1': one['uncovered']['macro_f1'],
            'fall': round(one['uncovered']['accuracy'] - one['accuracy'], 4),
            'macro_f1_fall': round(one['uncovered']['macro_f1'] - one['macro_f1'], 4),
        }
        for cover, branches in figures.items()
        for branch, one in branches.items()
    ]


def lost(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return for each face (N,) 1 where it was told right and is no more, -1 the other way round.

    :param before: (N,), which faces are told right uncovered; ``after`` covered.
    """
    return before.astype(np.int64) - after


def _against(one: NDArray[np.int64], fused: NDArray[np.int64]) -> dict[str, float]:
    more = one - fused
    return {
        'more_than_fused': round(float(more.mean()), 4),
        'margin': round(float(1.96 * more.std() / np.sqrt(len(more))), 4),
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the table of :func:`falls` as Markdown."""
    return markdown_table(
        [
            'covered',
            'branch',
            'faces found',
            'accuracy',
            'uncovered',
            'fall',
            'more than fused (95 %)',
            'macro-F1',
            'uncovered',
            'fall',
        ],
        [
            [
                one['cover'],
                one['branch'],
                f'{one["n"]:,}',
                *(f'{one[key]:.3f}' for key in ('accuracy', 'uncovered_accuracy', 'fall')),
                ''
                if one['branch'] == 'fused'
                else f'{one["more_than_fused"]:+.3f} ± {one["margin"]:.3f}',
                *(f'{one[key]:.3f}' for key in ('macro_f1', 'uncovered_macro_f1', 'macro_f1_fall')),
            ]
            for one in rows
        ],
    )


Change = Callable[[Images], Images]

#: Angles at which faces turned away are told apart, degrees.
YAW_EDGES = (0.0, 10.0, 20.0, 30.0, 91.0)


def smaller(side: int) -> Change:
    """Return a change that brings the still down to ``side`` pixels and up again."""

    def change(still: Images) -> Images:
        small = cv2.resize(still, (side, side), interpolation=cv2.INTER_AREA)
        return np.asarray(
            cv2.resize(small, still.shape[::-1], interpolation=cv2.INTER_CUBIC), np.uint8
        )

    return change


def blurred(sigma: float) -> Change:
    """Return a change that blurs by a Gaussian of ``sigma`` pixels of the still."""
    return lambda still: np.asarray(cv2.GaussianBlur(still, (0, 0), sigma), np.uint8)


def lit(gain: float) -> Change:
    """Return a change that multiplies the light; what leaves 0 to 255 is clipped."""
    return lambda still: np.clip(np.rint(still * gain), 0, 255).astype(np.uint8)


def rolled(degrees: float) -> Change:
    """Return a change that turns the still in its plane; its edge goes on beyond its border."""

    def change(still: Images) -> Images:
        height, width = still.shape
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
        return np.asarray(
            cv2.warpAffine(
                still,
                matrix,
                (width, height),
                flags=cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REPLICATE,
            ),
            np.uint8,
        )

    return change


#: By what changes and how much. A FER2013 still is 48 pixels wide, most of them face.
CONDITIONS: dict[str, dict[str, Change]] = {
    'size of the still': {
        '32 pixels': smaller(32),
        '24 pixels': smaller(24),
        '16 pixels': smaller(16),
    },
    'blur': {'sigma 1 pixel': blurred(1.0), 'sigma 2 pixels': blurred(2.0)},
    'brightness': {'a quarter': lit(0.25), 'half': lit(0.5), 'half as much again': lit(1.5)},
    'roll': {'15 degrees': rolled(15.0), '30 degrees': rolled(30.0), '45 degrees': rolled(45.0)},
}


def yaw_bins(landmarks: NDArray[np.float32]) -> dict[str, NDArray[np.bool_]]:
    """Return which faces are turned away how far, yaw and pitch together.

    :param landmarks: (N, 478, 3), in pixels of any scale.
    :returns: by a name of the bin, bool (N,).
    """
    angles = np.array([turned_away(one) for one in landmarks])
    return {
        f'{low:.0f} to {high:.0f} degrees' if high < 91 else f'over {low:.0f} degrees': (
            angles >= low
        )
        & (angles < high)
        for low, high in pairwise(YAW_EDGES)
    }
