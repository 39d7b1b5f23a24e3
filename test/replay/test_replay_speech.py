"""A replay hears the speech in a bag, and so decides as the dialogue manager did live."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

pytest.importorskip('rosbags', reason='rosbags is not installed')

from available import LANDMARK_SOURCE
from bag_making import SECOND, write_bag
from courses import face, frame
from hypothesis import given, settings
from hypothesis import strategies as st
from made_bag import made_bag
from speech_bag import (
    USER,
    answers_live,
    any_speech,
    recorded,
    said,
    speaking,
    speech_bytes,
    voice,
)

from emotion_estimator.bags.messages import IMAGE, Header, image_message, serialize
from emotion_estimator.bags.reader import open_bag
from emotion_estimator.bags.speech import BOOL, SPEECH_TOPICS, STRING, SpeechMessage
from emotion_estimator.cli import main as cli
from emotion_estimator.dialogue.conversation_file import load_conversation
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.dialogue.policy_file import load_policy
from emotion_estimator.emotion import LABELS, NONE
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult
from emotion_estimator.replay.job import ReplayJob, run_job
from emotion_estimator.replay.replayed_bag import CallingTest, EmotionReplay, ReplayCache
from emotion_estimator.replay.run import replay
from emotion_estimator.resources import resource_dir
from emotion_estimator.settings import EstimatorSettings

STORAGES = ['mcap', 'sqlite3']
SEEN = (*LABELS, NONE)
STEP = SECOND // 5


@cache
def files():
    config = resource_dir('config')
    return load_policy(config / 'dialogue.yaml'), load_conversation(config / 'conversation_en.yaml')


def manager():
    return DialogueManager(*files())


class SeenInPixels:
    """Stands for the estimator: an image's grey value is its label; one value cannot be read."""

    UNREADABLE = 99

    def __call__(self, given):
        value = int(given.image[0, 0, 0])
        if value == self.UNREADABLE:
            raise InputError('image is unreadable')
        return () if SEEN[value] == NONE else (face(SEEN[value]),)

    def reset(self):
        pass


def image(value, time):
    pixels = np.full((2, 2, 3), value, np.uint8)
    return '/robot/image_raw', IMAGE, time, serialize(image_message(pixels, Header(time), None))


def bag_of(folder, inputs, storage='mcap'):
    """Write a bag of images (of labels) and speech in this order; return it and what is heard.

    Speech lies between the images' times, or has the time of what was before it.
    """
    messages, heard, time = [], [], SECOND
    for number, each in enumerate(inputs):
        if isinstance(each, SpeechMessage):
            messages.append(recorded(each, time + number % 3, '/robot'))
            heard.append(each)
            time += number % 3
            continue
        time = (time // STEP + 1) * STEP
        value = SeenInPixels.UNREADABLE if each is None else SEEN.index(each)
        messages.append(image(value, time))
        if each is not None:
            heard.append(frame(Header(time).stamp, each))
    return write_bag(folder, messages, storage), heard


def replayed(bag, with_speech=True):
    with open_bag(bag) as opened:
        items = opened.images_and_speech() if with_speech else opened.images()
        found = replay(items, SeenInPixels(), manager())
        return [frame.action for frame in found if frame.action is not None]


def conversation():
    """Return a minute in which the robot greets, the person answers, declines, and is silent."""
    inputs = [voice(False)]
    for second in range(60):
        inputs += ['unknown', 'happy' if second % 7 else 'sad', 'unknown', 'unknown', 'happy']
        if second in (3, 4, 5, 20, 21, 22, 40):
            inputs[-3:-3] = [speaking()]
        if second in (6, 23, 41):
            inputs += [
                speaking(False),
                said("I don't want to talk about it" if second == 23 else 'My sister had one'),
            ]
        if second in (30, 33):
            inputs += [voice(second == 30)]
    return inputs


@pytest.mark.parametrize('storage', STORAGES)
def test_a_replay_with_speech_decides_as_live_and_otherwise_without_it(tmp_path, storage):
    bag, heard = bag_of(tmp_path / 'bag', conversation(), storage)
    live = answers_live(manager(), heard, know_others=True)
    assert replayed(bag) == live
    assert len(live) >= 6
    assert any('the person spoke for' in action.reason for action in live)
    assert any('asked for another topic' in action.reason for action in live)
    assert replayed(bag, with_speech=False) != live


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(STORAGES),
    st.lists(
        st.tuples(
            st.sampled_from([*SEEN, None]),
            st.integers(1, 40),
            st.lists(any_speech, max_size=3),
        ),
        min_size=1,
        max_size=8,
    ),
)
def test_any_interleaving_decides_as_live(storage, course):
    inputs = []
    for label, count, speech in course:
        inputs += [*speech, *[label] * count]
    with TemporaryDirectory() as folder:
        bag, heard = bag_of(Path(folder) / 'bag', inputs, storage)
        assert replayed(bag) == answers_live(manager(), heard, know_others=True)


class Note:
    """Stands for the manager and notes what it hears, and at what stamp."""

    def __init__(self):
        self.heard = []

    def __call__(self, face, stamp, others=None):
        self.heard.append(stamp)

    def user_speaking(self, value, stamp):
        self.heard.append((value, stamp))

    def user_said(self, text, stamp):
        self.heard.append((text, stamp))

    def robot_speaking(self, value, stamp):
        self.heard.append((f'robot {value}', stamp))


def test_speech_has_the_stamp_of_the_last_image_with_a_result(tmp_path):
    inputs = [
        said('early'), 'happy', speaking(), None, speaking(False), 'happy', voice(), said('late'),
    ]  # fmt: skip
    bag, heard = bag_of(tmp_path / 'bag', inputs)
    first, second = (each.stamp for each in heard if isinstance(each, FrameResult))
    note = Note()
    with open_bag(bag) as opened:
        list(replay(opened.images_and_speech(), SeenInPixels(), note))
    early, *rest = note.heard
    assert early[0] == 'early'
    assert np.isnan(early[1])
    assert rest == [
        first, (True, first), (False, first), second, ('robot True', second), ('late', second),
    ]  # fmt: skip
    # Images left out because of the rate change nothing about the speech between them.
    slow = Note()
    with open_bag(bag) as opened:
        list(replay(opened.images_and_speech(), SeenInPixels(), slow, max_rate_hz=0.1))
    assert slow.heard[1:] == [
        first, (True, first), (False, first), ('robot True', first), ('late', first),
    ]  # fmt: skip


def test_speech_before_the_first_image_counts(tmp_path):
    """As live, where the node's own time is its stamp, which means nothing to the manager."""
    inputs = [speaking(), *['happy'] * 60]
    bag, heard = bag_of(tmp_path / 'bag', inputs)
    live = answers_live(manager(), heard, know_others=True)
    other = manager()
    other.user_speaking(True, 1.7e9)
    assert answers_live(other, heard[1:], know_others=True) == live
    assert replayed(bag) == live
    assert replayed(bag, with_speech=False) != live


# With the real estimator


def with_speech(folder: Path, speech, storage='mcap', damaged=0) -> Path:
    """Copy 13 s of the made bag and add speech at seconds after its first image."""
    with open_bag(made_bag()) as bag:
        first = next(iter(bag.images())).nanoseconds
        messages = [
            (m.topic, m.connection.msgtype, m.log_time, m.data)
            for m in bag.messages(bag.topic)
            if m.log_time < first + 13 * SECOND
        ]  # fmt: skip
    messages += [
        (f'/{each.name}', SPEECH_TOPICS[each.name], first + round(at * SECOND), speech_bytes(each))
        for at, each in speech
    ]
    messages += [(f'/{USER}', BOOL, first + n, b'\0\1') for n in range(1, damaged + 1)]
    return write_bag(folder, sorted(messages, key=lambda m: m[2]), storage)


SPEECH = [
    (2.51, speaking()), (3.51, speaking()), (5.01, speaking(False)), (5.02, said('I like it')),
    (9.03, speaking()), (11.04, speaking(False)),
]  # fmt: skip
SETTINGS = EstimatorSettings(landmark_source=LANDMARK_SOURCE)


def live_from(results, speech):
    """Return what the manager decides on results and speech at seconds after the first."""
    first = results[0].stamp
    inputs = [(result.stamp - first, 1, result) for result in results]
    inputs += [(at, 0, each) for at, each in speech]
    ordered = [each for *_, each in sorted(inputs, key=lambda item: item[:2])]
    return answers_live(manager(), ordered, know_others=True)


def test_the_verb_and_the_fixture_hear_it(monkeypatch, capfd, tmp_path):
    bag = with_speech(tmp_path / 'bag', SPEECH, 'sqlite3', damaged=2)
    frames = []
    job = ReplayJob(bag, settings=SETTINGS, written=tmp_path / 'written')
    summary = run_job(job, frames.append)
    results = [each.result for each in frames]
    live = live_from(results, SPEECH)
    assert list(summary.actions) == live
    assert live_from(results, []) != live
    (line,) = summary.problems
    assert line.startswith(f'topic /{USER}: 2 messages cannot be read')
    # What is written, in MCAP, has the speech as well, and gives the same again.
    again = run_job(ReplayJob(tmp_path / 'written', settings=SETTINGS))
    assert again.actions == summary.actions

    monkeypatch.setattr(
        'sys.argv', ['emotion-estimator', 'replay', str(bag), '--landmarks', LANDMARK_SOURCE]
    )
    assert cli.main() == 0
    printed = capfd.readouterr()
    shown = [f'{a.stamp:16.3f} s  {a.action} ({a.rule}): {a.reason}' for a in live]
    assert printed.out.splitlines()[1:] == shown
    assert '2 messages cannot be read' in printed.err

    fixture = EmotionReplay(CallingTest(tmp_path), ReplayCache(tmp_path / 'cache'))
    replayed_bag = fixture('bag', landmarks=LANDMARK_SOURCE)
    assert list(replayed_bag.actions) == live
    assert replayed_bag.problems == summary.problems


def test_a_part_hears_what_was_said_before_it_and_nothing_after(tmp_path):
    bag = with_speech(tmp_path / 'bag', SPEECH)
    complete = run_job(ReplayJob(bag, settings=SETTINGS))
    first = min(action.stamp for action in complete.actions)
    part = run_job(ReplayJob(bag, settings=SETTINGS, begin=4.0, end=10.0))
    assert part.actions == tuple(
        action for action in complete.actions if 4.0 <= action.stamp - 1.0 < 10.0
    )
    assert part.actions
    assert first < 5.0


def test_a_namespace_is_named_for_the_verb_and_the_fixture(monkeypatch, capfd, tmp_path):
    messages = [
        (topic.replace('/robot', '/camera'), kind, time, data)
        for topic, kind, time, data in (image(0, (n + 1) * SECOND) for n in range(3))
    ]
    messages += [recorded(said('a'), SECOND + 1, '/a'), recorded(said('b'), SECOND + 1, '/b')]
    write_bag(tmp_path / 'bag', messages)
    command = ['emotion-estimator', 'replay', str(tmp_path / 'bag'), '--json',
               '--landmarks', LANDMARK_SOURCE]  # fmt: skip
    for arguments, status, line in [
        ([], 0, 'several namespaces, none of them that of /camera/image_raw'),
        (['--speech', '/a'], 0, ''),
        (['--speech', 'c'], 2, 'in the namespace /c; choose /a, /b'),
    ]:
        monkeypatch.setattr('sys.argv', [*command, *arguments])
        assert cli.main() == status
        printed = capfd.readouterr()
        assert line in printed.err
        # One is the account.
        assert len(printed.err.splitlines()) == bool(line) + (status == 0)
        assert len(list(map(json.loads, printed.out.splitlines()))) == (0 if status else 3)
    fixture = EmotionReplay(CallingTest(tmp_path), ReplayCache(tmp_path / 'cache'))
    assert len(fixture('bag', landmarks=LANDMARK_SOURCE).problems) == 1
    assert fixture('bag', landmarks=LANDMARK_SOURCE, speech='b').problems == ()
    with pytest.raises(AssertionError, match='in the namespace /c'):
        fixture('bag', landmarks=LANDMARK_SOURCE, speech='c')


def test_of_a_part_without_images_it_is_not_the_speech_that_is_blamed(tmp_path):
    messages = [image(0, (n + 1) * SECOND) for n in range(3)]
    messages += [(f'/robot/{USER}', STRING, SECOND + 1, b'')]
    bag = write_bag(tmp_path / 'bag', messages)
    with pytest.raises(InputError, match='no image later than 9 s after the first'):
        run_job(ReplayJob(bag, settings=SETTINGS, begin=9.0))
