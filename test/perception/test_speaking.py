"""Speech from the movement of the mouth: tracks that the tests make, and films of real people."""

from __future__ import annotations

import hashlib
import json
import shutil
from itertools import pairwise

import numpy as np
import pytest
from available import FACES, LANDMARK_SOURCE, SHARED
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mouths import frames, mouth, syllables

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import ModelError
from emotion_estimator.model_card import models_dir
from emotion_estimator.perception.mouth_motion import FEATURES, MouthMotion, mouth_channels
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.perception.speaking import (
    SpeechDetector,
    SpeechFlag,
    SpeechModel,
    SpeechTimes,
)
from emotion_estimator.sources.portrait import Portrait
from emotion_estimator.sources.video import VideoFile

TALKING = SHARED / 'data' / 'talking'
NO_SHAPES = np.zeros(len(BLENDSHAPE_NAMES), np.float32)


@pytest.fixture(scope='module')
def model():
    return SpeechModel.load()


def watch(model, shown):
    """Return stamps, probabilities and flags of a track of landmarks."""
    detector = SpeechDetector(model)
    rows = []
    for landmarks, stamp in shown:
        detector(landmarks, NO_SHAPES, stamp)
        rows.append((stamp, detector.probability, detector.speaking))
    return (np.array(column) for column in zip(*rows))


def talk_then_rest(t):
    return syllables(t) if 1.0 <= t < 5.0 else mouth()


@pytest.mark.parametrize('rate', [5, 8, 15, 25, 30, 60])
def test_speech_is_seen_at_any_frame_rate_soon_and_its_end_too(model, rate):
    times, chances, flags = watch(model, frames(talk_then_rest, 8.0, rate))
    begun = times[flags][0]
    assert 1.1 <= begun <= 1.9
    assert flags[(times > 2) & (times < 5)].all()
    assert chances[(times > 2) & (times < 5)].mean() > 0.8
    assert not flags[times < 1].any()
    ended = times[(times > 5) & ~flags][0]
    assert 5.2 <= ended <= 6.6
    assert not flags[times > 6.6].any()
    assert chances[times > 7].max() < 0.2


def test_the_rate_changes_the_probability_little(model):
    means = []
    for rate in (8, 15, 30, 60):
        times, chances, _ = watch(model, frames(syllables, 6.0, rate))
        means.append(chances[times > 1].mean())
    assert np.ptp(means) < 0.15


def test_frames_may_be_dropped(model):
    rng = np.random.default_rng(4)
    shown = [frame for frame in frames(talk_then_rest, 8.0, 30) if rng.random() > 0.5]
    times, _, flags = watch(model, shown)
    assert flags[(times > 2.2) & (times < 5)].all()
    assert not flags[(times < 1) | (times > 6.8)].any()


def test_a_pause_between_words_is_speech(model):
    def words(t):
        return mouth() if 3.0 <= t < 3.3 else syllables(t)

    times, _, flags = watch(model, frames(words, 6.0))
    assert flags[times > 1.5].all()


def held(t, begin, end, change):
    up, down = np.clip([(t - begin) / change, (t - end) / change], 0, 1)
    return float(up * up * (3 - 2 * up) - down * down * (3 - 2 * down))


def at_rest(t):
    return mouth()


def open_mouthed(t):
    return mouth(jaw=10)


def yawn(t):
    return mouth(jaw=45 * max(np.sin(np.pi * (t - 1) / 5), 0) ** 1.5 if 1 < t < 6 else 0)


def smile(t):
    shown = held(t, 1, 4, 0.5)
    return mouth(jaw=3 * shown, wide=9 * shown, up=6 * shown)


def gape(t):
    return mouth(jaw=30 * held(t, 1.5, 3.5, 0.5))


def turn(t):
    return mouth(yaw=35 * np.sin(1.4 * t), pitch=12 * np.sin(1.1 * t))


def chew(t):
    # Closed lips: both follow the jaw.
    down = 4 * (1 - np.cos(2 * np.pi * 1.3 * t)) / 2
    return mouth(jaw=down, upper=-0.9 * down)


@pytest.mark.parametrize('pose', [at_rest, open_mouthed, yawn, smile, gape, turn, chew])
@pytest.mark.parametrize('rate', [10, 30])
def test_other_movements_are_no_speech(model, pose, rate):
    _, chances, flags = watch(model, frames(pose, 8.0, rate))
    assert not flags.any()
    assert chances.mean() < 0.3


@pytest.mark.parametrize('noise', [0.0, 0.3, 0.6])
def test_trembling_landmarks_are_no_speech(model, noise):
    _, chances, flags = watch(model, frames(at_rest, 6.0, noise=noise))
    assert not flags.any()
    assert chances.mean() < 0.25


@pytest.mark.parametrize(
    'view',
    [
        lambda points: points * np.float32(0.3),
        lambda points: points * np.float32(4.0) + np.float32(100),
        lambda points: points @ np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]], np.float32),
    ],
)
def test_size_place_and_roll_of_the_face_do_not_matter(model, view):
    shown = list(frames(talk_then_rest, 6.0))
    _, plain, _ = watch(model, shown)
    _, seen, _ = watch(model, ((view(points), stamp) for points, stamp in shown))
    assert np.abs(plain - seen).max() < 0.02


numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(arrays.arrays(np.float32, (8, 3), elements=numbers), min_size=2, max_size=12),
    st.floats(0.0, 70.0),
    st.data(),
)
def test_any_finite_input_at_any_rate_gives_a_probability(model, shown, rate, data):
    detector = SpeechDetector(model)
    stamp = data.draw(st.floats(-1e6, 1e6))
    for few in shown:
        # Eight landmarks, repeated: what they are does not matter, but that they are anything.
        landmarks = np.resize(few, (478, 3))
        shapes = np.resize(np.abs(np.tanh(few[0])), len(BLENDSHAPE_NAMES))
        detector(landmarks, shapes, stamp)
        assert 0.0 <= detector.probability <= 1.0
        assert type(detector.speaking) is bool
        stamp += 1 / rate if rate > 0 else 0.0


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(1 / 60, 1 / 5)), max_size=200),
)
def test_the_flag_keeps_each_state_for_its_time(course):
    times = SpeechTimes()
    flag, now, changes = SpeechFlag(times), 0.0, []
    before = False
    for chance, dt in course:
        now += dt
        if flag(chance, dt) != before:
            before = not before
            changes.append((now, before))
    for (begin, state), (end, _) in pairwise(changes):
        least = times.falls_after if state else times.rises_after
        assert end - begin >= least - 1e-9


@given(st.lists(st.floats(SpeechTimes.falls, SpeechTimes.rises - 1e-9), max_size=80))
def test_doubt_changes_nothing(chances):
    for speaking in (False, True):
        flag = SpeechFlag(SpeechTimes())
        for _ in range(20):
            flag(float(speaking), 0.1)
        assert all(flag(chance, 0.1) == speaking for chance in chances)


def test_a_face_unseen_for_long_and_time_that_goes_back_start_again(model):
    detector = SpeechDetector(model)
    for landmarks, stamp in frames(syllables, 3.0):
        detector(landmarks, NO_SHAPES, stamp)
    assert detector.speaking
    for later in (stamp + 1.5, stamp - 1.0):
        detector(syllables(3.0), NO_SHAPES, later)
        assert (detector.probability, detector.speaking) == (0.0, False)


def test_a_short_absence_does_not_end_speech(model):
    shown = [frame for frame in frames(syllables, 5.0) if not 2.5 < frame[1] < 2.8]
    times, _, flags = watch(model, shown)
    assert flags[times > 1.5].all()


def test_landmarks_that_are_no_numbers_are_ignored(model):
    detector = SpeechDetector(model)
    shown = list(frames(syllables, 3.0))
    for landmarks, stamp in shown:
        detector(landmarks, NO_SHAPES, stamp)
    before = detector.probability
    detector(np.full((478, 3), np.nan, np.float32), NO_SHAPES, stamp + 0.03)
    assert detector.probability == before
    detector(syllables(3.1), NO_SHAPES, stamp + 0.1)
    assert 0 < detector.probability <= 1


def test_several_faces_at_once_give_the_same_features():
    tracks = [list(frames(pose, 2.0, seed=n)) for n, pose in enumerate((syllables, chew, turn))]
    stacked = np.array([[mouth_channels(p, NO_SHAPES) for p, _ in track] for track in tracks])
    together = MouthMotion(stacked[:, 0])
    alone = [MouthMotion(each[0]) for each in stacked]
    for i in range(1, stacked.shape[1]):
        together.advance(stacked[:, i], np.full((3, 1), 1 / 30))
        for one, channels in zip(alone, stacked[:, i]):
            one.advance(channels, 1 / 30)
    assert together.features().shape == (3, len(FEATURES))
    assert together.features() == pytest.approx(np.stack([one.features() for one in alone]))


def copied(tmp_path, **changes):
    for suffix in ('.json', '.npz'):
        shutil.copy(models_dir() / f'speaking{suffix}', tmp_path)
    card = tmp_path / 'speaking.json'
    raw = json.loads(card.read_text())
    raw['settings'].update(changes)
    card.write_text(json.dumps(raw))
    return card


@pytest.mark.parametrize(
    ('changes', 'says'),
    [
        ({'features': [*FEATURES[1:], FEATURES[0]]}, 'other features'),
        ({'rises': 'often'}, "'rises'"),
        ({'falls_after': True}, "'falls_after'"),
        ({'rises_after': -1.0}, "'rises_after'"),
    ],
)
def test_a_card_that_disagrees_with_the_code_is_refused(tmp_path, changes, says):
    assert SpeechModel.load(copied(tmp_path)).times == SpeechTimes()
    with pytest.raises(ModelError, match=says) as error:
        SpeechModel.load(copied(tmp_path, **changes))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('change', ['cut', 'shape', 'nan', 'name'])
def test_weights_that_are_none_are_refused(tmp_path, change):
    card = copied(tmp_path)
    path = tmp_path / 'speaking.npz'
    with np.load(path) as loaded:
        weights = dict(loaded)
    if change == 'shape':
        weights['w1'] = weights['w1'][:-1]
    elif change == 'nan':
        weights['w2'] = weights['w2'] * np.nan
    elif change == 'name':
        weights['w3'] = weights.pop('w2')
    np.savez(path, **weights)
    if change == 'cut':
        path.write_bytes(path.read_bytes()[:200])
    raw = json.loads(card.read_text())
    raw['sha256'] = hashlib.sha256(path.read_bytes()).hexdigest()
    card.write_text(json.dumps(raw))
    with pytest.raises(ModelError, match=r'speaking\.npz') as error:
        SpeechModel.load(card)
    assert '\n' not in str(error.value)


def flagged(shown):
    """Return stamps, probabilities and flags of the first face of a film."""
    with EmotionEstimator(max_faces=1, landmark_source=LANDMARK_SOURCE) as estimator:
        rows = [
            (frame.stamp, faces[0].speaking, faces[0].is_speaking)
            for frame in shown
            if (faces := estimator(frame))
        ]
    return (np.array(column) for column in zip(*rows))


def test_the_portrait_speaks_when_its_truth_says_so():
    portrait = Portrait(fps=15, size=(320, 320))
    shown = (portrait.frame_at(i / 15) for i in range(27 * 15, 37 * 15))
    times, chances, flags = flagged(shown)
    true = np.array([portrait.speaking_at(t) for t in times])
    begins, ends = times[true][0], times[true][-1]
    assert begins + 0.1 <= times[flags][0] <= begins + 0.9
    assert flags[(times > begins + 0.9) & (times < ends)].all()
    assert not flags[(times < begins) | (times > ends + 1.4)].any()
    assert chances[times < begins].mean() < 0.2


def _needs(folder, *names):
    absent = [name for name in names if not (folder / f'{name}.mp4').is_file()]
    return pytest.mark.skipif(bool(absent), reason=f'put into {folder}: {", ".join(absent)}')


@_needs(TALKING, 'retalk_1', 'retalk_3', 'retalk_5')
@pytest.mark.parametrize('name', ['retalk_1', 'retalk_3', 'retalk_5'])
def test_people_who_talk_are_speaking(name):
    times, chances, flags = flagged(VideoFile(TALKING / f'{name}.mp4').frames())
    assert times[flags][0] < times[0] + 1.0
    talking = (times > times[0] + 1.0) & (times < times[0] + 2.3)
    assert flags[talking].all()
    assert chances[talking].mean() > 0.7


@_needs(TALKING, 'lp_s18', 'lp_d18')
@pytest.mark.parametrize('name', ['lp_s18', 'lp_d18'])
def test_people_at_rest_and_open_mouths_are_not_speaking(name):
    _, chances, flags = flagged(VideoFile(TALKING / f'{name}.mp4').frames())
    assert flags.mean() < 0.05
    assert chances.mean() < 0.3


@_needs(FACES, 'smile_onset', 'generated_happy', 'generated_sadness')
@pytest.mark.parametrize('name', ['smile_onset', 'generated_happy', 'generated_sadness'])
def test_faces_that_only_show_something_are_not_speaking(name):
    _, chances, flags = flagged(VideoFile(FACES / f'{name}.mp4').frames())
    assert flags.mean() < 0.05
    assert chances.mean() < 0.3
