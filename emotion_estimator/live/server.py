"""Serve the page on this machine alone, from a thread of its own."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
import webbrowser
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from emotion_estimator.errors import InputError
from emotion_estimator.live.feed import Feed

#: The page is not for other machines: it shows a camera.
HOST = '127.0.0.1'
PORT = 8080
_NAMES = ('127.0.0.1', 'localhost')
#: Further ports that are tried where the default one is taken.
_MORE_PORTS = 20
_COOKIE = 'emotion_estimator_key'
#: Seconds within which the server answers on any machine.
_STARTS_WITHIN = 30.0

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


@contextmanager
def serving(feed: Feed, port: int | None = None) -> Iterator[str]:
    """Serve the page while the ``with`` block runs; yields its address.

    One page a process: what it is made with keeps its state in the module.

    :param port: to listen on; None takes 8080, or the next one that is free.
    :raises InputError: NiceGUI is not installed, or the port is taken.
    """
    try:
        import uvicorn

        from emotion_estimator.live.page import page_app
    except ImportError as error:
        raise InputError(
            f"the page needs NiceGUI ({error}): pip install 'emotion-estimator[live]'"
        ) from error

    key = secrets.token_urlsafe(12)
    listening = _listen(port)
    server = uvicorn.Server(
        uvicorn.Config(
            OnlyHere(page_app(feed), key),
            log_level=logging.CRITICAL,
            lifespan='on',
            # Open pages hold their connections.
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(target=server.run, args=([listening],), name='page', daemon=True)
    thread.start()
    deadline = time.monotonic() + _STARTS_WITHIN
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise InputError('the page could not be served; see the lines above')
        time.sleep(0.02)
    try:
        yield f'http://{HOST}:{listening.getsockname()[1]}/?key={key}'
    finally:
        server.should_exit = True
        thread.join(timeout=5.0)
        listening.close()


def show_address(address: str) -> None:
    """Open the page in the user's browser, if there is a screen."""
    if os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY'):
        webbrowser.open(address)


def _listen(port: int | None) -> socket.socket:
    ports = [port] if port is not None else [*range(PORT, PORT + _MORE_PORTS), 0]
    problem: OSError | None = None
    for each in ports:
        try:
            return socket.create_server((HOST, each))
        except OSError as error:
            problem = error
    reason = problem.strerror if problem is not None else ''
    raise InputError(f'port {port} cannot be used ({reason}); choose another one with --port')


class OnlyHere:
    """Lets in who has the key, and only by an address of this machine.

    A website that the user visits could otherwise have the browser ask for the camera's images: by
    a name that resolves to 127.0.0.1 (DNS rebinding), or by a connection from its own page. The key
    keeps out the machine's other users.
    """

    def __init__(self, app: App, key: str) -> None:
        """:param key: comes once as ``?key=``, from then on in a cookie."""
        self._app, self._key = app, key

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass on what is allowed; answer 403 otherwise."""
        if scope['type'] not in ('http', 'websocket'):
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode('latin-1') for name, value in scope['headers']}
        host, origin = headers.get(b'host', ''), headers.get(b'origin', '')
        here = urlsplit(f'//{host}').hostname in _NAMES
        same = not origin or urlsplit(origin).netloc == host
        given = parse_qs(scope.get('query_string', b'').decode('latin-1')).get('key', [''])[0]
        cookies = SimpleCookie(headers.get(b'cookie', ''))
        kept = cookies[_COOKIE].value if _COOKIE in cookies else ''
        known = any(secrets.compare_digest(each, self._key) for each in (given, kept))
        if not (here and same and known):
            await _refuse(scope, send)
            return
        await self._app(scope, receive, self._with_cookie(send) if given else send)

    def _with_cookie(self, send: Any) -> Any:
        # Not Secure: there is no TLS on this machine's own address.
        cookie = f'{_COOKIE}={self._key}; Path=/; HttpOnly; SameSite=Strict'

        async def sending(message: Scope) -> None:
            if message['type'] == 'http.response.start':
                message['headers'] = [
                    *message.get('headers', []), (b'set-cookie', cookie.encode())
                ]  # fmt: skip
            await send(message)

        return sending


async def _refuse(scope: Scope, send: Any) -> None:
    if scope['type'] == 'websocket':
        await send({'type': 'websocket.close', 'code': 1008})
        return
    text = b'open the address that emotion-estimator printed, with its key\n'
    headers = [(b'content-type', b'text/plain'), (b'content-length', str(len(text)).encode())]
    await send({'type': 'http.response.start', 'status': 403, 'headers': headers})
    await send({'type': 'http.response.body', 'body': text})
