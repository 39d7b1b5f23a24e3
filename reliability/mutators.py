"""Mutate inputs: anywhere at random, or within the structure of their format, checksums corrected.

Each function is given the input, a random generator, and further inputs to take pieces from, so
that a seed and a number give the same mutant again. Everything is plain Python.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from random import Random

#: The input, the random numbers, and inputs to take pieces from.
Mutation = Callable[[bytes, Random, Sequence[bytes]], bytes]

#: Longest mutant in bytes.
MOST = 1 << 20

#: Values at which counters, lengths and offsets go wrong.
_EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000,
          0xFFFFFFFE, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)  # fmt: skip


def mutate_bytes(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Change bits, bytes, numbers and blocks in one to six places."""
    out = bytearray(data)
    for _ in range(1 + int(random.random() * random.random() * 6)):
        out = _change(out, random, others)
    return bytes(out[:MOST])


def _change(out: bytearray, random: Random, others: Sequence[bytes]) -> bytearray:
    if not out:
        return bytearray(random.randbytes(random.randrange(1, 64)))
    at = int(random.random() * len(out))
    kind = int(random.random() * 10)
    if kind == 0:
        out[at] ^= 1 << random.randrange(8)
    elif kind == 1:
        out[at] = random.randrange(256)
    elif kind in (2, 3):
        size = random.choice((1, 2, 4, 4, 8))
        at -= at % size if random.random() < 0.5 else 0
        value = _number(out[at : at + size], random) & ((1 << 8 * size) - 1)
        out[at : at + size] = value.to_bytes(size, random.choice(('little', 'big')))
    elif kind == 4:
        del out[at : at + _length(random, len(out) - at)]
    elif kind == 5:
        out[at:at] = random.randbytes(_length(random, 64))
    elif kind == 6:
        block = out[at : at + _length(random, len(out) - at)]
        to = random.randrange(len(out) + 1)
        out[to:to] = block * random.choice((1, 1, 1, 2, 16))
    elif kind == 7:
        size = _length(random, len(out) - at)
        out[at : at + size] = bytes([random.choice((0, 0xFF, 0x41))]) * size
    elif kind == 8 and others:
        other = random.choice(others)
        begin = random.randrange(len(other)) if other else 0
        block = other[begin : begin + _length(random, len(other) - begin)]
        out[at : at + (len(block) if random.random() < 0.5 else 0)] = block
    else:
        del out[at:]
    return out


def _number(old: bytes, random: Random) -> int:
    if random.random() < 0.5:
        return random.choice(_EDGES)
    return int.from_bytes(old, 'little') + random.randrange(-16, 17)


def _length(random: Random, most: int) -> int:
    """Return mostly a short length, from 1 on."""
    return 1 + int((max(most, 1) - 1) * random.random() ** 4)


def _some(items: list, random: Random, others: list, change: Callable) -> list:
    """Change, drop, double, move or exchange a few items of a file."""
    items = list(items)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if not items:
            break
        at, kind = random.randrange(len(items)), random.randrange(8)
        if kind < 4:
            items[at] = change(items[at])
        elif kind == 4:
            del items[at]
        elif kind == 5:
            # Many of a small one.
            many = 300 if len(repr(items[at])) < 2000 else 2
            items[at:at] = [items[at]] * random.choice((1, 1, 2, many))
        elif kind == 6:
            items.insert(random.randrange(len(items)), items.pop(at))
        elif others:
            items[at] = random.choice(others)
    return items


def mutate_png(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Change chunks; their checksums are right, and often the pixels decompress."""

    def change(chunk: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
        name, body = chunk
        if name == b'IDAT' and random.random() < 0.5:
            try:
                plain = zlib.decompressobj().decompress(body, 1 << 18)
                return name, zlib.compress(mutate_bytes(plain, random), 1)
            except zlib.error:
                pass
        if random.random() < 0.1:
            name = random.choice((b'IDAT', b'PLTE', b'tRNS', b'eXIf', b'iCCP', b'zTXt', b'acTL',
                                  b'fdAT', b'gAMA', b'sPLT'))  # fmt: skip
        return name, mutate_bytes(body, random)

    other = _png_chunks(random.choice(others)) if others else []
    chunks = _some(_png_chunks(data), random, other, change)
    return data[:8] + b''.join(
        struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body))
        for name, body in chunks
    )


def _png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, at = [], 8
    while at + 8 <= len(data) and len(chunks) < 64:
        (size,) = struct.unpack_from('>I', data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    return chunks


def mutate_jpeg(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Change segments; their lengths are right, except when one itself is changed."""

    def change(segment: tuple[int, bytes]) -> tuple[int, bytes]:
        marker, body = segment
        if random.random() < 0.15:
            marker = random.choice((0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC9, 0xCC, 0xDA, 0xDB, 0xDD,
                                    0xE1, 0xE2, 0xEE, 0xFE))  # fmt: skip
        return marker, mutate_bytes(body, random)

    segments, rest = _jpeg_segments(data)
    other = _jpeg_segments(random.choice(others))[0] if others else []
    if random.random() < 0.3:
        rest = mutate_bytes(rest, random, others)
    else:
        segments = _some(segments, random, other, change)
    return b'\xff\xd8' + b''.join(
        bytes((0xFF, marker)) + struct.pack('>H', min(len(body) + 2, 0xFFFF)) + body
        for marker, body in segments
    ) + rest  # fmt: skip


def _jpeg_segments(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Return the segments before the first scan's data, and that data with what follows."""
    segments, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        (size,) = struct.unpack_from('>H', data, at + 2)
        segments.append((marker, data[at + 4 : at + 2 + size]))
        at += 2 + size
        if marker == 0xDA:
            break
    return segments, data[at:]


def mutate_riff(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Change the chunks of a WebP or AVI file; lengths are right."""

    def change(chunk: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
        return chunk[0], mutate_bytes(chunk[1], random)

    chunks, at = [], 12
    while at + 8 <= len(data) and len(chunks) < 64:
        name, size = struct.unpack_from('<4sI', data, at)
        chunks.append((name, data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    body = b''.join(
        name + struct.pack('<I', len(content)) + content + b'\0' * (len(content) % 2)
        for name, content in _some(chunks, random, chunks, change)
    )
    return data[:4] + struct.pack('<I', len(body) + 4) + data[8:12] + body


def mutate_picture(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Change a picture by the structure of its format, where that has one."""
    if data.startswith(b'\x89PNG'):
        return mutate_png(data, random, [o for o in others if o.startswith(b'\x89PNG')])
    if data.startswith(b'\xff\xd8'):
        return mutate_jpeg(data, random, [o for o in others if o.startswith(b'\xff\xd8')])
    if data.startswith(b'RIFF'):
        return mutate_riff(data, random)
    # Most of what is fragile is at the beginning, or in TIFF's directory at the end.
    cut = min(128, len(data))
    if random.random() < 0.5:
        return mutate_bytes(data[:cut], random) + data[cut:]
    return data[:-cut] + mutate_bytes(data[-cut:], random)


def mutate_zip(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Change the members of an archive, with the right checksums, or the headers of arrays."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # The first bytes of each: a bomb would make the mutants large, not the reader's work.
            members = [(name, archive.open(name).read(MOST // 4)) for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError, RuntimeError, ValueError, EOFError, NotImplementedError):
        return mutate_bytes(data, random, others)

    def change(member: tuple[str, bytes]) -> tuple[str, bytes]:
        name, body = member
        if random.random() < 0.1:
            return random.choice(('w1', '../a', 'a' * 300, 'b1.npy', '', '/tmp/x')), body
        if body.startswith(b'\x93NUMPY') and random.random() < 0.7:
            head = mutate_text(body[10:128], random, _ARRAY_WORDS)
            return name, body[:8] + struct.pack('<H', len(head)) + head + body[128:]
        return name, mutate_bytes(body, random)

    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', random.choice((0, 8))) as archive:
        for name, body in _some(members, random, members, change):
            try:
                archive.writestr(zipfile.ZipInfo(name), body)
            except (ValueError, UnicodeError):
                continue
    return out.getvalue()[:MOST]


_ARRAY_WORDS = (
    b"'|O'", b"'<f4'", b"'<U1000000000'", b"'V0'", b'(1000000000,)', b'(-1,)', b'()',
    b'(99999999, 99999999)', b'True', b'[]', b"[('a', '<f4')]", b'__import__("os")', b'(' * 300,
)  # fmt: skip


def mutate_mcap(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Change records of an MCAP file, also those in chunks; lengths are right, checksums absent."""

    def change(record: tuple[int, bytes]) -> tuple[int, bytes]:
        code, body = record
        if code == 6 and len(body) > 40 and random.random() < 0.7:
            size, _, name = struct.unpack_from('<QII', body, 16)
            method = body[32 : 32 + name]
            if name == 0 and size < MOST:
                inner = _join_mcap(_some(_mcap_records(body[40:]), random, [], change))
                head = body[:16] + struct.pack('<QII', len(inner), 0, 0)
                return code, head + struct.pack('<Q', len(inner)) + inner
            return code, body[:32] + method + mutate_bytes(body[32 + name :], random)
        if random.random() < 0.05:
            code = random.randrange(1, 17)
        return code, mutate_bytes(body, random)

    magic = b'\x89MCAP0\r\n'
    records = _mcap_records(data[8:])
    if not records:
        return mutate_bytes(data, random, others)
    end = magic if random.random() < 0.9 else b''
    return (magic + _join_mcap(_some(records, random, records, change)) + end)[:MOST]


def _mcap_records(data: bytes) -> list[tuple[int, bytes]]:
    records, at = [], 0
    while at + 9 <= len(data) and not data.startswith(b'\x89MCAP', at) and len(records) < 256:
        code, size = struct.unpack_from('<BQ', data, at)
        records.append((code, data[at + 9 : at + 9 + size]))
        at += 9 + size
    return records


def _join_mcap(records: list[tuple[int, bytes]]) -> bytes:
    return b''.join(struct.pack('<BQ', code, len(body)) + body for code, body in records)


def mutate_sqlite(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Change pages: headers, cell pointers, cells, the schema's text; or the file's header."""
    size = int.from_bytes(data[16:18], 'big') or 4096
    if len(data) < 2 * size:
        return mutate_bytes(data, random, others)
    pages = [data[at : at + size] for at in range(0, len(data), size)]

    def change(page: bytes) -> bytes:
        kind = random.randrange(4)
        head = 100 if page.startswith(b'SQLite') else 0
        if kind == 0:
            cut = head + 12
            return page[:head] + mutate_bytes(page[head:cut], random)[:12].ljust(12) + page[cut:]
        if kind == 1 and head:
            return mutate_bytes(page[:100], random)[:100].ljust(100, b'\0') + page[100:]
        if kind == 2:
            cut = head + 8 + random.randrange(2, 64)
            return (page[: head + 8] + mutate_bytes(page[head + 8 : cut], random) + page[cut:])[
                :size
            ]
        return mutate_bytes(page, random)[:size].ljust(size, b'\0')

    if random.random() < 0.2:
        word = random.choice((b'TABLE', b'VIEW ', b'messages', b'topics', b'INTEGER', b'BLOB'))
        to = random.choice((b'view ', b'TEXT', b'topics', b'trigger', b'(((((', b'REAL'))
        return data.replace(word, to.ljust(len(word))[: len(word)])
    pages = [pages[0], *_some(pages[1:], random, pages, change)]
    if random.random() < 0.4:
        pages[0] = change(pages[0])
    return b''.join(pages)[:MOST]


_BOXES = re.compile(
    rb'mvhd|tkhd|mdhd|st[a-z]{2}|avc[1C]|elst|trex|strh|strf|avih|idx1|\x1aE|\xae|GIF8|\x2c'
)


def mutate_boxes(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Change a video: bytes near the names of boxes, which hold sizes and counts; or anywhere."""
    if random.random() < 0.3:
        return mutate_bytes(data, random, others)
    names = [found.start() for found in _BOXES.finditer(data)]
    if not names:
        return mutate_bytes(data, random, others)
    at = max(random.choice(names) - 4, 0)
    cut = at + 8 + random.randrange(64)
    block = mutate_bytes(data[at:cut], random)
    return data[:at] + (block if random.random() < 0.3 else block[: cut - at]) + data[cut:]


def mutate_cdr(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Change a serialized message: mostly its lengths, which lie at multiples of four."""
    if len(data) < 8 or random.random() < 0.4:
        return mutate_bytes(data, random, others)
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 3))):
        at = 4 + 4 * random.randrange((len(out) - 4) // 4)
        value = _number(out[at : at + 4], random) & 0xFFFFFFFF
        out[at : at + 4] = value.to_bytes(4, 'little')
    return bytes(out)


#: Words of YAML that mean something, and what has gone wrong with them.
YAML_WORDS = (
    b'<<: *a', b'&a ', b'*a', b'*b', b'!!timestamp ', b'!!int ', b'!!float ', b'!!bool ',
    b'!!binary ', b'!!set ', b'!!omap ', b'!!python/object/apply:os.system ["true"]', b'!local ',
    b'2024-02-31', b'9999-99-99T99:99:99Z', b'1:30', b'1:' * 300, b'0o7', b'0x', b'0b', b'.inf',
    b'.nan', b'-.inf', b'1e999', b'1' * 5000, b'~', b'null', b'yes', b'"\\ud800"',
    b'"\\UFFFFFFFF"', b'? ', b': ', b'- ', b'- ' * 200, b'[' * 60, b'{' * 60, b'{a: ' * 50,
    b'---\n', b'...\n', b'%YAML 9.9\n', b'%TAG ! !\n', b'|', b'>', b'>-9', b'\t', b'\0', b'\x7f',
    b'\xff\xfe', b'\xed\xa0\x80', b'\xe2\x80\xa8', b'\xef\xbb\xbf', b'#', b'"', b"'", b'&a [*a]',
    b'&a {x: *a}', b'{topic}', b'{', b'}', b'{0.__class__}', b'a: &a [x,x]\nb: &b [*a,*a]\n',
    b'-1', b'0', b'1e-320', b'99999999999999999999', b'true', b'[]', b'{}', b'""',
)  # fmt: skip

#: The same of JSON.
JSON_WORDS = (
    b'NaN', b'Infinity', b'-Infinity', b'1e999', b'1' + b'0' * 400, b'1' * 5000, b'-0',
    b'"\\ud800"', b'"\\udfff\\ud800"', b'"\\u0000"', b'[' * 60, b'[' * 100000, b'{"a":' * 60,
    b']', b'}', b'null', b'true', b'""', b'[]', b'{}', b'"a":', b',', b'1.5', b'1', b'-1',
    b'\xff', b'\xed\xa0\x80', b'\0', b'"' + b'x' * 5000 + b'"', b'"__class__"', b'"/dev/zero"',
    b'"../../etc/passwd"', b'99999999999999999999', b'1e-320',
)  # fmt: skip

_TOKEN = re.compile(rb'\w+|\s+|[^\w\s]')


def mutate_text(data: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    """Change, exchange, repeat and insert words of a text."""
    if random.random() < 0.15:
        return mutate_bytes(data, random)
    tokens = _TOKEN.findall(data) if len(data) < 1 << 15 else data.splitlines(keepends=True)
    for _ in range(1 + int(random.random() * random.random() * 6)):
        if not tokens:
            return random.choice(words)
        at, kind = random.randrange(len(tokens)), random.randrange(9)
        if kind < 3:
            tokens[at] = random.choice(words)
        elif kind == 3:
            tokens.insert(at, random.choice(words))
        elif kind == 4:
            tokens[at] = random.choice(tokens)
        elif kind == 5:
            del tokens[at : at + _length(random, len(tokens) - at)]
        elif kind == 6:
            tokens[at:at] = tokens[at : at + _length(random, 64)] * random.choice((1, 1, 3, 50))
        elif kind == 7:
            tokens.insert(at, random.choice((b'\n', b' ', b'  ', b'\n  ', b'\n- ', b'\t', b'\r')))
        else:
            tokens[at] = mutate_bytes(tokens[at], random)
    return b''.join(tokens)[:MOST]


def mutate_yaml(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Change a YAML text by its words."""
    return mutate_text(data, random, YAML_WORDS)


def mutate_json(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Change a JSON text, or lines of it, by its words."""
    return mutate_text(data, random, JSON_WORDS)


def mutant(seeds: Sequence[bytes], structured: Mutation, key: str) -> bytes:
    """Return the mutant that belongs to a key, always the same.

    :param seeds: inputs to start from, at least one.
    :param structured: the format's mutation; every fourth mutant is changed without it.
    """
    random = Random(key)
    # Large inputs are mutated and read slowly: small ones come more often.
    seed = min(random.choice(seeds), random.choice(seeds), key=len)
    if random.random() < 0.25:
        return mutate_bytes(seed, random, seeds)
    return structured(seed, random, seeds)
