"""Only regular files of a limited size are read, and JSON is strict."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator import untrusted
from emotion_estimator.errors import InputError
from emotion_estimator.sources.images import read_image
from emotion_estimator.untrusted import (
    as_line,
    parse_json,
    quote,
    quote_some,
    read_in_time,
    read_limited,
    read_lines,
)


def test_pipes_devices_and_folders_are_refused(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    for path, kind in ((tmp_path / 'pipe', 'a pipe'), (tmp_path, 'a folder')):
        with pytest.raises(OSError, match=kind):
            read_limited(path, 100)
    with pytest.raises(InputError, match=r'/dev/zero cannot be read .*a device'):
        read_image(type(tmp_path)('/dev/zero'))


def test_a_file_over_the_limit_is_refused(tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(bytes(100))
    assert len(read_limited(path, 100)) == 100
    with pytest.raises(OSError, match='larger than 99 bytes'):
        read_limited(path, 99)


@pytest.mark.parametrize(
    ('text', 'says'),
    [
        ('[' * 100_000, 'nested'),
        ('9' * 5000, '5000 digits'),
        ('1e400', 'too large'),
        ('NaN', 'not JSON'),
        ('["\\ud800"]', 'surrogate'),
        ('"' + 'x' * 100 + '"', 'larger than 100 bytes'),
    ],
)
def test_json_that_breaks_others_is_refused(text, says):
    with pytest.raises(ValueError, match=says):
        parse_json(text, 100 if says.startswith('larger') else 1 << 20)


def test_other_json_is_read():
    text = '{"a": [1, 2.5, "[[\\"]]", null, true], "b": "\\ud83d\\ude00"}'
    assert parse_json(text) == {'a': [1, 2.5, '[["]]', None, True], 'b': '\U0001f600'}


@pytest.mark.parametrize('text', ['"' + '\\"' * 500_000, '"' * 500_000, '["\\' * 100_000])
def test_strings_that_never_end_are_refused_at_once(text):
    # Each quote searched to the end, this would take hours.
    with pytest.raises(ValueError):
        parse_json(text)


def test_quotes_are_short_and_printable():
    assert len(quote('x' * 100_000)) == 200
    assert quote('a\nb\ud800') == 'a?b?'


#: Text with everything that Python's strings can hold, halves of surrogate pairs included.
ANY_TEXT = st.text(st.characters(codec=None) | st.characters(categories=['Cc', 'Cf', 'Cs', 'Zl']))
#: Pieces that JSON is made of, and a few that break it.
PIECES = st.sampled_from(
    ['{', '}', '[', ']', ',', ':', '"', '"a"', '\\', '\\ud800', '\\udc00', '\\u0000', '1', '-',
     '.5', 'e400', '9' * 70, 'true', 'null', 'NaN', 'Infinity', ' ', '\n', '\x00', '\ufeff',
     '\ud800']
)  # fmt: skip


@given(ANY_TEXT | st.text('x\n\x1b', min_size=190, max_size=1100))
def test_any_text_becomes_one_printable_line(text):
    for shorten, most in ((quote, 200), (as_line, 1000)):
        line = shorten(text)
        assert line.isprintable()
        assert len(line) == min(len(text), most)
        assert shorten(line) == line
        if text.isprintable() and len(text) <= most:
            assert line == text


@given(
    st.binary()
    | ANY_TEXT
    | st.lists(PIECES, max_size=40).map(''.join)
    | st.integers(0, 60).map(lambda depth: '[' * depth + ']' * depth)
)
def test_any_json_is_a_value_that_can_be_written_again_or_one_short_line(text):
    try:
        value = parse_json(text)
    except ValueError as error:
        assert '\n' not in str(error)
        assert len(str(error)) < 200
    else:
        written = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        assert parse_json(written) == value


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**60), 10**60)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=20,
    )
)
def test_all_other_json_is_read(value):
    assert parse_json(json.dumps(value)) == value


@pytest.fixture(scope='module')
def some_file(tmp_path_factory):
    return tmp_path_factory.mktemp('untrusted') / 'file'


@given(data=st.lists(st.text('ab\r\né\u2028', max_size=30)).map(''.join), most=st.integers(1, 40))
def test_lines_are_those_of_the_file_or_too_long(some_file, data, most):
    some_file.write_bytes(data.encode())
    lines = data.encode().split(b'\n')
    wanted = [line + b'\n' for line in lines[:-1]] + [line for line in lines[-1:] if line]
    read = []
    try:
        read.extend(line.encode() for line in read_lines(some_file, most))
    except OSError as error:
        assert 'longer than' in error.strerror
    if all(len(line) <= most for line in wanted):
        assert read == wanted
    else:
        assert len(read) < len(wanted)


def test_a_byte_order_mark_is_left_out_and_pipes_are_refused(some_file, tmp_path):
    some_file.write_bytes(b'\xef\xbb\xbfa\n\xef\xbb\xbfb')
    assert list(read_lines(some_file)) == ['a\n', '\ufeffb']
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(OSError, match='a pipe'):
        next(read_lines(tmp_path / 'pipe'))


def test_a_pipe_that_the_shell_hands_over_is_read():
    # As of `compare <(zcat expected.jsonl.gz) actual.jsonl`.
    reading, writing = os.pipe()
    os.write(writing, b'1\n')
    os.close(writing)
    try:
        assert list(read_lines(Path(f'/dev/fd/{reading}'))) == ['1\n']
    finally:
        os.close(reading)


def test_a_file_that_is_never_read_does_not_hold_up_the_rest(tmp_path, monkeypatch):
    (tmp_path / 'file').write_bytes(b'content')
    assert untrusted.read_in_time(tmp_path / 'file', 10) == b'content'
    with pytest.raises(OSError, match='it is larger than 3 bytes'):
        untrusted.read_in_time(tmp_path / 'file', 3)
    # As on a network that is gone.
    back, read = threading.Event(), untrusted.read_limited
    monkeypatch.setattr(untrusted, 'read_limited', lambda *given: back.wait() and read(*given))
    for _ in range(4):
        with pytest.raises(OSError, match=r'could not be read within 0\.01 s'):
            untrusted.read_in_time(tmp_path / 'file', 10, seconds=0.01)
    with pytest.raises(OSError, match='4 other files are still being read'):
        untrusted.read_in_time(tmp_path / 'file', 10)
    back.set()
    for thread in untrusted._pending:
        thread.join(10)
    assert untrusted.read_in_time(tmp_path / 'file', 10) == b'content'


@given(st.text(), st.integers(4, 400))
@settings(deadline=None)
def test_lines_are_short_and_printable_and_left_alone_where_they_are(text, most):
    line = as_line(text, most)
    assert len(line) <= most
    assert line.isprintable()
    if text.isprintable() and len(text) <= most:
        assert line == text


def test_a_line_of_megabytes_is_cut_and_forges_no_other_line():
    line = as_line('a\n[FATAL] forged \x1b[31m\u2028' + 'x' * 10_000_000)
    assert len(line) == 1000
    assert line.startswith('a?[FATAL] forged ?[31m?xxx')
    assert line.endswith('x...')


def test_of_many_names_some_are_quoted():
    assert quote_some([]) == ''
    assert quote_some(['/a', '/b\n']) == '/a, /b?'
    assert quote_some([f'/{n}' for n in range(1000)]) == '/0, /1, /2, /3, /4 and 995 more'
    assert len(quote_some(['x' * 10_000] * 1000)) < 1100


@pytest.mark.skipif(not os.access('/proc/kmsg', os.R_OK), reason='only root may read it')
def test_a_file_that_waits_for_more_is_refused():
    """The kernel's messages: a regular file, by its kind."""
    file = Path('/proc/kmsg')
    # What is there already is text like any other.
    with suppress(OSError):
        while read_limited(file, 1 << 20):
            pass
    with pytest.raises(OSError, match='nothing to read now'):
        read_limited(file, 1 << 20)
    with pytest.raises(OSError, match='nothing to read now'):
        read_in_time(file, 1 << 20)
