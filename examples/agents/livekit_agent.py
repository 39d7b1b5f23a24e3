#!/usr/bin/env python3
"""A voice agent with LiveKit that speaks when the dialogue manager says so.

Needs LiveKit Agents 1.8 or later, a language model at an OpenAI-compatible address (here Ollama's),
and a server for speech that has OpenAI's audio interface (such as speaches). Microphone and
loudspeaker are those of this machine with `console`, a LiveKit room's with `dev` or `start`:

    pip install livekit-agents livekit-plugins-openai
    python examples/agents/livekit_agent.py console

The addresses and models are in the environment: LLM_URL, LLM_MODEL, SPEECH_URL, STT_MODEL,
TTS_MODEL, VOICE.
"""

import asyncio
import os
from collections.abc import AsyncIterator

from dialogue_topics import INSTRUCTIONS, DialogueTopics
from livekit.agents import (
    Agent,
    AgentServer,
    AgentSession,
    APIConnectOptions,
    JobContext,
    ModelSettings,
    StopResponse,
    cli,
    llm,
)
from livekit.agents.voice import AgentStateChangedEvent, SpeechHandle, UserStateChangedEvent
from livekit.agents.voice.agent_session import SessionConnectOptions
from livekit.plugins import openai

#: Seconds of silence after which a turn is over: at least, and where more seems to come.
TURN_ENDS_AFTER = {'min_delay': 1.2, 'max_delay': 3.0}

server = AgentServer()


class PromptedAgent(Agent):
    """Keeps quiet when the person ends a turn, and speaks when the dialogue manager prompts it.

    The manager hears of each turn, decides, and sends a prompt where something is to be said.
    """

    def __init__(self, topics: DialogueTopics) -> None:
        super().__init__(instructions=INSTRUCTIONS)
        self._topics = topics
        self._waiting: set[asyncio.Task[None]] = set()

    async def note(self, text: str) -> None:
        """Put ``text`` in the place of the last note."""
        context = self.chat_ctx.copy()
        context.items = [item for item in context.items if item.id != 'note']
        context.items.append(llm.ChatMessage(id='note', role='system', content=[text]))
        await self.update_chat_ctx(context)

    async def prompt(self, text: str, fallback: str) -> None:
        """Have the model speak now."""
        # Added to the agent's own instructions for this reply alone.
        reply = self.session.generate_reply(instructions=text)
        waiting = asyncio.create_task(self._say_if_it_fails(reply, fallback))
        self._waiting.add(waiting)
        waiting.add_done_callback(self._waiting.discard)

    async def stop(self) -> None:
        """Fall silent."""
        await self.session.interrupt()

    async def _say_if_it_fails(self, reply: SpeechHandle, fallback: str) -> None:
        await reply
        if reply.exception() is not None and not reply.interrupted and fallback:
            self._topics.robot_said(fallback)
            self.session.say(fallback)

    async def on_user_turn_completed(
        self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage
    ) -> None:
        """Remember what the person said, and leave the reply to the dialogue manager."""
        context = self.chat_ctx.copy()
        context.items.append(new_message)
        await self.update_chat_ctx(context)
        self._topics.user_said(new_message.text_content or '')
        raise StopResponse

    async def llm_node(
        self,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool],
        model_settings: ModelSettings,
    ) -> AsyncIterator[llm.ChatChunk | str]:
        """Publish the words of a reply once the model has ended it."""
        words = ''
        async for chunk in Agent.default.llm_node(self, chat_ctx, tools, model_settings):
            if isinstance(chunk, llm.ChatChunk) and chunk.delta and chunk.delta.content:
                words += chunk.delta.content
            yield chunk
        self._topics.robot_said(words)


def publish_states(session: AgentSession, topics: DialogueTopics) -> None:
    """Publish who speaks."""

    @session.on('user_state_changed')
    def _(event: UserStateChangedEvent) -> None:
        if 'speaking' in (event.old_state, event.new_state):
            topics.user_speaking(event.new_state == 'speaking')

    @session.on('agent_state_changed')
    def _(event: AgentStateChangedEvent) -> None:
        if 'speaking' in (event.old_state, event.new_state):
            topics.robot_speaking(event.new_state == 'speaking')


def make_session(**parts: object) -> AgentSession:
    """Return a session that does not guess replies before the dialogue manager wants one.

    :param parts: ``stt``, ``llm``, ``tts``, ``vad``.
    """
    return AgentSession(
        turn_handling={
            'turn_detection': 'vad',
            'endpointing': TURN_ENDS_AFTER,
            'interruption': {'mode': 'vad'},
            'preemptive_generation': {'enabled': False},
        },
        # A model that fails is tried once more; then the manager's own words are better than
        # silence, however often that happens.
        conn_options=SessionConnectOptions(
            llm_conn_options=APIConnectOptions(max_retry=1, retry_interval=0.5, timeout=8.0),
            max_unrecoverable_errors=1_000_000,
        ),
        **parts,
    )


def make_llm(url: str, model: str) -> openai.LLM:
    """Return the language model at an OpenAI-compatible address."""
    return openai.LLM.with_ollama(base_url=url, model=model)


@server.rtc_session()
async def talk(job: JobContext) -> None:
    """Talk until the session ends."""
    setting = os.environ.get
    speech = {'base_url': setting('SPEECH_URL', 'http://localhost:8000/v1'), 'api_key': 'local'}
    session = make_session(
        stt=openai.STT(model=setting('STT_MODEL', 'Systran/faster-whisper-small'), **speech),
        llm=make_llm(
            setting('LLM_URL', 'http://localhost:11434/v1'), setting('LLM_MODEL', 'llama3.2')
        ),
        tts=openai.TTS(
            model=setting('TTS_MODEL', 'speaches-ai/Kokoro-82M-v1.0-ONNX'),
            voice=setting('VOICE', 'af_heart'),
            **speech,
        ),
    )
    topics = DialogueTopics()
    agent = PromptedAgent(topics)
    publish_states(session, topics)
    await session.start(agent, room=job.room, record=False)
    following = asyncio.create_task(topics.follow(agent))

    async def leave() -> None:
        following.cancel()
        topics.close()

    job.add_shutdown_callback(leave)


if __name__ == '__main__':
    cli.run_app(server)
