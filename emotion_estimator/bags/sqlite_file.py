"""Read SQLite files of rosbag2 within limits, on one connection for check and content."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
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
from emotion_estimator.bags.sqlite_log import logs_of, opened_with_logs
from emotion_estimator.untrusted import MAX_MESSAGE, open_regular, quote

#: What a bag's database consists of. A view or virtual table runs code when it is read.
_PLAIN = re.compile(r'CREATE (TABLE|INDEX|UNIQUE INDEX)\b')
#: Steps of SQLite's virtual machine between two looks at the allowance.
_STEPS = 10_000
#: A row's bytes beside its largest value.
_ROW = 4096
#: Length of a list of topics in a query.
_MOST_TEXT = 1 << 15
#: Before the first number of a row, and the last at which one is looked for behind a damage.
_FIRST, _LAST = -(2**63), 2**40
#: Lower half of an integer.
_HALF = 2**31 - 1

#: Those of ``topics`` that not every version has.
_LATER = ('offered_qos_profiles', 'type_description_hash')


class SqliteFile:
    """A database of rosbag2's ``sqlite3`` storage, with the log that a killed writer left.

    It is opened as one that nobody writes to, so that no lock is waited for, and no file beside it
    changed or made.

    :param path: a regular file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        #: The logs that are read with it; None before :meth:`contents` chose.
        self._logs: Mapping[str, Path] | None = None

    def contents(self) -> StorageSummary:
        """Return the contents.

        :raises Exception: the database is damaged; the message says how.
        :raises TooMuch: it holds something else than tables, or more than its size explains.
        """
        with self._opened() as (database, allowance):
            topics = _topics(database, allowance)
            counts: Counter[str] = Counter()
            times: list[int] = []
            key = _key(database)
            by_table = (0, 0)
            rows = database.execute(
                f'SELECT topic_id, count(*), min(timestamp), max(timestamp), {_sum(key)} '
                'FROM messages NOT INDEXED GROUP BY topic_id'
            )
            for number, count, first, last, total in rows:
                allowance.message()
                by_table = by_table[0] + count, by_table[1] + total
                if number in topics and isinstance(first, int) and isinstance(last, int):
                    counts[topics[number].topic] += count
                    times += first, last
            if (index := _index_by_time(database)) and by_table != database.execute(
                f'SELECT count(*), {_sum(key)} FROM messages INDEXED BY {index}'
            ).fetchone():
                raise ValueError('its index by time is damaged')
            return StorageSummary(
                tuple(topics.values()),
                counts,
                min(times) if times else None,
                max(times) if times else None,
            )

    def messages(self, topics: Collection[str], damage: Callable[[str], None]) -> Iterator[Found]:
        """Yield the messages of some topics in the order of their log times.

        :param damage: not called: damage is raised.
        :raises Exception: the database is damaged; the message says how.
        :raises TooMuch: as for :meth:`contents`.
        """
        del damage
        with self._opened() as (database, allowance):
            known = _topics(database, allowance)
            wanted = {n: topic for n, topic in known.items() if topic.topic in topics}
            for topic, time, data in _by_time(database, wanted):
                allowance.message()
                if topic not in wanted:
                    continue
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
                rows = _by_number(
                    database, 'topic_id, timestamp, data', allowance,
                    lambda error: damage(f'{error} after {count} messages'),
                )  # fmt: skip
                for topic, time, data in rows:
                    count += 1
                    allowance.message()
                    # A damaged row may contain anything.
                    if topic in topics and _is_time(time) and isinstance(data, bytes):
                        allowance.unpack(len(data))
                        yield topics[topic], time, data
        except (apsw.Error, ValueError) as error:
            damage(f'{error} after {count} messages')

    def _chosen_logs(self) -> Mapping[str, Path]:
        """Return the logs with which the most messages are read.

        The journal of a killed writer takes back what it had not completed; those messages may be
        there all the same.
        """
        if self._logs is None:
            self._logs = found = logs_of(self._path)
            if found:
                with_logs, self._logs = self._readable(), {}
                if with_logs >= self._readable():
                    self._logs = found
        return self._logs

    def _readable(self) -> int:
        """Return how many messages can be reached."""
        count = 0
        with suppress(apsw.Error), self._opened(truncated=True) as (database, allowance):
            for _ in _by_number(database, '1', allowance, lambda error: None):
                count += 1
                allowance.message()
        return count

    @contextmanager
    def _opened(self, *, truncated: bool = False) -> Iterator[tuple[apsw.Connection, Allowance]]:
        """Open the database for one pass.

        :param truncated: read it even if it is shorter than its header claims.
        """
        logs = self._chosen_logs()
        size = 0
        for path in (self._path, *logs.values()):
            with open_regular(path) as file:
                size += os.fstat(file.fileno()).st_size
        allowance = Allowance(size)
        steps = allowance.steps

        def look() -> bool:
            nonlocal steps
            steps -= _STEPS
            return steps < 0

        opened = opened_with_logs(self._path, logs) if logs else _opened_alone(self._path)
        with opened as database:
            try:
                database.limit(apsw.SQLITE_LIMIT_LENGTH, min(MAX_MESSAGE, size) + _ROW)
                database.limit(apsw.SQLITE_LIMIT_SQL_LENGTH, 2 * _MOST_TEXT)
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
                # Busy where Python collects rows that nobody read to their end; it is freed with
                # them.
                with suppress(apsw.BusyError):
                    database.close(True)


@contextmanager
def _opened_alone(path: Path) -> Iterator[apsw.Connection]:
    yield apsw.Connection(
        f'file:{in_address(str(path.absolute()))}?mode=ro&immutable=1',
        flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI,
    )


def _by_time(database: apsw.Connection, topics: Collection[int]) -> Iterator[tuple[Any, ...]]:
    """Yield topic, time and data of the messages, of other topics too if these are many."""
    numbers = ', '.join(str(number) for number in topics if isinstance(number, int))
    some = f'WHERE topic_id IN ({numbers})' if len(numbers) < _MOST_TEXT else ''
    if index := _index_by_time(database):
        yield from database.execute(
            f'SELECT topic_id, timestamp, data FROM messages INDEXED BY {index} {some} '
            'ORDER BY timestamp'
        )
        return
    # Apart from the data, which SQLite would sort with the times.
    key = _key(database)
    rows = database.execute(
        f'SELECT {key}, topic_id, timestamp FROM messages NOT INDEXED {some} ORDER BY timestamp'
    )
    content = database.cursor()
    for row, topic, time in rows:
        content.execute(f'SELECT data FROM messages WHERE {key} = ?', (row,))
        yield topic, time, *(content.fetchone() or (None,))


def _by_number(
    database: apsw.Connection,
    columns: str,
    allowance: Allowance,
    damage: Callable[[apsw.Error], None],
) -> Iterator[tuple[Any, ...]]:
    """Yield the messages in the order of the file, past damaged pages."""
    key = _key(database)
    last, step = _FIRST, 1
    while True:
        rows = database.execute(
            f'SELECT {key}, {columns} FROM messages NOT INDEXED WHERE {key} > ? ORDER BY {key}',
            (last,),
        )
        try:
            for number, *row in rows:
                # Of a page of zeros there come rows without end.
                if not isinstance(number, int) or number <= last:
                    raise apsw.CorruptError('database disk image is malformed')
                last, step = number, 1
                yield tuple(row)
        except apsw.InterruptError:
            raise
        except apsw.Error as error:
            damage(error)
            allowance.record()
            # Of the rows on the damaged page it is not known how many there are.
            last, step = max(last, 0) + step, 2 * step
            if last > _LAST:
                return
        else:
            return


def _index_by_time(database: apsw.Connection) -> str:
    """Return the quoted name of an index of all messages by their time; empty if there is none."""
    for _, name, _, _, partial in database.execute('PRAGMA index_list(messages)').fetchall():
        quoted = '"{}"'.format(str(name).replace('"', '""'))
        columns = database.execute(f'PRAGMA index_info({quoted})').fetchall()
        if not partial and [column[2] for column in columns] == ['timestamp']:
            return quoted
    return ''


def _key(database: apsw.Connection) -> str:
    """Return what numbers the rows: a table may be without ``rowid``."""
    try:
        database.execute('SELECT rowid FROM messages LIMIT 0')
    except apsw.SQLError:
        return 'id'
    return 'rowid'


def _sum(key: str) -> str:
    """Return what tells whether table and index have the same rows; never overflows."""
    return f'ifnull(sum((timestamp & {_HALF}) + ({key} & {_HALF})), 0)'


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
