"""The capturing thread, with scripted sources."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest

from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame
from emotion_estimator.settings import CameraSettings
from emotion_estimator.sources import capture as capture_module
from emotion_estimator.sources.base import SourceLost
from emotion_estimator.sources.capture import Capture

IMAGE = np.zeros((4, 4, 3), np.uint8)
PATIENCE = 10.0


class ScriptedSource:
    name = 'scripted'
    fps = 1000.0

    def __init__(self, *script, live):
        self.script = script
        self.live = live
        self.closed = False

    def frames(self):
        for item in self.script:
            if isinstance(item, Exception):
                raise item
            if isinstance(item, threading.Event):
                item.wait(PATIENCE)
            else:
                yield Frame(IMAGE, item)

    def close(self):
        self.closed = True


class Bench:
    """A capture that reads the given sources one after the other."""

    def __init__(self, monkeypatch, *sources, settings, **more):
        self.sources = list(sources)
        self.left = list(sources)
        self.stamps, self.lines, self.ends = [], [], []
        self.over = threading.Event()
        self.published = threading.Semaphore(0)
        self.listeners = True
        monkeypatch.setattr(capture_module, 'open_source', self.open)
        self.capture = Capture(
            settings,
            clock=lambda: 77.0,
            publish=self.publish,
            listened_to=lambda: self.listeners,
            ended=self.end,
            log=self.lines.append,
            **more,
        )

    def open(self, spec, **_):
        source = self.left.pop(0)
        if isinstance(source, Exception):
            raise source
        return source

    def publish(self, frame, stamp):
        self.stamps.append(stamp)
        self.published.release()

    def end(self, problem):
        self.ends.append(problem)
        self.over.set()


DEVICE = CameraSettings(source='0', retry_min=0.05, retry_max=0.05)
FILE = CameraSettings(source='film.mp4')


def test_a_file_is_read_to_its_end_and_stamped_by_the_clock(monkeypatch):
    bench = Bench(monkeypatch, ScriptedSource(0.0, 0.001, 0.002, live=False), settings=FILE)
    bench.capture.open()
    bench.capture.start()
    assert bench.over.wait(PATIENCE)
    assert bench.stamps == [77.0] * 3
    assert bench.capture.published == 3
    assert bench.ends == ['']
    assert bench.capture.stop()
    assert bench.sources[0].closed


def test_a_live_frame_keeps_its_own_stamp(monkeypatch):
    bench = Bench(
        monkeypatch, ScriptedSource(5.0, 6.0, threading.Event(), live=True), settings=DEVICE
    )
    bench.capture.start()
    for _ in range(2):
        assert bench.published.acquire(timeout=PATIENCE)
    bench.sources[0].script[-1].set()
    assert bench.capture.stop()
    assert bench.stamps == [5.0, 6.0]


def test_a_camera_that_nobody_wants_images_of_is_not_reported(monkeypatch):
    monkeypatch.setattr(capture_module, '_SILENCE', 0.2)
    unwanted = threading.Event()

    class Unwanted(ScriptedSource):
        def frames(self):
            while not unwanted.wait(0.02):
                assert not self.wanted()
            yield from super().frames()

    source = Unwanted(1.0, threading.Event(), live=True)
    bench = Bench(monkeypatch, source, settings=DEVICE, wanted=lambda: False)
    bench.capture.start()
    assert not bench.over.wait(0.5)
    assert bench.capture.problem == ''
    unwanted.set()
    assert bench.published.acquire(timeout=PATIENCE)
    source.script[-1].set()
    assert bench.capture.stop()


def test_a_lost_device_is_found_again(monkeypatch):
    hold = threading.Event()
    bench = Bench(
        monkeypatch,
        InputError('camera 0 cannot be opened'),
        ScriptedSource(1.0, SourceLost('camera 0 is gone'), live=True),
        ScriptedSource(2.0, ValueError('driver'), live=True),
        ScriptedSource(3.0, hold, live=True),
        settings=DEVICE,
    )
    bench.capture.open()
    bench.capture.start()
    for _ in range(3):
        assert bench.published.acquire(timeout=PATIENCE)
    hold.set()
    assert bench.capture.stop()
    assert bench.stamps == [1.0, 2.0, 3.0]
    assert bench.lines == [
        'camera 0 cannot be opened; retrying in 0.05 s',
        'camera 0 is gone; retrying in 0.05 s',
        '0: driver; retrying in 0.05 s',
    ]
    assert bench.capture.lost == 1
    assert all(source.closed for source in bench.sources[1:])


def test_a_file_that_fails_ends_it_with_the_problem(monkeypatch):
    bench = Bench(
        monkeypatch,
        ScriptedSource(0.0, InputError('damaged; repair it'), live=False),
        settings=FILE,
    )
    bench.capture.open()
    bench.capture.start()
    assert bench.over.wait(PATIENCE)
    assert bench.ends == ['damaged; repair it']
    assert bench.capture.problem == 'damaged; repair it'


def test_a_file_that_cannot_be_opened_is_an_error_at_once(monkeypatch):
    bench = Bench(monkeypatch, InputError('no such file'), settings=FILE)
    with pytest.raises(InputError, match='no such file'):
        bench.capture.open()


def test_what_was_opened_and_not_read_is_closed(monkeypatch):
    bench = Bench(monkeypatch, ScriptedSource(0.0, live=False), settings=FILE)
    bench.capture.open()
    bench.capture.close()
    assert bench.sources[0].closed


def test_started_again_it_reads_from_the_beginning(monkeypatch):
    bench = Bench(
        monkeypatch,
        ScriptedSource(0.0, live=False),
        ScriptedSource(0.0, 0.001, live=False),
        settings=FILE,
    )
    bench.capture.open()
    for count in (1, 3):
        bench.over.clear()
        bench.capture.start()
        assert bench.over.wait(PATIENCE)
        assert bench.capture.stop()
        assert bench.capture.published == count


def test_it_waits_for_a_listener(monkeypatch):
    settings = CameraSettings(source='film.mp4', wait_for_subscribers=600.0)
    bench = Bench(monkeypatch, ScriptedSource(0.0, live=False), settings=settings)
    bench.listeners = False
    bench.capture.open()
    bench.capture.start()
    assert not bench.published.acquire(timeout=0.2)
    bench.listeners = True
    assert bench.over.wait(PATIENCE)
    assert bench.stamps == [77.0]


def test_stopping_does_not_wait_for_a_listener(monkeypatch):
    settings = CameraSettings(source='film.mp4', wait_for_subscribers=600.0)
    source = ScriptedSource(0.0, live=False)
    bench = Bench(monkeypatch, source, settings=settings)
    bench.listeners = False
    bench.capture.open()
    bench.capture.start()
    assert bench.capture.stop()
    assert bench.stamps == []
    assert bench.ends == []


def test_a_device_that_hangs_is_reported_and_released_late(monkeypatch):
    hold = threading.Event()
    source = ScriptedSource(1.0, hold, live=True)
    bench = Bench(monkeypatch, source, settings=DEVICE)
    bench.capture.start()
    assert bench.published.acquire(timeout=PATIENCE)
    assert not bench.capture.stop(patience=0.01)
    hold.set()
    assert bench.capture.stop()
    assert source.closed


def test_images_are_read_up_to_the_size_of_the_settings(monkeypatch, tmp_path):
    path = tmp_path / 'large.png'
    cv2.imwrite(str(path), np.zeros((80, 80, 3), np.uint8))
    settings = CameraSettings(source=str(path), max_image_pixels=4096)
    capture = Bench(monkeypatch, settings=settings).capture
    # Not the bench's sources, but the file.
    monkeypatch.undo()
    with pytest.raises(InputError, match='80x80 pixels, too large for the limit of 4096'):
        capture.open()
