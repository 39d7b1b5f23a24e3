"""A session without ROS: it reads while somebody looks, and does what the page asks."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from emotion_estimator.emotion import EXPRESSIONS, LABELS
from emotion_estimator.errors import InputError
from emotion_estimator.live.remark import PERSON, ROBOT
from emotion_estimator.live.session import LiveSession
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.sources import portrait


def wait_until(done, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope='module')
def session(tmp_path_factory):
    with LiveSession(
        'portrait', EstimatorSettings(), recordings=tmp_path_factory.mktemp('bags')
    ) as opened:
        yield opened


@pytest.fixture
def watched(session):
    session.watch(1)
    wait_until(lambda: session.history.newest is not None)
    yield session
    session.watch(0)


def test_nothing_is_read_while_nobody_looks(tmp_path):
    with LiveSession('portrait', EstimatorSettings(), recordings=tmp_path) as opened:
        time.sleep(1.0)
        assert opened.history.newest is None
        opened.watch(1)
        wait_until(lambda: opened.history.newest is not None)
        opened.watch(0)
        # Nor are the images kept.
        wait_until(lambda: opened.history.newest is None)
        time.sleep(0.5)
        assert opened.history.newest is None


def test_moments_have_picture_faces_and_truth(watched):
    wait_until(lambda: watched.history.newest.faces)
    moment = watched.history.newest
    assert moment.image.jpeg[:2] == b'\xff\xd8'
    assert moment.image.aspect == pytest.approx(1.0)
    assert moment.faces[0].labels == LABELS
    assert moment.truth in (*LABELS, 'none')
    assert moment.speaks is not None


def test_the_robot_greets_and_says_why(watched):
    def robot():
        return [each for each in watched.history.remarks()[0] if each.speaker == ROBOT]

    wait_until(robot)
    assert 'greet' in robot()[0].about


def test_what_the_person_says_is_a_line(watched):
    watched.say('  I had a good day  ')
    watched.say('   ')
    said = [each.words for each in watched.history.remarks()[0] if each.speaker == PERSON]
    assert 'I had a good day' in said
    assert '' not in said


def test_a_threshold_acts_from_the_next_image_on(watched):
    watched.change('abstain_below', 1.0)
    wait_until(lambda: {face.label for face in watched.history.newest.faces} == {'unknown'})
    watched.change('abstain_below', EstimatorSettings().abstain_below)


@pytest.mark.parametrize(
    ('name', 'value', 'words'),
    [
        ('abstain_below', 2.0, 'abstain_below must be'),
        ('vocabulary', 'nine', 'vocabulary must be'),
        ('max_faces', 2, 'max_faces cannot be changed here'),
    ],
)
def test_a_wrong_setting_is_refused_and_nothing_changes(watched, name, value, words):
    before = dict(watched.changeable())
    with pytest.raises(InputError, match=words):
        watched.change(name, value)
    assert dict(watched.changeable()) == before


def test_another_vocabulary_is_read_from_then_on(watched):
    watched.change('vocabulary', 'seven')
    wait_until(
        lambda: (
            watched.history.newest.faces and watched.history.newest.faces[0].labels == EXPRESSIONS
        )
    )
    watched.change('vocabulary', 'three')
    wait_until(lambda: watched.history.newest.faces[:1] and (
        watched.history.newest.faces[0].labels == LABELS))  # fmt: skip


def test_another_source_is_read_and_a_wrong_one_refused(watched, tmp_path):
    with pytest.raises(InputError, match='not a file or folder'):
        watched.choose_source(str(tmp_path / 'nothing.mp4'))
    assert watched.title == 'portrait'
    picture = str(Path(portrait.__file__).parent / 'data' / 'astronaut.jpg')
    watched.choose_source(picture)
    assert watched.title == picture
    wait_until(lambda: watched.history.newest is not None)
    assert watched.history.newest.truth is None
    assert watched.changeable()['hear_face'] is True
    watched.choose_source('portrait')
    assert watched.changeable()['hear_face'] is False


def test_a_recording_is_a_bag_that_can_be_replayed(watched):
    pytest.importorskip('rosbags')
    from emotion_estimator.bags.storage import Bag

    path = Path(watched.record(True))
    assert watched.recording
    seen = len(watched.history.moments())
    wait_until(lambda: len(watched.history.moments()) > seen + 10)
    assert watched.record(False) == str(path)
    assert not watched.recording
    with Bag(path) as bag:
        assert set(bag.topics) == {
            '/image_raw/compressed', '/ground_truth', '/emotion', '/emotions',
            '/emotions/annotations',
        } | (set(bag.topics) & {'/dialogue/action', '/dialogue/user_speaking'})  # fmt: skip
        images = bag.counts['/image_raw/compressed']
        assert images > 5
        for topic in ('/emotion', '/emotions', '/emotions/annotations'):
            assert bag.counts[topic] == images


def test_a_recording_needs_no_page_and_has_the_conversation(tmp_path):
    pytest.importorskip('rosbags')
    from emotion_estimator.bags.messages import deserialize
    from emotion_estimator.bags.storage import Bag

    folder = tmp_path / 'visit'
    with LiveSession('portrait', EstimatorSettings()) as opened:
        assert Path(opened.record(True, folder)) == folder
        opened.say('Hello there')
        # The greeting, which is the first thing that the robot does.
        wait_until(lambda: any(r.speaker == ROBOT for r in opened.history.remarks()[0]))
        # Nobody looks, so no image is kept.
        assert opened.history.newest is None
        opened.record(False)
        with pytest.raises(InputError, match='visit exists'):
            opened.record(True, folder)
    with Bag(folder) as bag:
        (said,) = bag.messages('/dialogue/user_said')
        assert deserialize(said.data, 'std_msgs/msg/String').data == 'Hello there'
        (action, *_) = bag.messages('/dialogue/action')
        kind = 'emotion_estimator/msg/DialogueAction'
        assert deserialize(action.data, kind).utterance


def test_a_recording_that_begins_while_the_person_speaks_has_it(tmp_path):
    pytest.importorskip('rosbags')
    from emotion_estimator.bags.messages import deserialize
    from emotion_estimator.bags.storage import Bag

    picture = str(Path(portrait.__file__).parent / 'data' / 'astronaut.jpg')
    with LiveSession(picture, EstimatorSettings()) as opened:
        opened._hear(True, 1.0)
        opened.record(True, tmp_path / 'bag')
        for stamp, speaks in ((1.1, True), (1.2, True), (1.3, False)):
            opened._hear(speaks, stamp)
        opened.record(False)
    with Bag(tmp_path / 'bag') as bag:
        heard = [
            (each.log_time, deserialize(each.data, 'std_msgs/msg/Bool').data)
            for each in bag.messages('/dialogue/user_speaking')
        ]
    assert heard == [(1_100_000_000, True), (1_300_000_000, False)]


def test_it_closes_while_its_source_waits_for_somebody_to_look():
    def captures() -> int:
        return sum(thread.name == 'capture' for thread in threading.enumerate())

    before = captures()
    opened = LiveSession('portrait', EstimatorSettings())
    assert captures() == before + 1
    begun = time.monotonic()
    opened.close()
    assert time.monotonic() - begun < 4.0
    assert captures() == before
