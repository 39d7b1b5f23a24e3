"""The real dialogue manager node over DDS takes turns with publishers that know nothing of it."""

from __future__ import annotations

import json
import math
import time
from array import array
from pathlib import Path

import pytest
import yaml

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from builtin_interfaces.msg import Time as TimeMessage
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from ros_graph import RosGraph, value_of
from std_msgs.msg import Bool, Empty, Header, String

from emotion_estimator.emotion import LABELS
from emotion_estimator.msg import DialogueAction, Emotion, EmotionArray

TIMEOUT = 40.0
NODE = 'dialogue_manager'
RATE = 10.0

RULES = {
    'min_gap': 0.5,
    'begin': 'waiting',
    'after_speaking': 1.2,
    'rules': [
        {'name': 'greet', 'emotion': 'face', 'held_for': 0.5, 'cooldown': 0.0, 'action': 'resume'},
        {'name': 'answer', 'event': 'answer', 'action': 'continue', 'line': 'answer'},
        {'name': 'declined', 'event': 'said_no', 'action': 'acknowledge', 'priority': 2},
        {'name': 'smile', 'emotion': 'happy', 'held_for': 0.5, 'share': 0.9, 'cooldown': 0.0,
         'repeat': 0.0, 'action': 'celebrate', 'wait': 0.3, 'priority': -1},
    ],
}  # fmt: skip

WORDS = {
    'approaches': ['neutral'],
    'noes': ['no'],
    'disclosure': ['I have a camera.'],
    'topics': {'tea': {'name': 'a cup of tea', 'openings': {'neutral': ['Tea or coffee?']},
                       'follow_ups': {'neutral': ['With milk?', 'Green or black?', 'Sugar?']}}},
    'lines': {
        'start': {'neutral': ['Hello. {opening}']},
        'answer': {'neutral': ['I see. {follow_up}']},
        'prompt': {'neutral': ['Perhaps: {follow_up}']},
        'acknowledge': {'neutral': ['That is fine.']},
        'celebrate': {'neutral': ['How nice.', 'Good.']},
    },
}  # fmt: skip


def emotion(label: str, at: float, face_id: str = 'face_1', speaking: bool = False) -> Emotion:
    full = math.floor(at)
    stamp = TimeMessage(sec=full, nanosec=round((at - full) * 1e9))
    message = Emotion(header=Header(stamp=stamp, frame_id='eye'), label=label)
    if label != 'none':
        message.face_id, message.confidence, message.labels = face_id, 0.9, list(LABELS)
        message.speaking, message.is_speaking = 0.9 if speaking else 0.05, speaking
        message.probabilities = array('f', [0.9 if name == label else 0.05 for name in LABELS])
    return message


class Conversation:
    """A dialogue manager of its own graph; publishers of what a robot would tell it."""

    def __init__(self, graph: RosGraph, folder: Path, **parameters: object) -> None:
        self.graph = graph
        rules, words = folder / 'rules.yaml', folder / 'words.yaml'
        rules.write_text(yaml.safe_dump(RULES))
        words.write_text(yaml.safe_dump(WORDS))
        self.actions = graph.hear(DialogueAction, 'dialogue/action')
        self.said = graph.hear(String, 'dialogue/say')
        self.prompts = graph.hear(String, 'dialogue/prompt')
        self.stops = graph.hear(Empty, 'dialogue/stop_speaking')
        self.contexts = graph.hear(String, 'dialogue/context', 1000)
        self.diagnostics = graph.hear(DiagnosticArray, '/diagnostics')
        publisher = graph.node.create_publisher
        self.emotions = publisher(Emotion, 'emotion', 100)
        self.faces = publisher(EmotionArray, 'emotions', 100)
        self.user_speaking = publisher(Bool, 'dialogue/user_speaking', 10)
        self.user_said = publisher(String, 'dialogue/user_said', 10)
        self.robot_speaking = publisher(Bool, 'dialogue/robot_speaking', 10)
        self.say = publisher(String, 'dialogue/say', 10)
        given = {'policy_file': str(rules), 'conversation_file': str(words), **parameters}
        self.child = graph.start(NODE, **given)
        self.now = 100.0
        self.frames = 0
        self.wait(lambda: self.reported('state') == 'active', 'the node is active')
        heard = [self.emotions, self.faces, self.user_speaking, self.user_said, self.robot_speaking]
        if parameters.get('publish_say') is False:
            heard.append(self.say)
        for each in heard:
            self.wait(each.get_subscription_count, f'the node listens to {each.topic_name}')
        for topic in ('action', 'say', 'prompt', 'stop_speaking', 'context'):
            name = f'/dialogue/{topic}'
            self.wait(lambda n=name: graph.node.count_publishers(n), f'{name} is there')

    def wait(self, done, what: str) -> None:
        try:
            self.graph.wait_until(done, TIMEOUT, what)
        except AssertionError as error:
            raise AssertionError(f'{error}\n{self.child.log.read_text()}') from None

    def reported(self, key: str) -> str | None:
        return value_of(self.diagnostics, NODE, key)

    @property
    def status(self) -> DiagnosticStatus:
        return next(
            status for message in reversed(self.diagnostics) for status in message.status
            if status.name == NODE
        )  # fmt: skip

    def show(
        self, label: str, seconds: float = 0.0, people: str = '', speaking: bool = False
    ) -> None:
        """Publish emotions for ``seconds`` of their stamps, one at least, and see them heard.

        :param people: face ids, the primary face first, published on ``emotions`` as well.
        :param speaking: whether the primary face's mouth moves as in speech.
        """
        for _ in range(max(1, round(seconds * RATE))):
            if people:
                seen = [emotion(label, self.now, face_id) for face_id in people]
                self.faces.publish(EmotionArray(header=seen[0].header, emotions=seen))
            self.emotions.publish(emotion(label, self.now, people[:1] or 'face_1', speaking))
            self.frames += 1
            self.now += 1 / RATE
            if self.frames % 8 == 0:
                self.heard()
        self.heard()

    def heard(self) -> None:
        """Wait until the node has taken the latest emotion, by the context once a second."""
        due = math.floor(self.now) - 1
        self.wait(
            lambda: any(json.loads(each.data)['stamp'] >= due for each in self.contexts[-3:]),
            f'the context at {due}',
        )

    def tell(self, publisher, message, sign) -> None:
        """Publish a report and show the same face until ``sign()`` says that it was taken."""
        publisher.publish(message)
        self.wait(lambda: self.show('unknown') or sign(), 'the report is taken')

    @property
    def floor(self) -> str:
        return self.turns['floor']

    @property
    def turns(self) -> dict:
        return json.loads(self.contexts[-1].data)['turns']

    def until(self, floor: str) -> None:
        self.wait(lambda: self.show('unknown', 0.5) or self.floor == floor, f'the floor: {floor}')

    @property
    def done(self) -> list[str]:
        return [each.rule for each in self.actions]


@pytest.fixture
def graph(tmp_path):
    with RosGraph(tmp_path) as graph:
        yield graph


@pytest.fixture
def talk(graph, tmp_path):
    return Conversation(graph, tmp_path)


def test_a_question_an_answer_and_what_follows(talk):
    talk.show('unknown', 1.5)
    talk.wait(lambda: talk.said and talk.prompts, 'the greeting')
    (greeting,) = talk.actions
    assert (greeting.line, greeting.utterance) == (
        'start',
        'Hello. I have a camera. Tea or coffee?',
    )
    assert [each.data for each in talk.said] == [greeting.utterance]
    prompt = json.loads(talk.prompts[0].data)
    assert (prompt['line'], prompt['fallback']) == ('start', greeting.utterance)
    assert (prompt['topic_name'], prompt['disclosure']) == ('a cup of tea', 'I have a camera.')
    assert prompt['context']['conversation']['topic'] == 'tea'
    talk.until('waiting')
    talk.tell(talk.user_speaking, Bool(data=True), lambda: talk.floor == 'person_speaks')
    talk.show('happy', 3.0)
    talk.user_said.publish(String(data='Coffee, please.'))
    talk.tell(talk.user_speaking, Bool(data=False), lambda: talk.floor != 'person_speaks')
    talk.wait(lambda: talk.show('unknown', 0.5) or len(talk.prompts) == 2, 'the reply')
    assert talk.done == ['greet', 'answer']
    prompt = json.loads(talk.prompts[1].data)
    assert (prompt['said'], prompt['line']) == ('Coffee, please.', 'answer')
    assert talk.turns['said'] == 'Coffee, please.'
    assert talk.stops == []
    talk.wait(lambda: talk.reported('sentences_said') == '2', 'sentences are counted')


def test_the_voice_says_how_long_it_speaks(talk):
    talk.show('unknown', 1.0)
    talk.wait(lambda: talk.said, 'the greeting')
    talk.robot_speaking.publish(Bool(data=True))
    # Six seconds, where three are estimated.
    talk.show('unknown', 6.0)
    assert talk.floor == 'robot_speaks'
    talk.tell(talk.robot_speaking, Bool(data=False), lambda: talk.floor == 'waiting')


def test_it_falls_silent_for_whoever_speaks_over_it(talk):
    talk.show('unknown', 1.0)
    talk.wait(lambda: talk.said, 'the greeting')
    talk.tell(talk.user_speaking, Bool(data=True), lambda: talk.stops)
    talk.wait(lambda: len(talk.actions) == 2, 'the action')
    stop = talk.actions[-1]
    assert (stop.action, stop.line, stop.utterance) == ('yield', '', '')
    assert len(talk.said) == len(talk.prompts) == len(talk.stops) == 1


def test_words_alone_are_an_answer_and_may_decline(talk):
    talk.until('waiting')
    talk.user_said.publish(String(data='No.'))
    talk.wait(lambda: talk.show('unknown', 0.2) or len(talk.said) == 2, 'the reply')
    assert talk.done == ['greet', 'declined']
    assert talk.said[1].data == 'That is fine.'


def test_words_of_another_node_are_heard_where_it_speaks(graph, tmp_path):
    talk = Conversation(graph, tmp_path, publish_say=False)
    talk.show('unknown', 1.0)
    talk.wait(lambda: talk.prompts, 'the prompt')
    assert json.loads(talk.prompts[0].data)['fallback'].startswith('Hello.')
    assert talk.said == []
    # A model of its own, which asks something else.
    talk.tell(talk.say, String(data='Good morning. Did you sleep well?'), lambda: talk.said)
    talk.until('waiting')
    assert talk.done == ['greet']
    # Only what the other node said was said.
    assert [each.data for each in talk.said] == ['Good morning. Did you sleep well?']
    assert talk.reported('sentences_said') == '0'


def test_rate_and_time_of_questions_change_at_run_time(talk):
    for wrong in (-3.0, 0.01, 19.0):
        reason = talk.graph.set_parameters(NODE, words_per_minute=wrong)
        assert 'words_per_minute' in reason and '\n' not in reason
    assert talk.graph.set_parameters(NODE, question_time=15.0, words_per_minute=450.0) == ''
    talk.until('waiting')
    # A third of the words' time, which would end at 103.8 s, and more than twice a question's.
    assert talk.now < 103.5
    talk.show('unknown', 12.0)
    assert (talk.floor, talk.turns['unanswered']) == ('waiting', 0)
    talk.show('unknown', 4.0)
    assert (talk.floor, talk.turns['unanswered']) == ('silence', 1)


def test_stamps_that_stand_still_are_an_error(talk):
    talk.show('unknown', 1.0)
    stuck = talk.now = 200.0
    end = time.monotonic() + 6.0
    count = 0
    while time.monotonic() < end:
        talk.emotions.publish(emotion('happy', stuck))
        count += 1
        talk.graph.heard_anything(0.1)
    talk.wait(lambda: talk.status.level == DiagnosticStatus.ERROR, 'it is an error')
    assert 'stand still at 200.000 s' in talk.status.message
    assert '\n' not in talk.status.message
    assert 'use_sim_time' in talk.status.message
    assert int(talk.status.message.split('last ')[1].split()[0]) > count / 2
    # It is none when they advance again.
    talk.now = 201.0
    talk.show('unknown', 1.0)
    talk.wait(lambda: talk.status.level == DiagnosticStatus.OK, 'it works again')


@pytest.mark.parametrize('rate', [10.0, 2.0])
def test_somebody_who_comes_nearer_does_not_take_the_floor(talk, rate):
    talk.show('unknown', 14.0, people='a')
    talk.until('silence')
    assert talk.done == ['greet']
    # The other one smiles, nearer to the camera; in the order in which the estimator publishes.
    for _ in range(int(6 * rate)):
        faces = [emotion('happy', talk.now, 'b'), emotion('unknown', talk.now, 'a')]
        talk.emotions.publish(faces[0])
        talk.faces.publish(EmotionArray(header=faces[0].header, emotions=faces))
        talk.now += 1 / rate
        talk.graph.heard_anything(0.05)
    talk.heard()
    assert talk.done == ['greet']
    assert json.loads(talk.contexts[-1].data)['emotion']['face_id'] == 'a'


def test_reports_that_contradict_are_counted_and_do_no_harm(talk):
    talk.show('unknown', 1.0)
    talk.wait(lambda: talk.said, 'the greeting')
    talk.robot_speaking.publish(Bool(data=False))
    talk.user_said.publish(String(data=' '))
    talk.user_said.publish(String(data='word ' * 20_000))
    for kind, number in (('robot_silent_unasked', 1), ('words_empty', 1), ('words_cut', 1)):
        talk.wait(
            lambda k=kind, n=number: talk.reported(f'speech_{k}') == str(n), f'{kind} is counted'
        )
    talk.show('unknown', 1.0)
    assert len(talk.contexts[-1].data.encode()) < 6000
    assert 'Traceback' not in talk.child.log.read_text()


def test_whoever_is_seen_speaking_is_listened_to_until_they_end(graph, tmp_path):
    talk = Conversation(graph, tmp_path, hear_face=True)
    talk.until('waiting')
    # Longer than the six seconds that a question gets.
    talk.show('unknown', 9.0, speaking=True)
    assert talk.floor == 'person_speaks'
    assert json.loads(talk.contexts[-1].data)['presence']['speaking'] is True
    assert (talk.done, len(talk.said)) == (['greet'], 1)
    ended = talk.now
    talk.wait(lambda: talk.show('unknown', 0.1) or len(talk.said) == 2, 'the reply')
    assert talk.done == ['greet', 'answer']
    reply = talk.actions[-1].header.stamp
    # After the pause that ends a turn, 1.2 s.
    assert ended + 1.0 <= reply.sec + reply.nanosec * 1e-9 <= ended + 2.0
    # Switched off while they speak.
    talk.wait(
        lambda: talk.show('unknown', 0.5, speaking=True) or talk.floor == 'person_speaks',
        'they have the floor again',
    )
    assert talk.graph.set_parameters(NODE, hear_face=False) == ''
    talk.wait(
        lambda: talk.show('unknown', 0.5, speaking=True) or talk.floor != 'person_speaks',
        'the mouth counts no more',
    )
    assert not any('speech_mouth_stuck' in each.key for each in talk.status.values)


def test_a_moving_mouth_is_ignored_unless_it_is_asked_for(talk):
    talk.until('waiting')
    talk.show('unknown', 3.0, speaking=True)
    assert talk.floor == 'waiting'
    assert json.loads(talk.contexts[-1].data)['presence']['speaking'] is False
