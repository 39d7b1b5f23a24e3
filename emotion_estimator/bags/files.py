"""A rosbag2 on disk: whether it is there, which files it has, and whether it holds the images."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path, PurePath
from typing import Any

from emotion_estimator import strict_yaml
from emotion_estimator.errors import InputError

#: Storage files: MCAP and SQLite.
STORAGES = ('.mcap', '.db3')
#: What a file that is compressed as a whole ends in.
PACKED = '.zstd'

_ROS1_MAGIC = b'#ROSBAG'


def check_bag(bag: Path, topics: tuple[str, ...], *, lockstep: bool = False) -> None:
    """Return when ``bag`` can be played and holds one of ``topics``.

    What has no metadata says nothing of its topics without being opened: it is taken as it is.

    :param bag: folder with a ``metadata.yaml``, or an ``.mcap`` or ``.db3`` file.
    :param lockstep: for ``bag_player_node``, which unlike ``ros2 bag play`` needs no metadata, and
        reads files that are compressed as a whole.
    :raises InputError: there is no such bag, or none of the topics in it.
    """
    if lockstep:
        storage_files(bag)
        try:
            types = _types(bag)
        except InputError:
            return
    else:
        if not bag.exists():
            raise InputError(f'bag {bag} does not exist')
        if bag.is_file():
            if bag.suffix not in STORAGES:
                raise InputError(f'bag {bag} is neither a folder nor one of {", ".join(STORAGES)}')
            return
        if not (bag / 'metadata.yaml').is_file():
            raise InputError(f'bag {bag} has no metadata.yaml; `ros2 bag reindex {bag}` makes one')
        types = _types(bag)
    if not set(topics) & set(types):
        images = [name for name, kind in types.items() if 'Image' in kind]
        has = f'its images are on {", ".join(images)}' if images else 'it holds no images'
        raise InputError(f'bag {bag} has no topic {" or ".join(topics)}; {has}')


def storage_files(bag: Path) -> tuple[list[Path], list[str]]:
    """Return the files of a bag in the order of time, and lines on what is wrong with it.

    :param bag: a folder, or a single storage file. A folder's ``metadata.yaml`` gives the order;
        where it is missing or damaged, the files' numbers do.
    :raises InputError: there is nothing to be read.
    """
    if not bag.exists():
        raise InputError(f'bag {bag} does not exist')
    if bag.is_file():
        if _is_ros1(bag):
            raise InputError(_ros1_line(bag))
        if not _is_storage(bag):
            raise InputError(f'bag {bag} is neither a folder nor one of {", ".join(STORAGES)}')
        return [bag], []
    there = sorted((file for file in bag.iterdir() if _is_storage(file)), key=_by_number)
    if not there:
        for file in sorted(bag.glob('*.bag')):
            raise InputError(_ros1_line(file))
        raise InputError(f'bag {bag} has no .mcap or .db3 file')
    if not (bag / 'metadata.yaml').is_file():
        return there, [f'bag {bag} has no metadata.yaml; read without it']
    try:
        named = [bag / PurePath(name).name for name in _metadata(bag)['relative_file_paths']]
    except (InputError, KeyError, TypeError):
        return there, [f'{bag / "metadata.yaml"} is no metadata of a rosbag2; read without it']
    found = [file for name in named for file in (name, Path(f'{name}{PACKED}')) if file in there]
    if not found:
        return there, [f'bag {bag} has none of the files its metadata.yaml names; read without it']
    lost = sorted({file.name for file in named} - {f.name.removesuffix(PACKED) for f in found}
                  - {file.name for file in found})  # fmt: skip
    # A file beside its own compressed one is no other: `ros2 bag play` leaves it there.
    known = {file.name.removesuffix(PACKED) for file in found}
    unnamed = [file.name for file in there if file.name.removesuffix(PACKED) not in known]
    return found, [
        *(f'bag {bag} lacks its file {name}' for name in lost),
        *(f'bag {bag}: its metadata.yaml does not name {n}, which is not read' for n in unnamed),
    ]


def _types(bag: Path) -> dict[str, str]:
    """Return the types of a bag's topics, as its metadata have them."""
    try:
        held = [item['topic_metadata'] for item in _metadata(bag)['topics_with_message_count']]
        return {str(item['name']): str(item['type']) for item in held}
    except (KeyError, TypeError) as error:
        raise InputError(f'{bag / "metadata.yaml"} is no metadata of a rosbag2') from error


def _metadata(bag: Path) -> Any:
    path = bag / 'metadata.yaml'
    try:
        return strict_yaml.read_yaml(path)['rosbag2_bagfile_information']
    except (KeyError, TypeError) as error:
        raise InputError(f'{path} is no metadata of a rosbag2') from error


def _is_storage(file: Path) -> bool:
    return PurePath(file.name.removesuffix(PACKED)).suffix in STORAGES and file.is_file()


def _by_number(file: Path) -> list[tuple[int, str]]:
    """Order ``bag_10.mcap`` after ``bag_9.mcap``."""
    parts = re.split(r'(\d+)', file.name)
    return [(int(part), '') if part.isdigit() else (-1, part) for part in parts]


def _is_ros1(file: Path) -> bool:
    try:
        with file.open('rb') as stream:
            return file.suffix == '.bag' or stream.read(len(_ROS1_MAGIC)) == _ROS1_MAGIC
    except OSError as error:
        raise InputError(f'bag {file} cannot be read ({error.strerror})') from error


def _ros1_line(file: Path) -> str:
    return (
        f'bag {file} is of ROS 1; `rosbags-convert --src {file} --dst {file.with_suffix("")}` '
        'makes one of ROS 2 of it'
    )


def need_rosbags() -> None:
    """Return when bags can be read and written here.

    :raises InputError: the library is missing; says how to get it.
    """
    if importlib.util.find_spec('rosbags') is None:
        raise InputError(
            'bags need the library rosbags, which no distribution of ROS has: '
            "pip install 'rosbags>=0.11,<0.12'"
        )
