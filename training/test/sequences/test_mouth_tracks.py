"""Made courses and tracks of mouths, and tables of films that a user names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emotion_estimator.errors import InputError
from emotion_estimator.perception.mouth_motion import CHANNELS
from emotion_estimator_training.sequences.mouth_courses import KINDS, MOVEMENTS, draw_course
from emotion_estimator_training.sequences.mouth_tracks import (
    MouthTrack,
    PhotographedPeople,
    film_tracks,
    load_tracks,
    save_tracks,
)
from emotion_estimator_training.sequences.moving_photograph import (
    MovingLandmarks,
    MovingPhotograph,
)

JAW = MOVEMENTS.index('jaw')


def still(gape=0.0):
    """Return a face 100 pixels wide whose lips are closed, or ``gape`` pixels apart."""
    rng = np.random.default_rng(1)
    points = rng.uniform(-40, 40, (478, 3)).astype(np.float32)
    places = {234: (-50, 0), 454: (50, 0), 61: (-18, 29), 291: (18, 29), 152: (0, 55),
              17: (0, 35), 0: (0, 24), 33: (-33, -25), 263: (33, -25)}  # fmt: skip
    upper = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
    lower = (95, 88, 178, 87, 14, 317, 402, 318, 324)
    places |= {index: (x, 29) for index, x in zip(upper, np.linspace(-16, 16, 11))}
    places |= {index: (x, 29 + gape) for index, x in zip(lower, np.linspace(-13, 13, 9))}
    for index, place in places.items():
        points[index] = (*place, 0)
    return points + np.array([64, 64, 0], np.float32)


@pytest.mark.parametrize('kind', KINDS)
def test_people_speak_in_speech_alone_and_everything_stays_in_its_range(kind):
    for seed in range(6):
        course = draw_course(kind, 5.0, 20.0, np.random.default_rng(seed))
        assert course.moves.shape == (100, len(MOVEMENTS))
        assert np.isfinite(course.moves).all()
        assert np.abs(course.moves).max() < 1.5
        if not KINDS[kind]:
            assert not course.speaking.any()
    spoken = [
        draw_course(kind, 8.0, 20.0, np.random.default_rng(s)).speaking.mean() for s in range(12)
    ]
    assert (0.2 < np.mean(spoken) < 0.95) == KINDS[kind]


def test_speech_moves_the_jaw_several_times_a_second_and_chewing_more_slowly():
    def turns(kind):
        found = []
        for seed in range(12):
            course = draw_course(kind, 8.0, 60.0, np.random.default_rng(seed))
            jaw = course.moves[:, JAW]
            moving = course.speaking if course.speaking.any() else np.ones(len(jaw), bool)
            steps = np.sign(np.diff(jaw)[moving[1:]])
            steps = steps[steps != 0]
            found.append((np.diff(steps) != 0).sum() / 2 / (moving.sum() / 60))
        return np.median(found)

    assert 2.5 < turns('speech') < 8
    assert 0.5 < turns('chewing') < 2.5
    # With pauses between the bouts.
    assert 1.5 < turns('laughing') < 5
    assert turns('yawning') < 0.5


def test_the_same_seed_draws_the_same_course():
    one, two = (draw_course('speech', 4.0, 30.0, np.random.default_rng(3)) for _ in range(2))
    assert (one.moves == two.moves).all()


def test_landmarks_follow_the_course():
    course = draw_course('yawning', 7.0, 10.0, np.random.default_rng(0))
    moved = MovingLandmarks(still())(course, np.random.default_rng(0))
    assert moved.shape == (70, 478, 3)
    gap = np.linalg.norm(moved[:, 14] - moved[:, 13], axis=1)
    widest = course.moves[:, JAW].argmax()
    assert abs(int(gap.argmax()) - int(widest)) <= 3
    assert gap[widest] == pytest.approx(100 * course.moves[widest, JAW], rel=0.15)


def test_lips_do_not_pass_each_other():
    face = MovingLandmarks(still(gape=4))
    course = draw_course('rest', 2.0, 10.0, np.random.default_rng(0))
    moves = np.zeros_like(course.moves)
    moves[:, JAW] = -0.5
    moved = face(replace(course, moves=moves), np.random.default_rng(0))
    assert face.opening(moved[5, :, :2]) > -0.02


def test_the_photograph_opens_its_mouth_where_the_landmarks_do():
    picture = np.full((128, 128, 3), 170, np.uint8)
    photograph = MovingPhotograph(picture, still())
    course = draw_course('yawning', 6.0, 10.0, np.random.default_rng(0))
    moves = np.zeros_like(course.moves)
    moves[1:, JAW] = 0.2
    course = replace(course, moves=moves)
    assert (photograph(course, 0) == picture).all()
    opened = photograph(course, 1)
    # Dark between the lips, unchanged on the forehead.
    assert opened[64 + 29 + 10, 64].max() < 120
    assert (opened[:30] == 170).all()


def track(speaking, kind='talking', person='a', rate=20.0, real=True):
    speaking = np.array(speaking)
    times = np.arange(len(speaking)) / rate
    channels = np.tile(np.linspace(0, 1, len(CHANNELS)), (len(speaking), 1))
    return MouthTrack('one', person, kind, 'face_mesh', times, channels, speaking, real)


def test_frames_just_after_a_change_are_not_judged():
    judged = track([False] * 40 + [True] * 40 + [False] * 40).judged
    assert not judged[:7].any()
    assert judged[8:37].all()
    assert not judged[38:47].any()
    assert judged[48:77].all()
    assert not judged[80:90].any()
    assert judged[91:].all()


def test_a_slower_camera_sees_every_so_manieth_frame():
    slower = track([False] * 100).at_rate(5)
    assert np.diff(slower.times) == pytest.approx(0.2)
    assert len(slower.times) == len(slower.channels) == len(slower.speaking) == 25
    assert len(track([False] * 100).at_rate(50).times) == 100


def test_varied_tracks_keep_their_truth():
    one = track([False] * 60 + [True] * 60)
    for seed in range(20):
        other = one.varied(np.random.default_rng(seed))
        assert (np.diff(other.times) >= 0).all()
        assert np.isfinite(other.channels).all()
        assert np.diff(other.speaking.astype(int)).sum() == 1
        assert other.speaking.mean() == pytest.approx(0.5, abs=0.15)


def test_tracks_are_kept_for_the_same_plan_alone(tmp_path):
    path = tmp_path / 'run' / 'tracks.npz'
    tracks = [track([True, False] * 10), track([False] * 5, 'at rest', 'b', real=False)]
    save_tracks(tracks, path, 'plan 1')
    assert load_tracks(path, 'plan 2') == []
    read = load_tracks(path, 'plan 1')
    assert [(t.name, t.person, t.kind, t.source, t.real) for t in read] == [
        (t.name, t.person, t.kind, t.source, t.real) for t in tracks
    ]
    for one, two in zip(read, tracks):
        assert (one.times == two.times).all()
        assert one.channels == pytest.approx(two.channels, abs=1e-6)
        assert (one.speaking == two.speaking).all()
    path.write_bytes(path.read_bytes()[:300])
    assert load_tracks(path, 'plan 1') == []


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('file,person,kind\n', "no column 'speech'"),
        ('file,person,kind,speech\nnone.mp4,a,talking,all\n', 'line 2: there is no film'),
        ('file,person,kind,speech\nfilm.mp4,a,talking,2-1\n', 'line 2: speech must be spans'),
        ('file,person,kind,speech\nfilm.mp4,a,talking,always\n', 'line 2: speech must be spans'),
    ],
)
def test_a_wrong_table_is_refused_in_one_line(tmp_path, text, says):
    (tmp_path / 'film.mp4').write_bytes(b'')
    table = tmp_path / 'truth.csv'
    table.write_text(text)
    with pytest.raises(InputError, match=says) as error:
        film_tracks(tmp_path, table, None)
    assert '\n' not in str(error.value)
    with pytest.raises(InputError, match='cannot be read'):
        film_tracks(tmp_path, tmp_path / 'none.csv', None)


def test_photographs_without_a_table_are_refused_in_one_line(tmp_path):
    (tmp_path / 'broken.zip').write_bytes(b'PK')
    for place in (tmp_path, tmp_path / 'broken.zip'):
        with pytest.raises(InputError, match=r'labels\.csv') as error:
            PhotographedPeople(place)
        assert '\n' not in str(error.value)
