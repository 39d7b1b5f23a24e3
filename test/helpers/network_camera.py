"""A camera on the network: MJPEG over HTTP, and a video file over HTTP."""

from __future__ import annotations

import base64
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np

COLOUR = (30, 90, 200)
SIZE = (96, 64)


def jpeg() -> bytes:
    ok, data = cv2.imencode('.jpg', np.full((SIZE[1], SIZE[0], 3), COLOUR[::-1], np.uint8))
    assert ok
    return data.tobytes()


class NetworkCamera:
    """Serves ``/live`` and ``/film``; leaving the ``with`` block ends all connections.

    :ivar connections: requests for ``/live`` that were answered.
    :ivar login: user:password to ask for; empty asks for none.
    :ivar cut_after: pictures or bytes after which a connection is cut; None never cuts it.
    :ivar frozen: while set, connections stay open and nothing is sent.
    """

    def __init__(self, film: bytes = b'', port: int = 0) -> None:
        self.film = film
        self.connections = 0
        self.login = ''
        self.logins: list[str] = []
        self.cut_after: int | None = None
        self.frozen = threading.Event()
        self._over = threading.Event()
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_: object) -> None:
                """Readers leave whenever they like."""

        self._server = Server(('127.0.0.1', port), Handler)
        self.port = self._server.server_address[1]

    def url(self, path: str, login: str = '') -> str:
        return f'http://{login}{"@" if login else ""}127.0.0.1:{self.port}{path}'

    def __enter__(self) -> NetworkCamera:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        given = request.headers.get('Authorization', '')
        if given.startswith('Basic '):
            self.logins.append(base64.b64decode(given[6:]).decode())
        if self.login and self.login not in self.logins:
            request.send_response(401)
            request.send_header('WWW-Authenticate', 'Basic realm="camera"')
            request.send_header('Content-Length', '0')
            request.end_headers()
        elif request.path.startswith('/live'):
            self.connections += 1
            self._stream(request)
        elif request.path.startswith('/film'):
            self._send_film(request)
        else:
            request.send_error(404)

    def _stream(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header('Content-Type', 'multipart/x-mixed-replace; boundary=picture')
        request.end_headers()
        picture = jpeg()
        head = f'--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n'
        sent = 0
        while not self._over.wait(0.02):
            if self.frozen.is_set():
                continue
            if self.cut_after is not None and sent >= self.cut_after:
                return
            request.wfile.write(head.encode() + picture + b'\r\n')
            sent += 1

    def _send_film(self, request: BaseHTTPRequestHandler) -> None:
        # In ranges, as web servers send files: an index at the end is read first.
        start = int(request.headers.get('Range', 'bytes=0-')[6:].split('-')[0])
        request.send_response(206 if 'Range' in request.headers else 200)
        request.send_header('Content-Type', 'video/mp4')
        request.send_header('Accept-Ranges', 'bytes')
        size = len(self.film)
        request.send_header('Content-Range', f'bytes {start}-{size - 1}/{size}')
        request.send_header('Content-Length', str(size - start))
        request.end_headers()
        for at in range(start, size, 4096):
            # The index at the end can be read all the same.
            if self.cut_after is not None and start < self.cut_after <= at:
                return
            while self.frozen.is_set() and not self._over.is_set():
                time.sleep(0.01)
            request.wfile.write(self.film[at : at + 4096])
