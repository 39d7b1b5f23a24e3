from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from emotion_estimator.errors import InputError
from emotion_estimator.sources import open_source as door
from emotion_estimator.sources.images import StillImages
from emotion_estimator.sources.open_source import is_device, open_source
from emotion_estimator.sources.portrait import Portrait
from emotion_estimator.sources.video import VideoFile


@pytest.fixture
def devices(monkeypatch):
    asked = []
    monkeypatch.setattr(door, 'Device', lambda *args, **wishes: asked.append((args, wishes)))
    return asked


def image(path) -> str:
    ok, data = cv2.imencode('.png', np.full((8, 8, 3), 90, np.uint8))
    assert ok
    path.write_bytes(data.tobytes())
    return str(path)


def test_the_portrait():
    source = open_source('portrait', fps=12, width=128, height=96)
    assert isinstance(source, Portrait)
    assert source.fps == 12
    assert next(source.frames()).image.shape == (96, 128, 3)
    assert next(open_source('portrait').frames()).image.shape == (512, 512, 3)


def test_numbers_and_paths_of_devices(devices):
    open_source('0')
    open_source('/dev/video2', fps=10, width=640, height=480, clock=float)
    assert devices == [
        (
            (0,),
            {
                'fps': None,
                'width': None,
                'height': None,
                'pixel_format': 'auto',
                'clock': time.time,
            },
        ),
        (
            ('/dev/video2',),
            {'fps': 10, 'width': 640, 'height': 480, 'pixel_format': 'auto', 'clock': float},
        ),
    ]
    assert [is_device(s) for s in ('0', '/dev/x', 'portrait', '0.mp4', '')] == [1, 1, 0, 0, 0]


def test_an_image_by_name_or_by_content(tmp_path):
    for name in ('a.png', 'without_suffix'):
        source = open_source(image(tmp_path / name), fps=4, duration=2.0)
        assert isinstance(source, StillImages)
        assert len(list(source.frames())) == 8


def test_a_folder(tmp_path):
    image(tmp_path / 'a.png')
    image(tmp_path / 'b.png')
    source = open_source(str(tmp_path), fps=4, hold=0.5)
    assert isinstance(source, StillImages)
    assert len(list(source.frames())) == 4


def test_a_video(tmp_path):
    path = tmp_path / 'v.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (32, 32))
    for _ in range(3):
        writer.write(np.zeros((32, 32, 3), np.uint8))
    writer.release()
    source = open_source(str(path))
    assert isinstance(source, VideoFile)
    assert len(list(source.frames())) == 3


@pytest.mark.parametrize('spec', ['nonsense', '', '-1', 'gone.mp4', '٣'])
def test_an_unknown_source_is_refused_with_what_is_accepted(spec):
    with pytest.raises(InputError) as caught:
        open_source(spec)
    text = str(caught.value)
    assert repr(spec) in text
    for part in ('portrait', 'device number', '/dev/videoN', 'video', 'image', 'folder'):
        assert part in text
    assert '\n' not in text


@pytest.mark.parametrize('spec', ['2147483648', '9' * 5000])
def test_numbers_that_no_device_has(spec):
    with pytest.raises(InputError, match='is not a device number; choose 0 to 2147483647'):
        open_source(spec)


def test_leading_zeros_do_not_count(devices):
    open_source('0' * 20 + '7')
    assert devices[0][0] == (7,)


@pytest.mark.parametrize('spec', ['x' * 300, '~nobody-here/film.mp4'])
def test_names_that_cannot_be_opened(spec):
    with pytest.raises(InputError, match=r'cannot be opened .*accepted are') as caught:
        open_source(spec)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('kind', ['portrait', 'image'])
def test_a_rate_that_cannot_be_is_refused(kind, tmp_path):
    spec = 'portrait' if kind == 'portrait' else image(tmp_path / 'a.png')
    with pytest.raises(InputError, match='is out of range'):
        open_source(spec, fps=0.0)
