"""A local HTTP server with the answers of Rasa 3.6's REST API, and with faults on request."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

#: What Rasa 3.6.21 answers to an intent that the domain does not have, word for word.
_UNKNOWN = {
    'version': '3.6.21', 'status': 'failure', 'message': 'The intent <function create_app.<locals>'
    '.trigger_intent at 0x7f7760569000> does not exist in the domain.', 'reason': 'NotFound',
    'details': {}, 'help': None, 'code': 404,
}  # fmt: skip


class RasaStandIn:
    """Knows some intents, each with its texts, and answers what people say.

    ``fault`` is one of: ``slow`` (answers after a minute), ``drip`` (a byte now and then),
    ``error`` (status 500), ``token`` (status 401), ``nonsense`` (no JSON), ``list`` (JSON of
    another kind), ``cut`` (the connection ends in the middle), ``huge``, or '' for none.
    """

    def __init__(self, intents: dict[str, list[str]], port: int = 0) -> None:
        self.intents = intents
        self.fault = ''
        self.delay = 0.0
        #: Of each request: path, query, body.
        self.requests: list[tuple[str, dict, dict]] = []
        self._stopping = threading.Event()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self) -> None:
                stand_in._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(('127.0.0.1', port), Handler)
        self.url = f'http://127.0.0.1:{self._server.server_port}'

    def __enter__(self) -> RasaStandIn:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def bodies(self, path: str) -> list[dict]:
        """Return the bodies of the requests to ``path``."""
        return [body for asked, _, body in self.requests if asked == path]

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = urlsplit(handler.path)
        body = json.loads(handler.rfile.read(int(handler.headers['Content-Length'])))
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        self.requests.append((unquote(asked.path), query, body))
        status, answer = self._rasa(asked.path, query, body)
        text = json.dumps(answer).encode()
        self._stopping.wait(self.delay)
        if self.fault == 'slow':
            self._stopping.wait(60)
        elif self.fault == 'error':
            status, text = 500, b'{"message": "An unexpected error\\noccurred."}'
        elif self.fault == 'token':
            status, text = 401, b'{"reason": "NotAuthenticated", "code": 401}'
        elif self.fault == 'nonsense':
            text = b'<html>It works!</html>'
        elif self.fault == 'list':
            text = b'{"messages": {"text": 7}}'
        elif self.fault == 'huge':
            text = b'[' + b' ' * 3_000_000 + b']'
        try:
            handler.send_response(status)
            handler.send_header('Content-Type', 'application/json')
            handler.send_header('Content-Length', str(len(text)))
            handler.end_headers()
            if self.fault == 'cut':
                handler.wfile.write(text[: len(text) // 2])
                handler.close_connection = True
            elif self.fault == 'drip':
                for index in range(len(text)):
                    handler.wfile.write(text[index : index + 1])
                    if self._stopping.wait(0.2):
                        return
            else:
                handler.wfile.write(text)
        except ConnectionError:
            # The client has given up.
            handler.close_connection = True

    def _rasa(self, path: str, query: dict, body: dict) -> tuple[int, object]:
        parts = [unquote(part) for part in path.split('/')]
        if path == '/webhooks/rest/webhook':
            return 200, _messages(body['sender'], [f'You said: {body["message"]}'])
        if parts[1] == 'conversations' and parts[3:] == ['trigger_intent']:
            if body['name'] not in self.intents:
                return 404, _UNKNOWN
            tracker = {
                'sender_id': parts[2], 'slots': body['entities'], 'latest_event_time': time.time(),
                'events': None if query.get('include_events') == 'NONE' else [{}] * 1000,
            }  # fmt: skip
            return 200, {
                'tracker': tracker, 'messages': _messages(parts[2], self.intents[body['name']]),
            }  # fmt: skip
        return 404, {'description': 'Not Found', 'status': 404, 'message': 'not found'}


def _messages(recipient: str, texts: list[str]) -> list[dict]:
    image = {'recipient_id': recipient, 'image': 'https://example.org/garden.png'}
    return [image, *({'recipient_id': recipient, 'text': text} for text in texts)]
