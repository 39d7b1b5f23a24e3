"""ROS4HRI's voices over real DDS; run by test_ros4hri_speech.py where hri_msgs can be imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from builtin_interfaces.msg import Time
from hri_msgs.msg import IdsList, LiveSpeech
from rclpy.node import Node
from std_msgs.msg import Bool, Header

from emotion_estimator.nodes.ros4hri_speech import open_ros4hri_speech

sys.path.insert(0, str(Path(__file__).parent.parent))

from ros_graph import RosGraph

VOICES = '/humans/voices'


class Recogniser:
    """A node that publishes voices, and what the listener in another node reports of them."""

    def __init__(self, graph: RosGraph) -> None:
        self.graph = graph
        self.now = 100.0
        self.reports: list[bool | str] = []
        self.node = Node('recogniser', context=graph.node.context)
        self.heard = open_ros4hri_speech(
            graph.node, self.reports.append, self.reports.append, lambda: self.now
        )
        self.lists = self.publisher(IdsList, 'tracked')
        self.flags: dict[str, object] = {}
        self.texts: dict[str, object] = {}

    def publisher(self, kind, name):
        publisher = self.node.create_publisher(kind, f'{VOICES}/{name}', 10)
        self.graph.wait_until(publisher.get_subscription_count, 20, f'{name} is heard')
        return publisher

    def track(self, *ids: str) -> None:
        """Publish the list of voices, and meet those that are new."""
        self.lists.publish(IdsList(ids=list(ids)))
        for voice in ids:
            if voice not in self.flags:
                self.flags[voice] = self.publisher(Bool, f'{voice}/is_speaking')
                self.texts[voice] = self.publisher(LiveSpeech, f'{voice}/speech')

    def flag(self, voice: str, speaking: bool) -> None:
        self.flags[voice].publish(Bool(data=speaking))

    def text(self, voice: str, final: str = '', incremental: str = '', stamp: int = 0) -> None:
        header = Header(stamp=Time(sec=stamp))
        self.texts[voice].publish(LiveSpeech(header=header, incremental=incremental, final=final))

    def expect(self, *reports: bool | str) -> None:
        """Wait for exactly these reports, and forget them."""
        wanted = list(reports)
        self.graph.wait_until(
            lambda: len(self.reports) >= len(wanted), 10, f'{wanted} of {self.reports}'
        )
        self.graph.heard_anything(0.05)
        assert self.reports == wanted
        self.reports.clear()

    def value(self, name: str) -> object:
        return self.heard.values()[name]

    def topics(self) -> list[str]:
        names = (s.topic_name for s in self.graph.node.subscriptions)
        return sorted(name for name in names if name.startswith(VOICES))


@pytest.fixture
def graph(tmp_path):
    with RosGraph(tmp_path) as graph:
        yield graph


@pytest.fixture
def recogniser(graph):
    recogniser = Recogniser(graph)
    yield recogniser
    recogniser.heard.close()
    recogniser.node.destroy_node()


def test_one_voice_speaks_and_its_final_text_is_reported_once(recogniser):
    recogniser.track('ada')
    assert recogniser.topics() == [
        f'{VOICES}/ada/is_speaking', f'{VOICES}/ada/speech', f'{VOICES}/tracked',
    ]  # fmt: skip
    recogniser.flag('ada', True)
    recogniser.expect(True)
    recogniser.text('ada', incremental='my sister')
    recogniser.expect(True)
    recogniser.flag('ada', False)
    recogniser.expect(False)
    recogniser.text('ada', final='My sister had\n a garden. ', incremental='My', stamp=7)
    recogniser.expect('My sister had a garden.')
    recogniser.text('ada', final='My sister had a garden.', stamp=7)
    recogniser.text('ada', final='  ')
    recogniser.text('ada', final='Вот 庭 🌷.', stamp=8)
    recogniser.expect('Вот 庭 🌷.')
    assert recogniser.value('voice_texts') == 2
    assert recogniser.heard.problem() == ''


def test_the_same_words_again_are_another_utterance(recogniser):
    recogniser.track('ada')
    for stamp in (7, 7, 9):
        recogniser.text('ada', final='Yes.', stamp=stamp)
    recogniser.expect('Yes.', 'Yes.')
    # Without stamps, time tells.
    recogniser.text('ada', final='No.')
    recogniser.text('ada', final='No.')
    recogniser.expect('No.')
    recogniser.now += 1.5
    recogniser.text('ada', final='No.')
    recogniser.expect('No.')


def test_somebody_speaks_while_any_voice_does(recogniser):
    recogniser.track('ada', 'bob')
    recogniser.flag('ada', True)
    recogniser.expect(True)
    recogniser.flag('bob', True)
    recogniser.expect(True)
    recogniser.flag('ada', False)
    recogniser.expect(True)
    assert recogniser.value('voices_speaking') == 1
    recogniser.flag('bob', False)
    recogniser.expect(False)
    recogniser.flag('bob', False)
    recogniser.text('bob', final='Yes.')
    recogniser.expect('Yes.')


def test_a_voice_that_vanishes_has_ended(recogniser):
    recogniser.track('ada', 'bob')
    recogniser.flag('ada', True)
    recogniser.expect(True)
    recogniser.track('bob')
    recogniser.expect(False)
    assert recogniser.value('voices') == 1
    assert f'{VOICES}/ada/speech' not in recogniser.topics()
    recogniser.lists.publish(IdsList())
    recogniser.graph.wait_until(lambda: recogniser.value('voices') == 0, 10, 'nobody')
    assert recogniser.topics() == [f'{VOICES}/tracked']


def test_who_speaks_is_said_again_with_each_list(recogniser):
    recogniser.track('ada')
    recogniser.flag('ada', True)
    recogniser.expect(True)
    for _ in range(5):
        recogniser.now += 10
        recogniser.track('ada')
        recogniser.expect(True)
    # A word is a sign that the "true" is not a lost "false".
    recogniser.text('ada', incremental='and then')
    recogniser.expect(True)
    recogniser.now += 50
    recogniser.track('ada')
    recogniser.expect(True)


def test_a_voice_that_never_ends_is_taken_as_ended(recogniser, capfd):
    recogniser.track('ada')
    recogniser.flag('ada', True)
    recogniser.expect(True)
    recogniser.now += 60.5
    recogniser.track('ada')
    recogniser.expect(False)
    assert recogniser.value('voices_stuck') == 1
    assert capfd.readouterr().err.count('ada has been speaking for 60 s without a word') == 1
    recogniser.flag('ada', True)
    recogniser.expect(True)


def test_without_is_speaking_the_unfinished_text_tells(recogniser):
    recogniser.track('ada')
    recogniser.text('ada', incremental='my')
    recogniser.expect(True)
    recogniser.text('ada', final='My sister.')
    recogniser.expect(False, 'My sister.')
    recogniser.text('ada', incremental='had')
    recogniser.expect(True)
    recogniser.now += 5.5
    recogniser.track('ada')
    recogniser.expect(False)
    # The voice activity says that the person has ended: late partial results do not begin anew.
    recogniser.flag('ada', False)
    recogniser.text('ada', incremental='a garden')
    recogniser.text('ada', final='A garden.')
    recogniser.expect('A garden.')


ODD_IDS = ('', '1', 'a b', 'a/b', '~', 'é', 'ada\n', 'x' * 300)


def test_odd_ids_are_left_out_and_counted(recogniser, capfd):
    for _ in range(3):
        recogniser.lists.publish(IdsList(ids=[*ODD_IDS, 'ada', 'ada']))
    recogniser.graph.wait_until(lambda: recogniser.value('voices') == 1, 10, 'ada')
    recogniser.graph.heard_anything(0.2)
    assert recogniser.value('voices_left_out') == len(ODD_IDS)
    assert '8 voices on /humans/voices/tracked are not heard' in recogniser.heard.problem()
    assert '\n' not in recogniser.heard.problem()
    assert capfd.readouterr().err.count('are not heard') == 1
    recogniser.track('ada')
    recogniser.graph.wait_until(lambda: not recogniser.heard.problem(), 10, 'all are heard')
    recogniser.flag('ada', True)
    recogniser.expect(True)


def test_voices_are_bounded_and_there_is_room_again(recogniser):
    crowd = [f'voice_{number}' for number in range(400)]
    recogniser.lists.publish(IdsList(ids=crowd))
    recogniser.graph.wait_until(lambda: recogniser.value('voices'), 10, 'a crowd')
    assert recogniser.value('voices') == 16
    assert len(recogniser.topics()) == 2 * 16 + 1
    assert 'at most 16' in recogniser.heard.problem()
    recogniser.track('voice_399')
    recogniser.graph.wait_until(lambda: recogniser.value('voices') == 1, 10, 'one is left')
    recogniser.flag('voice_399', True)
    recogniser.expect(True)


def test_a_text_of_100_kb_is_cut_and_counted(recogniser, capfd):
    recogniser.track('ada')
    recogniser.text('ada', final='garden ' * 15_000)
    recogniser.expect(('garden ' * 1000)[:5000].strip())
    assert recogniser.value('voice_texts_odd') == 1
    assert 'of 105000 characters is cut to 5000' in capfd.readouterr().err
    recogniser.text('ada', final='Yes.')
    recogniser.expect('Yes.')


def test_closing_ends_the_speech(recogniser):
    recogniser.track('ada')
    recogniser.flag('ada', True)
    recogniser.expect(True)
    recogniser.heard.close()
    assert recogniser.reports == [True, False] or recogniser.reports == [False]
    assert recogniser.topics() == []
    recogniser.heard.close()
    assert recogniser.reports.count(False) == 1


def test_closing_after_the_context_has_gone_is_quiet(recogniser):
    recogniser.track('ada')
    recogniser.graph.node.context.try_shutdown()
    recogniser.heard.close()


def test_without_a_clock_of_the_dialogues_it_takes_the_nodes(graph):
    reports = []
    heard = open_ros4hri_speech(graph.node, reports.append, reports.append)
    node = Node('recogniser', context=graph.node.context)
    lists = node.create_publisher(IdsList, f'{VOICES}/tracked', 10)
    flags = node.create_publisher(Bool, f'{VOICES}/ada/is_speaking', 10)
    graph.wait_until(lists.get_subscription_count, 20, 'the list is heard')
    lists.publish(IdsList(ids=['ada']))
    graph.wait_until(flags.get_subscription_count, 20, 'the voice is heard')
    flags.publish(Bool(data=True))
    graph.wait_until(lambda: reports == [True], 10, 'ada speaks')
    heard.close()
    node.destroy_node()
