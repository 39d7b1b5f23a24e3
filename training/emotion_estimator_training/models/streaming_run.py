"""``fit streaming``: from the sources' features to a trained and calibrated float network."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray

from emotion_estimator.atomic_write import atomic_write
from emotion_estimator.errors import InputError
from emotion_estimator.model_card import models_dir
from emotion_estimator_training.data.grouping import SHIPPED_GROUPING, Grouping, load_grouping
from emotion_estimator_training.data.stills import FER_CLASSES, PUBLIC_TEST, TRAINING
from emotion_estimator_training.evaluation.scores import classification
from emotion_estimator_training.features.crops import CropVariation
from emotion_estimator_training.features.embeddings import (
    FROM_FRAME_TO_FRAME,
    Embedder,
    varied_embeddings,
    with_embeddings,
)
from emotion_estimator_training.features.feature_set import (
    PRESENT,
    FeatureSet,
    face_vectors,
    load_sources,
    only_branch,
)
from emotion_estimator_training.features.features import load_covered
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.models.operating_point import (
    calibrated_temperature,
    choose_class_operating_point,
    choose_operating_point,
    softmax,
)
from emotion_estimator_training.models.streaming_fit import StreamingFitSettings, fit, pretrain
from emotion_estimator_training.models.streaming_network import (
    StreamingNetwork,
    StreamingSettings,
    build_network,
    round_weights,
)
from emotion_estimator_training.models.streaming_store import (
    SEVEN,
    STILL_DT,
    STILL_STEPS,
    THREE,
    FittedStreaming,
    save_streaming,
    streaming_folder,
)
from emotion_estimator_training.models.training_loop import History, checksum, claim_folder
from emotion_estimator_training.sequences.sequences import SequenceMaker, SequenceSettings
from emotion_estimator_training.tables import write_json

matplotlib.use('Agg')

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

#: Varied crops of each face: those used as single frames, and those between which a face's
#: embedding moves in sequences.
_VARIED, _MOVES = 2, 3
#: How crops are varied for single frames: less than for training the appearance network.
_FOR_FRAMES = CropVariation(
    roll=4.0,
    size=0.06,
    shift=1.2,
    stretch=0.03,
    gamma=0.2,
    shaded=0.2,
    coarse=0.15,
    blurred=0.2,
    noisy=0.25,
    compressed=0.2,
    hidden=0.15,
)


def run_streaming(
    run: Path,
    settings: StreamingSettings,
    training: StreamingFitSettings,
    shape: SequenceSettings,
    config: Path | None = None,
    grouping: str = SHIPPED_GROUPING,
    models: Path | None = None,
) -> dict[str, Any]:
    """Train on all sources of ``<run>/features``, and write ``<run>/checkpoints/streaming``.

    Covered faces in ``<run>/covered``, if there are any, are used too. The best weights, the
    temperatures and the operating points are chosen on PublicTest; PrivateTest is not used. The
    same call continues an interrupted training.

    :param models: folder of the appearance network; None takes the run's, or the shipped one.
    :returns: the content of ``tables/streaming.json``.
    :raises InputError: there are no features, or none of Training or of PublicTest.
    :raises ModelError: there is no appearance network.
    """
    started = time.monotonic()
    labels = load_grouping(grouping, config)
    embed = Embedder(appearance_card(run, models))
    sources = load_sources(run)
    learned = [each.where(each.usage == TRAINING) for each in sources]
    if not sum(map(len, learned)) or not all((each.usage == PUBLIC_TEST).any() for each in sources):
        raise InputError(
            f'{run}/features has no faces of Training or of PublicTest; training needs both'
        )
    folder = streaming_folder(run)
    covered = [one for one in (load_covered(run, each.source) for each in sources) if one]
    data_checksum = checksum(
        *(
            array
            for each in (*learned, *covered)
            for array in (each.blendshapes, each.emotion, each.crops)
        )
    )
    claim_folder(
        folder,
        {
            'settings': asdict(settings),
            'training': asdict(training),
            'sequences': asdict(shape),
            'data': data_checksum,
            'labels': labels.labels,
            'appearance': embed.sha256,
        },
    )
    pool = _pool(learned, covered, embed, folder, training.seed)
    # Fails here rather than after minutes of training.
    try:
        maker = SequenceMaker(pool.plain, pool.emotion, shape, pool.moves)
    except ValueError as error:
        raise InputError(f'{run}/features: {error} in Training') from error
    public_test = [
        with_embeddings(each.where(each.usage == PUBLIC_TEST), embed, f'{each.source}, PublicTest')
        for each in sources
    ]
    # Before the first weights are drawn.
    keras.utils.set_random_seed(training.seed)
    network = build_network(pool.plain, settings)
    targets = _first_stage(network, pool, training, folder)

    def validate(network: StreamingNetwork) -> float:
        right = [
            softmax(network.still_logits(rows, STILL_STEPS, STILL_DT))[
                np.arange(len(rows)), each.emotion
            ]
            for each in public_test
            for rows in (each.vectors, only_branch(each.vectors, 'blendshapes'))
        ]
        return -float(np.mean([-np.log(np.maximum(one, 1e-9)).mean() for one in right]))

    history = fit(network, maker, targets, labels.matrix, validate, training, folder)
    before = validate(network)
    round_weights(network, ('lstm', 'logits'))
    cost = before - validate(network)
    fitted = _fitted(
        network,
        labels,
        public_test,
        {
            **asdict(settings),
            'seed': training.seed,
            'training': asdict(training),
            'sequences': asdict(shape),
            'sources': [each.source for each in sources],
            'grouping': labels.name,
            'appearance_sha256': embed.sha256,
            # A robot may compare a face's own neutral expression with it.
            'neutral_blendshapes': _neutral(learned),
        },
    )
    save_streaming(fitted, folder)
    return _report(run, fitted, public_test, history, cost, time.monotonic() - started)


def appearance_card(run: Path, models: Path | None = None) -> Path:
    """Return the card of a run's appearance network: its own, or the shipped one."""
    folders = [models] if models else [run / 'models', models_dir()]
    cards = [folder / 'appearance.json' for folder in folders]
    return next((card for card in cards if card.is_file()), cards[-1])


@dataclass(frozen=True, eq=False)
class _Pool:
    """Faces of Training, of all sources.

    :param plain: (N, 118), of the stills as they are; ``emotion`` (N,), their classes.
    :param shown: (M, 118), for training on single frames: the plain faces, the same with varied
        crops, and rotated copies without a crop; ``shown_emotion`` (M,), their classes.
    :param moves: (N, K, 64), differences of varied crops' embeddings from the plain ones.
    """

    plain: Floats
    emotion: Ints
    shown: Floats
    shown_emotion: Ints
    moves: Floats


def _neutral(learned: list[FeatureSet]) -> list[float]:
    """Return the mean blendshapes (52) of neutral faces that are neither augmented nor covered."""
    shown = np.concatenate(
        [
            each.blendshapes[~each.augmented & (each.emotion == FER_CLASSES.index('neutral'))]
            for each in learned
        ]
    )
    return [round(float(one), 5) for one in shown.mean(axis=0)]


def _pool(
    learned: list[FeatureSet],
    covered: list[FeatureSet],
    embed: Embedder,
    folder: Path,
    seed: int,
) -> _Pool:
    """Embed all crops, plain and varied, or read what an earlier call embedded."""
    path = folder / 'pool.npz'
    if path.exists():
        with np.load(path) as stored:
            return _Pool(**{field.name: stored[field.name] for field in fields(_Pool)})
    # Not the seed of the sequences, which are drawn from these crops.
    crops_seed = seed + 8
    plain, moves, shown, emotion, shown_emotion = [], [], [], [], []
    for each in [*learned, *covered]:
        still = with_embeddings(each.where(~each.augmented), embed, f'{each.source}, crops')
        varied = varied_embeddings(
            still, embed, _FOR_FRAMES, _VARIED, [crops_seed, 0], f'{each.source}, varied crops'
        )
        moves.append(
            varied_embeddings(
                still,
                embed,
                FROM_FRAME_TO_FRAME,
                _MOVES,
                [crops_seed, 1],
                f'{each.source}, moved crops',
            )
        )
        otherwise = [replace(still, embeddings=varied[:, k]).vectors for k in range(_VARIED)]
        copies = each.where(each.augmented)
        plain.append(still.vectors)
        emotion.append(still.emotion)
        shown += [still.vectors, *otherwise, face_vectors(copies.blendshapes)]
        shown_emotion += [still.emotion] * (1 + _VARIED) + [copies.emotion]
    made = _Pool(
        plain=np.concatenate(plain),
        emotion=np.concatenate(emotion),
        shown=np.concatenate(shown),
        shown_emotion=np.concatenate(shown_emotion),
        moves=np.concatenate(moves),
    )
    with atomic_write(path) as partial:
        np.savez(partial, **{field.name: getattr(made, field.name) for field in fields(_Pool)})
    return made


def _first_stage(
    network: StreamingNetwork, pool: _Pool, training: StreamingFitSettings, folder: Path
) -> Floats:
    """Train the first layers, or load them; return each plain still's target (N, 7)."""
    labels = np.eye(len(FER_CLASSES), dtype=np.float32)
    weights = folder / 'frame.weights.h5'
    if weights.exists():
        network.frame_model.load_weights(weights)
    else:
        pretrain(network, pool.shown, labels[pool.shown_emotion], training)
        with atomic_write(weights) as partial:
            network.frame_model.save_weights(partial)
    round_weights(network, ('front',))
    own = softmax(network.frame_logits(pool.plain))
    return (1 - training.own) * labels[pool.emotion] + training.own * own


def _fitted(
    network: StreamingNetwork,
    grouping: Grouping,
    public_test: list[FeatureSet],
    settings: dict[str, Any],
) -> FittedStreaming:
    """Choose operating points and temperatures on PublicTest, with both branches known."""
    sets = [
        (network.still_logits(each.vectors, STILL_STEPS, STILL_DT), each.emotion)
        for each in public_test
    ]
    points = {
        THREE: choose_operating_point(sets, grouping),
        SEVEN: choose_class_operating_point(sets),
    }
    temperatures = {
        THREE: calibrated_temperature(
            [
                (softmax(one + points[THREE]) @ grouping.matrix, grouping.to_label[emotion])
                for one, emotion in sets
            ]
        ),
        SEVEN: calibrated_temperature(
            [(softmax(one + points[SEVEN]), emotion) for one, emotion in sets]
        ),
    }
    return FittedStreaming(network, grouping, points, temperatures, settings)


def _report(
    run: Path,
    fitted: FittedStreaming,
    public_test: list[FeatureSet],
    history: list[dict[str, float]],
    cost: float,
    seconds: float,
) -> dict[str, Any]:
    table = {
        'model': 'streaming',
        'settings': fitted.settings,
        'temperatures': {name: round(one, 3) for name, one in fitted.temperatures.items()},
        'biases': {
            vocabulary: {name: round(float(one), 3) for name, one in zip(FER_CLASSES, point)}
            for vocabulary, point in fitted.operating_points.items()
        },
        'parameters': int(fitted.network.model.count_params()),
        'cross_entropy_that_rounding_weights_cost': round(cost, 5),
        'seconds_of_this_call': round(seconds, 1),
        'history': history,
        'public_test': {
            vocabulary: {
                each.source: {
                    branch: classification(
                        fitted.stills(only_branch(each.vectors, branch), vocabulary),
                        to_label[each.emotion],
                        names,
                    )
                    for branch in PRESENT
                }
                for each in public_test
            }
            for vocabulary, to_label, names in (
                (THREE, fitted.grouping.to_label, fitted.grouping.labels),
                (SEVEN, np.arange(len(FER_CLASSES)), FER_CLASSES),
            )
        },
    }
    write_json(table, run / 'tables' / 'streaming.json')
    _draw_training(history, run / 'figures' / 'streaming-history.png')
    return table


def _draw_training(history: History, path: Path) -> None:
    """Draw loss, cross-entropy on PublicTest and unrest over the batches."""
    steps = [line['step'] for line in history]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout='constrained')
    left.plot(steps, [line['loss'] for line in history], 'o-', label='loss on sequences')
    left.plot(
        steps,
        [-line['validation'] for line in history],
        'o-',
        label='cross-entropy on stills of PublicTest',
    )
    left.set_ylabel('nats, seven classes')
    right.plot(steps, [line['unrest'] for line in history], 'o-')
    right.set_ylabel('change of probabilities per frame while steady')
    for axes in (left, right):
        axes.set_xlabel('batch')
        axes.grid(alpha=0.3)
    left.legend(fontsize='small')
    figure.suptitle('Training of streaming')
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
