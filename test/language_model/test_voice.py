"""The language model's voice against a real HTTP server that speaks the protocol, or does not."""

# ruff: noqa: RUF001  # punctuation of many scripts

from __future__ import annotations

import gzip
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

pytest.importorskip('openai', reason="needs openai: pip install 'emotion-estimator[llm]'")

from chat_server import (
    DONE,
    ChatServer,
    Reply,
    answering,
    chunk,
    cut_off,
    event,
    hanging,
    speech,
    status,
    stream,
)

from emotion_estimator.dialogue.prompt import SpeakingPrompt
from emotion_estimator.errors import InputError
from emotion_estimator.language_model import client
from emotion_estimator.language_model.client import FAILURES
from emotion_estimator.language_model.voice import LanguageVoice
from emotion_estimator.settings import LanguageModelSettings

PROMPT = SpeakingPrompt('Ask about the garden.', fallback='Did you keep a garden?')
KEY = 'sk-0123456789'
#: Long enough for a machine that does much else.
PATIENCE = 20.0


class Talk:
    """A voice, and what it said; ``settings`` override patient defaults."""

    def __init__(self, url: str, key: str = '', **settings: object) -> None:
        given = {'model': 'test', 'timeout': PATIENCE, 'total_timeout': PATIENCE, **settings}
        self.said: list[str] = []
        self.voice = LanguageVoice(
            LanguageModelSettings(base_url=url, **given), self.said.append, key
        )

    def ask(self, prompt: SpeakingPrompt = PROMPT) -> list[str]:
        """Give a prompt, and return what was said once the answer has ended."""
        before = len(self.said)
        done = self.voice.answered
        self.voice.speak(prompt)
        wait(lambda: self.voice.answered > done)
        return self.said[before:]


def wait(done: Callable[[], object], timeout: float = PATIENCE) -> None:
    deadline = time.monotonic() + timeout
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def talk():
    """Return a way to make a voice for a server that gives these replies."""
    opened: list[tuple[ChatServer, Talk]] = []

    def make(*replies: Reply, **more: object) -> Talk:
        server = ChatServer(*replies).__enter__()
        made = Talk(server.url, **more)
        made.server = server
        opened.append((server, made))
        return made

    yield make
    for server, made in opened:
        made.voice.close()
        server.__exit__()


def test_sentences_are_said_while_the_answer_arrives(talk):
    said_before: list[list[str]] = []

    def reply(handler) -> None:
        handler.begin()
        for data in speech('**Good', ' morning!** ', 'Did you', ' sleep well? 😊'):
            handler.write(data)
            if b'Did' in data:
                wait(lambda: made.said)
                said_before.append([*made.said])
        handler.finish_body()

    made = talk(reply)
    assert made.ask() == ['Good morning!', 'Did you sleep well?']
    assert said_before == [['Good morning!']]
    assert 0 < made.voice.first_sentence < PATIENCE
    assert (made.voice.requests, made.voice.sentences) == (1, 2)
    assert not made.voice.fallbacks and not made.voice.failures and not made.voice.problem


# Shapes of real servers: first a role with or without content, then text, an end, and more.
TEXT = ('Schön', ', dass Sie', ' da sind. 今日は', '元気ですか？')
SAID = ['Schön, dass Sie da sind.', '今日は元気ですか？']
USAGE = {'prompt_tokens': 1, 'completion_tokens': 1, 'total_tokens': 2}
SHAPES = {
    'openai': [*speech(*TEXT)[:-1],
               event({'id': '1', 'object': 'chat.completion.chunk', 'choices': [],
                      'usage': USAGE}), DONE],
    # A null as first content; no content at all at the end, but timings.
    'llama.cpp': [
        b':\n\n',
        event({'choices': [{'finish_reason': None, 'index': 0,
                            'delta': {'role': 'assistant', 'content': None}}],
               'created': 1, 'id': 'chatcmpl-1', 'model': 'a.gguf',
               'system_fingerprint': 'b6881', 'object': 'chat.completion.chunk'}),
        *(event({'choices': [{'finish_reason': None, 'index': 0,
                              'delta': {'reasoning_content': text}}]}) for text in ('We', ' say.')),
        *(event({'choices': [{'finish_reason': None, 'index': 0, 'delta': {'content': text}}]})
          for text in TEXT),
        event({'choices': [{'finish_reason': 'stop', 'index': 0, 'delta': {}}],
               'usage': USAGE, 'timings': {'prompt_n': 1, 'prompt_ms': 0.5}}), DONE],
    # Reasoning in a field of another name, and empty content with it.
    'ollama': [
        *(event({'id': 'chatcmpl-7', 'object': 'chat.completion.chunk', 'created': 1, 'model': 'm',
                 'system_fingerprint': 'fp_ollama', 'choices': [
                     {'index': 0, 'delta': {'role': 'assistant', 'content': '', 'reasoning': text},
                      'finish_reason': None}]}) for text in ('We', ' say.')),
        *map(chunk, TEXT),
        event({'choices': [{'index': 0, 'delta': {'role': 'assistant', 'content': ''},
                            'finish_reason': 'stop'}]}), DONE],
    # Text together with the reason to end; token ids; another answer beside the first.
    'vllm': [
        chunk('', role='assistant'),
        *(event({'id': 'c', 'choices': [
            {'index': 0, 'delta': {'reasoning': 'Hm.', 'reasoning_content': 'Hm.'},
             'logprobs': None, 'finish_reason': None, 'token_ids': None}]}) for _ in range(2)),
        *map(chunk, TEXT[:-1]),
        event({'choices': [{'index': 1, 'delta': {'content': 'Not this one.'}}]}),
        event({'choices': [{'index': 0, 'delta': {'content': TEXT[-1]}, 'finish_reason': 'stop',
                            'stop_reason': 151645}]}), DONE],
    'comments and fields': [b': OPENROUTER PROCESSING\n\nevent: message\nid: 3\nretry: 10\n',
                            *speech(*TEXT)],
    'carriage returns': [data.replace(b'\n', b'\r\n') for data in speech(*TEXT)],
    'no space after the colon': [data.replace(b'data: ', b'data:') for data in speech(*TEXT)],
    'no [DONE]': speech(*TEXT)[:-1],
    'no reason to end': [*map(chunk, TEXT), DONE],
    'reasoning as text': speech('<think>She looks sad.', '</think>\n\n', *TEXT),
}  # fmt: skip


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('size', [0, 1, 7])
def test_streams_of_real_servers_are_understood_in_any_pieces(talk, shape, size):
    # One byte a piece divides letters, lines and events.
    made = talk(stream(*SHAPES[shape], size=size))
    assert made.ask() == SAID
    assert not made.voice.failures


@pytest.mark.parametrize('kind', ['text/plain', 'application/x-ndjson', 'text/event-stream'])
def test_a_wrong_content_type_does_not_matter_for_a_stream(talk, kind):
    assert talk(answering('Hello.', kind=kind)).ask() == ['Hello.']


def test_half_a_surrogate_pair_is_left_out(talk):
    # Each as JSON's escape, as the server's own encoder writes it.
    halves = [event(json.dumps({'choices': [{'index': 0, 'delta': {'content': text}}]}))
              for text in ('Hello\ud83d', '\ude00 there.')]  # fmt: skip
    assert talk(stream(*halves, chunk(finish='stop'), DONE)).ask() == ['Hello there.']


def test_a_server_that_does_not_stream_is_understood(talk):
    message = {'role': 'assistant', 'content': 'Hello. How are you?', 'reasoning_content': 'Hm.'}
    whole = {'choices': [{'index': 0, 'message': message, 'finish_reason': 'stop'}]}
    assert talk(status(200, whole)).ask() == ['Hello.', 'How are you?']


def _endless(handler, part: bytes) -> None:
    handler.begin()
    while not handler.server.stopping.is_set():
        handler.write(part)


def _compressed(handler) -> None:
    # 5 MB in 5 kB, and so on.
    handler.begin(Content_Encoding='gzip')
    handler.write(gzip.compress(b':' * 5_000_000))
    handler.finish_body()


GATEWAY = '<html><body>Bad Gateway</body></html>'
BAD = {
    'unauthorized': (status(401, {'error': {'message': f'no {KEY}'}}), 'rejected', 'API key'),
    'no such model': (status(404, {'error': {'message': "model 'test' not found"}}), 'rejected',
                      "model 'test' not found; check base_url and model"),
    'not the URL': (status(404, '404 page not found', 'text/plain'), 'rejected', 'status 404'),
    'template': (status(400, {'object': 'error', 'message': 'roles must alternate', 'code': 400}),
                 'rejected', 'roles must alternate'),
    'too many': (status(429, {'error': {'message': 'Rate limit reached'}}), 'rate_limit',
                 'Rate limit reached'),
    'loading': (status(503, {'error': {'code': 503, 'message': f'Loading for {KEY}'}}),
                'server_error', 'Loading for ***'),
    'gateway': (status(502, GATEWAY, 'text/html'), 'server_error', 'status 502'),
    'a page': (status(200, GATEWAY, 'text/html'), 'malformed', 'a page'),
    'error event': (stream(event({'error': {'message': 'out of\nmemory', 'code': 500}}), DONE),
                    'server_error', 'out of memory'),
    'error as text': (stream(event({'error': 'no memory'})), 'server_error', 'no memory'),
    'error as JSON': (status(200, {'error': 'no memory'}), 'server_error', 'no memory'),
    'broken JSON': (stream(event('{"choices": [{"del'), DONE), 'malformed', 'as a chat model'),
    'not UTF-8': (stream(b'data: {"choices": "\xff\xfe"}\n\n'), 'malformed', 'as a chat model'),
    'other JSON': (stream(event('"text"'), event('[1]'), event({'choices': 5})), 'malformed',
                   'as a chat model'),
    'no JSON': (status(200, 'null'), 'malformed', 'not a JSON object'),
    'long JSON': (status(200, ' ' * 1_000_001), 'malformed', 'over 1000000 bytes'),
    'deep JSON': (status(200, '[' * 100_000), 'malformed', 'nested more than 40 deep'),
    'a deep event': (stream(event('[' * 100_000), DONE), 'malformed', 'as a chat model'),
    'a long number': (stream(event('9' * 5000), DONE), 'malformed', 'as a chat model'),
    'an endless line': (lambda handler: _endless(handler, b'x' * 50_000), 'malformed',
                        'over 1000000 bytes'),
    'endless comments': (lambda handler: _endless(handler, b':' * 49_999 + b'\n'), 'malformed',
                         'over 16000000 bytes'),
    'compressed': (lambda handler: _compressed(handler), 'malformed', 'compressed'),
    'controls': (status(400, {'error': {'message': 'a\x1b[2Jb\u202e'}}), 'rejected', 'a?[2Jb?'),
    'empty': (answering(), 'empty', 'no text'),
    'no events': (stream(b'hello\n\n'), 'empty', 'no text'),
    'no body': (stream(), 'empty', 'no text'),
    'reasoning only': (stream(chunk(reasoning='Hm.'), chunk(finish='stop'), DONE), 'empty',
                       'switch its thinking off'),
    'unfinished thoughts': (answering('<think>She looks'), 'nonsense', 'nothing that can be said'),
    'spaces': (answering('  \n\n', ' '), 'nonsense', 'nothing that can be said'),
    'signs': (answering('*** 😀 ...', '[nods]'), 'nonsense', 'nothing that can be said'),
    'a tool': (stream(chunk(tool_calls=[{'index': 0, 'function': {'name': 'sing'}}]),
                      chunk(finish='tool_calls'), DONE), 'empty', 'no text'),
    'withheld': (stream(chunk(finish='content_filter'), DONE), 'filtered', 'withholds'),
    'refused': (stream(chunk(refusal='I will not.'), chunk(finish='stop'), DONE), 'filtered',
                'withholds'),
    'too short a limit': (stream(*speech('Did you keep', finish='length')), 'cut_off', 'ended'),
    'broken off at once': (cut_off(), 'cut_off', 'ended'),
    'broken off': (cut_off(chunk('Did you ke')), 'cut_off', 'ended'),
    'hung up': (lambda handler: handler.break_off(), 'unreachable', 'cannot be reached'),
}  # fmt: skip


@pytest.mark.parametrize('case', BAD)
def test_a_bad_answer_is_replaced_by_the_fallback_in_one_line(talk, case, caplog):
    reply, kind, words = BAD[case]
    made = talk(reply, key=KEY)
    assert made.ask() == ['Did you keep a garden?']
    assert made.voice.failures == made.voice.fallbacks == {kind: 1}
    lines = [record.getMessage() for record in caplog.records if record.levelname == 'WARNING']
    assert len(lines) == 1 and words in lines[0] and '\n' not in lines[0]
    assert lines[0] == made.voice.problem
    assert KEY not in caplog.text
    assert kind in FAILURES
    # And the next one is as good as ever.
    made.server._replies = [answering('Hello.')]
    assert made.ask() == ['Hello.'] and not made.voice.problem


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def test_a_server_that_cannot_be_reached_is_replaced(caplog):
    listener = socket.create_server(('127.0.0.1', 0))
    threading.Thread(target=_speak_no_tls, args=(listener,), daemon=True).start()
    for url, kind in (
        (f'http://127.0.0.1:{free_port()}/v1', 'refused'),
        ('http://no-such-host.invalid/v1', 'dns'),
        (f'https://127.0.0.1:{listener.getsockname()[1]}/v1', 'tls'),
    ):
        caplog.clear()
        made = Talk(url)
        assert made.ask() == ['Did you keep a garden?']
        assert made.voice.fallbacks == {kind: 1}
        assert len([r for r in caplog.records if r.levelname == 'WARNING']) == 1
        assert url in made.voice.problem
        made.voice.close()
    listener.close()


def _speak_no_tls(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    connection.recv(1000)
    connection.sendall(b'HTTP/1.1 400 Bad Request\r\n\r\n')
    connection.close()


@pytest.mark.parametrize('events', [(), (chunk('Did you'),), (b':\n\n',)], ids=str)
def test_a_model_that_says_nothing_in_time_is_replaced(talk, events):
    made = talk(hanging(*events), timeout=0.6)
    begin = time.monotonic()
    assert made.ask() == ['Did you keep a garden?']
    assert 0.6 <= time.monotonic() - begin < 5
    assert made.voice.fallbacks == {'timeout': 1}
    assert 'has said nothing after 0.6 s' in made.voice.problem
    # The server can stop its work.
    assert made.server.abandoned.wait(PATIENCE)


def test_a_model_that_answers_a_minute_later_is_not_heard(talk):
    def late(handler) -> None:
        time.sleep(1.0)
        answering('Too late.')(handler)

    made = talk(late, answering('Hello.'), timeout=0.3)
    assert made.ask() == ['Did you keep a garden?']
    made.voice.settings = LanguageModelSettings(model='test', timeout=10.0)
    assert made.ask() == ['Hello.']
    time.sleep(1.0)
    assert made.said == ['Did you keep a garden?', 'Hello.']


@pytest.mark.parametrize(
    ('reply', 'kind'),
    [(cut_off(chunk('Good morning. Did you')), 'cut_off'),
     (hanging(chunk('Good morning. Did you')), 'timeout'),
     (stream(chunk('Good morning. Did you'), event('{')), 'malformed'),
     (stream(chunk('Good morning. Did you'), event({'error': {'message': 'x'}})), 'server_error'),
     (stream(chunk('Good morning. Did you'), chunk(finish='content_filter')), 'filtered')],
    ids=['cut off', 'hanging', 'malformed', 'error', 'filtered'],
)  # fmt: skip
def test_what_was_said_before_it_broke_off_stays_and_no_fallback_follows(talk, reply, kind):
    made = talk(reply, timeout=2.0, total_timeout=2.5)
    assert made.ask() == ['Good morning.']
    assert made.voice.failures == {kind: 1} and not made.voice.fallbacks


@pytest.mark.parametrize(
    ('last', 'said'), [(' Did you', ['Hello.']), (' Did you?', ['Hello.', 'Did you?'])]
)
def test_half_a_sentence_of_an_answer_that_hit_a_limit_is_not_said(talk, last, said):
    made = talk(stream(*speech('Hello.', last, finish='length')))
    assert made.ask() == said and not made.voice.failures


def test_ten_thousand_words_are_cut_at_the_end_of_a_sentence(talk, caplog):
    caplog.set_level(logging.INFO)

    words = [chunk(f'This is sentence number {index}. ') for index in range(2000)]
    made = talk(hanging(*words), max_words=20)
    assert made.ask() == [f'This is sentence number {index}.' for index in range(4)]
    assert 'longer than 20 words' in caplog.text
    # The server can stop its work, though the voice could go on.
    assert made.server.abandoned.wait(PATIENCE)
    assert not made.voice.failures
    made.server._replies = [answering('word ' * 10_000)]
    (said,) = made.ask()
    assert 20 <= len(said.split()) <= 60


def test_the_same_sentence_again_and_again_is_said_once(talk, caplog):
    caplog.set_level(logging.INFO)
    assert talk(answering(*['I am here. '] * 50)).ask() == ['I am here.']
    assert 'repeats itself' in caplog.text


def test_a_newer_prompt_replaces_an_older_one(talk):
    made = talk(hanging(chunk('Good morning. And')), answering('Hello.'))
    made.voice.speak(PROMPT)
    wait(lambda: made.said)
    made.voice.speak(PROMPT)
    wait(lambda: len(made.said) == 2)
    assert made.said == ['Good morning.', 'Hello.']
    assert made.server.abandoned.wait(PATIENCE)
    assert made.voice.cancelled == 1 and not made.voice.failures and not made.voice.fallbacks


def test_nothing_is_said_once_cancelled(talk):
    going = threading.Event()

    def endless(handler) -> None:
        handler.begin()
        for index in range(1000):
            handler.write(chunk(f'Sentence {index}. '))
            going.set()

    made = talk(endless, answering('Hello.'), max_words=1000)
    for _ in range(5):
        made.server._replies = [endless]
        made.voice.speak(PROMPT)
        assert going.wait(PATIENCE)
        made.voice.cancel()
        said = len(made.said)
        time.sleep(0.05)
        assert len(made.said) == said
        going.clear()
    made.server._replies = [answering('Hello.')]
    assert made.ask() == ['Hello.']
    made.voice.cancel()
    made.voice.cancel()


def test_closing_in_the_middle_of_anything_takes_no_time(talk):
    for reply in (hanging(), hanging(chunk('Hello. And')), answering('Hello.')):
        made = talk(reply)
        made.voice.speak(PROMPT)
        wait(lambda made=made: made.server.received)
        begin = time.monotonic()
        made.voice.close()
        assert time.monotonic() - begin < 1.0
        said = len(made.said)
        made.voice.speak(PROMPT)
        made.voice.person_said('Hello?')
        made.voice.cancel()
        made.voice.close()
        assert len(made.said) == said


HANGING_LOOKUP = """
import socket, time
socket.getaddrinfo = lambda *_, **__: time.sleep(60)
from emotion_estimator.dialogue.prompt import SpeakingPrompt
from emotion_estimator.language_model.voice import LanguageVoice
from emotion_estimator.settings import LanguageModelSettings
settings = LanguageModelSettings(base_url='http://somewhere.invalid/v1', model='m', timeout=0.5)
voice = LanguageVoice(settings, lambda text: print(text, flush=True))
voice.speak(SpeakingPrompt('Speak.', fallback='Hello.'))
while not voice.fallbacks: time.sleep(0.01)
voice.speak(SpeakingPrompt('Speak.', fallback='Hello.'))
time.sleep(0.2)
begin = time.monotonic()
voice.close()
print('closed' if time.monotonic() - begin < 1 else 'late', flush=True)
"""


def test_a_name_server_that_does_not_answer_keeps_nothing_waiting():
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, '-c', HANGING_LOOKUP], capture_output=True, text=True, timeout=50
    )
    assert (done.stdout.split(), done.returncode) == (['Hello.', 'closed'], 0), done.stderr
    assert time.monotonic() - begin < 40


def test_the_conversation_is_sent_and_starts_again_with_a_greeting(talk):
    made = talk(answering('Hello. Tea?'))
    made.ask(SpeakingPrompt('Greet.', line='start'))
    made.voice.person_said('With  milk.')
    made.ask(SpeakingPrompt('Go on.', said='With milk.', context={'summary': 'It looks happy.'}))
    made.ask(SpeakingPrompt('Ask again.'))
    made.ask(SpeakingPrompt('Greet.', line='start'))
    sent = [
        [(message['role'], message['content']) for message in request['messages'][1:]]
        for request in made.server.requests
    ]
    begin, said = ('user', '[The conversation begins.]'), ('assistant', 'Hello. Tea?')
    assert sent == [
        [('user', '[Now: Greet.]')],
        [begin, said, ('user', 'With milk.\n\n[It looks happy. Now: Go on.]')],
        [begin, said, ('user', 'With milk.'), said, ('user', '[Now: Ask again.]')],
        [('user', '[Now: Greet.]')],
    ]
    assert {request['messages'][0]['role'] for request in made.server.requests} == {'system'}


def test_the_history_has_only_what_was_said(talk):
    made = talk(hanging(chunk('Good morning. And then')), status(500), answering('Fine.'))
    made.voice.speak(PROMPT)
    wait(lambda: made.said)
    made.voice.cancel()
    made.ask()
    made.ask()
    roles = [(each['role'], each['content']) for each in made.server.requests[-1]['messages']]
    assert [text for role, text in roles if role == 'assistant'] == [
        'Good morning.',
        'Did you keep a garden?',
    ]


DISCLOSURE = 'I have a camera, and guess expressions from faces.'


@pytest.mark.parametrize(
    ('reply', 'said'),
    [(answering('Hello. How are you?'), ['Hello.', 'How are you?', DISCLOSURE]),
     (answering('Hello. I have a *camera* and guess expressions from faces! Tea?'),
      ['Hello.', 'I have a camera and guess expressions from faces!', 'Tea?']),
     (status(500), [f'Hello. {DISCLOSURE} Tea?'])],
    ids=['left out', 'said', 'fallback'],
)  # fmt: skip
def test_the_disclosure_is_said_whatever_the_model_does(talk, reply, said):
    prompt = SpeakingPrompt('Greet.', fallback=f'Hello. {DISCLOSURE} Tea?', disclosure=DISCLOSURE)
    assert talk(reply).ask(prompt) == said


def test_a_prompt_without_instruction_or_fallback(talk):
    made = talk(answering('Hello.'), status(500))
    assert made.ask(SpeakingPrompt('', fallback='Just this.')) == ['Just this.']
    assert not made.server.received and not made.voice.requests
    made.server._replies = [status(500)]
    assert made.ask(SpeakingPrompt('Speak.')) == []
    assert made.voice.failures == {'server_error': 1}
    assert made.voice.fallbacks == {'no_instruction': 1}


def test_what_is_sent_and_what_is_not(talk, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    for name in ('OPENAI_API_KEY', 'OPENAI_ORG_ID', 'OPENAI_PROJECT_ID', 'OPENAI_ADMIN_KEY'):
        monkeypatch.setenv(name, 'of-the-environment')
    monkeypatch.setenv('OPENAI_BASE_URL', 'http://127.0.0.1:9/v1')
    made = talk(answering('Hello.'), temperature=-1.0)
    made.ask()
    ((path, headers, body),) = made.server.received
    assert path == '/v1/chat/completions'
    assert json.loads(body).keys() == {'model', 'messages', 'stream'}
    assert {name.lower() for name in headers} <= {
        'host', 'accept', 'accept-encoding', 'connection', 'content-type', 'content-length',
        'user-agent',
    }  # fmt: skip
    assert b'of-the-environment' not in body
    assert 'Ask about' not in caplog.text


def test_requests_are_logged_as_they_are_sent_without_the_key(talk, caplog):
    caplog.set_level(logging.INFO)
    made = talk(answering('Hello.'), key=KEY, log_requests=True)
    made.ask()
    ((_, headers, body),) = made.server.received
    assert {name.lower(): text for name, text in headers.items()}[
        'authorization'
    ] == f'Bearer {KEY}'
    assert json.loads(body)['temperature'] == 0.7
    lines = [r.getMessage() for r in caplog.records if r.name.startswith('emotion_estimator')]
    assert lines == [f'POST {made.server.url}/chat/completions {body.decode()}']
    assert KEY not in caplog.text
    made.voice.settings = LanguageModelSettings(model='test')
    made.ask()
    assert len([r for r in caplog.records if r.name.startswith('emotion_estimator')]) == 1


def test_further_fields_of_a_request(talk):
    made = talk(answering('Hello.'), extra_body='{"reasoning_effort": "none", "seed": 3}')
    made.ask()
    (request,) = made.server.requests
    assert (request['reasoning_effort'], request['seed'], request['stream']) == ('none', 3, True)


def test_a_system_prompt_of_ones_own(talk, tmp_path):
    rules = tmp_path / 'rules.txt'
    rules.write_text('You are Ada.\n')
    made = talk(answering('Hello.'), system_prompt_file=str(rules))
    made.ask()
    assert made.server.requests[0]['messages'][0] == {'role': 'system', 'content': 'You are Ada.'}
    for content in (b'', b'\xff\xfe', b'x' * 20_001):
        rules.write_bytes(content)
        with pytest.raises(InputError, match=r'system_prompt_file .*rules.txt'):
            Talk(made.server.url, system_prompt_file=str(rules))
    os.mkfifo(tmp_path / 'pipe')
    for path in (
        '/nowhere.txt',
        '/dev/zero',
        tmp_path,
        tmp_path / 'pipe',
        '~nobody-here/x',
        'a\0b',
    ):
        with pytest.raises(InputError, match=r'system_prompt_file .*cannot be read') as caught:
            Talk(made.server.url, system_prompt_file=str(path))
        assert str(caught.value).isprintable()


def test_without_the_package_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'openai', None)
    with pytest.raises(InputError, match=r"pip install 'emotion-estimator\[llm\]'"):
        Talk('http://127.0.0.1:1/v1')


def test_a_fault_of_ours_does_not_end_the_conversation(talk, monkeypatch):
    made = talk(answering('Hello.'))
    with monkeypatch.context() as patch:
        patch.setattr(client, '_pieces', lambda *_: 1 / 0)
        assert made.ask() == ['Did you keep a garden?']
    assert made.voice.fallbacks == {'internal': 1}
    assert 'ZeroDivisionError' in made.voice.problem
    assert made.ask() == ['Hello.']
