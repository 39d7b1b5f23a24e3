"""Find a rosbag2's storage files, and check that it exists and has the topics needed."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any, NamedTuple

from emotion_estimator import strict_yaml
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.untrusted import (
    MAX_METADATA_FILE,
    MAX_METADATA_VALUES,
    cannot_read,
    open_regular,
    quote,
    quote_some,
)

#: Suffixes of storage files: MCAP and SQLite.
STORAGES = ('.mcap', '.db3')
#: Suffix added to a compressed storage file.
PACKED = '.zstd'

_ROS1_MAGIC = b'#ROSBAG'


def check_bag(bag: Path, topics: tuple[str, ...], *, lockstep: bool = False) -> None:
    """Check that ``bag`` can be played and has one of ``topics``.

    The topics of a bag without metadata are not checked, since the bag is not opened.

    :param bag: folder with a ``metadata.yaml``, or an ``.mcap`` or ``.db3`` file.
    :param lockstep: check for ``bag_player_node``, which unlike ``ros2 bag play`` needs no metadata
        and reads compressed storage files.
    :raises InputError: the bag does not exist, cannot be played, or has none of the topics.
    """
    if lockstep:
        storage_files(bag)
        try:
            types = _types(bag)
        except InputError:
            return
    else:
        if not _is_folder(bag):
            if bag.suffix not in STORAGES:
                raise InputError(
                    f'bag {quote(bag)} is neither a folder nor one of {", ".join(STORAGES)}'
                )
            return
        if not (bag / 'metadata.yaml').is_file():
            raise InputError(
                f'bag {quote(bag)} has no metadata.yaml; create it with '
                f'`ros2 bag reindex {quote(bag)}`'
            )
        types = _types(bag)
    if not set(topics) & set(types):
        images = [name for name, kind in types.items() if 'Image' in kind]
        has = f'its images are on {quote_some(images, 20)}' if images else 'it holds no images'
        raise InputError(f'bag {quote(bag)} has no topic {" or ".join(topics)}; {has}')


class Listing(NamedTuple):
    """The files of a bag, and what its ``metadata.yaml`` counts.

    :param files: the storage files in order of time.
    :param problems: one line for each defect.
    :param topics: number of messages by topic; None if nothing says.
    :param messages: number of messages by the name of the file, as far as it is said.
    """

    files: list[Path]
    problems: list[str]
    topics: Counter[str] | None = None
    messages: Mapping[str, int] = MappingProxyType({})

    def said_of(self, file: str) -> str:
        """Return how many messages a file has by the metadata, to append to a line."""
        count = self.messages.get(file, self.messages.get(file.removesuffix(PACKED)))
        return '' if count is None else f'; it had {count} messages by metadata.yaml'


def storage_files(bag: Path) -> Listing:
    """Return a bag's storage files, and what is said of them.

    :param bag: a folder, or a single storage file. A folder's ``metadata.yaml`` gives the order,
        and what it does not name comes after that; if it is missing or damaged, the numbers in the
        file names give the order.
    :raises InputError: there is nothing to read.
    """
    if not _is_folder(bag):
        if _is_ros1(bag):
            raise InputError(_ros1_line(bag))
        if not _is_storage(bag):
            raise InputError(
                f'bag {quote(bag)} is neither a folder nor one of {", ".join(STORAGES)}'
            )
        return Listing([bag], [])
    try:
        there = sorted(filter(_is_storage, bag.iterdir()), key=_by_number)
    except OSError as error:
        raise cannot_read('bag', bag, error, InputError) from error
    if not there:
        for file in sorted(bag.glob('*.bag')):
            raise InputError(_ros1_line(file))
        raise InputError(f'bag {quote(bag)} has no .mcap or .db3 file')
    # An uncompressed copy next to a compressed file is left by `ros2 bag play`.
    packed = {file.name.removesuffix(PACKED) for file in there if file.suffix == PACKED}
    if not (bag / 'metadata.yaml').is_file():
        return Listing(there, [f'bag {quote(bag)} has no metadata.yaml; read without it'])
    try:
        metadata = _metadata(bag)
        named = [bag / PurePath(name).name for name in metadata['relative_file_paths']]
    except InputError as error:
        cause = error.__cause__ or error
        reason = quote(getattr(cause, 'strerror', None) or first_line(cause))
        return Listing(there, [
            f'{quote(bag / "metadata.yaml")} is not valid rosbag2 metadata ({reason}); read '
            'without it'
        ])  # fmt: skip
    except (KeyError, TypeError):
        return Listing(there, [
            f'{quote(bag / "metadata.yaml")} is not valid rosbag2 metadata; read without it'
        ])  # fmt: skip
    found = [file for name in named for file in (name, Path(f'{name}{PACKED}')) if file in there]
    if not found:
        return Listing(there, [
            f'bag {quote(bag)} has no file that its metadata.yaml names; read without it'
        ])  # fmt: skip
    lost = sorted({file.name for file in named} - {f.name.removesuffix(PACKED) for f in found}
                  - {file.name for file in found})  # fmt: skip
    known = {file.name.removesuffix(PACKED) for file in found}
    # The last file of a recorder that was killed.
    unnamed = [
        file for file in there
        if file.name.removesuffix(PACKED) not in known and file.name not in packed
    ]  # fmt: skip
    listing = Listing([*found, *unnamed], [], _topic_counts(metadata), _file_counts(metadata))
    listing.problems.extend(
        f'bag {quote(bag)} lacks its file {quote(name)}{listing.said_of(name)}' for name in lost
    )
    listing.problems.extend(
        f'bag {quote(bag)}: {quote(file.name)} is read too, which metadata.yaml does not name'
        for file in unnamed
    )
    return listing


def _topic_counts(metadata: Mapping[str, Any]) -> Counter[str] | None:
    """Return the number of messages by topic; None if any is no number."""
    counts: Counter[str] = Counter()
    try:
        for item in metadata['topics_with_message_count']:
            counts[str(item['topic_metadata']['name'])] += _as_count(item['message_count'])
    except (KeyError, TypeError, ValueError):
        return None
    return counts


def _file_counts(metadata: Mapping[str, Any]) -> dict[str, int]:
    """Return the number of messages by file name; older versions of rosbag2 do not say."""
    counts: dict[str, int] = {}
    try:
        for item in metadata['files']:
            counts[PurePath(item['path']).name] = _as_count(item['message_count'])
        if not counts:
            raise KeyError
    except (KeyError, TypeError, ValueError):
        counts.clear()
        # One file has all.
        with suppress(KeyError, TypeError, ValueError):
            (name,) = metadata['relative_file_paths']
            counts[PurePath(name).name] = _as_count(metadata['message_count'])
    return counts


def _as_count(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError('not a number of messages')
    return value


def _types(bag: Path) -> dict[str, str]:
    """Return the topics of a bag's metadata with their types."""
    try:
        topics = [item['topic_metadata'] for item in _metadata(bag)['topics_with_message_count']]
        return {str(topic['name']): str(topic['type']) for topic in topics}
    except (KeyError, TypeError) as error:
        raise InputError(f'{quote(bag / "metadata.yaml")} is not valid rosbag2 metadata') from error


def _metadata(bag: Path) -> Any:
    path = bag / 'metadata.yaml'
    try:
        read = strict_yaml.read_yaml(path, MAX_METADATA_FILE, MAX_METADATA_VALUES)
        return read['rosbag2_bagfile_information']
    except (KeyError, TypeError) as error:
        raise InputError(f'{quote(path)} is not valid rosbag2 metadata') from error


def _is_folder(bag: Path) -> bool:
    """Return whether a bag is a folder, or else a file.

    :raises InputError: it is neither, such as a pipe, or is missing.
    """
    try:
        if bag.is_dir():
            return True
        open_regular(bag).close()
    except FileNotFoundError as error:
        raise InputError(f'bag {quote(bag)} does not exist') from error
    except (OSError, ValueError) as error:
        raise cannot_read('bag', bag, error, InputError) from error
    return False


def _is_storage(file: Path) -> bool:
    return PurePath(file.name.removesuffix(PACKED)).suffix in STORAGES and file.is_file()


def _by_number(file: Path) -> list[tuple[int, str]]:
    """Sort ``bag_10.mcap`` after ``bag_9.mcap``."""
    parts = re.split(r'(\d+)', file.name)
    return [(int(part), '') if part.isdecimal() else (-1, part) for part in parts]


def _is_ros1(file: Path) -> bool:
    try:
        with open_regular(file) as stream:
            return file.suffix == '.bag' or stream.read(len(_ROS1_MAGIC)) == _ROS1_MAGIC
    except (OSError, ValueError) as error:
        raise cannot_read('bag', file, error, InputError) from error


def _ros1_line(file: Path) -> str:
    return (
        f'bag {quote(file)} is of ROS 1; convert it with '
        f'`rosbags-convert --src {quote(file)} --dst {quote(file.with_suffix(""))}`'
    )


def need_rosbags() -> None:
    """Check that bags can be read and written.

    :raises InputError: the library rosbags is missing; says how to install it.
    """
    if importlib.util.find_spec('rosbags') is None:
        raise InputError(
            'bags need the library rosbags, which no ROS distribution includes; '
            "pip install 'rosbags>=0.11,<0.12'"
        )
