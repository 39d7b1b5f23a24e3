"""``appearance``: from stills and their blendshapes to the trained float network."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.blendshapes import MIRROR
from emotion_estimator.errors import InputError
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator_training.data.grouping import Grouping
from emotion_estimator_training.data.stills import (
    PUBLIC_TEST,
    TRAINING,
    Stills,
    votes_of,
)
from emotion_estimator_training.data.truth import (
    Truth,
    joined,
    majority_of_votes,
    truth_of_labels,
    truth_of_stills,
)
from emotion_estimator_training.features.crops import CropMaker, CropVariation, plain_crops
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.features.people import CHIP_TO_CROP, PeopleSet
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
from emotion_estimator_training.models.released_appearance import fit_heads, restore_released
from emotion_estimator_training.models.training_loop import checksum, claim_folder
from emotion_estimator_training.seed import SEED
from emotion_estimator_training.tables import write_json

Crops = NDArray[np.uint8]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

_BATCH = 256
_WEIGHTS, _HEADS, _SPREAD = 'appearance.weights.h5', 'heads.weights.h5', 'spread.npz'

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


#: What a part begins with that continues the released network.
RELEASED = 'released'


@dataclass(frozen=True)
class Part:
    """One training of the plan.

    :param begins_with: the part whose weights it starts from, or ``RELEASED``; empty starts from
        random ones.
    :param taught_by: parts whose networks' mean predictions of the stills it also learns from.
    """

    settings: AppearanceSettings
    training: AppearanceFit
    variation: CropVariation
    begins_with: str = ''
    taught_by: tuple[str, ...] = ()


def planned(
    seed: int = SEED,
    epochs: int | None = None,
    longer: bool = False,
    continue_released: bool = False,
) -> dict[str, Part]:
    """Return the trainings in order, by name; the network of the last one ships.

    The larger network has four times the weights and multiplications.

    :param seed: from which each part's own seed follows.
    :param epochs: of each part, for a trial run; None takes those of the released network.
    :param longer: train the larger network further before it teaches (``long``), until it has seen
        the stills about as often as the shipped size in ``first``.
    :param continue_released: train the released network further, in one part, instead.
    """
    if continue_released:
        only = Part(
            AppearanceSettings(),
            AppearanceFit(
                epochs=12,
                calm=1,
                learning_rate=6e-4,
                calm_rate=1.5e-4,
                smoothing=0.0,
                votes=0.4,
                seed=seed + 10,
            ),
            _LESS,
            begins_with=RELEASED,
        )
        return {'continued': _for(only, epochs)}
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


@dataclass(frozen=True, eq=False)
class _Learned:
    """What a part is trained on: stills of Training, and photographs and films of people.

    :param pixels: each face's still or chip; ``matrices`` (N, 2, 3) from it to its crop.
    """

    pixels: list[Crops]
    matrices: Floats
    truth: Truth
    votes: Floats
    scores: Floats
    known: NDArray[np.bool_]

    def maker(self, variation: CropVariation) -> CropMaker:
        return CropMaker(self.pixels, self.matrices, variation)

    def plain(self) -> Crops:
        return plain_crops(self.pixels, self.matrices)

    def data(self, truth: Truth, variation: CropVariation) -> AppearanceData:
        return AppearanceData(
            self.maker(variation),
            truth.target,
            # So that the learning rate means the same for all data.
            truth.weight / truth.weight.mean(),
            self.votes,
            self.scores,
            self.known,
        )


def _learned(
    stills: Stills,
    matrices: Floats,
    scores: Floats,
    known: NDArray[np.bool_],
    people: PeopleSet | None,
    sources: Sequence[str],
) -> _Learned:
    """Return everything to train on, also stills in which no face was found."""
    truth = truth_of_stills(stills)
    rows = np.flatnonzero((stills.usage == TRAINING) & (truth.weight > 0))
    found = _Learned(
        list(stills.pixels[rows]),
        matrices[rows],
        truth.of(rows),
        votes_of(stills)[rows],
        scores[rows],
        known[rows],
    )
    if people is None:
        return found
    own = np.flatnonzero(people.usage == TRAINING)
    seen = np.zeros((len(own), len(sources)), bool)
    shapes = np.zeros((len(own), len(sources), scores.shape[-1]), np.float32)
    for k, name in enumerate(sources):
        if name in people.sources:
            column = people.sources.index(name)
            shapes[:, k], seen[:, k] = people.scores[own, column], people.known[own, column]
    return _Learned(
        found.pixels + list(people.chips[own]),
        np.concatenate([found.matrices, np.tile(CHIP_TO_CROP, (len(own), 1, 1))]),
        joined(found.truth, truth_of_labels(people.emotion[own], people.weight[own])),
        np.concatenate([found.votes, np.zeros((len(own), found.votes.shape[1]), np.float32)]),
        np.concatenate([found.scores, shapes]),
        np.concatenate([found.known, seen]),
    )


@dataclass(frozen=True, eq=False)
class _Held:
    """Faces held out from training, to measure on."""

    pixels: Floats
    scores: Floats
    known: NDArray[np.bool_]
    truth: Ints

    def logits(self, network: Any, heads: Any) -> tuple[Floats, Floats]:
        """Return the logits by the crop alone and with the blendshapes."""
        embedding = np.concatenate(
            [
                np.asarray(network(few))
                for few in np.array_split(self.pixels, len(self.pixels) // 256 + 1)
            ]
        )
        seen = self.known.argmax(axis=1)
        both = np.ones((len(embedding), 2), np.float32)
        both[:, 1] = self.known.any(axis=1)
        shapes = self.scores[np.arange(len(embedding)), seen]
        alone, _, together = heads([embedding, shapes, both])
        return np.asarray(alone), np.asarray(together)


def run_appearance(
    run: Path,
    stills: Stills,
    matrices: Floats,
    found: NDArray[np.bool_],
    sources: list[FeatureSet],
    grouping: Grouping,
    plan: Mapping[str, Part],
    name: str = 'last',
    people: PeopleSet | None = None,
) -> dict[str, Any]:
    """Train a part of the plan on Training; measure each epoch on PublicTest.

    The averaged weights are kept. PrivateTest is not used. The same call continues an interrupted
    training.

    :param matrices: (N, 2, 3), affine maps from each still to its crop.
    :param found: (N,), whether a face was found in the still.
    :param sources: blendshapes of the stills.
    :param plan: trainings by name; those that this one needs must be finished in the same run.
    :param name: of the part to train.
    :param people: photographs and films to learn from as well; held-out people are measured.
    :returns: the content of ``tables/appearance-<name>.json``.
    :raises InputError: there is no face in Training or none in PublicTest, or a part that this one
        needs is missing.
    """
    started = time.monotonic()
    scores, known = blendshapes_of(stills, sources)
    learned = _learned(
        stills, matrices, scores, known, people, [source.source for source in sources]
    )
    measured = _measured(stills, found)
    if not learned.pixels or not len(measured):
        raise InputError('the appearance network needs faces of Training and of PublicTest')
    part = plan[name]
    settings, training = part.settings, part.training
    folder = appearance_folder(run, name)
    origins = {
        other: Origin(other, plan[other].settings, appearance_folder(run, other))
        for other in (part.begins_with, *part.taught_by)
        if other and other != RELEASED
    }
    released = models_dir() / 'appearance.json'
    begun = {one.name: one.checksum() for one in origins.values()}
    if part.begins_with == RELEASED:
        begun[RELEASED] = ModelCard.load(released, 'appearance').sha256
    data_checksum = checksum(
        *(np.ascontiguousarray(one) for one in learned.pixels),
        learned.truth.target,
        learned.truth.weight,
        learned.matrices,
        learned.scores,
        learned.known,
    )
    claim_folder(folder, {**asdict(part), 'data': data_checksum, 'origins': begun})
    # Before the first weights are drawn.
    keras.utils.set_random_seed(training.seed)
    pool = np.asarray(spread(learned.scores[learned.known], settings.branches.floor))
    mean, scale = pool.mean(axis=0), pool.std(axis=0) + 0.02
    network, heads = build_appearance(settings), build_heads(settings, mean, scale)
    truth = learned.truth
    finished = (folder / _WEIGHTS).exists()
    if part.begins_with == RELEASED and not finished:
        data = learned.data(truth, part.variation)
        restore_released(network, released, data)
        fit_heads(network, heads, data, learned.plain())
    elif part.begins_with and part.begins_with != RELEASED:
        origins[part.begins_with].restore(network, heads)
    # A finished training is only read.
    if part.taught_by and not finished:
        crops = learned.plain()
        taught = np.mean(
            [
                origins[other].predict(crops, learned.scores, learned.known)
                for other in part.taught_by
            ],
            axis=0,
        )
        truth = replace(
            truth, target=(1 - training.taught) * truth.target + training.taught * taught
        )
    shown = public_test_crops(stills, matrices, found)
    public = _Held(
        network_pixels(shown), scores[measured], known[measured], stills.emotion[measured]
    )
    majority, agreed, _ = majority_of_votes(stills)
    others = None if people is None else _held_people(people)

    def validate(network: Any, heads: Any) -> dict[str, float]:
        metrics: dict[str, float] = {}
        for kind, logits in zip(('appearance', 'joined'), public.logits(network, heads)):
            metrics |= _scores(kind, logits, public.truth, grouping)
            rows = agreed[measured]
            if rows.any():
                right = logits[rows].argmax(axis=1) == majority[measured][rows]
                metrics[f'{kind}_majority'] = round(float(right.mean()), 4)
        if others is not None:
            for kind, logits in zip(('appearance', 'joined'), others.logits(network, heads)):
                right = logits.argmax(axis=1) == others.truth
                metrics[f'{kind}_people'] = round(float(right.mean()), 4)
        return metrics

    history = fit(network, heads, learned.data(truth, part.variation), training, validate, folder)
    if training.calm:
        calm = replace(training, epochs=training.calm, learning_rate=training.calm_rate)
        history += [
            {**line, 'epoch': training.epochs + line['epoch']}
            for line in fit(
                network, heads, learned.data(truth, _CALM), calm, validate, folder / 'calm'
            )
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
        **_scores('mirrored', np.log(np.maximum(both, 1e-9)), public.truth, grouping),
        'parameters': int(network.count_params()),
        'faces': {
            'stills': int((stills.usage == TRAINING).sum()),
            'people': 0 if people is None else int((people.usage == TRAINING).sum()),
        },
        'seconds_of_this_call': round(time.monotonic() - started, 1),
        'history': history,
    }
    write_json(table, run / 'tables' / f'appearance-{name}.json')
    return table


def _held_people(people: PeopleSet) -> _Held | None:
    rows = np.flatnonzero((people.usage == PUBLIC_TEST) & ~people.talking)
    if not len(rows):
        return None
    matrices = np.tile(CHIP_TO_CROP, (len(rows), 1, 1))
    crops = plain_crops(list(people.chips[rows]), matrices)
    return _Held(
        network_pixels(crops), people.scores[rows], people.known[rows], people.emotion[rows]
    )


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
