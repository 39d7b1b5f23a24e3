"""Images are run through an estimator and a policy, here scripted ones."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from emotion_estimator.bags.messages import Header
from emotion_estimator.bags.storage import BagMessage
from emotion_estimator.emotion import FaceEmotion, Roi
from emotion_estimator.errors import InputError
from emotion_estimator.replay.run import replay

IMAGE = np.zeros((4, 4, 3), np.uint8)
PATIENCE = 10.0


@dataclass
class Recorded:
    """Stands for an image of a bag."""

    nanoseconds: int
    error: str = ''
    decoded: list = field(default_factory=list)

    @property
    def header(self):
        return Header(self.nanoseconds, 'eye')

    @property
    def message(self):
        return BagMessage(None, self.nanoseconds + 7, b'')

    @property
    def stamp(self):
        return self.header.stamp

    def decode(self, max_pixels):
        assert max_pixels == 7680 * 4320
        self.decoded.append(threading.current_thread())
        if self.error:
            raise InputError(self.error)
        return IMAGE


def face(stamp):
    return FaceEmotion('face_1', 'happy', 0.9, ('happy',), np.ones(1, np.float32), Roi(0, 0, 2, 2))


class ScriptedEstimator:
    def __init__(self, refuses=(), error=None):
        self.stamps = []
        self.resets = 0
        self.error = error or InputError('image must be uint8')
        self.refuses = refuses

    def __call__(self, frame):
        if frame.stamp in self.refuses:
            raise self.error
        self.stamps.append(frame.stamp)
        return (face(frame.stamp),)

    def reset(self):
        self.resets += 1


def images(count, step=0.125, **errors):
    return [Recorded(round(k * step * 1e9), errors.get(f'at_{k}', '')) for k in range(count)]


def test_every_image_is_worked_on_in_order_with_its_header():
    estimator = ScriptedEstimator()
    frames = list(replay(images(100), estimator))
    assert [f.result.stamp for f in frames] == estimator.stamps == [f.header.stamp for f in frames]
    assert len(frames) == 100
    assert {f.header.frame_id for f in frames} == {'eye'}
    assert [f.log_time for f in frames] == [f.header.nanoseconds + 7 for f in frames]
    assert {f.result.label for f in frames} == {'happy'}
    assert {f.action for f in frames} == {None}


def test_the_policy_hears_of_the_primary_face_and_of_the_others():
    heard = []

    class TwoFaces(ScriptedEstimator):
        def __call__(self, frame):
            return (*super().__call__(frame), replace(face(frame.stamp), face_id='face_2'))

    def policy(primary, stamp, others):
        heard.append((primary.face_id, stamp, [other.face_id for other in others]))
        return f'action at {stamp}' if stamp == 0.0 else None

    frames = list(replay(images(3), TwoFaces(), policy))
    assert heard == [('face_1', f.result.stamp, ['face_2']) for f in frames]
    assert [f.action for f in frames] == ['action at 0.0', None, None]


def test_unusable_images_are_skipped_and_rejected_ones_reported():
    skipped = []
    frames = list(
        replay(
            images(5, at_1='no picture'),
            ScriptedEstimator(refuses={0.375}),
            on_skip=lambda image, problem: skipped.append((image.stamp, problem)),
        )
    )
    assert [f.result.stamp for f in frames] == [0.0, 0.25, 0.5]
    assert skipped == [(0.375, 'image must be uint8')]


def test_images_are_decoded_ahead_in_another_thread_but_not_all_at_once():
    recorded = images(200)
    frames = replay(recorded, ScriptedEstimator())
    next(frames)
    decoded = sum(bool(image.decoded) for image in recorded)
    frames.close()
    assert decoded < 30
    assert recorded[0].decoded[0] is not threading.current_thread()
    assert 'decode' not in {thread.name for thread in threading.enumerate()}


def test_what_the_rate_leaves_out_is_not_decoded():
    recorded = images(10)
    frames = list(replay(recorded, ScriptedEstimator(), max_rate_hz=4.0))
    assert [f.result.stamp for f in frames] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert [bool(image.decoded) for image in recorded] == [True, False] * 5


def test_an_error_of_the_reader_comes_out_after_what_was_read():
    def broken():
        yield from images(3)
        raise InputError('bag ends in the middle of a message')

    frames = replay(broken(), ScriptedEstimator())
    assert [next(frames).result.stamp for _ in range(3)] == [0.0, 0.125, 0.25]
    with pytest.raises(InputError, match='in the middle'):
        next(frames)


def test_a_landmark_source_that_fails_is_restarted():
    skipped = []
    estimator = ScriptedEstimator(refuses={0.125}, error=RuntimeError('graph error\nmore'))
    frames = list(
        replay(images(3), estimator, on_skip=lambda image, problem: skipped.append(problem))
    )
    assert [f.result.stamp for f in frames] == [0.0, 0.25]
    assert skipped == ['landmark source failed and was restarted: graph error']
    assert estimator.resets == 1


def test_images_that_do_not_decode_fill_no_queue():
    """They are large where somebody wants them to be."""
    read = threading.Event()

    def images():
        yield Recorded(125_000_000)
        for number in range(2, 60):
            yield Recorded(number * 125_000_000, error='too large')
        read.set()

    frames = replay(images(), ScriptedEstimator())
    next(frames)
    assert read.wait(PATIENCE)
    frames.close()


@dataclass
class Wide(Recorded):
    """An image that claims a third of the bytes that may be decoded ahead."""

    def decode(self, max_pixels):
        super().decode(max_pixels)
        return np.broadcast_to(IMAGE[:1, :1], (2730, 2730, 3))


def test_few_large_images_are_decoded_ahead():
    decoded: list = []
    images = (Wide(number * 125_000_000, decoded=decoded) for number in range(1, 60))
    frames = replay(images, ScriptedEstimator())
    next(frames)
    threading.Event().wait(0.3)
    # One taken, up to four in the queue, one waiting; without a limit it would be ten.
    assert len(decoded) <= 6
    frames.close()
