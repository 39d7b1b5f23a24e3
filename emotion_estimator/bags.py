"""A rosbag2 on disk: whether it is there, and holds the images."""

from __future__ import annotations

from pathlib import Path

import yaml

from emotion_estimator.errors import InputError

_FILES = ('.mcap', '.db3')


def check_bag(bag: Path, topics: tuple[str, ...]) -> None:
    """Return when ``bag`` can be played and holds one of ``topics``.

    A single file says nothing of its topics without being opened: it is taken as it is.

    :param bag: folder with a ``metadata.yaml``, or an ``.mcap`` or ``.db3`` file.
    :raises InputError: there is no such bag, or none of the topics in it.
    """
    if not bag.exists():
        raise InputError(f'bag {bag} does not exist')
    if bag.is_file():
        if bag.suffix not in _FILES:
            raise InputError(f'bag {bag} is neither a folder nor one of {", ".join(_FILES)}')
        return
    metadata = bag / 'metadata.yaml'
    if not metadata.is_file():
        raise InputError(f'bag {bag} has no metadata.yaml; `ros2 bag reindex {bag}` makes one')
    try:
        information = yaml.safe_load(metadata.read_text())['rosbag2_bagfile_information']
        held = [item['topic_metadata'] for item in information['topics_with_message_count']]
        names = [item['name'] for item in held]
        images = [item['name'] for item in held if 'Image' in item['type']]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise InputError(f'{metadata} is no metadata of a rosbag2') from error
    if not set(topics) & set(names):
        has = f'its images are on {", ".join(images)}' if images else 'it holds no images'
        raise InputError(f'bag {bag} has no topic {" or ".join(topics)}; {has}')
