"""The real dialogue manager on a ROS4HRI robot; run by test_dialogue_node_engines.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hri_actions_msgs.msg import Intent
from hri_msgs.msg import IdsList, LiveSpeech
from std_msgs.msg import Bool, String

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1] / 'nodes')]

from ros_graph import RosGraph
from test_dialogue_node_turns import NODE, Conversation
from with_say_action import NAME, TTS, Speaker

SAY = {'say_action': NAME, 'say_action_type': TTS}


@pytest.fixture
def graph(tmp_path):
    with RosGraph(tmp_path) as graph:
        yield graph


@pytest.fixture
def speaker(graph):
    speaker = Speaker(graph)
    yield speaker
    speaker.close()


class Voice:
    """A recogniser that hears one person."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        create = conversation.graph.node.create_publisher
        lists = create(IdsList, '/humans/voices/tracked', 10)
        self.flags = create(Bool, '/humans/voices/ada/is_speaking', 10)
        self.texts = create(LiveSpeech, '/humans/voices/ada/speech', 10)

        def heard() -> bool:
            lists.publish(IdsList(ids=['ada']))
            conversation.graph.heard_anything(0.2)
            return all(p.get_subscription_count() for p in (self.flags, self.texts))

        conversation.wait(heard, 'the voice is heard')

    def speak(self, speaking: bool, floor: str) -> None:
        def known() -> bool:
            self.flags.publish(Bool(data=speaking))
            self.conversation.show('unknown', 0.2)
            return self.conversation.floor == floor

        self.conversation.wait(known, f'the floor is {floor}')


def test_a_greeting_is_spoken_and_intended_and_a_voice_is_answered(graph, speaker, tmp_path):
    intents = graph.hear(Intent, '/intents')
    conversation = Conversation(graph, tmp_path, **SAY)
    conversation.wait(lambda: graph.node.count_publishers('/intents'), 'intents')
    voice = Voice(conversation)
    conversation.show('unknown', 1.5)
    speaker.wait(1)
    conversation.wait(lambda: conversation.actions, 'the action')
    assert speaker.requests[0].input == conversation.actions[0].utterance != ''
    conversation.wait(lambda: intents, 'an intent')
    assert intents[0].intent == Intent.ENGAGE_WITH
    assert json.loads(intents[0].data)['recipient'] == 'face_1'
    # As long as the goal lasts, and no longer: eight words would take three seconds.
    conversation.show('unknown', 5.5)
    assert conversation.floor == 'robot_speaks'
    speaker.finish()
    conversation.wait(
        lambda: conversation.show('unknown', 0.2) or conversation.floor == 'waiting', 'it waits'
    )
    voice.speak(True, 'person_speaks')
    conversation.show('unknown', 2.0)
    voice.texts.publish(LiveSpeech(final='With sugar.'))
    voice.flags.publish(Bool(data=False))
    conversation.wait(
        lambda: conversation.show('unknown', 0.5) or len(speaker.requests) > 1, 'an answer'
    )
    conversation.wait(lambda: conversation.done[-1] == 'answer', 'the action')
    conversation.wait(lambda: len(conversation.prompts) == 2, 'the prompt')
    assert json.loads(conversation.prompts[-1].data)['said'] == 'With sugar.'
    # What ROS4HRI's voices say becomes intents elsewhere; what another recogniser says does here.
    assert all(each.intent != Intent.RAW_USER_INPUT for each in intents)
    conversation.user_said.publish(String(data='And with milk.'))
    conversation.wait(
        lambda: any(each.intent == Intent.RAW_USER_INPUT for each in intents), 'it is passed on'
    )
    assert 'Traceback' not in conversation.child.log.read_text()


def test_an_interruption_cancels_the_goal(graph, speaker, tmp_path):
    conversation = Conversation(graph, tmp_path, **SAY)
    voice = Voice(conversation)
    conversation.show('unknown', 1.5)
    speaker.wait(1)
    voice.flags.publish(Bool(data=True))
    conversation.wait(
        lambda: conversation.show('unknown', 0.5) or speaker.cancelled, 'the goal is cancelled'
    )
    speaker.finish('canceled')
    voice.speak(True, 'person_speaks')
    conversation.wait(lambda: conversation.actions[-1].action == 'yield', 'the action')


def test_whoever_publishes_voices_hears_the_person(graph, tmp_path):
    conversation = Conversation(graph, tmp_path)
    for publisher in (conversation.user_speaking, conversation.user_said):
        graph.node.destroy_publisher(publisher)

    def reports(deaf: bool) -> bool:
        conversation.show('unknown', 0.3)
        return ('nobody publishes' in conversation.status.message) == deaf

    conversation.wait(lambda: reports(True), 'a warning')
    # Nobody need have spoken yet.
    voices = graph.node.create_publisher(IdsList, '/humans/voices/tracked', 10)
    conversation.wait(lambda: reports(False), 'no warning')
    graph.node.destroy_publisher(voices)


def test_without_a_server_the_conversation_goes_on(graph, tmp_path):
    conversation = Conversation(graph, tmp_path, **SAY)
    conversation.show('unknown', 1.5)
    conversation.wait(lambda: 'no server is there' in conversation.status.message, 'it is reported')
    conversation.wait(
        lambda: conversation.show('unknown', 0.5) or conversation.floor != 'robot_speaks',
        'nothing is being said',
    )
    assert conversation.child.status() is None


def test_an_unknown_type_keeps_the_node_unconfigured(graph):
    child = graph.start(NODE, say_action='/say', say_action_type='my_robot/action/Talk')
    graph.wait_until(
        lambda: 'communication_skills/action/Say, tts_msgs' in child.log.read_text(), 40, 'a line'
    )
    assert "say_action_type 'my_robot/action/Talk' is not known" in child.log.read_text()
