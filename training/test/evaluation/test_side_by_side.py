"""Networks and annotators side by side: same faces, and what counts as right."""

from __future__ import annotations

import numpy as np
import pytest
from robot_stub import stub_networks, written

from emotion_estimator.errors import ModelError
from emotion_estimator.model_card import models_dir
from emotion_estimator_training.data.stills import FER_CLASSES, PUBLIC_TEST, TRAINING, Stills
from emotion_estimator_training.evaluation.side_by_side import (
    BY_BEST,
    BY_SUM,
    FER_ALL,
    FER_CROP,
    FER_STILL,
    FITTED_VOTES,
    MAJORITY_VOTE,
    FerNetwork,
    ModelPredictions,
    best_fer_row,
    comparison_metrics,
    predict_annotators,
    predict_fer,
    predict_fer_all,
    predict_ours,
)
from emotion_estimator_training.report.tables import side_by_side_table

ANGRY, FEAR, HAPPY, SAD, NEUTRAL = (
    FER_CLASSES.index(name) for name in ('angry', 'fear', 'happy', 'sad', 'neutral')
)


def stills(emotion, duplicate=None) -> Stills:
    count = len(emotion)
    pixels = np.repeat(np.arange(count), 48 * 48).reshape(count, 48, 48).astype(np.uint8)
    return Stills(
        pixels,
        np.asarray(emotion),
        np.ones(count, np.int64),
        np.arange(count) + 100,
        np.zeros(count, bool) if duplicate is None else np.asarray(duplicate),
    )


class Fixed:
    """Stands in for fer: what it says of a picture is listed under the picture's grey value."""

    bytes = 93

    def __init__(self, said) -> None:
        self._said = said

    def stills(self, pictures):
        return np.array([self._said[int(one[0, 0])] for one in pictures], np.float32)


def test_each_branch_answers_by_what_it_reads_alone() -> None:
    emotion = [HAPPY, SAD, NEUTRAL, FEAR]
    features = written(emotion, [100, 101, 102, 103], by_crop=[SAD, SAD, NEUTRAL, FEAR])
    said = {one.name: one for one in predict_ours(stub_networks(), stills(emotion), features)}
    assert said['blendshapes'].probabilities['seven'].argmax(axis=1).tolist() == emotion
    assert said['appearance'].probabilities['seven'].argmax(axis=1).tolist() == [
        SAD,
        SAD,
        NEUTRAL,
        FEAR,
    ]
    assert said['fused'].probabilities['three'].argmax(axis=1).tolist() == [2, 2, 1, 1]
    assert (said['blendshapes'].bytes, said['fused'].bytes) == (100, 1100)


def test_faces_that_are_not_found_count_as_wrong_of_all_and_lower_coverage() -> None:
    emotion = [HAPPY, SAD, NEUTRAL, FEAR]
    rows = comparison_metrics(
        predict_ours(
            stub_networks(), stills(emotion), written([HAPPY, SAD, FEAR], [100, 101, 103])
        ),
        stills(emotion),
        np.ones(4, bool),
    )
    fused = next(one for one in rows if one['model'] == 'fused' and one['vocabulary'] == 'seven')
    assert (fused['accuracy'], fused['n'], fused['images']) == (1.0, 3, 4)
    assert (fused['coverage'], fused['accuracy_of_all']) == (0.75, 0.75)


def test_duplicates_are_left_out_of_images_and_faces() -> None:
    emotion = [HAPPY, SAD, NEUTRAL, FEAR]
    test = stills(emotion, [True, False, False, False])
    said = [
        ModelPredictions(
            'a', 'face_mesh', np.array([0, 1]), {'three': np.eye(3, dtype=np.float32)[[0, 0]]}, 1
        )
    ]
    with_them, without = comparison_metrics(said, test, np.ones(4, bool))
    assert (with_them['n'], with_them['accuracy'], with_them['images']) == (2, 0.5, 4)
    assert (without['n'], without['accuracy'], without['images']) == (1, 0.0, 3)
    assert without['accuracy_of_all'] == 0.0


def test_sevens_become_labels_in_both_ways_and_the_better_is_taken() -> None:
    # Angry and fear together outweigh sad, which is the best single class.
    torn = np.zeros(7)
    torn[[ANGRY, FEAR, SAD]] = 0.3, 0.3, 0.4
    happy = np.zeros(7)
    happy[HAPPY] = 1.0
    test = stills([SAD, HAPPY])
    said = predict_fer_all(Fixed([torn, happy]), test, np.array([0, 1]))
    labels = {one.note: one.probabilities['three'].argmax(axis=1).tolist() for one in said}
    assert labels == {BY_SUM: [1, 0], BY_BEST: [2, 0]}
    for one in said:
        np.testing.assert_allclose(one.probabilities['three'].sum(axis=1), 1, atol=1e-6)
    rows = comparison_metrics(
        [
            *said,
            *predict_fer(
                Fixed([torn, happy] + [happy] * 255), test, written([SAD, HAPPY], [100, 101])
            ),
        ],
        test,
        np.ones(2, bool),
    )
    assert {one['model'] for one in rows} == {FER_ALL, FER_STILL, FER_CROP}
    best = best_fer_row(rows, 'face_mesh', 'three', True)
    assert (best['model'], best['note'], best['accuracy']) == (FER_STILL, BY_BEST, 1.0)


def test_the_table_has_the_papers_row_where_it_has_its_labels() -> None:
    said = [
        ModelPredictions(
            'a',
            'face_mesh',
            np.array([0]),
            {
                'three': np.eye(3, dtype=np.float32)[[0]],
                'seven': np.eye(7, dtype=np.float32)[[HAPPY]],
            },
            1234,
        )
    ]
    rows = comparison_metrics(said, stills([HAPPY]), np.ones(1, bool))
    three, seven = side_by_side_table(rows, 'three', True), side_by_side_table(rows, 'seven', True)
    assert '| paper, as published | face_landmarker | 1,646 | - | 0.720 | 0.630 |' in three
    assert 'paper' not in seven
    assert '| a | face_mesh | 1 | 1.0000 | 1.000 |' in three
    assert '1,234 |' in seven


def test_other_files_are_no_fer(tmp_path) -> None:
    with pytest.raises(ModelError, match='bench-accuracy'):
        FerNetwork(tmp_path / 'none.tflite')
    with pytest.raises(ModelError, match='shapes differ'):
        FerNetwork(models_dir() / 'blendshape_head.tflite')


#: FER+'s columns.
VOTES = (
    'neutral',
    'happy',
    'surprise',
    'sad',
    'angry',
    'disgust',
    'fear',
    'contempt',
    'unknown',
    'no face',
)


def voted(emotion, usage, **shares):
    """Make stills of which each was voted for as ``shares`` says, a list for each still."""
    made = stills(emotion)
    votes = np.zeros((len(emotion), len(VOTES)), np.uint8)
    for name, counts in shares.items():
        votes[:, VOTES.index(name)] = counts
    return type(made)(
        made.pixels,
        made.emotion,
        np.asarray(usage),
        made.image_id,
        made.duplicate,
        ferplus_votes=votes,
    )


def test_what_most_say_is_read_in_the_order_of_ferplus() -> None:
    emotion = [HAPPY, SAD, NEUTRAL, ANGRY, FEAR]
    made = voted(
        emotion,
        [TRAINING, *[PUBLIC_TEST] * 3, TRAINING],
        happy=[6, 0, 0, 0, 0],
        sad=[0, 5, 0, 4, 0],
        neutral=[4, 2, 9, 0, 0],
        contempt=[0, 3, 1, 3, 0],
        angry=[0, 0, 0, 3, 0],
        fear=[0, 0, 0, 0, 10],
    )
    most = predict_annotators(made, np.arange(5))[0]
    assert most.name == MAJORITY_VOTE
    assert most.probabilities['seven'].argmax(axis=1).tolist() == [HAPPY, SAD, NEUTRAL, SAD, FEAR]
    # Contempt is neither happy nor sad: with anger it outweighs sadness.
    assert most.probabilities['three'].argmax(axis=1).tolist() == [0, 1, 1, 1, 1]
    np.testing.assert_allclose(most.probabilities['three'].sum(axis=1), 1)


def test_the_fitted_model_learns_the_labels_habits_from_training_alone() -> None:
    # Whoever most people call neutral is labelled sad, as FER2013 has it at times.
    rng = np.random.default_rng(0)
    happy = rng.integers(0, 11, 400)
    emotion = np.where(happy > 5, HAPPY, SAD)
    usage = np.where(np.arange(400) < 300, TRAINING, PUBLIC_TEST)
    made = voted(emotion, usage, happy=happy, neutral=10 - happy)
    tested = made.usage == PUBLIC_TEST
    said = predict_annotators(made, np.flatnonzero(tested))
    rows = {
        (one['model'], one['vocabulary']): one
        for one in comparison_metrics(said, made, tested)
        if one['duplicates']
    }
    assert rows[FITTED_VOTES, 'three']['accuracy'] == rows[FITTED_VOTES, 'seven']['accuracy'] == 1.0
    assert rows[MAJORITY_VOTE, 'seven']['recall']['sad'] == 0.0
    hidden = made.emotion.copy()
    hidden[tested] = HAPPY
    again = predict_annotators(
        type(made)(
            made.pixels,
            hidden,
            made.usage,
            made.image_id,
            made.duplicate,
            ferplus_votes=made.ferplus_votes,
        ),
        np.flatnonzero(tested),
    )
    np.testing.assert_array_equal(again[1].probabilities['three'], said[1].probabilities['three'])


def test_without_votes_or_labels_to_fit_to_there_is_nothing_to_say() -> None:
    assert predict_annotators(stills([HAPPY, SAD]), np.arange(2)) == []
    one = voted([HAPPY, ANGRY, FEAR], [PUBLIC_TEST, TRAINING, TRAINING], happy=[9, 1, 1])
    assert predict_annotators(one, np.arange(1)) == []
