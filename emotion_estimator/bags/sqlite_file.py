"""Read SQLite files of rosbag2 within limits, on one connection for check and content."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote as in_address

import apsw
from rosbags.interfaces import Connection

from emotion_estimator.bags.border import MAX_TIME, Allowance, TooMuch
from emotion_estimator.bags.contents import (
    MAX_TOPICS,
    Descriptions,
    Found,
    StorageSummary,
    described,
)
from emotion_estimator.untrusted import MAX_MESSAGE, open_regular, quote

#: What a bag's database consists of. A view or virtual table runs code when it is read.
_PLAIN = re.compile(r'CREATE (TABLE|INDEX|UNIQUE INDEX)\b')
#: Steps of SQLite's virtual machine between two looks at the allowance.
_STEPS = 10_000
#: A row's bytes beside its largest value.
_ROW = 4096

#: Those of ``topics`` that not every version has.
_LATER = ('offered_qos_profiles', 'type_description_hash')


class SqliteFile:
    """A database of rosbag2's ``sqlite3`` storage.

    It is opened as one that nobody writes to, so that no lock or log beside it is waited for,
    used or made.

    :param path: a regular file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def contents(self) -> StorageSummary:
        """Return the contents.

        :raises Exception: the database is damaged; the message says how.
        :raises TooMuch: it holds something else than tables, or more than its size explains.
        """
        with self._opened() as (database, allowance):
            topics = _topics(database, allowance)
            counts: Counter[str] = Counter()
            times: list[int] = []
            rows = database.execute(
                'SELECT topic_id, count(*), min(timestamp), max(timestamp) FROM messages '
                'GROUP BY topic_id'
            )
            for number, count, first, last in rows:
                allowance.message()
                if number in topics and isinstance(first, int) and isinstance(last, int):
                    counts[topics[number].topic] += count
                    times += first, last
            return StorageSummary(
                tuple(topics.values()),
                counts,
                min(times) if times else None,
                max(times) if times else None,
            )

    def messages(self, topics: Collection[str]) -> Iterator[Found]:
        """Yield the messages of some topics in the order of their log times.

        :raises Exception: the database is damaged; the message says how.
        :raises TooMuch: as for :meth:`contents`.
        """
        with self._opened() as (database, allowance):
            known = _topics(database, allowance)
            wanted = {n: topic for n, topic in known.items() if topic.topic in topics}
            # Apart from the data: without an index by time SQLite sorts on the disk.
            rows = database.execute(
                'SELECT rowid, topic_id, timestamp FROM messages ORDER BY timestamp'
            )
            content = database.cursor()
            for row, topic, time in rows:
                allowance.message()
                if topic not in wanted:
                    continue
                content.execute('SELECT data FROM messages WHERE rowid = ?', (row,))
                (data,) = content.fetchone() or (None,)
                if not (_is_time(time) and isinstance(data, bytes)):
                    raise ValueError('a damaged row')
                allowance.unpack(len(data))
                yield wanted[topic], time, data

    def salvage(self, damage: Callable[[str], None]) -> Iterator[Found]:
        """Yield all readable messages in the order of the file.

        :param damage: called with a description of each damage.
        :raises TooMuch: as for :meth:`contents`.
        """
        count = 0
        try:
            with self._opened(truncated=True) as (database, allowance):
                topics = _topics(database, allowance)
                # Not by time: that index is at the end of the file, which is lost first.
                rows = database.execute(
                    'SELECT topic_id, timestamp, data FROM messages ORDER BY id'
                )
                for topic, time, data in rows:
                    count += 1
                    allowance.message()
                    # A damaged row may contain anything.
                    if topic in topics and _is_time(time) and isinstance(data, bytes):
                        allowance.unpack(len(data))
                        yield topics[topic], time, data
        except (apsw.Error, ValueError) as error:
            damage(f'{error} after {count} messages')

    @contextmanager
    def _opened(self, *, truncated: bool = False) -> Iterator[tuple[apsw.Connection, Allowance]]:
        """Open the database for one pass.

        :param truncated: read it even if it is shorter than its header claims.
        """
        with open_regular(self._path) as file:
            size = os.fstat(file.fileno()).st_size
        allowance = Allowance(size)
        database = apsw.Connection(
            f'file:{in_address(str(self._path.absolute()))}?mode=ro&immutable=1',
            flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI,
        )
        steps = allowance.steps

        def look() -> bool:
            nonlocal steps
            steps -= _STEPS
            return steps < 0

        try:
            database.limit(apsw.SQLITE_LIMIT_LENGTH, min(MAX_MESSAGE, size) + _ROW)
            database.limit(apsw.SQLITE_LIMIT_SQL_LENGTH, 1 << 16)
            database.limit(apsw.SQLITE_LIMIT_EXPR_DEPTH, 50)
            database.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)
            database.limit(apsw.SQLITE_LIMIT_WORKER_THREADS, 0)
            for setting, value in (
                (apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
                (apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0),
                (apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0),
            ):
                database.config(setting, value)
            database.set_progress_handler(look, _STEPS)
            # Sorting in memory, where the allowance limits it, and not in files; and no mapped
            # file, which ends the process if it is cut off meanwhile.
            for pragma in ('query_only=1', 'temp_store=2', 'mmap_size=0', 'cell_size_check=1'):
                database.execute(f'PRAGMA {pragma}')
            if truncated:
                database.execute('PRAGMA writable_schema=1')
            _check_schema(database)
            yield database, allowance
        except apsw.InterruptError as error:
            raise TooMuch(
                'reading it takes far longer than its size explains; it is no recording'
            ) from error
        finally:
            # Busy where Python collects rows that nobody read to their end; it is freed with them.
            with suppress(apsw.BusyError):
                database.close(True)


def _check_schema(database: apsw.Connection) -> None:
    for kind, name, text in database.execute('SELECT type, name, sql FROM sqlite_master'):
        # What belongs to a UNIQUE or PRIMARY KEY has no text.
        if (text is not None and not _PLAIN.match(str(text))) or kind not in ('table', 'index'):
            raise TooMuch(
                f'it holds the {quote(kind)} {quote(name)}; a recording has only tables and indexes'
            )


def _columns(database: apsw.Connection, table: str) -> set[str]:
    return {str(row[1]) for row in database.execute(f'PRAGMA table_info({table})')}


def _topics(database: apsw.Connection, allowance: Allowance) -> dict[int, Connection]:
    """Return the topics by number; those that are damaged are left out."""
    texts = Descriptions()
    forms: dict[str, tuple[str, str]] = {}
    if {'topic_type', 'encoding', 'encoded_message_definition'} <= _columns(
        database, 'message_definitions'
    ):
        rows = database.execute(
            'SELECT topic_type, encoding, encoded_message_definition FROM message_definitions '
            'ORDER BY id'
        )
        for kind, encoding, text in _limited(rows, allowance):
            if isinstance(kind, str) and isinstance(encoding, str) and kind not in forms:
                forms[kind] = encoding, texts.definition(text)
    there = _columns(database, 'topics')
    later = [name if name in there else f"'' AS {name}" for name in _LATER]
    rows = database.execute(
        f'SELECT id, name, type, serialization_format, {", ".join(later)} FROM topics ORDER BY id'
    )
    topics: dict[int, Connection] = {}
    for number, topic, kind, wire, profiles, digest in _limited(rows, allowance):
        try:
            encoding, text = forms.get(kind, ('', ''))
            topics[number] = described(
                number,
                texts.name(topic),
                texts.name(kind),
                text=text,
                encoding=encoding,
                wire=texts.name(wire),
                digest=texts.name(digest),
                profiles=texts.qos(profiles),
            )
        except (ValueError, TypeError):
            continue
    return topics


def _limited(rows: Any, allowance: Allowance) -> Iterator[tuple[Any, ...]]:
    for count, row in enumerate(rows):
        if count > MAX_TOPICS:
            raise TooMuch(f'it has more than {MAX_TOPICS} topics; it is no recording')
        allowance.unpack(sum(len(value) for value in row if isinstance(value, (str, bytes))))
        yield row


def _is_time(value: object) -> bool:
    return isinstance(value, int) and -MAX_TIME <= value <= MAX_TIME
