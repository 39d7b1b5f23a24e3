"""Read the storage files of a rosbag2 as one bag, without ROS and despite damage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import NamedTuple

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader

from emotion_estimator.bags.files import PACKED, storage_files
from emotion_estimator.bags.salvage import decompress_file, decompress_message, salvage
from emotion_estimator.errors import InputError, first_line


def printable(text: str) -> str:
    """Return text from a bag as part of one line; in a damaged bag it may contain anything."""
    return ''.join(sign if sign.isprintable() else '?' for sign in text)


class BagMessage(NamedTuple):
    """A message in a bag.

    :param connection: its topic and type, as described by rosbags.
    :param log_time: when it was recorded, in nanoseconds.
    :param data: CDR bytes.
    """

    connection: Connection
    log_time: int
    data: bytes

    @property
    def topic(self) -> str:
        """Return the topic's name."""
        return self.connection.topic


@dataclass(frozen=True)
class StorageSummary:
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


class StorageFile:
    """An ``.mcap`` or ``.db3`` file, which may be compressed (``.zstd``).

    :raises InputError: nothing in it can be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._damage = ''
        self._open = ExitStack()
        try:
            if not path.stat().st_size:
                raise InputError(f'bag file {path} is empty (0 bytes)')
            self._file = self._readable()
        except OSError as error:
            raise InputError(f'bag file {path} cannot be read ({error.strerror})') from error
        #: Whether rosbags refused the file, so that it is salvaged.
        self._damaged = False
        try:
            self.summary = self._summarize()
        except InputError:
            self.close()
            raise

    @property
    def problem(self) -> str:
        """Return one line on the damage found so far; empty if there is none."""
        if not self._damage:
            return ''
        return f'bag file {self.path} is damaged ({self._damage}); the readable part was read'

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """Yield the readable messages of some topics in the order of their log time."""
        last: int | None = None
        if not self._damaged:
            try:
                with Reader(self._file) as reader:
                    wanted = [c for c in reader.connections if c.topic in topics]
                    for connection, time, data in reader.messages(wanted) if wanted else ():
                        message = BagMessage(connection, int(time), decompress_message(data))
                        if last is not None and time < last and self._file.suffix == '.db3':
                            # SQLite sorts by an index without checksums; MCAP has them.
                            raise InputError('its index by time is damaged')
                        last = message.log_time
                        yield message
            except Exception as error:
                # On damaged data rosbags lets any exception of its helpers pass.
                self._note_damage(first_line(error))
            else:
                return
        for connection, time, data in salvage(self._file, self._note_damage):
            if connection.topic in topics and (last is None or time > last):
                yield BagMessage(connection, time, decompress_message(data))

    def close(self) -> None:
        """Remove decompressed files; may be called more than once."""
        self._open.close()

    def _summarize(self) -> StorageSummary:
        try:
            with Reader(self._file) as reader:
                counts: Counter[str] = Counter()
                for connection in reader.connections:
                    counts[connection.topic] += connection.msgcount
                # Without their reader, so that messages can be pickled.
                connections = tuple(c._replace(owner=None) for c in reader.connections)
                if not reader.message_count:
                    return StorageSummary(connections, counts, None, None)
                return StorageSummary(connections, counts, reader.start_time, reader.end_time - 1)
        except Exception as error:
            self._damaged = True
            return self._summarize_damaged(first_line(error))

    def _summarize_damaged(self, reason: str) -> StorageSummary:
        """Read a damaged file once to find its contents."""
        found: dict[int, Connection] = {}
        counts: Counter[str] = Counter()
        first: int | None = None
        last: int | None = None
        for connection, time, _ in salvage(self._file, self._note_damage):
            found.setdefault(connection.id, connection)
            counts[connection.topic] += 1
            first = time if first is None else min(first, time)
            last = time if last is None else max(last, time)
        if not found:
            raise InputError(
                f'bag file {self.path} is damaged, nothing in it can be read '
                f'({self._damage or reason})'
            )
        self._note_damage(reason)
        return StorageSummary(tuple(found.values()), counts, first, last)

    def _note_damage(self, reason: str) -> None:
        self._damage = self._damage or reason.rstrip('.')

    def _readable(self) -> Path:
        """Return the file, decompressed and under a name that SQLite accepts."""
        path = self.path.absolute()
        packed = path.suffix == PACKED
        # rosbags does not escape the name in its URI.
        odd = any(sign in str(path) for sign in '?#%')
        if not packed and not odd:
            return path
        folder = Path(self._open.enter_context(TemporaryDirectory(prefix='emotion-estimator-')))
        target = folder / f'bag{Path(path.stem).suffix if packed else path.suffix}'
        if not packed:
            target.symlink_to(path)
        elif reason := decompress_file(path, target):
            self._note_damage(reason)
        return target


class Bag:
    """All files of a bag.

    :param path: a bag's folder, or a single storage file.
    :raises InputError: nothing can be read; says why in one line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open = ExitStack()
        paths, self._problems = storage_files(path)
        self._files: list[StorageFile] = []
        for file in paths:
            try:
                storage = StorageFile(file)
            except InputError as error:
                self._problems.append(str(error))
            else:
                self._open.callback(storage.close)
                self._files.append(storage)
        if not self._files:
            raise InputError(self._problems[-1])
        summaries = [file.summary for file in self._files]
        #: Type of each topic.
        self.topics = {c.topic: c.msgtype for s in summaries for c in s.connections}
        #: Number of messages by topic.
        self.counts: Counter[str] = sum((s.counts for s in summaries), Counter())
        self._times = [t for s in summaries for t in (s.first, s.last) if t is not None]

    @property
    def duration(self) -> float:
        """Seconds from the first recorded message to the last, of all topics."""
        return (max(self._times) - min(self._times)) * 1e-9 if self._times else 0.0

    @property
    def problems(self) -> list[str]:
        """One line for each defect found so far."""
        return [*self._problems, *(file.problem for file in self._files if file.problem)]

    def messages(self, *topics: str) -> Iterator[BagMessage]:
        """Yield the messages of some topics, by default of all, in the order of recording."""
        for file in self._files:
            yield from file.messages(topics or self.topics.keys())

    def close(self) -> None:
        """Close the files; may be called more than once."""
        self._open.close()

    def __enter__(self) -> Bag:
        """Return the open bag."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the bag."""
        self.close()
