"""Splits clips into parts for training, validation and test, and into folds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator_training.seed import SEED
from emotion_estimator_training.zoo.data.clips import PARTS, Clip

#: Shares of ``PARTS`` (Terbouche and Chaoui, section 3.1).
SHARES = (0.5, 0.2, 0.3)
#: Least number of folds: one to test with, one to validate with, one to train on.
LEAST_FOLDS = len(PARTS)
#: Units of a split: all clips of a subject together, or single clips.
BY = ('subject', 'clip')
#: Subjects that a warning names.
_NAMED = 5


def split(
    clips: Sequence[Clip],
    shares: Sequence[float] = SHARES,
    by: str = 'subject',
    seed: int = SEED,
) -> dict[str, tuple[Clip, ...]]:
    """Split clips into ``PARTS``, each class in about the same shares.

    If the table has a column ``split``, the clips are split as it says.

    :param shares: of clips for each of ``PARTS``, greater than 0, sum 1.
    :param by: ``subject`` puts all clips of a subject into one part; with ``clip`` a subject can be
        in several parts, as in many papers, which overestimates how well models generalize.
    :param seed: breaks ties.
    :returns: the clips of each of ``PARTS``, in the given order.
    :raises InputError: the shares are invalid, or there are fewer subjects (clips) than parts.
    """
    if (
        len(shares) != len(PARTS)
        or not all(share > 0 for share in shares)
        or not math.isclose(sum(shares), 1.0, abs_tol=1e-6)
    ):
        raise InputError(
            f'shares {", ".join(map(str, shares))} are invalid; give three numbers greater than 0 '
            f'with sum 1, for example {", ".join(map(str, SHARES))}'
        )
    _check(by)
    if clips and all(clip.part for clip in clips):
        return {part: tuple(clip for clip in clips if clip.part == part) for part in PARTS}
    names, groups = _units(clips, by)
    if len(groups) < len(PARTS):
        raise InputError(
            f'clips of {len(groups)} {by}s cannot be split into {", ".join(PARTS)}; '
            'add clips' + (', or split by clip' if by == 'subject' else '')
        )
    part_of = _assign(_counts(clips, names, groups), np.array(shares), seed)
    where = dict(zip(groups, part_of))
    return {
        part: tuple(clip for clip, name in zip(clips, names) if where[name] == index)
        for index, part in enumerate(PARTS)
    }


def folds(
    clips: Sequence[Clip], count: int, by: str = 'subject', seed: int = SEED
) -> list[dict[str, tuple[Clip, ...]]]:
    """Split clips ``count`` times, so that each is tested once, for cross-validation.

    Each class comes in about equal shares in all folds. The fold after the tested one (the first,
    after the last) is for validation, the others are for training. A column ``split`` is ignored.

    :param count: number of folds, at least ``LEAST_FOLDS``.
    :param by: as in :func:`split`; so is ``seed``.
    :returns: of each fold, the clips of each of ``PARTS``, in the given order.
    :raises InputError: ``count`` is too small, or there are fewer subjects (clips).
    """
    _check(by)
    names, groups = _units(clips, by)
    if not LEAST_FOLDS <= count <= len(groups):
        raise InputError(
            f'clips of {len(groups)} {by}s cannot be split into {count} folds; give at least '
            f'{LEAST_FOLDS}, and no more than {by}s'
        )
    assigned = _assign(_counts(clips, names, groups), np.full(count, 1 / count), seed)
    fold_of = [int(assigned[groups.index(name)]) for name in names]

    def part_in(tested: int, fold: int) -> str:
        return 'test' if fold == tested else PARTS[int(fold == (tested + 1) % count)]

    return [
        {
            part: tuple(clip for clip, fold in zip(clips, fold_of) if part_in(tested, fold) == part)
            for part in PARTS
        }
        for tested in range(count)
    ]


def split_warnings(parts: Mapping[str, Sequence[Clip]], classes: Sequence[str]) -> list[str]:
    """Return warnings of subjects in several parts, and of parts that lack a class."""
    seen: dict[str, list[str]] = {}
    for part, clips in parts.items():
        for subject in {clip.subject for clip in clips}:
            seen.setdefault(subject, []).append(part)
    crossing = sorted(subject for subject, within in seen.items() if len(within) > 1)
    warnings = []
    if crossing:
        more = ', ...' if len(crossing) > _NAMED else ''
        warnings.append(
            f'{len(crossing)} of {len(seen)} subjects are in more than one part '
            f'({", ".join(crossing[:_NAMED])}{more}): models may recognize them, so the metrics '
            'say little about other people; split by subject'
        )
    for part, clips in parts.items():
        present = {clip.label for clip in clips}
        lacking = [name for name in classes if name not in present]
        if lacking:
            warnings.append(f'{part} has no clip of {", ".join(lacking)}')
    return warnings


def _check(by: str) -> None:
    if by not in BY:
        raise InputError(f'clips cannot be split by {by!r}; choose {" or ".join(BY)}')


def _units(clips: Sequence[Clip], by: str) -> tuple[list[str], list[str]]:
    """Return the unit of each clip, and all units."""
    names = [clip.subject if by == 'subject' else str(i) for i, clip in enumerate(clips)]
    return names, list(dict.fromkeys(names))


def _counts(
    clips: Sequence[Clip], names: Sequence[str], groups: Sequence[str]
) -> NDArray[np.float64]:
    """Return the number of clips of each group and class, (G, C)."""
    classes = sorted({clip.label for clip in clips})
    counts = np.zeros((len(groups), len(classes)))
    row = {group: index for index, group in enumerate(groups)}
    for clip, name in zip(clips, names):
        counts[row[name], classes.index(clip.label)] += 1
    return counts


def _assign(
    counts: NDArray[np.float64], shares: NDArray[np.float64], seed: int
) -> NDArray[np.int64]:
    """Return the part (G,) of each group: largest first, each where its classes are missing most.

    No part stays empty.

    :param counts: (G, C).
    """
    rng = np.random.default_rng(seed)
    # Shuffled before the stable sort, so that the seed orders groups of one size.
    order = rng.permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind='stable')]
    totals = np.maximum(counts.sum(axis=0), 1)
    wanted = shares[:, None] * totals
    given = np.zeros_like(wanted)
    part_of = np.full(len(counts), -1, np.int64)
    for position, group in enumerate(order):
        empty = [part for part in range(len(shares)) if not (part_of == part).any()]
        left = len(order) - position
        choices = empty if len(empty) >= left else list(range(len(shares)))
        # Distance from the wanted shares after adding the group, relative to the class sizes.
        costs = []
        for part in choices:
            after = given.copy()
            after[part] += counts[group]
            costs.append(float((((after - wanted) / totals) ** 2 / shares[:, None]).sum()))
        best = choices[int(np.argmin(costs))]
        part_of[group] = best
        given[best] += counts[group]
    return part_of
