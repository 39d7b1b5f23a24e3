from __future__ import annotations

import hashlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from emotion_estimator.errors import InputError
from emotion_estimator.perception.landmarks.face_landmarker import face_landmarker_path, fetch

CONTENT = bytes(range(256)) * 900
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT; knows ranges; can break off after some bytes."""

    break_after: int | None = None
    ranges = True
    asked: list[str | None]

    def do_GET(self):
        asked = self.headers.get('Range')
        self.server.asked.append(asked)
        if self.path != '/model':
            self.send_error(404)
            return
        start = 0
        if asked and self.server.ranges:
            start = int(asked.removeprefix('bytes=').rstrip('-'))
            if start >= len(CONTENT):
                self.send_error(416)
                return
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.break_after])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as running:
        running.asked, running.break_after, running.ranges = [], None, True
        running.url = f'http://127.0.0.1:{running.server_port}/model'
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_file_is_fetched_once(server, tmp_path):
    target = tmp_path / 'deep' / 'model.task'
    assert fetch(server.url, SHA256, target) == target
    assert target.read_bytes() == CONTENT
    fetch(server.url, SHA256, target)
    assert server.asked == [None]
    assert [p.name for p in target.parent.iterdir()] == ['model.task']


def partial(target):
    path = target.parent / f'.{target.name}.partial' / target.name
    path.parent.mkdir()
    return path


def test_a_broken_download_is_resumed(server, tmp_path):
    target = tmp_path / 'model.task'
    server.break_after = 100_000
    with pytest.raises(InputError, match='connection lost at 100000 of'):
        fetch(server.url, SHA256, target)
    assert not target.exists()
    server.break_after = None
    fetch(server.url, SHA256, target)
    assert target.read_bytes() == CONTENT
    assert server.asked == [None, 'bytes=100000-']


def test_a_server_without_ranges_is_read_from_the_start(server, tmp_path):
    target = tmp_path / 'model.task'
    partial(target).write_bytes(b'x' * 50)
    server.ranges = False
    fetch(server.url, SHA256, target)
    assert target.read_bytes() == CONTENT


def test_a_download_that_was_complete_but_not_yet_moved_is_used(server, tmp_path):
    target = tmp_path / 'model.task'
    partial(target).write_bytes(CONTENT)
    fetch(server.url, SHA256, target)
    assert target.read_bytes() == CONTENT


def test_another_content_is_refused_and_removed(server, tmp_path):
    target = tmp_path / 'model.task'
    with pytest.raises(InputError, match='another sha256'):
        fetch(server.url, '0' * 64, target)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('path', ['gone', None])
def test_without_the_file_or_the_server_one_line_says_what_to_do(server, tmp_path, path):
    url = server.url.replace('model', path) if path else 'http://127.0.0.1:9/model'
    target = tmp_path / 'model.task'
    with pytest.raises(InputError) as caught:
        fetch(url, SHA256, target, timeout=5)
    line = str(caught.value)
    assert '\n' not in line
    assert f'download {url} elsewhere and put it at {target}' in line


@pytest.mark.parametrize(
    'said',
    [
        b'garbage\r\n\r\n',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nabc',
        b'HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nabc',
    ],
)
def test_a_server_that_answers_nonsense_gives_one_line(tmp_path, said):
    with socket.create_server(('127.0.0.1', 0)) as listening:

        def answer() -> None:
            caller, _ = listening.accept()
            with caller:
                caller.recv(4096)
                caller.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        url = f'http://127.0.0.1:{listening.getsockname()[1]}/model'
        says = r'cannot fetch model\.task \(.+\); download'
        with pytest.raises(InputError, match=says) as caught:
            fetch(url, SHA256, tmp_path / 'model.task', timeout=5)
        thread.join()
    assert '\n' not in str(caught.value)


def test_an_address_that_is_none_gives_one_line(tmp_path):
    with pytest.raises(InputError, match="unknown url type: 'foo'"):
        fetch('foo', SHA256, tmp_path / 'model.task')


def test_the_place_follows_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert face_landmarker_path() == tmp_path / 'emotion_estimator' / 'face_landmarker.task'
