"""What a storage file contains, and the checks of the texts that say so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    MessageDefinition,
    MessageDefinitionFormat,
)
from rosbags.rosbag2.metadata import parse_qos

from emotion_estimator.errors import InputError
from emotion_estimator.strict_yaml import parse_yaml

#: Connection, log time in nanoseconds, and bytes of a message.
Found = tuple[Connection, int, bytes]

#: Largest lengths of what describes messages: a topic or type, a definition, the definitions of a
#: file together, and likewise the different texts of its QoS profiles.
MAX_NAME = 1024
MAX_DEFINITION = 256 * 1024
MAX_DEFINITIONS = 16 * 1024 * 1024
MAX_QOS = 384 * 1024
#: Topics of a file.
MAX_TOPICS = 10_000


class StorageSummary(NamedTuple):
    """The contents of a storage file.

    :param connections: topics with their types; a topic may have several publishers.
    :param counts: number of messages by topic.
    :param first: earliest log time in nanoseconds; None without messages.
    :param last: latest log time, likewise.
    """

    connections: tuple[Connection, ...]
    counts: Counter[str]
    first: int | None
    last: int | None


def counted(found: Iterator[Found]) -> StorageSummary:
    """Return the contents of a file that is read to its end for that."""
    connections: dict[int, Connection] = {}
    counts: Counter[str] = Counter()
    first: int | None = None
    last: int | None = None
    for connection, time, data in found:
        # A large message would be kept while the next one is read.
        del data
        connections.setdefault(connection.id, connection)
        counts[connection.topic] += 1
        first = time if first is None else min(first, time)
        last = time if last is None else max(last, time)
    return StorageSummary(tuple(connections.values()), counts, first, last)


def described(
    number: int,
    topic: str,
    kind: str,
    *,
    text: str = '',
    encoding: str = '',
    wire: str = 'cdr',
    digest: str = '',
    profiles: object = (),
) -> Connection:
    """Return what rosbags calls a connection.

    :param text: the type's definition, in ``encoding``.
    :param profiles: QoS profiles as lists and mappings; those that make no sense are left out.
    """
    forms = {
        'ros2msg': MessageDefinitionFormat.MSG,
        'ros2idl': MessageDefinitionFormat.IDL,
        'omgidl': MessageDefinitionFormat.IDL,
    }
    try:
        qos = parse_qos(profiles) if isinstance(profiles, list) else []
    except (KeyError, TypeError, ValueError, AttributeError):
        qos = []
    definition = MessageDefinition(forms.get(encoding, MessageDefinitionFormat.NONE), text)
    extra = ConnectionExtRosbag2(wire, qos)
    return Connection(number, topic, kind, definition, digest, 0, extra, None)


class Descriptions:
    """Checks the texts that describe a file's topics, and their size together."""

    def __init__(self) -> None:
        self._definitions = MAX_DEFINITIONS
        self._qos = MAX_QOS
        self._profiles: dict[str, Any] = {}

    def name(self, text: object) -> str:
        """Return the name of a topic or type.

        :raises ValueError: it is no text, or too long.
        """
        if not isinstance(text, str) or len(text) > MAX_NAME:
            raise ValueError('a name that is no text or too long')
        return text

    def definition(self, text: object) -> str:
        """Return a message's definition; empty if it is too long, which loses only a copy's."""
        if not isinstance(text, str) or len(text) > min(MAX_DEFINITION, self._definitions):
            return ''
        self._definitions -= len(text)
        return text

    def qos(self, text: object) -> Any:
        """Return QoS profiles as lists and mappings; an empty list if they cannot be read."""
        if not isinstance(text, str) or not text:
            return []
        if text not in self._profiles:
            if len(text) > self._qos:
                return []
            self._qos -= len(text)
            self._profiles[text] = _profiles(text)
        return self._profiles[text]


@lru_cache(maxsize=256)
def _profiles(text: str) -> Any:
    """Return QoS profiles; a bag's topics and files repeat a few."""
    try:
        return parse_yaml(text, 'QoS profiles')
    except InputError:
        return []
