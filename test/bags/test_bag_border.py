"""Nothing that a bag holds fills memory or disk, hangs, or raises anything but one line."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import tracemalloc
from collections import namedtuple
from contextlib import closing, contextmanager
from pathlib import Path

import lz4.frame
import mcap_making as mcap
import pytest
from backports import zstd
from bag_making import SECOND, image_bytes, numbered, storage_file, write_bag
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emotion_estimator.bags import border
from emotion_estimator.bags.messages import EMOTION_ARRAY, IMAGE, complete_definition, deserialize
from emotion_estimator.bags.reader import open_bag
from emotion_estimator.bags.stamp_order import MAX_HELD, Disorder, in_stamp_order
from emotion_estimator.bags.storage import Bag
from emotion_estimator.errors import InputError

GB = 1 << 30
MOST = 400 << 20


@contextmanager
def little_memory():
    """Check that less than 400 MB were needed."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()


def refused(path: Path) -> str:
    """Return the line with which a bag is refused, when it is opened or read."""
    with pytest.raises(InputError) as caught, open_bag(path) as bag:
        list(bag.images())
    line = str(caught.value)
    assert '\n' not in line
    assert len(line) < 800
    return line


def read(path: Path) -> tuple[list[str], str]:
    """Return the frames of a bag, and its problems."""
    with open_bag(path) as bag:
        frames = [image.frame_id for image in bag.images()]
        return frames, ' '.join(bag.problems)


def numbered_messages(*numbers: int) -> bytes:
    times = [SECOND + n * SECOND // 10 for n in numbers]
    return b''.join(mcap.message(image_bytes(n, t), t) for n, t in zip(numbers, times, strict=True))


# Growth


@pytest.mark.parametrize('declared', [False, True])
def test_a_message_that_grows_is_left_out_and_the_others_are_read(tmp_path, declared):
    messages = list(numbered(3))
    messages[1] = (*messages[1][:3], mcap.zstd_zeros(3 * GB, declared))
    folder = write_bag(tmp_path / 'bag', messages, 'sqlite3')
    with little_memory():
        frames, problems = read(folder)
    assert frames == ['f0', 'f2']
    assert 'a message of topic /image_raw has zstd data that grow beyond 128 MB' in problems


def test_many_messages_that_grow_a_little_are_too_much_together(tmp_path, monkeypatch):
    monkeypatch.setattr(border, '_FREE_BYTES', 8 << 20)
    zeros = mcap.zstd_zeros(8 << 20)
    messages = [('/image', IMAGE, n, zeros) for n in range(5)]
    assert 'grows far beyond its size' in refused(write_bag(tmp_path / 'bag', messages, 'sqlite3'))


def bomb(method: str, size: int) -> bytes:
    return mcap.zstd_zeros(size) if method == 'zstd' else lz4.frame.compress(bytes(size))


@pytest.mark.parametrize(('method', 'size'), [('zstd', 3 * GB), ('lz4', 160 << 20)])
@pytest.mark.parametrize('claims', ['right', 'small'])
@pytest.mark.parametrize('index', [False, True])
def test_a_chunk_that_grows_is_left_out(tmp_path, method, size, claims, index):
    packed = bomb(method, size)
    plain = size if claims == 'right' else 1 << 20
    good = numbered_messages(0)
    path = tmp_path / 'bag.mcap'
    if index:
        chunks = [
            (packed, plain, method, (0, 1)),
            (mcap.TOPIC + good, len(mcap.TOPIC + good), '', mcap.ALWAYS),
        ]
        mcap.indexed(path, chunks, 1)
    else:
        mcap.write_mcap(path, mcap.TOPIC + mcap.chunk(packed, plain, method) + good)
    with little_memory():
        frames, problems = read(path)
    assert frames == ['f0']
    assert 'of more than 128 MB' in problems or 'grow beyond 128 MB' in problems


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / 'temporary'
    folder.mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(folder))
    return folder


@pytest.mark.parametrize('suffix', ['.mcap', '.db3'])
def test_a_compressed_file_that_grows_is_refused_and_leaves_nothing(
    tmp_path, temporary, monkeypatch, suffix
):
    monkeypatch.setattr(border, '_FREE_BYTES', 8 << 20)
    path = tmp_path / f'bag{suffix}.zstd'
    path.write_bytes(mcap.zstd_zeros(2 * GB))
    assert 'grows far beyond its size' in refused(path)
    assert list(temporary.iterdir()) == []


def test_a_compressed_file_larger_than_any_bag(tmp_path, temporary, monkeypatch):
    monkeypatch.setattr(border, 'MAX_BAG_FILE', 1 << 20)
    path = tmp_path / 'bag.mcap.zstd'
    path.write_bytes(mcap.zstd_zeros(2 << 20))
    assert 'grows beyond 1 MB' in refused(path)


def test_a_compressed_file_that_does_not_fit_on_the_disk(tmp_path, temporary, monkeypatch):
    path = storage_file(write_bag(tmp_path / 'bag', numbered(3), 'mcap', 'file'))
    usage = namedtuple('usage', 'total used free')
    monkeypatch.setattr(shutil, 'disk_usage', lambda folder: usage(10 * GB, 10 * GB, 1 << 20))
    line = refused(path)
    assert 'does not fit into' in line
    assert 'set TMPDIR' in line
    assert list(temporary.iterdir()) == []


def test_an_interrupted_decompression_leaves_nothing(tmp_path, temporary, monkeypatch):
    path = storage_file(write_bag(tmp_path / 'bag', numbered(3), 'mcap', 'file'))

    def interrupt(folder):
        assert list(temporary.glob('*/bag.mcap'))
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, 'disk_usage', interrupt)
    with pytest.raises(KeyboardInterrupt):
        open_bag(path)
    assert list(temporary.iterdir()) == []


def test_countless_frames_in_a_compressed_file(tmp_path):
    path = tmp_path / 'bag.mcap.zstd'
    path.write_bytes(zstd.compress(b'') * 2000)
    assert 'countless zstd frames' in refused(path)


def test_several_frames_in_a_compressed_file_are_read(tmp_path):
    file = storage_file(write_bag(tmp_path / 'bag', numbered(3)))
    content = file.read_bytes()
    path = tmp_path / 'bag.mcap.zstd'
    path.write_bytes(zstd.compress(content[:999]) + zstd.compress(content[999:]))
    assert read(path) == (['f0', 'f1', 'f2'], '')


# Counts


@pytest.mark.parametrize(
    'data',
    [
        mcap.record(0x20, b'') * 3000,
        mcap.schema() * 3000,
        mcap.chunk(b'', 0) * 3000,
        mcap.TOPIC + mcap.chunk(mcap.zstd_zeros(128 << 10), 128 << 10, 'zstd'),
    ],
    ids=['unknown', 'schemas', 'chunks', 'in a chunk'],
)
def test_endless_records(tmp_path, monkeypatch, data):
    monkeypatch.setattr(border, '_FREE_RECORDS', 1000)
    path = mcap.write_mcap(tmp_path / 'bag.mcap', data)
    assert 'more records than its size explains' in refused(path)


def test_endless_messages(tmp_path, monkeypatch):
    monkeypatch.setattr(border, '_FREE_MESSAGES', 1000)
    plain = mcap.message(b'', 5) * 3000
    packed = zstd.compress(plain)
    path = tmp_path / 'bag.mcap'
    mcap.indexed(path, [(packed, len(plain), 'zstd', mcap.ALWAYS)], 3000)
    assert 'more messages than its size explains' in refused(path)
    mcap.write_mcap(path, mcap.TOPIC + mcap.chunk(packed, len(plain), 'zstd'))
    assert 'more messages than its size explains' in refused(path)


def test_endless_topics(tmp_path):
    data = mcap.schema() + b''.join(mcap.channel(f'/t{n}', n) for n in range(10_001))
    assert 'more than 10000 topics' in refused(mcap.write_mcap(tmp_path / 'bag.mcap', data))


# The index of MCAP


def two_chunks(path: Path, times) -> Path:
    contents = [mcap.TOPIC + numbered_messages(*numbers) for numbers in ((0, 2, 4), (1, 3))]
    chunks = [(each, len(each), '', span) for each, span in zip(contents, times, strict=True)]
    return mcap.indexed(path, chunks, 5)


def test_chunks_that_overlap_in_time_are_read_by_time(tmp_path):
    path = two_chunks(tmp_path / 'bag.mcap', [mcap.ALWAYS, mcap.ALWAYS])
    with Bag(path) as bag:
        times = [message.log_time for message in bag.messages()]
    assert times == [SECOND + n * SECOND // 10 for n in range(5)]


def test_messages_outside_of_the_times_of_their_chunk_are_read_without_the_index(tmp_path):
    path = two_chunks(tmp_path / 'bag.mcap', [(SECOND, SECOND), mcap.ALWAYS])
    frames, problems = read(path)
    assert sorted(frames) == ['f0', 'f1', 'f2', 'f3', 'f4']
    assert 'wrong times in the index' in problems


@pytest.mark.parametrize(
    ('at', 'length', 'plain'),
    [(2**40, 100, 100), (20, 50, 100), (2**63, 2**63, 1), (0, 0, 0), (len(mcap.HEAD), 60, 2**62)],
)
def test_an_index_that_points_elsewhere_is_not_followed(tmp_path, at, length, plain):
    data = mcap.TOPIC + numbered_messages(0, 1)
    summary = mcap.TOPIC + mcap.entry(at, length, plain) + mcap.statistics(2)
    frames, problems = read(mcap.write_mcap(tmp_path / 'bag.mcap', data, summary))
    assert frames == ['f0', 'f1']
    assert 'is damaged' in problems


def test_an_index_with_the_same_chunk_many_times(tmp_path):
    body = mcap.chunk(numbered_messages(0), len(numbered_messages(0)))
    entries = mcap.entry(len(mcap.HEAD), len(body), len(numbered_messages(0))) * 5
    path = tmp_path / 'bag.mcap'
    mcap.write_mcap(path, mcap.TOPIC + body, mcap.TOPIC + entries + mcap.statistics(5))
    frames, problems = read(path)
    assert frames == ['f0']
    assert 'is damaged' in problems


def test_many_large_chunks_at_the_same_time_are_not_held_together(tmp_path):
    zeros = mcap.zstd_zeros(100 << 20)
    path = tmp_path / 'bag.mcap'
    mcap.indexed(path, [(zeros, 100 << 20, 'zstd', mcap.ALWAYS)] * 4, 4)
    with little_memory():
        assert 'its size' in refused(path)


@pytest.mark.parametrize('length', [2**31, 2**63, 2**64 - 1])
@pytest.mark.parametrize('code', [3, 4, 5, 6, 9, 0x30])
def test_records_of_absurd_lengths(tmp_path, code, length):
    path = tmp_path / 'bag.mcap'
    data = mcap.TOPIC + numbered_messages(0) + bytes([code]) + length.to_bytes(8, 'little')
    frames, problems = read(mcap.write_mcap(path, data))
    assert frames == ['f0']
    assert 'it is cut off' in problems


def test_times_that_ros_cannot_express_are_damage(tmp_path):
    data = mcap.TOPIC + mcap.message(image_bytes(1, 0), 2**64 - 1) + numbered_messages(0)
    frames, problems = read(mcap.write_mcap(tmp_path / 'bag.mcap', data))
    assert frames == ['f0']
    assert 'log time 18446744073709551615' in problems


# SQLite


def database(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as file:
        file.executescript(script)
        file.commit()
    return path


TOPICS = """
    CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT);
    INSERT INTO topics VALUES(1, '/image_raw', 'sensor_msgs/msg/Image', 'cdr');
"""
MESSAGES = 'CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INT, timestamp INT, data BLOB);'
ENDLESS = 'WITH RECURSIVE r(id) AS (SELECT 1 UNION ALL SELECT id+1 FROM r)'


@pytest.mark.parametrize(
    'script',
    [
        f'{TOPICS} CREATE VIEW messages AS {ENDLESS} SELECT id, 1 AS topic_id, id AS timestamp, '
        'zeroblob(64) AS data FROM r;',
        f'{MESSAGES} CREATE VIEW topics AS {ENDLESS} SELECT id, id AS name, id AS type, '
        'id AS serialization_format FROM r;',
        f'{TOPICS} CREATE VIRTUAL TABLE messages USING fts3(topic_id, timestamp, data);',
        f'{TOPICS} {MESSAGES} CREATE VIEW other AS {ENDLESS} SELECT id FROM r;',
        f'{TOPICS} {MESSAGES} CREATE TRIGGER t AFTER INSERT ON topics BEGIN SELECT 1; END;',
    ],
)
def test_views_triggers_and_virtual_tables_are_refused(tmp_path, script):
    line = refused(database(tmp_path / 'bag.db3', script))
    assert 'a recording has only tables and indexes' in line


def test_a_view_that_claims_to_be_a_table_is_not_read(tmp_path):
    path = database(
        tmp_path / 'bag.db3',
        f'{TOPICS} CREATE VIEW messages AS {ENDLESS} SELECT id FROM r; '
        'PRAGMA writable_schema=1; UPDATE sqlite_master SET type="table" WHERE name="messages";',
    )
    refused(path)


def test_a_computed_column_cannot_grow(tmp_path):
    rows = ', '.join(f'({n}, 1, {n})' for n in range(50))
    path = database(
        tmp_path / 'bag.db3',
        f'{TOPICS} CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INT, timestamp INT, '
        f'data BLOB AS (zeroblob(500000000))); INSERT INTO messages VALUES {rows};',
    )
    with little_memory():
        frames, problems = read(path)
    assert frames == []
    assert 'string or blob too big' in problems


def test_endless_rows(tmp_path, monkeypatch):
    rows = ', '.join(f"({n}, 1, {n}, x'00')" for n in range(3000))
    script = f'{TOPICS} {MESSAGES} INSERT INTO messages VALUES {rows};'
    path = database(tmp_path / 'bag.db3', script)
    monkeypatch.setattr(border, '_FREE_MESSAGES', -5000)
    line = refused(path)
    assert 'its size explains' in line


def test_a_query_that_takes_too_long_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(border.Allowance, '__init__', _without_steps)
    rows = ', '.join(f"({n}, 1, {n}, x'00')" for n in range(5000))
    script = f'{TOPICS} {MESSAGES} INSERT INTO messages VALUES {rows};'
    line = refused(database(tmp_path / 'bag.db3', script))
    assert 'takes far longer than its size explains' in line


def _without_steps(self, size):
    self._bytes = self._messages = self._records = 10**9
    self.steps = 10


def test_long_texts_of_topics_are_left_out(tmp_path):
    path = database(
        tmp_path / 'bag.db3',
        f"{TOPICS} {MESSAGES} INSERT INTO topics VALUES(2, '/{'x' * 5000}', 'a', 'cdr'); "
        f"INSERT INTO messages VALUES(1, 1, {SECOND}, x'{image_bytes(0, SECOND).hex()}');",
    )
    with open_bag(path) as bag:
        assert list(bag.topics) == ['/image_raw']
        assert bag.count == 1


def test_a_database_is_opened_without_writing(tmp_path):
    folder = write_bag(tmp_path / 'bag', numbered(3), 'sqlite3')
    before = sorted(file.name for file in folder.iterdir())
    folder.chmod(0o555)
    try:
        assert read(folder)[0] == ['f0', 'f1', 'f2']
    finally:
        folder.chmod(0o755)
    assert sorted(file.name for file in folder.iterdir()) == before


# Descriptions


@pytest.mark.parametrize(
    'qos',
    [
        'a: &a {b: c}\n<<: [*a, *a]\n',
        '- history: 1\n  depth: x\n',
        '[' * 500,
        f'- depth: {"9" * 5000}',
        '!!timestamp x',
        'a' * 100_000,
    ],
)
def test_qos_that_cannot_be_read_is_left_out(tmp_path, qos):
    data = mcap.schema() + mcap.channel(qos=qos) + numbered_messages(0)
    path = mcap.write_mcap(tmp_path / 'bag.mcap', data)
    assert read(path) == (['f0'], '')
    with Bag(path) as bag:
        (message,) = bag.messages()
        assert message.connection.ext.offered_qos_profiles == []


def test_a_topic_with_an_absurd_name_is_left_out(tmp_path):
    data = mcap.schema() + mcap.channel('/' + 'x' * 10_000, 2) + mcap.channel()
    path = mcap.write_mcap(tmp_path / 'bag.mcap', data + numbered_messages(0))
    frames, problems = read(path)
    assert frames == ['f0']
    assert len(problems) < 500


@pytest.mark.parametrize(
    'text',
    ['A a\n', f'B b\n{"=" * 80}\nMSG: a/B\nA a\n', '\n' * 60_000, 'int32 x\n' * 9000, 'a/' * 9000],
)
def test_definitions_that_cannot_be_parsed_have_no_hash(text):
    assert complete_definition('a/msg/A', text) == (text, f'RIHS01_{"0" * 64}')


@pytest.mark.parametrize('kind', ['std_msgs/msg/Bool', 'sensor\x06msgs/msg/Image', 'a/b'])
def test_a_topic_of_several_types(tmp_path, kind):
    other = mcap.record(3, b'\2\0' + mcap.text(kind) + mcap.text('ros2msg') + mcap.text(''))
    again = mcap.record(
        4, b'\2\0\2\0' + mcap.text('/image_raw') + mcap.text('cdr') + mcap.text(b'')
    )
    stamp = SECOND + SECOND // 10
    foreign = mcap.message(image_bytes(1, stamp), stamp, 2)
    data = other + again + mcap.TOPIC + foreign + numbered_messages(0)
    with open_bag(mcap.write_mcap(tmp_path / 'bag.mcap', data)) as bag:
        first, second = bag.images()
        assert first.decode().shape == (24, 32, 3)
        with pytest.raises(InputError, match='not an image') as caught:
            second.decode()
    assert '\n' not in str(caught.value)
    with pytest.raises(InputError):
        deserialize(b'\0\1\0\0', kind)


def test_a_result_as_large_as_a_film_is_refused():
    with pytest.raises(InputError, match='5242880 bytes are too many'):
        deserialize(bytes(5 << 20), EMOTION_ARRAY)


# Files and folders


@pytest.mark.parametrize('name', ['1²1.mcap', '²_².db3', '\u0661.mcap', '\u2460.mcap'])
def test_digits_of_any_kind_in_names(tmp_path, name):
    storage = 'mcap' if name.endswith('mcap') else 'sqlite3'
    folder = write_bag(tmp_path / 'bag', numbered(2), storage)
    storage_file(folder).rename(folder / name)
    (folder / 'metadata.yaml').unlink()
    assert read(folder)[0] == ['f0', 'f1']


@pytest.mark.parametrize('name', ['bag', 'bag.mcap', 'bag.db3', 'bag.mcap.zstd'])
def test_a_pipe_is_no_bag(tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert 'it is a pipe, not a file' in refused(tmp_path / name)
    assert 'has no .mcap or .db3 file' in refused(tmp_path)


def test_a_device_and_a_socket_are_no_bags():
    assert 'it is a device, not a file' in refused(Path('/dev/zero'))


def test_a_folder_that_may_not_be_listed(tmp_path, monkeypatch):
    def denied(self):
        raise PermissionError(13, 'Permission denied', str(self))

    monkeypatch.setattr(Path, 'iterdir', denied)
    assert 'cannot be read (Permission denied)' in refused(tmp_path)


@pytest.mark.parametrize(
    'text',
    [
        f'rosbag2_bagfile_information: {{duration: {"9" * 5000}}}',
        'rosbag2_bagfile_information: !!timestamp "x"',
        'a: &a {b: *a}',
        'a: &a {b: 1}\nrosbag2_bagfile_information: {<<: *a}',
        'rosbag2_bagfile_information: {relative_file_paths: {a: 1}}',
        'rosbag2_bagfile_information: {relative_file_paths: [null, [1]]}',
        'rosbag2_bagfile_information: {relative_file_paths: "\\0"}',
        'rosbag2_bagfile_information: {relative_file_paths: ["\\0", "..", "/etc/passwd"]}',
        '[' * 1000,
    ],
)
def test_metadata_of_any_kind_leaves_the_bag_readable(tmp_path, text):
    folder = write_bag(tmp_path / 'bag', numbered(2))
    (folder / 'metadata.yaml').write_text(text)
    frames, problems = read(folder)
    assert frames == ['f0', 'f1']
    assert 'read without it' in problems


@pytest.mark.parametrize('value', ['-5', '9223372036854775807', '1e400', '{}', 'null'])
def test_impossible_durations_in_metadata_do_no_harm(tmp_path, value):
    folder = write_bag(tmp_path / 'bag', numbered(2))
    path = folder / 'metadata.yaml'
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(''.join(
        f'{line.split(":")[0]}: {value}\n' if 'nanoseconds' in line else line for line in lines
    ))  # fmt: skip
    with open_bag(folder) as bag:
        assert bag.duration == pytest.approx(0.1)
        assert len(list(bag.images())) == 2


# Memory of what is sorted


class Large:
    """An image with a stamp, of half of what may be held."""

    def __init__(self, nanoseconds: int) -> None:
        self.nanoseconds = nanoseconds
        self.data = _Bytes()


class _Bytes:
    def __len__(self) -> int:
        return MAX_HELD // 2


def test_large_images_are_not_waited_for():
    taken: list[int] = []

    def images():
        for stamp in (10, 12, 11, 13, 14, 15):
            taken.append(stamp)
            yield Large(stamp)

    came = []
    for image in in_stamp_order(images(), Disorder()):
        came.append(image.nanoseconds)
        assert len(taken) - len(came) <= 2
    assert came == [10, 11, 12, 13, 14, 15]


# Any damage


@pytest.fixture(scope='module')
def samples(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp('samples')
    with_index = two_chunks(folder / 'indexed.mcap', [mcap.ALWAYS, mcap.ALWAYS])
    data = mcap.schema() + mcap.channel(qos='- depth: 1') + numbered_messages(0, 1)
    plain = mcap.write_mcap(folder / 'plain.mcap', data + mcap.chunk(data, len(data)))
    rows = storage_file(write_bag(folder / 'rows', numbered(3), 'sqlite3'))
    return [with_index, plain, rows]


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, 2),
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)),
        min_size=1,
        max_size=6,
    ),
)
def test_no_mutation_raises_anything_but_one_line(samples, which, changes):
    source = samples[which]
    content = bytearray(source.read_bytes())
    # Pixels are of no interest here, and fill most of the file.
    places = [at for at, byte in enumerate(content) if byte not in (10, 60, 120, 200)]
    for place, change in changes:
        at = places[int(place * len(places))]
        content[at : at + len(change)] = change
    path = source.with_name(f'mutated{source.suffix}')
    path.write_bytes(content)
    try:
        with Bag(path) as bag:
            assert sum(1 for _ in bag.messages()) < 100
            lines = bag.problems
    except InputError as error:
        lines = [str(error)]
    assert all('\n' not in line and len(line) < 800 for line in lines)
