"""Bags that are written hold what was put in, for rosbags and for ROS, with original stamps."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
import yaml
from bag_making import SECOND, image_bytes, numbered, picture, storage_file, write_bag
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from emotion_estimator.bags.messages import (
    DIALOGUE_ACTION,
    EMOTION,
    EMOTION_ARRAY,
    IMAGE,
    Header,
    action_message,
    definition,
    deserialize,
    emotion_message,
    emotions_message,
    image_message,
    read_action,
    read_header,
    read_result,
    serialize,
    truth_message,
    typestore,
)
from emotion_estimator.bags.reader import open_bag, read_actions, read_emotions
from emotion_estimator.bags.storage import Bag
from emotion_estimator.bags.writer import ANNOTATIONS_TOPIC, BagWriter
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.emotion import FaceEmotion, Roi
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult

HEADER = Header(1_763_000_000_123_456_789, 'camera_optical_frame')
LABELS = ('happy', 'unknown', 'sad')
ACTION = DialogueAction(
    action='check_in', topic='hobbies', approach='warm', utterance='Wie geht es dir? \u2026',
    reason='sad for 3 s', emotion='sad', confidence=0.75, rule='sadness', face_id='face_1',
    stamp=HEADER.stamp, suppressed=('smile: cooldown, 3.0 s left', 'sing: person speaking'),
)  # fmt: skip

text = st.text(st.characters(exclude_categories=['Cs'], exclude_characters='\0'), max_size=12)
score = st.floats(0, 1, width=32)
place = st.integers(0, 2**32 - 1)
ANGLES = ('head_yaw', 'head_pitch', 'head_roll', 'gaze_yaw', 'gaze_pitch')
LATER = (*ANGLES, 'looks_at_camera', 'speaking', 'is_speaking')
faces = st.builds(
    FaceEmotion,
    face_id=text,
    label=st.sampled_from(LABELS),
    confidence=score,
    labels=st.just(LABELS),
    probabilities=st.lists(score, min_size=3, max_size=3).map(lambda p: np.array(p, np.float32)),
    roi=st.builds(Roi, place, place, place, place),
    blendshapes=st.sampled_from([0, 52]).map(lambda n: np.linspace(0, 1, n, dtype=np.float32)),
    model=text,
    **{name: st.floats(-180, 180, width=32) for name in ANGLES},
    looks_at_camera=st.booleans(),
    speaking=score,
    is_speaking=st.booleans(),
)
headers = st.builds(Header, st.integers(0, (2**31 - 1) * SECOND), text)
FACE = FaceEmotion(
    'face_7', 'sad', 0.5, LABELS, np.array([0.25, 0.25, 0.5], np.float32), Roi(1, 2, 30, 40),
    np.linspace(0, 1, 52, dtype=np.float32), model='emotion_lstm 2.0.0',
)  # fmt: skip


@pytest.fixture(params=[(s, c) for s in ('mcap', 'sqlite3') for c in ('none', 'zstd')],
                ids='-'.join)  # fmt: skip
def kind(request):
    return request.param


def same(a: FaceEmotion, b: FaceEmotion) -> bool:
    values = ('face_id', 'label', 'confidence', 'labels', 'roi', 'model', *LATER)
    return all(getattr(a, v) == getattr(b, v) for v in values) and all(
        np.array_equal(getattr(a, v), getattr(b, v)) for v in ('probabilities', 'blendshapes')
    )


@settings(deadline=None)
@given(faces, headers)
def test_a_face_comes_back_as_it_was(face, header):
    data = serialize(emotion_message(face, header, face.model))
    assert read_header(data) == header
    result = read_result(data, EMOTION)
    assert result.stamp == header.stamp
    assert same(result.faces[0], face)


@settings(deadline=None)
@given(st.lists(faces, max_size=3), headers)
def test_all_faces_come_back_in_their_order(many, header):
    data = serialize(emotions_message(many, header, ''))
    back = read_result(data, EMOTION_ARRAY).faces
    # The model is the estimator's, one for all.
    assert [face.face_id for face in back] == [face.face_id for face in many]
    assert all(np.array_equal(a.probabilities, b.probabilities) for a, b in zip(back, many))


FORMER = {
    EMOTION: 'emotion_estimator/msg/EmotionBeforeHeadPose',
    EMOTION_ARRAY: 'emotion_estimator/msg/EmotionArrayBeforeHeadPose',
}


def as_recorded_before(message, kind):
    """Return a message's bytes as the version before the fields of ``LATER`` wrote them."""
    types = typestore().types

    def former(of):
        fields = {name: value for name, value in vars(of).items() if name not in LATER}
        return types[FORMER[EMOTION]](**fields)

    if kind == EMOTION:
        return bytes(typestore().serialize_cdr(former(message), FORMER[kind]))
    emotions = [former(each) for each in message.emotions]
    array = types[FORMER[kind]](header=message.header, emotions=emotions)
    return bytes(typestore().serialize_cdr(array, FORMER[kind]))


@settings(deadline=None)
@given(st.lists(faces, min_size=1, max_size=4), headers)
def test_faces_recorded_before_head_pose_come_back_with_the_defaults(many, header):
    plain = [
        dataclasses.replace(face, **{name: type(getattr(face, name))() for name in LATER})
        for face in many
    ]
    one = as_recorded_before(emotion_message(many[0], header, many[0].model), EMOTION)
    result = read_result(one, EMOTION)
    assert result.stamp == header.stamp
    assert same(result.faces[0], plain[0])
    together = as_recorded_before(emotions_message(many, header, 'm'), EMOTION_ARRAY)
    back = read_result(together, EMOTION_ARRAY).faces
    assert len(back) == len(many)
    for face, expected in zip(back, plain):
        assert same(face, dataclasses.replace(expected, model='m'))


def test_the_former_definition_is_the_one_that_was_recorded():
    fields = [name for name, _ in typestore().fielddefs[FORMER[EMOTION]][1]]
    assert fields == [
        'header', 'face_id', 'label', 'confidence', 'labels', 'probabilities', 'blendshapes',
        'roi', 'model', 'latency', 'valence', 'arousal',
    ]  # fmt: skip


def test_what_is_neither_form_is_named_as_the_bags_type():
    for kind in (EMOTION, EMOTION_ARRAY):
        with pytest.raises(InputError, match=f'are not a valid {kind} '):
            read_result(b'\0\1\0\0' + bytes(5), kind)


@settings(deadline=None)
@given(st.builds(DialogueAction, *[text] * 6, score, text, text, st.just(0.0)), headers)
def test_an_action_comes_back_with_its_images_stamp(action, header):
    back = read_action(serialize(action_message(action, header)))
    assert {**vars(back), 'stamp': 0.0} == vars(action)
    assert back.stamp == header.stamp


@settings(deadline=None)
@given(headers)
def test_nobody_is_a_message_too(header):
    data = serialize(emotion_message(None, header, 'the model'))
    assert read_result(data, EMOTION).faces == ()
    message = deserialize(data, EMOTION)
    assert (message.label, message.model, message.confidence) == ('none', 'the model', 0.0)


def write_all(folder: Path, storage='mcap', compression='none') -> Path:
    with BagWriter(folder, storage, compression) as writer:
        for n in range(5):
            header = Header(HEADER.nanoseconds + n * SECOND // 10, HEADER.frame_id)
            writer.image('/image', picture(n), header)
            writer.image('/image/compressed', picture(n), header, 90)
            writer.truth('happy', header)
            writer.result(FrameResult(header.stamp, (FACE,)), header, 'emotion_lstm 2.0.0')
        writer.action(ACTION, HEADER)
    return folder


def test_everything_comes_back_from_every_kind_of_bag(tmp_path, kind):
    folder = write_all(tmp_path / 'bag', *kind)
    with open_bag(folder, '/image/compressed') as bag:
        images = list(bag.images())
        assert [image.nanoseconds - HEADER.nanoseconds for image in images] == [
            n * SECOND // 10 for n in range(5)
        ]
        assert np.abs(images[3].decode().astype(int) - picture(3)).max() < 12
        assert bag.problems == []
        # What is published on an image has its time in the bag.
        times = [message.log_time for message in bag.messages()]
        assert times == sorted(times)
        assert len(set(times)) == 5
    results = list(read_emotions(folder))
    assert [same(result.faces[0], FACE) for result in results] == [True] * 5
    assert list(read_actions(folder)) == [ACTION]


def test_the_same_messages_give_the_same_bytes(tmp_path, kind):
    folders = [write_all(tmp_path / which / 'bag', *kind) for which in 'ab']
    first, second = ([f.read_bytes() for f in sorted(folder.iterdir())] for folder in folders)
    assert first == second


def test_readers_that_know_no_type_find_its_definition_in_the_bag(tmp_path, kind):
    with AnyReader([write_all(tmp_path / 'bag', *kind)]) as reader:
        for connection, _, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            if connection.topic == ANNOTATIONS_TOPIC:
                # This type has no header, but a stamp in each drawing.
                assert {each.timestamp.sec for each in message.points} <= {
                    HEADER.nanoseconds // SECOND
                }
                assert [text.text for text in message.texts] == ['sad 0.50']
            else:
                assert message.header.frame_id == HEADER.frame_id
        assert reader.typestore.types[EMOTION].LABEL_HAPPY == 'happy'


def test_constants_are_written_as_ros_2_writes_them():
    assert 'string LABEL_HAPPY="happy"\n' in definition(EMOTION)[0]
    assert 'string LABEL_HAPPY="happy"\n' in definition(EMOTION_ARRAY)[0]


def test_metadata_as_rosbag2_wants_it(tmp_path):
    folder = write_all(tmp_path / 'bag')
    metadata = yaml.safe_load((folder / 'metadata.yaml').read_text())
    information = metadata['rosbag2_bagfile_information']
    # Up to 8, offers of quality are text, which Humble needs.
    assert information['version'] == 8
    assert information['message_count'] == 31
    assert information['starting_time']['nanoseconds_since_epoch'] == HEADER.nanoseconds
    for topic in information['topics_with_message_count']:
        (offer,) = yaml.safe_load(topic['topic_metadata']['offered_qos_profiles'])
        # Reliable (1) and volatile (2), as rmw numbers them.
        assert (offer['reliability'], offer['durability'], offer['depth']) == (1, 2, 10)


def test_nothing_is_overwritten(tmp_path):
    folder = write_all(tmp_path / 'bag')
    before = storage_file(folder).read_bytes()
    with pytest.raises(InputError, match='bag exists; give another folder'):
        BagWriter(folder)
    assert storage_file(folder).read_bytes() == before


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / 'file').write_text('')
    with (
        BagWriter(tmp_path / 'file' / 'bag') as writer,
        pytest.raises(InputError, match='bag cannot be written'),
    ):
        writer.truth('happy', HEADER)


def test_sqlite_takes_no_name_that_its_addresses_cannot_hold(tmp_path):
    with pytest.raises(InputError, match='choose mcap'):
        BagWriter(tmp_path / 'run #2', 'sqlite3')
    assert write_all(tmp_path / 'run #2').is_dir()


def test_no_message_no_folder(tmp_path):
    with BagWriter(tmp_path / 'bag'):
        pass
    assert not (tmp_path / 'bag').exists()


def test_an_error_leaves_a_complete_bag(tmp_path, kind):
    with pytest.raises(KeyError), BagWriter(tmp_path / 'bag', *kind) as writer:
        writer.truth('happy', HEADER)
        raise KeyError
    assert [r.label for r in read_emotions(tmp_path / 'bag', 'ground_truth')] == ['happy']


def test_a_stamp_before_the_epoch_is_kept_in_the_header(tmp_path, kind):
    header = Header(-3 * SECOND // 2, 'past')
    with BagWriter(tmp_path / 'bag', *kind) as writer:
        writer.image('/image', picture(1), header)
    with open_bag(tmp_path / 'bag') as bag:
        assert [image.nanoseconds for image in bag.images()] == [header.nanoseconds]


# Copies


@pytest.mark.parametrize('source', ['mcap', 'sqlite3'])
def test_copies_are_the_same_messages(tmp_path, source, kind):
    original = write_bag(tmp_path / 'original', numbered(8), source)
    with Bag(original) as bag, BagWriter(tmp_path / 'copy', *kind) as writer:
        assert all(writer.copy(message) for message in bag.messages())
    with Reader(original) as a, Reader(tmp_path / 'copy') as b:
        assert [(t, bytes(d)) for _, t, d in a.messages()] == [
            (t, bytes(d)) for _, t, d in b.messages()
        ]
        (one,), (two,) = a.connections, b.connections
        assert (one.topic, one.msgtype, one.digest) == (two.topic, two.msgtype, two.digest)
        assert one.msgdef == two.msgdef


@pytest.mark.parametrize('text', ['', 'uint8 x\n', 'no definition at all'])
def test_a_type_that_nobody_knows_is_copied(tmp_path, text, kind):
    with Writer(tmp_path / 'a', version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        odd = writer.add_connection('/o', 'odd_msgs/msg/Odd', msgdef=text, rihs01='RIHS01_0')
        writer.write(odd, SECOND, b'\0\1\0\0\5')
    with Bag(tmp_path / 'a') as bag, BagWriter(tmp_path / 'b', *kind) as copies:
        for message in bag.messages():
            copies.copy(message)
    with Bag(tmp_path / 'b') as bag:
        (message,) = bag.messages()
        assert (message.topic, message.data) == ('/o', b'\0\1\0\0\5')
        assert message.connection.msgtype == 'odd_msgs/msg/Odd'
        assert message.connection.msgdef.data == text


def test_new_results_take_the_place_of_recorded_ones(tmp_path):
    with Bag(write_all(tmp_path / 'a')) as bag, BagWriter(tmp_path / 'b') as writer:
        copied = {message.topic for message in bag.messages() if writer.copy(message)}
    assert copied == {'/image', '/image/compressed', '/ground_truth'}


# By ROS itself


@pytest.fixture
def messages():
    """Import ROS and the messages it makes of ours, or skip."""
    pytest.importorskip('rclpy')
    return pytest.importorskip('emotion_estimator.msg')


def header_message():
    from builtin_interfaces.msg import Time
    from std_msgs.msg import Header as RosHeader

    stamp = Time(sec=1_763_000_000, nanosec=123_456_789)
    return RosHeader(stamp=stamp, frame_id=HEADER.frame_id)


def both_ways(messages):
    """Yield our bytes, and the message that the nodes publish of the same."""
    from emotion_estimator.msg import Emotion, EmotionArray
    from emotion_estimator.nodes import conversion

    header = header_message()
    face = conversion.emotion_message(FACE, header, model=FACE.model)
    yield emotion_message(FACE, HEADER, FACE.model), face
    nobody = conversion.emotion_message(None, header, model='m')
    yield emotion_message(None, HEADER, 'm'), nobody
    yield emotions_message([FACE], HEADER, FACE.model), EmotionArray(header=header, emotions=[face])
    yield emotions_message([], HEADER, 'm'), EmotionArray(header=header)
    yield action_message(ACTION, HEADER), conversion.action_message(ACTION, header)
    yield image_message(picture(3), HEADER, None), conversion.image_message(picture(3), header)
    compressed = conversion.compressed_image_message(picture(3), header, 90)
    yield image_message(picture(3), HEADER, 90), compressed
    # As nodes/camera.py publishes it.
    truth = Emotion(header=header, label='happy', confidence=1.0, model='ground truth')
    yield truth_message('happy', HEADER), truth


def test_ros_reads_our_bytes_as_what_the_nodes_publish_and_we_read_its(messages):
    from rclpy.serialization import deserialize_message, serialize_message

    for ours, theirs in both_ways(messages):
        data = serialize(ours)
        assert deserialize_message(data, type(theirs)) == theirs
        # ROS pads differently at the end; what is read is the same.
        back = deserialize(serialize_message(theirs), ours.__msgtype__)
        assert serialize(back) == data


def test_the_types_have_the_hash_that_ros_gives_them(messages):
    from ament_index_python import get_package_share_directory

    folder = Path(get_package_share_directory('emotion_estimator'), 'msg')
    if os.environ.get('ROS_DISTRO') == 'humble':
        pytest.skip('Humble has no hashes')
    for kind in (EMOTION, EMOTION_ARRAY, DIALOGUE_ACTION):
        hashes = json.loads((folder / f'{kind.split("/")[-1]}.json').read_text())['type_hashes']
        assert definition(kind)[1] == next(
            entry['hash_string'] for entry in hashes if entry['type_name'] == kind
        )


def test_images_of_ros_are_read(messages, tmp_path):
    from rclpy.serialization import serialize_message

    from emotion_estimator.nodes.conversion import image_message as ros_image

    data = serialize_message(ros_image(picture(4), header_message()))
    with open_bag(write_bag(tmp_path / 'bag', [('/image', IMAGE, SECOND, data)])) as bag:
        (image,) = bag.images()
        assert (image.nanoseconds, image.frame_id) == (HEADER.nanoseconds, HEADER.frame_id)
        assert image.decode().tolist() == picture(4).tolist()
    assert image_bytes(4, SECOND)[4:12] != data[4:12]
