"""From stills to tables of blendshapes: cached, continued, on processes or on Dask."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.cli.evaluate import read_blendshape_table
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.model_card import models_dir
from emotion_estimator.perception.face_crop import crop
from emotion_estimator.worker_pool import on_dask, on_processes
from emotion_estimator_training.data.stills import FER_CLASSES, TO_LABEL, Stills
from emotion_estimator_training.features import extract as extract_module
from emotion_estimator_training.features.extract import extract, extract_outlines
from emotion_estimator_training.features.feature_set import (
    FeatureSet,
    load_features,
    save_features,
    write_tables,
)
from emotion_estimator_training.features.features import Places, feature_sets, seen_by_both

#: Images a chunk holds.
CHUNK = 256


def _stills(usage: Sequence[int]) -> Stills:
    rng = np.random.default_rng(len(usage))
    count = len(usage)
    return Stills(
        pixels=rng.integers(0, 256, (count, 48, 48)).astype(np.uint8),
        emotion=rng.integers(0, 7, count),
        usage=np.array(usage, np.int64),
        image_id=np.arange(count) + 1000,
        duplicate=np.zeros(count, bool),
    )


def _face(shift: Any) -> Any:
    """Return made landmarks (478, 3) in pixels of the enlarged still, moved to the right."""
    points = np.random.default_rng(9).normal(0, 30, (478, 3)) + np.array([160, 160, 0])
    return points + np.array([shift, 0, 0])


def _outlines(task: Any) -> dict[str, Any]:
    """Return where no Face Landmarker saw faces: a still pixel further right in each row."""
    found = task.rows % 5 != 0
    landmarks = np.array([_face(4.0 * row) for row in task.rows]) * found[:, None, None]
    return {'landmarks': landmarks.astype(np.float32), 'found': found}


def _answers(task: Any) -> dict[str, Any]:
    """Return what no landmark model said: faces in all rows but every fifth."""
    rows = task.rows
    found = rows % 5 != 0
    teacher = np.zeros((len(rows), 52), np.float32)
    teacher[found] = (rows[found, None] % 10) / 10
    mesh = np.random.default_rng(int(rows[0])).normal(100, 30, (len(rows), 478, 3))
    return {
        'row': rows,
        'teacher': teacher,
        'mesh': mesh.astype(np.float32),
        'teacher_found': found,
        'mesh_found': found,
    }


class _Runner:
    """Answers at once; is interrupted before task ``stop``."""

    def __init__(self, stop: int | None = None) -> None:
        self.tasks: list[Any] = []
        self._stop = stop

    def __call__(
        self, work: Callable[[Any], Any], tasks: Sequence[Any]
    ) -> Iterator[tuple[int, Any]]:
        for index, task in enumerate(tasks):
            if len(self.tasks) == self._stop:
                raise KeyboardInterrupt
            self.tasks.append(task)
            yield index, _outlines(task) if 'outline' in work.__name__ else _answers(task)


@pytest.fixture
def teacher(tmp_path) -> Path:
    path = tmp_path / 'face_landmarker.task'
    path.write_bytes(b'a model')
    return path


def _places(cache: Path, teacher: Path | None) -> Places:
    return Places(Path('none'), teacher, cache, models_dir())


def test_an_interrupted_pass_continues_where_it_was(tmp_path, teacher: Path) -> None:
    stills, rows = _stills([0] * 600), np.arange(600)
    complete = extract(stills, rows, teacher, tmp_path / 'complete', processes=_Runner())
    first, second, third = _Runner(stop=2), _Runner(), _Runner()
    with pytest.raises(KeyboardInterrupt):
        extract(stills, rows, teacher, tmp_path / 'cut', processes=first)
    continued = extract(stills, rows, teacher, tmp_path / 'cut', processes=second)
    assert [len(task.rows) for task in first.tasks] == [CHUNK, CHUNK]
    assert [len(task.rows) for task in second.tasks] == [600 - 2 * CHUNK]
    np.testing.assert_array_equal(continued.row, rows)
    np.testing.assert_array_equal(continued.mesh, complete.mesh)
    again = extract(stills, rows, teacher, tmp_path / 'cut', processes=third)
    assert not third.tasks, 'everything is there'
    np.testing.assert_array_equal(again.teacher, complete.teacher)


def test_stills_are_looked_at_in_the_size_asked_for(tmp_path, teacher: Path) -> None:
    runner = _Runner()
    places = replace(_places(tmp_path / 'cache', teacher), enlarge=1.0)
    sets = feature_sets(_stills([0, 1, 2]), places, 1, runner)
    assert set(sets) == {'face_landmarker', 'face_mesh'}
    assert {task.scale for task in runner.tasks} == {1.0}
    assert {task.look for task in runner.tasks} == {'plain', 'rotated'}
    assert extract_module._image(runner.tasks[0], 0).shape == (48, 48, 3)


def _written(cache: Path) -> set[str]:
    return {path.parent.name for path in cache.rglob('*.npz')}


def test_chunks_are_kept_by_content(tmp_path, teacher: Path) -> None:
    stills, rows = _stills([0] * 5), np.arange(5)
    other = tmp_path / 'other.task'
    other.write_bytes(b'another model')
    cache = tmp_path / 'cache'
    for count, options in enumerate(
        [
            {'teacher': teacher},
            {'teacher': other},
            {'teacher': None},
            {'teacher': teacher, 'with_mesh': False},
            {'teacher': teacher, 'look': 'mirrored'},
            {'teacher': teacher, 'look': 'rotated', 'seed': 1},
            {'teacher': teacher, 'look': 'rotated', 'seed': 2},
            {'teacher': teacher, 'scale': 1.0},
        ],
        start=1,
    ):
        extract(stills, rows, cache=cache, processes=_Runner(), **options)
        assert len(_written(cache)) == count, options
    changed = _stills([0] * 5)
    changed.pixels[0, 0, 0] ^= 1
    extract(changed, rows, teacher, cache, processes=_Runner())
    assert len(_written(cache)) == 9


def test_a_damaged_chunk_is_named(tmp_path, teacher: Path) -> None:
    stills, rows = _stills([0] * 5), np.arange(5)
    extract(stills, rows, teacher, tmp_path / 'cache', processes=_Runner())
    (chunk,) = (tmp_path / 'cache').rglob('*.npz')
    chunk.write_bytes(chunk.read_bytes()[:500])
    with pytest.raises(InputError, match=r'000000\.npz is damaged; delete it'):
        extract(stills, rows, teacher, tmp_path / 'cache', processes=_Runner())


def test_a_missing_teacher_is_named_before_anything_runs(tmp_path) -> None:
    runner = _Runner()
    with pytest.raises(ModelError, match=r'none\.task cannot be read'):
        extract(_stills([0]), np.arange(1), tmp_path / 'none.task', tmp_path, processes=runner)
    assert not runner.tasks


@given(
    usage=st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=40), passes=st.integers(0, 2)
)
@settings(max_examples=20, deadline=None)
def test_only_training_images_are_ever_augmented(usage: list[int], passes: int) -> None:
    stills, runner = _stills(usage), _Runner()
    with tempfile.TemporaryDirectory() as folder:
        teacher = Path(folder) / 'face_landmarker.task'
        teacher.write_bytes(b'a model')
        sets = feature_sets(
            stills, _places(Path(folder) / 'cache', teacher), passes, runner, ['face_landmarker']
        )
    looked = [task for task in runner.tasks if task.look != 'plain']
    assert all((stills.usage[task.rows] == 0).all() for task in looked)
    assert {task.look for task in looked} <= {'rotated'}
    table = sets['face_landmarker']
    assert (table.usage[table.augmented] == 0).all()
    found = np.arange(len(usage)) % 5 != 0
    assert (~table.augmented).sum() == found.sum()
    assert table.augmented.sum() == passes * (found & (stills.usage == 0)).sum()


def test_rows_of_a_feature_set_belong_to_their_images(tmp_path, teacher: Path) -> None:
    stills = _stills([0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 0])
    sets = feature_sets(stills, _places(tmp_path / 'cache', teacher), 1, _Runner())
    assert list(sets) == ['face_landmarker', 'face_mesh']
    for table in sets.values():
        rows = table.image_id - 1000
        np.testing.assert_array_equal(rows, [1, 2, 3, 4, 6, 7, 8, 9, 1, 2])
        np.testing.assert_array_equal(table.emotion, stills.emotion[rows])
        np.testing.assert_array_equal(table.usage, stills.usage[rows])
    np.testing.assert_allclose(
        sets['face_landmarker'].blendshapes[:, 0], (table.image_id - 1000) % 10 / 10, atol=1e-6
    )
    assert 0 <= sets['face_mesh'].blendshapes.min() <= sets['face_mesh'].blendshapes.max() <= 1


def test_crops_are_cut_from_the_stills_by_each_sources_own_landmarks(
    tmp_path, teacher: Path
) -> None:
    stills = _stills([0, 0, 1, 1, 2, 2])
    sets = feature_sets(stills, _places(tmp_path / 'cache', teacher), 1, _Runner())
    table = sets['face_landmarker']
    for row in np.flatnonzero(~table.augmented):
        number = int(table.image_id[row]) - 1000
        # Enlarged: four times, behind a border of 16 still pixels, pixel centres kept.
        landmarks = (_face(4.0 * number)[:, :2] - 159.5) / 4 + 23.5
        still = np.repeat(stills.pixels[number][:, :, None], 3, axis=2)
        wanted = crop(still, landmarks.astype(np.float32))
        assert np.abs(table.crops[row].astype(int) - wanted).mean() < 1
    assert table.crops.dtype == np.uint8
    assert not table.crops[table.augmented].any()
    assert not np.array_equal(table.crops, sets['face_mesh'].crops)


def test_only_chunks_with_wanted_stills_are_looked_at(tmp_path, teacher: Path) -> None:
    stills, runner = _stills([0] * 600 + [1] * 100), _Runner()
    places = _places(tmp_path / 'cache', teacher)
    sets = feature_sets(stills, places, 0, runner, wanted=stills.usage == 1)
    assert [task.rows[0] for task in runner.tasks] == [2 * CHUNK] * 2, 'blendshapes, outlines'
    for table in sets.values():
        assert (table.usage == 1).all()
        assert len(table) == 80
    complete, again = feature_sets(stills, places, 0, _Runner()), _Runner()
    np.testing.assert_array_equal(
        complete['face_mesh'].where(complete['face_mesh'].usage == 1).crops, sets['face_mesh'].crops
    )
    feature_sets(stills, places, 0, again, wanted=stills.usage == 1)
    assert not again.tasks, 'the chunks are those of all stills'
    with pytest.raises(InputError, match='no images'):
        feature_sets(stills, places, 0, _Runner(), wanted=np.zeros(700, bool))


def test_outlines_are_looked_for_once_and_leave_the_other_chunks_alone(
    tmp_path, teacher: Path
) -> None:
    stills, cache = _stills([0] * 300), tmp_path / 'cache'
    extract(stills, np.arange(300), teacher, cache, processes=_Runner())
    before = {path: path.read_bytes() for path in cache.rglob('*.npz')}
    first, second = _Runner(), _Runner()
    feature_sets(stills, _places(cache, teacher), 0, first, ['face_landmarker', 'face_mesh'])
    assert [task.look for task in first.tasks] == ['plain', 'plain']
    assert {path: path.read_bytes() for path in before} == before
    outlines = extract_outlines(stills, np.arange(300), teacher, cache, second)
    assert not second.tasks
    assert outlines.landmarks.shape == (300, 478, 3)
    assert outlines.found.sum() == 240


def test_without_a_teacher_only_the_mesh_looks(tmp_path) -> None:
    runner = _Runner()
    places = _places(tmp_path, None)
    assert list(feature_sets(_stills([0] * 4), places, 1, runner)) == ['face_mesh']
    assert list(seen_by_both(_stills([0] * 4), places, runner)) == ['face_mesh']
    assert all(task.teacher is None for task in runner.tasks)
    with pytest.raises(InputError, match='face_landmarker needs --teacher'):
        feature_sets(_stills([0]), places, 1, runner, ['face_landmarker'])


def test_the_mesh_is_left_out_where_it_is_not_wanted(tmp_path, teacher: Path) -> None:
    runner = _Runner()
    sets = feature_sets(
        _stills([0] * 4), _places(tmp_path, teacher), 1, runner, ['face_landmarker']
    )
    assert list(sets) == ['face_landmarker']
    assert not any(task.with_mesh for task in runner.tasks)


@pytest.fixture
def table() -> FeatureSet:
    rng = np.random.default_rng(1)
    return FeatureSet(
        source='face_mesh',
        blendshapes=rng.uniform(0, 1, (8, 52)).astype(np.float32),
        emotion=np.array([3, 4, 6, 3, 0, 4, 6, 3]),
        usage=np.array([0, 0, 0, 1, 1, 2, 2, 0]),
        image_id=np.array([11, 22, 33, 44, 55, 66, 77, 11]),
        duplicate=np.array([False] * 6 + [True, False]),
        augmented=np.array([False] * 7 + [True]),
        crops=rng.integers(0, 256, (8, 48, 48)).astype(np.uint8),
    )


def test_features_are_read_back(tmp_path, table: FeatureSet) -> None:
    got = load_features(save_features(table, tmp_path / 'features' / 'face_mesh.npz'))
    assert got.source == 'face_mesh'
    for name in ('blendshapes', 'emotion', 'usage', 'image_id', 'duplicate', 'augmented', 'crops'):
        np.testing.assert_array_equal(getattr(got, name), getattr(table, name))
        assert getattr(got, name).dtype == getattr(table, name).dtype


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'usage': None}, 'has no array usage'),
        ({'blendshapes': np.zeros((8, 51), np.float32)}, r'blendshapes is \(8, 51\) instead'),
        ({'blendshapes': np.full((8, 52), 1.5, np.float32)}, 'outside 0 to 1'),
        ({'blendshapes': np.full((8, 52), np.nan, np.float32)}, 'outside 0 to 1'),
        ({'image_id': np.zeros(7, int)}, r'image_id is \(7,\) instead'),
        ({'emotion': np.full(8, 7)}, 'emotion is outside 0 to 6'),
        ({'crops': None}, 'has no array crops'),
        ({'crops': np.zeros((8, 48, 47), np.uint8)}, r'crops is \(8, 48, 47\) instead'),
        ({'crops': np.zeros((8, 48, 48), np.float32)}, 'crops are float32 instead of uint8'),
    ],
)
def test_other_arrays_are_refused(tmp_path, table: FeatureSet, change, message: str) -> None:
    arrays = {**vars(table), **change}
    np.savez(tmp_path / 'a.npz', **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(InputError, match=message):
        load_features(tmp_path / 'a.npz')


@pytest.mark.parametrize('content', [None, b'', b'no archive'])
def test_other_files_are_refused_in_one_line(tmp_path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / 'a.npz').write_bytes(content)
    with pytest.raises(InputError, match=r'a\.npz.*training features') as caught:
        load_features(tmp_path / 'a.npz')
    assert '\n' not in str(caught.value)


def test_tables_are_the_papers_and_ours_to_read(tmp_path, table: FeatureSet) -> None:
    paths = write_tables(table, TO_LABEL, tmp_path)
    assert sorted(path.name for path in paths) == sorted(p.name for p in tmp_path.iterdir())
    lines = (tmp_path / 'face_mesh-training.csv').read_text().splitlines()
    head = lines[0].split(',')
    assert tuple(head[:52]) == BLENDSHAPE_NAMES
    assert head[52:54] == ['label', 'index']
    assert [line.split(',')[53] for line in lines[1:]] == ['11', '22', '33', '11']
    assert [line.split(',')[55] for line in lines[1:]] == ['0', '0', '0', '1']
    scores, labels = read_blendshape_table(tmp_path / 'face_mesh-training.csv')
    np.testing.assert_allclose(scores, table.blendshapes[table.usage == 0], atol=6e-7)
    assert labels.tolist() == [0, 2, 1, 0]


def test_each_class_has_a_table_and_old_ones_go(tmp_path, table: FeatureSet) -> None:
    old = tmp_path / 'face_mesh-publictest-sad.csv'
    old.write_text('of an earlier run')
    write_tables(table, TO_LABEL, tmp_path)
    assert not old.exists()
    for split, usage in (('training', 0), ('publictest', 1), ('privatetest', 2)):
        for code, name in enumerate(FER_CLASSES):
            path = tmp_path / f'face_mesh-{split}-{name}.csv'
            count = int(((table.usage == usage) & (table.emotion == code)).sum())
            assert (len(path.read_text().splitlines()) - 1 if path.exists() else 0) == count


def test_processes_run_everything_once() -> None:
    results = dict(on_processes(2)(math.factorial, list(range(9))))
    assert results == {n: math.factorial(n) for n in range(9)}
    with pytest.raises(ValueError, match='factorial'):
        list(on_processes(1)(math.factorial, [-1]))


def test_dask_gives_what_processes_give() -> None:
    pytest.importorskip('distributed', reason='Dask is for training')
    results = dict(on_dask(2)(math.factorial, list(range(9))))
    assert results == {n: math.factorial(n) for n in range(9)}


def test_without_dask_its_package_is_named(monkeypatch) -> None:
    monkeypatch.setitem(__import__('sys').modules, 'distributed', None)
    with pytest.raises(InputError, match=r'pip install "dask\[distributed\]"'):
        on_dask(2)
