"""Read MCAP files (mcap.dev, version 0) within limits: by their index, or record by record.

MCAP is parsed here because other readers decompress whatever a chunk contains, trust the lengths
and offsets in the file, stop at the first damaged record, and drop a chunk that is cut off. Of the
truncated files in test/bags the readers of the `mcap` library recover 0 to 113 of 200 messages
where this module recovers 60 to 198, and nothing behind a damaged chunk.
"""

from __future__ import annotations

import heapq
import os
import re
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
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

#: Largest code of a record.
_LAST_CODE = 0x0F
#: Head of a chunk or message of less than 4 GB, and the bytes searched at once for one.
_HEAD_OF_RECORD = re.compile(rb'[\x05\x06].{4}\0{4}', re.DOTALL)
_SEARCHED = 1 << 20

#: Code and content of a record, and the offset behind it.
Record = tuple[int, memoryview, int]


class _Chunk(NamedTuple):
    """Where a chunk is, by the file's index, and the log times and channels of its messages."""

    begin: int
    end: int
    at: int
    length: int
    plain: int
    #: Bytes of the indexes of its messages, which follow it.
    behind: int
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
                found = counted(self._strictly())
                known = {each.id: each for each in (*index.channels.values(), *found.connections)}
                return found._replace(connections=tuple(known.values()))
            counts: Counter[str] = Counter()
            for number, connection in index.channels.items():
                counts[connection.topic] += index.counts.get(number, 0)
            times = index.times if counts.total() else (None, None)
            return StorageSummary(tuple(index.channels.values()), counts, *times)

    def messages(self, topics: Collection[str], damage: Callable[[str], None]) -> Iterator[Found]:
        """Yield the messages of some topics, in the order of their log times if there is an index.

        :param damage: called with a description of each damage that leaves the rest readable.
        :raises Exception: the index is damaged; the message says how.
        :raises TooMuch: the file's size does not explain it.
        """
        with open_regular(self._path) as file:
            index = _Index(file)
            if index.chunks:
                yield from _by_time(file, index, topics, damage)
            else:
                yield from (found for found in self.salvage(damage) if found[0].topic in topics)

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
            for code, record, end in _found(read, len(_MAGIC), size, allowance, damage):
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
        # Channel of a self-describing encoding, such as JSON.
        kind, encoding, text = self._schemas[schema] if schema else ('', '', '')
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
            if code == _SCHEMA:
                channels.read(code, body)
            elif code == _CHANNEL:
                # Writers may leave out the schemas here, or the channels.
                with suppress(KeyError):
                    channels.read(code, body)
            elif code == _CHUNK_INDEX:
                self.chunks.append(self._chunk(body))
            elif code == _STATISTICS:
                statistics = body
        self._check_chunks(file)
        if not self._names_all():
            self.chunks.clear()
        elif statistics:
            self._count(statistics)

    def _chunk(self, body: memoryview) -> _Chunk:
        begin, end, at, length, size = struct.unpack_from('<QQQQI', body)
        indexed = bytes(body[36 : 36 + size])
        self.allowance.record(len(indexed) // 10)
        (behind,) = struct.unpack_from('<Q', body, 36 + size)
        _, rest = _text(body, 36 + size + 8)
        _, plain = struct.unpack_from('<QQ', body, rest)
        return _Chunk(begin, end, at, length, plain, behind, indexed)

    def _names_all(self) -> bool:
        """Return whether the summary names the channels of all indexed messages."""
        channels = {number for chunk in self.chunks for number in chunk.channels()}
        return bool(self.channels) and channels <= self.channels.keys()

    def _check_chunks(self, file: BinaryIO) -> None:
        """Check that the index has all chunks in the file, each once; few overlap in time.

        Of what it leaves out, only the heads of records are read.
        """
        free = self.begin
        for chunk in sorted(self.chunks, key=lambda chunk: chunk.at):
            if chunk.at < free or chunk.length < 9 + 40 or len(chunk.indexed) % 10:
                raise ValueError('its index of chunks is damaged')
            self._check_gap(file, free, chunk.at)
            file.seek(chunk.at)
            if file.read(9) != struct.pack('<BQ', _CHUNK, chunk.length - 9):
                raise ValueError('its index of chunks is damaged')
            free = chunk.at + chunk.length
            # Most of a file's records, about which there is nothing to ask.
            if free + chunk.behind <= (self.end or 0):
                free += chunk.behind
        if self.end is not None and self.chunks:
            if free > self.end:
                raise ValueError('its index of chunks points outside of the file')
            self._check_gap(file, free, self.end)
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

    def _check_gap(self, file: BinaryIO, at: int, end: int) -> None:
        for code, _, _ in _heads(_reader(file), at, end, self.allowance, _raise):
            if code in (_CHUNK, _MESSAGE):
                raise ValueError('its index of chunks lacks some')

    def _count(self, statistics: memoryview) -> None:
        """Take the counts, unless the rest of the summary contradicts them."""
        total, _, channels, _, _, chunks, begin, end, size = struct.unpack_from(
            '<QHIIIIQQI', statistics
        )
        self.times = min(begin, MAX_TIME), min(end, MAX_TIME)
        pairs = statistics[46 : 46 + size]
        counts = Counter(dict(struct.iter_unpack('<HQ', pairs[: len(pairs) // 10 * 10])))
        filled = {number for number, count in counts.items() if count}
        indexed = {number for chunk in self.chunks for number in chunk.channels()}
        all_indexed = bool(self.chunks) and all(chunk.indexed for chunk in self.chunks)
        if (
            total == counts.total()
            and channels == len(self.channels)
            and filled <= self.channels.keys()
            and indexed <= filled
            and (not self.chunks or chunks == len(self.chunks))
            and filled == (indexed if all_indexed else self.channels.keys())
        ):
            self.counts = counts


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
    # Programs that only copy messages write none.
    if profile not in ('ros2', ''):
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
        return memoryview(file.read(max(0, part.stop - part.start)))

    return read


def _heads(
    read: Callable[[slice], memoryview],
    at: int,
    end: int,
    allowance: Allowance,
    damage: Callable[[str], None],
) -> Iterator[tuple[int, int, int]]:
    """Yield each record's code and the offsets of its content's begin and end.

    That end lies behind ``end`` if the last record is cut off.

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
        yield code, begin, at


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
    for code, begin, stop in _heads(read, at, end, allowance, damage):
        if stop > end:
            if code == _CHUNK and begin < end <= begin + _MAX_RECORD:
                yield code, read(slice(begin, end)), end
        elif code in _NEEDED and stop - begin > _MAX_RECORD:
            damage(f'a record of more than {in_bytes(_MAX_RECORD)} before byte {stop}')
        elif code in _NEEDED:
            yield code, read(slice(begin, stop)), stop


def _found(
    read: Callable[[slice], memoryview],
    at: int,
    end: int,
    allowance: Allowance,
    damage: Callable[[str], None],
) -> Iterator[Record]:
    """Yield the needed records of a file as :func:`_records` does, past damaged ones too."""

    def lost(reason: str) -> None:
        raise _LostError(reason)

    while at < end:
        try:
            for code, begin, stop in _heads(read, at, end, allowance, lost):
                # Other codes that are unknown are for later versions, or for programs' own.
                if not code:
                    raise _LostError(f'a damaged record at byte {at}')
                if code in _NEEDED and stop - begin > _MAX_RECORD:
                    damage(f'a record of more than {in_bytes(_MAX_RECORD)} before byte {stop}')
                elif code in _NEEDED:
                    record = read(slice(begin, stop))
                    if code == _CHUNK and not _fits(record[:64], stop - begin):
                        raise _LostError(f'a damaged chunk at byte {at}')
                    yield code, record, stop
                    del record
                at = stop
            return
        except _LostError as error:
            damage(str(error))
            head = bytes(read(slice(at, at + 9))).ljust(9, b'\0')
            code, size = struct.unpack('<BQ', head)
            # What a file ends in that was cut off holds records, but they are the chunk's.
            whole = code == _CHUNK and _fits(read(slice(at + 9, min(at + 73, end))), size)
            found = None if whole else _next_record(read, at + 1, end, allowance)
            if whole and size <= _MAX_RECORD:
                yield code, read(slice(at + 9, end)), end
            if found is None:
                return
            at = found


class _LostError(Exception):
    """Where the next record begins is not known."""


def _next_record(
    read: Callable[[slice], memoryview], at: int, end: int, allowance: Allowance
) -> int | None:
    """Return the offset of the next chunk or message; None if there is none."""
    while at < end:
        part = read(slice(at, min(at + _SEARCHED, end)))
        for match in _HEAD_OF_RECORD.finditer(part):
            start = at + match.start()
            code, size = struct.unpack('<BQ', match[0])
            stop = start + 9 + size
            if stop > end or size > _MAX_RECORD:
                continue
            allowance.record()
            if code == _CHUNK:
                good = _fits(read(slice(start + 9, start + 73)), size)
            else:
                follows = bytes(read(slice(stop, stop + 9))).ljust(9, b'\0')
                code, more = struct.unpack('<BQ', follows)
                good = size >= 22 and 0 < code <= _LAST_CODE and stop + 9 + more <= end
            if good:
                return start
        # A head may lie across the border.
        at += max(1, len(part) - 8)
    return None


def _fits(head: memoryview, size: int) -> bool:
    """Return whether a chunk's head agrees with the size of its record."""
    if len(head) < 40:
        return False
    (name,) = struct.unpack_from('<I', head, 28)
    if name > 16 or len(head) < 40 + name:
        return False
    (packed,) = struct.unpack_from('<Q', head, 32 + name)
    return bool(40 + name + packed == size)


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


def _by_time(
    file: BinaryIO, index: _Index, topics: Collection[str], damage: Callable[[str], None]
) -> Iterator[Found]:
    """Yield the messages in the chunks of an index by their log times."""
    wanted = {n: channel for n, channel in index.channels.items() if channel.topic in topics}
    #: Log time, number of the chunk, number of the message in it.
    queue: list[tuple[int, int, int]] = []
    open_chunks: dict[int, _Held] = {}
    held = count = 0

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

    def read(number: int, chunk: _Chunk) -> Iterator[Found]:
        nonlocal held, count
        yield from until(chunk.begin)
        found = _open_chunk(file, chunk, index, wanted, damage)
        count += len(found.messages)
        held += len(found.messages)
        if held > _MAX_HELD_MESSAGES:
            raise ValueError('too many messages in chunks that overlap in time')
        if found.messages:
            open_chunks[number] = found
            heapq.heappush(queue, (found.messages[0][0], number, 0))
        del found

    skipped: list[tuple[int, _Chunk]] = []
    for number, chunk in enumerate(index.chunks):
        none = chunk.indexed and wanted.keys().isdisjoint(chunk.channels())
        if none and index.counts is not None:
            skipped.append((number, chunk))
        else:
            yield from read(number, chunk)
    yield from until(None)
    # Where fewer came than the file counts, the indexes of messages may be wrong.
    if index.counts is not None and count < sum(index.counts[number] for number in wanted):
        for number, chunk in skipped:
            yield from read(number, chunk)
        yield from until(None)


def _open_chunk(
    file: BinaryIO,
    chunk: _Chunk,
    index: _Index,
    wanted: Collection[int],
    damage: Callable[[str], None],
) -> _Held:
    """Return the messages of a chunk; of a damaged one those before the damage.

    :raises ValueError: it grows beyond what the index says of it, or holds too many messages.
    """
    file.seek(chunk.at + 9)
    record = memoryview(file.read(min(chunk.length - 9, _MAX_RECORD)))
    content = _salvaged(record, chunk.at + chunk.length, index.allowance, damage)
    if len(content) > chunk.plain:
        raise ValueError('its index of chunks is damaged')
    messages: list[tuple[int, int, int, int]] = []
    heads = _heads(content.__getitem__, 0, len(content), index.allowance, damage)
    for code, begin, end in heads:
        if code == _CHANNEL and end <= len(content):
            (number,) = struct.unpack_from('<H', content, begin)
            if number not in index.channels:
                raise ValueError(f'its summary lacks channel {number}')
        if code != _MESSAGE or end > len(content):
            continue
        if end - begin < 22:
            damage(f'a damaged message in the chunk at byte {chunk.at}')
            continue
        channel, time = struct.unpack_from('<H4xQ', content, begin)
        if not chunk.begin <= time <= chunk.end:
            damage(f'wrong times in the index of the chunk at byte {chunk.at}')
        if channel in wanted and time <= MAX_TIME:
            messages.append((time, begin + 22, end - begin - 22, channel))
            if len(messages) > _MAX_HELD_MESSAGES:
                raise ValueError(f'too many messages in the chunk at byte {chunk.at}')
    return _Held(content, messages)
