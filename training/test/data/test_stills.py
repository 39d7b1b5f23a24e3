"""FER2013 in the forms it comes in: the .csv, the .npz, folders; and what is wrong with others."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from emotion_estimator.errors import InputError
from emotion_estimator_training.data.stills import (
    TO_LABEL,
    Stills,
    load_stills,
    write_csv,
    write_folder,
    write_npz,
)

GREY = ' '.join(['7'] * 2304)


def _csv(path: Path, rows: list[tuple[int, int, str]]) -> Path:
    lines = [f'{emotion},{" ".join([str(value)] * 2304)},{usage}' for emotion, value, usage in rows]
    path.write_text('\n'.join(['emotion,pixels,Usage', *lines]) + '\n')
    return path


def _image(path: Path, value: int, side: int = 48) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((side, side), value, np.uint8))
    return path


@pytest.fixture
def stills() -> Stills:
    rng = np.random.default_rng(0)
    return Stills(
        pixels=rng.integers(0, 256, (6, 48, 48)).astype(np.uint8),
        emotion=np.array([0, 1, 2, 3, 4, 6]),
        usage=np.array([0, 0, 0, 1, 2, 2]),
        image_id=np.arange(6),
        duplicate=np.zeros(6, bool),
    )


def test_kaggle_csv_is_read_and_duplicates_are_found(tmp_path) -> None:
    path = _csv(
        tmp_path / 'fer2013.csv',
        [
            (3, 10, 'Training'),
            (4, 20, 'PublicTest'),
            (6, 10, 'PrivateTest'),
        ],
    )
    stills = load_stills(path)
    assert stills.pixels.shape == (3, 48, 48)
    assert stills.emotion.tolist() == [3, 4, 6]
    assert stills.usage.tolist() == [0, 1, 2]
    assert stills.image_id.tolist() == [0, 1, 2]
    assert stills.duplicate.tolist() == [False, False, True]


def test_columns_may_have_spaces_another_order_and_a_byte_order_mark(tmp_path) -> None:
    path = tmp_path / 'icml_face_data.csv'
    path.write_text(f'\ufeffemotion, Usage, pixels\n5, PublicTest,{GREY}\n', encoding='utf-8')
    stills = load_stills(path)
    assert (stills.emotion[0], stills.usage[0], stills.pixels[0, 0, 0]) == (5, 1, 7)


@pytest.mark.parametrize('write', [write_npz, write_csv])
def test_each_form_is_read_back(tmp_path, stills: Stills, write) -> None:
    suffix = 'npz' if write is write_npz else 'csv'
    got = load_stills(write(stills, tmp_path / f'fer2013.{suffix}'))
    for name in ('pixels', 'emotion', 'usage', 'image_id', 'duplicate'):
        np.testing.assert_array_equal(getattr(got, name), getattr(stills, name))
        assert getattr(got, name).dtype == getattr(stills, name).dtype


def test_folders_are_read_back_with_their_files(tmp_path, stills: Stills) -> None:
    got = load_stills(write_folder(stills, tmp_path))
    assert got.paths is not None
    for image, emotion, usage, file in zip(got.pixels, got.emotion, got.usage, got.paths):
        row = int(file.stem)
        np.testing.assert_array_equal(image, stills.pixels[row])
        assert (emotion, usage) == (stills.emotion[row], stills.usage[row])
    assert got.image_id.tolist() == list(range(6))
    assert sorted(got.paths) == list(got.paths), 'numbered in sorted order'


def test_votes_and_numbers_of_an_npz_are_kept(tmp_path, stills: Stills) -> None:
    votes = np.arange(60, dtype=np.uint8).reshape(6, 10)
    np.savez(
        tmp_path / 'a.npz',
        pixels=stills.pixels,
        emotion=stills.emotion,
        usage=stills.usage,
        image_id=np.arange(6) + 100,
        ferplus_votes=votes,
    )
    got = load_stills(tmp_path / 'a.npz')
    np.testing.assert_array_equal(got.ferplus_votes, votes)
    assert got.image_id.tolist() == [100, 101, 102, 103, 104, 105]
    assert not got.duplicate.any(), 'computed where the file does not say'


def test_duplicates_that_are_known_and_those_found_count(tmp_path, stills: Stills) -> None:
    stills.pixels[4] = stills.pixels[0]
    known = np.array([False, False, False, True, False, False])
    np.savez(
        tmp_path / 'a.npz',
        pixels=stills.pixels,
        emotion=stills.emotion,
        usage=stills.usage,
        duplicate_of_training=known,
    )
    assert load_stills(tmp_path / 'a.npz').duplicate.tolist() == [False] * 3 + [True, True, False]


def test_kaggles_nested_folders_other_names_and_sizes_are_read(tmp_path) -> None:
    _image(tmp_path / 'archive' / 'Train' / 'fearful' / 'a.JPG', 10, side=96)
    _image(tmp_path / 'archive' / 'val' / 'happiness' / 'b.jpeg', 20)
    _image(tmp_path / 'archive' / 'test' / 'sad' / 'PublicTest_1.png', 30)
    _image(tmp_path / 'archive' / 'test' / 'sad' / 'PrivateTest_2.png', 40)
    _image(tmp_path / '__MACOSX' / 'train' / 'what' / 'c.png', 50)
    _image(tmp_path / 'archive' / 'test' / 'sad' / '._PublicTest_1.png', 60)
    stills = load_stills(tmp_path)
    got = {
        (int(e), int(u), int(p[20, 20]))
        for e, u, p in zip(stills.emotion, stills.usage, stills.pixels)
    }
    assert got == {(2, 0, 10), (3, 1, 20), (4, 1, 30), (4, 2, 40)}


def test_a_folder_without_faces_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match='holds no images'):
        load_stills(tmp_path)


@pytest.mark.parametrize(
    ('place', 'message'),
    [
        ('train/bored/a.png', r"bored/a\.png is in a folder 'bored', which is none of angry"),
        ('more/happy/a.png', r'happy/a\.png is in no folder train'),
    ],
)
def test_images_of_no_class_or_split_are_named(tmp_path, place: str, message: str) -> None:
    _image(tmp_path / place, 1)
    with pytest.raises(InputError, match=message):
        load_stills(tmp_path)


def test_a_picture_whose_name_is_not_utf_8_is_read(tmp_path) -> None:
    # OpenCV ends the process where it is to open such a file itself.
    (tmp_path / 'train' / 'sad').mkdir(parents=True)
    content = cv2.imencode('.png', np.full((48, 48), 7, np.uint8))[1].tobytes()
    (tmp_path / 'train' / 'sad' / os.fsdecode(b'caf\xe9.png')).write_bytes(content)
    stills = load_stills(tmp_path)
    assert stills.pixels.shape == (1, 48, 48)
    assert np.all(stills.pixels == 7)


def test_a_named_pipe_is_refused(tmp_path) -> None:
    os.mkfifo(tmp_path / 'fer2013.csv')
    os.mkfifo(tmp_path / 'fer2013.npz')
    for name in ('fer2013.csv', 'fer2013.npz'):
        with pytest.raises(InputError, match='it is a pipe, not a file'):
            load_stills(tmp_path / name)


def test_an_image_that_is_none_is_named(tmp_path) -> None:
    (tmp_path / 'train' / 'sad').mkdir(parents=True)
    (tmp_path / 'train' / 'sad' / 'x.png').write_text('no image')
    with pytest.raises(InputError, match=r'x\.png cannot be decoded .*not an image'):
        load_stills(tmp_path)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (None, 'cannot be read'),
        ('', 'line 1: no column emotion'),
        ('emotion,pixels\n3,1\n', 'line 1: no column Usage'),
        ('emotion,pixels,Usage\n', 'holds no images'),
        (f'emotion,pixels,Usage\n3,{GREY},Training\n3,1 2 3,Training\n', 'line 3: 3 pixels; 2304'),
        (
            f'emotion,pixels,Usage\n3,{GREY} x,Training\n',
            'line 2: pixels are not space-separated integers',
        ),
        (
            f'emotion,pixels,Usage\n3,{GREY[:-1]}256,Training\n',
            'line 2: a pixel is outside 0 to 255',
        ),
        (f'emotion,pixels,Usage\n7,{GREY},Training\n', "line 2: emotion '7'; use 0 angry"),
        (f'emotion,pixels,Usage\nsad,{GREY},Training\n', "line 2: emotion 'sad'"),
        (
            f'emotion,pixels,Usage\n3,{GREY},Test\n',
            "line 2: Usage 'Test'; use Training, PublicTest",
        ),
        (f'emotion,pixels,Usage\n3,{GREY}\n', 'line 2: 2 columns instead of 3'),
        (b'emotion,pixels,Usage\n3,\xff\xfe,Training\n', 'near line'),
    ],
)
def test_a_bad_csv_is_named_by_line(tmp_path, content: str | bytes | None, message: str) -> None:
    path = tmp_path / 'fer2013.csv'
    if isinstance(content, str):
        path.write_text(content)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_stills(path)
    assert 'fer2013.csv' in str(caught.value)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'emotion': None}, 'has no array emotion'),
        ({'pixels': np.zeros((2, 47, 48), np.uint8)}, r'pixels is uint8 \(2, 47, 48\)'),
        ({'usage': np.zeros(3, int)}, r'usage is int64 \(3,\); integers \(2\)'),
        ({'emotion': np.array([0.0, 1.0])}, 'emotion is float64'),
        ({'emotion': np.array([6, 7])}, 'row 1: emotion 7 is outside 0 to 6'),
        ({'usage': np.array([-1, 0])}, 'row 0: usage -1 is outside 0 to 2'),
        ({'ferplus_votes': np.zeros((2, 8), int)}, 'ferplus_votes is'),
        ({'emotion': np.array([None, None])}, 'is not an .npz of FER2013'),
    ],
)
def test_a_bad_npz_is_named_by_array_and_row(tmp_path, change, message: str) -> None:
    arrays = {
        'pixels': np.zeros((2, 48, 48), np.uint8),
        'emotion': np.zeros(2, int),
        'usage': np.zeros(2, int),
        **change,
    }
    np.savez(tmp_path / 'a.npz', **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(InputError, match=message):
        load_stills(tmp_path / 'a.npz')


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04 cut', b'no archive'])
def test_a_file_that_is_no_npz_is_refused_in_one_line(tmp_path, content: bytes) -> None:
    path = tmp_path / 'a.npz'
    path.write_bytes(content)
    with pytest.raises(InputError, match=r'a\.npz') as caught:
        load_stills(path)
    assert '\n' not in str(caught.value)


def test_grouping_keeps_happy_and_sad_apart() -> None:
    assert TO_LABEL.tolist() == [1, 1, 1, 0, 2, 1, 1]
