"""Training's plain numpy parts: reading FER2013, varying stills, sequences, figures of merit."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import InputError
from emotion_estimator.training.augment import Enlargement, displacement, enlarge, vary, warp
from emotion_estimator.training.dataset import FER_CLASSES, TO_LABEL, load_stills
from emotion_estimator.training.scores import (
    calibration_error,
    classification,
    correlations,
    macro_f1,
)
from emotion_estimator.training.sequences import SequenceMaker, SequenceSettings

HAPPY, NEUTRAL = FER_CLASSES.index('happy'), FER_CLASSES.index('neutral')
SMILE = [i for i, name in enumerate(BLENDSHAPE_NAMES) if name.startswith('mouthSmile')]


def _csv(path: Path, rows: list[tuple[int, int, str]]) -> Path:
    lines = [f'{emotion},{" ".join([str(value)] * 2304)},{usage}' for emotion, value, usage in rows]
    path.write_text('\n'.join(['emotion,pixels,Usage', *lines]) + '\n')
    return path


def test_kaggle_csv_is_read_and_duplicates_are_found(tmp_path) -> None:
    path = _csv(tmp_path / 'fer2013.csv', [
        (3, 10, 'Training'), (4, 20, 'PublicTest'), (6, 10, 'PrivateTest'),
    ])
    stills = load_stills(path)
    assert stills.pixels.shape == (3, 48, 48)
    assert stills.emotion.tolist() == [3, 4, 6]
    assert stills.usage.tolist() == [0, 1, 2]
    assert stills.duplicate.tolist() == [False, False, True]


def test_npz_is_read_alike(tmp_path) -> None:
    wanted = load_stills(_csv(tmp_path / 'a.csv', [(3, 10, 'Training'), (4, 20, 'PublicTest')]))
    np.savez(tmp_path / 'a.npz', pixels=wanted.pixels, emotion=wanted.emotion, usage=wanted.usage,
             image_id=wanted.image_id, duplicate_of_training=wanted.duplicate)
    got = load_stills(tmp_path / 'a.npz')
    np.testing.assert_array_equal(got.pixels, wanted.pixels)
    np.testing.assert_array_equal(got.usage, wanted.usage)


def test_a_folder_of_images_is_read_alike(tmp_path) -> None:
    for number, place in enumerate(('train/happy', 'validation/sad', 'test/neutral')):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / 'face.png'), np.full((48, 48), 10 * number, np.uint8))
    stills = load_stills(tmp_path)
    got = {(int(e), int(u), int(p[0, 0])) for e, u, p
           in zip(stills.emotion, stills.usage, stills.pixels)}
    assert got == {(3, 0, 0), (4, 1, 10), (6, 2, 20)}


def test_a_folder_without_faces_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match='holds no images'):
        load_stills(tmp_path)


@pytest.mark.parametrize('content', [None, 'emotion,image\n3,cat.png\n',
                                     'emotion,pixels,Usage\n3,1 2 3,Training\n'])
def test_other_files_are_refused_in_one_line(tmp_path, content: str | None) -> None:
    path = tmp_path / 'fer2013.csv'
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=r'fer2013\.csv') as caught:
        load_stills(path)
    assert '\n' not in str(caught.value)


def test_grouping_keeps_happy_and_sad_apart() -> None:
    assert TO_LABEL.tolist() == [1, 1, 1, 0, 2, 1, 1]


def test_enlargement_puts_the_still_in_the_middle_of_black() -> None:
    image = enlarge(np.full((48, 48), 200, np.uint8), Enlargement())
    assert image.shape == (320, 320, 3)
    assert image[160, 160].tolist() == [200, 200, 200]
    assert image[40, 160].tolist() == [0, 0, 0]
    matrix = Enlargement(mirror=True, roll=20).matrix
    np.testing.assert_allclose(matrix[:, :2] @ (23.5, 23.5) + matrix[:, 2], (159.5, 159.5))


def _landmarks() -> np.ndarray:
    points = np.random.default_rng(0).uniform(12, 36, (478, 3)).astype(np.float32)
    points[234, :2], points[454, :2] = (8, 24), (40, 24)
    return points


def test_displacement_moves_a_face_by_a_few_pixels() -> None:
    fields = [displacement(_landmarks(), np.random.default_rng(seed)) for seed in range(20)]
    largest = np.array([np.abs(field).max() for field in fields])
    assert largest.max() > 1.0
    assert largest.max() < 24.0


def test_warp_moves_content_along_the_field() -> None:
    image = np.zeros((48, 48), np.uint8)
    image[20:24, 20:24] = 255
    field = np.zeros((48, 48, 2), np.float32)
    field[..., 0] = 5
    moved = warp(image, field)
    assert np.argwhere(moved > 128).mean(axis=0).tolist() == [21.5, 26.5]


@given(seed=st.integers(0, 1000))
@settings(max_examples=5, deadline=None)
def test_variation_is_decided_by_its_seed_alone(seed: int) -> None:
    still = np.random.default_rng(1).integers(0, 255, (48, 48)).astype(np.uint8)
    a, b = (vary(still, _landmarks(), np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert a.dtype == np.uint8
    assert a.shape[2] == 3


@pytest.fixture
def pool() -> tuple[np.ndarray, np.ndarray]:
    blendshapes = np.full((20, 52), 0.1, np.float32)
    blendshapes[:10, SMILE] = 0.9
    return blendshapes, np.array([HAPPY] * 10 + [NEUTRAL] * 10)


def test_sequences_are_labelled_by_what_they_show(pool) -> None:
    shape = SequenceSettings(gain=0.0, missing=0.0)
    made = SequenceMaker(*pool, shape, seed=1)(200)
    smiling = made.blendshapes[..., SMILE].mean(axis=-1) > 0.5
    sure = made.weight > 0.5
    agree = (smiling == (made.emotion == HAPPY))[sure]
    assert agree.mean() > 0.99
    assert 0.1 < (made.emotion == HAPPY).mean() < 0.9
    changes = (np.diff(made.emotion, axis=1) != 0).any(axis=1).mean()
    assert 0.1 < changes < 0.5, 'half of the sequences are still, some others change'
    assert made.blendshapes.min() >= 0
    assert made.blendshapes.max() <= 1


def test_sequences_cover_10_to_60_frames_per_second_and_drops(pool) -> None:
    dt = SequenceMaker(*pool, SequenceSettings(), seed=2)(300).dt
    usual = np.median(dt, axis=1)
    assert usual.min() < 1 / 50
    assert usual.max() > 1 / 12
    assert (dt.max(axis=1) > 1.7 * usual[:, 0]).mean() > 0.5


def test_the_same_seed_makes_the_same_sequences(pool) -> None:
    a, b = (SequenceMaker(*pool, SequenceSettings(), seed=3)(5) for _ in range(2))
    np.testing.assert_array_equal(a.blendshapes, b.blendshapes)
    np.testing.assert_array_equal(a.emotion, b.emotion)


def test_figures_of_a_known_case() -> None:
    truth = np.array([0, 0, 1, 1, 2, 2])
    answers = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 1, 2]]
    figures = classification(answers, truth)
    assert figures['accuracy'] == pytest.approx(5 / 6, abs=1e-4)
    assert figures['recall'] == {'happy': 1.0, 'unknown': 1.0, 'sad': 0.5}
    assert figures['macro_f1'] == pytest.approx((1 + 0.8 + 2 / 3) / 3, abs=1e-4)
    assert figures['confusion_matrix'] == [[2, 0, 0], [0, 2, 0], [0, 1, 1]]
    assert figures['ece'] == pytest.approx(1 / 6, abs=1e-4)


def test_calibrated_answers_have_no_calibration_error() -> None:
    answers = np.tile(np.array([0.8, 0.1, 0.1], np.float32), (10, 1))
    assert calibration_error(answers, np.array([0] * 8 + [1, 2])) == pytest.approx(0, abs=1e-6)


def test_macro_f1_counts_an_absent_class_as_zero() -> None:
    assert macro_f1(np.array([[4, 0], [0, 0]])) == 0.5


def test_correlation_of_known_columns() -> None:
    x = np.random.default_rng(0).normal(size=(500, 3))
    y = np.stack([2 * x[:, 0] + 1, -x[:, 1], np.full(500, 3.0)], axis=1)
    np.testing.assert_allclose(correlations(x, y), [1, -1, 0], atol=1e-9)
