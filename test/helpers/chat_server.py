"""A local HTTP server that speaks the chat completions protocol, well or badly, as a test wants."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: Writes an answer: called with the handler, once its request has been read.
Reply = Callable[['Handler'], None]


def event(data: object) -> bytes:
    """Return an event of a stream: JSON, or a text as it is."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return f'data: {text}\n\n'.encode()


def chunk(content: str | None = None, finish: str | None = None, **delta: object) -> bytes:
    """Return an event that adds ``content``, as OpenAI's servers send it."""
    if content is not None:
        delta['content'] = content
    choice = {'index': 0, 'delta': delta, 'logprobs': None, 'finish_reason': finish}
    return event({
        'id': 'chatcmpl-1', 'object': 'chat.completion.chunk', 'created': 1, 'model': 'test',
        'choices': [choice],
    })  # fmt: skip


DONE = event('[DONE]')


def speech(*parts: str, finish: str | None = 'stop') -> list[bytes]:
    """Return the events of an answer in parts."""
    return [chunk('', role='assistant'), *map(chunk, parts), chunk(finish=finish), DONE]


class Handler(BaseHTTPRequestHandler):
    """Answers each request with the next reply of its server."""

    protocol_version = 'HTTP/1.1'
    server: ChatServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        self.server.received.append((self.path, dict(self.headers), body))
        try:
            self.server.next_reply()(self)
        except (BrokenPipeError, ConnectionResetError):
            self.server.abandoned.set()
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def begin(self, status: int = 200, kind: str = 'text/event-stream', **headers: str) -> None:
        self.send_response(status)
        self.send_header('Content-Type', kind)
        for name, value in headers.items():
            self.send_header(name.replace('_', '-'), value)
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()

    def write(self, data: bytes) -> None:
        """Send one HTTP chunk."""
        if data:
            self.wfile.write(f'{len(data):x}\r\n'.encode() + data + b'\r\n')
            self.wfile.flush()

    def finish_body(self) -> None:
        self.wfile.write(b'0\r\n\r\n')
        self.wfile.flush()

    def break_off(self) -> None:
        """Close the connection as a crashed server does."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


class ChatServer(ThreadingHTTPServer):
    """Serves on a port of 127.0.0.1 until the ``with`` block ends."""

    daemon_threads = True

    def __init__(self, *replies: Reply) -> None:
        super().__init__(('127.0.0.1', 0), Handler)
        #: Path, headers and body of each request.
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        #: Set when the server should stop waiting.
        self.stopping = threading.Event()
        #: Set when a client has gone away within an answer.
        self.abandoned = threading.Event()
        self._replies = list(replies)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.server_port}/v1'

    @property
    def requests(self) -> list[dict]:
        """Return the bodies of the requests."""
        return [json.loads(body) for _, _, body in self.received]

    def next_reply(self) -> Reply:
        """Return the next reply; the last one serves all further requests."""
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]

    def __enter__(self) -> ChatServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()


def stream(
    *events: bytes, size: int = 0, pause: float = 0.0, kind: str = 'text/event-stream'
) -> Reply:
    """Return a reply that sends events.

    :param size: bytes of an HTTP chunk; 0 sends one event in each.
    :param pause: seconds before each chunk after the first.
    :param kind: content type.
    """

    def reply(handler: Handler) -> None:
        handler.begin(kind=kind)
        for index, data in enumerate(_parts(b''.join(events), size) if size else events):
            if index and pause:
                time.sleep(pause)
            handler.write(data)
        handler.finish_body()

    return reply


def answering(*parts: str, **more: object) -> Reply:
    """Return a reply with an ordinary answer."""
    return stream(*speech(*parts), **more)


def cut_off(*events: bytes) -> Reply:
    """Return a reply that breaks off after some events."""

    def reply(handler: Handler) -> None:
        handler.begin()
        for data in events:
            handler.write(data)
        # Sent and read, not lost with the connection.
        time.sleep(0.1)
        handler.break_off()

    return reply


def hanging(*events: bytes) -> Reply:
    """Return a reply that sends some events, and then nothing until the client goes away."""

    def reply(handler: Handler) -> None:
        if events:
            handler.begin()
        for data in events:
            handler.write(data)
        handler.connection.settimeout(0.05)
        while not handler.server.stopping.is_set():
            try:
                if not handler.connection.recv(1):
                    handler.server.abandoned.set()
                    break
            except TimeoutError:
                continue
            except OSError:
                handler.server.abandoned.set()
                break
        handler.close_connection = True

    return reply


def status(code: int, body: object = None, kind: str = 'application/json') -> Reply:
    """Return a reply with a status and a body, JSON unless it is text."""

    def reply(handler: Handler) -> None:
        handler.begin(code, kind)
        handler.write((body if isinstance(body, str) else json.dumps(body)).encode())
        handler.finish_body()

    return reply


def _parts(data: bytes, size: int) -> Iterator[bytes]:
    for begin in range(0, len(data), size):
        yield data[begin : begin + size]
