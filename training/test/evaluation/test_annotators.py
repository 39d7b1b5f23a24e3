"""Ten people beside networks: their votes in FER2013's classes, and the best made of them."""

from __future__ import annotations

import numpy as np
from test_accuracy import ANGRY, FEAR, HAPPY, NEUTRAL, SAD, stills

from emotion_estimator_training.data.stills import PUBLIC_TEST, TRAINING
from emotion_estimator_training.evaluation.accuracy import FITTED, MOST, ask_annotators, figures

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
    most = ask_annotators(made, np.arange(5))[0]
    assert most.name == MOST
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
    said = ask_annotators(made, np.flatnonzero(tested))
    rows = {
        (one['model'], one['vocabulary']): one
        for one in figures(said, made, tested)
        if one['duplicates']
    }
    assert rows[FITTED, 'three']['accuracy'] == rows[FITTED, 'seven']['accuracy'] == 1.0
    assert rows[MOST, 'seven']['recall']['sad'] == 0.0
    hidden = made.emotion.copy()
    hidden[tested] = HAPPY
    again = ask_annotators(
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
    assert ask_annotators(stills([HAPPY, SAD]), np.arange(2)) == []
    one = voted([HAPPY, ANGRY, FEAR], [PUBLIC_TEST, TRAINING, TRAINING], happy=[9, 1, 1])
    assert ask_annotators(one, np.arange(1)) == []
