"""Speech in a bag is found, and comes between the images where it was recorded."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

pytest.importorskip('rosbags', reason='rosbags is not installed')

from bag_making import KINDS, SECOND, image_bytes, numbered, write_bag
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import StoragePlugin, Writer
from speech_bag import ROBOT, SAID, USER, any_speech, recorded, said, speaking, voice

from emotion_estimator.bags.messages import (
    EMOTION,
    IMAGE,
    Header,
    emotion_message,
    serialize,
    typestore,
)
from emotion_estimator.bags.reader import EmotionBag, StampedImage, open_bag
from emotion_estimator.bags.speech import BOOL, STRING, SpeechMessage
from emotion_estimator.dialogue.turns import MAX_WORDS
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult

STEP = SECOND // 10


def image(number: int, time: int, topic: str = '/image_raw') -> tuple[str, str, int, bytes]:
    return topic, IMAGE, time, image_bytes(number, time)


def read(folder: Path, topic: str | None = None, namespace: str | None = None):
    """Return what a bag has in its order, images as their stamps, and its problems."""
    with open_bag(folder, topic) as bag:
        found = [
            item.nanoseconds if isinstance(item, StampedImage) else item
            for item in bag.images_and_speech(namespace)
        ]
        return found, bag.problems


def heard(folder: Path, topic: str | None = None, namespace: str | None = None):
    """Return the speech of a bag, and its problems."""
    found, problems = read(folder, topic, namespace)
    return [item for item in found if isinstance(item, SpeechMessage)], problems


@pytest.mark.parametrize('kind', KINDS, ids='-'.join)
def test_every_kind_of_bag_gives_speech_between_the_same_images(tmp_path, kind):
    begin = SECOND
    messages = [
        recorded(said('Guten Tag, schön hier!'), begin - STEP),
        image(0, begin),
        recorded(speaking(), begin + STEP // 2),
        image(1, begin + STEP),
        image(2, begin + 2 * STEP),
        recorded(speaking(False), begin + 2 * STEP + 1),
        recorded(voice(), begin + 2 * STEP + 2),
        image(3, begin + 3 * STEP),
        recorded(voice(False), begin + 4 * STEP),
    ]
    found, problems = read(write_bag(tmp_path / 'bag', messages, *kind))
    assert found == [
        said('Guten Tag, schön hier!'), begin, speaking(), begin + STEP, begin + 2 * STEP,
        speaking(False), voice(), begin + 3 * STEP, voice(False),
    ]  # fmt: skip
    assert problems == []


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(['mcap', 'sqlite3']),
    st.lists(st.tuples(st.integers(0, 2), st.none() | any_speech), min_size=1, max_size=40),
)
def test_any_order_is_kept_also_of_messages_of_one_time(storage, steps):
    time, expected, messages = SECOND, [SECOND], [image(0, SECOND)]
    for number, (step, speech) in enumerate(steps, 1):
        # Images are of different stamps; speech may share the time of what is before it.
        time += step * STEP if speech is not None else (step + 1) * STEP
        expected.append(time if speech is None else speech)
        messages.append(image(number, time) if speech is None else recorded(speech, time))
    with TemporaryDirectory() as folder:
        assert read(write_bag(Path(folder) / 'bag', messages, storage)) == (expected, [])


@pytest.mark.parametrize(
    ('images', 'namespaces', 'chosen'),
    [
        ('/image_raw', [''], ''),
        ('/robot/camera/image_raw', [''], ''),
        ('/robot/camera/image_raw', ['', '/robot', '/robot/other'], '/robot'),
        ('/robot/camera/image_raw', ['/robot', '/robot2'], '/robot'),
        ('/robot2/image_raw', ['/robot', '/robot2'], '/robot2'),
        # A camera beside the only robot.
        ('/camera/image_raw', ['/robot'], '/robot'),
        ('/robotic/image_raw', ['/robot'], '/robot'),
        ('/robotic/image_raw', ['/robot', '/robo'], None),
    ],
)
def test_speech_is_that_of_the_images_namespace(tmp_path, images, namespaces, chosen):
    messages = [image(0, SECOND, images)]
    messages += [recorded(said(f'in {space}'), SECOND + 1, space) for space in namespaces]
    speech, problems = heard(write_bag(tmp_path / 'bag', messages))
    assert speech == ([] if chosen is None else [said(f'in {chosen}')])
    assert len(problems) == (chosen is None)


def test_a_topic_without_messages_is_no_candidate(tmp_path):
    with Writer(tmp_path / 'bag', version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.add_connection(f'/camera/{SAID}', STRING, typestore=typestore())
        writer.add_connection(f'/a/{SAID}', STRING, typestore=typestore())
        for topic, kind, time, data in [
            image(0, SECOND, '/camera/image'), recorded(said('here'), SECOND + 1, '/b'),
        ]:  # fmt: skip
            writer.write(writer.add_connection(topic, kind, typestore=typestore()), time, data)
    assert heard(tmp_path / 'bag') == ([said('here')], [])


def test_a_second_publisher_of_another_type_is_not_taken_at_its_word(tmp_path):
    words = recorded(said('yes'), 0)[3]
    messages = [
        image(0, SECOND), (f'/{USER}', STRING, SECOND + 1, words), recorded(speaking(), SECOND + 2)
    ]  # fmt: skip
    speech, (line,) = heard(write_bag(tmp_path / 'bag', messages))
    assert speech == [speaking()]
    assert line == (
        f'topic /{USER}: 1 messages cannot be read and are not heard, first at 1.000000 s: it is '
        f'of type {STRING}, not {BOOL}'
    )


def two_robots(folder: Path) -> Path:
    messages = [image(0, SECOND, '/camera/image_raw')]
    messages += [recorded(said(f'in {space}'), SECOND + 1, space) for space in ('/a', '/b')]
    return write_bag(folder, messages)


def test_of_several_namespaces_one_has_to_be_named(tmp_path):
    folder = two_robots(tmp_path / 'bag')
    speech, (line,) = heard(folder)
    assert speech == []
    assert line == (
        'speech was recorded in several namespaces, none of them that of /camera/image_raw, and is '
        'not heard; name one: /a, /b'
    )
    for name in ('b', '/b', '/b/'):
        assert heard(folder, namespace=name) == ([said('in /b')], [])
    for name in ('c', '/', ''):
        with pytest.raises(InputError, match=r'has no message on .*; choose /a, /b'):
            heard(folder, namespace=name)


def test_the_root_can_be_named_and_a_bag_without_speech_says_so(tmp_path):
    messages = [image(0, SECOND), recorded(said('here'), SECOND + 1)]
    assert heard(write_bag(tmp_path / 'bag', messages), namespace='/') == ([said('here')], [])
    folder = write_bag(tmp_path / 'silent', messages[:1])
    assert heard(folder) == ([], [])
    with pytest.raises(InputError, match='in the namespace /robot; it has no speech'):
        heard(folder, namespace='robot')


def test_a_topic_of_another_type_is_one_line_and_the_others_are_heard(tmp_path):
    messages = [
        image(0, SECOND),
        (f'/{USER}', STRING, SECOND + 1, recorded(said('yes'), 0)[3]),
        recorded(said('hello'), SECOND + 2),
    ]
    assert heard(write_bag(tmp_path / 'bag', messages)) == (
        [said('hello')],
        [f'topic /{USER} is of type {STRING}, not {BOOL}; it is not heard'],
    )


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_damaged_messages_are_counted_in_one_line_and_the_rest_is_heard(tmp_path, storage):
    data = recorded(said('hello'), 0)[3]
    odd = [b'', b'\0\1', data[:-3], data.replace(b'e', b'\xff'), data[:4] + b'\xff\xff\xff\xff']
    messages = list(numbered(3))
    time = messages[-1][2]
    messages += [(f'/{SAID}', STRING, time + 1 + n, each) for n, each in enumerate(odd)]
    messages += [(f'/{ROBOT}', BOOL, time + 7, b'\0\1\0\0')]
    messages += [recorded(said('still here'), time + 8), recorded(voice(), time + 9)]
    messages += [image(3, time + STEP)]
    folder = write_bag(tmp_path / 'bag', messages, storage)
    found, problems = read(folder)
    assert found[-3:] == [said('still here'), voice(), time + STEP]
    assert len(found) == 6
    words, robot = problems
    assert words.startswith(
        f'topic /{SAID}: 5 messages cannot be read and are not heard, first at 1.200000 s: 0 bytes '
    )
    assert robot.startswith(f'topic /{ROBOT}: 1 messages cannot be read')
    assert '\n' not in words + robot
    # Read again, they are not counted twice; without speech nothing is said of them.
    with open_bag(folder) as bag:
        for _ in range(2):
            assert len(list(bag.images_and_speech())) == 6
            assert bag.problems == problems
    with open_bag(folder) as bag:
        assert len(list(bag.images())) == 4
        assert bag.problems == []


def test_a_name_with_odd_signs_stays_one_line(tmp_path):
    messages = [
        image(0, SECOND, '/c\nd/image'),
        *(recorded(said('yes'), SECOND + 1, space) for space in ('/a\nb', '/b\x1b[1m')),
    ]
    _, (line,) = heard(write_bag(tmp_path / 'bag', messages))
    assert 'none of them that of /c?d/image, and' in line
    assert line.endswith('name one: /a?b, /b?[1m')


def test_of_a_huge_text_what_the_dialogue_manager_looks_at_is_kept(tmp_path):
    text = 'wörter ' * 20_000
    messages = [image(0, SECOND), recorded(said(text), SECOND + 1)]
    ((speech,), problems) = heard(write_bag(tmp_path / 'bag', messages))
    assert problems == []
    assert speech.text == text[: 2 * MAX_WORDS]


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_hours_of_speech_without_an_image_are_not_held_in_memory(tmp_path, storage):
    def messages():
        yield image(0, SECOND)
        for number in range(12_000):
            yield recorded(said(f'{number} ' + 'x' * 3000), SECOND + 1 + number)
        yield image(1, 2 * SECOND)

    folder = write_bag(tmp_path / 'bag', messages(), storage)
    tracemalloc.start()
    with open_bag(folder) as bag:
        numbers = [
            int(item.text.split()[0]) if isinstance(item, SpeechMessage) else item.nanoseconds
            for item in bag.images_and_speech()
        ]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert numbers == [SECOND, *range(12_000), 2 * SECOND]
    # 36 MB of text; a chunk of MCAP has 1 MB, and its index is read.
    assert peak < 18e6


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_speech_between_emotions(tmp_path, storage):
    def emotion(time, topic='/robot/emotion'):
        return topic, EMOTION, time, serialize(emotion_message(None, Header(time), ''))

    messages = [
        recorded(voice(), SECOND - 1, '/robot'),
        emotion(SECOND),
        recorded(said('hello'), SECOND + 1, '/robot'),
        recorded(said('from elsewhere'), SECOND + 1),
        (f'/robot/{SAID}', STRING, SECOND + 2, b''),
        emotion(2 * SECOND),
        recorded(speaking(), 2 * SECOND, '/robot'),
    ]
    with EmotionBag(write_bag(tmp_path / 'bag', messages, storage)) as bag:
        assert (bag.topic, bag.all_faces) == ('/robot/emotion', False)
        found = [
            item.stamp if isinstance(item, FrameResult) else item
            for item in bag.results_and_speech()
        ]
        assert found == [voice(), 1.0, said('hello'), 2.0, speaking()]
        (line,) = bag.problems
        assert line.startswith(f'topic /robot/{SAID}: 1 messages cannot be read')
        assert [result.stamp for result in bag.results()] == [1.0, 2.0]


def test_the_topics_are_those_that_the_live_node_hears():
    node = Path(__file__).parents[2] / 'emotion_estimator' / 'nodes' / 'dialogue_manager.py'
    for name in (USER, SAID, ROBOT):
        assert f"'{name}', self._on_" in node.read_text()
