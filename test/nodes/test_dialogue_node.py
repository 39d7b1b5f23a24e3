"""The real dialogue manager node over DDS: services, speech, context, files, odd messages, time."""

from __future__ import annotations

import json
import math
import os
from array import array
from pathlib import Path

import pytest
import yaml

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from builtin_interfaces.msg import Time as TimeMessage
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.time import Time
from ros_graph import RosGraph, value_of
from std_msgs.msg import Bool, Header, String
from std_srvs.srv import Trigger

from emotion_estimator.emotion import LABELS
from emotion_estimator.msg import DialogueAction, Emotion
from emotion_estimator.srv import ChooseTopic
from emotion_estimator.timing import RateLimit

START_TIMEOUT = 40.0
NODE = 'dialogue_manager'
RATE = 8.0

RULES = {
    'min_gap': 0.5,
    'lost_after': 1.0,
    'after_speaking': 0.5,
    # Words take no time and questions wait for nobody; test_dialogue_node_turns.py has the turns.
    'words_per_minute': 1_000_000,
    'question_time': 0,
    'breath': 0,
    'short_absence': 0,
    'welcome_gap': 0,
    'rules': [
        {'name': 'smile', 'emotion': 'happy', 'held_for': 0.5, 'share': 0.8, 'cooldown': 3.0,
         'repeat': 3.0, 'action': 'continue', 'approach': 'warm'},
        {'name': 'gloom', 'emotion': 'sad', 'held_for': 1.0, 'share': 0.8, 'cooldown': 3.0,
         'action': 'change_topic', 'approach': 'careful', 'priority': 2},
        {'name': 'gone', 'emotion': 'none', 'held_for': 1.0, 'cooldown': 1.0, 'action': 'pause',
         'priority': 3},
        {'name': 'back', 'emotion': 'face', 'held_for': 0.5, 'cooldown': 1.0, 'action': 'resume',
         'priority': 4},
    ],
}  # fmt: skip

TOPICS = {
    'tea': {'name': 'tea', 'openings': {'neutral': ['Tea or coffee?']},
            'follow_ups': {'neutral': ['With milk?', 'Green or black?', 'Which cup?']}},
    'music': {'name': 'music', 'openings': {'neutral': ['Which song?']},
              'follow_ups': {'neutral': ['Louder?', 'Who sang it?']}},
}  # fmt: skip

WORDS = {
    'approaches': ['neutral', 'warm', 'careful'],
    'topics': TOPICS,
    'lines': {
        'start': {'neutral': ['Hello. {opening}']},
        'continue': {'neutral': ['I see. {follow_up}']},
        'change_topic': {'neutral': ['Something else. {opening}']},
        'pause': {'neutral': ['I wait.']},
        'resume': {'neutral': ['Welcome back. {follow_up}']},
        'end': {'neutral': ['Goodbye.']},
    },
}


def write(path: Path, document: object) -> str:
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return str(path)


class Talk:
    """A dialogue manager of its own graph, and what it said."""

    def __init__(self, graph: RosGraph, folder: Path, **parameters: object) -> None:
        self.graph = graph
        self.policy = write(folder / 'rules.yaml', RULES)
        self.words = write(folder / 'words.yaml', WORDS)
        self.actions = graph.hear(DialogueAction, 'dialogue/action')
        self.utterances = graph.hear(String, 'dialogue/say')
        self.contexts = graph.hear(String, 'dialogue/context', 1000)
        self.diagnostics = graph.hear(DiagnosticArray, '/diagnostics')
        self.emotions = graph.node.create_publisher(Emotion, 'emotion', 1000)
        self.speech = graph.node.create_publisher(Bool, 'dialogue/user_speaking', 10)
        given = {'policy_file': self.policy, 'conversation_file': self.words, **parameters}
        self.child = graph.start(NODE, **given)
        self.context_due = RateLimit()
        self.now = 100.0
        self.frames = 0

    def wait(self, done, what: str) -> None:
        try:
            self.graph.wait_until(done, START_TIMEOUT, what)
        except AssertionError as error:
            raise AssertionError(f'{error}\n{self.child.log.read_text()}') from None

    def reported(self, key: str) -> str | None:
        return value_of(self.diagnostics, NODE, key)

    def ready(self) -> Talk:
        """Wait until the node hears and is heard."""
        self.wait(lambda: self.reported('state') == 'active', 'the node is active')
        self.wait(self.emotions.get_subscription_count, 'the node listens')
        self.wait(self.speech.get_subscription_count, 'the node listens to speech')
        for topic in ('action', 'say', 'context'):
            name = f'/dialogue/{topic}'
            self.wait(lambda n=name: self.graph.node.count_publishers(n), f'{name} is there')
        return self

    def show(self, label: str, seconds: float = 0.0, /, **fields) -> None:
        """Publish emotions for ``seconds`` of their stamps, one at least, and see them heard."""
        for _ in range(max(1, round(seconds * RATE))):
            self.emotions.publish(emotion(label, self.now, **fields))
            self.frames += 1
            # The topic is ten deep: never further ahead of the node than one second of stamps.
            if self.context_due(self.now, 1.0):
                self.wait(self.is_described, f'the context at {self.now}')
            self.now += 1 / RATE
        self.wait(
            lambda: self.reported('emotions_received') == str(self.frames),
            f'{self.frames} emotions were heard',
        )

    def is_described(self) -> bool:
        """Tell whether there is a context of the emotion published last."""
        wanted = round(self.now, 3)
        return any(json.loads(context.data)['stamp'] == wanted for context in self.contexts[-5:])

    def call(self, name: str, kind: type = Trigger, **fields):
        return self.graph.call(kind, f'dialogue/{name}', kind.Request(**fields))

    def speak(self, speaking: bool) -> None:
        self.speech.publish(Bool(data=speaking))

    @property
    def done(self) -> list[tuple[str, str]]:
        return [(action.action, action.rule) for action in self.actions]

    @property
    def context(self) -> dict:
        return json.loads(self.contexts[-1].data)


def emotion(label: str, at: float, /, **fields) -> Emotion:
    full = math.floor(at)
    stamp = TimeMessage(sec=full, nanosec=round((at - full) * 1e9))
    message = Emotion(header=Header(stamp=stamp, frame_id='eye'), label=label)
    if label != 'none':
        message.face_id, message.confidence, message.labels = 'face_1', 0.9, list(LABELS)
        message.probabilities = array('f', [0.9 if name == label else 0.05 for name in LABELS])
    for name, value in fields.items():
        setattr(message, name, value)
    return message


@pytest.fixture
def graph(tmp_path):
    with RosGraph(tmp_path) as graph:
        yield graph


@pytest.fixture
def talk(graph, tmp_path):
    return Talk(graph, tmp_path).ready()


def test_what_is_decided_is_published_said_and_explained(talk):
    talk.show('happy', 1.5)
    talk.wait(lambda: talk.actions and talk.utterances, 'an action')
    (action,) = talk.actions
    assert (action.action, action.rule, action.emotion) == ('continue', 'smile', 'happy')
    assert action.header.frame_id == 'eye' and action.face_id == 'face_1'
    assert 100.4 <= action.header.stamp.sec + action.header.stamp.nanosec * 1e-9 <= 100.7
    assert [message.data for message in talk.utterances] == [action.utterance] != ['']
    context = json.loads(next(c.data for c in talk.contexts if json.loads(c.data)['actions']))
    assert context['actions'][0]['said'] == action.utterance
    assert context['conversation'] == {'mode': 'running', 'topic': 'tea', 'approach': 'warm'}
    assert context['emotion']['label'] == 'happy'


def test_the_context_comes_once_a_second_of_the_stamps_and_when_the_floor_changes(talk):
    talk.show('unknown', 10.0)
    assert talk.actions == []
    stamps = [json.loads(context.data)['stamp'] for context in talk.contexts]
    # With the second message it is known that somebody is there.
    assert stamps == [100.0, 100.125, *(100.0 + second for second in range(1, 10))]
    floors = [json.loads(context.data)['turns']['floor'] for context in talk.contexts]
    assert floors == ['nobody', *['silence'] * 10]
    assert talk.context['last_10_s']['shares'] == {'unknown': 1.0}


def test_services_in_each_mode(talk):
    talk.show('unknown')
    for service, success, expected in (
        ('start', True, 'Hello. Tea or coffee?'),
        ('start', False, 'running'),
        ('resume', False, 'running'),
        ('pause', True, 'I wait.'),
        ('pause', False, 'paused'),
        ('start', False, 'paused'),
        ('resume', True, 'Welcome back. With milk?'),
        ('end', True, 'Goodbye.'),
        ('end', False, 'ended'),
        ('pause', False, 'ended'),
        ('start', True, 'Hello.'),
    ):
        answer = talk.call(service)
        assert answer.success == success, (service, answer.message)
        assert expected in answer.message
    talk.wait(lambda: len(talk.actions) == 5, 'the actions that were asked for')
    assert [rule for _, rule in talk.done] == [
        'service start', 'service pause', 'service resume', 'service end', 'service start',
    ]  # fmt: skip
    assert [message.data for message in talk.utterances] == [a.utterance for a in talk.actions]
    # The time of the last emotion.
    assert {a.header.stamp.sec for a in talk.actions} == {100}
    assert {a.header.frame_id for a in talk.actions} == {'eye'}
    talk.wait(lambda: talk.reported('actions_asked') == '5', 'they are counted')
    talk.wait(lambda: talk.reported('requests_refused') == '6', 'and what was refused')


def test_a_service_before_any_emotion_is_stamped_by_the_nodes_clock(talk):
    assert talk.call('start').success
    talk.wait(lambda: talk.actions, 'the action')
    age = talk.graph.node.get_clock().now() - Time.from_msg(talk.actions[0].header.stamp)
    assert 0 <= age.nanoseconds < 60e9


def test_choosing_a_topic(talk):
    wrong = talk.call('choose_topic', ChooseTopic, topic='football')
    assert not wrong.success
    assert 'football' in wrong.message and 'tea, music' in wrong.message
    assert '\n' not in wrong.message
    right = talk.call('choose_topic', ChooseTopic, topic='music')
    assert right.success and 'Which song?' in right.message
    talk.wait(lambda: talk.actions, 'the action')
    assert (talk.actions[0].action, talk.actions[0].topic) == ('change_topic', 'music')
    assert len(talk.actions) == 1
    talk.wait(lambda: talk.reported('topic') == 'music', 'diagnostics say so')


def test_nothing_is_done_while_the_person_speaks(talk):
    talk.show('unknown')
    talk.speak(True)
    talk.wait(
        lambda: talk.show('unknown') or talk.context['presence']['speaking'],
        'the node knows of it',
    )
    talk.show('happy', 3.0)
    assert talk.actions == []
    talk.speak(False)
    talk.wait(
        lambda: talk.show('happy', 0.5) or talk.actions, 'after speech, the smile is answered'
    )
    assert talk.done[0] == ('continue', 'smile')


def test_files_are_reloaded_without_losing_the_state_of_the_conversation(talk, tmp_path):
    assert talk.call('choose_topic', ChooseTopic, topic='music').success
    talk.show('happy', 1.5)
    talk.wait(lambda: len(talk.actions) == 2, 'the smile is answered')
    louder = {**WORDS, 'lines': {**WORDS['lines'], 'pause': {'neutral': ['I am quiet.']}}}
    write(Path(talk.words), louder)
    # The same value: the file is reloaded.
    assert talk.graph.set_parameters(NODE, conversation_file=talk.words) == ''
    assert talk.call('pause').message == 'I am quiet.'
    assert talk.actions[-1].topic == 'music' and talk.actions[-1].approach == 'warm'
    # Another file with other topics; a rule of the same name keeps its cooldown.
    assert talk.call('resume').success
    german = write(tmp_path / 'german.yaml', {
        **WORDS, 'language': 'de', 'lines': {'end': {'neutral': ['Auf Wiedersehen.']}},
    })  # fmt: skip
    assert talk.graph.set_parameters(NODE, conversation_file=german) == ''
    before = len(talk.actions)
    talk.show('happy', 1.0)
    assert len(talk.actions) == before
    assert talk.call('end').message == 'Auf Wiedersehen.'
    talk.wait(lambda: talk.reported('conversation_file') == german, 'diagnostics name it')
    assert talk.reported('topic') == 'music'


def no_files(folder):
    """Return parameters that name what would fill a node, or hang it, with what is said of it."""
    os.mkfifo(folder / 'pipe')
    (folder / 'large.yaml').write_text('rules: []\n' + '#' * (10 << 20))
    (folder / 'deep.yaml').write_text('[' * 5000)
    (folder / 'merge.yaml').write_text('a: &a {b: 1}\nc: {<<: *a}\n')
    return [
        ('policy_file', '/dev/zero', '(it is a device, not a file)'),
        ('conversation_file', str(folder / 'pipe'), 'pipe cannot be read (it is a pipe'),
        ('policy_file', str(folder), 'it is a folder'),
        ('conversation_file', '/proc/kmsg', '/proc/kmsg'),
        ('policy_file', str(folder / 'large.yaml'), 'it is larger than 256 kB'),
        ('conversation_file', str(folder / 'deep.yaml'), 'nested more than'),
        ('policy_file', str(folder / 'merge.yaml'), 'merge keys'),
        ('policy_file', 'x' * 100_000, 'x... cannot be read (File name too long)'),
    ]


def test_a_bad_file_is_refused_with_its_reason_and_nothing_changes(talk, tmp_path):
    rules = {**RULES, 'rules': [{**RULES['rules'][0], 'min_confidence': 7}]}
    for name, file, expected in (
        ('policy_file', str(tmp_path / 'none.yaml'), 'none.yaml'),
        ('policy_file', write(tmp_path / 'bad.yaml', rules), "rule 'smile': min_confidence"),
        ('conversation_file', write(tmp_path / 'list.yaml', ['tea']), 'list.yaml'),
        *no_files(tmp_path),
    ):
        reason = talk.graph.set_parameters(NODE, **{name: file})
        assert expected in reason and '\n' not in reason and len(reason) < 500
    # An existing file that became invalid is refused too, and the node keeps what it has.
    Path(talk.policy).write_text('rules: []')
    assert 'rules.yaml' in talk.graph.set_parameters(NODE, policy_file=talk.policy)
    talk.show('happy', 1.5)
    talk.wait(lambda: talk.done == [('continue', 'smile')], 'the node still works')
    assert talk.reported('policy_file') == talk.policy
    assert talk.reported('last_error') == ''


ODD = (
    {'confidence': math.nan},
    {'confidence': -3.0},
    {'label': ''},
    {'label': 'x' * 5000},
    {'labels': ['sad']},
    {'probabilities': array('f', [math.nan, math.inf, -1.0])},
    {'probabilities': array('f')},
    {'labels': [], 'confidence': math.inf},
)


def test_odd_messages_are_survived_and_counted(talk):
    for fields in ODD:
        talk.show('happy', **fields)
    # Complete, but at times that make no sense.
    for at in (-5.0, 2**31 - 1.0, 0.0):
        talk.now = at
        talk.show('sad')
    talk.wait(lambda: talk.reported('emotions_odd') == str(len(ODD)), 'they are counted')
    talk.now = 5000.0
    talk.actions.clear()
    talk.show('sad', 3.0)
    talk.wait(lambda: ('change_topic', 'gloom') in talk.done, 'and the node still works')
    log = talk.child.log.read_text()
    assert 'odd emotion: confidence nan' in log and 'Traceback' not in log
    assert all(json.loads(context.data) for context in talk.contexts)


def test_going_back_in_time_resets_the_evidence(talk):
    talk.show('sad', 0.8)
    talk.now = 10.0
    talk.show('sad', 0.8)
    assert talk.actions == []
    talk.show('sad', 1.0)
    talk.wait(lambda: talk.done == [('change_topic', 'gloom')], 'the new evidence is full')
    assert talk.actions[0].header.stamp.sec in (10, 11)
    assert talk.context['stamp'] < 20


def test_the_face_that_leaves_and_returns(talk):
    talk.show('unknown', 1.0)
    talk.show('none', 2.0)
    talk.show('unknown', 1.5)
    talk.wait(lambda: len(talk.actions) == 2, 'both are answered')
    assert talk.done == [('pause', 'gone'), ('resume', 'back')]


def test_services_answer_only_an_active_node(graph, tmp_path):
    talk = Talk(graph, tmp_path, autostart=False)
    talk.wait(lambda: talk.reported('state') == 'unconfigured', 'the node is there')
    assert graph.node.count_services('/dialogue/start') == 0
    assert graph.transition(NODE, 'configure')
    refused = talk.call('start')
    assert not refused.success
    assert refused.message == 'dialogue_manager is inactive; activate it first'
    assert not talk.call('choose_topic', ChooseTopic, topic='tea').success
    assert graph.transition(NODE, 'activate')
    talk.ready()
    assert talk.call('choose_topic', ChooseTopic, topic='music').success
    assert graph.transition(NODE, 'deactivate')
    # Files may change meanwhile, and the conversation stays where it is.
    assert graph.set_parameters(NODE, conversation_file=talk.words) == ''
    assert 'nowhere.yaml' in graph.set_parameters(NODE, conversation_file='/nowhere.yaml')
    assert graph.transition(NODE, 'activate')
    talk.wait(lambda: talk.reported('topic') == 'music', 'the topic is kept')
    assert graph.transition(NODE, 'deactivate')
    assert graph.transition(NODE, 'cleanup')
    talk.wait(lambda: not graph.node.count_services('/dialogue/start'), 'services are gone')
    # While unconfigured, configure reports what is wrong.
    assert graph.set_parameters(NODE, policy_file='/nowhere.yaml') == ''
    assert not graph.transition(NODE, 'configure')
    talk.wait(lambda: 'nowhere.yaml' in (talk.reported('last_error') or ''), 'it is reported')
    assert graph.node.count_services('/dialogue/start') == 0
