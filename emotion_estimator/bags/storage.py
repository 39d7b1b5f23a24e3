"""Read the storage files of a rosbag2 as one bag, without ROS and despite damage."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import NamedTuple

from rosbags.interfaces import Connection

from emotion_estimator.bags.border import Allowance, TooMuch, unpack_file, unpack_message
from emotion_estimator.bags.contents import Found, StorageSummary, counted
from emotion_estimator.bags.files import PACKED, storage_files
from emotion_estimator.bags.mcap_file import McapFile
from emotion_estimator.bags.sqlite_file import SqliteFile
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.untrusted import cannot_read, open_regular, quote


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


class StorageFile:
    """An ``.mcap`` or ``.db3`` file, which may be compressed (``.zstd``).

    :raises InputError: nothing in it can be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._damage = ''
        self._difference = ''
        self._open = ExitStack()
        #: Whether the file is damaged, so that it is salvaged.
        self._damaged = False
        try:
            with self._refusing():
                with open_regular(path) as file:
                    self._size = os.fstat(file.fileno()).st_size
                if not self._size:
                    raise InputError(f'bag file {quote(path)} is empty (0 bytes)')
                plain = self._plain()
                kind = McapFile if plain.suffix == '.mcap' else SqliteFile
                self._file: McapFile | SqliteFile = kind(plain)
                self.summary = self._summarize()
        except BaseException:
            self.close()
            raise

    @property
    def damaged(self) -> bool:
        """Return whether any damage was found so far."""
        return bool(self._damage)

    @property
    def problem(self) -> str:
        """Return one line on the damage found so far; empty if there is none."""
        if not self._damage:
            return self._difference
        return (
            f'bag file {quote(self.path)} is damaged ({self._damage}); the readable part was read'
        )

    def messages(self, topics: Collection[str]) -> Iterator[BagMessage]:
        """Yield the readable messages of some topics in the order of their log time.

        :raises InputError: the file's size does not explain what it holds.
        """
        with self._refusing():
            yield from self._unpacked(self._messages(topics))

    def _messages(self, topics: Collection[str]) -> Iterator[Found]:
        read: Counter[str] = Counter()
        for found in self._in_any_way(topics):
            read[found[0].topic] += 1
            yield found
            del found
        declared = self.summary.counts
        for topic in topics:
            if read[topic] != declared[topic]:
                self._difference = self._difference or (
                    f'bag file {quote(self.path)} counts {declared[topic]} messages of topic '
                    f'{quote(topic)}, {read[topic]} were read'
                )

    def _in_any_way(self, topics: Collection[str]) -> Iterator[Found]:
        last: int | None = None
        # Messages so far of the same time as the last one.
        same = 0
        if not self._damaged:
            try:
                for found in self._file.messages(topics, self._note_damage):
                    if last is not None and found[1] < last and self._by_time:
                        # SQLite sorts by an index without checksums; MCAP has them.
                        raise ValueError('its index by time is damaged')
                    same = same + 1 if found[1] == last else 1
                    last = found[1]
                    yield found
                    del found
            except TooMuch:
                raise
            except Exception as error:
                self._note_damage(first_line(error))
            else:
                return
        for found in self._file.salvage(self._note_damage):
            if found[0].topic not in topics:
                continue
            if last is None or found[1] > last:
                yield found
            elif found[1] == last:
                same -= 1
                if same < 0:
                    yield found
            del found

    def _unpacked(self, messages: Iterator[Found]) -> Iterator[BagMessage]:
        allowance = Allowance(self._size)
        for connection, time, data in messages:
            try:
                data = unpack_message(data, allowance)
            except ValueError as error:
                self._note_damage(f'a message of topic {quote(connection.topic)} has {error}')
                continue
            yield BagMessage(connection, time, data)

    @property
    def _by_time(self) -> bool:
        return isinstance(self._file, SqliteFile)

    def close(self) -> None:
        """Remove decompressed files; may be called more than once."""
        self._open.close()

    def _summarize(self) -> StorageSummary:
        try:
            return self._file.contents()
        except TooMuch:
            raise
        except Exception as error:
            reason = first_line(error)
        # Read it once to find its contents.
        self._damaged = True
        summary = counted(self._file.salvage(self._note_damage))
        if not summary.connections:
            raise InputError(
                f'bag file {quote(self.path)} is damaged, nothing in it can be read '
                f'({self._damage or reason})'
            )
        self._note_damage(reason)
        return summary

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except TooMuch as error:
            raise InputError(f'bag file {quote(self.path)} is not read: {error}') from error
        except OSError as error:
            raise cannot_read('bag file', self.path, error, InputError) from error

    def _note_damage(self, reason: str) -> None:
        self._damage = self._damage or reason.rstrip('.')

    def _plain(self) -> Path:
        """Return the file, decompressed."""
        if self.path.suffix != PACKED:
            return self.path
        folder = Path(self._open.enter_context(TemporaryDirectory(prefix='emotion-estimator-')))
        target = folder / f'bag{Path(self.path.stem).suffix}'
        if reason := unpack_file(self.path, target):
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
        self._unread_files = False
        listing = storage_files(path)
        self._problems = listing.problems
        self._files: list[StorageFile] = []
        for file in listing.files:
            try:
                storage = StorageFile(file)
            except InputError as error:
                self._problems.append(f'{error}{listing.said_of(file.name)}')
                self._unread_files = True
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
        self._metadata = listing.topics
        self._compare_counts()
        #: Whether a file held more than can be known.
        self._uncertain = self.damaged
        self._times = [t for s in summaries for t in (s.first, s.last) if t is not None]

    @property
    def duration(self) -> float:
        """Seconds from the first recorded message to the last, of all topics."""
        return (max(self._times) - min(self._times)) * 1e-9 if self._times else 0.0

    def declared(self, topic: str) -> int | None:
        """Return how many messages of a topic there are by the bag's own word.

        :returns: None if a file was found damaged when it was opened, so that nobody knows how many
            it had, and ``metadata.yaml`` does not say either.
        """
        if self._metadata is not None and topic in self._metadata:
            return max(self._metadata[topic], self.counts[topic])
        return None if self._uncertain else self.counts[topic]

    @property
    def damaged(self) -> bool:
        """Return whether a file was found damaged so far, or cannot be read at all."""
        return self._unread_files or any(file.damaged for file in self._files)

    def _compare_counts(self) -> None:
        if self._metadata is None:
            return
        differ = [
            (topic, count) for topic, count in self._metadata.items() if count != self.counts[topic]
        ]
        if differ:
            topic, count = differ[0]
            more = f', and {len(differ) - 1} more topics differ' if differ[1:] else ''
            self._problems.append(
                f'bag {quote(self.path)}: metadata.yaml counts {count} messages of topic '
                f'{quote(topic)}, its files hold {self.counts[topic]}{more}'
            )

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
