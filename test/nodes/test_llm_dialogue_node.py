"""The real language model node over DDS, beside publishers of plain messages and a real server."""

from __future__ import annotations

import json
import math
import signal
import time

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')
pytest.importorskip('openai', reason="needs openai: pip install 'emotion-estimator[llm]'")

from builtin_interfaces.msg import Time
from chat_server import ChatServer, Reply, answering, chunk, hanging, speech, status, stream
from diagnostic_msgs.msg import DiagnosticArray
from ros_graph import RosGraph, value_of
from std_msgs.msg import Header, String

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.context import EmotionHistory
from emotion_estimator.dialogue.prompt import make_prompt
from emotion_estimator.msg import DialogueAction as ActionMessage

START_TIMEOUT = 60.0
NODE = 'llm_dialogue'
KEY = 'sk-0123456789'


class Conversation:
    """A language model node, its server, and those it talks with."""

    def __init__(self, graph: RosGraph, server: ChatServer, **parameters: object) -> None:
        self.graph, self.server = graph, server
        self.heard = graph.hear(String, 'dialogue/say')
        self.diagnostics = graph.hear(DiagnosticArray, '/diagnostics')
        self.prompts = graph.node.create_publisher(String, 'dialogue/prompt', 10)
        self.words = graph.node.create_publisher(String, 'dialogue/user_said', 10)
        self.actions = graph.node.create_publisher(ActionMessage, 'dialogue/action', 10)
        given = {
            'base_url': server.url, 'model': 'test', 'timeout': 20.0, 'total_timeout': 30.0,
            **parameters,
        }  # fmt: skip
        self.child = graph.start(NODE, **given)

    @property
    def said(self) -> list[str]:
        return [message.data for message in self.heard]

    @property
    def log(self) -> str:
        return self.child.log.read_text()

    def wait(self, done, what: str) -> None:
        try:
            self.graph.wait_until(done, START_TIMEOUT, what)
        except AssertionError as error:
            raise AssertionError(f'{error}\n{self.log}') from None

    def reported(self, key: str) -> str | None:
        return value_of(self.diagnostics, NODE, key)

    def ready(self) -> Conversation:
        """Wait until the node hears and is heard."""
        self.wait(lambda: self.reported('state') == 'active', 'the node is active')
        for publisher in (self.prompts, self.words, self.actions):
            self.wait(publisher.get_subscription_count, f'the node hears {publisher.topic_name}')
        self.wait(lambda: self.graph.node.count_publishers('/dialogue/say'), 'the node can speak')
        return self

    def prompt(self, action: str = 'check_in', at: float = 100.0, **more: object) -> None:
        """Publish what the dialogue manager publishes with an action."""
        context = EmotionHistory().describe(at, mode='running', topic='tea', approach='neutral')
        prompt = make_prompt(decided(action, at), context, **more)
        self.prompts.publish(String(data=json.dumps(prompt, ensure_ascii=False)))

    def act(self, action: str, at: float = 100.0) -> None:
        full = math.floor(at)
        stamp = Time(sec=full, nanosec=round((at - full) * 1e9))
        self.actions.publish(ActionMessage(header=Header(stamp=stamp), action=action))

    def hears(self, *sentences: str) -> None:
        self.wait(lambda: len(self.heard) >= len(sentences), f'{sentences}, not {self.said}')
        assert self.said == list(sentences)


def decided(action: str, at: float) -> DialogueAction:
    return DialogueAction(
        action=action, topic='tea', approach='neutral', utterance='How are you just now?',
        reason='', emotion='', confidence=0.0, rule='', face_id='', stamp=at,
    )  # fmt: skip


@pytest.fixture
def talk(tmp_path):
    """Return a way to start the node beside a server that gives these replies."""
    with RosGraph(tmp_path) as graph:
        servers: list[ChatServer] = []

        def start(*replies: Reply, **parameters: object) -> Conversation:
            servers.append(ChatServer(*replies).__enter__())
            return Conversation(graph, servers[-1], **parameters)

        yield start
        for server in servers:
            server.__exit__()


def test_a_prompt_becomes_sentences_and_what_was_said_is_sent(talk):
    def slow(handler) -> None:
        handler.begin()
        for data in speech('**Good', ' to see you!** Ha', 'ben Sie gut geschla', 'fen?'):
            handler.write(data)
            time.sleep(0.05)
        handler.finish_body()

    made = talk(slow, status(500, {'error': {'message': 'out of memory'}})).ready()
    made.prompt('resume', line='start', language='de')
    made.hears('Good to see you!', 'Haben Sie gut geschlafen?')
    made.words.publish(String(data='Ja, sehr.'))
    # Two topics, between which there is no order.
    made.graph.heard_anything(0.5)
    made.prompt('continue', 103.0)
    made.hears('Good to see you!', 'Haben Sie gut geschlafen?', 'How are you just now?')
    first, second = (request['messages'] for request in made.server.requests)
    assert 'Speak German' in first[-1]['content']
    assert [(m['role'], m['content'].partition('\n')[0]) for m in second[2:]] == [
        ('assistant', 'Good to see you! Haben Sie gut geschlafen?'), ('user', 'Ja, sehr.'),
    ]  # fmt: skip
    made.wait(lambda: made.reported('fallbacks_server_error') == '1', 'the fallback is counted')
    assert made.reported('requests') == '2' and made.reported('sentences') == '3'
    assert made.reported('fallbacks') == made.reported('failures') == '1'
    assert made.reported('base_url') == made.server.url and made.reported('model') == 'test'
    assert float(made.reported('first_sentence_s')) > 0
    status_of = [s for d in made.diagnostics[-3:] for s in d.status if s.name == NODE][-1]
    assert 'out of memory' in status_of.message
    assert len([line for line in made.log.splitlines() if 'out of memory' in line]) == 1


@pytest.mark.parametrize('action', ['yield', 'pause', 'end'])
def test_an_action_that_silences_ends_the_answer(talk, action):
    made = talk(hanging(chunk('Once upon a time. There')), answering('Hello.')).ready()
    made.prompt()
    made.hears('Once upon a time.')
    # These do not.
    made.act('continue', 100.5)
    made.act('acknowledge', 100.6)
    assert not made.server.abandoned.wait(0.5)
    made.act(action, 101.0)
    made.wait(made.server.abandoned.is_set, 'the request ends')
    made.prompt('resume', 102.0)
    made.hears('Once upon a time.', 'Hello.')
    made.wait(lambda: made.reported('cancelled') == '1', 'it is counted')
    assert made.reported('fallbacks') == '0'


def test_the_goodbye_is_said_whichever_topic_is_faster(talk):
    # Slow enough to be silenced.
    made = talk(stream(*speech('Goodbye.'), pause=0.3)).ready()
    for at, first in ((100.123456, made.act), (200.98765, made.prompt)):
        before = len(made.heard)
        first('end', at)
        made.graph.heard_anything(0.2)
        (made.prompt if first == made.act else made.act)('end', at)
        made.wait(lambda before=before: len(made.heard) > before, 'a goodbye')
    # A prompt that was decided before the person took the turn, and comes after it.
    made.act('yield', 300.0)
    made.graph.heard_anything(0.3)
    made.prompt('continue', 299.9)
    made.wait(lambda: made.reported('prompts_overtaken') == '1', 'it is counted')
    assert made.said == ['Goodbye.', 'Goodbye.']


def test_a_newer_prompt_replaces_an_older_one(talk):
    made = talk(hanging(chunk('Once upon a time. There')), answering('Hello.')).ready()
    made.prompt()
    made.hears('Once upon a time.')
    made.prompt('continue', 101.0)
    made.hears('Once upon a time.', 'Hello.')
    assert made.server.abandoned.wait(20)


def test_prompts_of_others_and_odd_ones(talk):
    made = talk(answering('Hello.')).ready()
    for text in ('', 'Speak!', '[]', '{"instruction": 5}', '[' * 100_000):
        made.prompts.publish(String(data=text))
        made.graph.heard_anything(0.05)
    made.words.publish(String(data='ä' * 100_000))
    made.words.publish(String(data=''))
    made.wait(lambda: made.reported('prompts_odd') == '5', 'all are counted')
    assert 'the prompt is not JSON' in made.log
    # Somebody who knows no more of the prompt than that it has an instruction.
    made.prompts.publish(String(data='{"instruction": "Greet."}'))
    made.hears('Hello.')
    assert len(json.dumps(made.server.requests[0])) < 20_000


def test_the_node_answers_while_a_request_hangs_and_ends_at_once(talk):
    made = talk(hanging()).ready()
    made.prompt()
    made.wait(lambda: made.server.received, 'the request')
    # The executor is free.
    reports = len(made.diagnostics)
    assert made.graph.set_parameters(NODE, max_words=30) == ''
    made.wait(lambda: len(made.diagnostics) > reports + 1, 'reports go on')
    begin = time.monotonic()
    made.child.send(signal.SIGINT)
    made.wait(lambda: made.child.status() is not None, 'the process ends')
    # Half a second of it for the last report, and what a busy machine takes.
    assert time.monotonic() - begin < 4.0
    assert made.child.status() == 0
    assert 'Traceback' not in made.log and made.said == []


def test_the_life_cycle(talk):
    made = talk(hanging(chunk('Hello. And')), answering('Again.'), autostart=False)
    made.wait(lambda: made.reported('state') == 'unconfigured', 'the node is there')
    assert made.graph.transition(NODE, 'configure')
    assert made.graph.transition(NODE, 'activate')
    made.ready().prompt()
    made.hears('Hello.')
    assert made.graph.transition(NODE, 'deactivate')
    assert made.server.abandoned.wait(20)
    assert made.graph.transition(NODE, 'activate')
    made.ready()
    made.wait(made.prompts.get_subscription_count, 'the node listens again')
    made.prompt(at=200.0)
    made.hears('Hello.', 'Again.')
    # What was said before is part of the conversation until the node is cleaned up.
    assert 'Hello.' in [m['content'] for m in made.server.requests[-1]['messages']]
    assert made.graph.transition(NODE, 'deactivate')
    assert made.graph.transition(NODE, 'cleanup')
    made.wait(lambda: not made.graph.node.count_publishers('/dialogue/say'), 'the topic is gone')
    assert made.graph.set_parameters(NODE, model='other') == ''
    assert 'timeout' in made.graph.set_parameters(NODE, total_timeout=1.0)
    assert made.graph.transition(NODE, 'configure')
    assert made.graph.transition(NODE, 'activate')
    made.ready().prompt(at=300.0)
    made.hears('Hello.', 'Again.', 'Again.')
    assert made.server.requests[-1]['model'] == 'other'
    assert [m['role'] for m in made.server.requests[-1]['messages']] == ['system', 'user']


def test_the_key_comes_from_the_environment_and_appears_nowhere(talk, monkeypatch):
    unset = talk(answering('Hello.'), api_key_env='OUR_KEY')
    unset.wait(lambda: unset.child.status() is not None, 'it gives up')
    assert unset.child.status() == 2
    assert 'environment variable OUR_KEY (api_key_env) is not set' in unset.log
    monkeypatch.setitem(unset.graph.environment, 'OUR_KEY', KEY)
    refused = status(401, {'error': {'message': f'Incorrect API key provided: {KEY}'}})
    made = talk(
        answering('Hello.'), refused, api_key_env='OUR_KEY', log_requests=True, timeout=19.0
    ).ready()
    made.prompt()
    made.hears('Hello.')
    made.prompt(at=101.0)
    made.hears('Hello.', 'How are you just now?')
    made.wait(lambda: made.reported('fallbacks_rejected') == '1', 'the failure is counted')
    (path, headers, body), _ = made.server.received
    assert {name.lower(): text for name, text in headers.items()}[
        'authorization'
    ] == f'Bearer {KEY}'
    assert f'POST http://127.0.0.1:{made.server.server_port}{path} {body.decode()}' in made.log
    assert KEY not in made.log
    assert not [v for d in made.diagnostics for s in d.status for v in s.values if KEY in v.value]
    assert made.graph.set_parameters(NODE, log_requests=False) == ''
    made.prompt(at=102.0)
    made.wait(lambda: len(made.server.received) == 3, 'another request')
    made.hears('Hello.', *['How are you just now?'] * 2)
    assert made.log.count('POST ') == 2


@pytest.mark.parametrize(
    ('parameters', 'problem'),
    [({'model': ''}, 'the parameter model is empty; name a model that the server at'),
     ({'base_url': 'localhost'}, 'base_url must be like http://localhost:11434/v1'),
     ({'system_prompt_file': '/nowhere.txt'}, 'system_prompt_file /nowhere.txt cannot be read')],
    ids=['model', 'url', 'file'],
)  # fmt: skip
def test_what_cannot_work_is_said_in_one_line(talk, parameters, problem):
    made = talk(answering('Hello.'), **parameters)
    made.wait(lambda: made.child.status() is not None, 'it gives up')
    assert made.child.status() == 2
    assert [line for line in made.log.splitlines() if problem in line] and 'Trace' not in made.log
