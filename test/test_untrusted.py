"""Only regular files of a limited size are read, and JSON is strict."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.errors import InputError
from emotion_estimator.sources.images import read_image
from emotion_estimator.untrusted import as_line, parse_json, quote, quote_some, read_limited


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


def test_quotes_are_short_and_printable():
    assert len(quote('x' * 100_000)) == 200
    assert quote('a\nb\ud800') == 'a?b?'


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
