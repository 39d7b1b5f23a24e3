from __future__ import annotations

import cv2
import numpy as np
import pytest

from emotion_estimator.errors import InputError
from emotion_estimator.sources.base import SourceLost
from emotion_estimator.sources.device import Device

GOOD = np.full((4, 6, 3), (10, 20, 30), np.uint8)


class FakeCapture:
    """A camera that delivers the given images: None is a damaged one, the end is its loss."""

    def __init__(self, images, opened=True, fps=15.0) -> None:
        self.images = list(images)
        self.opened = opened
        self.fps = fps
        self.settings: dict[int, float] = {}
        #: What it delivers whatever is asked for.
        self.always: dict[int, float] = {}
        self.released = False
        self.events: list[str] = []

    def isOpened(self):  # noqa: N802
        return self.opened

    def grab(self):
        self.events.append('grab')
        return bool(self.images) and not self.released

    def retrieve(self):
        self.events.append('retrieve')
        image = self.images.pop(0)
        return image is not None, image

    def get(self, prop):
        if prop == cv2.CAP_PROP_FPS:
            return self.fps
        return self.always.get(prop, self.settings.get(prop, 0.0))

    def set(self, prop, value):
        self.settings[prop] = value
        return True

    def release(self):
        self.released = True


def test_frames_are_stamped_right_after_the_grab_and_come_as_rgb():
    capture = FakeCapture([GOOD, GOOD])
    times = iter([100.0, 100.1])

    def clock():
        capture.events.append('stamp')
        return next(times)

    device = Device(0, clock=clock, open_capture=lambda _: capture)
    assert device.live
    assert device.fps == 15.0
    frames = device.frames()
    first, second = next(frames), next(frames)
    assert (first.stamp, second.stamp) == (100.0, 100.1)
    assert first.image[0, 0].tolist() == [30, 20, 10]
    assert capture.events[:3] == ['grab', 'stamp', 'retrieve']


def test_size_and_rate_are_asked_of_the_device():
    capture = FakeCapture([], fps=0.0)
    device = Device(2, fps=24, width=800, height=600, open_capture=lambda _: capture)
    assert capture.settings[cv2.CAP_PROP_FRAME_WIDTH] == 800
    assert capture.settings[cv2.CAP_PROP_FRAME_HEIGHT] == 600
    assert capture.settings[cv2.CAP_PROP_FPS] == 24
    assert capture.settings[cv2.CAP_PROP_BUFFERSIZE] == 1
    assert device.fps == 24


def test_images_that_nobody_wants_are_not_decoded():
    capture = FakeCapture([GOOD])
    device = Device(0, open_capture=lambda _: capture)
    asked = iter([False, False, True])
    device.wanted = lambda: next(asked)
    next(device.frames())
    assert capture.events == ['grab', 'grab', 'grab', 'retrieve']


def test_a_lost_device_is_reported():
    device = Device(0, open_capture=lambda _: FakeCapture([GOOD]))
    frames = device.frames()
    next(frames)
    with pytest.raises(SourceLost, match='camera 0 stopped delivering') as caught:
        next(frames)
    assert isinstance(caught.value, InputError)
    assert '\n' not in str(caught.value)


def test_damaged_images_are_skipped_and_counted():
    device = Device(0, open_capture=lambda _: FakeCapture([GOOD, None, GOOD, None, None, GOOD]))
    frames = device.frames()
    assert [next(frames).image.shape for _ in range(3)] == [GOOD.shape] * 3
    assert device.skipped == 3


def test_nothing_but_damaged_images_counts_as_lost():
    device = Device(0, open_capture=lambda _: FakeCapture([None] * 100))
    with pytest.raises(SourceLost, match='only damaged images'):
        next(device.frames())


def test_closing_ends_the_frames_without_an_error():
    capture = FakeCapture([GOOD] * 5)
    device = Device(0, open_capture=lambda _: capture)
    frames = device.frames()
    next(frames)
    device.close()
    assert list(frames) == []
    assert capture.released


def test_a_device_that_does_not_open_is_given_back_and_named():
    capture = FakeCapture([], opened=False)
    with pytest.raises(InputError, match='camera 3 cannot be opened'):
        Device(3, open_capture=lambda _: capture)
    assert capture.released


@pytest.mark.parametrize('device', [99, '/dev/video99'])
def test_a_device_that_is_not_there_is_named_without_noise(device, capfd):
    with pytest.raises(InputError, match=f'camera {device} cannot be opened') as caught:
        Device(device)
    assert '\n' not in str(caught.value)
    assert capfd.readouterr().err == ''


@pytest.mark.parametrize(
    ('wanted', 'code'),
    [
        ({}, None),
        ({'width': 640, 'height': 480, 'fps': 30}, None),
        ({'fps': 60}, 'MJPG'),
        ({'width': 1280, 'height': 720, 'fps': 30}, 'MJPG'),
        ({'width': 1280, 'height': 720, 'fps': 5}, None),
        ({'width': 320, 'height': 240, 'pixel_format': 'mjpg'}, 'MJPG'),
        ({'width': 1920, 'height': 1080, 'pixel_format': 'yuyv'}, 'YUYV'),
        ({'width': 1920, 'height': 1080, 'pixel_format': 'as_is'}, None),
    ],
)
def test_mjpg_is_asked_for_where_usb_would_not_carry_the_images(wanted, code):
    capture = FakeCapture([])
    Device(0, open_capture=lambda _: capture, **wanted)
    asked = capture.settings.get(cv2.CAP_PROP_FOURCC)
    assert asked == (code and cv2.VideoWriter_fourcc(*code))
    if code:
        # A size is looked for among those of the format.
        assert next(iter(capture.settings)) == cv2.CAP_PROP_FOURCC


def test_what_the_device_gives_is_reported():
    capture = FakeCapture([], fps=30.0)
    device = Device(0, fps=30, width=1280, height=720, open_capture=lambda _: capture)
    assert device.given == 'MJPG 1280x720 at 30 Hz'
    assert device.refused == ''


@pytest.mark.parametrize(
    ('always', 'fps', 'given'),
    [
        ({cv2.CAP_PROP_FOURCC: cv2.VideoWriter_fourcc(*'YUYV')}, 30.0, 'YUYV 1280x720 at 30 Hz'),
        ({cv2.CAP_PROP_FRAME_WIDTH: 640.0}, 30.0, 'MJPG 640x720 at 30 Hz'),
        ({}, 10.0, 'MJPG 1280x720 at 10 Hz'),
    ],
)
def test_what_the_device_refuses_is_reported(always, fps, given):
    capture = FakeCapture([], fps=fps)
    capture.always = always
    device = Device(0, fps=30, width=1280, height=720, open_capture=lambda _: capture)
    assert device.refused == (f'camera 0 gives {given} instead of MJPG 1280x720 at 30 Hz')


@pytest.mark.parametrize('code', [0, -1, cv2.VideoWriter_fourcc(*'JPEG')])
def test_a_format_that_is_not_said_or_has_another_name_is_no_refusal(code):
    capture = FakeCapture([], fps=30.0)
    capture.always = {cv2.CAP_PROP_FOURCC: float(code)}
    device = Device(0, fps=30, width=1280, height=720, open_capture=lambda _: capture)
    assert device.refused == ''
    assert device.given.isascii()


def test_a_format_without_a_name_is_no_noise():
    capture = FakeCapture([])
    capture.always = {cv2.CAP_PROP_FOURCC: -466162819.0, cv2.CAP_PROP_FRAME_WIDTH: float('nan')}
    device = Device(0, open_capture=lambda _: capture)
    assert device.given.isprintable()
    assert device.refused == ''
