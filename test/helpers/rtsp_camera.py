"""A camera that speaks RTSP (RFC 2326) and sends MJPEG (RFC 2435) over the same connection."""

from __future__ import annotations

import base64
import contextlib
import socketserver
import struct
import threading

from network_camera import SIZE, jpeg

_RATE = 25


def rtp_packet(picture: bytes, number: int) -> bytes:
    """Return a JPEG, which has to fit in one packet, with its quantization tables."""
    tables, at = b'', 2
    while picture[at + 1] != 0xDA:
        (length,) = struct.unpack_from('>H', picture, at + 2)
        if picture[at + 1] == 0xDB:
            body = picture[at + 4 : at + 2 + length]
            tables += b''.join(body[k + 1 : k + 65] for k in range(0, len(body), 65))
        at += 2 + length
    (length,) = struct.unpack_from('>H', picture, at + 2)
    scan = picture[at + 2 + length : -2]
    head = struct.pack('>BBHII', 0x80, 0x80 | 26, number & 0xFFFF, number * 90000 // _RATE, 1)
    # Offset 0, type 1 (4:2:0), Q 255: the tables follow.
    head += struct.pack('>IBBBB', 0, 1, 255, SIZE[0] // 8, SIZE[1] // 8)
    return head + struct.pack('>BBH', 0, 0, len(tables)) + tables + scan


class RtspCamera:
    """Serves ``/live`` to whoever knows ``login``; leaving the ``with`` block ends everything.

    :ivar cut_after: pictures after which a connection is cut; None never cuts it.
    :ivar frozen: while set, connections stay open and nothing is sent.
    """

    def __init__(self, login: str = '') -> None:
        self.login = login
        self.cut_after: int | None = None
        self.frozen = threading.Event()
        self._over = threading.Event()
        camera = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                # Readers leave whenever they like.
                with contextlib.suppress(OSError):
                    camera._talk(self)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(('127.0.0.1', 0), Handler)

    def url(self, login: str = '') -> str:
        return (
            f'rtsp://{login}{"@" if login else ""}127.0.0.1:{self._server.server_address[1]}/live'
        )

    def __enter__(self) -> RtspCamera:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def _talk(self, reader: socketserver.StreamRequestHandler) -> None:
        expected = 'Basic ' + base64.b64encode(self.login.encode()).decode()
        while request := self._request(reader):
            method, fields = request
            answer, body = ['Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN'], ''
            status = '200 OK'
            if self.login and fields.get('authorization') != expected and method != 'OPTIONS':
                status = '401 Unauthorized'
                answer = ['WWW-Authenticate: Basic realm="camera"']
            elif method == 'DESCRIBE':
                body = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=live\r\nt=0 0\r\n' \
                    'm=video 0 RTP/AVP 26\r\na=control:track1\r\n'  # fmt: skip
                answer = ['Content-Type: application/sdp', f'Content-Base: {self.url()}/']
            elif method == 'SETUP' and 'TCP' not in fields.get('transport', ''):
                status = '461 Unsupported transport'
            elif method == 'SETUP':
                answer = ['Transport: RTP/AVP/TCP;unicast;interleaved=0-1', 'Session: 7']
            elif method == 'PLAY':
                answer = ['Session: 7']
            lines = [f'RTSP/1.0 {status}', f'CSeq: {fields["cseq"]}', *answer]
            lines.append(f'Content-Length: {len(body)}')
            reader.wfile.write(('\r\n'.join(lines) + '\r\n\r\n' + body).encode())
            if method == 'PLAY' and status == '200 OK':
                self._play(reader)
                return

    def _request(self, reader: socketserver.StreamRequestHandler):
        first = reader.rfile.readline().decode().split()
        fields = {}
        while line := reader.rfile.readline().decode().strip():
            name, _, value = line.partition(':')
            fields[name.lower()] = value.strip()
        return (first[0], fields) if first else None

    def _play(self, reader: socketserver.StreamRequestHandler) -> None:
        picture, sent = jpeg(), 0
        while not self._over.wait(1.0 / _RATE):
            if self.frozen.is_set():
                continue
            if self.cut_after is not None and sent >= self.cut_after:
                return
            packet = rtp_packet(picture, sent)
            reader.wfile.write(struct.pack('>cBH', b'$', 0, len(packet)) + packet)
            sent += 1
