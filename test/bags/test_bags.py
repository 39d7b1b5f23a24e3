"""A bag that cannot be replayed is refused with one line that says why."""

from __future__ import annotations

import pytest
import yaml

from emotion_estimator.bags.files import check_bag, storage_files
from emotion_estimator.errors import InputError

RAW, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'


def make_bag(folder, **topics):
    """Write the metadata of a bag; topics are given without their slash."""
    folder.mkdir()
    topics = [
        {'topic_metadata': {'name': f'/{name}', 'type': kind}, 'message_count': 1}
        for name, kind in topics.items()
    ]
    information = {'version': 5, 'topics_with_message_count': topics}
    (folder / 'metadata.yaml').write_text(
        yaml.safe_dump({'rosbag2_bagfile_information': information})
    )
    return folder


def refusal(bag, *topics, lockstep=False):
    with pytest.raises(InputError) as caught:
        check_bag(bag, topics or ('/image_raw',), lockstep=lockstep)
    assert '\n' not in str(caught.value)
    assert str(bag) in str(caught.value)
    return str(caught.value)


def test_a_bag_with_either_topic_is_taken(tmp_path):
    check_bag(make_bag(tmp_path / 'raw', image=RAW), ('/image', '/image/compressed'))
    bag = make_bag(tmp_path / 'jpeg', **{'image/compressed': COMPRESSED})
    check_bag(bag, ('/image', '/image/compressed'))


@pytest.mark.parametrize('name', ['one.mcap', 'one.db3'])
def test_a_single_file_is_taken(tmp_path, name):
    (tmp_path / name).touch()
    check_bag(tmp_path / name, ('/image_raw',))


def test_a_missing_bag(tmp_path):
    assert 'does not exist' in refusal(tmp_path / 'nowhere')


def test_another_file(tmp_path):
    (tmp_path / 'film.mp4').touch()
    assert '.mcap' in refusal(tmp_path / 'film.mp4')


def test_a_folder_that_is_no_bag(tmp_path):
    assert 'ros2 bag reindex' in refusal(tmp_path)


@pytest.mark.parametrize('text', ['', 'a: b', '{', 'rosbag2_bagfile_information: 3', '\xff'])
def test_metadata_that_is_none(tmp_path, text):
    (tmp_path / 'metadata.yaml').write_text(text, encoding='latin-1')
    assert str(tmp_path / 'metadata.yaml') in refusal(tmp_path)


def test_the_refusal_of_a_topic_lists_the_others(tmp_path):
    bag = make_bag(tmp_path / 'bag', tf='tf2_msgs/msg/TFMessage', front=RAW, back=RAW)
    assert refusal(bag).endswith('has no topic /image_raw; its images are on /front, /back')


def test_a_bag_without_images(tmp_path):
    bag = make_bag(tmp_path / 'bag', tf='tf2_msgs/msg/TFMessage')
    assert refusal(bag).endswith('it holds no images')


def test_files_that_the_metadata_does_not_name_are_read_and_reported(tmp_path):
    names = ['bag/bag_0.mcap', 'bag/bag_1.mcap.zstd']
    (tmp_path / 'metadata.yaml').write_text(
        yaml.safe_dump({'rosbag2_bagfile_information': {'relative_file_paths': names}})
    )
    # The last one is what `ros2 bag play` leaves of the one that it read.
    for name in ('bag_0.mcap', 'bag_1.mcap.zstd', 'bag_2.mcap', 'bag_1.mcap'):
        (tmp_path / name).touch()
    files, problems, topics, messages = storage_files(tmp_path)
    assert [file.name for file in files] == ['bag_0.mcap', 'bag_1.mcap.zstd', 'bag_2.mcap']
    assert problems == [
        f'bag {tmp_path}: bag_2.mcap is read too, which metadata.yaml does not name'
    ]
    assert (topics, messages) == (None, {})


def test_lockstep_reads_what_ros2_bag_play_does_not(tmp_path):
    packed = tmp_path / 'one.mcap.zstd'
    packed.touch()
    assert '.mcap' in refusal(packed)
    check_bag(packed, ('/image_raw',), lockstep=True)
    assert 'ros2 bag reindex' in refusal(tmp_path)
    check_bag(tmp_path, ('/image_raw',), lockstep=True)
    (tmp_path / 'metadata.yaml').write_text('{')
    assert 'metadata.yaml: invalid YAML' in refusal(tmp_path)
    check_bag(tmp_path, ('/image_raw',), lockstep=True)


def test_lockstep_refuses_what_cannot_be_read_and_topics_that_are_not_there(tmp_path):
    assert 'does not exist' in refusal(tmp_path / 'nowhere', lockstep=True)
    assert 'no .mcap or .db3 file' in refusal(tmp_path, lockstep=True)
    bag = make_bag(tmp_path / 'bag', image_raw=RAW)
    (bag / 'bag_0.mcap').touch()
    check_bag(bag, ('/image_raw',), lockstep=True)
    said = refusal(bag, '/image_raw/compressed', lockstep=True)
    assert said.endswith('has no topic /image_raw/compressed; its images are on /image_raw')
