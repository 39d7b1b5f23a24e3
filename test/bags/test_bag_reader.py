"""Bags of every kind are read without ROS; of a bad one, what can be, and one line says why."""

from __future__ import annotations

import shutil
import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from bag_making import KINDS, SECOND, image_bytes, numbered, picture, storage_file, write_bag
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from emotion_estimator.bags.border import ZSTD_MAGIC
from emotion_estimator.bags.messages import (
    COMPRESSED_IMAGE,
    EMOTION,
    EMOTION_ARRAY,
    IMAGE,
    Header,
    emotion_message,
    emotions_message,
    image_message,
    make,
    read_header,
    serialize,
    typestore,
)
from emotion_estimator.bags.reader import open_bag, read_actions, read_emotions
from emotion_estimator.bags.sqlite_file import SqliteFile
from emotion_estimator.bags.storage import Bag
from emotion_estimator.bags.writer import BagWriter
from emotion_estimator.emotion import FaceEmotion, Roi
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult

ODD_NAME = 'run #2 100%?'


def stamps_and_frames(bag):
    return [(image.nanoseconds, image.frame_id) for image in bag.images()]


EXPECTED = [(SECOND + n * SECOND // 10, f'f{n}') for n in range(12)]


@pytest.fixture(params=KINDS, ids='-'.join)
def kind(request):
    return request.param


@pytest.mark.parametrize('quality', [None, 95])
def test_every_kind_of_bag_gives_the_same_images(tmp_path, kind, quality):
    folder = write_bag(tmp_path / 'bag', numbered(12, quality=quality), *kind)
    with open_bag(folder) as bag:
        assert (bag.topic, bag.count, bag.duration) == ('/image_raw', 12, pytest.approx(1.1))
        assert bag.topics == {'/image_raw': IMAGE if quality is None else COMPRESSED_IMAGE}
        images = list(bag.images())
        assert [(image.nanoseconds, image.frame_id) for image in images] == EXPECTED
        for number, image in enumerate(images):
            error = np.abs(image.decode().astype(int) - picture(number)).max()
            assert error <= (0 if quality is None else 12)
        # Twice the same, and nothing to complain of.
        assert stamps_and_frames(bag) == EXPECTED
        assert bag.problems == []


def test_a_single_file_is_a_bag(tmp_path, kind):
    file = storage_file(write_bag(tmp_path / 'bag', numbered(12), *kind))
    with open_bag(file) as bag:
        assert stamps_and_frames(bag) == EXPECTED
        assert next(iter(bag.images())).decode().tolist() == picture(0).tolist()
        assert bag.problems == []


def test_without_its_metadata_a_folder_is_read_and_that_is_reported(tmp_path, kind):
    folder = write_bag(tmp_path / 'bag', numbered(12), *kind)
    (folder / 'metadata.yaml').unlink()
    with open_bag(folder) as bag:
        assert stamps_and_frames(bag) == EXPECTED
        assert bag.problems == [f'bag {folder} has no metadata.yaml; read without it']


@pytest.mark.parametrize('text', ['', '{', 'a: b', 'rosbag2_bagfile_information: 3', '\xff'])
def test_with_damaged_metadata_likewise(tmp_path, text):
    folder = write_bag(tmp_path / 'bag', numbered(12))
    (folder / 'metadata.yaml').write_text(text, encoding='latin-1')
    with open_bag(folder) as bag:
        assert stamps_and_frames(bag) == EXPECTED
        assert len(bag.problems) == 1
        assert 'not valid rosbag2 metadata' in bag.problems[0]


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_names_that_are_odd_in_addresses(tmp_path, storage):
    # rosbags cannot write to such a name either.
    folder = write_bag(tmp_path / 'bag', numbered(12), storage).rename(tmp_path / ODD_NAME)
    with open_bag(folder) as bag:
        assert stamps_and_frames(bag) == EXPECTED
        assert bag.problems == []


def split_bag(folder: Path) -> Path:
    """Write a bag of eleven files, whose names do not sort as text."""
    folder.mkdir()
    messages = list(numbered(11))
    for number, message in enumerate(messages):
        part = write_bag(folder / 'part', [message])
        storage_file(part).rename(folder / f'bag_{number}.mcap')
        shutil.rmtree(part)
    return folder


def test_a_split_bag_is_read_in_the_order_of_its_numbers(tmp_path):
    folder = split_bag(tmp_path / 'bag')
    with open_bag(folder) as bag:
        assert stamps_and_frames(bag) == EXPECTED[:11]


def test_a_split_bag_is_read_in_the_order_of_its_metadata_and_what_it_lacks_is_reported(tmp_path):
    folder = split_bag(tmp_path / 'bag')
    names = [f'bag/bag_{number}.mcap' for number in (*range(11), 99)]
    (folder / 'metadata.yaml').write_text(
        yaml.safe_dump({'rosbag2_bagfile_information': {'relative_file_paths': names}})
    )
    (folder / 'bag_3.mcap').write_bytes(b'')
    with open_bag(folder) as bag:
        assert stamps_and_frames(bag) == EXPECTED[:3] + EXPECTED[4:11]
        assert bag.problems == [
            f'bag {folder} lacks its file bag_99.mcap',
            f'bag file {folder / "bag_3.mcap"} is empty (0 bytes)',
        ]


def test_big_endian_messages(tmp_path):
    message = image_message(picture(7), Header(3 * SECOND + 5, 'far'), None)
    data = bytes(typestore().serialize_cdr(message, IMAGE, little_endian=False))
    with open_bag(write_bag(tmp_path / 'bag', [('/image', IMAGE, SECOND, data)])) as bag:
        (image,) = bag.images()
        assert (image.nanoseconds, image.frame_id) == (3 * SECOND + 5, 'far')
        assert image.decode().tolist() == picture(7).tolist()


def test_other_encodings_are_read_as_the_node_reads_them(tmp_path):
    fields = dict(vars(image_message(picture(7), Header(SECOND), None)))
    grey = np.arange(24 * 40, dtype=np.uint8)
    fields.update(encoding='mono8', step=40, data=grey)
    data = serialize(make(IMAGE, **fields))
    with open_bag(write_bag(tmp_path / 'bag', [('/image', IMAGE, SECOND, data)])) as bag:
        (image,) = bag.images()
        expected = grey.reshape(24, 40)[:, :32, None].repeat(3, axis=2)
        assert image.decode().tolist() == expected.tolist()


# Stamps


def test_images_come_by_stamp_not_by_time_of_recording(tmp_path):
    stamps = [10, 12, 11, 13]
    messages = [
        ('/image', IMAGE, 100 * SECOND + i, image_bytes(i, stamp * SECOND // 10))
        for i, stamp in enumerate(stamps)
    ]
    with open_bag(write_bag(tmp_path / 'bag', messages)) as bag:
        assert [image.stamp for image in bag.images()] == [1.0, 1.1, 1.2, 1.3]
        expected = ['topic /image: stamps do not increase: 1 late, sorted in']
        assert bag.problems == expected
        # Counted again from zero.
        assert len(list(bag.images())) == 4
        assert bag.problems == expected


def test_a_stamp_that_nobody_set_is_the_time_of_recording(tmp_path):
    messages = [('/image', IMAGE, n * SECOND, image_bytes(n, 0)) for n in (4, 5)]
    with open_bag(write_bag(tmp_path / 'bag', messages)) as bag:
        assert stamps_and_frames(bag) == [(4 * SECOND, 'f4'), (5 * SECOND, 'f5')]


def test_a_stamp_is_the_number_that_the_node_makes_of_it():
    header = Header(1_763_000_000_123_456_789)
    assert header.stamp == 1_763_000_000.0 + 123_456_789 * 1e-9


@settings(deadline=None)
@given(st.lists(st.floats(0.5, 3.0), max_size=4), st.integers(0, 30))
def test_pieces_together_are_the_complete_bag(made_in, cuts, swap):
    folder = made_in / 'pieces'
    if not folder.exists():
        write_bag(folder, numbered(20))
    edges = [None, *sorted(cuts), None]
    with open_bag(folder) as bag:
        complete = stamps_and_frames(bag)
        pieces = [
            (image.nanoseconds, image.frame_id)
            for begin, end in pairwise(edges)
            for image in bag.images(begin, end)
        ]
    assert pieces == complete


@pytest.fixture(scope='session')
def made_in(tmp_path_factory):
    return tmp_path_factory.mktemp('bags')


# Which topic


def many_topics(folder: Path, *names: str) -> Path:
    messages = [
        (name, COMPRESSED_IMAGE if name.endswith('compressed') else IMAGE, SECOND, image_bytes(
            1, SECOND, 90 if name.endswith('compressed') else None))
        for name in names
    ]  # fmt: skip
    return write_bag(folder, messages)


def refusal(path: Path, topic: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        open_bag(path, topic)
    assert '\n' not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_of_several_topics_one_has_to_be_named(tmp_path):
    folder = many_topics(tmp_path / 'bag', '/right', '/left')
    assert refusal(folder).endswith('has images on several topics, name one: /left, /right')
    assert open_bag(folder, '/right').topic == open_bag(folder, 'right').topic == '/right'
    assert 'has no topic /up; choose /left, /right' in refusal(folder, 'up')


def test_of_a_topic_and_its_compressed_one_the_raw_one_is_read(tmp_path):
    folder = many_topics(tmp_path / 'bag', '/camera/compressed', '/camera')
    assert open_bag(folder).topic == '/camera'
    assert open_bag(folder, '/camera/compressed').topic == '/camera/compressed'


def test_a_topic_stands_for_its_compressed_one_where_that_alone_is_there(tmp_path):
    folder = many_topics(tmp_path / 'bag', '/left/compressed', '/right')
    assert open_bag(folder, 'left').topic == '/left/compressed'


def with_other(folder: Path, *messages) -> Path:
    """Write a bag with a topic whose type nobody here knows."""
    with Writer(folder, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        odd = writer.add_connection(
            '/other', 'nobody_msgs/msg/Nothing', msgdef='', rihs01='RIHS01_0'
        )
        writer.write(odd, SECOND, b'\0\1\0\0\5')
        for topic, kind, time, data in messages:
            connection = writer.add_connection(topic, kind, typestore=typestore())
            writer.write(connection, time, data)
    return folder


def test_an_unknown_type_beside_the_images_does_no_harm(tmp_path):
    folder = with_other(tmp_path / 'bag', *numbered(1))
    with open_bag(folder) as bag:
        assert bag.topics['/other'] == 'nobody_msgs/msg/Nothing'
        assert stamps_and_frames(bag) == EXPECTED[:1]


# Bad bags


def test_a_topic_of_an_unknown_type(tmp_path):
    line = refusal(with_other(tmp_path / 'bag', *numbered(1)), '/other')
    assert 'is of type nobody_msgs/msg/Nothing' in line
    assert line.endswith('choose /image_raw')


def test_no_image_topic(tmp_path):
    line = refusal(with_other(tmp_path / 'bag'))
    assert 'has no images' in line
    assert '/other (nobody_msgs/msg/Nothing)' in line


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_an_empty_bag(tmp_path, storage):
    folder = write_bag(tmp_path / 'bag', [], storage)
    assert refusal(folder).endswith('is empty: it has no messages')


def test_a_topic_without_messages(tmp_path):
    folder = tmp_path / 'bag'
    with Writer(folder, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.add_connection('/silent', IMAGE, typestore=typestore())
        left = writer.add_connection('/left', IMAGE, typestore=typestore())
        writer.write(left, SECOND, image_bytes(1, SECOND))
    assert open_bag(folder).topic == '/left'
    assert refusal(folder, '/silent').endswith('no message on its topic /silent; choose /left')


def test_a_missing_bag(tmp_path):
    assert refusal(tmp_path / 'nowhere').endswith('does not exist')


def test_another_file(tmp_path):
    (tmp_path / 'film.mp4').write_bytes(b'0123')
    assert '.mcap, .db3' in refusal(tmp_path / 'film.mp4')


def test_a_folder_without_a_bag(tmp_path):
    assert 'has no .mcap or .db3 file' in refusal(tmp_path)


@pytest.mark.parametrize('name', ['bag.mcap', 'bag.db3'])
@pytest.mark.parametrize('content', [b'', b'x', b'nothing like a bag' * 1000])
def test_a_file_that_is_none(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    line = refusal(tmp_path / name)
    assert ('is empty' if not content else 'nothing in it can be read') in line


def ros1_bag(path: Path) -> Path:
    store = get_typestore(Stores.ROS1_NOETIC)
    with Ros1Writer(path) as writer:
        connection = writer.add_connection('/chatter', 'std_msgs/msg/String', typestore=store)
        message = store.types['std_msgs/msg/String']('hello')
        data = store.serialize_ros1(message, 'std_msgs/msg/String')
        writer.write(connection, SECOND, bytes(data))
    return path


def test_a_bag_of_ros_1(tmp_path):
    bag = ros1_bag(tmp_path / 'old.bag')
    assert 'is of ROS 1; convert it with `rosbags-convert --src' in refusal(bag)
    shutil.copy(bag, tmp_path / 'named.mcap')
    assert 'is of ROS 1' in refusal(tmp_path / 'named.mcap')
    (tmp_path / 'named.mcap').unlink()
    with pytest.raises(InputError, match='is of ROS 1'):
        open_bag(tmp_path)


def test_images_that_do_not_decode_are_counted_and_passed(tmp_path):
    messages = list(numbered(6, quality=90))
    for number, data in ((1, messages[1][3][:-40]), (2, b'\0\1\0\0xx'), (4, b'')):
        messages[number] = (*messages[number][:3], data)
    with open_bag(write_bag(tmp_path / 'bag', messages)) as bag:
        decoded = []
        for image in bag.images():
            try:
                decoded.append(image.decode()[0, 0, 0])
            except InputError as error:
                assert '\n' not in str(error)
        assert len(decoded) == 3
        (line,) = bag.problems
        assert line.startswith('topic /image_raw: 3 images do not decode, first at 1.100000 s: ')


def readable(path: Path) -> tuple[list[str], list[str]]:
    """Return the frames of the images that can be read, and the problems, if there is any."""
    try:
        bag = open_bag(path)
    except InputError as error:
        assert '\n' not in str(error)
        return [], [str(error)]
    frames = []
    with bag:
        for image in bag.images():
            try:
                image.decode()
            except InputError:
                continue
            frames.append(image.frame_id)
        assert all('\n' not in line for line in bag.problems)
        return frames, bag.problems


def noise(count: int, size: tuple[int, int]) -> list:
    """Return images that cannot be compressed, so that a file's share is that of its images."""
    random = np.random.RandomState(1)
    messages = []
    for n in range(1, count + 1):
        pixels = random.randint(0, 256, (*size, 3)).astype(np.uint8)
        time = n * SECOND // 10
        data = serialize(image_message(pixels, Header(time, f'f{n}'), None))
        messages.append(('/image', IMAGE, time, data))
    return messages


@pytest.mark.parametrize('mode', ['none', 'storage', 'lz4', 'message'])
@pytest.mark.parametrize('share', [0.3, 0.6, 0.99])
def test_what_a_truncated_mcap_still_holds_is_read(tmp_path, mode, share):
    # Pixels that cannot be compressed, so that the file's share is that of the images.
    messages = noise(200, (48, 64))
    file = storage_file(write_bag(tmp_path / 'bag', messages, 'mcap', mode))
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    frames, problems = readable(file)
    assert frames == [f'f{n}' for n in range(1, len(frames) + 1)]
    # zstd decompresses blocks of 128 kB completely or not at all.
    assert len(frames) >= int(200 * share) - 16
    (line,) = problems
    assert 'is damaged (it is cut off at byte' in line


@pytest.mark.parametrize('share', [0.3, 0.6, 0.99])
def test_what_a_truncated_sqlite_still_holds_is_read(tmp_path, share):
    file = storage_file(write_bag(tmp_path / 'bag', numbered(200), 'sqlite3'))
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    frames, problems = readable(file)
    assert frames == [f'f{n}' for n in range(len(frames))]
    assert len(frames) >= int(200 * share) - 20
    assert 'is damaged' in problems[0]


def test_a_truncated_compressed_file(tmp_path):
    file = storage_file(write_bag(tmp_path / 'bag', numbered(200), 'mcap', 'file'))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    _, problems = readable(file)
    assert 'is damaged' in problems[0]


def test_a_damaged_index_by_time_repeats_no_message(tmp_path, monkeypatch):
    folder = write_bag(tmp_path / 'bag', numbered(30), 'sqlite3')
    intact = SqliteFile.messages

    def damaged(file, topics, damage):
        for number, (connection, time, data) in enumerate(intact(file, topics, damage)):
            if number == 14:
                time -= SECOND
            yield connection, time, data

    monkeypatch.setattr(SqliteFile, 'messages', damaged)
    with Bag(folder) as bag:
        stamps = [read_header(message.data).nanoseconds for message in bag.messages()]
        assert stamps == [SECOND + n * SECOND // 10 for n in range(30)]
        assert 'is damaged (its index by time is damaged)' in bag.problems[0]


def test_a_damaged_chunk_costs_itself_and_no_other(tmp_path):
    messages = noise(150, (96, 128))
    file = storage_file(write_bag(tmp_path / 'bag', messages, 'mcap', 'storage'))
    data = bytearray(file.read_bytes())
    frame = data.index(ZSTD_MAGIC, len(data) // 2)
    data[frame] ^= 1
    file.write_bytes(data)
    frames, problems = readable(file)
    assert {'f1', 'f150'} <= set(frames)
    # Chunks are 1 MiB: 28 images.
    assert len(frames) >= 150 - 30
    assert 'is damaged' in problems[0]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(KINDS), st.floats(0, 1, exclude_max=True), st.integers(1, 255), st.data())
def test_no_damage_raises_anything_else(made_in, kind, place, change, data):
    complete = made_in / '-'.join(kind)
    if not complete.exists():
        write_bag(complete, numbered(30), *kind)
    file = storage_file(complete)
    content = bytearray(file.read_bytes())
    at = int(place * len(content))
    if data.draw(st.booleans(), 'truncated'):
        content = content[:at]
    else:
        content[at] ^= change
    damaged = made_in / f'damaged{"".join(file.suffixes)}'
    damaged.write_bytes(content)
    frames, _ = readable(damaged)
    assert len(frames) <= 30


def test_a_long_bag_is_not_held_in_memory(tmp_path):
    pixels = np.zeros((240, 320, 3), np.uint8)
    with BagWriter(tmp_path / 'bag') as writer:
        for n in range(200):
            writer.image('/image', pixels, Header((1 + n) * SECOND // 10))
    assert sum(file.stat().st_size for file in (tmp_path / 'bag').iterdir()) > 45e6
    tracemalloc.start()
    with open_bag(tmp_path / 'bag') as bag:
        assert sum(image.decode().shape[0] == 240 for image in bag.images()) == 200
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6


# Answers


def face(label='happy', face_id='face_1'):
    probabilities = np.array([0.7, 0.2, 0.1], np.float32)
    return FaceEmotion(
        face_id, label, 0.7, ('happy', 'unknown', 'sad'), probabilities, Roi(1, 2, 3, 4),
        model='a model',
    )  # fmt: skip


def answers(folder: Path) -> Path:
    with BagWriter(folder) as writer:
        for n, faces in enumerate([(face(), face('sad', 'face_2')), (), (face('sad'),)]):
            header = Header((1 + n) * SECOND, 'camera')
            writer.truth('happy', header)
            writer.result(FrameResult(header.stamp, faces), header, 'a model')
    return folder


def test_emotions_are_read_all_faces_where_they_are_there(tmp_path):
    results = list(read_emotions(answers(tmp_path / 'bag')))
    assert [result.stamp for result in results] == [1.0, 2.0, 3.0]
    assert [[f.face_id for f in r.faces] for r in results] == [['face_1', 'face_2'], [], ['face_1']]
    assert [result.label for result in results] == ['happy', 'none', 'sad']


def test_a_topic_of_emotions_can_be_named_the_truth_too(tmp_path):
    folder = answers(tmp_path / 'bag')
    assert [len(r.faces) for r in read_emotions(folder, 'emotion')] == [1, 0, 1]
    assert [r.label for r in read_emotions(folder, '/ground_truth')] == ['happy'] * 3
    with pytest.raises(InputError, match='has no topic /nothing; choose /emotion, /emotions'):
        list(read_emotions(folder, 'nothing'))


def test_emotions_in_a_namespace_but_not_the_truth_are_found(tmp_path):
    truth = serialize(emotion_message(face('sad'), Header(SECOND), ''))
    answer = serialize(emotion_message(face(), Header(SECOND), ''))
    folder = write_bag(tmp_path / 'bag', [
        ('/robot/ground_truth', EMOTION, SECOND, truth), ('/robot/emotion', EMOTION, SECOND, answer)
    ])  # fmt: skip
    assert [result.label for result in read_emotions(folder)] == ['happy']


def test_of_two_estimators_one_has_to_be_named(tmp_path):
    answer = serialize(emotion_message(face(), Header(SECOND), ''))
    folder = write_bag(
        tmp_path / 'bag', [(f'/{name}/emotion', EMOTION, SECOND, answer) for name in 'ab']
    )
    with pytest.raises(InputError, match='several topics, name one: /a/emotion, /b/emotion'):
        list(read_emotions(folder))


@pytest.mark.parametrize('kind', [EMOTION, EMOTION_ARRAY])
def test_emotions_of_before_valence_and_arousal_say_what_to_do(tmp_path, kind):
    header = Header(SECOND)
    message = emotion_message(face(), header, '')
    if kind == EMOTION_ARRAY:
        message = emotions_message([face()], header, '')
    # The last ten fields: eight float32, one bool padded to four bytes, and one bool.
    folder = write_bag(tmp_path / 'bag', [('/emotion', kind, SECOND, serialize(message)[:-37])])
    says = r'another version of this package recorded it, recompute its results .*replay`$'
    with pytest.raises(InputError, match=says) as caught:
        list(read_emotions(folder))
    assert '\n' not in str(caught.value)


def test_a_bag_without_emotions(tmp_path):
    folder = write_bag(tmp_path / 'bag', numbered(1))
    with pytest.raises(InputError, match='has no emotions; `emotion-estimator replay'):
        list(read_emotions(folder))
    assert list(read_actions(folder)) == []


def test_emotions_of_another_definition(tmp_path):
    folder = write_bag(tmp_path / 'bag', [('/emotion', EMOTION, SECOND, image_bytes(1, SECOND))])
    with pytest.raises(InputError, match=r'topic /emotion: .* are not a valid .*/msg/Emotion'):
        list(read_emotions(folder))
