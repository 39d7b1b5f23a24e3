from __future__ import annotations

from itertools import islice, pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.errors import InputError
from emotion_estimator.sources.video import VideoFile


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp('video') / 'clip.mp4'
    write(path, [np.full((48, 64, 3), 10 + 20 * i, np.uint8) for i in range(10)])
    return path


def write(path, images, fps=20.0) -> None:
    height, width = images[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), fps, (width, height))
    assert writer.isOpened()
    for image in images:
        writer.write(image)
    writer.release()


def test_frames_come_in_order_with_the_containers_stamps(clip):
    source = VideoFile(clip)
    assert source.fps == pytest.approx(20.0)
    assert not source.live
    frames = list(source.frames())
    assert [f.stamp for f in frames] == pytest.approx([i / 20 for i in range(10)])
    levels = [int(f.image.mean()) for f in frames]
    assert levels == sorted(levels)
    assert frames[0].image.shape == (48, 64, 3)
    assert source.skipped == 0
    assert len(list(source.frames())) == 10, 'a file can be read again'


def test_looped_stamps_go_on(clip):
    stamps = [f.stamp for f in islice(VideoFile(clip, loop=True).frames(), 25)]
    assert stamps == pytest.approx([i / 20 for i in range(25)])


def test_closing_ends_the_frames(clip):
    source = VideoFile(clip)
    frames = source.frames()
    next(frames)
    source.close()
    assert list(frames) == []


def test_frames_are_resized_on_request(clip):
    assert next(VideoFile(clip, width=32).frames()).image.shape == (24, 32, 3)


def test_colours_come_as_rgb(tmp_path):
    path = tmp_path / 'red.mp4'
    write(path, [np.full((48, 64, 3), (0, 0, 220), np.uint8)] * 3)
    red, green, blue = next(VideoFile(path).frames()).image.mean((0, 1))
    assert red > 180
    assert max(green, blue) < 60


def test_a_rotation_noted_in_the_file_is_applied(clip, tmp_path):
    data = bytearray(clip.read_bytes())
    # The display matrix of the track header: a quarter turn clockwise.
    at = data.index(b'tkhd') + 44
    turn = [0, 0x10000, 0, -0x10000 & 0xFFFFFFFF, 0, 0, 48 << 16, 0, 0x40000000]
    data[at : at + 36] = b''.join(v.to_bytes(4, 'big') for v in turn)
    path = tmp_path / 'turned.mp4'
    path.write_bytes(data)
    assert next(VideoFile(path).frames()).image.shape == (64, 48, 3)


@pytest.mark.parametrize('content', [b'', b'not a video', bytes(5000)])
def test_what_cannot_be_decoded_is_named_in_one_line(tmp_path, content, capfd):
    path = tmp_path / 'bad.mp4'
    path.write_bytes(content)
    with pytest.raises(InputError, match=r'bad\.mp4 cannot be decoded') as caught:
        VideoFile(path)
    assert '\n' not in str(caught.value)
    assert capfd.readouterr().err == ''


def test_a_truncated_file_is_named(clip, tmp_path):
    path = tmp_path / 'half.mp4'
    path.write_bytes(clip.read_bytes()[:600])
    with pytest.raises(InputError, match=r'half\.mp4 (cannot be decoded|has no frame)'):
        VideoFile(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r'gone\.mp4 does not exist'):
        VideoFile(tmp_path / 'gone.mp4')


class FakeFilm:
    """A film with scripted times."""

    pause = 3600.0
    held = 0.0

    def __init__(self, times, fps=10.0, declared=None, seconds=None, damaged=0) -> None:
        self._times = times
        self.fps, self.declared, self.seconds, self.damaged = fps, declared, seconds, damaged
        self.closed = False

    def pictures(self):
        for time in self._times:
            yield np.zeros((4, 4, 3), np.uint8), time

    def close(self):
        self.closed = True


def fake(monkeypatch, *args, **options) -> tuple[VideoFile, list[FakeFilm]]:
    opened: list[FakeFilm] = []

    def open_fake(self):
        opened.append(FakeFilm(*args, **options))
        return opened[-1]

    monkeypatch.setattr(VideoFile, '_open', open_fake)
    return VideoFile('fake'), opened


def test_what_is_left_out_is_counted_and_films_are_closed(monkeypatch):
    source, opened = fake(monkeypatch, [0.0, 0.3, 0.4], declared=5, damaged=2)
    assert [f.stamp for f in source.frames()] == pytest.approx([0.0, 0.3, 0.4])
    assert source.skipped == 2
    assert str(source.account) == 'declared 5 frames, read 3, left out 2: 2 damaged'
    assert all(film.closed for film in opened)
    list(source.frames())
    assert (source.skipped, source.account.read) == (4, 3), 'the account is of the last pass'


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        ({}, 'read 10 frames'),
        ({'declared': 10}, 'declared 10 frames, read 10'),
        (
            {'declared': 14},
            'declared 14 frames, read 10, left out 4: 4 missing: the input ends early',
        ),
        ({'seconds': 1.2}, 'declared 10 frames, read 10'),
        (
            {'seconds': 2.0},
            'declared 20 frames, read 10, left out 10: '
            '10 missing: the film ends at 1.00 s of 2.00 s',
        ),
    ],
)
def test_a_film_that_ends_early_says_so(monkeypatch, options, said):
    source, _ = fake(monkeypatch, [n / 10 for n in range(10)], **options)
    assert len(list(source.frames())) == 10
    assert str(source.account) == said


@given(st.lists(st.floats(-10, 10) | st.just(float('nan')) | st.none(), min_size=1, max_size=20))
def test_stamps_increase_strictly_whatever_the_container_says(times):
    with pytest.MonkeyPatch.context() as monkeypatch:
        source, _ = fake(monkeypatch, times)
        got = [frame.stamp for frame in source.frames()]
    assert len(got) == len(times)
    assert got[0] == 0.0
    assert all(later > earlier for earlier, later in pairwise(got))


def test_a_video_without_frames_is_refused(monkeypatch):
    with pytest.raises(InputError, match='no frame that can be decoded'):
        fake(monkeypatch, [])


def test_damage_is_said_of_a_pass_that_is_broken_off(monkeypatch):
    source, _ = fake(monkeypatch, [0.0, 0.1, 0.2, 0.3], damaged=2)
    frames = source.frames()
    next(frames)
    next(frames)
    frames.close()
    assert (source.account.read, source.account.reasons['damaged']) == (2, 2)


def test_a_looped_film_that_has_no_frame_any_more_ends(monkeypatch):
    source, _ = fake(monkeypatch, [0.0, 0.1])
    source._loop = True
    frames = source.frames()
    next(frames)
    next(frames)
    monkeypatch.setattr(VideoFile, '_open', lambda self: FakeFilm([]))
    with pytest.raises(InputError, match='no frame any more'):
        next(frames)
