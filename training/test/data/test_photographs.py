"""Folders and zips of labelled photographs, what is wrong with them, and parts by person."""

from __future__ import annotations

import csv
import io
import pickle
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emotion_estimator.errors import InputError
from emotion_estimator_training.data.photographs import (
    Photographs,
    load_photographs,
    split_by_person,
)
from emotion_estimator_training.data.stills import FER_CLASSES

HAPPY, SAD, NEUTRAL = (FER_CLASSES.index(name) for name in ('happy', 'sad', 'neutral'))


def _texture(seed: int) -> np.ndarray:
    cells = np.random.default_rng(seed).integers(0, 256, (9, 9, 3)).astype(np.uint8)
    return cv2.resize(cells, (96, 96), interpolation=cv2.INTER_NEAREST)


def _picture(path: Path, seed: int) -> str:
    assert cv2.imwrite(str(path), _texture(seed))
    return path.name


def _labelled(folder: Path, text: str) -> Path:
    (folder / 'labels.csv').write_text(text)
    return folder


def _problem(photographs: Photographs, word: str) -> str:
    [line] = [str(one) for one in photographs.problems if word in one.kind]
    return line


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed in range(4):
        _picture(tmp_path / f'{seed}.png', seed)
    return _labelled(
        tmp_path,
        'person,image,label\nann,0.png,Happiness\nben,1.png,sadness\n'
        'ann,2.png,neutral\ncy,3.png,fear\n',
    )


def test_a_folder_and_a_zip_of_it_say_the_same(folder, tmp_path) -> None:
    packed = tmp_path / 'packed.zip'
    with zipfile.ZipFile(packed, 'w') as archive:
        for file in folder.glob('[0-9l]*'):
            archive.write(file, f'inside/{file.name}')
    for photographs in (load_photographs(folder), load_photographs(packed)):
        assert photographs.names == ('0.png', '1.png', '2.png', '3.png')
        assert photographs.emotion.tolist() == [HAPPY, SAD, NEUTRAL, FER_CLASSES.index('fear')]
        assert photographs.person == ('ann', 'ben', 'ann', 'cy')
        assert photographs.problems == ()
        assert photographs.held_out is None and not photographs.duplicate.any()
        expected = cv2.cvtColor(_texture(2), cv2.COLOR_BGR2RGB)
        assert (photographs.image(2) == expected).all()
        # In another process, as workers read them.
        assert (pickle.loads(pickle.dumps(photographs)).image(2) == expected).all()


@pytest.mark.parametrize(
    ('row', 'kind', 'example'),
    [
        ('0.png,bored,ann', 'label none of', "line 3 'bored'"),
        ('9.png,sad,ann', 'picture missing', '9.png'),
        ('not.png,sad,ann', 'cannot be decoded', 'not.png'),
        (',sad,ann', 'no picture named', 'line 3'),
        ('1.png,sadness,ben', 'the same as an earlier', 'line 3'),
        ('1.png,happy,ben', 'says something else', 'line 3 1.png'),
    ],
)
def test_rows_that_cannot_be_used_are_named_and_counted(folder, row, kind, example) -> None:
    (folder / 'not.png').write_bytes(b'no picture')
    _labelled(folder, f'image,label,person\n1.png,sad,ben\n{row}\n')
    photographs = load_photographs(folder)
    assert photographs.names == ('1.png',)
    found = _problem(photographs, kind)
    assert found.startswith('rows left out, ') and found.endswith(f': 1 ({example})')


def test_pictures_without_a_person_are_each_of_another(folder) -> None:
    _labelled(folder, 'image,label,person\n0.png,sad,\n1.png,sad,\n2.png,sad\n')
    photographs = load_photographs(folder)
    assert len(set(photographs.person)) == 3
    assert _problem(photographs, 'without a person').endswith(': 3 (0.png, 1.png, 2.png)')


@pytest.mark.parametrize('delimiter', ';\t')
def test_spreadsheets_may_write_other_delimiters(folder, delimiter) -> None:
    text = (folder / 'labels.csv').read_text()
    (folder / 'labels.csv').write_text('\ufeff' + text.replace(',', delimiter))
    assert load_photographs(folder).person == ('ann', 'ben', 'ann', 'cy')


def test_copies_are_found_and_stay_in_one_part(folder) -> None:
    (folder / 'same.png').write_bytes((folder / '1.png').read_bytes())
    smaller = cv2.resize(_texture(3), (72, 72), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / 'near.jpg'), smaller)
    _labelled(
        folder,
        'image,label,person\n0.png,sad,ann\n1.png,sad,ben\n2.png,sad,cy\n3.png,sad,dee\n'
        'same.png,happy,eve\nnear.jpg,sad,dee\n',
    )
    photographs = load_photographs(folder)
    assert photographs.copy_of.tolist() == [0, 1, 2, 3, 1, 3]
    assert photographs.duplicate.tolist() == [False] * 4 + [True] * 2
    assert _problem(photographs, 'exact copies').endswith(': 1 (same.png of 1.png)')
    assert _problem(photographs, 'near copies').endswith(': 1 (near.jpg of 3.png)')
    assert _problem(photographs, 'another person').endswith(': 1 (same.png of 1.png)')
    assert _problem(photographs, 'another label').endswith(': 1 (same.png of 1.png)')
    for share in (0.2, 0.5, 0.8):
        try:
            parts = split_by_person(photographs, share)
        except InputError:
            continue
        for part in parts:
            assert ('ben' in part.person) == ('eve' in part.person)
    # The copy of a picture that is left out is the first of its kind.
    assert photographs.where(np.array([4, 3, 5])).copy_of.tolist() == [0, 1, 1]


def test_a_person_in_both_parts_of_the_split_is_kept_for_training(folder) -> None:
    _labelled(
        folder,
        'image,label,person,split\n0.png,sad,ann,train\n1.png,sad,ann,test\n2.png,sad,ben,Test\n'
        '3.png,sad,cy,perhaps\n',
    )
    photographs = load_photographs(folder)
    assert photographs.held_out is not None
    assert photographs.held_out.tolist() == [False, False, True, False]
    assert _problem(photographs, 'both parts').endswith(': 1 (ann)')
    assert _problem(photographs, 'other than').endswith(": 1 (line 5 'perhaps')")
    training, held_out = split_by_person(photographs)
    assert held_out.person == ('ben',) and set(training.person) == {'ann', 'cy'}


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'no column image'),
        ('image,label\n0.png,sad\n', 'no column person'),
        ('image,label,person\n', 'only a header'),
        ('image,label,person\n7.png,sad,a\n', 'can be used: rows left out, picture missing: 1'),
        ('image,label,person\n0.png,sad,"' + 'a' * 200_000 + '"\n', 'near line 2: field larger'),
    ],
)
def test_a_csv_that_cannot_be_used_gives_one_line(folder, text, message) -> None:
    _labelled(folder, text)
    with pytest.raises(InputError, match=message) as raised:
        load_photographs(folder)
    assert '\n' not in str(raised.value) and 'labels.csv' in str(raised.value)


def test_folders_without_one_csv_are_refused(folder, tmp_path) -> None:
    (folder / 'labels.csv').rename(folder / 'a.csv')
    assert len(load_photographs(folder)) == 4
    (folder / 'b.csv').write_text('')
    with pytest.raises(InputError, match='has 2 CSV files'):
        load_photographs(folder)
    (folder / 'a.csv').unlink()
    (folder / 'b.csv').unlink()
    with pytest.raises(InputError, match='has no CSV file'):
        load_photographs(folder)
    with pytest.raises(InputError, match='cannot be read'):
        load_photographs(tmp_path / 'absent.zip')
    (tmp_path / 'not.zip').write_bytes(b'PK')
    with pytest.raises(InputError, match='cannot be read'):
        load_photographs(tmp_path / 'not.zip')


def test_a_damaged_member_of_a_zip_is_counted(folder, tmp_path) -> None:
    packed = tmp_path / 'packed.zip'
    with zipfile.ZipFile(packed, 'w', zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.glob('[0-9l]*')):
            archive.write(file, file.name)
        at = archive.getinfo('1.png').header_offset + 200
    data = bytearray(packed.read_bytes())
    data[at : at + 50] = bytes(255 - value for value in data[at : at + 50])
    packed.write_bytes(data)
    photographs = load_photographs(packed)
    assert photographs.names == ('0.png', '2.png', '3.png')
    assert '1.png (' in _problem(photographs, 'cannot be read')


def test_a_picture_that_went_away_is_named(folder) -> None:
    photographs = load_photographs(folder)
    (folder / '2.png').unlink()
    with pytest.raises(InputError, match=r'2\.png: missing'):
        photographs.image(2)


def _people(counts: dict[str, int]) -> Photographs:
    person = tuple(name for name, count in counts.items() for _ in range(count))
    return Photographs(
        path=Path('made'),
        names=tuple(f'{n}.png' for n in range(len(person))),
        emotion=np.zeros(len(person), np.int64),
        person=person,
        copy_of=np.arange(len(person)),
    )


def test_the_split_stays_when_people_are_added_and_leaves_frequent_ones_in_training() -> None:
    counts = {f'p{n}': 1 + n % 3 for n in range(400)}
    _, before = split_by_person(_people(counts))
    _, after = split_by_person(_people({**counts, **{f'q{n}': 2 for n in range(400)}}))
    assert set(before.person) == {name for name in after.person if name.startswith('p')}
    assert 0.15 < len(set(before.person)) / 400 < 0.25
    frequent = before.person[0]
    training, held_out = split_by_person(_people({**counts, frequent: 100}))
    assert training.person.count(frequent) == 100 and frequent not in held_out.person
    assert set(held_out.person) == set(before.person) - {frequent}


@settings(deadline=None)
@given(
    people=st.lists(st.integers(0, 40), min_size=2, max_size=60),
    copies=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), max_size=8),
    share=st.floats(0.05, 0.95),
)
def test_no_person_and_no_picture_is_in_both_parts(people, copies, share) -> None:
    copy_of = np.arange(len(people))
    for a, b in copies:
        first, later = sorted((a % len(people), b % len(people)))
        copy_of[later] = copy_of[first]
    photographs = Photographs(
        path=Path('made'),
        names=tuple(map(str, range(len(people)))),
        emotion=np.zeros(len(people), np.int64),
        person=tuple(f'p{n}' for n in people),
        copy_of=copy_of,
    )
    try:
        parts = split_by_person(photographs, share)
    except InputError:
        return
    assert not set(parts[0].person) & set(parts[1].person)
    assert sorted(parts[0].names + parts[1].names) == sorted(photographs.names)
    originals = [{int(copy_of[int(name)]) for name in part.names} for part in parts]
    assert not originals[0] & originals[1]


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.lists(
            st.one_of(
                st.sampled_from(['0.png', '1.png', 'not.png', 'sad', 'Fear', 'contempt', 'ann']),
                st.text(st.characters(codec='utf-8'), max_size=8),
            ),
            max_size=5,
        ),
        max_size=8,
    ),
    delimiter=st.sampled_from(',;\t'),
)
def test_every_row_is_used_or_counted(folder, rows, delimiter) -> None:
    (folder / 'not.png').write_bytes(b'no picture')
    text = io.StringIO(newline='')
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(['Image', ' label', 'person'])
    writer.writerows(rows)
    (folder / 'labels.csv').write_bytes(text.getvalue().encode())
    filled = sum(any(cell.strip() for cell in row) for row in rows)
    try:
        photographs = load_photographs(folder)
    except InputError as error:
        assert len(str(error).splitlines()) == 1
        return
    assert all(len(str(one).splitlines()) == 1 for one in photographs.problems)
    left_out = sum(one.count for one in photographs.problems if 'left out' in one.kind)
    assert len(photographs) + left_out == filled
    assert set(photographs.names) <= {'0.png', '1.png'}
