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
from emotion_estimator.timeline import plain_text
from emotion_estimator_training.data.grouping import SHIPPED_GROUPING, Grouping, load_grouping
from emotion_estimator_training.data.stills import (
    FER_CLASSES,
    PUBLIC_TEST,
    TRAINING,
    Stills,
    load_stills,
)
from emotion_estimator_training.data.truth import (
    Truth,
    joined,
    majority_of_votes,
    truth_of_labels,
    truth_of_stills,
)
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
    WIDTH,
    FeatureSet,
    face_vectors,
    load_sources,
    only_branch,
)
from emotion_estimator_training.features.features import load_covered
from emotion_estimator_training.features.people import PeopleSet, load_people
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.models.operating_point import (
    calibrated_temperature,
    choose_class_operating_point,
    choose_robot_point,
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
from emotion_estimator_training.sequences.sequences import Mouths, SequenceMaker, SequenceSettings
from emotion_estimator_training.tables import write_json

matplotlib.use('Agg')

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

#: Varied crops of each face: those used as single frames, and those between which a face's
#: embedding moves in sequences.
_VARIED, _MOVES = 2, 3
#: Mouths of a face in sequences at most.
_MOUTHS = 8
#: How much more a sad photograph counts.
_SAD_MORE = 2.0
_SAD = FER_CLASSES.index('sad')
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
    data: Path,
    config: Path | None = None,
    grouping: str = SHIPPED_GROUPING,
    models: Path | None = None,
) -> dict[str, Any]:
    """Train on all sources of ``<run>/features``, and write ``<run>/checkpoints/streaming``.

    Covered faces in ``<run>/covered`` and people in ``<run>/people``, if there are any, are used
    too. The best weights, the temperatures and the operating points are chosen on PublicTest and on
    held-out people; PrivateTest is not used. The same call continues an interrupted training.

    :param data: FER2013, whose votes are learned; the features do not have them.
    :param models: folder of the appearance network; None takes the run's, or the shipped one.
    :returns: the content of ``tables/streaming.json``.
    :raises InputError: there are no features, or none of Training or of PublicTest.
    :raises ModelError: there is no appearance network.
    """
    started = time.monotonic()
    labels = load_grouping(grouping, config)
    stills = load_stills(data)
    stills_truth = truth_of_stills(stills)
    embed = Embedder(appearance_card(run, models))
    sources = load_sources(run)
    learned = [each.where(each.usage == TRAINING) for each in sources]
    if not sum(map(len, learned)) or not all((each.usage == PUBLIC_TEST).any() for each in sources):
        raise InputError(
            f'{run}/features has no faces of Training or of PublicTest; training needs both'
        )
    folder = streaming_folder(run)
    covered = [one for one in (load_covered(run, each.source) for each in sources) if one]
    people = load_people(run)
    data_checksum = checksum(
        *(
            array
            for each in (*learned, *covered)
            for array in (each.blendshapes, each.emotion, each.crops)
        ),
        *(
            ()
            if people is None
            else (
                people.scores,
                people.crops,
                people.weight,
                people.emotion,
                people.usage,
                people.base,
            )
        ),
        stills_truth.target,
        stills_truth.weight,
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
    pool = _pool(learned, covered, people, stills, stills_truth, embed, folder, training.seed)
    # Fails here rather than after minutes of training.
    try:
        maker = SequenceMaker(pool.plain, pool.emotion, shape, pool.moves, pool.mouths)
    except ValueError as error:
        raise InputError(f'{run}/features: {error} in Training') from error
    public_test = [
        with_embeddings(each.where(each.usage == PUBLIC_TEST), embed, f'{each.source}, PublicTest')
        for each in sources
    ]
    held = _held_out(people, public_test, stills, stills_truth, embed)
    # Before the first weights are drawn.
    keras.utils.set_random_seed(training.seed)
    network = build_network(pool.plain, settings)
    truth = _first_stage(network, pool, training, folder)

    def validate(network: StreamingNetwork) -> float:
        scores = []
        for one in held:
            for rows in (one.vectors, only_branch(one.vectors, 'blendshapes')):
                found = softmax(network.still_logits(rows, STILL_STEPS, STILL_DT))
                losses = -(one.truth.target * np.log(np.maximum(found, 1e-9))).sum(axis=1)
                scores.append(np.average(losses, weights=one.truth.weight))
        return -float(np.mean(scores))

    history = fit(network, maker, truth, labels.matrix, validate, training, folder)
    before = validate(network)
    round_weights(network, ('lstm', 'logits'))
    cost = before - validate(network)
    fitted = _fitted(
        network,
        labels,
        held,
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
    """Faces to train on, of all sources.

    :param plain: (N, 118), of pictures as they are; ``emotion`` (N,), their classes.
    :param target: (N, 7) and ``weight`` (N,), their truth.
    :param shown: (M, 118), for training on single frames: the plain faces, the same with varied
        crops, people with other mouths, and rotated copies without a crop; ``shown_target`` and
        ``shown_weight`` are their truth.
    :param moves: (N, K, 64), embeddings of varied crops of the plain faces.
    :param mouth_vectors: (V, 118), and ``mouth_rows`` (N, L), see :class:`~.Mouths`.
    """

    plain: Floats
    emotion: Ints
    target: Floats
    weight: Floats
    shown: Floats
    shown_target: Floats
    shown_weight: Floats
    moves: Floats
    mouth_vectors: Floats
    mouth_rows: Ints

    @property
    def truth(self) -> Truth:
        return Truth(self.target, self.weight)

    @property
    def shown_truth(self) -> Truth:
        return Truth(self.shown_target, self.shown_weight)

    @property
    def mouths(self) -> Mouths | None:
        return Mouths(self.mouth_vectors, self.mouth_rows) if len(self.mouth_vectors) else None


@dataclass(frozen=True, eq=False)
class _HeldOut:
    """Faces that one source found in pictures held out from training.

    :param vectors: (N, 118).
    :param emotion: (N,), classes by FER2013's labels, or a photograph's label.
    :param majority: (N,), the class that most annotators chose, -1 where there is none.
    """

    vectors: Floats
    emotion: Ints
    majority: Ints
    truth: Truth
    of_people: bool


def _neutral(learned: list[FeatureSet]) -> list[float]:
    """Return the mean blendshapes (52) of neutral faces that are neither augmented nor covered."""
    shown = np.concatenate(
        [
            each.blendshapes[~each.augmented & (each.emotion == FER_CLASSES.index('neutral'))]
            for each in learned
        ]
    )
    return [round(float(one), 5) for one in shown.mean(axis=0)]


def _rows_of(stills: Stills, features: FeatureSet) -> Ints:
    """Return the stills' rows of the faces of a feature set."""
    row_of = {int(number): row for row, number in enumerate(stills.image_id)}
    try:
        return np.array([row_of[int(number)] for number in features.image_id], np.int64)
    except KeyError as error:
        raise InputError(
            f'the features are of other images than --data (no image {error}); run "training '
            'features" again'
        ) from error


def _held_out(
    people: PeopleSet | None,
    public_test: list[FeatureSet],
    stills: Stills,
    truth: Truth,
    embed: Embedder,
) -> list[_HeldOut]:
    """Return what decides: the faces of PublicTest, and of held-out people, by source."""
    majority, agreed, _ = majority_of_votes(stills)
    found = []
    for each in public_test:
        rows = _rows_of(stills, each)
        chosen = np.where(agreed[rows], majority[rows], -1)
        # Without votes the label is all that is known.
        chosen = each.emotion if not agreed[rows].any() else chosen
        found.append(_HeldOut(each.vectors, each.emotion, chosen, truth.of(rows), False))
        if people is None or each.source not in people.sources:
            continue
        faces, where = people.of(each.source)
        apart = (faces.usage == PUBLIC_TEST) & ~people.talking[where]
        if apart.any():
            still = with_embeddings(faces.where(apart), embed, f'{each.source}, held-out people')
            # Each picture counts the same, as in what is measured on them.
            even = truth_of_labels(still.emotion, np.ones(len(still), np.float32))
            found.append(_HeldOut(still.vectors, still.emotion, still.emotion, even, True))
    return found


def _pool(
    learned: list[FeatureSet],
    covered: list[FeatureSet],
    people: PeopleSet | None,
    stills: Stills,
    truth: Truth,
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
    plain, moves, shown, emotion = [], [], [], []
    truths, shown_truths = [], []
    mouth_vectors: list[Floats] = [np.zeros((0, WIDTH), np.float32)]
    mouth_rows: list[Ints] = []

    def add(still: FeatureSet, its: Truth) -> None:
        varied = varied_embeddings(
            still, embed, _FOR_FRAMES, _VARIED, [crops_seed, 0], f'{still.source}, varied crops'
        )
        moves.append(
            varied_embeddings(
                still,
                embed,
                FROM_FRAME_TO_FRAME,
                _MOVES,
                [crops_seed, 1],
                f'{still.source}, moved crops',
            )
        )
        otherwise = [replace(still, embeddings=varied[:, k]).vectors for k in range(_VARIED)]
        plain.append(still.vectors)
        emotion.append(still.emotion)
        truths.append(its)
        shown.extend([still.vectors, *otherwise])
        shown_truths.extend([its] * (1 + _VARIED))

    for each in [*learned, *covered]:
        its = truth.of(_rows_of(stills, each))
        counts = its.weight > 0
        each, its = each.where(counts), its.of(counts)
        still = with_embeddings(each.where(~each.augmented), embed, f'{each.source}, crops')
        add(still, its.of(~each.augmented))
        mouth_rows.append(np.full((len(still), _MOUTHS), -1))
        copies = each.where(each.augmented)
        shown.append(face_vectors(copies.blendshapes))
        shown_truths.append(its.of(each.augmented))
    for name in [] if people is None else [each.source for each in learned]:
        assert people is not None
        if name not in people.sources:
            continue
        faces, where = people.of(name)
        trained = faces.usage == TRAINING
        faces, where = faces.where(trained), where[trained]
        faces = with_embeddings(faces, embed, f'{name}, people')
        film = people.film[where]
        weight = people.weight[where]
        # There are too few sad photographs for their weight in the appearance network alone.
        weight = np.where(faces.emotion == _SAD, _SAD_MORE * weight, weight)
        its = truth_of_labels(faces.emotion, weight.astype(np.float32))
        # Each frame of a film is a face of its own, and the film's other frames are its mouths.
        talking = people.talking[where] & ~film
        add(faces.where(~talking), its.of(~talking))
        first = sum(map(len, mouth_vectors))
        lent = np.flatnonzero(talking | film)
        mouth_vectors.append(faces.where(lent).vectors)
        shown.append(faces.where(talking).vectors)
        shown_truths.append(its.of(talking))
        of_base: dict[int, list[int]] = {}
        for number, base in enumerate(people.base[where[lent]].tolist()):
            of_base.setdefault(base, []).append(first + number)
        rng = np.random.default_rng([crops_seed, 2])
        mouth_rows.append(
            np.array(
                [_some(of_base.get(row, []), rng) for row in people.base[where[~talking]].tolist()],
                np.int64,
            ).reshape(-1, _MOUTHS)
        )
    wanted, shown_wanted = joined(*truths), joined(*shown_truths)
    made = _Pool(
        plain=np.concatenate(plain),
        emotion=np.concatenate(emotion),
        target=wanted.target,
        weight=wanted.weight,
        shown=np.concatenate(shown),
        shown_target=shown_wanted.target,
        shown_weight=shown_wanted.weight,
        moves=np.concatenate(moves),
        mouth_vectors=np.concatenate(mouth_vectors),
        mouth_rows=np.concatenate(mouth_rows),
    )
    with atomic_write(path) as partial:
        np.savez(partial, **{field.name: getattr(made, field.name) for field in fields(_Pool)})
    return made


def _some(rows: list[int], rng: np.random.Generator) -> Ints:
    """Return (``_MOUTHS``,) of the rows, in any order; -1 where there are fewer."""
    chosen = np.full(_MOUTHS, -1)
    some = rng.permutation(rows)[:_MOUTHS]
    chosen[: len(some)] = some
    return chosen


def _first_stage(
    network: StreamingNetwork, pool: _Pool, training: StreamingFitSettings, folder: Path
) -> Truth:
    """Train the first layers, or load them; return each plain still's truth for the LSTM."""
    weights = folder / 'frame.weights.h5'
    if weights.exists():
        network.frame_model.load_weights(weights)
    else:
        pretrain(network, pool.shown, pool.shown_truth, training)
        with atomic_write(weights) as partial:
            network.frame_model.save_weights(partial)
    round_weights(network, ('front',))
    own = softmax(network.frame_logits(pool.plain))
    return Truth((1 - training.own) * pool.target + training.own * own, pool.weight)


def _fitted(
    network: StreamingNetwork,
    grouping: Grouping,
    held: list[_HeldOut],
    settings: dict[str, Any],
) -> FittedStreaming:
    """Choose operating points and temperatures, with both branches known."""
    sets = []
    for one in held:
        logits = network.still_logits(one.vectors, STILL_STEPS, STILL_DT)
        agreed = one.majority >= 0
        sets.append((logits[agreed], one.majority[agreed]))
    photographs = [one for one, each in zip(sets, held) if each.of_people]
    points = {
        THREE: choose_robot_point(sets, photographs or sets, grouping),
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
    with plain_text(figure):
        figure.savefig(path, dpi=110)
    plt.close(figure)
