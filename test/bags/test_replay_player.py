"""Images of a recording in their own time, with a stage whose time passes only when waited for."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rosbags', reason='rosbags is not installed')

from emotion_estimator.bags.messages import (
    IMAGE,
    Header,
    decode_image,
    image_message,
    read_header,
    serialize,
)
from emotion_estimator.bags.player import message_bytes, play, rounds
from emotion_estimator.bags.reader import open_bag
from emotion_estimator.bags.writer import BagWriter
from emotion_estimator.errors import InputError

SECOND = 10**9
PIXELS = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


def image(nanoseconds, written=None):
    """Return an image of a bag; its message has the stamp ``written``, else its own."""
    header = Header(nanoseconds if written is None else written, 'eye')
    data = serialize(image_message(PIXELS, header, None))
    return SimpleNamespace(
        nanoseconds=nanoseconds,
        stamp=nanoseconds / SECOND,
        data=data,
        message=SimpleNamespace(connection=SimpleNamespace(msgtype=IMAGE)),
    )


class FakeStage:
    """Keeps a diary; an image's answer comes after ``work`` seconds, or never."""

    def __init__(self, work=0.0, deaf=()):
        self.work = work
        self.deaf = deaf
        self.at = 1000.0
        self.shown = []
        self.times = []
        self.left_out = []
        self.given_up = []
        self._answer = (0.0, -1)

    def now(self):
        return self.at

    def wait(self, until, done):
        while not done() and self.at < until:
            self.at = min(until, self.at + 0.001)

    def publish_time(self, nanoseconds):
        self.times.append((self.at, nanoseconds))

    def show(self, image, message):
        self.shown.append((round(self.at - 1000.0, 3), image.nanoseconds))
        # The time was published before.
        assert self.times[-1][1] == image.nanoseconds
        if image.nanoseconds not in self.deaf:
            self._answer = (self.at + self.work, image.nanoseconds)

    def answered(self, nanoseconds):
        return self._answer[1] == nanoseconds and self.at >= self._answer[0] - 1e-9

    def give_up(self, image):
        self.given_up.append(image.nanoseconds)

    def leave_out(self, image, problem):
        self.left_out.append((image.nanoseconds, problem))


def at(*tenths):
    return [image(5 * SECOND + tenth * SECOND // 10) for tenth in tenths]


def shown_at(stage):
    return [moment for moment, _ in stage.shown]


@pytest.mark.parametrize(('rate', 'expected'), [(1.0, [0, 0.1, 0.5]), (2.0, [0, 0.05, 0.25])])
def test_images_come_as_their_stamps_say(rate, expected):
    stage = FakeStage(work=9.0)
    played = play(at(0, 1, 5), stage, rate=rate)
    assert shown_at(stage) == pytest.approx(expected, abs=0.002)
    assert (played.shown, played.unanswered) == (3, 0)
    # Between them time continues, published at even intervals.
    published = np.array(stage.times)
    passed = 5.0 + (published[:, 0] - 1000.0) * rate
    np.testing.assert_allclose(published[:, 1] / SECOND, passed, atol=0.002)
    assert (np.diff(published[:, 0]) <= 0.021).all()
    assert (np.diff(published[:, 1]) >= 0).all()


def test_a_slow_stage_is_not_waited_for_twice():
    """What came late does not make all that follows late."""
    stage = FakeStage()
    show = stage.show

    def slow(image, message):
        show(image, message)
        stage.at += 0.25 if len(stage.shown) == 1 else 0.0

    stage.show = slow
    play(at(0, 1, 2, 3), stage)
    assert shown_at(stage) == pytest.approx([0, 0.25, 0.25, 0.3], abs=0.002)


def test_in_lockstep_the_time_stands_still_until_the_answer():
    stage = FakeStage(work=0.7)
    played = play(at(0, 1, 2), stage, lockstep=True)
    assert shown_at(stage) == pytest.approx([0, 0.8, 1.6], abs=0.003)
    assert played.unanswered == 0
    fast = FakeStage(work=0.7)
    play(at(0, 1, 2), fast, lockstep=True, rate=1000.0)
    assert shown_at(fast) == pytest.approx([0, 0.7, 1.4], abs=0.003)


def test_in_lockstep_it_goes_on_without_an_answer_after_a_while():
    images = at(0, 1, 2)
    stage = FakeStage(work=0.1, deaf=(images[1].nanoseconds,))
    played = play(images, stage, lockstep=True, answer_timeout=2.0)
    assert shown_at(stage) == pytest.approx([0, 0.2, 2.3], abs=0.003)
    assert (played.shown, played.unanswered) == (3, 1)
    assert stage.given_up == [images[1].nanoseconds]


def test_a_recording_that_goes_back_is_followed_at_once():
    stage = FakeStage()
    play([*at(0, 5), *at(0, 5)], stage)
    assert shown_at(stage) == pytest.approx([0, 0.5, 0.5, 1.0], abs=0.003)
    assert stage.times[-1][1] == 5 * SECOND + SECOND // 2


def test_what_is_no_image_message_is_left_out():
    images = at(0, 1, 2)
    images[1].data = images[1].data[:40]
    stage = FakeStage()
    played = play(images, stage)
    assert (played.shown, played.unreadable) == (2, 1)
    ((when, problem),) = stage.left_out
    assert when == images[1].nanoseconds
    assert 'sensor_msgs/msg/Image' in problem


def test_messages_go_out_as_they_lie_in_the_bag():
    (complete,) = at(3)
    assert message_bytes(complete) is complete.data


@pytest.mark.parametrize('stamp', [7 * SECOND + 5, 1_700_000_000 * SECOND + 999_999_999, -3])
def test_an_image_without_a_stamp_gets_the_one_it_is_known_by(stamp):
    bare = image(stamp, written=0)
    data = message_bytes(bare)
    assert read_header(data) == Header(stamp, 'eye')
    assert read_header(bare.data) == Header(0, 'eye')
    np.testing.assert_array_equal(decode_image(data, IMAGE), PIXELS)


def test_big_endian_messages_get_it_in_their_order():
    header = Header(0, 'eye')
    little = serialize(image_message(PIXELS, header, None))
    bare = image(7 * SECOND + 5, written=0)
    # Stamp, length and name; height, width; encoding; is_bigendian, step; length of data, data.
    body = struct.pack('>iII4sIII5sB2xI', 0, 0, 4, b'eye\0', 4, 4, 5, b'rgb8\0', 0, 12)
    bare.data = b'\0\0\0\0' + body + struct.pack('>I', 48) + PIXELS.tobytes()
    assert len(bare.data) == len(little)
    data = message_bytes(bare)
    assert read_header(data) == Header(7 * SECOND + 5, 'eye')
    np.testing.assert_array_equal(decode_image(data, IMAGE), PIXELS)


def test_rounds_go_on_for_ever_but_not_of_nothing(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        for k in (1, 2):
            writer.image('/image', PIXELS, Header(k), None)
    with open_bag(tmp_path / 'bag') as bag:
        assert [each.nanoseconds for each in rounds(bag, loop=False)] == [1, 2]
        endless = rounds(bag, loop=True)
        assert [next(endless).nanoseconds for _ in range(5)] == [1, 2, 1, 2, 1]
    nothing = SimpleNamespace(images=lambda: iter(()))
    assert list(rounds(nothing, loop=True)) == []


def test_a_message_too_short_for_a_header_is_refused():
    (torn,) = at(0)
    torn.data = torn.data[:6]
    with pytest.raises(InputError):
        message_bytes(torn)


def test_the_account_of_what_was_played(tmp_path):
    stamps = [SECOND, 2 * SECOND, 2 * SECOND, 3 * SECOND]
    with BagWriter(tmp_path / 'bag') as writer:
        for number, stamp in enumerate(stamps):
            # The third is the second once more.
            writer.image('/image', PIXELS + (number == 3), Header(stamp, 'eye'))
    with open_bag(tmp_path / 'bag') as bag:
        played = play(rounds(bag, loop=False), FakeStage())
        assert str(played.account(bag)) == (
            'declared 4 images, read 3, left out 1: 1 recorded twice'
        )
        played.unreadable = 2
        assert played.account(bag).left_out == {'recorded twice': 1, 'are no image messages': 2}
