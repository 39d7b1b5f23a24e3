"""Models of the zoo on the robot's side: their cards, and the estimator that runs one."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from available import LANDMARK_SOURCE
from hypothesis import given
from hypothesis import settings as of_test
from hypothesis import strategies as st

from emotion_estimator.emotion import NONE, primary
from emotion_estimator.errors import ModelError
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.perception.window_classifier import SHAPES, WindowClassifier, WindowInput
from emotion_estimator.replay.comparison import agreement
from emotion_estimator.runtimes import runtimes
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.sources.portrait import Portrait

#: Made by make_window_model.py: a MicroX that knows the portrait by heart.
CARD = Path(__file__).parents[1] / 'helpers' / 'window_model' / 'portrait.json'
LABELS = ('happy', 'pensive', 'sad')
RAW = json.loads(CARD.read_text())
SETTINGS = RAW['settings']


def changed(folder, settings=None, **others):
    """Return a copy of the card, with other contents, beside its weights."""
    (folder / 'portrait.tflite').write_bytes(CARD.with_suffix('.tflite').read_bytes())
    path = folder / 'changed.json'
    path.write_text(json.dumps({**RAW, **others, 'settings': {**SETTINGS, **(settings or {})}}))
    return path


MOUTH, FACE = SETTINGS['inputs']
FRAME = {'file': 'portrait.tflite', 'sha256': RAW['sha256'], 'input': {**FACE, 'last': True}}


@pytest.mark.parametrize(
    ('settings', 'others', 'says'),
    [
        ({'cut': 'other'}, {}, "has 'cut' 'other', but this version cuts"),
        ({'window': 0}, {}, "'window': it must be an integer from 1 to 10000, not 0"),
        ({'window': '5'}, {}, "'window': it must be an integer"),
        (
            {'window': 6},
            {},
            'reads face 1x5x12x12x3, mouth 1x5x12x12x3, its card declares face 1x6',
        ),
        ({'rate': 0}, {}, "'rate' 0: frames per second above 0"),
        ({'rate': float('inf')}, {}, 'is not JSON (it holds Infinity, which is not JSON)'),
        ({'face_side': 0}, {}, "'face_side': it must be an integer"),
        (
            {'face_side': 10**9},
            {},
            "'face_side': it must be an integer from 1 to 1024, not 1000000000",
        ),
        ({'inputs': []}, {}, "'inputs' []: one or more different"),
        ({'inputs': [MOUTH, MOUTH]}, {}, "'inputs' ['mouth', 'mouth']"),
        ({'inputs': [MOUTH]}, {}, 'portrait.tflite reads face'),
        ({'inputs': [MOUTH, {**FACE, 'side': 13}]}, {}, 'its card declares face 1x5x13x13x3'),
        ({'inputs': [MOUTH, {**FACE, 'side': 4}]}, {}, 'a side of 4 pixels is too small'),
        ({'inputs': [MOUTH, {'kind': 'sound'}]}, {}, "unknown kind of input 'sound'"),
        ({'inputs': [MOUTH, {**FACE, 'part': 'chin'}]}, {}, "no part 'chin'"),
        ({'inputs': [MOUTH, {**FACE, 'smell': 1}]}, {}, 'smell'),
        ({'inputs': [MOUTH, {'kind': 'encoding', 'size': 4}]}, {}, "without the network 'frame'"),
        ({'frame': FRAME}, {}, "'frame', or the reverse"),
        ({'frame': {**FRAME, 'input': MOUTH}}, {}, 'reads one image or embedding'),
        ({'frame': {'file': 'x'}}, {}, "invalid 'inputs' or 'frame' ("),
        ({'inputs': [MOUTH, {'kind': 'embedding', 'size': 64}]}, {}, "without 'appearance_sha256'"),
        (
            {'window': 1, 'inputs': [{'kind': 'flow', 'side': 12}]},
            {},
            'optical flow needs two frames',
        ),
        ({}, {'labels': ['happy', 'sad']}, 'outputs [(1, 3)], its card declares [(1, 2)]'),
        ({}, {'labels': ['happy', 'sad', 'sad']}, 'two or more different'),
        ({}, {'labels': ['happy', 'sad', NONE]}, "an empty label or 'none'"),
        ({}, {'kind': 'emotion_lstm'}, "expected 'window_classifier'"),
        ({}, {'sha256': '0' * 64}, 'its card has 0'),
        ({}, {'sha256': '0'}, "'sha256', which must have 64 hexadecimal digits"),
        ({}, {'file': 'gone.tflite'}, 'gone.tflite cannot be read'),
    ],
)
def test_a_card_that_cannot_be_is_refused_in_one_line(tmp_path, settings, others, says):
    with pytest.raises(ModelError) as caught:
        WindowClassifier.load(changed(tmp_path, settings, **others))
    assert says in str(caught.value)
    assert '\n' not in str(caught.value)


#: In the place of each setting, and of each field of an input.
VALUES = [
    None,
    True,
    -1,
    0.5,
    10**60,
    '',
    'x' * 5000,
    [],
    {},
    [[[]]],
    [None],
    ['a'] * 2000,
    {'a': []},
]


def one_line(path):
    with pytest.raises(ModelError) as caught:
        WindowClassifier.load(path)
    line = str(caught.value)
    assert line.isprintable() and len(line) < 1200, line


@pytest.mark.parametrize('name', SETTINGS)
def test_whatever_a_setting_holds_gives_one_line(tmp_path, name):
    for value in VALUES:
        if name != 'rate' or value not in (0.5, 10**60):
            one_line(changed(tmp_path, {name: value}))


@pytest.mark.parametrize('name', WindowInput.__dataclass_fields__)
def test_whatever_an_input_holds_gives_one_line(tmp_path, name):
    for value in VALUES:
        unread = name == 'size' and type(value) is int  # Images have none.
        if value != MOUTH.get(name, getattr(WindowInput, name, None)) and not unread:
            one_line(changed(tmp_path, {'inputs': [{**MOUTH, name: value}, FACE]}))
            one_line(changed(tmp_path, {'frame': {**FRAME, 'input': {**FACE, name: value}}}))


@pytest.mark.parametrize('file', ['../portrait.tflite', '/etc/passwd', '..', '', 3, 'gone.tflite'])
def test_the_network_of_single_frames_lies_beside_the_card(tmp_path, file):
    (tmp_path / 'models').mkdir()
    encoding = {'kind': 'encoding', 'size': 4}
    frame = {**FRAME, 'file': file}
    one_line(changed(tmp_path / 'models', {'inputs': [MOUTH, encoding], 'frame': frame}))


@pytest.mark.parametrize(
    ('path', 'says'),
    [
        ('gone.json', 'model card gone.json cannot be read'),
        ('~nobody-here/x.json', 'cannot be opened'),
        (CARD.with_suffix('.tflite'), 'is not JSON'),
        ('x' * 300, 'cannot be read'),
    ],
)
def test_what_is_no_card_is_refused(path, says):
    with pytest.raises(ModelError, match=says):
        WindowClassifier.load(path)


@pytest.mark.parametrize('runtime', runtimes())
def test_weights_that_no_runtime_opens_are_named(tmp_path, runtime):
    import hashlib

    weights = b'\x1c\x00\x00\x00TFL3' + bytes(64)
    path = changed(tmp_path, sha256=hashlib.sha256(weights).hexdigest(), file='other.tflite')
    (tmp_path / 'other.tflite').write_bytes(weights)
    with pytest.raises(ModelError, match=f'other.tflite is not a TFLite model that {runtime}'):
        WindowClassifier.load(path, runtime)


@pytest.mark.skipif(len(runtimes()) < 2, reason='only one TFLite runtime is installed')
def test_both_runtimes_say_the_same():
    rng = np.random.default_rng(3)
    landmarks = (rng.random((478, 3)) * 200 + 50).astype(np.float32)
    frames = rng.integers(0, 256, (8, 300, 300, 3), np.uint8)
    found = []
    for runtime in runtimes():
        classifier = WindowClassifier.load(CARD, runtime)
        memory = classifier.initial_state()
        for frame in frames:
            seen = classifier(frame, landmarks, np.zeros(52, np.float32))
            memory = classifier.step(seen.features, memory, 1 / 15).state
        found.append(classifier.step(seen.features, memory, 1 / 15).probabilities)
    np.testing.assert_allclose(*found, atol=1e-4)


def watched(monkeypatch):
    """Return a classifier of blendshapes alone, and the tensors that its network is given."""
    classifier, given_to = WindowClassifier.load(CARD), []

    def network(tensors):
        given_to.append(tensors)
        return np.ones(3, np.float32)

    monkeypatch.setattr(classifier, '_network', network)
    monkeypatch.setattr(classifier, '_inputs', (WindowInput(SHAPES),))
    monkeypatch.setattr(classifier, '_looks', False)
    return classifier, given_to


@pytest.mark.parametrize('broken', ['landmarks', 'blendshapes'])
@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_what_is_not_finite_is_no_face_to_a_model_of_blendshapes(monkeypatch, broken, value):
    classifier, _ = watched(monkeypatch)
    found = {'landmarks': np.zeros((478, 3), np.float32), 'blendshapes': np.zeros(52, np.float32)}
    image = np.zeros((9, 9, 3), np.uint8)
    assert classifier(image, **found).features is not None
    found[broken][7] = value
    assert classifier(image, **found).features is None


@given(
    camera=st.floats(5, 240),
    rate=st.floats(5, 30),
    window=st.integers(1, 20),
    jitter=st.floats(0, 0.5),
)
@of_test(deadline=None, max_examples=60)
def test_a_window_is_as_long_as_it_should_be_whatever_the_cameras_rate(
    camera, rate, window, jitter
):
    with pytest.MonkeyPatch.context() as monkeypatch:
        classifier, given_to = watched(monkeypatch)
        classifier.window, classifier.rate = window, rate
        back = np.arange(window - 1, -1, -1) / rate
        rng, memory = np.random.default_rng(5), classifier.initial_state()
        seconds = 1.5 * back[0] + 2 / camera
        for dt in rng.uniform(1 - jitter, 1 + jitter, int(seconds * camera) + 2) / camera:
            # A frame's only value is when it was.
            values = (np.array([memory.now + dt]),)
            memory = classifier.step(values, memory, dt).state
            assert len(memory.seen) <= 4 * window + 1
            wanted = np.maximum(memory.now - back, memory.seen[0][0])
            off = np.abs(given_to[-1]['blendshapes'][:, 0] - wanted)
            assert off.max() <= ((1 + jitter) / camera + 1 / (4 * rate)) / 2 + 1e-4
        assert memory.seen[0][0] <= memory.now - back[0] + 1e-9


def estimator(**settings):
    return EmotionEstimator.load(
        EstimatorSettings(model=str(CARD), landmark_source=LANDMARK_SOURCE, **settings)
    )


@pytest.fixture(scope='module')
def course():
    """Return the portrait's frames, and what is said of each."""
    frames = list(Portrait(15.0).frames())
    running = estimator()
    return frames, [primary(running(frame)) for frame in frames]


def test_its_labels_follow_the_portrait(course):
    frames, faces = course
    labels = [NONE if face is None else face.label for face in faces]
    assert set(labels) == {*LABELS, NONE}
    seen = [face for face in faces if face is not None]
    assert {face.labels for face in seen} == {LABELS}
    assert {face.model for face in seen} == {'zoo_portrait-1.0.0'}
    truth = [(f.stamp, {'unknown': 'pensive'}.get(f.truth, f.truth)) for f in frames]
    found = agreement(truth, [(frame.stamp, label) for frame, label in zip(frames, labels)])
    assert found.settled.share >= 0.9, found.per_label


def test_other_settings_beside_it(course, caplog):
    frames, faces = course
    with caplog.at_level(logging.WARNING):
        unsure = estimator(
            abstain_below=1.0, neutral_baseline=1.0, vocabulary='seven', branches='appearance'
        )
    assert 'branches and vocabulary have no effect' in caplog.text
    assert unsure.labels == LABELS
    said = [primary(unsure(frame)) for frame in frames[:30]]
    assert 'unknown' in {face.label for face in said} <= {'unknown', NONE}
    # It reads no blendshapes: a face's own look at rest changes nothing.
    for one, other in zip(said, faces):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)


def test_thresholds_choose_among_its_labels(course):
    frames, faces = course
    never = estimator(sad_threshold=1.0, happy_threshold=1.0)
    said = [primary(never(frame)) for frame in frames[:30]]
    seen = [face for face in said if face is not None]
    assert {face.label for face in seen} == {'pensive'}
    for one, other in zip(said, faces):
        if one is not None:
            np.testing.assert_array_equal(one.probabilities, other.probabilities)


def test_the_command_line_runs_it(tmp_path):
    frame = next(f for f in Portrait(5.0).frames() if f.truth == 'happy' and f.stamp > 5)
    image = tmp_path / 'smile.png'
    cv2.imwrite(str(image), cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
    command = [sys.executable, '-m', 'emotion_estimator.cli.main', 'image', str(image), '--json',
               '--landmarks', LANDMARK_SOURCE, '--model']  # fmt: skip
    good, bad = (
        subprocess.run([*command, card], capture_output=True, text=True, check=False)
        for card in (str(CARD), 'gone.json')
    )
    assert good.returncode == 0, good.stderr
    (face,) = json.loads(good.stdout)['faces']
    assert face['label'] == 'happy' and tuple(face['probabilities']) == LABELS
    assert bad.returncode != 0
    assert bad.stderr.count('\n') == 1 and 'model card gone.json cannot be read' in bad.stderr
