"""Open a SQLite database with the log that its writer left, without writing to either file.

A recorder that was killed leaves messages in ``-wal``, or a ``-journal`` of what it was changing.
SQLite takes them over when it opens the database, and writes to the folder for that. Here it gets
both files by descriptors for reading only, and what it writes stays in memory: the bag may lie on a
medium that is read-only, and is the same afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import BinaryIO

import apsw

from emotion_estimator.untrusted import MAX_BAG_FILE, open_regular

#: Logs and the least size of one that holds anything: the header of `-wal` takes 32 bytes.
_LOGS = {'-wal': 32, '-journal': 0}
#: Name of the database inside the file system that SQLite sees.
_NAME = '/bag'
#: Bytes of a block of what is written, and how many are held.
_BLOCK, _MOST_BLOCKS = 512, 1 << 17

_numbers = count()


def logs_of(database: Path) -> dict[str, Path]:
    """Return the logs with content beside a database, by their suffix.

    Links are not followed: SQLite never makes one.
    """
    found: dict[str, Path] = {}
    # As SQLite does, beside the file that a link names.
    try:
        database = database.resolve()
    except (OSError, RuntimeError):
        return found
    for suffix, least in _LOGS.items():
        log = database.with_name(database.name + suffix)
        try:
            if not log.is_symlink() and log.is_file() and log.stat().st_size > least:
                found[suffix] = log
        except OSError:
            continue
    return found


@contextmanager
def opened_with_logs(database: Path, logs: Mapping[str, Path]) -> Iterator[apsw.Connection]:
    """Yield a connection to a database and its logs; nothing is read yet.

    :param logs: by their suffix.
    :raises OSError: a file cannot be read, or is larger than any bag.
    """
    with ExitStack() as stack:
        files: dict[str, BinaryIO] = {}
        for suffix, path in (('', database), *logs.items()):
            file = stack.enter_context(open_regular(path))
            if os.fstat(file.fileno()).st_size > MAX_BAG_FILE:
                raise OSError(0, 'it is larger than any bag', path)
            files[_NAME + suffix] = file
        name = f'emotion-estimator-{os.getpid()}-{next(_numbers)}'
        system = _FileSystem(name, files)
        connection = apsw.Connection(_NAME, flags=apsw.SQLITE_OPEN_READWRITE, vfs=name)
        # Else closing would copy the log into the database.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        # The index of the log is in memory then, and not in a file `-shm`.
        connection.execute('PRAGMA locking_mode=EXCLUSIVE')
        yield connection
        del system


class _FileSystem(apsw.VFS):
    """A file system with some open files and no others."""

    def __init__(self, name: str, files: Mapping[str, BinaryIO]) -> None:
        super().__init__(name, '')
        self._files = {path: _File(file) for path, file in files.items()}

    def xFullPathname(self, name: str) -> str:  # noqa: N802  apsw's names
        return name

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802
        return pathname in self._files

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        self._files.pop(filename, None)

    def xOpen(  # type: ignore[override]  # noqa: N802
        self, name: object, flags: list[int]
    ) -> _File:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if not isinstance(path, str) or path not in self._files:
            raise apsw.CantOpenError(f'{path}')
        flags[1] = flags[0]
        return self._files[path]


class _File:
    """A file, with what is written to it in memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._number = file.fileno()
        self._size = os.fstat(self._number).st_size
        #: Bytes from here on are not the file's.
        self._own = self._size
        self._written: dict[int, bytes] = {}

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        amount = max(0, min(amount, self._size - offset))
        data = self._original(amount, offset)
        if not self._written:
            return data
        blocks = range(offset // _BLOCK, (offset + amount + _BLOCK - 1) // _BLOCK)
        if self._written.keys().isdisjoint(blocks):
            return data
        whole = b''.join(self._block(number) for number in blocks)
        start = offset - blocks.start * _BLOCK
        return whole[start : start + amount]

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        end = offset + len(data)
        for number in range(offset // _BLOCK, (end + _BLOCK - 1) // _BLOCK):
            block = bytearray(self._block(number))
            begin = number * _BLOCK
            low, high = max(offset, begin), min(end, begin + _BLOCK)
            block[low - begin : high - begin] = data[low - offset : high - offset]
            self._written[number] = bytes(block)
        if len(self._written) > _MOST_BLOCKS:
            raise apsw.FullError('its log changes too much of it')
        self._size = max(self._size, end)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._size = newsize
        self._own = min(self._own, newsize)
        for number in [each for each in self._written if each * _BLOCK >= newsize]:
            del self._written[number]

    def xFileSize(self) -> int:  # noqa: N802
        return self._size

    def xSync(self, flags: int) -> None:  # noqa: N802
        pass

    def xLock(self, level: int) -> None:  # noqa: N802
        pass

    def xUnlock(self, level: int) -> None:  # noqa: N802
        pass

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xFileControl(self, op: int, pointer: int) -> bool:  # noqa: N802
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        return 4096

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return 0

    def xClose(self) -> None:  # noqa: N802
        pass

    def _block(self, number: int) -> bytes:
        known = self._written.get(number)
        return known if known is not None else self._original(_BLOCK, number * _BLOCK)

    def _original(self, amount: int, offset: int) -> bytes:
        there = max(0, min(amount, self._own - offset))
        return os.pread(self._number, there, offset).ljust(amount, b'\0')
