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


class FakeCapture:
    """A file with scripted stamps and failing reads: None is a broken frame."""

    def __init__(self, stamps, declared=None, fps=10.0) -> None:
        self._stamps = list(stamps)
        self._fps = fps
        self._declared = len(self._stamps) if declared is None else declared
        self._at = -1
        self.released = False

    def read(self):
        self._at += 1
        if self._at >= len(self._stamps) or self._stamps[self._at] is None:
            return False, None
        return True, np.zeros((4, 4, 3), np.uint8)

    def get(self, prop):
        if prop == cv2.CAP_PROP_FPS:
            return self._fps
        if prop == cv2.CAP_PROP_FRAME_COUNT:
            return float(self._declared)
        return 1000.0 * self._stamps[self._at]

    def release(self):
        self.released = True


def fake(monkeypatch, *args, **options) -> tuple[VideoFile, list[FakeCapture]]:
    opened: list[FakeCapture] = []

    def open_fake(self):
        opened.append(FakeCapture(*args, **options))
        return opened[-1]

    monkeypatch.setattr(VideoFile, '_open', open_fake)
    return VideoFile('fake'), opened


def test_broken_frames_are_skipped_and_counted(monkeypatch):
    source, opened = fake(monkeypatch, [0.0, None, None, 0.3, 0.4])
    assert [f.stamp for f in source.frames()] == pytest.approx([0.0, 0.3, 0.4])
    assert source.skipped == 2
    assert all(capture.released for capture in opened)


def test_a_file_that_stays_broken_ends(monkeypatch):
    source, _ = fake(monkeypatch, [0.0, 0.1], declared=10**9)
    assert len(list(source.frames())) == 2


@pytest.mark.parametrize('fps', [0.0, float('nan'), 1e6, -3.0])
def test_without_stamps_or_rate_frames_count_as_30_a_second(monkeypatch, fps):
    source, _ = fake(monkeypatch, [0.0, 0.0, 0.0], fps=fps)
    assert source.fps == 30.0
    assert [f.stamp for f in source.frames()] == pytest.approx([0.0, 1 / 30, 2 / 30])


@given(st.lists(st.floats(-10, 10) | st.just(float('nan')), min_size=1, max_size=20))
def test_stamps_increase_strictly_whatever_the_container_says(stamps):
    with pytest.MonkeyPatch.context() as monkeypatch:
        source, _ = fake(monkeypatch, stamps)
        got = [frame.stamp for frame in source.frames()]
    assert len(got) == len(stamps)
    assert got[0] == 0.0
    assert all(later > earlier for earlier, later in pairwise(got))


def test_a_video_without_frames_is_refused(monkeypatch):
    with pytest.raises(InputError, match='no frame that can be decoded'):
        fake(monkeypatch, [])
