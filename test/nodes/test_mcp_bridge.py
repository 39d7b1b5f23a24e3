"""``emotion-estimator mcp`` as its clients start it, beside a robot that knows nothing of it.

The clients are those of the official SDK, over real pipes and HTTP.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')
pytest.importorskip('mcp', reason='the MCP SDK is not installed')

from mcp import Client, MCPError, StdioServerParameters, stdio_client
from ros_graph import RosGraph

from emotion_estimator.language_model.tools import TOOLS

START_TIMEOUT = 40.0
#: Seconds for a client's whole visit; every wait of the server is shorter.
VISIT = 60.0
#: Seconds within which the server ends. It takes less than one, where the machine is its own.
END = 3.0
COMMAND = (sys.executable, '-m', 'emotion_estimator.cli.main', 'mcp')

#: Smiles at ten images a second, describes itself, and talks about the garden or nothing.
#: Arguments: seconds until it answers (negative: it only smiles), reliability.
ROBOT = """
import json, sys, time
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import String
from emotion_estimator.msg import Emotion
from emotion_estimator.srv import ChooseTopic

rclpy.init(args=sys.argv)
node = rclpy.create_node('robot')
qos = QoSProfile(depth=10, reliability=ReliabilityPolicy[sys.argv[2]])
emotions = node.create_publisher(Emotion, 'emotion', qos)
talks = float(sys.argv[1]) >= 0
contexts = node.create_publisher(String, 'dialogue/context', qos) if talks else None
count = 0

def see():
    global count
    count += 1
    smile = Emotion(label='happy', confidence=0.8, labels=['happy', 'unknown', 'sad'],
                    probabilities=[0.8, 0.1, 0.1], face_id='face_1')
    smile.header.stamp.sec, tenth = divmod(1000 + count, 10)
    smile.header.stamp.nanosec = tenth * 100_000_000
    smile.roi.width = 77
    emotions.publish(smile)
    if talks:
        contexts.publish(String(data=json.dumps(
            {'version': 1, 'summary': 'Ein Lächeln. 笑顔。'}, ensure_ascii=False)))

def choose(request, response):
    time.sleep(float(sys.argv[1]))
    response.success = request.topic in ('garden', 'der Garten')
    response.message = ('Shall we talk about the garden?' if response.success
                        else f'there is no topic {request.topic!r};\\nthere is garden')
    return response

node.create_timer(0.1, see)
if talks:
    node.create_service(ChooseTopic, 'dialogue/choose_topic', choose)
try:
    rclpy.spin(node)
except BaseException:
    pass
"""


class Place:
    """A DDS domain for a robot and the server's clients."""

    def __init__(self, graph: RosGraph, folder: Path) -> None:
        self.graph, self.folder = graph, folder
        (folder / 'robot.py').write_text(ROBOT)

    def robot(self, *arguments: str, delay: float = 0.0, reliability: str = 'RELIABLE'):
        """Start the robot; ROS arguments may give it a namespace."""
        program = str(self.folder / 'robot.py')
        return self.graph.run('robot', sys.executable, program, str(delay), reliability, *arguments)

    def visit(self, use: Callable[[Client], Awaitable[None]], *arguments: str) -> str:
        """Let an official client use a server of its own over pipes; return its errors."""

        async def come(errors) -> None:
            # Not here: a checkout would hide the built package.
            server = StdioServerParameters(
                command=COMMAND[0], args=[*COMMAND[1:], *arguments], cwd=self.folder,
                env=self.graph.environment,
            )  # fmt: skip
            async with Client(stdio_client(server, errlog=errors)) as client:
                await use(client)

        path = self.folder / 'errors.txt'
        with path.open('w') as errors:
            asyncio.run(asyncio.wait_for(come(errors), VISIT))
        return path.read_text()

    def process(self, *arguments: str, **environment: str) -> subprocess.Popen:
        return subprocess.Popen(
            [*COMMAND, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd=self.folder, text=True,
            env={**self.graph.environment, **environment},
        )  # fmt: skip


@pytest.fixture
def place(tmp_path):
    with RosGraph(tmp_path) as graph:
        yield Place(graph, tmp_path)


async def answer(client: Client, name: str, failed: bool = False, /, **arguments: object) -> str:
    """Return a tool's answer as text; a result has its data in the text as well."""
    result = await client.call_tool(name, arguments)
    (content,) = result.content
    assert result.is_error == failed, content.text
    assert '\n' not in content.text
    if not failed:
        assert json.loads(content.text) == result.structured_content
    return content.text


async def lasting_smile(client: Client) -> dict:
    """Return the emotion, once the robot has been heard for long enough to believe it."""
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        result = await client.call_tool('get_emotion', {})
        if not result.is_error and result.structured_content['label'] == 'happy':
            return result.structured_content
        assert time.monotonic() < deadline, result.content
        await asyncio.sleep(0.1)


async def use_everything(client: Client) -> None:
    listed = (await client.list_tools()).tools
    assert [(tool.name, tool.description) for tool in listed] == [
        (tool.name, tool.description) for tool in TOOLS
    ]
    assert [tool.input_schema for tool in listed] == [tool.parameters for tool in TOOLS]
    assert [tool.annotations.read_only_hint for tool in listed] == [True, True, False]
    # The client itself checks results against the output schemas that it was given.
    assert all(tool.output_schema for tool in listed)
    emotion = await lasting_smile(client)
    assert emotion['present'] and emotion['current']
    assert emotion['age'] < 2
    assert emotion['probabilities'] == {'happy': 0.8, 'unknown': 0.1, 'sad': 0.1}
    context = json.loads(await answer(client, 'get_context'))['context']
    assert context == {'version': 1, 'summary': 'Ein Lächeln. 笑顔。'}
    for topic in ('garden', 'der Garten'):
        chosen = json.loads(await answer(client, 'choose_topic', topic=topic))
        assert chosen == {'topic': topic, 'says': 'Shall we talk about the garden?'}
    for topic in ('чай', '紅茶', 'الشاي', '🍵'):
        assert await answer(client, 'choose_topic', True, topic=topic) == (
            f'the dialogue manager refuses: there is no topic {topic!r}; there is garden'
        )


async def misuse(client: Client) -> None:
    long = await answer(client, 'choose_topic', True, topic='ü' * 100_000)
    assert 'it got 100000' in long
    assert len(long) < 200
    assert 'it got nothing' in await answer(client, 'choose_topic', True)
    assert 'a JSON array' in await answer(client, 'choose_topic', True, topic=['garden'])
    assert "not 'image'" in await answer(client, 'get_emotion', True, image=True)
    for name in ('get_image', '', 'x' * 100_000):
        with pytest.raises(MCPError, match='there is no tool') as refusal:
            await client.call_tool(name, {})
        assert len(refusal.value.message) < 150


def test_a_client_over_pipes(place):
    place.robot()

    async def use(client: Client) -> None:
        await use_everything(client)
        await misuse(client)
        await use_everything(client)

    assert place.visit(use) == ''


def test_two_clients_over_http(place):
    place.robot()
    server = place.process('--http', '0')
    url = server.stderr.readline().split()[-1]

    async def come() -> None:
        async with Client(url) as one, Client(url) as other:
            await asyncio.gather(use_everything(one), use_everything(other))
            await misuse(one)
            await use_everything(other)

    try:
        asyncio.run(asyncio.wait_for(come(), VISIT))
        port = int(url.rpartition(':')[2].removesuffix('/mcp'))
        with socket.socket() as outside, pytest.raises(ConnectionRefusedError):
            # This machine too, but not the address.
            outside.connect(('127.0.0.2', port))
        # A web page that has been opened on this machine is no client.
        for header, status in (('Origin', 403), ('Host', 421)):
            call = urllib.request.Request(
                url, b'{}', {'Content-Type': 'application/json', header: 'http://evil.example'}
            )
            with pytest.raises(urllib.error.HTTPError) as refusal:
                urllib.request.urlopen(call, timeout=10)
            assert refusal.value.code == status
    finally:
        assert ended(server, signal.SIGINT) == 130
    assert server.stdout.read() == ''
    assert 'Traceback' not in server.stderr.read()


def ended(server: subprocess.Popen, number: int | None = None) -> int:
    """Send a signal, or close the pipe as a client that goes away; return the exit status."""
    began = time.monotonic()
    if number is None:
        server.stdin.close()
    else:
        server.send_signal(number)
    try:
        status = server.wait(END)
    except subprocess.TimeoutExpired:
        server.kill()
        raise
    print(f'ended {time.monotonic() - began:.2f} s after {number or "the client"}')
    return status


def test_it_subscribes_to_what_it_needs_and_to_no_image(place):
    place.robot()

    async def use(client: Client) -> None:
        await lasting_smile(client)
        node = place.graph.node
        place.graph.wait_until(lambda: servers(node), START_TIMEOUT, 'the node is discovered')
        (name,) = servers(node)
        place.graph.wait_until(
            lambda: len(node.get_subscriber_names_and_types_by_node(name, '/')) >= 2,
            START_TIMEOUT, 'its topics are discovered',
        )  # fmt: skip
        heard = dict(node.get_subscriber_names_and_types_by_node(name, '/'))
        heard.pop('/parameter_events', None)
        assert set(heard) == {'/emotion', '/dialogue/context'}

    place.visit(use)


def servers(node) -> list[str]:
    return [name for name in node.get_node_names() if name.startswith('mcp_')]


def test_a_robot_in_a_namespace_that_publishes_with_best_effort(place):
    place.robot('--ros-args', '-r', '__ns:=/left/robot', reliability='BEST_EFFORT')
    assert place.visit(use_everything, '--namespace', 'left/robot') == ''


def test_without_a_robot_each_answer_is_one_line_and_soon(place):
    async def use(client: Client) -> None:
        began = time.monotonic()
        assert await answer(client, 'get_emotion', True) == (
            'nothing has been heard on /left/emotion; is the estimator running, with the same '
            'ROS_DOMAIN_ID?'
        )
        context = await answer(client, 'get_context', True)
        assert 'nothing has been heard on /left/dialogue/context' in context
        assert await answer(client, 'choose_topic', True, topic='tea') == (
            'nobody offers /left/dialogue/choose_topic; is the dialogue manager running?'
        )
        assert time.monotonic() - began < 15

    assert place.visit(use, '--namespace', '/left') == ''


def test_a_robot_that_has_gone(place):
    robot = place.robot()

    async def use(client: Client) -> None:
        await lasting_smile(client)
        await answer(client, 'get_context')
        robot.send(signal.SIGKILL)
        await asyncio.sleep(4)
        emotion = json.loads(await answer(client, 'get_emotion'))
        assert not emotion['current']
        assert emotion['age'] >= 3
        assert 'no estimate for' in emotion['summary']
        assert not json.loads(await answer(client, 'get_context'))['current']

    assert place.visit(use) == ''


def test_a_slow_service_does_not_keep_the_other_tools(place):
    place.robot(delay=20.0)

    async def use(client: Client) -> None:
        await lasting_smile(client)
        began = time.monotonic()
        asked = asyncio.create_task(answer(client, 'choose_topic', True, topic='garden'))
        await asyncio.sleep(0.2)
        await answer(client, 'get_emotion')
        assert time.monotonic() - began < 4
        assert await asked == (
            '/dialogue/choose_topic has not answered within 5 s; the topic may change yet'
        )
        assert time.monotonic() - began < 15

    assert place.visit(use) == ''


def test_the_dialogue_manager_of_this_package(place):
    place.robot(delay=-1.0)
    place.graph.start('dialogue_manager')

    async def use(client: Client) -> None:
        await lasting_smile(client)
        deadline = time.monotonic() + START_TIMEOUT
        while (result := await client.call_tool('choose_topic', {'topic': 'music'})).is_error:
            assert time.monotonic() < deadline, result.content
        assert result.structured_content['says']
        assert json.loads(await answer(client, 'choose_topic', topic='Gardens'))['says']
        while True:
            context = json.loads(await answer(client, 'get_context'))['context']
            if context['conversation']['topic'] == 'garden':
                break
            assert time.monotonic() < deadline, context
        assert 'facial expression' in context['about']
        refusal = await answer(client, 'choose_topic', True, topic='été')
        assert 'garden' in refusal and 'music' in refusal

    assert place.visit(use) == ''


class Talk:
    """A server's raw protocol, line by line."""

    def __init__(self, server: subprocess.Popen) -> None:
        self.server = server
        params = {'protocolVersion': '2025-06-18', 'capabilities': {},
                  'clientInfo': {'name': 'test', 'version': '1'}}  # fmt: skip
        self.send(id=1, method='initialize', params=params)
        assert self.read()['id'] == 1
        self.send(method='notifications/initialized')

    def send(self, **message: object) -> None:
        self.server.stdin.write(json.dumps({'jsonrpc': '2.0', **message}) + '\n')
        self.server.stdin.flush()

    def read(self) -> dict:
        return json.loads(self.server.stdout.readline())

    def ask(self, number: int, name: str, **arguments: object) -> None:
        self.send(id=number, method='tools/call', params={'name': name, 'arguments': arguments})


@pytest.mark.parametrize('busy', [False, True], ids=['idle', 'busy'])
@pytest.mark.parametrize(
    ('number', 'status'), [(None, 0), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_it_ends_at_once(place, number, status, busy):
    server = place.process()
    talk = Talk(server)
    if busy:
        # It waits two seconds for the service.
        talk.ask(2, 'choose_topic', topic='tea')
        time.sleep(0.3)
    assert ended(server, number) == status
    for line in server.stdout.read().splitlines():
        assert json.loads(line)['jsonrpc'] == '2.0'
    errors = server.stderr.read().split('\n')
    assert [line for line in errors if line] == (
        ['emotion-estimator: interrupted'] if number else []
    )


def test_a_client_that_reads_no_more(place):
    server = place.process()
    talk = Talk(server)
    server.stdout.close()
    talk.send(id=2, method='tools/list')
    assert server.wait(END) == 0
    assert server.stderr.read() == ''


def test_a_client_that_never_reads_cannot_hold_it(place):
    server = place.process()
    talk = Talk(server)
    # More than a pipe holds.
    for number in range(2, 60):
        talk.send(id=number, method='tools/list')
    time.sleep(0.5)
    assert ended(server, signal.SIGINT) == 130
    server.stdout.close()
    assert 'Traceback' not in server.stderr.read()


def test_standard_output_carries_only_the_protocol(place):
    server = place.process(RCUTILS_LOGGING_USE_STDOUT='1', RCUTILS_LOGGING_SEVERITY='DEBUG',
                           PYTHONWARNINGS='always')  # fmt: skip
    talk = Talk(server)
    # None of these is a request that can be answered.
    server.stdin.write('no JSON\n[1, 2]\n\n"text"\n{"jsonrpc": "2.0"}\n')
    talk.ask(2, 'choose_topic', topic='')
    assert 'it is empty' in talk.read()['result']['content'][0]['text']
    assert ended(server) == 0
    assert server.stdout.read() == ''


@pytest.mark.parametrize('domain', ['999', 'home'])
def test_a_domain_that_is_none(place, domain):
    server = place.process(ROS_DOMAIN_ID=domain)
    assert server.wait(START_TIMEOUT) == 2
    assert server.stdout.read() == ''
    assert server.stderr.read() == (
        f'emotion-estimator: ROS_DOMAIN_ID must be a number from 0 to 232, not {domain!r}\n'
    )
