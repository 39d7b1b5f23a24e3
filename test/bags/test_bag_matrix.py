"""Every combination of what a bag may have or lack gives all messages that were written."""

from __future__ import annotations

import shutil
import sqlite3
import struct
import zlib
from contextlib import closing
from itertools import product
from pathlib import Path

import lz4.frame
import mcap_making as mcap
import pytest
import yaml
from backports import zstd
from bag_making import SECOND, image_bytes, numbered, storage_file, write_bag
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emotion_estimator.bags.reader import open_bag
from emotion_estimator.bags.storage import Bag
from emotion_estimator.errors import InputError

COUNT = 12
#: A message each tenth of a second, the second topic's behind the first one's.
TIMES = [SECOND + n * SECOND // 10 for n in range(COUNT)]
ALL = [f'f{n}' for n in range(COUNT)]


def read(path: Path, topic: str = '/image_raw') -> tuple[list[str], list[str], object]:
    with open_bag(path, topic) as bag:
        frames = [image.frame_id for image in bag.images()]
        return frames, bag.problems, bag.account


# MCAP

PACK = {
    '': lambda data: data,
    'zstd': zstd.compress,
    'lz4': lz4.frame.compress,
}
#: Messages in a chunk; none are in no chunk.
CHUNKS = [None, 1, 5]
INDEXES = ['full', 'no message index', 'no chunk index', 'no channels', 'none']
STATISTICS = ['right', 'none', 'more', 'fewer', 'zero', 'other channel']
ENDS = ['complete', 'no footer', 'cut']


def image(number: int, channel: int = 1) -> bytes:
    return mcap.message(image_bytes(number, TIMES[number]), TIMES[number], channel)


def chunk_of(records: bytes, numbers, method: str, checked: bool) -> bytes:
    packed = PACK[method](records)
    checksum = zlib.crc32(records) if checked else 0
    times = TIMES[numbers[0]], TIMES[numbers[-1]]
    head = struct.pack('<QQQI', *times, len(records), checksum) + mcap.text(method)
    return mcap.record(6, head + struct.pack('<Q', len(packed)) + packed)


def index_of(at: int, body: bytes, numbers, plain: int, method: str, channels, behind) -> bytes:
    times = TIMES[numbers[0]], TIMES[numbers[-1]]
    offsets = b''.join(struct.pack('<HQ', each, 0) for each in channels)
    return mcap.record(
        8,
        struct.pack('<QQQQ', *times, at, len(body))
        + mcap.text(offsets)
        + struct.pack('<Q', behind)
        + mcap.text(method)
        + struct.pack('<QQ', len(body), plain),
    )


def statistics_of(kind: str, count: int, chunks: int, channels: int) -> bytes:
    total = {'right': count, 'more': count + 3, 'fewer': count - 3, 'zero': 0}.get(kind, count)
    number = 9 if kind == 'other channel' else 1
    pairs = [(number, total), *((n, count) for n in range(2, channels + 1))]
    counts = b''.join(struct.pack('<HQ', *pair) for pair in pairs)
    sizes = struct.pack('<QHIIII', sum(n for _, n in pairs), 1, channels, 0, 0, chunks)
    return mcap.record(11, sizes + struct.pack('<QQ', TIMES[0], TIMES[-1]) + mcap.text(counts))


def make_mcap(
    path: Path, *, per_chunk=5, method='', index='full', statistics='right', end='complete',
    topics=1, extras=False, checked=True, swapped=False,
) -> Path:  # fmt: skip
    """Write an MCAP file of so many topics with the same images."""
    channels = range(1, topics + 1)
    known = mcap.schema() + b''.join(
        mcap.channel('/image_raw' if n == 1 else f'/image_{n}', n) for n in channels
    )
    more = mcap.record(9, struct.pack('<QQ', 0, 0) + mcap.text('a') * 2 + bytes(99)) + mcap.record(
        12, mcap.text('name') + mcap.text(b'')
    )
    data = entries = b''
    chunks = 0
    groups = [list(range(n, min(n + (per_chunk or COUNT), COUNT)))
              for n in range(0, COUNT, per_chunk or COUNT)]  # fmt: skip
    if swapped:
        groups.reverse()
    for numbers in groups:
        records = b''.join(image(n, channel) for n in numbers for channel in channels)
        if per_chunk is None:
            data += known + records
            continue
        body = chunk_of(known + records, numbers, method, checked)
        offsets = b''
        if index == 'full':
            offsets = b''.join(mcap.record(7, struct.pack('<HI', n, 0)) for n in channels)
        entries += index_of(
            len(mcap.HEAD) + len(data), body, numbers, len(known + records), method,
            channels if index == 'full' else (), len(offsets),
        )  # fmt: skip
        data += body + offsets
        chunks += 1
        if extras:
            data += more
    summary = b''
    if index != 'none':
        if index != 'no channels':
            summary += known
        if index != 'no chunk index':
            summary += entries
        if statistics != 'none':
            summary += statistics_of(statistics, COUNT, chunks, topics)
    data += mcap.record(15, struct.pack('<I', 0))
    mcap.write_mcap(path, data, summary or None)
    if end == 'no footer':
        path.write_bytes(mcap.HEAD + data)
    elif end == 'cut':
        path.write_bytes(path.read_bytes()[: len(mcap.HEAD) + len(data) + 5])
    return path


@pytest.mark.parametrize('end', ENDS)
@pytest.mark.parametrize('method', PACK)
def test_all_messages_of_any_mcap_are_read(tmp_path, method, end):
    lost = []
    for number, (per_chunk, index, statistics) in enumerate(product(CHUNKS, INDEXES, STATISTICS)):
        path = make_mcap(
            tmp_path / 'bag.mcap', per_chunk=per_chunk, method=method, index=index,
            statistics=statistics, end=end, topics=1 + number % 2, extras=number % 3 == 0,
            checked=number % 5 > 0,
        )  # fmt: skip
        frames, problems, account = read(path)
        if frames != ALL:
            lost.append((per_chunk, index, statistics, frames))
        elif end == 'complete' and statistics in ('right', 'none'):
            assert problems == []
            assert str(account) == f'declared {COUNT} images, read {COUNT}'
        elif end == 'complete' and problems:
            # The statistics said something else, in one line.
            (line,) = problems
            assert f'messages of topic /image_raw, {COUNT} were read' in line
    assert lost == []


@pytest.mark.parametrize(('statistics', 'declared'), [('more', COUNT + 3), ('fewer', COUNT - 3)])
def test_wrong_statistics_are_said_and_counted(tmp_path, statistics, declared):
    path = make_mcap(tmp_path / 'bag.mcap', statistics=statistics)
    frames, problems, account = read(path)
    assert frames == ALL
    assert problems == [
        f'bag file {path} counts {declared} messages of topic /image_raw, {COUNT} were read'
    ]
    assert (account.declared, account.read) == (declared, COUNT)
    assert account.complete is (declared < COUNT)


def test_chunks_in_another_order_than_their_times_are_read_by_time(tmp_path):
    path = make_mcap(tmp_path / 'bag.mcap', swapped=True)
    with Bag(path) as bag:
        assert [message.log_time for message in bag.messages()] == TIMES


@pytest.mark.parametrize('method', PACK)
def test_a_chunk_that_the_index_lacks_is_read(tmp_path, method):
    path = make_mcap(tmp_path / 'whole.mcap', method=method, per_chunk=4, statistics='none')
    content = path.read_bytes()
    # The last of three entries; its length is that of the others.
    entries = [at for at in range(len(content) - 9) if content[at : at + 1] == b'\x08'
               and struct.unpack_from('<Q', content, at + 1)[0] in (74, 77, 78)]  # fmt: skip
    assert len(entries) >= 3
    at = entries[-1]
    size = 9 + struct.unpack_from('<Q', content, at + 1)[0]
    path.write_bytes(content[:at] + content[at + size :])
    frames, problems, _ = read(path)
    assert frames == ALL
    assert 'its index of chunks lacks some' in problems[0]


def test_messages_in_chunks_whose_index_names_other_channels_are_read(tmp_path):
    path = make_mcap(tmp_path / 'bag.mcap', topics=2)
    content = path.read_bytes()
    for numbers in ((0, 4), (5, 9)):
        times = struct.pack('<QQ', *(TIMES[n] for n in numbers))
        at = content.rindex(times) + 36
        assert content[at : at + 2] == b'\1\0'
        content = content[:at] + b'\2\0' + content[at + 2 :]
    path.write_bytes(content)
    frames, _, account = read(path)
    assert sorted(frames) == sorted(ALL)
    assert account.complete


@pytest.mark.parametrize('method', PACK)
@pytest.mark.parametrize('index', ['full', 'none'])
@pytest.mark.parametrize('where', ['content', 'head', 'length', 'all'])
def test_a_damaged_chunk_in_the_middle_loses_only_its_own(tmp_path, method, index, where):
    path = make_mcap(tmp_path / 'bag.mcap', method=method, index=index, per_chunk=4)
    content = bytearray(path.read_bytes())
    body = chunk_of(
        mcap.TOPIC + b''.join(image(n) for n in range(4, 8)), range(4, 8), method, checked=True
    )
    at = content.index(body)
    parts = {
        'content': slice(at + len(body) // 2, at + len(body) // 2 + 40),
        'head': slice(at, at + 60), 'length': slice(at + 1, at + 4),
        'all': slice(at, at + len(body)),
    }  # fmt: skip
    part = parts[where]
    content[part] = bytes(255 for _ in content[part]) if where != 'all' else bytes(len(body))
    path.write_bytes(content)
    frames, problems, account = read(path)
    whole = [frame for frame in frames if frame in ALL]
    assert [frame for frame in whole if frame not in ALL[4:8]] == ALL[:4] + ALL[8:]
    assert len(whole) == len(set(whole))
    assert 'is damaged' in problems[0]
    assert not (account.complete and len(frames) < COUNT)


@pytest.mark.parametrize('index', ['full', 'none'])
@pytest.mark.parametrize('per_chunk', CHUNKS)
def test_of_every_length_what_is_whole_is_read(tmp_path, per_chunk, index):
    content = make_mcap(tmp_path / 'bag.mcap', per_chunk=per_chunk, index=index).read_bytes()
    path = tmp_path / 'cut.mcap'
    # Every length near a record's head, and some others.
    lengths = {*range(1, 200), *range(len(content) - 200, len(content)), *range(0, 40_000, 997)}
    before = 0
    for length in sorted(length for length in lengths if 0 < length < len(content)):
        path.write_bytes(content[:length])
        try:
            with Bag(path) as bag:
                count = sum(1 for _ in bag.messages())
        except InputError as error:
            assert '\n' not in str(error)
            count = 0
        assert before <= count <= COUNT
        before = count
    assert before == COUNT


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(CHUNKS), st.sampled_from(sorted(PACK)), st.sampled_from(INDEXES),
    st.sampled_from(STATISTICS), st.floats(0, 1, exclude_max=True), st.binary(min_size=1),
)  # fmt: skip
def test_no_message_is_read_twice_or_made_up(
    tmp_path_factory, per_chunk, method, index, statistics, place, change
):
    path = tmp_path_factory.getbasetemp() / 'changed.mcap'
    make_mcap(path, per_chunk=per_chunk, method=method, index=index, statistics=statistics)
    content = bytearray(path.read_bytes())
    at = int(place * len(content))
    content[at : at + len(change)] = change
    path.write_bytes(content)
    try:
        with Bag(path) as bag:
            times = [message.log_time for message in bag.messages('/image_raw')]
            assert all('\n' not in line for line in bag.problems)
    except InputError:
        return
    assert len([time for time in times if time in TIMES]) <= COUNT


# SQLite

#: Tables of rosbag2 in Foxy, Galactic, Humble and Jazzy.
TOPICS = [
    'name TEXT NOT NULL, type TEXT NOT NULL, serialization_format TEXT NOT NULL',
    'name TEXT NOT NULL, type TEXT NOT NULL, serialization_format TEXT NOT NULL, '
    'offered_qos_profiles TEXT NOT NULL',
    'name TEXT NOT NULL, type TEXT NOT NULL, serialization_format TEXT NOT NULL, '
    'offered_qos_profiles TEXT NOT NULL, type_description_hash TEXT NOT NULL',
]
SCHEMAS = ['foxy', 'galactic', 'humble', 'jazzy']


def create(schema: str) -> str:
    at = SCHEMAS.index(schema)
    script = f'CREATE TABLE topics(id INTEGER PRIMARY KEY, {TOPICS[min(at, 1) + (at == 3)]});'
    script += (
        'CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, '
        'timestamp INTEGER NOT NULL, data BLOB NOT NULL);'
        'CREATE INDEX timestamp_idx ON messages (timestamp ASC);'
    )
    if at >= 2:
        script += 'CREATE TABLE schema(schema_version INTEGER PRIMARY KEY, ros_distro TEXT);'
        script += 'CREATE TABLE metadata(id INTEGER PRIMARY KEY, metadata_version INTEGER, '
        script += 'metadata TEXT NOT NULL);'
    if at == 3:
        script += 'CREATE TABLE message_definitions(id INTEGER PRIMARY KEY, topic_type TEXT, '
        script += 'encoding TEXT, encoded_message_definition TEXT, type_description_hash TEXT);'
    return script


def fill(file: sqlite3.Connection, schema: str, numbers) -> None:
    for n in numbers:
        file.execute(
            'INSERT INTO messages(topic_id, timestamp, data) VALUES(1, ?, ?)',
            (TIMES[n], image_bytes(n, TIMES[n])),
        )


def make_database(
    path: Path, *, schema='jazzy', mode='delete', page=4096, vacuum=0, change='', killed=False,
    checkpoint=6, setting='',
) -> Path:  # fmt: skip
    """Write a bag; with ``killed``, keep the files as they are while it is open."""
    work = path.with_name('work.db3')
    with closing(sqlite3.connect(work, isolation_level=None)) as file:
        file.execute(f'PRAGMA page_size={page}')
        file.execute(f'PRAGMA auto_vacuum={vacuum}')
        if setting:
            file.execute(setting)
        file.execute(f'PRAGMA journal_mode={mode}')
        file.execute('PRAGMA wal_autocheckpoint=0')
        file.executescript(create(schema))
        columns = 3 + (schema != 'foxy') + (schema == 'jazzy')
        values = ['/image_raw', 'sensor_msgs/msg/Image', 'cdr', '', ''][:columns]
        file.execute(f'INSERT INTO topics VALUES(1, {", ".join("?" * columns)})', values)
        fill(file, schema, range(checkpoint))
        if mode == 'wal':
            file.execute('PRAGMA wal_checkpoint(TRUNCATE)')
        fill(file, schema, range(checkpoint, COUNT))
        if change:
            file.executescript(change)
        if killed:
            keep(work, path)
    if not killed:
        keep(work, path)
    for file in path.parent.glob('work.db3*'):
        file.unlink()
    return path


def keep(work: Path, path: Path) -> None:
    """Copy a database with its logs, but not `-shm`, which another machine has not."""
    for suffix in ('', '-wal', '-journal'):
        source = work.with_name(work.name + suffix)
        if source.exists():
            shutil.copy(source, path.with_name(path.name + suffix))


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir()}


@pytest.mark.parametrize('schema', SCHEMAS)
@pytest.mark.parametrize('page', [512, 4096, 65536])
@pytest.mark.parametrize('mode', ['delete', 'wal', 'wal killed', 'wal, nothing in the file'])
def test_all_messages_of_any_database_are_read(tmp_path, schema, page, mode):
    folder = tmp_path / 'bag'
    folder.mkdir()
    path = make_database(
        folder / 'bag_0.db3', schema=schema, page=page, mode=mode[:3].replace('del', 'delete'),
        killed=mode not in ('delete', 'wal'), checkpoint=0 if 'nothing' in mode else 6,
    )  # fmt: skip
    assert path.with_name('bag_0.db3-wal').exists() is ('killed' in mode or 'nothing' in mode)
    before = snapshot(folder)
    folder.chmod(0o555)
    try:
        for place in (path, folder):
            frames, problems, account = read(place)
            assert frames == ALL
            assert str(account) == f'declared {COUNT} images, read {COUNT}'
            without = [f'bag {folder} has no metadata.yaml; read without it']
            assert problems == (without if place == folder else [])
    finally:
        folder.chmod(0o755)
    assert snapshot(folder) == before


@pytest.mark.parametrize(
    'change',
    [
        'DROP INDEX timestamp_idx;',
        'CREATE INDEX more ON messages (topic_id, timestamp); ANALYZE;',
        'CREATE TABLE other(x); INSERT INTO other VALUES(zeroblob(90000)); DROP TABLE other;',
        'DROP TABLE message_definitions; DROP TABLE metadata;',
        'CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, x UNIQUE);',
        'CREATE TABLE m(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB) '
        'WITHOUT ROWID; INSERT INTO m SELECT * FROM messages; DROP TABLE messages; '
        'ALTER TABLE m RENAME TO messages; CREATE INDEX t ON messages(timestamp);',
    ],
    ids=['no index', 'statistics', 'free list', 'fewer tables', 'autoincrement', 'without rowid'],
)
@pytest.mark.parametrize('vacuum', [0, 1, 2])
@pytest.mark.parametrize('setting', ['', "PRAGMA encoding='UTF-16le'"])
def test_databases_that_sqlite_reads_are_read(tmp_path, change, vacuum, setting):
    path = make_database(tmp_path / 'bag.db3', change=change, vacuum=vacuum, setting=setting)
    frames, problems, account = read(path)
    assert (frames, problems) == (ALL, [])
    assert account.complete


@pytest.mark.parametrize('spilled', [False, True])
def test_a_journal_of_a_killed_writer(tmp_path, spilled):
    """The transaction is taken back, but for messages that are in the file all the same."""
    path = tmp_path / 'bag.db3'
    work = make_database(tmp_path / 'made.db3')
    with closing(sqlite3.connect(work, isolation_level=None)) as file:
        file.execute('PRAGMA cache_size=1')
        file.execute('BEGIN')
        if spilled:
            file.execute('UPDATE messages SET topic_id=7 WHERE id > 3')
            file.execute('INSERT INTO topics VALUES(9, ?, ?, ?, ?, ?)', ('x' * 9000, *'abcd'))
        fill(file, 'jazzy', range(COUNT if spilled else 3))
        keep(work, path)
        file.execute('ROLLBACK')
    assert path.with_name('bag.db3-journal').stat().st_size > 0
    before = snapshot(tmp_path)
    frames, _, _ = read(path)
    assert set(frames) == set(ALL)
    assert snapshot(tmp_path) == before


def test_a_log_that_is_a_link_or_a_pipe_is_not_read(tmp_path):
    path = make_database(tmp_path / 'bag.db3', mode='wal', killed=True)
    log = path.with_name('bag.db3-wal')
    elsewhere = log.rename(tmp_path / 'elsewhere')
    log.symlink_to(elsewhere)
    assert read(path)[0] == ALL[:6]
    log.unlink()
    # What a link names is what the log lies beside.
    link = tmp_path / 'link.db3'
    link.symlink_to(path)
    elsewhere.rename(log)
    assert read(link)[0] == ALL


def test_a_view_in_the_log_is_refused(tmp_path):
    endless = 'WITH RECURSIVE r(id) AS (SELECT 1 UNION ALL SELECT id+1 FROM r) SELECT id FROM r'
    path = make_database(
        tmp_path / 'bag.db3', mode='wal', killed=True, change=f'CREATE VIEW other AS {endless};'
    )
    with pytest.raises(InputError, match='it holds the view other'):
        read(path)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(['', '-wal']), st.floats(0, 1, exclude_max=True), st.binary(min_size=1))
def test_a_damaged_log_raises_nothing_else(tmp_path_factory, which, place, change):
    folder = tmp_path_factory.getbasetemp() / 'logs'
    if not folder.exists():
        folder.mkdir()
        make_database(folder / 'bag.db3', mode='wal', killed=True)
    target = folder.with_name('changed')
    shutil.copytree(folder, target, dirs_exist_ok=True)
    file = target / f'bag.db3{which}'
    content = bytearray(file.read_bytes())
    at = int(place * len(content))
    content[at : at + len(change)] = change
    file.write_bytes(content)
    before = snapshot(target)
    try:
        frames, problems, _ = read(target / 'bag.db3')
        assert all('\n' not in line for line in problems)
        assert len([frame for frame in frames if frame in ALL]) <= COUNT
    except InputError as error:
        assert '\n' not in str(error)
    assert {name: content for name, (content, _) in snapshot(target).items()} == {
        name: content for name, (content, _) in before.items()
    }


@pytest.mark.parametrize('name', ['bag.mcap', 'bag.db3'])
def test_messages_at_the_same_time_are_all_read(tmp_path, name):
    messages = [(*message[:2], SECOND, message[3]) for message in numbered(COUNT)]
    folder = write_bag(tmp_path / 'bag', messages, 'mcap' if name[4] == 'm' else 'sqlite3')
    assert read(folder)[0] == ALL


# What metadata.yaml counts


def split(folder: Path, storage: str, counts=(4, 4, 4), total=COUNT) -> Path:
    """Write a bag of three files, with metadata."""
    folder.mkdir()
    messages = list(numbered(COUNT))
    suffix = '.mcap' if storage == 'mcap' else '.db3'
    for number in range(3):
        part = write_bag(folder / 'part', messages[4 * number : 4 * number + 4], storage)
        storage_file(part).rename(folder / f'bag_{number}{suffix}')
        shutil.rmtree(part)
    names = [f'bag_{number}{suffix}' for number in range(3)]
    topic = {'name': '/image_raw', 'type': 'sensor_msgs/msg/Image'}
    information = {
        'relative_file_paths': names,
        'message_count': total,
        'topics_with_message_count': [{'topic_metadata': topic, 'message_count': total}],
        'files': [
            {'path': name, 'message_count': n} for name, n in zip(names, counts, strict=True)
        ],
    }
    (folder / 'metadata.yaml').write_text(
        yaml.safe_dump({'rosbag2_bagfile_information': information})
    )
    return folder


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_file_that_is_missing_is_said_with_its_messages(tmp_path, storage):
    folder = split(tmp_path / 'bag', storage)
    name = 'bag_1.mcap' if storage == 'mcap' else 'bag_1.db3'
    (folder / name).unlink()
    frames, problems, account = read(folder)
    assert frames == ALL[:4] + ALL[8:]
    assert problems == [
        f'bag {folder} lacks its file {name}; it had 4 messages by metadata.yaml',
        f'bag {folder}: metadata.yaml counts 12 messages of topic /image_raw, its files hold 8',
    ]
    assert str(account) == 'declared 12 images, read 8, left out 4: 4 missing or damaged'


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_file_that_nobody_names_is_read(tmp_path, storage):
    folder = split(tmp_path / 'bag', storage, total=8)
    metadata = folder / 'metadata.yaml'
    content = yaml.safe_load(metadata.read_text())
    information = content['rosbag2_bagfile_information']
    last = information['relative_file_paths'].pop()
    metadata.write_text(yaml.safe_dump(content))
    frames, problems, account = read(folder)
    assert frames == ALL
    assert problems[0] == f'bag {folder}: {last} is read too, which metadata.yaml does not name'
    assert (account.declared, account.read, account.complete) == (COUNT, COUNT, True)


@pytest.mark.parametrize('count', [-1, True, '12', 2**64, None, 1.5, [1]])
def test_a_count_that_is_none_is_not_believed(tmp_path, count):
    folder = split(tmp_path / 'bag', 'mcap', counts=(count,) * 3, total=count)
    frames, problems, account = read(folder)
    assert (frames, problems) == (ALL, [])
    assert str(account) == 'declared 12 images, read 12'
