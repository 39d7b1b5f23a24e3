"""Only regular files of a limited size are read, and JSON is strict."""

from __future__ import annotations

import os
import threading

import pytest

from emotion_estimator import untrusted
from emotion_estimator.errors import InputError
from emotion_estimator.sources.images import read_image
from emotion_estimator.untrusted import parse_json, quote, read_limited


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
