"""The appearance network: what it reads, how it is trained, and when it ships."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from matplotlib.axes import Axes

from emotion_estimator_training.data.stills import TRAINING, votes_of
from emotion_estimator_training.data.truth import truth_of_labels, truth_of_stills

for module in ('tensorflow', 'tf_keras', 'ai_edge_litert'):
    pytest.importorskip(module, reason=f'training needs {module} (pip install ./training)')

from made_people import made_people
from tiny_appearance import (
    FIT,
    FOUND,
    MATRICES,
    PLAN,
    SETTINGS,
    VARIATION,
    made_scores,
    made_stills,
    ship,
    train,
)

from emotion_estimator.errors import InputError
from emotion_estimator.model_card import ModelCard
from emotion_estimator.perception.appearance import AppearanceNetwork
from emotion_estimator.runtimes import runtimes
from emotion_estimator_training.data.grouping import load_grouping
from emotion_estimator_training.features.crops import CropMaker, plain_crops
from emotion_estimator_training.features.feature_set import PRESENT
from emotion_estimator_training.models import appearance_network, appearance_run
from emotion_estimator_training.models.appearance_network import (
    AppearanceData,
    AppearanceSettings,
    build_appearance,
    build_heads,
    cross_entropy,
    network_pixels,
)
from emotion_estimator_training.models.appearance_run import (
    Part,
    appearance_folder,
    blendshapes_of,
    planned,
)
from emotion_estimator_training.models.legacy_keras import keras, tf
from emotion_estimator_training.models.operating_point import softmax
from emotion_estimator_training.models.training_loop import claim_folder, read_history
from emotion_estimator_training.report.training_curves import draw_trainings
from emotion_estimator_training.shipping import appearance
from emotion_estimator_training.shipping.appearance import int8_network
from emotion_estimator_training.shipping.parity import ParityError

STILLS = made_stills()
CROPS = plain_crops(STILLS.pixels, MATRICES)
CHANCE = np.log(7)
SHORT = replace(FIT, epochs=3, batch=24)
UNCALM = {'last': replace(PLAN['last'], training=replace(SHORT, calm=0))}


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    return train(tmp_path_factory.mktemp('run'), votes=True)


@pytest.fixture(scope='module')
def card(trained, tmp_path_factory):
    return ship(trained, tmp_path_factory.mktemp('shipped') / 'models')


def float_network(trained):
    network = build_appearance(SETTINGS)
    network.load_weights(appearance_folder(trained.run) / 'appearance.weights.h5')
    return network


def test_pixels_are_what_the_robot_gives() -> None:
    pixels = network_pixels(np.array([[0, 64, 128, 255]], np.uint8))
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(pixels[..., 0], [[-2, -1, 0, 127 / 64]])


def test_an_embedding_has_64_numbers_and_none_is_negative() -> None:
    keras.utils.set_random_seed(1)
    made = np.asarray(build_appearance(SETTINGS)(network_pixels(CROPS[:9])))
    assert made.shape == (9, 64)
    assert made.min() == 0
    assert made.max() > 0


def test_the_shipped_shape_fits_its_share_of_600_kilobytes() -> None:
    # A byte for each weight, beside the blendshape head's 266 kB and the streaming network's 50.
    assert build_appearance(AppearanceSettings()).count_params() < 275_000


@pytest.mark.parametrize('branch', PRESENT)
def test_heads_hear_what_is_present_alone(branch: str) -> None:
    keras.utils.set_random_seed(2)
    heads = build_heads(SETTINGS, np.zeros(104, np.float32), np.ones(104, np.float32))
    rng = np.random.default_rng(3)
    embedding, scores = rng.random((4, 64)).astype(np.float32), rng.random((4, 52))
    scores = scores.astype(np.float32)
    present = np.tile(np.float32(PRESENT[branch]), (4, 1))
    alone, votes, joined = (np.asarray(one) for one in heads([embedding, scores, present]))
    assert (alone.shape, votes.shape, joined.shape) == ((4, 7), (4, 10), (4, 7))
    other = np.asarray(heads([embedding, scores[::-1], present])[2])
    assert np.allclose(other, joined, atol=1e-6) == (branch == 'appearance')
    other = np.asarray(heads([embedding[::-1], scores, present])[2])
    assert np.allclose(other, joined, atol=1e-6) == (branch == 'blendshapes')


def test_training_learns_what_crops_show(trained) -> None:
    history = trained.table['history']
    assert [line['epoch'] for line in history] == [*range(1, 18)], 'the last two are calm ones'
    assert history[-1]['loss'] < 0.75 * history[0]['loss']
    assert history[-1]['appearance_seven'] > 0.9
    assert history[-1]['joined_labels'] > 0.9
    assert history[-1]['appearance_cross_entropy'] < CHANCE
    assert trained.table['mirrored_seven'] > 0.9
    assert trained.table['mirrored_cross_entropy'] < CHANCE
    written = json.loads((trained.run / 'tables' / 'appearance-last.json').read_text())
    assert written == json.loads(json.dumps(trained.table))


def test_annotators_votes_are_learned_where_there_are_any(trained) -> None:
    votes = votes_of(made_stills(votes=True))
    assert votes.shape == (144, 10)
    np.testing.assert_allclose(votes.sum(axis=1), 1)
    folder = appearance_folder(trained.run)
    with np.load(folder / 'spread.npz') as stored:
        heads = build_heads(SETTINGS, stored['mean'], stored['scale'])
    heads.load_weights(folder / 'heads.weights.h5')
    embedded = np.asarray(float_network(trained)(network_pixels(CROPS[96:])))
    found = np.asarray(heads([embedded, np.zeros((48, 52)), np.ones((48, 2))])[1]).argmax(axis=1)
    assert (found == votes[96:].argmax(axis=1)).mean() > 0.9


def test_a_still_that_annotators_call_no_face_is_not_learned_from(monkeypatch, tmp_path) -> None:
    learned = []
    monkeypatch.setattr(
        appearance_run,
        'fit',
        lambda _, __, data, *rest: learned.append((len(data), data.votes.sum())) or [{'epoch': 1}],
    )
    train(tmp_path / 'a', votes=True, plan=UNCALM)
    train(tmp_path / 'b', votes=False, plan=UNCALM)
    assert learned == [(95, 95.0), (96, 0.0)]


class InterruptedTrainingError(Exception):
    """Raised in place of Ctrl-C."""


def fitted(folder, stop_at=None):
    """Fit on stills without votes; break off while epoch ``stop_at`` is measured."""
    keras.utils.set_random_seed(4)
    network = build_appearance(SETTINGS)
    heads = build_heads(SETTINGS, np.zeros(104, np.float32), np.ones(104, np.float32))
    scores, known = blendshapes_of(STILLS, [made_scores(STILLS)])
    learned = np.arange(48)
    data = AppearanceData(
        CropMaker(STILLS.pixels[learned], MATRICES[learned], VARIATION),
        np.eye(7, dtype=np.float32)[STILLS.emotion[learned]],
        np.ones(48, np.float32),
        votes_of(STILLS)[learned],
        scores[learned],
        known[learned],
    )
    measured = []

    def validate(*_):
        measured.append(1)
        if len(measured) == stop_at:
            raise InterruptedTrainingError
        return {'right': 0.5}

    folder.mkdir(exist_ok=True)
    history = appearance_network.fit(network, heads, data, SHORT, validate, folder)
    return history, len(measured), network.get_weights() + heads.get_weights()


@pytest.mark.usefixtures('eager')
def test_an_interrupted_training_continues_to_the_same_end(tmp_path) -> None:
    complete, measured, weights = fitted(tmp_path / 'complete')
    assert [line['epoch'] for line in complete] == [1, 2, 3]
    assert measured == 3
    assert np.isfinite([line['loss'] for line in complete]).all(), 'zeros for votes cost nothing'
    cut = tmp_path / 'cut'
    with pytest.raises(InterruptedTrainingError):
        fitted(cut, stop_at=3)
    assert [line['epoch'] for line in read_history(cut)] == [1, 2]
    continued, measured, again = fitted(cut)
    assert measured == 1, 'what was done is not done again'
    for one, other in zip(complete, continued):
        assert one['epoch'] == other['epoch']
        assert one['loss'] == pytest.approx(other['loss'], abs=2e-3)
    for one, other in zip(weights, again):
        np.testing.assert_allclose(one, other, atol=2e-3)
    # A finished training is read and not repeated.
    finished, measured, same = fitted(cut)
    assert (finished, measured) == (continued, 0)
    for one, other in zip(again, same):
        np.testing.assert_array_equal(one, other)


def test_other_settings_start_from_the_beginning(tmp_path) -> None:
    folder = tmp_path / 'run'
    claim_folder(folder, asdict(FIT))
    (folder / 'calm').mkdir()
    (folder / 'calm' / 'weights').write_text('')
    claim_folder(folder, asdict(FIT))
    assert (folder / 'calm' / 'weights').exists()
    claim_folder(folder, asdict(replace(FIT, epochs=9)))
    assert [path.name for path in folder.iterdir()] == ['settings.json']


def test_other_images_start_from_the_beginning_and_the_same_are_not_trained_again(
    monkeypatch, tmp_path
) -> None:
    fitted = []

    def fit(network, *rest):
        fitted.append(rest)
        return [{'epoch': 1}]

    monkeypatch.setattr(appearance_run, 'fit', fit)
    asked = []
    monkeypatch.setattr(
        appearance_run.Origin,
        'predict',
        lambda self, crops, *_: asked.append(len(crops)) or np.full((len(crops), 7), 1 / 7),
    )
    plan = {**UNCALM, 'again': replace(UNCALM['last'], taught_by=('last',))}
    for _ in range(2):
        for name in plan:
            train(tmp_path, plan=plan, name=name)
    learned, measured = 96, 48
    assert asked.count(learned) == 1, 'a finished training asks nobody'
    assert asked.count(measured) == 2 * len(plan), 'each part is measured on PublicTest'
    kept = appearance_folder(tmp_path) / 'kept'
    kept.write_text('')
    train(tmp_path, plan=plan)
    assert kept.exists()
    train(tmp_path, votes=True, plan=plan)
    assert not kept.exists(), 'one still fewer is learned from'


def test_a_set_without_test_images_is_refused(tmp_path) -> None:
    stills = made_stills()
    alone = replace(stills, usage=np.zeros(144, np.int64))
    with pytest.raises(InputError, match='PublicTest'):
        appearance_run.run_appearance(
            tmp_path,
            alone,
            MATRICES,
            FOUND,
            [made_scores(alone)],
            load_grouping(),
            PLAN,
        )


def test_a_part_starts_from_another_and_is_taught_by_it(monkeypatch, trained) -> None:
    """The target is half the labels and half the predictions of the larger network."""
    begun = []

    def kept(network, heads, data, *_):
        begun.append((network.get_weights(), heads.get_weights(), data.target))
        return [{'epoch': 1}]

    monkeypatch.setattr(appearance_run, 'fit', kept)
    again = Part(SETTINGS, replace(FIT, taught=0.5, calm=0), VARIATION, 'last', ('last',))
    train(trained.run, votes=True, plan={**PLAN, 'again': again}, name='again')
    network, _, target = begun[0]
    for one, other in zip(network, float_network(trained).get_weights()):
        np.testing.assert_array_equal(one, other)
    stills = made_stills(votes=True)
    truth = truth_of_stills(stills)
    learned = np.flatnonzero((stills.usage == TRAINING) & (truth.weight > 0))
    opinion = 2 * target - truth.target[learned]
    np.testing.assert_allclose(opinion.sum(axis=1), 1, atol=1e-5)
    assert (opinion.argmax(axis=1) == STILLS.emotion[learned]).mean() > 0.9
    smallest = truth.target.min()
    assert (np.abs(opinion - smallest) > 0.001).any(axis=1).all(), 'truth alone is the same'


def test_zeros_for_votes_have_no_loss_and_no_gradient() -> None:
    target = np.array([[0, 0, 0], [0.2, 0.3, 0.5], [0.4, 0.6, 1.0]], np.float32)
    logits = tf.Variable([[1.0, -2.0, 0.5]] * 3)
    with tf.GradientTape() as tape:
        losses = cross_entropy(target, logits)
    gradient = np.asarray(tape.gradient(losses, logits))
    np.testing.assert_array_equal(gradient[0], 0)
    assert float(losses[0]) == 0
    # Of shares it is what TensorFlow says; twice the shares count twice.
    usual = tf.nn.softmax_cross_entropy_with_logits(target[1:2], logits[1:2])
    assert float(losses[1]) == pytest.approx(float(usual[0]), rel=1e-6)
    np.testing.assert_allclose(
        gradient[2], 2 * (softmax(logits[2].numpy()) - target[2] / 2), atol=1e-6
    )


@pytest.mark.usefixtures('eager')
def test_a_still_counts_by_its_weight(tmp_path) -> None:
    """Stills of weight 0 with wrong targets change nothing."""
    keras.utils.set_random_seed(4)
    scores, known = blendshapes_of(STILLS, [made_scores(STILLS)])
    ends = []
    for wrong in (0, 6):
        target = np.eye(7, dtype=np.float32)[STILLS.emotion[:48]]
        target[24:] = np.eye(7, dtype=np.float32)[wrong]
        data = AppearanceData(
            CropMaker(STILLS.pixels[:48], MATRICES[:48], VARIATION),
            target,
            np.repeat(np.float32([1, 0]), 24),
            votes_of(STILLS)[:48],
            scores[:48],
            known[:48],
        )
        keras.utils.set_random_seed(4)
        network = build_appearance(SETTINGS)
        heads = build_heads(SETTINGS, np.zeros(104, np.float32), np.ones(104, np.float32))
        short = replace(SHORT, epochs=1)
        appearance_network.fit(network, heads, data, short, lambda *_: {}, tmp_path / str(wrong))
        ends.append(heads.get_weights())
    for one, other in zip(*ends):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_people_are_learned_from_and_measured_beside_the_stills(monkeypatch, tmp_path) -> None:
    people = made_people()
    learned = []

    def fit(network, heads, data, _, validate, __):
        learned.append(data)
        return [{'epoch': 1, **validate(network, heads)}]

    monkeypatch.setattr(appearance_run, 'fit', fit)
    tables = [train(tmp_path, plan=UNCALM, people=one).table for one in (people, None)]
    with_people, alone = learned
    own = np.flatnonzero(people.usage == TRAINING)
    assert len(with_people) == len(alone) + len(own)
    assert with_people.weight.mean() == pytest.approx(1)
    np.testing.assert_array_equal(with_people.target[96:].argmax(axis=1), people.emotion[own])
    np.testing.assert_allclose(
        with_people.weight[96:] / with_people.weight[0],
        truth_of_labels(people.emotion, people.weight).weight[own]
        / truth_of_stills(STILLS).weight[0],
        rtol=1e-5,
    )
    # The sources' columns are those of the stills; what the other source found is left out.
    np.testing.assert_array_equal(with_people.scores[96:, 0], people.scores[own, 1])
    np.testing.assert_array_equal(with_people.known[96:, 0], people.known[own, 1])
    assert not with_people.votes[96:].any()
    crops = with_people.maker(np.arange(96, 96 + len(own)), 1)[0]
    assert (crops.std(axis=(1, 2)) > 10).all(), 'cut from the chips'
    assert tables[0]['faces'] == {'stills': 96, 'people': len(own)}
    assert 'appearance_people' in tables[0]['history'][0]
    assert 'appearance_people' not in tables[1]['history'][0]


def test_a_missing_origin_is_named(tmp_path) -> None:
    plan = {**PLAN, 'again': replace(PLAN['last'], taught_by=('last',))}
    with pytest.raises(InputError, match=r"weights\.h5 is missing; train the part 'last' first"):
        train(tmp_path, plan=plan, name='again')


def test_the_plan_ends_with_a_network_of_the_shipped_shape() -> None:
    plan = planned(seed=3)
    *_, (name, last) = plan.items()
    assert name == 'last'
    assert last.settings == AppearanceSettings()
    assert plan[last.begins_with].settings == last.settings, 'weights fit'
    assert len({part.training.seed for part in plan.values()}) == 3
    assert {part.training.epochs for part in planned(epochs=2).values()} == {2}


def test_the_larger_network_may_be_trained_out_before_it_teaches() -> None:
    plan, longer = planned(seed=3), planned(seed=3, longer=True)
    assert list(longer) == ['first', 'large', 'long', 'last']
    assert [longer[name] for name in ('first', 'large')] == [plan['first'], plan['large']]
    assert plan['last'].taught_by == ('first', 'large')
    assert longer['last'] == replace(plan['last'], taught_by=('first', 'long'))
    long = longer['long']
    assert (long.begins_with, long.settings) == ('large', plan['large'].settings)
    assert long.training.seed not in {part.training.seed for part in plan.values()}
    seen = [sum((part.training.epochs, part.training.calm)) for part in (plan['large'], long)]
    assert sum(seen) / (plan['first'].training.epochs + plan['first'].training.calm) > 0.7
    assert planned(epochs=2, longer=True)['long'].training.epochs == 2


def test_a_continuation_is_drawn_after_its_origin(tmp_path, monkeypatch) -> None:
    drawn = []
    plot = Axes.plot
    monkeypatch.setattr(
        Axes,
        'plot',
        lambda self, epochs, *rest, **how: (
            drawn.append(list(epochs)) or plot(self, epochs, *rest, **how)
        ),
    )
    line = {
        f'{read}_{what}': 0.5
        for read in ('appearance', 'joined')
        for what in ('seven', 'labels', 'cross_entropy')
    }
    tables = {
        name: {
            'parameters': 9,
            'begins_with': before,
            'history': [{'epoch': epoch, **line} for epoch in range(1, count + 1)],
        }
        for name, before, count in (('large', '', 3), ('long', 'large', 2))
    }
    assert draw_trainings(tables, tmp_path / 'figures' / 'trainings.png').stat().st_size > 1000
    assert drawn[:4] == [[1, 2, 3]] * 2 + [[4, 5]] * 2


def test_blendshapes_are_those_of_each_source_that_saw_the_still() -> None:
    seen = made_scores(STILLS)
    scores, known = blendshapes_of(STILLS, [seen, seen.where(seen.image_id < 50)])
    assert (scores.shape, known.shape) == ((144, 2, 52), (144, 2))
    np.testing.assert_array_equal(known[:, 0], np.arange(144) % 5 > 0)
    np.testing.assert_array_equal(known[:, 1], known[:, 0] & (np.arange(144) < 50))
    np.testing.assert_array_equal(scores[known[:, 0], 0], seen.blendshapes)
    assert not scores[~known].any()


def test_batches_hide_either_branch_and_never_both() -> None:
    scores, known = blendshapes_of(STILLS, [made_scores(STILLS)])
    data = AppearanceData(
        CropMaker(STILLS.pixels, MATRICES, replace(VARIATION, hidden=0.0)),
        np.eye(7, dtype=np.float32)[STILLS.emotion],
        np.linspace(0.5, 1, 144, dtype=np.float32),
        votes_of(STILLS),
        scores,
        known,
    )
    rows = np.tile(np.arange(144), 20)
    fit = replace(FIT, without=(0.2, 0.3))
    pixels, shapes, present, *wanted = appearance_network._batch(data, rows, fit, [1, 2])
    assert (pixels.shape, shapes.shape) == ((2880, 48, 48, 1), (2880, 52))
    for given, of_stills in zip(wanted, (data.target, data.weight, data.votes)):
        np.testing.assert_array_equal(given, of_stills[rows])
    assert present.any(axis=1).all()
    unseen = ~known[rows, 0]
    assert (present[unseen] == (1, 0)).all()
    seen = present[~unseen]
    assert (seen == (0, 1)).all(axis=1).mean() == pytest.approx(0.2, abs=0.03)
    assert (seen == (1, 0)).all(axis=1).mean() == pytest.approx(0.3, abs=0.03)


def test_the_shipped_file_agrees_with_the_trained_network_in_each_runtime(trained, card) -> None:
    made = ModelCard.load(card, 'appearance')
    assert made.settings['embedding_size'] == 64
    assert made.metrics['history'] == trained.table['history']
    figures = made.metrics['parity']
    # Each that is installed, tflite-runtime too, which reads nothing where TensorFlow is loaded.
    assert set(figures) == set(runtimes())
    for one in figures.values():
        assert one['frames'] == 48
        assert one['agreement'] >= 0.99
    exact = np.asarray(float_network(trained)(network_pixels(CROPS[96:104])))
    robot = AppearanceNetwork.load(card)
    for crop, wanted in zip(CROPS[96:104], exact):
        np.testing.assert_allclose(robot(crop), wanted, atol=0.05 * exact.max())
    text = card.with_suffix('.md').read_text()
    assert text.startswith('# appearance ')
    assert made.sha256 in text


def test_a_file_that_differs_is_not_written(trained, tmp_path, monkeypatch) -> None:
    def bent(network):
        # The last layer's columns are shuffled on the way to the file, as a bug would.
        *others, kernel, bias = network.get_weights()
        order, other = np.random.default_rng(0).permutation(64), build_appearance(SETTINGS)
        other.set_weights([*others, kernel[:, order], bias[order]])
        return int8_network(other)

    monkeypatch.setattr(appearance, 'int8_network', bent)
    with pytest.raises(ParityError) as caught:
        ship(trained, tmp_path / 'models')
    assert '\n' not in str(caught.value)
    assert 'below 99%' in str(caught.value)
    assert not (tmp_path / 'models').exists()
