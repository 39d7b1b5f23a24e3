from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from available import needs_face_mesh
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import InputError
from emotion_estimator.sources.video import VideoFile
from emotion_estimator_training.data import made_set
from emotion_estimator_training.data.stills import (
    FER_CLASSES,
    FERPLUS_CLASSES,
    TRAINING,
    Stills,
)
from emotion_estimator_training.zoo.data import made_clips, made_people
from emotion_estimator_training.zoo.data.clips import load_clips
from emotion_estimator_training.zoo.data.face_shapes import Shapes, in_picture, own_frame
from emotion_estimator_training.zoo.data.face_tracks import ClipFrameSettings
from emotion_estimator_training.zoo.data.made_clips import MadeSettings
from emotion_estimator_training.zoo.data.made_faces import StillFace
from emotion_estimator_training.zoo.data.made_people import held_out, shares_of
from emotion_estimator_training.zoo.data.made_video import film, make_course
from emotion_estimator_training.zoo.data.set_films import Films
from emotion_estimator_training.zoo.data.video_set import SetChoice, open_set

LANDMARK_SOURCE = made_people._outlines
SMALL = MadeSettings(people=8, seconds=0.6, rate=10, size=96)
#: A face's points about (24, 24), those of the cheeks and eyes where they belong.
POINTS = np.random.default_rng(5).uniform(8, 40, (478, 3)).astype(np.float32)
POINTS[[234, 454, 33, 263], :2] = (6, 24), (42, 24), (14, 18), (34, 18)
POINTS[:, 2] = -np.hypot(*(POINTS[:, :2] - 24).T) / 4


def here(work, tasks):
    """Run tasks in this process."""
    return ((index, work(task)) for index, task in enumerate(tasks))


def made_stills(each: int = 8) -> Stills:
    """Return stills of noise, as many of each class in Training as in a test."""
    rng = np.random.default_rng(1)
    count = 2 * each * len(FER_CLASSES)
    usage = np.arange(count) // (count // 2)
    return Stills(
        rng.integers(0, 256, (count, 48, 48), np.uint8),
        np.arange(count) % len(FER_CLASSES),
        usage,
        np.arange(count),
        np.zeros(count, bool),
    )


def outlines(stills, rows, teacher, cache, processes):
    """Stand in for the landmark source: every still but each fifth has the same face, moved."""
    rng = np.random.default_rng(2)
    points = POINTS + rng.normal(scale=0.3, size=(len(rows), 478, 3)).astype(np.float32)
    return points, rows % 5 != 4


@pytest.fixture(scope='module', autouse=True)
def stand_in():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(made_people, '_outlines', outlines)
        yield


@pytest.fixture(scope='module')
def made_once(tmp_path_factory) -> Path:
    """Return the folder of a set that was made at once; not to be changed."""
    folder = tmp_path_factory.mktemp('made') / 'set'
    made_clips.make_set(made_stills(), folder, SMALL, folder.parent, processes=here)
    return folder


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / 'clips.csv').open() as file:
        return list(csv.DictReader(file))


def test_a_set_has_every_class_subjects_and_what_happens(made_once):
    stills = made_stills()
    said = json.loads((made_once / 'made.json').read_text())
    assert said['seed'] == 11
    assert said['people'] == 8
    found = load_clips(made_once / 'clips.csv')
    assert found.problems == ()
    assert found.classes == tuple(sorted(FER_CLASSES))
    rows = rows_of(made_once)
    by_subject: dict[str, list[str]] = {}
    for row in rows:
        by_subject.setdefault(row['subject'], []).append(row['label'])
    assert sorted(by_subject.pop('portrait')) == sorted(2 * FER_CLASSES)
    assert len(by_subject) == SMALL.people
    for subject, labels in by_subject.items():
        row = int(subject.removeprefix('still'))
        # Nobody whom a model trained on Training has seen, and labelled as the still is.
        assert stills.usage[row] != TRAINING
        assert labels == [FER_CLASSES[stills.emotion[row]]]
    kinds = Counter(row['kind'] for row in rows)
    assert kinds == {'portrait': 14, 'neutral': 2, 'shown': 6}
    for row in rows:
        assert (row['onset'] == '') == (row['label'] == 'neutral')
    video = VideoFile(made_once / rows[-1]['clip'])
    frames = list(video.frames())
    assert len(frames) == 6
    assert frames[0].image.shape == (96, 96, 3)
    with (made_once / 'strength.csv').open() as file:
        strengths = list(csv.DictReader(file))
    assert len(strengths) == 6 * len(rows)
    neutral = {row['clip'] for row in rows if row['label'] == 'neutral'}
    assert not any(float(one['strength']) for one in strengths if one['clip'] in neutral)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.integers(0, 300))
def test_people_are_shared_as_evenly_as_there_are(there, count):
    taken = shares_of(count, there)
    assert sum(taken) == min(count, sum(there))
    for one, most in zip(taken, there):
        assert 0 <= one <= most
        # Nobody has fewer while there are more, but for what cannot be shared.
        assert one == most or one >= max(taken) - 1


def rare_stills() -> Stills:
    """Return stills whose fear and disgust of the test splits nobody agrees with."""
    stills = made_stills()
    column = [FERPLUS_CLASSES.index(name) for name in FER_CLASSES]
    votes = np.zeros((len(stills), len(FERPLUS_CLASSES)), np.uint8)
    votes[np.arange(len(stills)), np.array(column)[stills.emotion]] = 9
    rare = np.isin(stills.emotion, [FER_CLASSES.index(name) for name in ('disgust', 'fear')])
    votes[rare & (stills.usage != TRAINING)] = 1
    return replace(stills, ferplus_votes=votes)


def test_rare_classes_come_from_a_part_of_training_that_is_held_out(tmp_path):
    stills = rare_stills()
    held = held_out(stills)
    assert set(stills.emotion[held]) == {FER_CLASSES.index(name) for name in ('disgust', 'fear')}
    assert (stills.usage[held] == TRAINING).all()
    people, _ = made_people.choose_people(stills, 14, 1, None, tmp_path, here)
    of_training = [person for person in people if person.usage == 'Training']
    assert {person.label for person in of_training} == {'disgust', 'fear'}
    assert all(held[person.row] for person in of_training)
    assert not held_out(made_stills()).any()


def test_the_seed_decides_everything_and_an_interrupted_set_continues(tmp_path, made_once):
    def interrupted(work, tasks):
        yield 1, work(tasks[1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made_clips.make_set(
            made_stills(), tmp_path, SMALL, tmp_path / 'cache', processes=interrupted
        )
    assert not (tmp_path / 'clips.csv').exists()
    first = {path: path.stat().st_mtime_ns for path in (tmp_path / 'clips').iterdir()}
    assert len(first) == 1
    made_clips.make_set(made_stills(), tmp_path, SMALL, tmp_path / 'cache', processes=here)
    assert all(path.stat().st_mtime_ns == at for path, at in first.items())
    assert rows_of(tmp_path) == rows_of(made_once)
    for name in (row['clip'] for row in rows_of(tmp_path)[-2:]):
        a, b = (list(VideoFile(folder / name).frames()) for folder in (tmp_path, made_once))
        assert all((x.image == y.image).all() for x, y in zip(a, b))


def test_a_folder_of_something_else_is_refused(tmp_path, made_once):
    def refused(message: str, settings: MadeSettings = SMALL) -> None:
        with pytest.raises(InputError, match=message):
            made_clips.make_set(
                made_stills(), tmp_path, settings, tmp_path / 'cache', processes=here
            )

    shutil.copytree(made_once, tmp_path, dirs_exist_ok=True)
    refused('holds a set with other settings', replace(SMALL, people=9))
    (tmp_path / 'made.json').write_text('{')
    refused('is damaged')
    (tmp_path / 'made.json').unlink()
    refused('holds other files')


@pytest.mark.parametrize('names', [('a/film.mp4', 'b/film.avi'), ('portrait.mp4',)])
def test_films_whose_clips_would_be_taken_for_others_are_refused(tmp_path, names):
    films = Films(talking=tuple(Path(name) for name in names))
    with pytest.raises(InputError, match='names others too; rename the film'):
        made_clips.make_set(
            made_stills(), tmp_path / 'set', SMALL, tmp_path, processes=here, films=films
        )
    assert not (tmp_path / 'set').exists()


def test_stills_without_a_neutral_face_are_refused(tmp_path):
    stills = made_stills()
    stills.usage[stills.emotion == FER_CLASSES.index('neutral')] = TRAINING
    with pytest.raises(InputError, match='no neutral face is found'):
        made_clips.make_set(stills, tmp_path / 'set', SMALL, tmp_path, processes=here)


@given(st.booleans(), st.floats(0.5, 6), st.floats(1, 30), st.integers(0, 2**31))
@settings(deadline=None, max_examples=60)
def test_an_expression_comes_stays_and_goes(neutral, seconds, rate, seed):
    course = make_course(neutral, seconds, rate, np.random.default_rng(seed))
    count = len(course.times)
    assert count == max(round(seconds * rate), 1)
    for values in (
        course.intensity,
        course.speech,
        course.lids,
        course.roll,
        course.zoom,
        course.light,
        course.turn,
        course.shift,
    ):
        assert len(values) == count
        assert np.isfinite(values).all()
    assert (course.intensity >= 0).all()
    assert (course.intensity <= 1).all()
    assert (course.zoom > 0.5).all()
    if neutral:
        assert not course.intensity.any()
        return
    onset, apex, offset, end = course.phases
    assert 0 < onset < apex < offset < end
    assert not course.intensity[course.times <= onset].any()
    assert not course.intensity[course.times >= end].any()
    at_apex = (course.times >= apex) & (course.times <= offset)
    assert (course.intensity[at_apex] > 0.3).all()


def shapes(seed: int = 0) -> Shapes:
    """Return shapes in which happy faces have the mouth's corners apart, and all differ a bit."""
    rng = np.random.default_rng(seed)
    faces = POINTS + rng.normal(scale=0.05, size=(40, 478, 3)).astype(np.float32)
    faces[20:, [61, 291], 0] += np.float32((-4, 4))
    return Shapes.of(faces, ['neutral'] * 20 + ['happy'] * 20)


def test_movements_are_what_classes_differ_in():
    found = shapes()
    faces = np.stack([POINTS, POINTS])
    faces[1, [61, 291], 0] += np.float32((-4, 4))
    wanted = (own_frame(faces)[1] - own_frame(faces)[0])[[61, 291], 0]
    assert found.own_movement(faces[1])[[61, 291], 0] == pytest.approx(wanted, abs=0.05)
    assert np.abs(found.own_movement(faces[0])).max() < 0.05
    with pytest.raises(InputError, match='no grief face'):
        found.movement('grief', np.random.default_rng(0))
    with pytest.raises(InputError, match='no neutral face'):
        Shapes.of(faces, ['happy', 'sad'])


def test_turned_and_shifted_faces_moved_alike():
    angle = 0.4
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    face = POINTS.copy()
    face[[61, 291], 0] += np.float32((-4, 4))
    turned = face.copy()
    turned[:, :2] = 2 * face[:, :2] @ turn.T + 7
    turned[:, 2] *= 2
    found = shapes()
    plain, other = found.own_movement(face), found.own_movement(turned)
    assert np.allclose(plain, other, atol=1e-3)
    assert np.allclose(in_picture(other, turned), 2 * in_picture(plain, face) @ turn.T, atol=0.05)


def still_face(own: bool) -> StillFace:
    still = np.random.default_rng(4).integers(60, 200, (48, 48), np.uint8)
    movement = np.zeros((478, 2), np.float32)
    movement[np.abs(POINTS[:, 1] - 34) < 4] = (0, 3)
    return StillFace(still, POINTS, movement, own, 96)


def test_a_still_is_itself_without_movement_and_moves_with_it():
    course = make_course(False, 3.0, 10.0, np.random.default_rng(0))
    calm = {
        name: np.zeros_like(getattr(course, name))
        for name in ('speech', 'lids', 'turn', 'roll', 'shift')
    }
    course = replace(
        course,
        zoom=np.ones_like(course.zoom),
        **calm,
        intensity=np.linspace(0, 1, len(course.times)),
    )
    neutral, shown = still_face(False), still_face(True)
    last = len(course.times) - 1
    # A neutral still is as it is before the onset; one that shows the expression, at the apex.
    assert (neutral(course, 0) == shown(course, last)).all()
    assert (neutral(course, 0) != neutral(course, last)).mean() > 0.02
    assert (shown(course, 0) != shown(course, last)).mean() > 0.02


def test_pixels_follow_a_turn_less_far_than_the_portrait_shifts():
    face = still_face(False)
    for number in (3, 4):
        expected = face._field(face._shifts[number], 0.12 * face.width)
        np.testing.assert_array_equal(face._fields[number], expected)


def test_a_hand_hides_only_where_it_is(tmp_path):
    course = make_course(True, 2.0, 10.0, np.random.default_rng(0))
    hand = np.full((len(course.times), 2), np.nan)
    hand[5:10] = (0.0, 0.3)
    hidden, plain = replace(course, hand=hand), replace(course, hand=np.full_like(hand, np.nan))
    with_hand = film(still_face(False), hidden, np.random.default_rng(1))
    without = film(still_face(False), plain, np.random.default_rng(1))
    differs = [(a != b).any() for a, b in zip(with_hand, without)]
    assert differs == [5 <= i < 10 for i in range(20)]
    assert (with_hand[7][:30] == without[7][:30]).all()
    assert hidden.hidden == 0.25


@pytest.mark.parametrize(
    'wrong',
    [
        {'people': 2},
        {'seconds': 0.1},
        {'rate': float('nan')},
        {'size': 2000},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match='out of range'):
        MadeSettings(**wrong)


@needs_face_mesh
def test_a_landmark_source_finds_the_made_faces_and_what_they_express(tmp_path, monkeypatch):
    monkeypatch.setattr(made_people, '_outlines', LANDMARK_SOURCE)
    few = MadeSettings(people=3, seconds=0.9, rate=10, size=192)
    made_clips.make_set(made_set.make(60, 3), tmp_path / 'set', few, tmp_path, processes=here)
    chosen = SetChoice(
        tmp_path / 'set',
        by='clip',
        frames=ClipFrameSettings(rate=0, side=32, max_faces=1, source='face_mesh'),
    )
    found = open_set(chosen, tmp_path, here)
    tracks = [track for part in found.tracks.values() for track in part]
    assert found.rate == pytest.approx(10)
    assert len(tracks) > 0.8 * len(rows_of(tmp_path / 'set'))
    smile = BLENDSHAPE_NAMES.index('mouthSmileLeft')
    happy = [
        track
        for track in tracks
        if track.clip.name.startswith('clips/portrait') and track.clip.label == 'happy'
    ]
    scores = np.concatenate([track.blendshapes[:, smile] for track in happy])
    strength = np.concatenate([track.strength for track in happy])
    assert scores[strength > 0.5].mean() > scores[strength < 0.1].mean() + 0.2
