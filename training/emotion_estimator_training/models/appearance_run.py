"""``appearance``: from stills and what was seen in them to the trained float network."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator_training.data.dataset import FER_CLASSES, PUBLIC_TEST, TRAINING, Stills
from emotion_estimator_training.data.grouping import Grouping
from emotion_estimator_training.features.crop_augment import CropVariation
from emotion_estimator_training.features.crops import CropMaker, plain_crops
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.models.appearance_fit import AppearanceData, fit
from emotion_estimator_training.models.appearance_network import (
    VOTES,
    build_appearance,
    build_heads,
    network_pixels,
)
from emotion_estimator_training.models.appearance_origin import Origin
from emotion_estimator_training.models.appearance_plan import Part
from emotion_estimator_training.models.branches import spread
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.models.operating_point import softmax
from emotion_estimator_training.models.same_run import checksum, same_run
from emotion_estimator_training.tables import write_json

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

#: How crops vary in the last epochs.
CALM = CropVariation(
    roll=4.0, size=0.06, shift=1.0, stretch=0.03, gamma=0.15, shaded=0.1, coarse=0.1, blurred=0.1,
    noisy=0.15, compressed=0.1, hidden=0.12,
)

_WEIGHTS = 'appearance.weights.h5'

#: FER+'s last two votes: the annotator could not tell, and no face.
_NO_FACE = 9


@dataclass(frozen=True)
class _Data:
    """What is learned from: another run folder's weights are not gone on with."""

    fingerprint: str


def appearance_folder(run: Path, part: str = 'last') -> Path:
    """Return where a run folder keeps the appearance network that a part of the plan trains."""
    return run / 'checkpoints' / 'appearance' / part


def run_appearance(
    run: Path,
    stills: Stills,
    matrices: Floats,
    found: NDArray[np.bool_],
    sources: list[FeatureSet],
    grouping: Grouping,
    plan: Mapping[str, Part],
    name: str = 'last',
) -> dict[str, Any]:
    """Train a part of the plan on Training, measure each epoch on PublicTest.

    The averaged weights are kept. PrivateTest is not looked at. Interrupted, the same call goes on
    where it was.

    :param matrices: (N, 2, 3), from each still to its crop; ``found`` (N,), whether a face was.
    :param sources: blendshapes of the stills.
    :param plan: trainings by name; those that this one needs were done before, in the same run.
    :param name: which of them.
    :returns: what ``tables/appearance-<name>.json`` says.
    :raises InputError: Training or PublicTest holds no face, or a part that is needed is missing.
    """
    started = time.monotonic()
    scores, known = blendshapes_of(stills, sources)
    learned, held = _learned(stills), _held(stills, found)
    if not len(learned) or not len(held):
        raise InputError('the appearance network needs faces of Training and of PublicTest')
    part = plan[name]
    settings, training = part.settings, part.training
    learned = _repeated(learned, stills.emotion, training.rare)
    folder = appearance_folder(run, name)
    origins = {
        other: Origin(other, plan[other].settings, appearance_folder(run, other))
        for other in (part.begins_with, *part.taught_by) if other
    }
    same_run(
        folder, settings, training, part.variation,
        _Data(checksum(
            stills.pixels[learned], stills.emotion[learned], matrices[learned], scores[learned],
            known[learned],
        )),
        *(one.known() for one in origins.values()),
    )
    # Before the first weights are drawn.
    keras.utils.set_random_seed(training.seed)
    pool = np.asarray(spread(scores[learned][known[learned]], settings.branches.floor))
    mean, scale = pool.mean(axis=0), pool.std(axis=0) + 0.02
    network, heads = build_appearance(settings), build_heads(settings, mean, scale)
    target = np.eye(len(FER_CLASSES), dtype=np.float32)[stills.emotion[learned]]
    if part.begins_with:
        origins[part.begins_with].restore(network, heads)
    # What is finished is only read.
    if part.taught_by and not (folder / _WEIGHTS).exists():
        crops = plain_crops(stills.pixels[learned], matrices[learned])
        opinion = np.mean([
            origins[other].opinion(crops, scores[learned], known[learned])
            for other in part.taught_by
        ], axis=0)
        target = (1 - training.taught) * target + training.taught * opinion
    data = AppearanceData(
        CropMaker(stills.pixels[learned], matrices[learned], part.variation), target,
        votes_of(stills)[learned], scores[learned], known[learned],
    )
    shown = held_crops(stills, matrices, found)
    pixels = network_pixels(shown)
    truth = stills.emotion[held]

    def validate(network: Any, heads: Any) -> dict[str, float]:
        embedding = np.concatenate([
            np.asarray(network(few)) for few in np.array_split(pixels, len(pixels) // 256 + 1)
        ])
        seen = known[held].argmax(axis=1)
        both = np.ones((len(held), 2), np.float32)
        both[:, 1] = known[held].any(axis=1)
        alone, _, joined = heads([embedding, scores[held, seen], both])
        return {**_scores('appearance', np.asarray(alone), truth, grouping),
                **_scores('joined', np.asarray(joined), truth, grouping)}

    history = fit(network, heads, data, training, validate, folder)
    if training.calm:
        calmer = replace(
            data, maker=CropMaker(stills.pixels[learned], matrices[learned], CALM)
        )
        again = replace(training, epochs=training.calm, learning_rate=training.calm_rate)
        history += [
            {**line, 'epoch': training.epochs + line['epoch']}
            for line in fit(network, heads, calmer, again, validate, folder / 'calm')
        ]
    network.save_weights(folder / _WEIGHTS)
    heads.save_weights(folder / 'heads.weights.h5')
    np.savez(folder / 'spread.npz', mean=mean, scale=scale)
    # What averaging over the mirror image would tell, at twice the time.
    both = Origin(name, settings, folder).opinion(shown, scores[held], known[held])
    table = {
        'model': 'appearance', 'part': name, **asdict(part),
        **_scores('mirrored', np.log(np.maximum(both, 1e-9)), truth, grouping),
        'parameters': int(network.count_params()),
        'seconds_of_this_call': round(time.monotonic() - started, 1), 'history': history,
    }
    write_json(table, run / 'tables' / f'appearance-{name}.json')
    return table


def _learned(stills: Stills) -> Ints:
    """Return the stills that are learned from: also those in which no face was found."""
    return np.flatnonzero((stills.usage == TRAINING) & ~(votes_of(stills)[:, _NO_FACE] > 0.5))


def _repeated(rows: Ints, emotion: Ints, times: int) -> Ints:
    """Return the rows with those of rare classes so many times."""
    counts = np.bincount(emotion[rows], minlength=len(FER_CLASSES))
    rare = rows[(counts < len(rows) / 20)[emotion[rows]]]
    return np.concatenate([rows, np.tile(rare, times - 1)])


def _held(stills: Stills, found: NDArray[np.bool_]) -> Ints:
    return np.flatnonzero((stills.usage == PUBLIC_TEST) & found)


def held_crops(stills: Stills, matrices: Floats, found: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the crops (N, 48, 48) of the faces of PublicTest."""
    rows = _held(stills, found)
    return plain_crops(stills.pixels[rows], matrices[rows])


def blendshapes_of(
    stills: Stills, sources: list[FeatureSet]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return what each of K sources saw in each still: (N, K, 52), and whether it did (N, K)."""
    row_of = {int(number): row for row, number in enumerate(stills.image_id)}
    scores = np.zeros((len(stills), len(sources), 52), np.float32)
    known = np.zeros((len(stills), len(sources)), bool)
    for k, source in enumerate(sources):
        plain = source.where(~source.augmented)
        rows = [row_of[int(number)] for number in plain.image_id]
        scores[rows, k], known[rows, k] = plain.blendshapes, True
    return scores, known


def votes_of(stills: Stills) -> Floats:
    """Return the shares of the annotators' votes (N, 10); noughts where the data has none."""
    if stills.ferplus_votes is None:
        return np.zeros((len(stills), VOTES), np.float32)
    votes = stills.ferplus_votes.astype(np.float32)
    return votes / np.maximum(votes.sum(axis=1, keepdims=True), 1)


def _scores(name: str, logits: Floats, truth: Ints, grouping: Grouping) -> dict[str, float]:
    told = softmax(logits)
    labels = (told @ grouping.matrix).argmax(axis=1)
    return {
        f'{name}_seven': round(float((told.argmax(axis=1) == truth).mean()), 4),
        f'{name}_labels': round(float((labels == grouping.to_label[truth]).mean()), 4),
        f'{name}_cross_entropy': round(
            float(-np.log(np.maximum(told[np.arange(len(truth)), truth], 1e-9)).mean()), 4
        ),
    }
