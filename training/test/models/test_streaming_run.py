"""What the streaming network is trained on and chosen by: stills by votes, people, their mouths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras'):
    pytest.importorskip(module, reason=f'training needs {module} (pip install ./training)')

from made_people import SAD, made_people
from tiny_appearance import made_scores, made_stills

from emotion_estimator.errors import InputError
from emotion_estimator_training.data.grouping import load_grouping
from emotion_estimator_training.data.stills import PUBLIC_TEST, TRAINING
from emotion_estimator_training.data.truth import truth_of_labels, truth_of_stills
from emotion_estimator_training.features.embeddings import with_embeddings
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.models import streaming_run

STILLS = made_stills(votes=True)
TRUTH = truth_of_stills(STILLS)
PEOPLE = made_people()


def embed(crops: np.ndarray, name: str = '') -> np.ndarray:
    """Return the crops' mean grey in each number."""
    return np.repeat(crops.mean(axis=(1, 2))[:, None], 64, axis=1).astype(np.float32)


def part(usage: int) -> FeatureSet:
    seen = made_scores(STILLS)
    return seen.where(seen.usage == usage)


@pytest.fixture(scope='module')
def pool(tmp_path_factory):
    folder = tmp_path_factory.mktemp('pool')
    return streaming_run._pool([part(TRAINING)], [], PEOPLE, STILLS, TRUTH, embed, folder, 13)


def test_stills_are_learned_by_their_votes(pool) -> None:
    rows = [row for row in range(96) if row % 5]
    np.testing.assert_array_equal(pool.target[: len(rows)], TRUTH.target[rows])
    np.testing.assert_array_equal(pool.weight[: len(rows)], TRUTH.weight[rows])


def test_what_annotators_call_no_face_is_left_out(tmp_path) -> None:
    truth = replace(TRUTH, weight=np.where(np.isin(np.arange(144), [6, 7]), 0, TRUTH.weight))
    made = streaming_run._pool([part(TRAINING)], [], None, STILLS, truth, embed, tmp_path, 13)
    rows = [row for row in range(96) if row % 5 and row not in (6, 7)]
    np.testing.assert_array_equal(made.target, TRUTH.target[rows])
    assert (made.weight > 0).all()


def test_people_are_in_the_pool_with_their_mouths(pool) -> None:
    stills = (np.arange(96) % 5 > 0).sum()
    trained = PEOPLE.usage == TRAINING
    talking = trained & PEOPLE.talking & ~PEOPLE.film
    # Each frame of a film is a face of its own.
    theirs = np.flatnonzero(trained & ~talking)
    assert theirs.tolist() == [*range(6), 14, 15, 16]
    assert len(pool.plain) == len(pool.moves) == len(pool.mouth_rows) == stills + len(theirs)
    np.testing.assert_array_equal(pool.plain[stills:, :52], PEOPLE.scores[theirs, 1])
    np.testing.assert_array_equal(pool.emotion[stills:], PEOPLE.emotion[theirs])
    # Stills have no mouths, nor have people who do not talk.
    assert (pool.mouth_rows[:stills] == -1).all()
    lent = np.flatnonzero(talking | (trained & PEOPLE.film))
    np.testing.assert_array_equal(pool.mouth_vectors[:, :52], PEOPLE.scores[lent, 1])
    for place, row in enumerate(theirs):
        own = pool.mouth_rows[stills + place]
        base = PEOPLE.base[row]
        assert set(PEOPLE.base[lent[own[own >= 0]]]) <= {base}
        assert (own >= 0).sum() == (PEOPLE.base[lent] == base).sum()
    # As single frames, too.
    assert len(pool.shown) == 3 * len(pool.plain) + talking.sum()
    np.testing.assert_array_equal(pool.shown[-talking.sum() :, :52], PEOPLE.scores[talking, 1])
    assert pool.mouths is not None


def test_people_count_by_their_weight_but_frames_of_films_all_the_same(pool) -> None:
    theirs = np.array([*range(6), 14, 15, 16])
    usual = truth_of_labels(PEOPLE.emotion[theirs], PEOPLE.weight[theirs])
    np.testing.assert_array_equal(pool.target[-9:], usual.target)
    more = pool.weight[-9:] / usual.weight
    sad = PEOPLE.emotion[theirs[:6]] == SAD
    np.testing.assert_allclose(more[:6], np.where(sad, streaming_run._SAD_MORE, 1), rtol=1e-5)
    assert np.ptp(pool.weight[-3:]) == 0


def test_of_many_mouths_some_are_drawn() -> None:
    rng = np.random.default_rng(0)
    drawn = streaming_run._some(list(range(50)), rng)
    assert len(set(drawn.tolist())) == len(drawn) and drawn.min() >= 0
    few = streaming_run._some([7, 9], rng)
    assert sorted(few[:2].tolist()) == [7, 9] and (few[2:] == -1).all()


def test_the_same_pool_is_read_again(tmp_path) -> None:
    def refuse(*_: object) -> np.ndarray:
        raise AssertionError('embedded again')

    given = [part(TRAINING)], [], PEOPLE, STILLS, TRUTH
    first = streaming_run._pool(*given, embed, tmp_path, 13)
    again = streaming_run._pool(*given, refuse, tmp_path, 13)
    np.testing.assert_array_equal(again.shown, first.shown)
    np.testing.assert_array_equal(again.mouth_rows, first.mouth_rows)


def test_held_out_people_decide_beside_publictest(pool) -> None:
    test = with_embeddings(part(PUBLIC_TEST), embed, '')
    stills, people = streaming_run._held_out(PEOPLE, [test], STILLS, TRUTH, embed)
    assert (stills.of_people, people.of_people) == (False, True)
    rows = test.image_id
    np.testing.assert_array_equal(stills.majority, STILLS.emotion[rows])
    np.testing.assert_array_equal(stills.truth.target, TRUTH.target[rows])
    theirs = (PEOPLE.usage == PUBLIC_TEST) & ~PEOPLE.talking
    np.testing.assert_array_equal(people.vectors[:, :52], PEOPLE.scores[theirs, 1])
    np.testing.assert_array_equal(people.emotion, PEOPLE.emotion[theirs])
    assert len(streaming_run._held_out(None, [test], STILLS, TRUTH, embed)) == 1


def test_without_votes_on_publictest_the_labels_decide() -> None:
    test = with_embeddings(part(PUBLIC_TEST), embed, '')
    votes = STILLS.ferplus_votes.copy()
    votes[STILLS.usage == PUBLIC_TEST] = 1
    for made in (made_stills(), replace(STILLS, ferplus_votes=votes)):
        [held] = streaming_run._held_out(None, [test], made, truth_of_stills(made), embed)
        np.testing.assert_array_equal(held.majority, test.emotion)


def test_features_of_other_images_are_named() -> None:
    other = replace(STILLS, image_id=STILLS.image_id + 1000)
    with pytest.raises(InputError, match=r'other images than --data .*training features') as caught:
        streaming_run._rows_of(other, part(TRAINING))
    assert '\n' not in str(caught.value)


def test_the_robots_point_is_chosen_by_people_where_there_are_any(monkeypatch) -> None:
    asked = []

    class Network:
        def still_logits(self, vectors, *_):
            return np.zeros((len(vectors), 7), np.float32)

    def choose(sets, people, grouping):
        asked.append((len(sets), [len(one[0]) for one in people]))
        return np.zeros(7, np.float32)

    monkeypatch.setattr(streaming_run, 'choose_robot_point', choose)
    test = with_embeddings(part(PUBLIC_TEST), embed, '')
    for people in (PEOPLE, None):
        held = streaming_run._held_out(people, [test], STILLS, TRUTH, embed)
        streaming_run._fitted(Network(), load_grouping(), held, {})
    assert asked == [(2, [2]), (1, [len(test)])]
