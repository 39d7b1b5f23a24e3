"""Models of the zoo as TFLite: the same answers, on a robot's frames."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras', 'sklearn', 'ai_edge_litert'):
    pytest.importorskip(module, reason=f'training needs {module} (pip install ./training)')

from zoo_models import tiny_context, tiny_model, tiny_split
from zoo_tracks import CLASSES, made_tracks

from emotion_estimator.errors import InputError
from emotion_estimator.perception.window_classifier import WindowClassifier
from emotion_estimator_training.models.legacy_keras import tf
from emotion_estimator_training.zoo.data.windows import query_windows
from emotion_estimator_training.zoo.export import export, exported_bytes, frame_time

TRACK = made_tracks(1, 8, first=9)[0]
NAMES = (
    'microx',
    'frame',
    'weighted',
    'statistics',
    'mlp',
    'covariance',
    'eigenvector',
    'gaussian',
    'bi-lstm',
    'stcnn',
    'fusenet',
    'c3d',
    'cnn-rnn',
    'two-stream',
    'stc-nlstm',
    'frame-pairs',
    'fused',
)
#: Those whose weights lie in more than one file; the others are read back as MicroX is.
READ_BACK = ('cnn-rnn', 'fused')


class Made:
    """Trained and exported models, each made once."""

    def __init__(self, folder):
        self.folder, self.split = folder, tiny_split()
        self.context = tiny_context(folder / 'models')
        self._known = {}

    def __call__(self, name):
        if name not in self._known:
            model = tiny_model(name, self.context)
            # Decisions have nothing to learn beyond single frames. The few steps are quicker
            # without tracing; test_zoo_microx.py trains in a graph.
            tf.config.run_functions_eagerly(True)
            try:
                learned = model.fit(self.split)
            finally:
                tf.config.run_functions_eagerly(False)
            assert len(learned) == (name != 'weighted')
            card = export(model, self.folder / 'exported', 32, {'accuracy': 0.5})
            self._known[name] = model, card
        return self._known[name]


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    return Made(tmp_path_factory.mktemp('zoo'))


def values(classifier: WindowClassifier, frame: int):
    return classifier.values(TRACK.crops[frame], TRACK.landmarks[frame], TRACK.blendshapes[frame])


def aligned(track):
    """Return the track as crops that aligning leaves as they are."""
    from emotion_estimator.perception.face_parts import aligned_face

    both = [aligned_face(crop, points, 32) for crop, points in zip(track.crops, track.landmarks)]
    return replace(
        track,
        crops=np.stack([crop for crop, _ in both]),
        landmarks=np.stack([points for _, points in both]),
    )


@pytest.mark.parametrize('name', NAMES)
def test_learns_and_says_the_same_as_tflite(made, name):
    model, card = made(name)
    asked = query_windows([aligned(TRACK)], CLASSES, model.window)
    expected = model.predict(asked)
    np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-5)
    if name in READ_BACK:
        again = tiny_model(name, made.context)
        again.load()
        np.testing.assert_allclose(again.predict(asked), expected, atol=1e-6)
    classifier = WindowClassifier.load(card, 'ai_edge_litert')
    assert (classifier.labels, classifier.window) == (CLASSES, model.window)
    memory, found = classifier.initial_state(), []
    for frame in range(len(TRACK)):
        answer = classifier.step(values(classifier, frame), memory, 0.1)
        memory = answer.state
        found.append(answer.probabilities)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert len(memory.seen) <= model.window + 1


#: Reads a track and cards; prints each runtime's probabilities for the last frame.
ELSEWHERE = """
import json, sys
from pathlib import Path
import numpy as np
from emotion_estimator.perception.window_classifier import WindowClassifier
track, *cards = sys.argv[1:]
found = {}
with np.load(track) as seen:
    frames = list(zip(seen['crops'], seen['landmarks'], seen['blendshapes']))
for runtime in ('ai_edge_litert', 'tflite_runtime'):
    for card in cards:
        classifier = WindowClassifier.load(card, runtime)
        memory = classifier.initial_state()
        for frame in frames:
            answer = classifier.step(classifier.values(*frame), memory, 0.1)
            memory = answer.state
        found[f'{runtime} {Path(card).stem}'] = answer.probabilities.tolist()
print(json.dumps(found))
"""


def test_both_runtimes_say_what_keras_says(made, tmp_path):
    pytest.importorskip('tflite_runtime', reason='needs tflite-runtime beside ai-edge-litert')
    np.savez(
        tmp_path / 'track.npz',
        crops=TRACK.crops,
        landmarks=TRACK.landmarks,
        blendshapes=TRACK.blendshapes,
    )
    cards = [str(made(name)[1]) for name in NAMES]
    # Apart: where TensorFlow is loaded, tflite-runtime reads no file.
    child = subprocess.run(
        [sys.executable, '-c', ELSEWHERE, str(tmp_path / 'track.npz'), *cards],
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    found = json.loads(child.stdout)
    assert len(found) == 2 * len(NAMES)
    for name in NAMES:
        model, card = made(name)
        expected = model.predict(query_windows([aligned(TRACK)], CLASSES, model.window))[-1]
        for runtime in ('ai_edge_litert', 'tflite_runtime'):
            np.testing.assert_allclose(
                found[f'{runtime} {card.stem}'], expected, atol=2e-3, err_msg=f'{runtime} {name}'
            )


def test_card_declares_window_and_inputs(made):
    _, card = made('microx')
    raw = json.loads(card.read_text())
    assert raw['kind'] == 'window_classifier' and raw['settings']['window'] == 4
    assert [one['part'] for one in raw['settings']['inputs']] == ['mouth', 'face']
    assert raw['metrics'] == {'accuracy': 0.5}
    assert exported_bytes(card) == card.with_suffix('.tflite').stat().st_size
    assert frame_time(card, TRACK) > 0


def test_size_is_that_of_the_appearance_network_that_was_read(made, tmp_path):
    (tmp_path / 'appearance.tflite').write_bytes(b'1234567')
    _, card = made('fused')
    own = sum(path.stat().st_size for path in card.parent.glob(f'{card.stem}*.tflite'))
    assert exported_bytes(card, tmp_path) == own + 7


def test_quicker_and_slower_cameras_fill_the_same_window(made):
    _, card = made('microx')
    classifier = WindowClassifier.load(card)
    answers = []
    for step in (1, 3):
        memory = classifier.initial_state()
        for number in range(7 * step + 1):
            # Each frame is repeated `step` times: a faster camera films the same face.
            frame = -(-number // step)
            answer = classifier.step(values(classifier, frame), memory, 1 / (10 * step))
            memory = answer.state
        answers.append(answer.probabilities)
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-5)


def test_a_still_is_a_face_that_does_not_move(made):
    model, card = made('bi-lstm')
    classifier = WindowClassifier.load(card)
    face = values(classifier, 3)
    still, memory = classifier.still(face), classifier.initial_state()
    for _ in range(model.window + 1):
        answer = classifier.step(face, memory, 0.1)
        memory = answer.state
    np.testing.assert_allclose(still.probabilities, answer.probabilities, atol=1e-6)


def test_landmarks_that_are_no_face_repeat_the_last_one(made):
    _, card = made('microx')
    classifier = WindowClassifier.load(card)
    nothing = classifier(TRACK.crops[0], np.zeros((478, 3), np.float32), TRACK.blendshapes[0])
    assert (nothing.features, nothing.embedding) == (None, None)
    first = classifier.step(None, classifier.initial_state(), 0.1)
    np.testing.assert_allclose(first.probabilities, [0.5, 0.5])
    seen = classifier.step(values(classifier, 0), first.state, 0.1)
    again = classifier.step(None, seen.state, 0.1)
    np.testing.assert_allclose(again.probabilities, seen.probabilities, atol=1e-6)


def test_shipped_needs_no_export(tmp_path):
    context = tiny_context(tmp_path)
    from emotion_estimator_training.zoo.models.catalog import Entry
    from emotion_estimator_training.zoo.models.ours import Shipped

    with pytest.raises(InputError, match='no export'):
        export(Shipped(Entry('shipped', 'shipped', '', {}), context), tmp_path, 32)


def test_estimator_runs_the_model_in_place_of_the_shipped_one(made):
    from emotion_estimator.emotion import Roi
    from emotion_estimator.frame import Frame
    from emotion_estimator.perception.landmarks.base import FaceLandmarks
    from emotion_estimator.perception.pipeline import EmotionEstimator, _open_model
    from emotion_estimator.settings import EstimatorSettings

    class Landmarks:
        name = 'made'

        def __call__(self, frame):
            number = round(frame.stamp * 10)
            face = FaceLandmarks(
                TRACK.landmarks[number], TRACK.blendshapes[number], Roi(0, 0, 32, 32)
            )
            return (face,)

        def reset(self):
            pass

    model, card = made('microx')
    classifier, reader = _open_model(EstimatorSettings(model=str(card)))
    estimator = EmotionEstimator.from_parts(Landmarks(), classifier, reader=reader)
    expected = model.predict(query_windows([aligned(TRACK)], CLASSES, model.window))
    assert estimator.labels == CLASSES
    assert re.fullmatch(r'zoo_microx-1\.0\.0\+local\.[0-9a-f]{8}', estimator.model)
    for frame in range(len(TRACK)):
        [face] = estimator(Frame(TRACK.crops[frame], frame / 10))
        np.testing.assert_allclose(face.probabilities, expected[frame], atol=2e-3)
        assert face.label == CLASSES[int(face.probabilities.argmax())]
