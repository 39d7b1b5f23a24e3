"""Films: constant rate, real stamps, complete or absent."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from emotion_estimator.errors import EmotionEstimatorError
from emotion_estimator.film_writer import MAX_GAP, FilmWriter


def frame(value: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def read(path) -> list[float]:
    """Return the mean brightness of each frame."""
    capture, means = cv2.VideoCapture(str(path)), []
    while (got := capture.read())[0]:
        means.append(float(got[1].mean()))
    return means


@pytest.fixture(params=['av', 'cv2'])
def encoder(request, monkeypatch):
    if request.param == 'av':
        pytest.importorskip('av', reason='PyAV is not installed: H.264 is not tried')
    else:
        # find_spec() finds nothing where sys.modules holds None.
        monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    return request.param


def test_stamps_become_a_constant_rate(tmp_path, encoder):
    video = FilmWriter(tmp_path / 'new' / 'a.mp4', 10)
    # Jitter, two frames in one slot, and a pause of three frames.
    for stamp, value in ((5.0, 40), (5.11, 80), (5.14, 120), (5.2, 160), (5.5, 200)):
        video.add(stamp, frame(value))
    assert not video.path.exists()
    assert video.close()
    assert read(video.path) == pytest.approx([40, 120, 160, 160, 160, 200], abs=6)
    assert video.frames == 6
    assert video.codec == ('H.264' if encoder == 'av' else 'MPEG-4 Part 2')
    assert [p.name for p in video.path.parent.iterdir()] == ['a.mp4']
    rate = cv2.VideoCapture(str(video.path)).get(cv2.CAP_PROP_FPS)
    assert rate == pytest.approx(10)


def test_odd_and_changing_sizes(tmp_path, encoder):
    video = FilmWriter(tmp_path / 'a.mp4', 10)
    video.add(0.0, frame(50, 47, 63))
    video.add(0.1, frame(50, 47, 63))
    video.add(0.2, frame(100, 96, 128))
    assert video.close()
    assert len(read(video.path)) == 3


def test_stamps_that_go_back_are_left_out_and_long_pauses_shortened(tmp_path):
    video = FilmWriter(tmp_path / 'a.mp4', 10)
    for stamp in (100.0, 100.1, 50.0, 3700.0, 3700.1):
        video.add(stamp, frame(90))
    video.close()
    assert video.frames == pytest.approx(3 + 10 * MAX_GAP, abs=1)


def test_no_frame_no_file(tmp_path):
    video = FilmWriter(tmp_path / 'a.mp4', 10)
    assert not video.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_named(tmp_path, encoder):
    (tmp_path / 'taken').write_text('')
    video = FilmWriter(tmp_path / 'taken' / 'a.mp4', 10)
    with pytest.raises(EmotionEstimatorError, match=r'taken/a\.mp4 cannot be written'):
        video.add(0.0, frame(10))


def test_a_film_that_is_dropped_leaves_nothing(tmp_path, encoder):
    for frames in (0, 3):
        video = FilmWriter(tmp_path / 'a.mp4', 10)
        for k in range(frames):
            video.add(k / 10, frame(50))
        video.drop()
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('size', [(1, 1), (2, 20000), (20000, 2)])
def test_sizes_that_the_encoder_refuses_are_one_line(tmp_path, size):
    pytest.importorskip('av', reason='PyAV is not installed: H.264 is not tried')
    video = FilmWriter(tmp_path / 'a.mp4', 10)
    try:
        video.add(0.0, frame(50, *size))
        assert video.close()
    except EmotionEstimatorError as error:
        assert 'a.mp4 cannot be written: ' in str(error)
        video.drop()
        assert list(tmp_path.iterdir()) == []
    else:
        assert len(read(tmp_path / 'a.mp4')) == 1
