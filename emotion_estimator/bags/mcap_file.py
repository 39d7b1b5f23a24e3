"""Read MCAP files (mcap.dev, version 0) within limits: by their index, or record by record.

MCAP is parsed here because other readers decompress whatever a chunk contains, trust the lengths
and offsets in the file, stop at the first damaged record, and drop a chunk that is cut off. Of the
truncated files in test/bags the readers of the `mcap` library recover 0 to 113 of 200 messages
where this module recovers 60 to 198, and nothing behind a damaged chunk.
"""

from __future__ import annotations

import heapq
import os
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from rosbags.interfaces import Connection

from emotion_estimator.bags.border import MAX_TIME, Allowance, TooMuch, unpack_chunk
from emotion_estimator.bags.contents import (
    MAX_TOPICS,
    Descriptions,
    Found,
    StorageSummary,
    counted,
    described,
)
from emotion_estimator.untrusted import MAX_MESSAGE, in_bytes, open_regular, quote

_MAGIC = b'\x89MCAP0\r\n'
#: Operation codes of records.
_HEADER, _FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK = 1, 2, 3, 4, 5, 6
_CHUNK_INDEX, _STATISTICS = 8, 11
_NEEDED = {_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _CHUNK_INDEX, _STATISTICS}
#: Length of footer and magic at the end.
_END = 9 + 20 + len(_MAGIC)
#: Largest record that is read: a chunk that is not compressed, or a message.
_MAX_RECORD = MAX_MESSAGE + 4096
#: Bytes and messages of chunks that overlap in time and are held at once.
_MAX_HELD, _MAX_HELD_MESSAGES = MAX_MESSAGE + (16 << 20), 300_000

#: Code and content of a record, and the offset behind it.
Record = tuple[int, memoryview, int]


class _Chunk(NamedTuple):
    """Where a chunk is, by the file's index, and the log times and channels of its messages."""

    begin: int
    end: int
    at: int
    length: int
    plain: int
    #: Pairs of channel and offset, as in the file; empty if its messages are not indexed.
    indexed: bytes

    def channels(self) -> Iterator[int]:
        """Yield the numbers of the channels with an index."""
        return (number for number, _ in struct.iter_unpack('<HQ', self.indexed))


class _Held:
    """The messages of a chunk in the order of their log times, and the next one's position."""

    def __init__(self, content: memoryview, messages: list[tuple[int, int, int, int]]) -> None:
        self.content = content
        #: Log time, offset, length and channel.
        self.messages = sorted(messages)
        self.next = 0


class McapFile:
    """An MCAP file.

    :param path: a regular file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def contents(self) -> StorageSummary:
        """Return the contents by the file's index; without one, read the file to its end.

        :raises Exception: it is damaged; the message says how.
        :raises TooMuch: its size does not explain it.
        """
        with open_regular(self._path) as file:
            index = _Index(file)
            if index.counts is None:
                return counted(self._strictly())
            counts: Counter[str] = Counter()
            for number, connection in index.channels.items():
                counts[connection.topic] += index.counts.get(number, 0)
            times = index.times if counts.total() else (None, None)
            return StorageSummary(tuple(index.channels.values()), counts, *times)

    def messages(self, topics: Collection[str]) -> Iterator[Found]:
        """Yield the messages of some topics, in the order of their log times if there is an index.

        :raises Exception: the file is damaged; the message says how.
        :raises TooMuch: its size does not explain it.
        """
        with open_regular(self._path) as file:
            index = _Index(file)
            if index.chunks and index.channels:
                yield from _by_time(file, index, topics)
            else:
                yield from (found for found in self._strictly() if found[0].topic in topics)

    def salvage(self, damage: Callable[[str], None]) -> Iterator[Found]:
        """Yield all readable messages in the order of the file.

        :param damage: called with a description of each damage.
        :raises TooMuch: the file's size does not explain its content.
        """
        with open_regular(self._path) as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                damage('it does not begin like an MCAP file')
                return
            size = os.fstat(file.fileno()).st_size
            allowance = Allowance(size)
            channels = _Channels()
            read = _reader(file)
            for code, record, end in _records(read, len(_MAGIC), size, allowance, damage):
                inner: Iterator[Record] = iter([(code, record, end)])
                if code == _CHUNK:
                    chunk = _salvaged(record, end, allowance, damage)
                    inner = _records(chunk.__getitem__, 0, len(chunk), allowance, damage)
                del record
                for kind, body, _ in inner:
                    try:
                        found = channels.read(kind, body)
                    except (struct.error, ValueError, KeyError) as error:
                        damage(f'a damaged record before byte {end} ({error})')
                        continue
                    # Chunk and message may be large.
                    del body
                    if found is not None:
                        yield found
                    del found

    def _strictly(self) -> Iterator[Found]:
        def damage(reason: str) -> None:
            raise ValueError(reason)

        return self.salvage(damage)


class _Channels:
    """The channels known so far: number, topic and type."""

    def __init__(self) -> None:
        self.known: dict[int, Connection] = {}
        self._schemas: dict[int, tuple[str, str, str]] = {}
        self._descriptions = Descriptions()

    def read(self, code: int, body: memoryview) -> Found | None:
        """Return a message record's message; remember a schema or channel record.

        :raises struct.error, ValueError, KeyError: the record is damaged.
        """
        if code == _MESSAGE:
            channel, time = struct.unpack_from('<H4xQ', body)
            if time > MAX_TIME:
                raise ValueError(f'log time {time}')
            return (self.known[channel], time, bytes(body[22:])) if channel in self.known else None
        if code == _SCHEMA:
            (number,) = struct.unpack_from('<H', body)
            name, at = _text(body, 2)
            encoding, at = _text(body, at)
            text, _ = _text(body, at)
            known = self._descriptions
            self._schemas[number] = known.name(name), known.name(encoding), known.definition(text)
        elif code == _CHANNEL:
            number, schema = struct.unpack_from('<HH', body)
            if number not in self.known:
                if len(self.known) >= MAX_TOPICS:
                    raise TooMuch(f'it has more than {MAX_TOPICS} topics; it is no recording')
                self.known[number] = self._channel(number, schema, body)
        return None

    def _channel(self, number: int, schema: int, body: memoryview) -> Connection:
        topic, at = _text(body, 4)
        wire, at = _text(body, at)
        kind, encoding, text = self._schemas[schema]
        known = self._descriptions
        return described(
            number,
            known.name(topic),
            kind,
            text=text,
            encoding=encoding,
            wire=known.name(wire),
            profiles=known.qos(_metadata(body, at).get('offered_qos_profiles')),
        )


def _text(body: memoryview, at: int) -> tuple[str, int]:
    """Return a text and the offset behind it."""
    (size,) = struct.unpack_from('<I', body, at)
    return str(body[at + 4 : at + 4 + size], 'utf-8'), at + 4 + size


def _metadata(body: memoryview, at: int) -> dict[str, str]:
    (size,) = struct.unpack_from('<I', body, at)
    at, end = at + 4, at + 4 + size
    found: dict[str, str] = {}
    # A channel has a handful.
    while at < min(end, len(body)) and len(found) < 100:
        key, at = _text(body, at)
        found[key], at = _text(body, at)
    return found


class _Index:
    """The summary at a file's end.

    :ivar channels: by number.
    :ivar chunks: by their begin; empty if the messages are in none, or there is no summary.
    :ivar counts: number of messages by channel; None if only reading the file tells.
    :ivar times: the earliest and latest log time.
    :ivar allowance: for reading the file.
    :raises ValueError: it is damaged; says how.
    """

    def __init__(self, file: BinaryIO) -> None:
        size = os.fstat(file.fileno()).st_size
        self.allowance = Allowance(size)
        self.chunks: list[_Chunk] = []
        self.counts: Counter[int] | None = None
        self.times: tuple[int, int] = (0, 0)
        self.begin = _check_header(file, size)
        self.end = _summary(file, size, self.begin)
        channels = _Channels()
        self.channels = channels.known
        if self.end is None:
            return
        statistics = memoryview(b'')
        last = size - _END
        for code, body, _ in _records(_reader(file), self.end, last, self.allowance, _raise):
            if code in (_SCHEMA, _CHANNEL):
                channels.read(code, body)
            elif code == _CHUNK_INDEX:
                self.chunks.append(self._chunk(body))
            elif code == _STATISTICS:
                statistics = body
        self._check_chunks()
        self._count(statistics)

    def _chunk(self, body: memoryview) -> _Chunk:
        begin, end, at, length, size = struct.unpack_from('<QQQQI', body)
        indexed = bytes(body[36 : 36 + size])
        self.allowance.record(len(indexed) // 10)
        _, rest = _text(body, 36 + size + 8)
        _, plain = struct.unpack_from('<QQ', body, rest)
        return _Chunk(begin, end, at, length, plain, indexed)

    def _check_chunks(self) -> None:
        """Check that the chunks are in the file, each once, and that few overlap in time."""
        free = self.begin
        for chunk in sorted(self.chunks, key=lambda chunk: chunk.at):
            if chunk.at < free or chunk.length < 9 + 40 or len(chunk.indexed) % 10:
                raise ValueError('its index of chunks is damaged')
            free = chunk.at + chunk.length
        if self.end is not None and free > self.end:
            raise ValueError('its index of chunks points outside of the file')
        self.chunks.sort(key=lambda chunk: (chunk.begin, chunk.at))
        held = 0
        ends: list[tuple[int, int]] = []
        for chunk in self.chunks:
            while ends and ends[0][0] < chunk.begin:
                held -= heapq.heappop(ends)[1]
            heapq.heappush(ends, (chunk.end, chunk.plain))
            held += chunk.plain
            if held > _MAX_HELD:
                raise ValueError('its chunks are too large, or too many overlap in time')

    def _count(self, statistics: memoryview) -> None:
        if statistics:
            begin, end, size = struct.unpack_from('<QQI', statistics, 26)
            self.times = min(begin, MAX_TIME), min(end, MAX_TIME)
            pairs = statistics[46 : 46 + size]
            counts = dict(struct.iter_unpack('<HQ', pairs[: len(pairs) // 10 * 10]))
            if self.channels or not any(counts.values()):
                self.counts = Counter(counts)


def _raise(reason: str) -> None:
    raise ValueError(reason)


def _check_header(file: BinaryIO, size: int) -> int:
    """Return the offset behind the header record."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ValueError('it does not begin like an MCAP file')
    code, length = struct.unpack('<BQ', file.read(9).ljust(9, b'\0'))
    if code != _HEADER or not 8 <= length <= min(size, 1 << 16):
        raise ValueError('it has no header')
    profile, _ = _text(memoryview(file.read(length)), 0)
    if profile != 'ros2':
        raise ValueError(f'its profile is {quote(profile)!r}, not ros2')
    return file.tell()


def _summary(file: BinaryIO, size: int, begin: int) -> int | None:
    """Return the offset of the summary; None if there is none."""
    if size < begin + _END:
        raise ValueError('it is cut off')
    file.seek(size - _END)
    end = file.read(_END)
    if end[-len(_MAGIC) :] != _MAGIC:
        raise ValueError('it does not end like an MCAP file')
    code, length, summary = struct.unpack_from('<BQQ', end)
    if (code, length) != (_FOOTER, 20):
        raise ValueError('it has no footer')
    if summary and not begin <= summary <= size - _END:
        raise ValueError('its summary is not where it should be')
    return summary or None


def _reader(file: BinaryIO) -> Callable[[slice], memoryview]:
    def read(part: slice) -> memoryview:
        file.seek(part.start)
        return memoryview(file.read(part.stop - part.start))

    return read


def _records(
    read: Callable[[slice], memoryview],
    at: int,
    end: int,
    allowance: Allowance,
    damage: Callable[[str], None],
) -> Iterator[Record]:
    """Yield the needed records from ``at`` on; the rest of a chunk that is cut off.

    :param read: returns the bytes from one offset to another.
    """
    while at < end:
        head = bytes(read(slice(at, min(at + 9, end))))
        if head.startswith(_MAGIC):
            return
        code, size = struct.unpack('<BQ', head) if len(head) == 9 else (0, 0)
        if code == _MESSAGE:
            allowance.message()
        else:
            allowance.record()
        begin, at = at + 9, at + 9 + size
        if len(head) < 9 or at > end:
            damage(f'it is cut off at byte {end}')
            if code == _CHUNK and begin < end <= begin + _MAX_RECORD:
                yield code, read(slice(begin, end)), end
            return
        if code in _NEEDED and size > _MAX_RECORD:
            damage(f'a record of more than {in_bytes(_MAX_RECORD)} before byte {at}')
        elif code in _NEEDED:
            yield code, read(slice(begin, at)), at


def _salvaged(
    chunk: memoryview, end: int, allowance: Allowance, damage: Callable[[str], None]
) -> memoryview:
    """Return the records in a chunk, as far as they decompress."""
    try:
        content, complete = _unpacked(chunk, allowance)
    except ValueError as error:
        damage(f'a chunk before byte {end} has {error}')
        return memoryview(b'')
    except struct.error:
        content, complete = memoryview(b''), False
    if not complete:
        damage(f'a damaged chunk before byte {end}')
    return content


def _unpacked(chunk: memoryview, allowance: Allowance) -> tuple[memoryview, bool]:
    """Return the records in a chunk up to the first damage, and whether they are all.

    :raises ValueError: it is too large; says so.
    """
    size, checksum, name = struct.unpack_from('<16xQII', chunk)
    method = str(chunk[32 : 32 + min(name, 16)], 'utf-8', 'replace')
    if size > MAX_MESSAGE:
        raise ValueError(f'data of more than {in_bytes(MAX_MESSAGE)}')
    content, complete = unpack_chunk(chunk[32 + name + 8 :], method, allowance)
    good = len(content) == size and (not checksum or zlib.crc32(content) == checksum)
    return content, complete and good


def _by_time(file: BinaryIO, index: _Index, topics: Collection[str]) -> Iterator[Found]:
    """Yield the messages in the chunks of an index by their log times."""
    wanted = {n: channel for n, channel in index.channels.items() if channel.topic in topics}
    #: Log time, number of the chunk, number of the message in it.
    queue: list[tuple[int, int, int]] = []
    open_chunks: dict[int, _Held] = {}
    held = 0

    def until(time: int | None) -> Iterator[Found]:
        nonlocal held
        while queue and (time is None or queue[0][0] < time):
            _, number, _ = heapq.heappop(queue)
            chunk = open_chunks[number]
            at, begin, length, channel = chunk.messages[chunk.next]
            data = bytes(chunk.content[begin : begin + length])
            chunk.next += 1
            if chunk.next < len(chunk.messages):
                heapq.heappush(queue, (chunk.messages[chunk.next][0], number, chunk.next))
            else:
                held -= len(open_chunks.pop(number).messages)
            # Chunk and message may be large.
            del chunk
            yield wanted[channel], at, data
            del data

    for number, chunk in enumerate(index.chunks):
        if chunk.indexed and wanted.keys().isdisjoint(chunk.channels()):
            continue
        yield from until(chunk.begin)
        found = _open_chunk(file, chunk, index, wanted)
        held += len(found.messages)
        if held > _MAX_HELD_MESSAGES:
            raise ValueError('too many messages in chunks that overlap in time')
        if found.messages:
            open_chunks[number] = found
            heapq.heappush(queue, (found.messages[0][0], number, 0))
        del found
    yield from until(None)


def _open_chunk(file: BinaryIO, chunk: _Chunk, index: _Index, wanted: Collection[int]) -> _Held:
    file.seek(chunk.at)
    code, size = struct.unpack('<BQ', file.read(9).ljust(9, b'\0'))
    if code != _CHUNK or size != chunk.length - 9 or size > _MAX_RECORD:
        raise ValueError('its index of chunks is damaged')
    content, complete = _unpacked(memoryview(file.read(size)), index.allowance)
    if not complete or len(content) != chunk.plain:
        raise ValueError(f'a damaged chunk at byte {chunk.at}')
    messages: list[tuple[int, int, int, int]] = []
    at = 0
    while at < len(content):
        code, size = struct.unpack_from('<BQ', content, at)
        at += 9
        if at + size > len(content) or (code == _MESSAGE and size < 22):
            raise ValueError(f'a damaged chunk at byte {chunk.at}')
        if code != _MESSAGE:
            index.allowance.record()
        else:
            index.allowance.message()
            channel, time = struct.unpack_from('<H4xQ', content, at)
            if not chunk.begin <= time <= chunk.end:
                raise ValueError(f'wrong times in the index of the chunk at byte {chunk.at}')
            if channel in wanted and time <= MAX_TIME:
                messages.append((time, at + 22, size - 22, channel))
                if len(messages) > _MAX_HELD_MESSAGES:
                    raise ValueError(f'too many messages in the chunk at byte {chunk.at}')
        at += size
    return _Held(content, messages)
