from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.cli.main import group
from emotion_estimator.emotion import Roi
from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.frame import Frame
from emotion_estimator.perception.landmarks.base import FaceLandmarks
from emotion_estimator.sources.video import VideoFile
from emotion_estimator_training.zoo.data import face_tracks as face_tracks_module
from emotion_estimator_training.zoo.data.clip_frames import frames_of, group_by_reading, sampled
from emotion_estimator_training.zoo.data.clips import PARTS, Clip
from emotion_estimator_training.zoo.data.face_tracks import (
    ClipFrameSettings,
    central,
    face_tracks,
)
from emotion_estimator_training.zoo.data.made_video import write_video
from emotion_estimator_training.zoo.data.video_set import SetChoice, class_counts, open_set

SETTINGS = ClipFrameSettings(rate=0, side=24, source='face_mesh')
#: Landmarks of a face 40 pixels wide about (0, 0).
SHAPE = np.random.default_rng(3).uniform(-20, 20, (478, 3)).astype(np.float32)


def here(work, tasks):
    """Run tasks in this process."""
    return ((index, work(task)) for index, task in enumerate(tasks))


def face(x: float, y: float, score: float = 0.5) -> FaceLandmarks:
    points = SHAPE + np.float32((x, y, 0))
    return FaceLandmarks(
        points, np.full(52, score, np.float32), Roi(int(x) - 20, int(y) - 20, 40, 40)
    )


class Landmarker:
    """Sees two faces in frames that are not dark; its scores are the frame's brightness."""

    name = 'stand-in'

    def __init__(self) -> None:
        self.seen = self.resets = 0

    def __call__(self, frame: Frame) -> tuple[FaceLandmarks, ...]:
        self.seen += 1
        light = float(frame.image.mean()) / 255
        return (face(30, 30, 0.0), face(50, 48, light)) if light > 0.2 else ()

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        """Nothing to free."""


@pytest.fixture
def landmarker(monkeypatch) -> Landmarker:
    one = Landmarker()
    monkeypatch.setattr(face_tracks_module, 'landmarker_of', lambda choice, faces: one)
    return one


def shades(*values: int) -> list[np.ndarray]:
    return [np.full((96, 96, 3), value, np.uint8) for value in values]


def video(folder: Path, name: str, *values: int, label: str = 'happy', **part) -> Clip:
    path = folder / f'{name}.mp4'
    write_video(shades(*values), path, 10.0)
    return Clip(name, path, label, 's', **part)


def pictures(folder: Path, name: str, *values: int) -> Clip:
    (folder / name).mkdir()
    for i, image in enumerate(shades(*values)):
        cv2.imwrite(str(folder / name / f'{i:03d}.png'), image)
    return Clip(name, folder / name, 'sad', 't')


def stamps_of(*clips: Clip) -> list[tuple[Clip, list[float]]]:
    return [(clip, [frame.stamp for frame in frames]) for clip, frames in frames_of(clips)]


def test_the_central_face_of_each_frame_is_cut_out(tmp_path, landmarker):
    clip = pictures(tmp_path, 'one', *range(100, 220, 10))
    (track,), problems = face_tracks([clip], SETTINGS, tmp_path / 'cache', here)
    assert problems == ()
    assert track.clip == clip
    assert track.crops.shape == (12, 24, 24, 3)
    assert track.crops[:, 12, 12, 0].tolist() == list(range(100, 220, 10))
    assert np.allclose(track.times, np.arange(12) / 30)
    assert np.allclose(track.blendshapes[:, 0], np.arange(100, 220, 10) / 255)
    assert track.found.all()
    # Where the landmarks lie in the crop does not depend on where the face lay in the frame.
    assert np.allclose(track.landmarks[0], track.landmarks[-1])
    assert 0 < track.landmarks[..., :2].mean() < 24


def test_frames_without_a_face_repeat_the_last_one_between_the_first_and_the_last(
    tmp_path, landmarker
):
    values = [0, 0, *[200] * 5, 0, *[100] * 5, 0]
    (track,), _ = face_tracks([pictures(tmp_path, 'one', *values)], SETTINGS, tmp_path, here)
    assert track.found.tolist() == [True] * 5 + [False] + [True] * 5
    assert track.times[0] == pytest.approx(2 / 30)
    assert (track.crops[5] == track.crops[4]).all()
    assert track.blendshapes[5, 0] == track.blendshapes[4, 0]


def test_each_bad_clip_is_named_and_the_others_are_read(tmp_path, landmarker):
    good = video(tmp_path, 'good', *[200] * 12)
    dark, short = video(tmp_path, 'dark', *[0] * 12), video(tmp_path, 'short', *[200] * 7)
    (tmp_path / 'text.mp4').write_text('this is no video')
    (tmp_path / 'empty').mkdir()
    late = Clip('good', good.path, 'happy', 's', 9.0, 10.0)
    clips = [
        Clip('text', tmp_path / 'text.mp4', 'happy', 's'),
        dark,
        good,
        short,
        Clip('empty', tmp_path / 'empty', 'happy', 's'),
        late,
        Clip('gone', tmp_path / 'gone.mp4', 'happy', 's'),
    ]
    tracks, problems = face_tracks(clips, SETTINGS, tmp_path / 'cache', here)
    assert [track.clip for track in tracks] == [good]
    assert [(one.kind, one.clip) for one in problems] == [
        ('unreadable', 'text'),
        ('no face', 'dark'),
        ('short', 'short'),
        ('unreadable', 'empty'),
        ('no face', 'good'),
        ('unreadable', 'gone'),
    ]
    assert problems[2].what == 'short shows a face in 7 frames; 8 are needed'
    assert all('\n' not in one.what for one in problems)


def test_an_interrupted_call_continues(tmp_path, landmarker):
    clips = [video(tmp_path, f'{i}', *[100 + i] * 10) for i in range(3)]

    def interrupted(work, tasks):
        for index, task in enumerate(tasks[:2]):
            yield index, work(task)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        face_tracks(clips, SETTINGS, tmp_path / 'cache', interrupted)
    assert landmarker.seen == 20
    tracks, _ = face_tracks(clips, SETTINGS, tmp_path / 'cache', here)
    assert landmarker.seen == 30
    again, _ = face_tracks(clips, SETTINGS, tmp_path / 'cache', here)
    assert landmarker.seen == 30
    assert [len(track) for track in again] == [10] * 3
    assert all((a.crops == b.crops).all() for a, b in zip(tracks, again))
    # Every clip begins without the last one's faces.
    assert landmarker.resets == 3


def test_what_changed_or_was_truncated_is_processed_again(tmp_path, landmarker):
    clip = video(tmp_path, 'one', *[100] * 10)
    cache = tmp_path / 'cache'
    face_tracks([clip], SETTINGS, cache, here)
    (file,) = cache.rglob('*.npz')
    file.write_bytes(file.read_bytes()[:1000])
    assert len(face_tracks([clip], SETTINGS, cache, here)[0]) == 1
    assert landmarker.seen == 20
    video(tmp_path, 'one', *[100] * 11)
    (track,), _ = face_tracks([clip], SETTINGS, cache, here)
    assert len(track) == 11
    face_tracks([clip], ClipFrameSettings(rate=5, side=24, source='face_mesh'), cache, here)
    assert landmarker.seen == 31 + 6


def damaged_method(raw: bytes) -> bytes:
    # The first entry of the zip's directory: a method of compression that nobody has.
    at = raw.index(b'PK\x01\x02')
    return raw[: at + 10] + b'\x63\x00' + raw[at + 12 :]


def damaged_flag(raw: bytes) -> bytes:
    # The directory marks the entry as encrypted, which no array is.
    at = raw.index(b'PK\x01\x02')
    return raw[: at + 8] + b'\x01\x00' + raw[at + 10 :]


def damaged_array(raw: bytes) -> bytes:
    return raw.replace(b"{'descr'", b"('descr'", 1)


@pytest.mark.parametrize('damage', [damaged_method, damaged_flag, damaged_array])
def test_a_damaged_file_is_made_again(tmp_path, landmarker, caplog, damage):
    clips = [video(tmp_path, f'{i}', *[100 + i] * 10) for i in range(2)]
    cache = tmp_path / 'cache'
    before, _ = face_tracks(clips, SETTINGS, cache, here)
    file = sorted(cache.rglob('*.npz'))[0]
    intact = file.read_bytes()
    file.write_bytes(damage(intact))
    assert file.read_bytes() != intact
    after, problems = face_tracks(clips, SETTINGS, cache, here)
    assert problems == () and landmarker.seen == 30
    assert [track.clip for track in after] == clips
    assert all((a.crops == b.crops).all() for a, b in zip(before, after))
    assert f'{file} is damaged' in caplog.text and '0 is processed again' in caplog.text


def test_a_disk_that_damages_each_file_is_an_error(tmp_path, landmarker):
    clip = video(tmp_path, 'one', *[100] * 10)

    def on_a_bad_disk(work, tasks):
        for index, task in enumerate(tasks):
            yield index, work(task)
            for path in task.targets:
                path.write_bytes(damaged_method(path.read_bytes()))

    with pytest.raises(InputError, match='is damaged again and again'):
        face_tracks([clip], SETTINGS, tmp_path / 'cache', on_a_bad_disk)


@given(st.floats(1, 60), st.floats(0.5, 120), st.integers(0, 200))
@settings(deadline=None, max_examples=80)
def test_no_more_frames_than_asked_for_and_no_step_left_out(given_rate, wanted, count):
    stamps = [i / given_rate for i in range(count)]
    image = np.zeros((1, 1, 3), np.uint8)
    kept = [frame.stamp for frame in sampled([Frame(image, at) for at in stamps], wanted)]
    if wanted >= given_rate:
        assert kept == stamps
    steps = [int((at + 1e-4) * wanted) for at in kept]
    assert len(set(steps)) == len(steps)
    assert set(steps) == {int((at + 1e-4) * wanted) for at in stamps}


def test_a_part_of_a_video_keeps_the_videos_time(tmp_path):
    clip = video(tmp_path, 'one', *range(100, 250, 5), start=1.0, end=2.0)
    ((found, stamps),) = stamps_of(clip)
    assert found == clip
    assert np.allclose(stamps, np.arange(10, 20) / 10, atol=0.01)


def test_one_reading_of_a_video_serves_all_its_segments(tmp_path, landmarker, monkeypatch):
    full = video(tmp_path, 'one', *range(100, 240, 2))
    other = video(tmp_path, 'two', *[200] * 10)
    parts = [(4.0, None), (0.0, 1.0), (1.0, 2.0), (1.5, 3.0), (None, 0.9), (9.0, 9.5)]
    clips = [other, *(replace(full, start=start, end=end) for start, end in parts)]
    groups = group_by_reading(clips)
    assert sorted(clip.title for group in groups for clip in group) == sorted(
        clip.title for clip in clips
    )
    assert len(groups) == 3
    opened = []
    monkeypatch.setattr(
        'emotion_estimator_training.zoo.data.clip_frames.VideoFile',
        lambda path: opened.append(path.stem) or VideoFile(path),
    )
    tracks, (problem,) = face_tracks(clips, SETTINGS, tmp_path / 'cache', here)
    assert sorted(opened) == ['one', 'one', 'two']
    assert problem.what == 'one [9-9.5 s]'
    assert [track.clip for track in tracks] == clips[:-1]
    assert [(round(10 * track.times[0]), len(track)) for track in tracks] == [
        (0, 10),
        (40, 30),
        (0, 10),
        (10, 10),
        (15, 15),
        (0, 9),
    ]
    assert landmarker.resets == 6


def test_images_that_do_not_decode_are_passed_over(tmp_path):
    clip = pictures(tmp_path, 'one', *[100] * 4)
    (tmp_path / 'one' / '001.png').write_bytes(b'no image')
    ((_, stamps),) = stamps_of(clip)
    assert [round(30 * stamp) for stamp in stamps] == [0, 2, 3]
    for path in (tmp_path / 'one').iterdir():
        path.write_bytes(b'')
    with pytest.raises(InputError, match=r'no image in .*one can be decoded'):
        stamps_of(clip)


def test_the_face_nearest_to_the_middle_is_taken():
    faces = (face(20, 50), face(110, 60), face(190, 90))
    assert central(faces, 200, 120) is faces[1]
    assert central((), 200, 120) is None


@pytest.mark.parametrize(
    'wrong',
    [
        {'rate': -1},
        {'rate': float('nan')},
        {'folder_rate': 0},
        {'side': 8},
        {'max_faces': 0},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match='out of range'):
        ClipFrameSettings(**wrong)


def test_a_landmark_model_that_is_not_there_is_named(tmp_path):
    clip = video(tmp_path, 'one', *[100] * 10)
    chosen = ClipFrameSettings(source='face_landmarker', model=str(tmp_path / 'no.task'))
    with pytest.raises(ModelError, match=r'no\.task'):
        face_tracks([clip], chosen, tmp_path / 'cache', here)


def made_set(folder: Path, *names: str) -> Path:
    lines = ['clip,label,subject']
    for name in names:
        video(folder, name, *[0 if name == 'dark' else 150] * 10)
        lines.append(f'{name},{"sad" if name[0] in "xyz" else "happy"},{name[1:]}')
    (folder / 'clips.csv').write_text('\n'.join(lines))
    return folder


def test_a_set_is_opened_and_split(tmp_path, landmarker):
    made_set(tmp_path, 'a1', 'x1', 'b2', 'y2', 'c3', 'z3', 'dark')
    video_set = open_set(SetChoice(tmp_path, frames=SETTINGS), tmp_path / 'cache', here)
    assert video_set.classes == ('happy', 'sad')
    assert video_set.rate == pytest.approx(10)
    assert {len(tracks) for tracks in video_set.tracks.values()} == {2}
    assert video_set.problems == ['1 clips without a face: dark']
    assert video_set.warnings == []
    assert class_counts(video_set.tracks['test'], video_set.classes) == '1 happy, 1 sad'
    assert video_set.tracks['test'][0].strength is None


def test_moved_clips_of_test_subjects_are_kept_apart(tmp_path, landmarker):
    lines = ['clip,label,subject,kind']
    for subject in 'stuvwx':
        for label, kind in (('happy', ''), ('sad', ''), ('sad', 'moved')):
            name = f'{subject}-{label}-{kind}'
            video(tmp_path, name, *[150] * 10)
            lines.append(f'{name},{label},{subject},{kind}')
    (tmp_path / 'clips.csv').write_text('\n'.join(lines))
    found = open_set(SetChoice(tmp_path, frames=SETTINGS), tmp_path / 'cache', here)
    assert sum(map(len, found.tracks.values())) == 12
    assert not any(one.clip.kind for part in found.tracks.values() for one in part)
    tested = {one.clip.subject for one in found.tracks['test']}
    assert {one.clip.subject for one in found.apart} == tested
    assert all(one.clip.kind == 'moved' for one in found.apart)


def test_the_rate_counts_all_steps_where_it_does_not_divide_the_videos(tmp_path, landmarker):
    made_set(tmp_path, 'a1', 'x1', 'b2', 'y2', 'c3', 'z3')
    # Of ten frames a second: 0, 2, 3, 5, 6, 8, 9, ...
    for name in ('a1', 'x1', 'b2', 'y2', 'c3', 'z3'):
        video(tmp_path, name, *[150] * 31)
    chosen = replace(SETTINGS, rate=7.0)
    video_set = open_set(SetChoice(tmp_path, frames=chosen), tmp_path / 'cache', here)
    assert video_set.rate == pytest.approx(7, rel=0.03)


def test_a_part_that_has_only_classes_that_train_lacks_is_refused(tmp_path, landmarker):
    lines = ['clip,label,subject,split']
    for name, label, part in (
        ('a', 'happy', 'train'),
        ('b', 'sad', 'train'),
        ('c', 'angry', 'validation'),
        ('d', 'sad', 'test'),
    ):
        video(tmp_path, name, *[150] * 10)
        lines.append(f'{name},{label},s,{part}')
    (tmp_path / 'clips.csv').write_text('\n'.join(lines))
    with pytest.raises(InputError, match='validation has no clip of a class in train'):
        open_set(SetChoice(tmp_path, frames=SETTINGS), tmp_path / 'cache', here)


def test_a_set_warns_of_its_labels_too(tmp_path, landmarker):
    lines = ['clip,label,subject,split']
    for part in PARTS:
        for label in ('sad', 'Sad'):
            video(tmp_path, f'{label}-{part}', *[150] * 10)
            lines.append(f'{label}-{part},{label},{part},{part}')
    (tmp_path / 'clips.csv').write_text('\n'.join(lines))
    (warning,) = open_set(SetChoice(tmp_path, frames=SETTINGS), tmp_path / 'cache', here).warnings
    assert 'only in case (Sad/sad)' in warning


def test_a_made_sets_strength_is_at_the_times_of_the_frames(tmp_path, landmarker):
    made_set(tmp_path, 'a1', 'x1', 'b2', 'y2', 'c3', 'z3')
    (tmp_path / 'strength.csv').write_text('clip,time,strength\na1,0,0\na1,0.9,0.9\n')
    video_set = open_set(SetChoice(tmp_path, frames=SETTINGS), tmp_path / 'cache', here)
    tracks = {one.clip.name: one for part in video_set.tracks.values() for one in part}
    assert np.allclose(tracks['a1'].strength, np.arange(10) / 10, atol=0.01)
    assert tracks['x1'].strength is None


def test_a_set_with_faces_of_one_class_only_is_refused(tmp_path, landmarker):
    made_set(tmp_path, 'a1', 'b2', 'c3', 'd4')
    lines = (tmp_path / 'clips.csv').read_text() + '\ndark,sad,5'
    video(tmp_path, 'dark', *[0] * 10)
    (tmp_path / 'clips.csv').write_text(lines)
    with pytest.raises(InputError, match=r'fewer than two classes: .* without a face: dark'):
        open_set(SetChoice(tmp_path, frames=SETTINGS), tmp_path / 'cache', here)


def test_a_folder_without_a_table_is_refused(tmp_path):
    with pytest.raises(InputError, match='has no table'):
        SetChoice(tmp_path).read()
    for name in ('a.csv', 'b.csv'):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r'has 2 CSV files and no clips\.csv'):
        SetChoice(tmp_path).read()


def test_the_verb_says_how_long_clips_are(tmp_path, landmarker, monkeypatch):
    monkeypatch.setattr(
        'emotion_estimator_training.zoo.data.face_tracks.runner_of', lambda processes: here
    )
    made_set(tmp_path, 'a1', 'x1', 'b2', 'y2', 'c3', 'z3', 'dark')
    options = (
        'zoo',
        'frames',
        '--data',
        str(tmp_path),
        '--cache',
        str(tmp_path / 'cache'),
        '--source',
        'face_mesh',
        '--side',
        '24',
    )
    result = CliRunner().invoke(group, [*options, '--json'])
    said = json.loads(result.stdout.splitlines()[-1])
    assert said['lengths'] == {'happy': [10] * 3, 'sad': [10] * 3}
    assert said['parts'] == {part: {'happy': 1, 'sad': 1} for part in PARTS}
    assert said['with_face'] == 1
    assert said['problems'] == ['1 clips without a face: dark']
    text = CliRunner().invoke(group, options).output
    assert 'left out: 1 clips without a face: dark' in text
    assert '6 clips at 10 frames per second; a face in 100.0% of the frames' in text
    assert landmarker.seen == 70
