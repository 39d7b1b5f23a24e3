"""``appearance``: from stills and what was seen in them to the trained float network."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.blendshapes import MIRROR
from emotion_estimator.errors import InputError
from emotion_estimator_training.data.grouping import Grouping
from emotion_estimator_training.data.stills import FER_CLASSES, PUBLIC_TEST, TRAINING, Stills
from emotion_estimator_training.features.crops import CropMaker, CropVariation, plain_crops
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.models.appearance_network import (
    VOTES,
    AppearanceData,
    AppearanceFit,
    AppearanceSettings,
    build_appearance,
    build_heads,
    fit,
    network_pixels,
)
from emotion_estimator_training.models.branches import spread
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.models.operating_point import softmax
from emotion_estimator_training.models.training_loop import checksum, claim_folder
from emotion_estimator_training.seed import SEED
from emotion_estimator_training.tables import write_json

Crops = NDArray[np.uint8]
Floats = NDArray[np.float32]

_BATCH = 256


@dataclass(frozen=True)
class Origin:
    """A finished training.

    :param name: of the part of the plan; ``folder``, where its weights are.
    """

    name: str
    settings: AppearanceSettings
    folder: Path

    def checksum(self) -> str:
        """Return the SHA-256 of its weights.

        :raises InputError: it is not finished.
        """
        digest = hashlib.sha256()
        for name in ('appearance.weights.h5', 'heads.weights.h5', 'spread.npz'):
            path = self.folder / name
            if not path.is_file():
                raise InputError(f'{path} is missing; train the part {self.name!r} first')
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def restore(self, network: Any, heads: Any) -> None:
        """Give both the weights that were trained."""
        network.load_weights(self.folder / 'appearance.weights.h5')
        heads.load_weights(self.folder / 'heads.weights.h5')

    def opinion(self, crops: Crops, scores: Floats, known: NDArray[np.bool_]) -> Floats:
        """Return what it says that faces show (N, 7), as probabilities.

        The mean over each face and its mirror image, and over what the crop tells alone and
        together with the blendshapes, where these are known.

        :param crops: (N, 48, 48).
        :param scores: (N, K, 52), of K sources, those that ``known`` (N, K) says.
        """
        with np.load(self.folder / 'spread.npz') as stored:
            heads = build_heads(self.settings, stored['mean'], stored['scale'])
        network = build_appearance(self.settings)
        self.restore(network, heads)
        seen = known.argmax(axis=1)
        chosen, present = scores[np.arange(len(scores)), seen], np.ones((len(crops), 2), np.float32)
        present[:, 1] = known.any(axis=1)
        told = np.zeros((len(crops), 7), np.float32)
        for at in tqdm(range(0, len(crops), _BATCH), desc=f'opinion, {self.name}', unit='batch'):
            rows = slice(at, at + _BATCH)
            for mirrored in (False, True):
                few = crops[rows, :, ::-1] if mirrored else crops[rows]
                shapes = chosen[rows][:, list(MIRROR)] if mirrored else chosen[rows]
                alone, _, joined = heads([network(network_pixels(few)), shapes, present[rows]])
                told[rows] += (softmax(np.asarray(alone)) + softmax(np.asarray(joined))) / 4
        return told


#: How crops vary where much has been learned already, or much can be: half as much, but for covers.
_LESS = CropVariation(
    roll=6.0,
    size=0.08,
    shift=1.5,
    stretch=0.05,
    gamma=0.2,
    shaded=0.15,
    coarse=0.12,
    blurred=0.12,
    noisy=0.15,
    compressed=0.12,
    hidden=0.15,
)


@dataclass(frozen=True)
class Part:
    """One training.

    :param begins_with: the part whose weights it goes on from; empty begins at random.
    :param taught_by: the parts whose networks' mean opinion of the stills it learns from too.
    """

    settings: AppearanceSettings
    training: AppearanceFit
    variation: CropVariation
    begins_with: str = ''
    taught_by: tuple[str, ...] = ()


def planned(seed: int = SEED, epochs: int | None = None, longer: bool = False) -> dict[str, Part]:
    """Return the trainings in their order, by name; the network of the last one ships.

    The larger network has four times the weights and multiplications.

    :param seed: of all chance; each part has its own.
    :param epochs: of each part, to see that it runs; None takes those that were shipped with.
    :param longer: train the larger network out before it teaches (``long``), until it has seen the
        stills about as often as the shipped size has in ``first``.
    """
    teacher = 'long' if longer else 'large'
    large = AppearanceSettings(widths=(32, 128, 256), narrow=128, dropout=0.3)
    parts = {
        'first': Part(AppearanceSettings(), AppearanceFit(seed=seed), CropVariation()),
        'large': Part(large, AppearanceFit(epochs=20, calm=3, seed=seed + 4), _LESS),
        'long': Part(
            large,
            AppearanceFit(epochs=22, calm=3, learning_rate=1e-3, seed=seed + 8),
            _LESS,
            begins_with='large',
        ),
        'last': Part(
            AppearanceSettings(),
            AppearanceFit(
                epochs=30,
                calm=3,
                learning_rate=1e-3,
                smoothing=0.02,
                taught=0.7,
                rare=3,
                seed=seed + 6,
            ),
            _LESS,
            begins_with='first',
            taught_by=('first', teacher),
        ),
    }
    return {name: _for(part, epochs) for name, part in parts.items() if longer or name != 'long'}


def _for(part: Part, epochs: int | None) -> Part:
    if epochs is None:
        return part
    return replace(part, training=replace(part.training, epochs=epochs, calm=1))


Ints = NDArray[np.int64]

#: How crops vary in the last epochs.
CALM = CropVariation(
    roll=4.0,
    size=0.06,
    shift=1.0,
    stretch=0.03,
    gamma=0.15,
    shaded=0.1,
    coarse=0.1,
    blurred=0.1,
    noisy=0.15,
    compressed=0.1,
    hidden=0.12,
)

_WEIGHTS = 'appearance.weights.h5'

#: FER+'s last two votes: the annotator could not tell, and no face.
_NO_FACE = 9


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
        for other in (part.begins_with, *part.taught_by)
        if other
    }
    data_checksum = checksum(
        stills.pixels[learned],
        stills.emotion[learned],
        matrices[learned],
        scores[learned],
        known[learned],
    )
    claim_folder(
        folder,
        {
            **asdict(part),
            'data': data_checksum,
            'origins': {one.name: one.checksum() for one in origins.values()},
        },
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
        opinion = np.mean(
            [
                origins[other].opinion(crops, scores[learned], known[learned])
                for other in part.taught_by
            ],
            axis=0,
        )
        target = (1 - training.taught) * target + training.taught * opinion
    data = AppearanceData(
        CropMaker(stills.pixels[learned], matrices[learned], part.variation),
        target,
        votes_of(stills)[learned],
        scores[learned],
        known[learned],
    )
    shown = held_crops(stills, matrices, found)
    pixels = network_pixels(shown)
    truth = stills.emotion[held]

    def validate(network: Any, heads: Any) -> dict[str, float]:
        embedding = np.concatenate(
            [np.asarray(network(few)) for few in np.array_split(pixels, len(pixels) // 256 + 1)]
        )
        seen = known[held].argmax(axis=1)
        both = np.ones((len(held), 2), np.float32)
        both[:, 1] = known[held].any(axis=1)
        alone, _, joined = heads([embedding, scores[held, seen], both])
        return {
            **_scores('appearance', np.asarray(alone), truth, grouping),
            **_scores('joined', np.asarray(joined), truth, grouping),
        }

    history = fit(network, heads, data, training, validate, folder)
    if training.calm:
        calmer = replace(data, maker=CropMaker(stills.pixels[learned], matrices[learned], CALM))
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
        'model': 'appearance',
        'part': name,
        **asdict(part),
        **_scores('mirrored', np.log(np.maximum(both, 1e-9)), truth, grouping),
        'parameters': int(network.count_params()),
        'seconds_of_this_call': round(time.monotonic() - started, 1),
        'history': history,
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


def blendshapes_of(stills: Stills, sources: list[FeatureSet]) -> tuple[Floats, NDArray[np.bool_]]:
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
