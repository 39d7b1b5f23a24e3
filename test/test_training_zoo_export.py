"""Models of the zoo as TFLite: the same answers, on a robot's frames."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras', 'sklearn', 'ai_edge_litert'):
    pytest.importorskip(module, reason=f'training needs {module} (requirements/training.in)')

from zoo_models import tiny_model, tiny_place, tiny_split
from zoo_tracks import CLASSES, made_tracks

from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.perception.window_classifier import WindowClassifier
from emotion_estimator.zoo.export import export, exported_bytes
from emotion_estimator.zoo.frame_time import frame_time
from emotion_estimator.zoo.moments import moments

TRACK = made_tracks(1, 8, first=9)[0]
NAMES = ('microx', 'weighted', 'statistics', 'deep-lstm', 'bi-lstm', 'stcnn', 'fusenet', 'cnn-rnn',
         'two-stream', 'stc-nlstm', 'ours')


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp('zoo')
    return tiny_place(folder), tiny_split(), folder


def exported(made, name: str):
    place, split, folder = made
    model = tiny_model(name, place)
    model.fit(split)
    return model, export(model, folder / 'exported', 32, {'accuracy': 0.5})


def values(classifier: WindowClassifier, frame: int):
    return classifier.values(
        TRACK.crops[frame], TRACK.landmarks[frame], TRACK.blendshapes[frame]
    )


def aligned(track):
    """Return the track as crops that aligning leaves as they are."""
    from emotion_estimator.perception.face_parts import aligned_face

    both = [aligned_face(crop, points, 32) for crop, points in zip(track.crops, track.landmarks)]
    return replace(
        track, crops=np.stack([crop for crop, _ in both]),
        landmarks=np.stack([points for _, points in both]),
    )


@pytest.mark.parametrize('name', NAMES)
def test_file_says_frame_by_frame_what_the_model_says(made, name):
    model, card = exported(made, name)
    classifier = WindowClassifier.load(card, 'ai_edge_litert')
    assert (classifier.labels, classifier.window) == (CLASSES, model.window)
    expected = model.predict(moments([aligned(TRACK)], CLASSES, model.window))
    memory, found = classifier.initial_state(), []
    for frame in range(len(TRACK)):
        answer = classifier.step(values(classifier, frame), memory, 0.1)
        memory = answer.state
        found.append(answer.probabilities)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert len(memory.seen) <= model.window + 1


def test_card_declares_window_and_inputs(made):
    _, card = exported(made, 'microx')
    raw = json.loads(card.read_text())
    assert raw['kind'] == 'window_classifier' and raw['settings']['window'] == 4
    assert [one['part'] for one in raw['settings']['inputs']] == ['mouth', 'face']
    assert raw['metrics'] == {'accuracy': 0.5}
    assert exported_bytes(card) == card.with_suffix('.tflite').stat().st_size
    assert frame_time(card, TRACK) > 0


def test_quicker_and_slower_cameras_fill_the_same_window(made):
    _, card = exported(made, 'microx')
    classifier = WindowClassifier.load(card)
    answers = []
    for step in (1, 3):
        memory = classifier.initial_state()
        for number in range(7 * step + 1):
            # Held for `step` frames: three times as many frames of the same film.
            frame = -(-number // step)
            answer = classifier.step(values(classifier, frame), memory, 1 / (10 * step))
            memory = answer.state
        answers.append(answer.probabilities)
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-5)


def test_a_still_is_a_face_that_is_held(made):
    model, card = exported(made, 'deep-lstm')
    classifier = WindowClassifier.load(card)
    face = values(classifier, 3)
    held, memory = classifier.still(face), classifier.initial_state()
    for _ in range(model.window + 1):
        answer = classifier.step(face, memory, 0.1)
        memory = answer.state
    np.testing.assert_allclose(held.probabilities, answer.probabilities, atol=1e-6)


def test_landmarks_that_are_no_face_repeat_the_last_one(made):
    _, card = exported(made, 'microx')
    classifier = WindowClassifier.load(card)
    nothing = classifier(TRACK.crops[0], np.zeros((478, 3), np.float32), TRACK.blendshapes[0])
    assert nothing == (None, None)
    first = classifier.step(None, classifier.initial_state(), 0.1)
    np.testing.assert_allclose(first.probabilities, [0.5, 0.5])
    seen = classifier.step(values(classifier, 0), first.state, 0.1)
    again = classifier.step(None, seen.state, 0.1)
    np.testing.assert_allclose(again.probabilities, seen.probabilities, atol=1e-6)


def test_files_that_do_not_fit_are_refused(made):
    _, card = exported(made, 'deep-lstm')
    raw = json.loads(card.read_text())

    def changed(**settings):
        path = card.with_name('changed.json')
        path.write_text(json.dumps({**raw, 'settings': {**raw['settings'], **settings}}))
        return path

    with pytest.raises(ModelError, match='cut'):
        WindowClassifier.load(changed(cut='other'))
    with pytest.raises(ModelError, match='window'):
        WindowClassifier.load(changed(window=0))
    with pytest.raises(ModelError, match='not the one'):
        WindowClassifier.load(changed(frame={**raw['settings']['frame'], 'sha256': '0'}))
    with pytest.raises(ModelError, match='its card says'):
        WindowClassifier.load(changed(inputs=[{'kind': 'blendshapes'}]))


def test_shipped_needs_no_export(tmp_path):
    place = tiny_place(tmp_path)
    from emotion_estimator.zoo.catalog import Entry
    from emotion_estimator.zoo.ours import Shipped

    with pytest.raises(InputError, match='no export'):
        export(Shipped(Entry('shipped', 'shipped', '', {}), place), tmp_path, 32)


def test_estimator_runs_the_model_in_place_of_the_shipped_one(made):
    from emotion_estimator.emotion import Roi
    from emotion_estimator.frame import Frame
    from emotion_estimator.perception.landmarks import FaceLandmarks
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

    model, card = exported(made, 'microx')
    classifier, branches = _open_model(EstimatorSettings(model=str(card)))
    estimator = EmotionEstimator(Landmarks(), classifier, branches=branches)
    expected = model.predict(moments([aligned(TRACK)], CLASSES, model.window))
    assert (estimator.labels, estimator.model) == (CLASSES, 'zoo_microx-1.0.0')
    for frame in range(len(TRACK)):
        [face] = estimator(Frame(TRACK.crops[frame], frame / 10))
        np.testing.assert_allclose(face.probabilities, expected[frame], atol=2e-3)
        assert face.label == CLASSES[int(face.probabilities.argmax())]
