"""The border for bytes from outside: which files are opened, how large they may be, JSON, quotes.

Pictures go on to :mod:`.picture_header`, YAML to :mod:`.strict_yaml`, bags to ``bags.border``.
"""

from __future__ import annotations

import json
import os
import re
import select
import stat
import threading
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from emotion_estimator.errors import EmotionEstimatorError

_MIB = 1 << 20

#: Largest pixel count of a picture, in a file or a message: 8K (7680 x 4320).
MAX_PIXELS = 7680 * 4320
#: Largest side of a picture: from 32767 on OpenCV's remap, inside MediaPipe, aborts the process.
MAX_SIDE = 32766

#: Largest files, in bytes.
MAX_PICTURE_FILE = 256 * _MIB
#: Largest memory for a picture while it is decoded, its file included. What is converted by rows
#: comes on top, so that a process grows by less than 500 MB.
MAX_DECODING = 480 * _MIB
MAX_YAML_FILE = 256 * 1024
#: A bag's metadata, which have some 240 bytes for each file of a long recording.
MAX_METADATA_FILE = 1024 * 1024
MAX_JSON = 4 * _MIB
MAX_TEXT_FILE = 4 * _MIB
MAX_MODEL_FILE = 256 * _MIB
#: A line of a file of JSON lines, or of a table.
MAX_LINE = 4 * _MIB

#: Largest size of a decompressed message or chunk of a bag; an uncompressed 8K image takes 100 MB.
MAX_MESSAGE = 128 * _MIB
#: Largest size of a decompressed file of a bag.
MAX_BAG_FILE = 64 * 1024 * _MIB

#: Deepest nesting of lists and mappings in YAML and JSON, and the longest number.
MAX_DEPTH = 40
MAX_DIGITS = 64
#: Largest number of YAML values, each alias counted as all that it stands for.
MAX_VALUES, MAX_METADATA_VALUES = 30_000, 100_000

#: Characters of the input that an error line quotes.
MAX_QUOTE = 200

_HALF = 'it holds half a surrogate pair'

#: What changes the depth of a JSON text; strings are skipped.
#: It matches any string, closed or not: it would search those that are not again from each quote.
_JSON_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*\\?(?:"|\Z)|[\[\]{}]', re.DOTALL)


def quote(value: object) -> str:
    """Return text from outside as part of one line: printable, at most 200 characters.

    A path or message of the operating system that is within these limits is returned unchanged.
    """
    return as_line(value, MAX_QUOTE)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading, without waiting for the writer of a pipe.

    :raises OSError: it cannot be opened, or is a folder, a pipe, a device or a socket; the
        ``strerror`` says which.
    :raises ValueError: the name contains a null byte.
    """
    # Opening some devices has effects, so look before as well; the name may change in between.
    _check_kind(path, path.stat().st_mode)
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check_kind(path, os.fstat(number).st_mode)
        if not _readable(number):
            raise OSError(0, 'it has nothing to read now', path)
        return os.fdopen(number, 'rb')
    except BaseException:
        with suppress(OSError):
            os.close(number)
        raise


def _readable(number: int) -> bool:
    """Return whether reading would not wait, as it does of the kernel's messages in /proc."""
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))


def _check_kind(path: Path, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    kinds = {
        stat.S_IFDIR: 'a folder',
        stat.S_IFIFO: 'a pipe',
        stat.S_IFCHR: 'a device',
        stat.S_IFBLK: 'a device',
        stat.S_IFSOCK: 'a socket',
    }
    raise OSError(0, f'it is {kinds.get(stat.S_IFMT(mode), "something else")}, not a file', path)


def read_limited(path: Path, most: int) -> bytes:
    """Return the content of a regular file.

    :param most: its largest size in bytes.
    :raises OSError: it cannot be read, is no regular file, or is larger; the ``strerror`` says so.
    :raises ValueError: the name contains a null byte.
    """
    with open_regular(path) as file:
        # The file may grow meanwhile, and files in /proc claim to be empty.
        size = os.fstat(file.fileno()).st_size
        data = b'' if size > most else file.read(most + 1)
    if max(size, len(data)) > most:
        raise OSError(0, f'it is larger than {in_bytes(most)}', path)
    return data


def read_text(path: Path, most: int = MAX_TEXT_FILE) -> str:
    """Return the content of a regular file in UTF-8.

    :raises OSError: as for :func:`read_limited`.
    :raises UnicodeDecodeError: it is not UTF-8.
    """
    return read_limited(path, most).decode('utf-8')


def in_bytes(size: int) -> str:
    """Return a size in words, such as ``256 kB`` or ``64 MB``, of 1024 bytes a kB."""
    for unit in ('bytes', 'kB', 'MB'):
        if size < 1024:
            return f'{size} {unit}'
        size //= 1024
    return f'{size} GB'


def parse_json(text: str | bytes, most: int = MAX_JSON) -> Any:
    """Return the value of a JSON text from outside.

    Refuses what only Python accepts (NaN, infinities), numbers that overflow, and lone surrogates,
    which cannot be written again.

    :param most: largest length in characters or bytes.
    :raises ValueError: it is not JSON, too large, nested too deeply, or has such values; the
        message is one short line.
    """
    if len(text) > most:
        raise ValueError(f'it is larger than {in_bytes(most)}')
    if isinstance(text, bytes):
        text = text.decode('utf-8-sig')
    elif not (text.isascii() or is_utf8(text)):
        raise ValueError(_HALF)
    depth = 0
    for token in _JSON_TOKEN.finditer(text):
        sign = text[token.start()]
        depth += (sign in '[{') - (sign in ']}')
        if depth > MAX_DEPTH:
            raise ValueError(f'it is nested more than {MAX_DEPTH} deep')
    try:
        value = json.loads(
            text, parse_int=_integer, parse_float=_float, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise ValueError('it is nested too deeply') from None
    if '\\u' in text and not is_utf8(json.dumps(value, ensure_ascii=False)):
        raise ValueError(_HALF)
    return value


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f'it holds a number of {len(digits)} digits')
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits) if len(digits) <= MAX_DIGITS else float('inf')
    if number in (float('inf'), float('-inf')):
        raise ValueError(f'it holds a number that is too large or too long: {digits[:20]}')
    return number


def _refuse_constant(name: str) -> float:
    raise ValueError(f'it holds {name}, which is not JSON')


def cannot_read(
    kind: str,
    path: object,
    error: Exception,
    error_type: type[EmotionEstimatorError],
    hint: str = '',
) -> EmotionEstimatorError:
    """Return the one-line error of a file that :func:`read_limited` or ``open`` refused."""
    reason = getattr(error, 'strerror', None) or quote(str(error)) or type(error).__name__
    return error_type(
        f'{kind} {quote(path)}'.strip() + f' cannot be read ({reason}){hint and "; " + hint}'
    )


def printable(text: str) -> str:
    """Return text of any length for a terminal: control characters become question marks.

    Line breaks and escape sequences are such characters, and bytes of a file name that are no text.
    """
    return text if text.isprintable() else ''.join(c if c.isprintable() else '?' for c in text)


def read_lines(path: Path, most: int = MAX_LINE) -> Iterator[str]:
    """Yield the lines of a text file of any size, each with its line break.

    A byte order mark is left out. Of pipes only those that the shell hands over are read:
    ``/dev/stdin``, and ``<(command)``, which is ``/dev/fd/63``.

    :param most: largest length of a line in bytes.
    :raises OSError: as for :func:`read_limited`, or a line is longer; the ``strerror`` says so.
    :raises UnicodeDecodeError: it is not UTF-8.
    :raises ValueError: the name contains a null byte.
    """
    handed_over = path == Path('/dev/stdin') or path.parent == Path('/dev/fd')
    with path.open('rb') if handed_over else open_regular(path) as file:
        for number in count(1):
            line = file.readline(most + 1)
            if not line:
                return
            if len(line) > most:
                raise OSError(0, f'line {number} is longer than {in_bytes(most)}', path)
            if number == 1:
                line = line.removeprefix(BOM_UTF8)
            yield line.decode('utf-8')


def is_utf8(text: str) -> bool:
    """Return whether text holds no half of a surrogate pair.

    File names that are not UTF-8 do; OpenCV ends the process on such a one.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


#: Characters of a line in a log or in diagnostics: several quotes with what is said of them.
MAX_LOG_LINE = 1000


def as_line(text: object, most: int = MAX_LOG_LINE) -> str:
    """Return text for a log or for diagnostics: one printable line, cut where it is too long.

    Newlines and escape sequences, by which a message could forge further lines, become ``?``.

    :param most: largest number of characters.
    """
    line = text if isinstance(text, str) else str(text)
    return printable(line if len(line) <= most else f'{line[: most - 3]}...')


def quote_some(names: Sequence[str], most: int = 5) -> str:
    """Return the first of some names from outside, as :func:`quote` does, and how many are left.

    >>> quote_some(['/left', '/right', '/top'], most=2)
    '/left, /right and 1 more'
    """
    left = len(names) - most
    shown = ', '.join(quote(name) for name in names[:most])
    return f'{shown} and {left} more' if left > 0 else shown


#: Seconds that a file named by a parameter may take, and the reads given up that may be pending.
READING_TIME = 5.0
_MOST_PENDING = 4
_pending: list[threading.Thread] = []


def read_in_time(path: Path, most: int, seconds: float = READING_TIME) -> bytes:
    """Return the content of a regular file as :func:`read_limited` does, in limited time.

    A file on a network that is gone is never read. The thread that waits for it remains.

    :raises OSError: as for :func:`read_limited`; or it takes longer than ``seconds``, or too many
        such reads are pending.
    :raises ValueError: the name contains a null byte.
    """
    _pending[:] = [thread for thread in _pending if thread.is_alive()]
    if len(_pending) >= _MOST_PENDING:
        raise OSError(0, f'{len(_pending)} other files are still being read', path)
    outcome: list[bytes | Exception] = []

    def read() -> None:
        try:
            outcome.append(read_limited(path, most))
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=read, name='read_in_time', daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        _pending.append(thread)
        raise OSError(0, f'it could not be read within {seconds:g} s', path)
    [result] = outcome
    if isinstance(result, Exception):
        raise result
    return result
