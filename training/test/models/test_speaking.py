"""The model of speech: the same features as on the robot, a split by person, a card that loads."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from emotion_estimator.errors import InputError
from emotion_estimator.perception.mouth_motion import CHANNELS, FEATURES, MouthMotion
from emotion_estimator.perception.speaking import SpeechModel, SpeechTimes
from emotion_estimator_training.cli.training import training
from emotion_estimator_training.models.speaking import (
    FOLDS,
    SpeakingSettings,
    calibration_error,
    fit_speaking,
    folds,
    measure,
    motion_features,
    write_speaking,
)
from emotion_estimator_training.sequences.mouth_tracks import MouthTrack

OPENING, LIPS = CHANNELS.index('opening'), CHANNELS.index('lips')


def track(person, speaks, real=True, rate=15.0, seconds=6.0, source='face_mesh'):
    rng = np.random.default_rng(len(person) + 7 * speaks)
    times = np.arange(round(seconds * rate)) / rate
    speaking = (times >= 2) & speaks
    channels = np.full((len(times), len(CHANNELS)), 0.2)
    for column in (OPENING, LIPS):
        channels[:, column] += speaking * 0.05 * (1 + np.sin(2 * np.pi * 4 * times))
    channels += rng.normal(scale=0.001, size=channels.shape)
    kind = 'talking' if speaks else 'at rest'
    return MouthTrack(person, person, kind, source, times, channels, speaking, real)


@pytest.fixture(scope='module')
def tracks():
    people = [track(f'talker{n}', True) for n in range(3)] + [
        track(f'silent {n}', False) for n in range(3)
    ]
    made = [track(f'p{n:03d}', n % 2 == 0, real=False, source='moved') for n in range(18)]
    return [*people, *made]


SMALL = SpeakingSettings(networks=2, hidden=4, epochs=6, copies=(3, 1, 1))


@pytest.fixture(scope='module')
def fitted(tracks):
    return fit_speaking(tracks, SMALL, SpeechTimes(), lambda _: None)


def test_features_are_those_of_the_robot(tracks):
    for one, features in zip(tracks, motion_features(tracks)):
        motion = MouthMotion(one.channels[0])
        expected = [motion.features()]
        for channels, dt in zip(one.channels[1:], np.diff(one.times)):
            motion.advance(channels, float(dt))
            expected.append(motion.features())
        assert features == pytest.approx(np.stack(expected), abs=1e-9)


def test_nobody_is_in_two_parts_and_talkers_are_in_all(tracks):
    parts = folds(tracks)
    assert {parts[f'talker{n}'] for n in range(3)} == set(range(FOLDS))
    assert set(parts.values()) == set(range(FOLDS))
    assert parts == folds(tracks[::-1]) or {p: parts[p] for p in parts if p[0] == 'p'} == {
        p: part for p, part in folds(tracks[::-1]).items() if p[0] == 'p'
    }


def test_it_is_measured_on_people_left_out(fitted):
    metrics = fitted.metrics
    assert metrics['films']['people'] == 6
    assert metrics['films']['auc'] > 0.95
    assert metrics['made']['auc'] > 0.95
    assert set(metrics['people']) == {f'talker{n}' for n in range(3)} | {
        f'silent {n}' for n in range(3)
    }
    assert metrics['people']['silent 0']['false_per_minute'] == 0
    assert metrics['kinds'].keys() == {'talking', 'at rest'}
    assert metrics['rates'].keys() == {'5', '8', '15'}
    assert 0 < metrics['onset_s'] < 1.5


def test_the_card_loads_on_the_robot_and_answers_the_same(fitted, tracks, tmp_path):
    card = write_speaking(fitted, SpeechTimes(rises=0.8), tmp_path, 'two films')
    model = SpeechModel.load(card)
    assert model.times == SpeechTimes(rises=0.8)
    features = motion_features(tracks[:1])[0]
    assert [model(one) for one in features] == pytest.approx(fitted.weights(features), abs=1e-4)
    assert json.loads(card.read_text())['settings']['features'] == list(FEATURES)
    words = card.with_suffix('.md').read_text()
    assert 'two films' in words and 'film: talker0' in words
    first = card.with_name('speaking.npz').read_bytes()
    write_speaking(fitted, SpeechTimes(rises=0.8), tmp_path, 'two films')
    assert card.with_name('speaking.npz').read_bytes() == first


def test_films_must_show_speech_and_silence(tracks):
    for some in ([t for t in tracks if 'silent' in t.person], tracks[6:]):
        with pytest.raises(InputError, match='people who speak'):
            fit_speaking(some, SMALL, SpeechTimes(), lambda _: None)


def test_measures_by_hand():
    one = track('a', True)
    certain = one.speaking.astype(float)
    metrics = measure([one], [certain], SpeechTimes(0.7, 0.5, 0.2, 0.3))
    assert metrics['films']['auc'] == metrics['films']['accuracy'] == 1.0
    assert metrics['films']['ece'] == 0.0
    assert metrics['made'] == {}
    # Two tenths of a second above the threshold, at 15 frames per second.
    assert metrics['onset_s'] == pytest.approx(0.133, abs=0.07)
    wrong = measure([one], [1 - certain], SpeechTimes())
    assert wrong['films']['auc'] == 0.0
    assert wrong['people']['a']['hit'] == 0.0
    assert wrong['people']['a']['false'] == 1.0


def test_calibration_error_by_hand():
    truth = np.array([True, True, False, False])
    assert calibration_error(np.array([0.75, 0.75, 0.25, 0.25]), truth) == pytest.approx(0.25)
    assert calibration_error(np.array([0.5, 0.5, 0.5, 0.5]), truth) == pytest.approx(0.0)


def test_the_verb_needs_films_and_photographs():
    result = CliRunner().invoke(training, ['speaking', '--films', '/nowhere'])
    assert result.exit_code == 2
    assert 'nowhere' in result.output
