"""Photographs and films of people, read as on the robot: parts, talking faces, cache, bad data."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from available import needs_face_mesh
from click.testing import CliRunner

import emotion_estimator
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.model_card import models_dir
from emotion_estimator_training.data.photographs import load_photographs, name_share
from emotion_estimator_training.data.stills import FER_CLASSES, PUBLIC_TEST, TRAINING
from emotion_estimator_training.features import people_reading
from emotion_estimator_training.features.features import Places
from emotion_estimator_training.features.people import CHIP_TO_CROP, load_people, people_path
from emotion_estimator_training.features.people_reading import neutral_films, people_set
from emotion_estimator_training.features.talking import TalkingPlan

PICTURE = Path(emotion_estimator.__path__[0]) / 'sources' / 'data' / 'astronaut.jpg'
HAPPY, NEUTRAL = FER_CLASSES.index('happy'), FER_CLASSES.index('neutral')
PLAN = TalkingPlan(mouths=2, each=2, faces=8)
NAMES = [f'person {number}' for number in range(60)]
#: Four people to learn from and two that are held out, with two pictures each.
LEARNED = [name for name in NAMES if name_share(name) >= 0.2][:4]
HELD = [name for name in NAMES if name_share(name) < 0.2][:2]


def photograph(seed: int, face: bool = True) -> np.ndarray:
    """Return the face of the package's picture before a background of its own, 220 x 220."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 256, (9, 9, 3)).astype(np.uint8)
    made = cv2.resize(cells, (220, 220), interpolation=cv2.INTER_LINEAR)
    if face:
        shown = cv2.imread(str(PICTURE))[10:230, 120:320]
        turn = cv2.getRotationMatrix2D((100, 110), rng.uniform(-12, 12), rng.uniform(0.75, 0.9))
        turn[:, 2] += rng.uniform(0, 15, 2)
        whole = np.full(shown.shape[:2], 255, np.uint8)
        moved, mask = (cv2.warpAffine(one, turn, (220, 220)) for one in (shown, whole))
        made[mask > 127] = moved[mask > 127]
    return made


def packed(path: Path, rows: Sequence[tuple[str, str, bool]]) -> Path:
    """Write a zip of photographs: label, person, and whether there is a face."""
    with zipfile.ZipFile(path, 'w') as archive:
        lines = ['image,label,person']
        for number, (label, person, face) in enumerate(rows):
            jpeg = cv2.imencode('.png', photograph(number, face))[1].tobytes()
            archive.writestr(f'{number}.png', jpeg)
            lines.append(f'{number}.png,{label},{person}')
        archive.writestr('labels.csv', '\n'.join(lines))
    return path


ROWS = [
    *((label, name, True) for name in [*LEARNED, *HELD] for label in ('neutral', 'happy')),
    ('neutral', LEARNED[0], False),
]


def film(path: Path, seeds: Sequence[int], face: bool = True) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), 10.0, (220, 220))
    for seed in seeds:
        writer.write(photograph(seed, face))
    writer.release()
    return path


class Runner:
    """Runs tasks at once, counts them, and is interrupted before task ``stop``."""

    def __init__(self, stop: int | None = None) -> None:
        self.count, self._stop = 0, stop

    def __call__(
        self, work: Callable[[Any], Any], tasks: Sequence[Any]
    ) -> Iterator[tuple[int, Any]]:
        for index, task in enumerate(tasks):
            if self.count == self._stop:
                raise KeyboardInterrupt
            self.count += 1
            yield index, work(task)


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """Return a folder with ``people.zip``, ``films`` and ``cache``."""
    folder = tmp_path_factory.mktemp('people')
    packed(folder / 'people.zip', ROWS)
    films = folder / 'films'
    films.mkdir()
    for number, name in enumerate(('one', 'two', 'smile')):
        film(films / f'{name}.mp4', [50 + number] * 3)
    film(films / 'nobody.mp4', [60, 61], face=False)
    (films / 'broken.mp4').write_bytes(b'no film')
    (films / 'clips.csv').write_text(
        'clip,label,speaking,person\none,neutral,yes,ann\ntwo,neutral,yes,ben\nsmile,happy,yes,cy\n'
        'nobody,neutral,yes,ann\nbroken,neutral,yes,ben\n'
    )
    return folder


def read(folder: Path, runner: Runner, films: bool = True, **changes: Any):
    photographs = load_photographs(folder / 'people.zip')
    given = {
        'films': neutral_films(folder / 'films')[0] if films else {},
        'places': Places(folder / 'people.zip', None, folder / 'cache', models_dir()),
        'plan': PLAN,
        'seed': 4,
        **changes,
    }
    return people_set(photographs, **given, processes=runner)


@pytest.fixture(scope='module')
def made(folder: Path):
    return read(folder, Runner())


@needs_face_mesh
def test_people_are_split_and_a_picture_without_a_face_is_named(made) -> None:
    people, problems = made
    assert people.sources == ('face_mesh',)
    photographs = ~people.talking & (people.person < 6)
    assert photographs.sum() == 12
    np.testing.assert_array_equal(people.emotion[photographs], [NEUTRAL, HAPPY] * 6)
    np.testing.assert_array_equal(people.person[photographs], np.arange(12) // 2)
    held = people.person[photographs] >= 4
    np.testing.assert_array_equal(people.usage[photographs], np.where(held, PUBLIC_TEST, TRAINING))
    assert [str(one) for one in problems] == [
        'photographs are left out, no face is found in them: 1 (12.png)',
        'films are left out, they cannot be read: 1 (broken.mp4)',
        'films are left out, no face is found in them: 1 (nobody.mp4)',
    ]


@needs_face_mesh
def test_a_talking_picture_is_of_its_base_with_another_mouth(made) -> None:
    people, _ = made
    rows = np.flatnonzero(people.talking & (people.person < 6))
    assert len(rows) == 2 * 12
    base = people.base[rows]
    assert not people.talking[base].any()
    for name in ('emotion', 'usage', 'person'):
        np.testing.assert_array_equal(getattr(people, name)[rows], getattr(people, name)[base])
    crops, chips = people.crops[:, 0].astype(int), people.chips.astype(int)
    change = np.abs(crops[rows] - crops[base])
    assert change[:, 28:].mean() > 1.5 * change[:, :24].mean(), 'the mouth moves'
    own, others = (np.abs(chips[rows] - chips[one]).mean() for one in (base, np.roll(base, 2)))
    assert own < others, 'with what is around its base'


@needs_face_mesh
def test_films_are_of_neutral_people_and_some_are_held_out(folder, made) -> None:
    films, lines = neutral_films(folder / 'films')
    assert [path.stem for path in films] == ['broken', 'nobody', 'one', 'two']
    assert any(line.startswith('smile.mp4 is left out') for line in lines)
    assert films[folder / 'films' / 'one.mp4'] != films[folder / 'films' / 'two.mp4']
    people, _ = made
    rows = np.flatnonzero(people.person >= 6)
    assert len(rows) == 6 and (people.emotion[rows] == NEUTRAL).all()
    np.testing.assert_array_equal(np.flatnonzero(people.film), rows)
    np.testing.assert_array_equal(people.base[rows], np.repeat([rows[0], rows[3]], 3))
    assert set(people.usage[rows[:3]]) != set(people.usage[rows[3:]])
    assert people.talking[rows].tolist() == [False, True, True] * 2


@needs_face_mesh
def test_crops_cut_from_chips_are_the_robots(made) -> None:
    from emotion_estimator_training.features.crops import plain_crops

    people, _ = made
    cut = plain_crops(list(people.chips), np.tile(CHIP_TO_CROP, (len(people), 1, 1)))
    difference = np.abs(cut.astype(int) - people.crops[:, 0]).mean(axis=(1, 2))
    assert difference.max() < 8
    shifted = np.abs(np.roll(cut, 2, axis=2).astype(int) - people.crops[:, 0]).mean(axis=(1, 2))
    assert (shifted > difference).all()


@needs_face_mesh
def test_what_was_looked_at_is_not_looked_at_again(folder, made, tmp_path, monkeypatch) -> None:
    again = Runner()
    people, _ = read(folder, again)
    assert again.count == 0
    np.testing.assert_array_equal(people.crops, made[0].crops)
    # Without films people talk otherwise, but their photographs are the same.
    other = Runner()
    without, _ = read(folder, other, films=False)
    assert 0 < other.count <= 2
    assert len(without) == 12 + 24
    monkeypatch.setattr(people_reading, '_CHUNK', 5)
    places = Places(folder / 'people.zip', None, tmp_path, models_dir())
    first, second = Runner(stop=4), Runner()
    with pytest.raises(KeyboardInterrupt):
        read(folder, first, places=places)
    people, _ = read(folder, second, places=places)
    whole = 3 + 4 + 2
    assert (first.count, second.count) == (4, whole - 4), 'photographs, and two parts who talk'
    [chunk] = sorted(path for path in tmp_path.rglob('00000.npz') if 'talking' not in str(path))
    chunk.write_bytes(chunk.read_bytes()[:999])
    with pytest.raises(InputError, match=r'00000\.npz is damaged; delete it'):
        read(folder, Runner(), places=places)


@needs_face_mesh
def test_other_labels_make_other_people_talk(folder, made, tmp_path) -> None:
    """The pictures of an earlier call with other labels are not taken for theirs."""
    rows = [(('happy' if label == 'neutral' else label), *rest) for label, *rest in ROWS]
    path = packed(tmp_path / 'people.zip', rows)
    places = Places(path, None, folder / 'cache', models_dir())
    runner = Runner()
    people, _ = people_set(load_photographs(path), {}, places, PLAN, 4, runner)
    assert 0 < runner.count <= 2, 'the photographs are the same'
    talking = people.talking
    assert (people.emotion == HAPPY).all()
    # A plan for eight neutral faces has four happy ones.
    assert len(set(people.base[talking & (people.usage == TRAINING)])) == 4


@needs_face_mesh
def test_the_meshs_blendshapes_are_by_the_models_of_the_run(folder, made, monkeypatch) -> None:
    asked = []

    class Half:
        @staticmethod
        def load(card: Path):
            asked.append(card)
            return lambda landmarks: np.full(52, 0.5, np.float32)

    monkeypatch.setattr(people_reading, 'BlendshapeHead', Half)
    runner = Runner()
    people, _ = read(folder, runner)
    assert runner.count == 0 and asked == [models_dir() / 'blendshape_head.json']
    assert (people.scores == 0.5).all()


@needs_face_mesh
def test_photographs_without_a_face_are_refused_in_one_line(tmp_path) -> None:
    path = packed(
        tmp_path / 'people.zip', [('neutral', name, False) for name in (*LEARNED[:2], *HELD[:1])]
    )
    places = Places(path, None, tmp_path / 'cache', models_dir())
    with pytest.raises(InputError, match=r'people\.zip: no face is found in any') as caught:
        people_set(load_photographs(path), {}, places, PLAN, 4, Runner())
    assert '\n' not in str(caught.value)


def test_what_is_not_there_is_named_before_anything_runs(folder) -> None:
    runner = Runner()
    with pytest.raises(InputError, match='face_landmarker needs --teacher'):
        read(folder, runner, sources=('face_landmarker',))
    places = Places(folder, folder / 'none.task', folder / 'cache', models_dir())
    with pytest.raises(ModelError, match=r'none\.task cannot be read'):
        read(folder, runner, places=places)
    assert runner.count == 0


@needs_face_mesh
def test_the_verb_writes_what_is_learned_from_and_forgets_it(folder, made, tmp_path) -> None:
    pytest.importorskip('matplotlib', reason='training needs matplotlib')
    from emotion_estimator_training.cli.training.features import people

    run = ['--run', str(tmp_path)]
    given = ['--photographs', str(folder / 'people.zip'), '--talking', str(folder / 'films')]
    more = ['--cache', str(folder / 'cache'), '--seed', '4', '--processes', '1']
    done = CliRunner().invoke(people, [*run, *given, *more, '--faces', '8'], catch_exceptions=False)
    for line in (
        'smile.mp4 is left out: clips.csv does not say that the face is neutral',
        'photographs are left out, no face is found in them: 1 (12.png)',
    ):
        assert line in done.stdout.splitlines()
    [row] = [line.split() for line in done.stdout.splitlines() if line.startswith('happy')]
    assert row[1:3] == ['4', '2']
    found = load_people(tmp_path)
    assert found is not None and str(people_path(tmp_path)) in done.stdout
    done = CliRunner().invoke(people, run, catch_exceptions=False)
    assert 'nothing is learned from people' in done.stdout
    assert load_people(tmp_path) is None
    done = CliRunner().invoke(people, [*run, *given[2:]])
    assert done.exit_code == 2 and '--talking needs --photographs' in done.stderr
