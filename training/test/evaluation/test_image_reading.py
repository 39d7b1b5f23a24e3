"""Reading images with every branch: the same as the pipeline, kept on disk, and fer's own cut."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from available import TASK, needs_face_mesh

import emotion_estimator
from emotion_estimator.emotion import LABELS, Roi
from emotion_estimator.errors import InputError
from emotion_estimator.model_card import models_dir
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.evaluation.image_reading import (
    FER_NAMES,
    AnswerStore,
    ImageReader,
    LandmarkChoice,
    digest,
    fer_answers,
    fer_picture,
    landmark_choices,
    ordered,
)

PICTURE = Path(emotion_estimator.__path__[0]) / 'sources' / 'data' / 'astronaut.jpg'


@pytest.fixture(scope='module')
def images() -> list[np.ndarray]:
    """Show a face: as it is, small, dark and turned; two of them; and none.

    None is so large that tiles of it are searched, which is the pipeline's affair.
    """
    face = cv2.cvtColor(cv2.imread(str(PICTURE)), cv2.COLOR_BGR2RGB)
    face = cv2.resize(face, (240, 240), interpolation=cv2.INTER_AREA)
    small = cv2.resize(face, (120, 120), interpolation=cv2.INTER_AREA)
    dark = (face * 0.3).astype(np.uint8)
    turned = cv2.rotate(face, cv2.ROTATE_90_CLOCKWISE)
    two = np.hstack([face[:, 30:180], face[:, 30:180]])
    return [face, small, dark, turned, two, np.zeros_like(small)]


class Unopened(LandmarkChoice):
    """A source that must not be needed."""

    def open(self, *, static: bool):
        raise AssertionError('opened')


def _choice(name: str) -> LandmarkChoice:
    return LandmarkChoice(name, TASK if name == 'face_landmarker' else None, models_dir())


@pytest.mark.parametrize(
    'source',
    [
        'face_landmarker',
        pytest.param('face_mesh', marks=needs_face_mesh),
    ],
)
def test_answers_are_those_of_the_pipeline_at_first_and_from_the_cache(
    source, images, tmp_path
) -> None:
    choice = _choice(source)
    store = AnswerStore(tmp_path / 'answers.sqlite')
    reader = ImageReader(choice, models_dir(), None, store)
    fresh = [reader(lambda one=one: one, digest(one)) for one in images]
    reader.close()
    store.close()
    again = ImageReader(
        Unopened(choice.name, choice.teacher, choice.models),
        models_dir(),
        None,
        AnswerStore(tmp_path / 'answers.sqlite'),
    )
    assert [again(lambda: pytest.fail('asked for'), digest(one)) for one in images] == fresh
    settings = {
        'landmark_source': source,
        'face_landmarker_path': str(choice.teacher or ''),
    }
    for branch, vocabulary in (
        ('fused', 'three'),
        ('blendshapes', 'seven'),
        ('appearance', 'three'),
    ):
        with EmotionEstimator(
            static=True, branches=branch, vocabulary=vocabulary, **settings
        ) as estimator:
            for image, reading in zip(images, fresh):
                found = estimator.still(image)
                assert len(found) == reading.faces
                if not found:
                    assert reading.answers is None
                    continue
                answer = reading.answers[branch]
                assert found[0].roi == Roi(*reading.roi)
                if vocabulary == 'seven':
                    assert answer.seven == ordered(found[0], FER_CLASSES)
                else:
                    assert answer.three == ordered(found[0], LABELS)
                    assert answer.label == found[0].label
    assert [one.faces for one in fresh][-2:] == [2, 0]


@needs_face_mesh
def test_other_networks_run_anew_but_on_the_same_landmarks(images, tmp_path) -> None:
    choice = _choice('face_mesh')
    store = AnswerStore(tmp_path / 'answers.sqlite')
    first = ImageReader(choice, models_dir(), None, store)
    reading = first(lambda: images[0], digest(images[0]))
    first.close()
    models = tmp_path / 'models'
    shutil.copytree(models_dir(), models)
    card = json.loads((models / 'emotion_lstm.json').read_text())
    card['settings']['still_steps'] = 1
    (models / 'emotion_lstm.json').write_text(json.dumps(card))
    other = ImageReader(Unopened('face_mesh', None, models_dir()), models, None, store)
    changed = other(lambda: images[0], digest(images[0]))
    assert changed.roi == reading.roi
    assert changed.answers['fused'].three != reading.answers['fused'].three


def test_a_damaged_cache_is_named(tmp_path) -> None:
    path = tmp_path / 'answers.sqlite'
    path.write_bytes(b'no database, but long enough to be taken for one' * 100)
    with pytest.raises(InputError, match=r'answers\.sqlite cannot be used .*; delete it'):
        AnswerStore(path)


def test_sources_that_are_absent_are_named(tmp_path) -> None:
    choices, missing = landmark_choices(['face_landmarker'], tmp_path / 'no.task', models_dir())
    assert choices == [] and len(missing) == 1 and 'TEACHER' in missing[0]


def _as_fer_does(image: np.ndarray, box: Roi) -> np.ndarray:
    """``FER.detect_emotions`` of fer 25.10.3 up to resizing, line by line."""
    mean = cv2.mean(image[image.shape[0] - 2 :])[0]
    padded = cv2.copyMakeBorder(
        image, 40, 40, 40, 40, borderType=cv2.BORDER_CONSTANT, value=[mean, mean, mean]
    )
    x, y, w, h = box.as_list()
    if h > w:
        diff = h - w
        x -= diff // 2
        w += diff
    elif w > h:
        diff = w - h
        y -= diff // 2
        h += diff
    x1, x2, y1, y2 = x - 10 + 40, x + w + 10 + 40, y - 10 + 40, y + h + 10 + 40
    return padded[max(0, y1) : y2, max(0, x1) : x2]


@pytest.mark.parametrize(
    'box', [Roi(20, 30, 40, 61), Roi(0, 0, 90, 50), Roi(50, 60, 50, 20), Roi(0, 0, 100, 80)]
)
def test_fer_gets_what_the_package_cuts_out(box) -> None:
    grey = np.random.default_rng(1).integers(0, 256, (80, 100)).astype(np.uint8)
    assert (fer_picture(grey, box) == _as_fer_does(grey, box)).all()


def test_labels_of_fer_in_both_ways() -> None:
    seven = np.array([0.2, 0.0, 0.1, 0.0, 0.4, 0.1, 0.2], np.float32)
    answers = fer_answers(seven)
    added, best = (answers[name] for name in FER_NAMES)
    # Added up, what is neither happy nor sad has 0.6; the best class is sad.
    assert added.label == 'unknown' and best.label == 'sad'
    assert added.three == pytest.approx((0.0, 0.6, 0.4))
    assert best.three == pytest.approx((0.0, 0.4, 0.6))
