"""Flips and delays of recognizers with known behaviour, and moving averages."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smiling_recognizers import SMILE, Flickers, Smiles, faces

from emotion_estimator.errors import InputError
from emotion_estimator_training.data.grouping import load_grouping
from emotion_estimator_training.evaluation.stability import (
    MovingAverage,
    can_follow,
    changing_faces,
    compare_stability,
    delays,
    draw_changes,
    flips,
    onset_delay,
    steady_faces,
    steady_flips,
    steady_metrics,
    summary,
    video_flips,
    with_moving_averages,
)
from emotion_estimator_training.features.clips import Track
from emotion_estimator_training.sequences.constructed import construct_sequences
from emotion_estimator_training.sequences.jitter import (
    MEASURED,
    Jitter,
    add_in_logits,
    measure_jitter,
    movement,
    steady_frames,
)


def test_flips_are_changes_of_the_best_label() -> None:
    answers = np.eye(3)[[[0, 0, 1, 1, 0], [2, 2, 2, 2, 2]]]
    assert flips(answers).tolist() == [2, 0]


def test_a_flicker_is_counted_each_second_at_any_rate() -> None:
    for rate in (10, 30, 60):
        # Twenty-nine changes lie between thirty frames.
        assert steady_flips(Flickers(), faces(), rate, seconds=2, faces=5) == pytest.approx(
            rate - 0.5
        )


def test_clear_faces_do_not_flip_and_doubtful_ones_do() -> None:
    assert steady_flips(Smiles(), faces(), seconds=2, faces=60) == 0.0
    assert steady_flips(Smiles(), faces(smile=0.5), seconds=2, faces=60) > 0.5
    assert steady_flips(Smiles(), faces(smile=0.5), seconds=2, faces=60, strength=0.0) == 0.0


def test_steady_faces_are_also_checked_for_being_right() -> None:
    steady, truth = steady_faces(faces(), 30, faces=60), np.zeros(60, np.int64)
    assert steady_metrics(Smiles(), steady, truth) == {
        'flips_per_s': 0.0,
        'right_while_steady': 1 / 3,
    }


def test_no_faces_are_refused() -> None:
    with pytest.raises(InputError, match='no faces to measure flips'):
        steady_flips(Smiles(), faces().where(np.zeros(60, bool)))


@pytest.mark.parametrize('late', [0, 6, 15])
@pytest.mark.parametrize('rate', [10, 30, 60])
def test_delay_counts_from_the_first_movement(late: int, rate: int) -> None:
    metrics = onset_delay(Smiles(late), faces(), rate, pairs=20)
    # Half of the smile is there in the middle of the change, 0.1 s after its begin.
    assert metrics['median_s'] == pytest.approx(0.1 + late / rate, abs=1.1 / rate)
    assert metrics['changes'] == 20
    assert metrics['never'] == 0.0


def test_a_label_that_never_comes_is_later_than_all_others() -> None:
    metrics = onset_delay(Smiles(late=1000), faces(), pairs=20)
    assert (metrics['median_s'], metrics['never']) == (None, 1.0)
    mixed = summary(np.array([0.1] * 18 + [np.inf] * 2))
    assert (mixed['median_s'], mixed['p95_s'], mixed['never']) == (0.1, None, 0.1)


def test_a_label_must_stay_to_have_come() -> None:
    changes = draw_changes(faces(), load_grouping(), 4)
    assert np.isinf(delays(Flickers(), changes, changing_faces(changes))).all()


def test_only_changes_that_can_be_followed_are_timed() -> None:
    changes = draw_changes(faces(smile=0.3), load_grouping(), 20)
    assert can_follow(Smiles(), changes).tolist() == (changes.label == 2).tolist()


def test_changes_need_neutral_faces() -> None:
    with pytest.raises(InputError, match='neutral'):
        draw_changes(faces().where(np.arange(60) < 40), load_grouping())


@given(seed=st.integers(0, 50), source=st.sampled_from(sorted(MEASURED)))
@settings(max_examples=8, deadline=None)
def test_sequences_are_scores_and_the_same_for_the_same_seed(seed: int, source: str) -> None:
    a, b = (
        construct_sequences([faces().blendshapes[:3]] * 2, [1.0], source, 30, 2.0, seed)
        for _ in range(2)
    )
    np.testing.assert_array_equal(a.blendshapes, b.blendshapes)
    assert a.blendshapes.shape == (3, 60, 52)
    assert a.blendshapes.min() >= 0
    assert a.blendshapes.max() <= 1
    np.testing.assert_allclose(a.times[-1], 59 / 30, rtol=1e-5)


def test_movement_leaves_what_rests_at_the_edge() -> None:
    moved = add_in_logits(np.array([0.0, 0.5, 1.0], np.float32), np.array([1.0, 1.0, 1.0]))
    np.testing.assert_allclose(moved, [0.0, 0.731, 1.0], atol=2e-3)


def test_measured_movement_is_what_was_drawn() -> None:
    pytest.importorskip('scipy', reason='fitting needs SciPy (pip install ./training)')
    wanted = Jitter(white=0.08, tremor=0.1, drift=0.15)
    times = np.arange(300) / 30
    drawn = movement(wanted, times, 12, np.random.default_rng(4))
    assert drawn.std() == pytest.approx(np.sqrt(0.08**2 + 0.1**2 + 0.15**2), rel=0.05)
    scores = add_in_logits(np.full((12, 300, 52), 0.1, np.float32), drawn)
    got = measure_jitter([(times, one) for one in scores])
    assert got.white == pytest.approx(0.08, rel=0.1)
    assert got.tremor == pytest.approx(0.1, rel=0.25)
    assert got.drift == pytest.approx(0.15, rel=0.25)


def test_a_face_that_moves_is_not_steady() -> None:
    times = np.arange(90) / 30
    scores = np.zeros((90, 52), np.float32)
    scores[45:, SMILE] = 0.9
    still = steady_frames(times, scores)
    assert still[10:30].all()
    assert not still[40:50].any()
    with pytest.raises(InputError, match='is steady'):
        measure_jitter([(times[:10], scores[:10])])


def test_comparison_holds_flips_against_delay_on_the_same_faces() -> None:
    recognizers = with_moving_averages({'dense': Smiles(), 'late': Smiles(6)})
    compared = compare_stability(
        recognizers, faces(smile=0.6), load_grouping(), (30,), faces=60, pairs=20
    )
    assert list(recognizers)[2:] == [f'dense, mean of {s} s' for s in ('0.25', '0.5', '1', '2')]
    models = {name: metrics['30_fps'] for name, metrics in compared['models'].items()}
    assert models['late']['median_s'] == pytest.approx(models['dense']['median_s'] + 0.2, abs=0.04)
    assert models['dense']['flips_to_dense'] == 1.0
    longer = [models[f'dense, mean of {s} s'] for s in ('0.25', '1')]
    assert longer[0]['flips_per_s'] > longer[1]['flips_per_s']
    assert longer[0]['median_s'] < longer[1]['median_s']


def test_flips_on_a_video_stand_beside_the_changes_it_shows() -> None:
    scores = np.zeros((90, 52), np.float32)
    scores[30:60, SMILE] = 0.9
    truth = ('unknown',) * 30 + ('happy',) * 30 + ('unknown',) * 30
    known = Track('a', 'face_mesh', np.arange(90) / 30, scores, truth)
    unknown = Track('b', 'face_mesh', np.arange(90) / 30, scores)
    rows = video_flips({'smiles': Smiles()}, [known, unknown])
    assert [row['changes_shown'] for row in rows] == [2, None]
    assert [row['flips'] for row in rows] == [{'smiles': 2}] * 2


class Copy:
    """Says what its first three inputs say."""

    name, labels = 'copy', ('a', 'b', 'c')

    def stills(self, blendshapes):
        return blendshapes[..., :3]

    def sequences(self, blendshapes, dt):
        return blendshapes[..., :3]


def step(frames, dt):
    """Return a face that goes from the first label to the second half way."""
    values = np.zeros((1, frames, 52), np.float32)
    values[:, : frames // 2, 0] = values[:, frames // 2 :, 1] = 1
    return values, np.full((1, frames), dt, np.float32)


@pytest.mark.parametrize('rate', [10, 30, 60])
def test_a_change_is_half_through_after_half_the_window_at_any_rate(rate):
    values, dt = step(4 * rate, 1 / rate)
    averaged = MovingAverage(Copy(), seconds=1.0).sequences(values, dt)
    frame = 2 * rate + rate // 2 - 1
    assert averaged[0, frame, 1] == pytest.approx(0.5, abs=1e-4)
    assert averaged[0, 2 * rate - 1, 1] == pytest.approx(0, abs=1e-4)
    assert averaged[0, 3 * rate - 1, 1] == pytest.approx(1, abs=1e-4)


def test_a_dropped_frame_leaves_its_time_to_the_next():
    values, dt = step(6, 0.1)
    kept = [0, 1, 3, 4, 5]
    sparse = dt[:, kept].copy()
    sparse[0, 2] = 0.2
    complete = MovingAverage(Copy(), 0.3).sequences(values, dt)
    less = MovingAverage(Copy(), 0.3).sequences(values[:, kept], sparse)
    # Frame 2 was as frame 1; the frame after it stands for its time now.
    assert less[0, 2, 1] == pytest.approx(complete[0, 2, 1] + 2 / 3, abs=1e-5)
    assert less[0, 4] == pytest.approx(complete[0, 5], abs=1e-5)


def test_a_face_that_was_away_begins_anew():
    values, dt = step(10, 0.1)
    dt[0, 5] = 3.0
    averaged = MovingAverage(Copy()).sequences(values, dt)
    assert averaged[0, 5] == pytest.approx([0, 1, 0], abs=1e-6)


@given(
    st.integers(1, 20),
    st.integers(0, 99),
    st.lists(st.floats(0, 2), min_size=20, max_size=20),
)
def test_averages_are_probabilities_within_what_was_said(frames, seed, spans):
    said = np.random.default_rng(seed).dirichlet(np.ones(3), (1, frames)).astype(np.float32)
    values = np.zeros((1, frames, 52), np.float32)
    values[..., :3] = said
    averaged = MovingAverage(Copy()).sequences(values, np.array([spans[:frames]], np.float32))
    assert averaged.sum(axis=-1) == pytest.approx(np.ones((1, frames)), abs=1e-4)
    assert (averaged >= said.min(axis=1, keepdims=True) - 1e-4).all()
    assert (averaged <= said.max(axis=1, keepdims=True) + 1e-4).all()
    assert averaged[0, 0] == pytest.approx(said[0, 0], abs=1e-4)


def test_stills_have_no_past():
    values = np.random.default_rng(0).uniform(size=(4, 52)).astype(np.float32)
    average = MovingAverage(Copy())
    assert np.array_equal(average.stills(values), values[:, :3])
    assert (average.name, average.labels) == ('copy-average', Copy.labels)
