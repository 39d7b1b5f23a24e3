"""Who may open the page: this machine, by its own address, with the key."""

from __future__ import annotations

import asyncio
import sys

import pytest

from emotion_estimator.errors import InputError
from emotion_estimator.live.server import OnlyHere, serving

KEY = 'the-key'
HOST = '127.0.0.1:8080'


def ask(kind: str = 'http', query: str = '', **headers: str) -> list[dict]:
    """Return what the guard sends, with one message of the application behind it if it lets in."""
    sent: list[dict] = []

    async def application(scope, receive, send):
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})

    async def send(message):
        sent.append(message)

    given = {'host': HOST, **headers}
    scope = {
        'type': kind,
        'headers': [(name.encode(), value.encode()) for name, value in given.items()],
        'query_string': query.encode(),
    }
    asyncio.run(OnlyHere(application, KEY)(scope, None, send))
    return sent


def is_let_in(**request: str) -> bool:
    return ask(**request)[0].get('status') == 200


COOKIE = f'emotion_estimator_key={KEY}'


def test_the_key_opens_and_stays_in_a_cookie():
    (answer,) = ask(query=f'key={KEY}')
    assert answer['status'] == 200
    (cookie,) = [value.decode() for name, value in answer['headers'] if name == b'set-cookie']
    assert cookie.startswith(COOKIE)
    assert {'HttpOnly', 'SameSite=Strict'} <= set(cookie.split('; '))
    assert is_let_in(cookie=COOKIE)
    assert is_let_in(kind='websocket', cookie=COOKIE, origin=f'http://{HOST}')


@pytest.mark.parametrize('query', ['', 'key=', 'key=wrong', f'other={KEY}', f'KEY={KEY}'])
def test_nobody_comes_in_without_the_key(query):
    assert not is_let_in(query=query)
    assert not is_let_in(query=query, cookie='emotion_estimator_key=wrong')
    assert not is_let_in(query=query, cookie='\x00;;=')


@pytest.mark.parametrize(
    'host', ['evil.example', 'evil.example:8080', '192.168.1.2:8080', '', '127.0.0.1.evil.example']
)
def test_a_name_that_leads_here_is_refused(host):
    assert not is_let_in(cookie=COOKIE, host=host)


@pytest.mark.parametrize('origin', ['http://evil.example', 'null', 'http://127.0.0.1:1234'])
@pytest.mark.parametrize('kind', ['http', 'websocket'])
def test_another_page_may_not_ask(kind, origin):
    assert not is_let_in(kind=kind, cookie=COOKIE, origin=origin)


def test_a_refused_websocket_is_closed():
    assert ask(kind='websocket') == [{'type': 'websocket.close', 'code': 1008}]


def test_the_refusal_says_what_to_do():
    start, body = ask()
    assert start['status'] == 403
    assert b'open the address' in body['body']


def test_without_nicegui_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'nicegui', None)
    monkeypatch.delitem(sys.modules, 'emotion_estimator.live.page', raising=False)
    with pytest.raises(InputError, match=r'emotion-estimator\[live\]'), serving(None):
        pass
