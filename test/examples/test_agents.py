"""The voice agents on Pipecat and LiveKit, on the real packages where these are installed.

    pip install pipecat-ai livekit-agents livekit-plugins-openai

A real server that speaks the OpenAI protocol is their language model; microphone and loudspeaker
are stand-ins, and the dialogue manager is a publisher on DDS.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')

from ros_graph import RosGraph
from std_msgs.msg import Bool, Empty, String

AGENTS = Path(__file__).parents[2] / 'examples' / 'agents'
TIMEOUT = 40.0
#: Seconds in which nothing must happen; a reply to the local model takes a few milliseconds.
QUIET = 1.0

CONTEXT = {'version': 1, 'about': 'Estimates, often wrong.', 'summary': 'A person smiles.'}
PROMPT = {
    'version': 1, 'stamp': 12.3, 'action': 'continue', 'line': 'answer',
    'instruction': 'Acknowledge, then ask something further. Speak German.', 'topic': 'garden',
    'topic_name': 'der Garten', 'approach': 'warm', 'language': 'de',
    'said': 'Meine Schwester hatte einen Garten.', 'fallback': 'Wie schön. Was wuchs dort?',
    'context': CONTEXT,
}  # fmt: skip
REPLY = 'Ein Garten, wie schön! Was blühte dort im Frühling?'


class Model(ThreadingHTTPServer):
    """A language model that always says the same, or fails."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(('127.0.0.1', 0), Chat)
        self.asked: list[dict] = []
        self.broken = False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.server_address[1]}/v1'


class Chat(BaseHTTPRequestHandler):
    server: Model

    def do_POST(self) -> None:
        length = int(self.headers['Content-Length'])
        request = json.loads(self.rfile.read(length))
        self.server.asked.append(request)
        if self.server.broken:
            self.send_error(400, 'no such model')
            return
        self.send_response(200)
        self.send_header('Content-Type', 'text/event-stream')
        self.end_headers()
        words = REPLY.split(' ')
        for index, word in enumerate(words):
            delta = {'role': 'assistant', 'content': word + ' ' * (index < len(words) - 1)}
            self.send({'index': 0, 'delta': delta, 'finish_reason': None})
        self.send({'index': 0, 'delta': {}, 'finish_reason': 'stop'})
        self.wfile.write(b'data: [DONE]\n\n')

    def send(self, choice: dict) -> None:
        chunk = {'id': 'a', 'object': 'chat.completion.chunk', 'created': 1, 'model': 'local',
                 'choices': [choice]}  # fmt: skip
        self.wfile.write(f'data: {json.dumps(chunk)}\n\n'.encode())

    def log_message(self, *_: object) -> None:
        pass


class Robot:
    """The dialogue manager's side: what it publishes, and what it hears of the agent."""

    def __init__(self, graph: RosGraph) -> None:
        self.graph = graph
        self.heard: list[tuple[str, object]] = []
        for kind, name in ((Bool, 'user_speaking'), (Bool, 'robot_speaking'),
                           (String, 'user_said'), (String, 'say')):  # fmt: skip
            graph.node.create_subscription(
                kind, f'dialogue/{name}', lambda m, n=name: self.heard.append((n, m.data)), 100
            )
        node = graph.node
        self.publishers = {
            name: node.create_publisher(kind, f'dialogue/{name}', 100)
            for kind, name in ((String, 'context'), (String, 'prompt'), (Empty, 'stop_speaking'))
        }

    def publish(self, name: str, content: object = None) -> None:
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        message = Empty() if name == 'stop_speaking' else String(data=text)
        self.publishers[name].publish(message)

    async def wait(self, done: Callable[[], object], what: str) -> None:
        try:
            await asyncio.to_thread(self.graph.wait_until, done, TIMEOUT, what)
        except AssertionError as error:
            raise AssertionError(f'{error}; heard {self.heard}') from None

    async def quiet(self) -> None:
        end = time.monotonic() + QUIET
        await self.wait(lambda: time.monotonic() > end, 'time passes')

    async def known(self, topics) -> None:
        """Wait until the agent hears and is heard."""
        theirs = {name: value for name, value in vars(topics).items()
                  if hasattr(value, 'get_subscription_count')}  # fmt: skip
        assert len(theirs) == 4
        for name, publisher in {**self.publishers, **theirs}.items():
            await self.wait(publisher.get_subscription_count, f'somebody hears {name}')

    def of(self, name: str) -> list:
        return [data for topic, data in self.heard if topic == name]


@pytest.fixture
def robot(tmp_path, monkeypatch):
    with RosGraph(tmp_path) as graph:
        monkeypatch.setenv('ROS_DOMAIN_ID', str(graph.domain))
        yield Robot(graph)


@pytest.fixture
def model():
    with Model() as server:
        yield server
        server.shutdown()


@contextmanager
def example(name: str) -> Iterator[object]:
    """Import an agent as Python does when it is run: from its own folder."""
    sys.path.insert(0, str(AGENTS))
    try:
        yield __import__(name)
    finally:
        sys.path.remove(str(AGENTS))
        sys.modules.pop(name, None)
        sys.modules.pop('dialogue_topics', None)


def contents(request: dict) -> list[tuple[str, str]]:
    """Return role and text of each message that the model was sent."""
    return [
        (message['role'], message['content'] if isinstance(message['content'], str)
         else ''.join(part['text'] for part in message['content']))
        for message in request['messages']
    ]  # fmt: skip


def letters(*texts: str) -> str:
    """Return texts without spaces: one package synthesizes words, the other sentences."""
    return ''.join(texts).replace(' ', '')


async def converse(
    robot: Robot,
    model: Model,
    person_says: Callable[[str], object],
    spoken: list[str],
    stopped: Callable[[], bool],
) -> None:
    """Hold the conversation that both agents must hold.

    :param person_says: has the person say something, from beginning to end.
    :param spoken: the sentences that reached the loudspeaker.
    :param stopped: tells whether the loudspeaker was silenced.
    """
    # The person speaks: the manager hears of it, and nobody replies before it says so.
    await person_says('Meine Schwester hatte einen Garten.')
    await robot.wait(lambda: robot.of('user_said'), 'the transcript comes')
    await robot.wait(lambda: robot.of('user_speaking') == [True, False], 'the turn ends')
    robot.publish('context', {**CONTEXT, 'summary': 'A person frowns.'})
    robot.publish('context', CONTEXT)
    # What makes no sense does no harm.
    for nonsense in ('', '[]', '{"version": 1}', '{', 'null'):
        robot.publish('context', nonsense)
        robot.publish('prompt', nonsense)
    await robot.quiet()
    assert robot.of('user_said') == ['Meine Schwester hatte einen Garten.']
    assert model.asked == []
    # The manager prompts: the model speaks.
    robot.publish('prompt', PROMPT)
    await robot.wait(lambda: robot.of('robot_speaking') == [True, False], 'the robot speaks')
    await robot.wait(lambda: robot.of('say'), 'the words are published')
    assert robot.of('say') == [REPLY]
    assert letters(*spoken) == letters(REPLY)
    (request,) = model.asked
    (_, system), *middle = contents(request)
    assert 'companion robot' in system
    assert ('user', 'Meine Schwester hatte einen Garten.') in middle
    everything = '\n'.join(text for _, text in contents(request))
    assert 'A person smiles.' in everything and 'A person frowns.' not in everything
    for part in ('Acknowledge, then ask', 'Speak German.', 'Was wuchs dort?'):
        assert part in everything
    assert 'image' not in json.dumps(request)
    # The next one: the last instruction is gone, the words that were said are there.
    robot.publish('prompt', {**PROMPT, 'instruction': 'Ask how they are.'})
    await robot.wait(lambda: len(robot.of('say')) == 2, 'the second reply')
    await robot.wait(lambda: robot.of('robot_speaking') == [True, False] * 2, 'it is spoken')
    await robot.quiet()
    assert len(model.asked) == 2
    everything = '\n'.join(text for _, text in contents(model.asked[1]))
    assert 'Ask how they are.' in everything and 'Acknowledge, then ask' not in everything
    assert ('assistant', REPLY) in contents(model.asked[1])
    # The model fails: the conversation file's words are said instead, once.
    model.broken = True
    robot.publish('prompt', PROMPT)
    await robot.wait(lambda: PROMPT['fallback'] in robot.of('say'), 'the fallback')
    await robot.wait(lambda: robot.of('robot_speaking') == [True, False] * 3, 'it is spoken')
    await robot.quiet()
    assert robot.of('say') == [REPLY, REPLY, PROMPT['fallback']]
    assert letters(*spoken) == letters(REPLY, REPLY, PROMPT['fallback'])
    # The person has taken the turn.
    assert not stopped()
    robot.publish('stop_speaking')
    await robot.wait(stopped, 'it falls silent')


class Listener:
    """An agent that does nothing but remember."""

    def __init__(self) -> None:
        self.got: list[tuple[str, ...]] = []

    async def note(self, text: str) -> None:
        self.got.append(('note', text))

    async def prompt(self, text: str, fallback: str) -> None:
        self.got.append(('prompt', text, fallback))

    async def stop(self) -> None:
        self.got.append(('stop',))


def test_the_topics_of_both_agents(robot, caplog):
    async def talk(module) -> None:
        module.REPEAT = 0.2
        topics, agent = module.DialogueTopics(), Listener()
        following = asyncio.create_task(topics.follow(agent))
        try:
            await robot.known(topics)
            # One by one: they are three topics.
            robot.publish('context', CONTEXT)
            await robot.wait(lambda: len(agent.got) == 1, 'the note')
            for nonsense in ('', '{', 'null', '[]', '{"about": 1}', '"x"', 'é' * 100_000):
                robot.publish('prompt', nonsense)
            robot.publish('prompt', PROMPT)
            await robot.wait(lambda: len(agent.got) == 2, 'the prompt')
            robot.publish('prompt', {**PROMPT, 'fallback': ''})
            await robot.wait(lambda: len(agent.got) == 3, 'a prompt without a fallback')
            robot.publish('stop_speaking')
            await robot.wait(lambda: len(agent.got) == 4, 'the end')
            assert agent.got[0] == ('note', 'Estimates, often wrong.\nA person smiles.')
            assert agent.got[1] == (
                'prompt',
                'Acknowledge, then ask something further. Speak German.\n'
                'You could say: Wie schön. Was wuchs dort?',
                'Wie schön. Was wuchs dort?',
            )
            assert agent.got[2] == ('prompt', PROMPT['instruction'], '')
            assert agent.got[3] == ('stop',)
            assert len(caplog.records) == 7
            # While the person speaks it is said again and again, and no longer.
            topics.user_speaking(True)
            await robot.wait(lambda: robot.of('user_speaking').count(True) >= 3, 'repetitions')
            topics.user_speaking(False)
            await robot.wait(lambda: False in robot.of('user_speaking'), 'the end of it')
            await robot.quiet()
            assert robot.of('user_speaking')[-1] is False
            topics.robot_speaking(True)
            for text in ('', '  ', 'Na so was! 🌷'):
                topics.user_said(text)
                topics.robot_said(text)
            await robot.wait(lambda: len(robot.heard) and robot.of('say'), 'the words')
            await robot.quiet()
            assert robot.of('robot_speaking') == [True]
            assert robot.of('user_said') == robot.of('say') == ['Na so was! 🌷']
        finally:
            following.cancel()
            topics.close()

    with example('dialogue_topics') as module:
        asyncio.run(asyncio.wait_for(talk(module), 120))


def test_pipecat_speaks_when_prompted(robot, model):
    pytest.importorskip('pipecat', reason='pipecat-ai is not installed')
    from pipecat.frames import frames
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

    class Microphone(FrameProcessor):
        async def process_frame(self, frame, direction):
            await super().process_frame(frame, direction)
            await self.push_frame(frame, direction)

        async def say(self, text: str) -> None:
            await self.push_frame(frames.VADUserStartedSpeakingFrame())
            await asyncio.sleep(0.2)
            await self.push_frame(frames.VADUserStoppedSpeakingFrame(stop_secs=0.2))
            await self.push_frame(
                frames.TranscriptionFrame(text, 'person', '2026-01-01T00:00:00Z', finalized=True)
            )

    class Loudspeaker(FrameProcessor):
        def __init__(self) -> None:
            super().__init__()
            self.spoken: list[str] = []
            self.stopped = False

        async def process_frame(self, frame, direction):
            await super().process_frame(frame, direction)
            if isinstance(frame, frames.InterruptionFrame):
                self.stopped = True
            if isinstance(frame, (frames.LLMTextFrame, frames.TTSSpeakFrame)):
                self.spoken.append(frame.text)
            await self.push_frame(frame, direction)
            ends = isinstance(frame, frames.LLMFullResponseEndFrame) and not broken()
            if ends or isinstance(frame, frames.TTSSpeakFrame):
                # As an output transport does, both ways.
                for kind in (frames.BotStartedSpeakingFrame, frames.BotStoppedSpeakingFrame):
                    await self.push_frame(kind(), FrameDirection.UPSTREAM)
                    await self.push_frame(kind(), FrameDirection.DOWNSTREAM)
                    await asyncio.sleep(0.2)

    def broken() -> bool:
        return model.broken

    async def talk(agent) -> None:
        microphone, loudspeaker = Microphone(), Loudspeaker()
        topics = agent.DialogueTopics()
        pipeline, replies = agent.make_pipeline(
            topics, agent.make_llm(model.url, 'local'), [microphone], [loudspeaker]
        )
        running = asyncio.create_task(agent.run(topics, pipeline, replies))
        try:
            await robot.known(topics)

            async def person_says(text: str) -> None:
                await microphone.say(text)
                await robot.wait(lambda: robot.of('user_said'), 'the transcript comes')
                # Each turn interrupts whatever is being said.
                loudspeaker.stopped = False

            await converse(robot, model, person_says, loudspeaker.spoken,
                           lambda: loudspeaker.stopped)  # fmt: skip
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            topics.close()

    with example('pipecat_agent') as agent:
        asyncio.run(asyncio.wait_for(talk(agent), 120))


def test_livekit_speaks_when_prompted(robot, model):
    pytest.importorskip('livekit.agents', reason='livekit-agents is not installed')
    pytest.importorskip('livekit.plugins.openai', reason='livekit-plugins-openai is not installed')
    from livekit import rtc
    from livekit.agents import stt, tts, vad
    from livekit.agents.voice import io

    rate = 16_000
    silence = rtc.AudioFrame(bytes(2 * rate // 20), rate, 1, rate // 20)
    spoken: list[str] = []

    class Microphone(io.AudioInput):
        def __init__(self) -> None:
            super().__init__(label='microphone')

        async def __anext__(self) -> rtc.AudioFrame:
            await asyncio.sleep(0.05)
            return silence

    class Detector(vad.VAD):
        """Hears speech when it is told so."""

        def __init__(self) -> None:
            super().__init__(capabilities=vad.VADCapabilities(update_interval=0.05))
            self.speaking = False

        def stream(self) -> vad.VADStream:
            return DetectorStream(self)

    class DetectorStream(vad.VADStream):
        async def _main_task(self) -> None:
            before, since = False, 0.0
            async for frame in self._input_ch:
                if not isinstance(frame, rtc.AudioFrame):
                    continue
                now = self._vad.speaking
                since = 0.05 if now != before else since + 0.05
                lasted = {'speech_duration': since if now else 0.0,
                          'silence_duration': 0.0 if now else since}  # fmt: skip
                if now != before:
                    kind = vad.VADEventType.START_OF_SPEECH if now else (
                        vad.VADEventType.END_OF_SPEECH)  # fmt: skip
                    self._event_ch.send_nowait(
                        vad.VADEvent(type=kind, samples_index=0, timestamp=time.time(),
                                     frames=[frame], speaking=now, **lasted)
                    )  # fmt: skip
                self._event_ch.send_nowait(
                    vad.VADEvent(type=vad.VADEventType.INFERENCE_DONE, samples_index=0,
                                 timestamp=time.time(), frames=[frame], speaking=now,
                                 probability=float(now), **lasted)
                )  # fmt: skip
                before = now

    class Recognizer(stt.STT):
        """Understands what it is given, as a streaming service does."""

        def __init__(self) -> None:
            super().__init__(
                capabilities=stt.STTCapabilities(streaming=True, interim_results=False)
            )
            self.texts: asyncio.Queue[str] = asyncio.Queue()

        async def _recognize_impl(self, *_: object, **__: object) -> stt.SpeechEvent:
            raise NotImplementedError

        def stream(self, *, language=None, conn_options=None) -> stt.RecognizeStream:
            return RecognizerStream(stt=self, conn_options=conn_options)

    class RecognizerStream(stt.RecognizeStream):
        async def _run(self) -> None:
            while True:
                text = await self._stt.texts.get()
                self._event_ch.send_nowait(
                    stt.SpeechEvent(
                        type=stt.SpeechEventType.FINAL_TRANSCRIPT,
                        alternatives=[stt.SpeechData(language='de', text=text)],
                    )
                )

    class Voice(tts.TTS):
        def __init__(self) -> None:
            super().__init__(capabilities=tts.TTSCapabilities(streaming=False),
                             sample_rate=rate, num_channels=1)  # fmt: skip

        def synthesize(self, text: str, *, conn_options=None) -> tts.ChunkedStream:
            return VoiceStream(tts=self, input_text=text, conn_options=conn_options)

    class VoiceStream(tts.ChunkedStream):
        async def _run(self, output_emitter: tts.AudioEmitter) -> None:
            spoken.append(self._input_text)
            output_emitter.initialize(request_id='a', sample_rate=rate, num_channels=1,
                                      mime_type='audio/pcm')  # fmt: skip
            output_emitter.push(bytes(2 * rate // 5))
            output_emitter.flush()

    class Loudspeaker(io.AudioOutput):
        def __init__(self) -> None:
            super().__init__(label='loudspeaker', sample_rate=rate,
                             capabilities=io.AudioOutputCapabilities(pause=False))  # fmt: skip
            self.seconds = 0.0
            self.silenced = 0

        async def capture_frame(self, frame: rtc.AudioFrame) -> None:
            await super().capture_frame(frame)
            if not self.seconds:
                self.on_playback_started(created_at=time.time())
            self.seconds += frame.duration

        def flush(self) -> None:
            super().flush()
            if self.seconds:
                asyncio.get_running_loop().call_later(self.seconds, self.end, False)

        def clear_buffer(self) -> None:
            self.silenced += 1
            self.end(True)

        def end(self, interrupted: bool) -> None:
            seconds, self.seconds = self.seconds, 0.0
            if seconds:
                self.on_playback_finished(playback_position=seconds, interrupted=interrupted)

    async def talk(agent_module) -> None:
        detector, recognizer, loudspeaker = Detector(), Recognizer(), Loudspeaker()
        session = agent_module.make_session(
            stt=recognizer, tts=Voice(), vad=detector, llm=agent_module.make_llm(model.url, 'local')
        )
        topics = agent_module.DialogueTopics()
        agent = agent_module.PromptedAgent(topics)
        agent_module.publish_states(session, topics)
        session.input.audio, session.output.audio = Microphone(), loudspeaker
        await session.start(agent, record=False)
        following = asyncio.create_task(topics.follow(agent))

        async def person_says(text: str) -> None:
            detector.speaking = True
            await asyncio.sleep(0.8)
            detector.speaking = False
            recognizer.texts.put_nowait(text)

        def stopped() -> bool:
            return session.current_speech is None and interrupted

        interrupted: list[bool] = []
        interrupt = session.interrupt
        session.interrupt = lambda: interrupted.append(True) or interrupt()
        try:
            await robot.known(topics)
            await converse(robot, model, person_says, spoken, stopped)
            assert session.current_speech is None
            assert [item.id for item in agent.chat_ctx.items].count('note') == 1
        finally:
            following.cancel()
            await session.aclose()
            topics.close()

    with example('livekit_agent') as agent_module:
        asyncio.run(asyncio.wait_for(talk(agent_module), 120))
