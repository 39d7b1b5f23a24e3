"""``appearance``: from stills and their blendshapes to the trained float network."""

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
from emotion_estimator_training.data.stills import (
    FER_CLASSES,
    PUBLIC_TEST,
    TRAINING,
    Stills,
    votes_of,
)
from emotion_estimator_training.features.crops import CropMaker, CropVariation, plain_crops
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.models.appearance_network import (
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
Ints = NDArray[np.int64]

_BATCH = 256
_WEIGHTS, _HEADS, _SPREAD = 'appearance.weights.h5', 'heads.weights.h5', 'spread.npz'
#: FER+'s last vote: there is no face. The one before it: the annotator cannot tell.
_NO_FACE = 9

#: How crops vary for pretrained and for larger networks: half as much, except for covers.
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

#: How crops vary in the last epochs.
_CALM = CropVariation(
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


@dataclass(frozen=True)
class Origin:
    """A finished training, whose weights or predictions another one uses.

    :param name: of the part of the plan.
    :param folder: with its weights.
    """

    name: str
    settings: AppearanceSettings
    folder: Path

    def checksum(self) -> str:
        """Return the SHA-256 of its weights.

        :raises InputError: the training is not finished.
        """
        digest = hashlib.sha256()
        for name in (_WEIGHTS, _HEADS, _SPREAD):
            path = self.folder / name
            if not path.is_file():
                raise InputError(f'{path} is missing; train the part {self.name!r} first')
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def restore(self, network: Any, heads: Any) -> None:
        """Load its weights into both."""
        network.load_weights(self.folder / _WEIGHTS)
        heads.load_weights(self.folder / _HEADS)

    def predict(self, crops: Crops, scores: Floats, known: NDArray[np.bool_]) -> Floats:
        """Return faces' class probabilities (N, 7).

        They are the mean over each face and its mirror image, and over the crop alone and together
        with the blendshapes, if these are known.

        :param crops: (N, 48, 48).
        :param scores: (N, K, 52), blendshapes by K sources.
        :param known: (N, K), whether the source found the face.
        """
        with np.load(self.folder / _SPREAD) as stored:
            heads = build_heads(self.settings, stored['mean'], stored['scale'])
        network = build_appearance(self.settings)
        self.restore(network, heads)
        seen = known.argmax(axis=1)
        chosen, present = scores[np.arange(len(scores)), seen], np.ones((len(crops), 2), np.float32)
        present[:, 1] = known.any(axis=1)
        found = np.zeros((len(crops), 7), np.float32)
        for at in tqdm(range(0, len(crops), _BATCH), desc=self.name, unit='batch'):
            rows = slice(at, at + _BATCH)
            for mirrored in (False, True):
                few = crops[rows, :, ::-1] if mirrored else crops[rows]
                shapes = chosen[rows][:, list(MIRROR)] if mirrored else chosen[rows]
                alone, _, joined = heads([network(network_pixels(few)), shapes, present[rows]])
                found[rows] += (softmax(np.asarray(alone)) + softmax(np.asarray(joined))) / 4
        return found


@dataclass(frozen=True)
class Part:
    """One training of the plan.

    :param begins_with: the part whose weights it starts from; empty starts from random ones.
    :param taught_by: parts whose networks' mean predictions of the stills it also learns from.
    """

    settings: AppearanceSettings
    training: AppearanceFit
    variation: CropVariation
    begins_with: str = ''
    taught_by: tuple[str, ...] = ()


def planned(seed: int = SEED, epochs: int | None = None, longer: bool = False) -> dict[str, Part]:
    """Return the trainings in order, by name; the network of the last one ships.

    The larger network has four times the weights and multiplications.

    :param seed: from which each part's own seed follows.
    :param epochs: of each part, for a trial run; None takes those of the released network.
    :param longer: train the larger network further before it teaches (``long``), until it has seen
        the stills about as often as the shipped size in ``first``.
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


def appearance_folder(run: Path, part: str = 'last') -> Path:
    """Return the folder of a part of the plan in a run folder."""
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
    """Train a part of the plan on Training; measure each epoch on PublicTest.

    The averaged weights are kept. PrivateTest is not used. The same call continues an interrupted
    training.

    :param matrices: (N, 2, 3), affine maps from each still to its crop.
    :param found: (N,), whether a face was found in the still.
    :param sources: blendshapes of the stills.
    :param plan: trainings by name; those that this one needs must be finished in the same run.
    :param name: of the part to train.
    :returns: the content of ``tables/appearance-<name>.json``.
    :raises InputError: there is no face in Training or none in PublicTest, or a part that this one
        needs is missing.
    """
    started = time.monotonic()
    scores, known = blendshapes_of(stills, sources)
    learned, measured = _learned(stills), _measured(stills, found)
    if not len(learned) or not len(measured):
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
    # A finished training is only read.
    if part.taught_by and not (folder / _WEIGHTS).exists():
        crops = plain_crops(stills.pixels[learned], matrices[learned])
        taught = np.mean(
            [
                origins[other].predict(crops, scores[learned], known[learned])
                for other in part.taught_by
            ],
            axis=0,
        )
        target = (1 - training.taught) * target + training.taught * taught
    data = AppearanceData(
        CropMaker(stills.pixels[learned], matrices[learned], part.variation),
        target,
        votes_of(stills)[learned],
        scores[learned],
        known[learned],
    )
    shown = public_test_crops(stills, matrices, found)
    pixels = network_pixels(shown)
    truth = stills.emotion[measured]

    def validate(network: Any, heads: Any) -> dict[str, float]:
        embedding = np.concatenate(
            [np.asarray(network(few)) for few in np.array_split(pixels, len(pixels) // 256 + 1)]
        )
        seen = known[measured].argmax(axis=1)
        both = np.ones((len(measured), 2), np.float32)
        both[:, 1] = known[measured].any(axis=1)
        alone, _, joined = heads([embedding, scores[measured, seen], both])
        return {
            **_scores('appearance', np.asarray(alone), truth, grouping),
            **_scores('joined', np.asarray(joined), truth, grouping),
        }

    history = fit(network, heads, data, training, validate, folder)
    if training.calm:
        calmer = replace(data, maker=CropMaker(stills.pixels[learned], matrices[learned], _CALM))
        calm = replace(training, epochs=training.calm, learning_rate=training.calm_rate)
        history += [
            {**line, 'epoch': training.epochs + line['epoch']}
            for line in fit(network, heads, calmer, calm, validate, folder / 'calm')
        ]
    network.save_weights(folder / _WEIGHTS)
    heads.save_weights(folder / _HEADS)
    np.savez(folder / _SPREAD, mean=mean, scale=scale)
    # Averaging over the mirror image as well takes twice the time; measured for comparison.
    both = Origin(name, settings, folder).predict(shown, scores[measured], known[measured])
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
    """Return the rows to train on, also those in which no face was found."""
    return np.flatnonzero((stills.usage == TRAINING) & ~(votes_of(stills)[:, _NO_FACE] > 0.5))


def _repeated(rows: Ints, emotion: Ints, times: int) -> Ints:
    """Return the rows, those of rare classes ``times`` times."""
    counts = np.bincount(emotion[rows], minlength=len(FER_CLASSES))
    rare = rows[(counts < len(rows) / 20)[emotion[rows]]]
    return np.concatenate([rows, np.tile(rare, times - 1)])


def _measured(stills: Stills, found: NDArray[np.bool_]) -> Ints:
    return np.flatnonzero((stills.usage == PUBLIC_TEST) & found)


def public_test_crops(stills: Stills, matrices: Floats, found: NDArray[np.bool_]) -> Crops:
    """Return the crops (N, 48, 48) of the faces found in PublicTest."""
    rows = _measured(stills, found)
    return plain_crops(stills.pixels[rows], matrices[rows])


def blendshapes_of(stills: Stills, sources: list[FeatureSet]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return each still's blendshapes by K sources (N, K, 52), and which found a face (N, K)."""
    row_of = {int(number): row for row, number in enumerate(stills.image_id)}
    scores = np.zeros((len(stills), len(sources), 52), np.float32)
    known = np.zeros((len(stills), len(sources)), bool)
    for k, source in enumerate(sources):
        plain = source.where(~source.augmented)
        rows = [row_of[int(number)] for number in plain.image_id]
        scores[rows, k], known[rows, k] = plain.blendshapes, True
    return scores, known


def _scores(name: str, logits: Floats, truth: Ints, grouping: Grouping) -> dict[str, float]:
    found = softmax(logits)
    labels = (found @ grouping.matrix).argmax(axis=1)
    return {
        f'{name}_seven': round(float((found.argmax(axis=1) == truth).mean()), 4),
        f'{name}_labels': round(float((labels == grouping.to_label[truth]).mean()), 4),
        f'{name}_cross_entropy': round(
            float(-np.log(np.maximum(found[np.arange(len(truth)), truth], 1e-9)).mean()), 4
        ),
    }
