"""The shipped streaming LSTM: a pure step, honest probabilities, refusals in one line."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES, MIRROR
from emotion_estimator.emotion import EXPRESSIONS, LABELS
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.model_card import models_dir
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.runtimes import runtimes

pytestmark = pytest.mark.skipif(not runtimes(), reason='no TFLite runtime installed')


def scores(**named: float) -> np.ndarray:
    """Return blendshapes, zero but for the named ones; a name without side sets both."""
    values = np.zeros(len(BLENDSHAPE_NAMES), np.float32)
    for number, name in enumerate(BLENDSHAPE_NAMES):
        for part, value in named.items():
            if name in (part, part + 'Left', part + 'Right'):
                values[number] = value
    return values


SMILE = scores(mouthSmile=0.9, mouthUpperUp=0.5, eyeSquint=0.5, cheekSquint=0.0)
REST = scores(eyeSquint=0.25, mouthShrugLower=0.1, browOuterUp=0.1, eyeLookDown=0.15)
#: About the mean of what the Face Landmarker sees in FER2013's sad Training faces, with inner
#: brows, mouth corners and chin plainer: the mean itself is nearer to neutral than to sad.
SAD = scores(
    eyeSquint=0.34,
    mouthPucker=0.25,
    eyeLookDown=0.25,
    eyeBlink=0.22,
    browOuterUp=0.2,
    browInnerUp=0.7,
    eyeLookOut=0.17,
    eyeLookIn=0.15,
    eyeLookUp=0.14,
    mouthFrown=0.3,
    browDown=0.11,
    mouthRollLower=0.08,
    mouthLowerDown=0.07,
    mouthShrugLower=0.3,
)


@pytest.fixture(scope='module')
def classifier() -> EmotionClassifier:
    return EmotionClassifier.load()


def last(classifier: EmotionClassifier, blendshapes: np.ndarray, frames: int, rate: float) -> str:
    state = classifier.initial_state()
    for _ in range(frames):
        answer, state = classifier(blendshapes, state, 1 / rate)
    return classifier.labels[int(answer.argmax())]


@pytest.fixture(scope='module')
def seven() -> EmotionClassifier:
    return EmotionClassifier.load(vocabulary='seven')


def embedding(seed: int = 0) -> np.ndarray:
    """Return an embedding as the appearance network might give it."""
    return np.maximum(np.random.default_rng(seed).normal(size=64), 0).astype(np.float32)


def test_labels_are_the_vocabulary(classifier: EmotionClassifier, seven: EmotionClassifier) -> None:
    assert classifier.labels == LABELS
    assert seven.labels == seven.expressions == classifier.expressions == EXPRESSIONS
    assert classifier.title.startswith('emotion_lstm-')
    with pytest.raises(InputError, match='vocabulary must be three or seven'):
        EmotionClassifier.load(vocabulary='eight')


def test_both_vocabularies_come_from_the_same_weights(
    classifier: EmotionClassifier, seven: EmotionClassifier
) -> None:
    one, other = (
        each.step(SMILE, each.initial_state(), 1 / 30, embedding()) for each in (classifier, seven)
    )
    np.testing.assert_array_equal(one.state, other.state)
    np.testing.assert_array_equal(one.expressions, other.expressions)
    np.testing.assert_array_equal(other.probabilities, other.expressions)
    assert one.probabilities.shape == (3,)
    other.probabilities[:] = 0
    assert other.expressions.sum() == pytest.approx(1, abs=1e-5)


def test_each_branch_alone_and_both_are_read(classifier: EmotionClassifier) -> None:
    state = classifier.initial_state()
    given = [
        (SMILE, None),
        (None, embedding()),
        (SMILE, embedding()),
        (SMILE, embedding(1)),
        (SAD, embedding()),
    ]
    answers = [classifier.step(scores, state, 1 / 30, picture) for scores, picture in given]
    for k, answer in enumerate(answers):
        assert answer.expressions.sum() == pytest.approx(1, abs=1e-5)
        for other in answers[:k]:
            assert np.abs(answer.state - other.state).max() > 1e-4
    probabilities, after = classifier(SMILE, state, 1 / 30, embedding())
    np.testing.assert_array_equal(probabilities, answers[2].probabilities)
    np.testing.assert_array_equal(after, answers[2].state)


def test_an_absent_branch_is_not_one_of_zeros(classifier: EmotionClassifier) -> None:
    state, zeros = classifier.initial_state(), np.zeros(64, np.float32)
    absent = classifier.step(SMILE, state, 1 / 30)
    assert np.abs(absent.state - classifier.step(SMILE, state, 1 / 30, zeros).state).max() > 1e-4


def test_a_still_holds_what_was_seen(classifier: EmotionClassifier) -> None:
    state = classifier.initial_state()
    for _ in range(classifier._still_steps):
        answer = classifier.step(SMILE, state, classifier._still_dt, embedding())
        state = answer.state
    still = classifier.still(SMILE, embedding())
    np.testing.assert_array_equal(still.expressions, answer.expressions)
    probabilities = classifier.classify_still(SMILE, embedding())
    np.testing.assert_array_equal(probabilities, answer.probabilities)
    assert np.abs(classifier.classify_still(SMILE) - probabilities).max() > 1e-4


def test_neither_branch_is_refused(classifier: EmotionClassifier) -> None:
    with pytest.raises(InputError, match='got neither'):
        classifier(None, classifier.initial_state(), 1 / 30)


@pytest.mark.parametrize(
    'picture',
    [
        np.zeros(63, np.float32),
        np.zeros((1, 64), np.float32),
        np.full(64, np.nan, np.float32),
    ],
)
def test_bad_embeddings_are_refused(classifier: EmotionClassifier, picture: np.ndarray) -> None:
    with pytest.raises(InputError, match='embedding of 64 finite numbers') as caught:
        classifier(SMILE, classifier.initial_state(), 1 / 30, picture)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('rate', [10, 30, 60])
def test_a_smile_is_happy_and_rest_is_not_at_any_rate(
    classifier: EmotionClassifier, rate: int
) -> None:
    assert last(classifier, SMILE, rate, rate) == 'happy'
    assert last(classifier, REST, rate, rate) == 'unknown'


def test_still_smile_rest_and_sad(classifier: EmotionClassifier) -> None:
    answers = [classifier.classify_still(face) for face in (SMILE, REST, SAD)]
    assert [classifier.labels[int(a.argmax())] for a in answers] == ['happy', 'unknown', 'sad']


def test_the_label_follows_a_change_within_a_quarter_second(classifier: EmotionClassifier) -> None:
    state = classifier.initial_state()
    for _ in range(60):
        answer, state = classifier(REST, state, 1 / 30)
    assert classifier.labels[int(answer.argmax())] == 'unknown'
    for _ in range(7):
        answer, state = classifier(SMILE, state, 1 / 30)
    assert classifier.labels[int(answer.argmax())] == 'happy'


@given(
    values=st.lists(st.floats(0, 1, width=32), min_size=52, max_size=52), dt=st.floats(0.001, 5.0)
)
@settings(max_examples=60, deadline=None)
def test_probabilities_sum_to_one_and_the_step_is_pure(
    classifier: EmotionClassifier, values: list[float], dt: float
) -> None:
    blendshapes = np.array(values, np.float32)
    state = classifier.initial_state()
    first, after = classifier(blendshapes, state, dt)
    assert first.shape == (3,)
    assert first.dtype == np.float32
    assert abs(float(first.sum()) - 1) < 1e-5
    assert (first >= 0).all()
    assert not state.any(), 'the state given in was changed'
    classifier(1 - blendshapes, after, dt)
    again, after_again = classifier(blendshapes, state, dt)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(after, after_again)


def test_faces_do_not_disturb_each_other(classifier: EmotionClassifier) -> None:
    alone = classifier.initial_state()
    mixed, other = classifier.initial_state(), classifier.initial_state()
    for _ in range(10):
        expected, alone = classifier(SMILE, alone, 1 / 30)
        _, other = classifier(SAD, other, 1 / 30)
        answer, mixed = classifier(SMILE, mixed, 1 / 30)
    np.testing.assert_array_equal(expected, answer)


def test_a_mirrored_smile_is_a_smile(classifier: EmotionClassifier) -> None:
    lopsided = SMILE.copy()
    lopsided[BLENDSHAPE_NAMES.index('mouthSmileLeft')] = 0.6
    a = classifier.classify_still(lopsided)
    b = classifier.classify_still(lopsided[list(MIRROR)])
    assert a.argmax() == b.argmax()
    assert np.abs(a - b).max() < 0.2


@pytest.mark.parametrize(
    'blendshapes',
    [
        np.zeros(51, np.float32),
        np.zeros((1, 52), np.float32),
        np.full(52, np.nan, np.float32),
        np.full(52, np.inf, np.float32),
    ],
)
def test_bad_blendshapes_are_refused(
    classifier: EmotionClassifier, blendshapes: np.ndarray
) -> None:
    with pytest.raises(InputError, match='52 finite blendshapes') as caught:
        classifier(blendshapes, classifier.initial_state(), 1 / 30)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('dt', [0.0, -0.1, float('nan'), float('inf')])
def test_bad_time_steps_are_refused(classifier: EmotionClassifier, dt: float) -> None:
    with pytest.raises(InputError, match='time step'):
        classifier(REST, classifier.initial_state(), dt)


def test_a_bad_state_is_refused(classifier: EmotionClassifier) -> None:
    with pytest.raises(InputError, match='initial_state'):
        classifier(REST, classifier.initial_state()[1:], 1 / 30)


def _copied_card(folder, **changed):
    for name in ('emotion_lstm.tflite', 'emotion_lstm.json'):
        shutil.copy(models_dir() / name, folder)
    card = folder / 'emotion_lstm.json'
    raw = json.loads(card.read_text())
    raw['settings'].update(changed.pop('settings', {}))
    raw.update(changed)
    card.write_text(json.dumps(raw))
    return card


def test_a_card_with_another_state_is_refused(tmp_path) -> None:
    with pytest.raises(ModelError, match='shapes'):
        EmotionClassifier.load(_copied_card(tmp_path, settings={'state_size': 10}))


def test_a_card_with_other_labels_is_refused(tmp_path) -> None:
    with pytest.raises(ModelError, match='labels'):
        EmotionClassifier.load(_copied_card(tmp_path, labels=['happy', 'sad']))
    with pytest.raises(ModelError, match='labels'):
        EmotionClassifier.load(_copied_card(tmp_path, settings={'expressions': ['angry']}))


@pytest.mark.parametrize(
    'setting', ['state_size', 'still_steps', 'still_dt', 'embedding_size', 'expressions']
)
def test_a_card_without_settings_is_refused(tmp_path, setting) -> None:
    card = _copied_card(tmp_path)
    raw = json.loads(card.read_text())
    del raw['settings'][setting]
    card.write_text(json.dumps(raw))
    with pytest.raises(ModelError, match=f"invalid setting '{setting}'") as caught:
        EmotionClassifier.load(card)
    assert '\n' not in str(caught.value)


def test_the_card_may_know_the_usual_face_at_rest(tmp_path) -> None:
    rest = [0.25] * 52
    card = _copied_card(tmp_path, settings={'neutral_blendshapes': rest})
    np.testing.assert_array_equal(EmotionClassifier.load(card).neutral, np.float32(rest))
    raw = json.loads(card.read_text())
    for wrong in ([0.1] * 51, [1.5] * 52, 'resting', [None] * 52):
        raw['settings']['neutral_blendshapes'] = wrong
        card.write_text(json.dumps(raw))
        with pytest.raises(ModelError, match='52 numbers, 0 to 1'):
            EmotionClassifier.load(card)
    del raw['settings']['neutral_blendshapes']
    card.write_text(json.dumps(raw))
    assert EmotionClassifier.load(card).neutral is None
