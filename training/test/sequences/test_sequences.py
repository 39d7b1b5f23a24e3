"""Sequences made of stills: times, labels and scores as they are said to be."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.blendshapes import MIRROR
from emotion_estimator.errors import InputError
from emotion_estimator_training.data.grouping import load_grouping
from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.features.feature_set import FeatureSet, face_vectors, save_features
from emotion_estimator_training.sequences.disturbances import Disturbances
from emotion_estimator_training.sequences.sequences import (
    Mouths,
    SequenceMaker,
    SequenceSettings,
)

CALM = Disturbances(
    white=(0.0, 0.0),
    tremor=(0.0, 0.0),
    drift=(0.0, 0.0),
    turn=(0.0, 0.0),
    blinks=0.0,
    speaks=0.0,
    calm=0.0,
    gain=0.0,
    missing=0.0,
)
PLAIN = SequenceSettings(steps=60, dropped=0.0, leaves=0.0, disturbances=CALM)
RNG = np.random.default_rng(0)
POOL = RNG.random((70, 52)).astype(np.float32)
EMOTION = np.arange(70) % len(FER_CLASSES)
NEUTRAL = FER_CLASSES.index('neutral')

EMBEDDINGS = RNG.gamma(0.3, 2, (70, 64)).astype(np.float32)
EMBEDDINGS[RNG.random((70, 64)) < 0.4] = 0
#: Faces of which every fifth has no crop that shows it.
FACES = face_vectors(POOL, EMBEDDINGS)
FACES[::5, 52:-1] = 0
VARIED = np.maximum(FACES[:, None, 52:-2] + RNG.normal(size=(70, 3, 64)), 0).astype(np.float32)
VARIED[::5] = 0

seeds = st.integers(0, 10**6)


def made(seed: int, shape: SequenceSettings, count: int = 8):
    return SequenceMaker(POOL, EMOTION, shape)(count, seed)


def nearest(scores: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Say how far each frame is from its still, as it is or mirrored."""
    direct = np.abs(scores - POOL[row]).max(axis=-1)
    mirrored = np.abs(scores - POOL[row][..., list(MIRROR)]).max(axis=-1)
    return np.minimum(direct, mirrored)


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_shapes_ranges_and_increasing_time(seed: int) -> None:
    batch = made(seed, SequenceSettings(steps=40))
    assert batch.blendshapes.shape == (8, 40, 52)
    assert batch.dt.shape == (8, 40, 1)
    assert batch.row.shape == batch.weight.shape == (8, 40)
    assert batch.blendshapes.dtype == batch.dt.dtype == batch.weight.dtype == np.float32
    assert batch.blendshapes.min() >= 0
    assert batch.blendshapes.max() <= 1
    assert (batch.dt > 0).all()
    assert ((batch.weight > 0) & (batch.weight <= 1)).all()
    assert ((batch.row >= 0) & (batch.row < len(POOL))).all()


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_the_same_seed_gives_the_same_and_another_does_not(seed: int) -> None:
    first, again, other = (made(one, SequenceSettings()) for one in (seed, seed, seed + 1))
    for name in ('vectors', 'dt', 'row', 'weight'):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert (first.blendshapes != other.blendshapes).any()


@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_labels_count_less_only_around_a_change_and_change_only_there(seed: int) -> None:
    batch = made(seed, replace(PLAIN, still=0.0, rate=(30.0, 30.0)))
    for row, weight in zip(batch.row, batch.weight):
        low = np.flatnonzero(weight < 1)
        changes = np.flatnonzero(np.diff(row)) + 1
        # The label goes over in the middle of a change; the fastest takes three frames.
        for at in changes:
            assert (weight[max(at - 1, 0) : at + 1] < 1).any()
        for at in low:
            near = np.abs(changes - at).min(initial=1000)
            cut_off = min(at, len(row) - 1 - at)
            assert min(near, cut_off) <= 30, 'counts less a second from any change'


@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_a_face_shows_the_still_that_its_label_is_of(seed: int) -> None:
    batch = made(seed, replace(PLAIN, still=0.0, onset=(0.01, 0.011), rate=(30.0, 30.0)))
    steady = batch.weight == 1
    assert steady.mean() > 0.9
    assert np.median(nearest(batch.blendshapes, batch.row)[steady]) < 1e-5


def test_a_steady_face_does_not_change() -> None:
    batch = made(3, replace(PLAIN, still=1.0))
    assert (batch.row == batch.row[:, :1]).all()
    assert (batch.weight == 1).all()
    assert np.ptp(batch.blendshapes, axis=1).max() < 1e-5


def test_half_are_mirrored_and_complete_sequences_are() -> None:
    batch = made(4, replace(PLAIN, still=1.0), count=200)
    mirrored = np.abs(batch.blendshapes - POOL[batch.row][..., list(MIRROR)]).max(axis=-1) < 1e-5
    assert (mirrored == mirrored[:, :1]).all()
    assert 0.35 < mirrored[:, 0].mean() < 0.65


def test_expressions_come_from_neutral_and_go_back_to_the_same_face() -> None:
    batch = made(5, replace(PLAIN, steps=300, still=0.0, direct=0.0, hold=(0.3, 0.6)), count=40)
    for row in batch.row:
        kinds = row[np.insert(np.diff(row) != 0, 0, True)]
        neutral = [one for one in kinds if EMOTION[one] == NEUTRAL]
        assert len(set(neutral)) <= 1, 'another neutral face'
        for before, after in pairwise(kinds):
            assert (EMOTION[before] == NEUTRAL) != (EMOTION[after] == NEUTRAL)


@given(seed=seeds, low=st.floats(8, 20), width=st.floats(1.0, 4.0))
@settings(max_examples=20, deadline=None)
def test_intervals_fit_the_rate(seed: int, low: float, width: float) -> None:
    batch = made(seed, replace(PLAIN, rate=(low, low * width)))
    assert batch.dt.min() >= 0.9 / (low * width) - 1e-6
    assert batch.dt.max() <= 1.1 / low + 1e-6
    mean = batch.dt.mean(axis=1)
    assert np.ptp(batch.dt, axis=1).max() <= 0.21 * mean.max(), 'the rate changes within one'


def test_frames_are_dropped_and_faces_leave_once() -> None:
    steady = replace(PLAIN, rate=(30.0, 30.0), steps=100)
    dropped = made(1, replace(steady, dropped=0.5), count=100).dt
    assert 0.1 < (dropped > 1.5 / 30).mean() < 0.6
    away = made(1, replace(steady, leaves=1.0, away=(0.5, 1.0)), count=100).dt[..., 0]
    assert ((away >= 0.5).sum(axis=1) == 1).all()
    assert away.max() <= 1.0
    some = made(1, replace(steady, leaves=0.3, away=(0.5, 1.0)), count=400).dt[..., 0]
    assert 0.22 < (some >= 0.5).any(axis=1).mean() < 0.38


def made_of_faces(seed: int, shape: SequenceSettings, count: int = 8):
    return SequenceMaker(FACES, EMOTION, shape, VARIED)(count, seed)


@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_embeddings_are_never_negative_and_flags_are_flags(seed: int) -> None:
    batch = made_of_faces(seed, SequenceSettings(steps=40))
    assert batch.vectors.shape == (8, 40, 118)
    assert batch.vectors.dtype == np.float32
    assert batch.vectors[..., 52:-2].min() >= 0
    assert set(np.unique(batch.vectors[..., -2:])) <= {0.0, 1.0}
    assert (batch.vectors[..., -2:].sum(axis=-1) > 0).all(), 'a face of which nothing is known'


@pytest.mark.parametrize(
    ('shares', 'known'),
    [
        ((1, 0, 0), (1, 1)),
        ((0, 1, 0), (1, 0)),
        ((0, 0, 1), (0, 1)),
    ],
)
def test_each_branch_is_known_as_configured(shares, known) -> None:
    shape = replace(PLAIN, still=1.0, branches=shares, unseen=0.0)
    batch = made_of_faces(2, shape, count=60)
    without = batch.row % 5 == 0
    assert 0.1 < without.mean() < 0.3
    assert (batch.vectors[~without][:, -2:] == known).all()
    # Without a crop there are blendshapes alone, whatever is asked for.
    assert (batch.vectors[without][:, -2:] == (0, 1)).all()


def test_branches_are_drawn_in_the_shares_asked_for_and_for_complete_sequences() -> None:
    shape = replace(PLAIN, still=1.0, branches=(0.6, 0.3, 0.1), unseen=0.0)
    batch = made_of_faces(7, shape, count=600)
    flags = batch.vectors[..., -2:]
    assert (flags == flags[:, :1]).all()
    cropped = flags[batch.row[:, 0] % 5 != 0][:, 0]
    for known, share in (((1, 1), 0.6), ((1, 0), 0.3), ((0, 1), 0.1)):
        assert (cropped == known).all(axis=1).mean() == pytest.approx(share, abs=0.06)


def test_some_crops_show_nothing_where_blendshapes_are_known() -> None:
    shape = replace(PLAIN, still=1.0, branches=(0.5, 0.5, 0), unseen=0.3)
    flags = made_of_faces(3, shape, count=100).vectors[..., -2:]
    both = flags[flags[..., 1].all(axis=1) & flags[..., 0].any(axis=1)]
    assert 1 - both[..., 0].mean() == pytest.approx(0.3, abs=0.03)
    alone = flags[~flags[..., 1].any(axis=1)]
    assert len(alone) > 20
    assert alone[..., 0].all()


def test_between_a_face_with_a_crop_and_one_without_there_is_none() -> None:
    shape = replace(PLAIN, steps=200, still=0.0, branches=(1, 0, 0), unseen=0.0, onset=(0.5, 1.0))
    batch = made_of_faces(8, shape, count=40)
    seen, without = batch.vectors[..., -2] > 0, batch.row % 5 == 0
    assert not seen[without].any()
    changing = (batch.weight < 1) & ~without
    mixed = changing & ~seen
    assert mixed.any()
    # Where no face without a crop comes near, nothing is lost.
    untouched = ~without.any(axis=1)
    assert untouched.any()
    assert seen[untouched].all()


def test_calm_faces_keep_their_embeddings_and_others_move_as_their_varied_crops_do() -> None:
    calm = replace(PLAIN, still=1.0, branches=(1, 0, 0), disturbances=replace(CALM, calm=1.0))
    batch = made_of_faces(6, calm)
    np.testing.assert_array_equal(batch.vectors[..., 52:-2], FACES[batch.row][..., 52:-2])
    moved = made_of_faces(6, replace(calm, disturbances=CALM, moves=(1.0, 1.0)), count=40)
    change = moved.vectors[..., 52:-2] - FACES[moved.row][..., 52:-2]
    cropped = moved.row[:, 0] % 5 != 0
    assert np.abs(change[cropped]).max(axis=(1, 2)).min() > 0.3
    assert np.ptp(moved.vectors[cropped][..., 52:-2], axis=1).max(axis=-1).min() > 0.3
    assert not change[~cropped].any()
    # Asked for no movement, and without varied crops, they rest.
    for maker in (
        SequenceMaker(FACES, EMOTION, replace(calm, disturbances=CALM)),
        SequenceMaker(FACES, EMOTION, replace(calm, disturbances=CALM, moves=(0.0, 0.0)), VARIED),
    ):
        batch = maker(8, 6)
        np.testing.assert_array_equal(batch.vectors[..., 52:-2], FACES[batch.row][..., 52:-2])


@pytest.mark.parametrize('emotion', [NEUTRAL, 0])
def test_a_pool_of_one_kind_is_refused(emotion: int) -> None:
    with pytest.raises(ValueError, match='neutral'):
        SequenceMaker(POOL, np.full(70, emotion), PLAIN)


def features(kinds: np.ndarray) -> FeatureSet:
    nothing = np.zeros(70, bool)
    return FeatureSet(
        'face_mesh',
        POOL,
        kinds,
        np.zeros(70, np.int64),
        np.arange(70),
        nothing,
        nothing,
        np.zeros((70, 48, 48), np.uint8),
    )


def test_a_picture_is_drawn(tmp_path) -> None:
    cv2 = pytest.importorskip('cv2')
    pytest.importorskip('matplotlib')
    from emotion_estimator_training.sequences.picture import draw_sequences

    with pytest.raises(InputError, match='has no features'):
        draw_sequences(tmp_path, load_grouping(), 1)
    path = tmp_path / 'features' / 'face_mesh.npz'
    save_features(features(np.full(70, 3)), path)
    with pytest.raises(InputError, match='neutral'):
        draw_sequences(tmp_path, load_grouping(), 1)
    save_features(features(EMOTION), path)
    picture = draw_sequences(tmp_path, load_grouping(), 1)
    assert cv2.imread(str(picture)).std() > 20


#: The first 40 faces have one mouth beside their own, every other of these two.
MOUTH_ROWS = np.full((70, 3), -1)
MOUTH_ROWS[:40, 0] = np.arange(40)
MOUTH_ROWS[:40:2, 1] = np.arange(40, 60)
MOUTHS = Mouths(
    face_vectors(
        RNG.uniform(0.1, 0.9, (60, 52)).astype(np.float32),
        RNG.uniform(0.5, 3, (60, 64)).astype(np.float32),
    ),
    MOUTH_ROWS,
)
ABLE = face_vectors(POOL, EMBEDDINGS)
TALKING = replace(PLAIN, still=1.0, talks=1.0, branches=(1, 0, 0), unseen=0.0, rate=(30.0, 30.0))


def made_to_talk(seed: int, shape: SequenceSettings = TALKING, count: int = 8):
    return SequenceMaker(ABLE, EMOTION, shape, mouths=MOUTHS)(count, seed)


def shares_of_mouths(vectors: np.ndarray, row: int) -> np.ndarray:
    """Return how much of each of its mouths a face shows in each frame, (T, M)."""
    own = MOUTH_ROWS[row][MOUTH_ROWS[row] >= 0]
    # Embeddings are not mirrored.
    away = (MOUTHS.vectors[own] - ABLE[row])[:, 52:-2]
    shares, *_ = np.linalg.lstsq(away.T, (vectors - ABLE[row])[:, 52:-2].T, rcond=None)
    return shares.T


@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_a_talking_face_moves_between_its_own_mouth_and_others_and_keeps_its_label(seed) -> None:
    batch = made_to_talk(seed)
    assert (batch.row == batch.row[:, :1]).all()
    assert (batch.weight == 1).all()
    for vectors, row in zip(batch.vectors, batch.row[:, 0]):
        assert row < 40, 'a face without mouths'
        shares = shares_of_mouths(vectors, row)
        assert shares.min() > -1e-3
        assert shares.sum(axis=1).max() < 1 + 1e-3
        own = MOUTH_ROWS[row][: shares.shape[1]]
        wanted = ABLE[row] + shares @ (MOUTHS.vectors[own] - ABLE[row])
        np.testing.assert_allclose(vectors[:, 52:-2], wanted[:, 52:-2], atol=1e-3)
        mirrored = wanted[:, list(MIRROR)]
        differences = [np.abs(vectors[:, :52] - one).max() for one in (wanted[:, :52], mirrored)]
        assert min(differences) < 1e-3, 'blendshapes move with the crop'


def longest(flags: np.ndarray) -> float:
    """Return for how many seconds flags (T,) hold at most, at 30 frames per second."""
    borders = np.flatnonzero(np.diff(np.pad(flags, 1).astype(int)))
    return float((borders[1::2] - borders[::2]).max(initial=0)) / 30


def test_people_who_talk_pause_and_go_on() -> None:
    quick = replace(TALKING, syllable=(0.07, 0.12), speech=(0.8, 2.0), pause=(0.5, 1.0))
    batch = made_to_talk(4, replace(quick, steps=300, mute=0.0), count=100)
    silent = np.stack(
        [
            shares_of_mouths(vectors, row).sum(axis=1) < 1e-3
            for vectors, row in zip(batch.vectors, batch.row[:, 0])
        ]
    )
    pauses, speeches = (np.array([longest(one) for one in flags]) for flags in (silent, ~silent))
    assert pauses.min() > 0.3, 'ten seconds without a pause'
    # A syllable more than asked for, on either side.
    assert pauses.max() < 1.0 + 0.3
    assert speeches.max() < 2.0 + 0.3
    assert 0.4 < 1 - silent.mean() < 0.9


def test_mouths_change_at_the_rate_of_syllables() -> None:
    shape = replace(TALKING, steps=300, mute=0.0, speech=(20.0, 30.0), syllable=(0.1, 0.2))
    batch = made_to_talk(5, shape, count=20)
    turns = []
    for vectors, row in zip(batch.vectors, batch.row[:, 0]):
        shares = shares_of_mouths(vectors, row)
        rising = np.sign(np.diff(shares[:, 0]).round(4))
        turns.append((np.diff(rising[rising != 0]) != 0).sum() / 10)
    # At most one for each syllable of 0.15 s; only mouths that come twice in a row have fewer.
    assert 2 < np.mean(turns) < 7


@pytest.mark.parametrize('mute', [0.0, 0.5])
def test_a_face_with_few_mouths_moves_as_often_as_one_with_many(mute: float) -> None:
    shape = replace(TALKING, steps=300, mute=mute, speech=(20.0, 30.0), syllable=(0.15, 0.16))
    batch = made_to_talk(9, shape, count=60)
    rest = np.array(
        [
            (shares_of_mouths(vectors, row).sum(axis=1) < 0.05).mean()
            for vectors, row in zip(batch.vectors, batch.row[:, 0])
        ]
    )
    few = batch.row[:, 0] % 2 == 1
    assert rest[few].mean() == pytest.approx(rest[~few].mean(), abs=0.05)
    assert (rest.mean() > 0.2) == (mute > 0)


def test_as_many_talk_as_asked_for() -> None:
    batch = made_to_talk(6, replace(TALKING, talks=0.3, mute=0.0, steps=90), count=400)
    moves = np.ptp(batch.vectors[..., 52:-2], axis=1).max(axis=-1) > 0.01
    assert moves.mean() == pytest.approx(0.3, abs=0.06)
    assert (batch.row[~moves] >= 40).any(), 'others are drawn from all faces'


def test_a_talking_face_changes_its_expression_between_faces_that_can_talk() -> None:
    batch = made_to_talk(7, replace(TALKING, still=0.0, steps=200), count=20)
    assert (batch.row < 40).all()
    assert (np.diff(batch.row) != 0).any()


def test_without_mouths_nothing_changes() -> None:
    nobody = Mouths(MOUTHS.vectors, np.full((70, 3), -1))
    batches = [
        SequenceMaker(ABLE, EMOTION, shape, mouths=mouths)(20, 8)
        for shape, mouths in (
            (TALKING, None),
            (TALKING, nobody),
            (replace(TALKING, talks=0.0), MOUTHS),
        )
    ]
    for batch in batches:
        for name in ('vectors', 'dt', 'row', 'weight'):
            np.testing.assert_array_equal(getattr(batch, name), getattr(batches[0], name))
    np.testing.assert_array_equal(batches[0].vectors[..., 52:-2], ABLE[batches[0].row][..., 52:-2])
