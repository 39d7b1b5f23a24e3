"""Fast DDS's files in /dev/shm, which hold images: kept private, and removed when their owner died.

Each participant (here: each process) has one segment, ``fastdds_<16 hex digits>``, through which it
sends its messages, and beside it a file ``..._el`` that it keeps locked (flock) while it lives.
Fast DDS gives segments the mode 0644 whatever the umask; another user's process cannot use them
with that either, since it would have to write. Nothing removes the segment of a process that was
killed, unless one that read from it lives on.

The files of ports (``fastdds_port7412``) hold no messages and are left to Fast DDS, which replaces
those of dead processes: their names are used again, so removing one could hit a living process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Where glibc's shm_open puts its files.
FOLDER = Path('/dev/shm')

#: ``fastrtps`` until Fast DDS 2, ``fastdds`` since.
_LOCK = re.compile(r'((?:fastdds|fastrtps)_[0-9a-f]{16})_el')

#: Seconds after which the owner must have locked its file: it is created first and locked next.
_YOUNG = 5.0


@dataclass(frozen=True)
class RemovedSegments:
    """What :func:`remove_dead` has removed.

    :param count: number of segments.
    :param size: their bytes of memory.
    """

    count: int = 0
    size: int = 0

    def __str__(self) -> str:
        segments = 'segment' if self.count == 1 else 'segments'
        return (
            f'{self.count} shared memory {segments} ({self.size / 1e6:.1f} MB) of processes that '
            'have died: removed'
        )


def keep_private(folder: Path = FOLDER) -> int:
    """Let only this user read the segments that this process sends through.

    To call once its nodes exist and before they publish.

    :param folder: where the segments lie.
    :returns: the number of segments; 0 where the middleware has none.
    """
    return sum(_make_private(folder / name) for name in _own_segments(folder.resolve()))


def remove_dead(folder: Path = FOLDER, young: float = _YOUNG) -> RemovedSegments:
    """Remove this user's segments whose process has died.

    Safe at any time and beside any process: a living one holds its lock, in whatever container.

    :param folder: where the segments lie.
    :param young: seconds for which a lock file is left alone, locked or not.
    """
    count = size = 0
    for lock in _entries(folder):
        match = _LOCK.fullmatch(lock.name)
        if match is None:
            continue
        with _dead(lock, young) as dead:
            if dead:
                freed = _remove(folder / match[1])
                if freed is not None:
                    # Last: the lock is what tells that the segment is dead.
                    _remove(lock)
                    count, size = count + (freed > 0), size + freed
    return RemovedSegments(count, size)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _own_segments(folder: Path) -> Iterator[str]:
    """Yield the segments of this process: those that it keeps the lock of open."""
    for number in _entries(Path('/proc/self/fd')):
        with contextlib.suppress(OSError):
            path = number.readlink()
            match = _LOCK.fullmatch(path.name)
            if match is not None and path.parent == folder:
                yield match[1]


def _make_private(segment: Path) -> bool:
    with _opened(segment) as descriptor:
        if descriptor is None:
            return False
        os.fchmod(descriptor, stat.S_IRUSR | stat.S_IWUSR)
        return True


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    """Open a regular file of this user's; None if it is anything else.

    The folder is everybody's: a name may be another user's link.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    try:
        found = os.fstat(descriptor)
        yield descriptor if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() else None
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _dead(lock: Path, young: float) -> Iterator[bool]:
    """Hold the lock of a segment's owner, if that has died; tell whether it has."""
    with _opened(lock) as descriptor:
        yield descriptor is not None and _is_free(lock, descriptor, young)


def _is_free(lock: Path, descriptor: int, young: float) -> bool:
    try:
        found = os.fstat(descriptor)
        if abs(time.time() - found.st_mtime) < young:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Somebody else may have removed it meanwhile.
        return lock.lstat().st_ino == found.st_ino
    except OSError:
        return False


def _remove(path: Path) -> int | None:
    """Remove a file of this user's and return its bytes; None if it must stay, 0 if it is gone."""
    try:
        found = path.lstat()
        if found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode):
            return None
        path.unlink()
    except FileNotFoundError:
        return 0
    except OSError:
        return None
    return found.st_size
