"""The Rasa example as a process beside a local server that answers as Rasa does."""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import time
from pathlib import Path

import pytest
import yaml

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from rasa_server import RasaStandIn
from ros_graph import RosGraph
from std_msgs.msg import Bool, String

from emotion_estimator.dialogue.action import ACTIONS
from emotion_estimator.msg import DialogueAction

EXAMPLES = Path(__file__).parents[2] / 'examples'
TRIGGER = '/conversations/room 7/trigger_intent'
WEBHOOK = '/webhooks/rest/webhook'
TIMEOUT = 1.0
FALLBACK = 'How are you just now?'


class Bridge:
    """The example, and those around it: the dialogue manager, the recogniser, the loudspeaker."""

    def __init__(self, graph: RosGraph, url: str) -> None:
        self.graph = graph
        self.said = graph.hear(String, 'dialogue/say')
        self.words = graph.node.create_publisher(String, 'dialogue/user_said', 10)
        self.speech = graph.node.create_publisher(Bool, 'dialogue/user_speaking', 10)
        self.actions = graph.node.create_publisher(DialogueAction, 'dialogue/action', 10)
        self.child = graph.run(
            'rasa_bridge', sys.executable, str(EXAMPLES / 'rasa_bridge.py'), '--ros-args',
            '-p', f'url:={url}/', '-p', 'conversation:=room 7', '-p', f'timeout:={TIMEOUT}',
        )  # fmt: skip
        for publisher in (self.actions, self.words, self.speech):
            graph.wait_until(publisher.get_subscription_count, 40, publisher.topic)
        # Both sides have to find each other; here, only this one can be asked.
        for _ in range(20):
            self.act('resume', utterance='Hello.')
            if self._is_answered():
                break
        graph.heard_anything(0.2)
        self.said.clear()

    def _is_answered(self) -> bool:
        with contextlib.suppress(AssertionError):
            self.graph.wait_until(lambda: self.said, 2.0, 'an answer')
        return bool(self.said)

    def act(self, action: str = 'check_in', **fields: str) -> None:
        given = {'topic': 'garden', 'utterance': FALLBACK, 'line': action, **fields}
        self.actions.publish(DialogueAction(action=action, **given))

    def says(self, *texts: str, within: float = 10.0) -> None:
        """Wait for what is said, and forget it."""
        self.graph.wait_until(lambda: len(self.said) >= len(texts), within, f'{texts} is said')
        self.graph.heard_anything(0.1)
        assert [message.data for message in self.said] == list(texts)
        self.said.clear()

    def logged(self, text: str) -> None:
        self.graph.wait_until(
            lambda: text in self.child.log.read_text(),
            10,
            f'{text} in {self.child.log.read_text()}',
        )


@pytest.fixture
def graph(tmp_path, monkeypatch):
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    monkeypatch.setenv('RASA_TOKEN', 'secret')
    with RosGraph(tmp_path) as graph:
        yield graph


@pytest.fixture
def rasa():
    intents = {f'EXTERNAL_{name}': [f'Rasa says {name}.'] for name in ACTIONS}
    with RasaStandIn({**intents, 'EXTERNAL_yield': []}) as rasa:
        yield rasa


@pytest.fixture
def bridge(graph, rasa):
    bridge = Bridge(graph, rasa.url)
    rasa.requests.clear()
    return bridge


def test_an_action_becomes_an_intent_and_its_answer_is_said(bridge, rasa):
    rasa.intents['EXTERNAL_check_in'] = ['How are you,\njust now?', 'I am here.']
    bridge.act(approach='careful', emotion='sad', face_id='face_1')
    bridge.says('How are you, just now?', 'I am here.')
    ((path, query, body),) = rasa.requests
    assert path == TRIGGER
    assert query == {'output_channel': 'latest', 'include_events': 'NONE', 'token': 'secret'}
    assert body == {
        'name': 'EXTERNAL_check_in',
        'entities': {
            'line': 'check_in', 'topic': 'garden', 'approach': 'careful', 'emotion': 'sad',
            'person': 'face_1',
        },
    }  # fmt: skip
    # Rasa may have nothing to say, which is no fault.
    bridge.act('yield')
    bridge.act('celebrate')
    bridge.says('Rasa says celebrate.')


def test_an_action_without_a_line_is_told_but_not_spoken_of(bridge, rasa):
    bridge.act('resume', line='')
    bridge.graph.wait_until(lambda: rasa.bodies(TRIGGER), 10, 'Rasa is told')
    bridge.graph.heard_anything(0.5)
    rasa.fault = 'error'
    bridge.act('pause', line='')
    bridge.logged('saying nothing')
    rasa.fault = ''
    bridge.act('celebrate')
    bridge.says('Rasa says celebrate.')
    assert [body['name'] for body in rasa.bodies(TRIGGER)] == [
        'EXTERNAL_resume', 'EXTERNAL_pause', 'EXTERNAL_celebrate',
    ]  # fmt: skip


def test_words_are_answered_when_the_dialogue_manager_takes_its_turn(bridge, rasa):
    bridge.words.publish(String(data='My sister '))
    bridge.words.publish(String(data='had a garden.'))
    bridge.words.publish(String(data='  '))
    bridge.graph.heard_anything(0.5)
    # The person has the turn, or leaves: silence is not answered with words.
    bridge.act('yield', line='')
    bridge.act('pause')
    bridge.says('Rasa says pause.')
    assert rasa.bodies(WEBHOOK) == []
    bridge.act('continue')
    bridge.says('You said: My sister had a garden.')
    assert rasa.bodies(WEBHOOK) == [{'sender': 'room 7', 'message': 'My sister had a garden.'}]
    assert rasa.bodies(TRIGGER)[-1]['name'] == 'EXTERNAL_pause'
    bridge.act('continue')
    bridge.says('Rasa says continue.')


def test_words_without_an_action_are_answered_once_the_person_is_silent(bridge, rasa):
    bridge.speech.publish(Bool(data=True))
    bridge.words.publish(String(data='Hello?'))
    with pytest.raises(AssertionError, match='not within'):
        bridge.graph.wait_until(lambda: rasa.requests, 4.0, 'too early')
    bridge.speech.publish(Bool(data=False))
    bridge.says('You said: Hello?')


def test_nothing_is_said_while_the_person_speaks(bridge, rasa):
    rasa.delay = 0.3
    bridge.act()
    bridge.speech.publish(Bool(data=True))
    bridge.logged('too late to be said: Rasa says check_in.')
    bridge.speech.publish(Bool(data=False))
    bridge.graph.wait_until(lambda: len(rasa.requests) == 1, 5, 'the request')
    bridge.graph.heard_anything(0.3)
    bridge.act('celebrate')
    bridge.says('Rasa says celebrate.')


def test_of_actions_that_come_quickly_the_last_counts(bridge, rasa):
    rasa.delay = 0.4
    bridge.act()
    bridge.graph.wait_until(lambda: rasa.requests, 10, 'the first is asked')
    for name in ('continue', 'celebrate', 'change_topic'):
        bridge.act(name)
    bridge.says('Rasa says change_topic.')
    assert [body['name'] for body in rasa.bodies(TRIGGER)] == [
        'EXTERNAL_check_in', 'EXTERNAL_change_topic',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ('fault', 'problem'),
    [
        ('slow', 'no answer within 1 s'),
        ('drip', 'no answer within 1 s'),
        ('error', 'status 500 An unexpected error occurred.'),
        ('token', 'it wants another token: set RASA_TOKEN'),
        ('nonsense', 'its answer is no JSON'),
        ('list', 'its answer is no list of messages'),
        ('cut', 'its answer is no JSON'),
        ('huge', 'its answer is longer than 1000000 bytes'),
    ],
)
def test_a_fault_costs_one_line_and_the_conversation_goes_on(bridge, rasa, fault, problem):
    rasa.fault = fault
    bridge.act()
    started = time.monotonic()
    bridge.says(FALLBACK)
    assert time.monotonic() - started < 2 * TIMEOUT + 2
    bridge.act(utterance='')
    bridge.logged('saying nothing')
    lines = [line for line in bridge.child.log.read_text().splitlines() if 'Rasa:' in line]
    assert len(lines) == 2 and problem in lines[0]
    assert re.search(r'words$', lines[0]) and 'secret' not in ''.join(lines)
    assert 'Traceback' not in bridge.child.log.read_text()
    rasa.fault = ''
    bridge.act('celebrate')
    bridge.says('Rasa says celebrate.')


def test_an_intent_that_the_domain_lacks_says_what_to_do(bridge, rasa):
    del rasa.intents['EXTERNAL_check_in']
    bridge.act()
    bridge.says(FALLBACK)
    bridge.logged('it has no intent EXTERNAL_check_in: declare it in domain.yml and train again')


def test_a_server_that_is_away_and_comes_back(graph):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    bridge = Bridge(graph, f'http://127.0.0.1:{port}')
    bridge.act()
    bridge.says(FALLBACK)
    bridge.logged(f'Rasa: http://127.0.0.1:{port} cannot be reached')
    bridge.words.publish(String(data='Hello?'))
    bridge.logged('saying nothing')
    with RasaStandIn({'EXTERNAL_check_in': ['Back again.']}, port):
        bridge.act()
        bridge.says('Back again.')


def test_rasas_side_has_an_intent_and_a_rule_for_every_action():
    rasa = EXAMPLES / 'rasa'
    domain = yaml.safe_load((rasa / 'domain.yml').read_text())
    rules = yaml.safe_load((rasa / 'data' / 'rules.yml').read_text())['rules']
    nlu = yaml.safe_load((rasa / 'data' / 'nlu.yml').read_text())['nlu']
    ruled = {rule['steps'][0]['intent']: rule['steps'][1]['action'] for rule in rules}
    external = {f'EXTERNAL_{name}' for name in (*ACTIONS, 'acknowledge', 'yield')}
    assert external <= set(domain['intents']) == set(ruled)
    assert {example['intent'] for example in nlu} | external | {'nlu_fallback'} == set(ruled)
    assert set(ruled.values()) - {'action_listen'} == set(domain['responses'])
    assert set(domain['slots']) <= set(domain['entities'])
