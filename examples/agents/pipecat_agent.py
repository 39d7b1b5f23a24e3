#!/usr/bin/env python3
"""A voice agent with Pipecat that speaks when the dialogue manager says so.

Needs Pipecat 1.14 or later, a language model at an OpenAI-compatible address (here Ollama's), and a
server for speech that has OpenAI's audio interface (such as speaches), all on this machine:

    pip install 'pipecat-ai[local]'
    python examples/agents/pipecat_agent.py --model llama3.2
"""

import argparse
import asyncio
from collections.abc import Sequence

from dialogue_topics import INSTRUCTIONS, DialogueTopics
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    LLMContextUserTurnFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import LLMService
from pipecat.services.ollama.llm import OLLamaLLMService
from pipecat.turns.user_start import VADUserTurnStartStrategy
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

#: Seconds of silence after which a turn is over; people who think need longer than Pipecat's 0.6.
TURN_ENDS_AFTER = 1.2


class PromptedReplies(FrameProcessor):
    """Stands before the language model, and lets it reply to the dialogue manager alone.

    The aggregator in front of it asks for a reply whenever the person ends a turn. That is held
    back: the manager hears of the turn, decides, and sends a prompt where something is to be said.
    """

    def __init__(self, context: LLMContext, topics: DialogueTopics) -> None:
        super().__init__()
        self._context, self._topics = context, topics
        self._note: dict = {}
        self._prompt: dict = {}
        self._fallback = ''

    async def note(self, text: str) -> None:
        """Put ``text`` in the place of the last note."""
        self._note = self._replace(self._note, text)

    async def prompt(self, text: str, fallback: str) -> None:
        """Have the model speak now."""
        self._prompt, self._fallback = self._replace(self._prompt, text), fallback
        await self.push_frame(LLMContextFrame(self._context))

    async def stop(self) -> None:
        """Fall silent."""
        self._fallback = ''
        await self.broadcast_interruption()

    def _replace(self, old: dict, text: str) -> dict:
        """Replace a message of the context by one at its end, where models heed it most."""
        # Where a model has no such role, Pipecat sends it as if the person had said it.
        new = {'role': 'developer', 'content': f'(From the dialogue manager, not spoken.)\n{text}'}
        kept = [message for message in self._context.messages if message is not old]
        self._context.set_messages([*kept, new])
        return new

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Hold back requests for a reply; publish who speaks, and what the person said."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame) and direction is FrameDirection.DOWNSTREAM:
            return
        if isinstance(frame, (UserStartedSpeakingFrame, UserStoppedSpeakingFrame)):
            self._topics.user_speaking(isinstance(frame, UserStartedSpeakingFrame))
        elif isinstance(frame, (BotStartedSpeakingFrame, BotStoppedSpeakingFrame)):
            self._topics.robot_speaking(isinstance(frame, BotStartedSpeakingFrame))
        elif isinstance(frame, LLMContextUserTurnFrame):
            self._topics.user_said(frame.text)
        await self.push_frame(frame, direction)
        if isinstance(frame, ErrorFrame) and isinstance(frame.processor, LLMService):
            words, self._fallback = self._fallback, ''
            if words:
                await self.push_frame(TTSSpeakFrame(words))


class SpokenWords(FrameProcessor):
    """Stands behind the language model, and publishes its words."""

    def __init__(self, topics: DialogueTopics) -> None:
        super().__init__()
        self._topics = topics
        self._words = ''

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Collect the words of a reply."""
        await super().process_frame(frame, direction)
        if isinstance(frame, (LLMFullResponseStartFrame, InterruptionFrame)):
            self._words = ''
        elif isinstance(frame, LLMTextFrame):
            self._words += frame.text
        elif isinstance(frame, LLMFullResponseEndFrame):
            self._topics.robot_said(self._words)
        elif isinstance(frame, TTSSpeakFrame):
            self._topics.robot_said(frame.text)
        await self.push_frame(frame, direction)


def make_pipeline(
    topics: DialogueTopics,
    llm: LLMService,
    ears: Sequence[FrameProcessor],
    mouth: Sequence[FrameProcessor],
    vad: SileroVADAnalyzer | None = None,
) -> tuple[Pipeline, PromptedReplies]:
    """Return the pipeline, and the part of it that the dialogue manager prompts.

    :param ears: from the microphone to transcripts.
    :param mouth: from text to the loudspeaker.
    :param vad: voice activity detection for the microphone's audio.
    """
    context = LLMContext()
    user, assistant = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(
            vad_analyzer=vad,
            user_turn_strategies=UserTurnStrategies(
                start=[VADUserTurnStartStrategy()],
                stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=TURN_ENDS_AFTER)],
            ),
            # Whether to answer a turn without words is the dialogue manager's decision too.
            empty_user_turn=None,
        ),
    )
    replies = PromptedReplies(context, topics)
    parts = [*ears, user, replies, llm, SpokenWords(topics), *mouth, assistant]
    return Pipeline(parts), replies


def make_llm(url: str, model: str) -> OLLamaLLMService:
    """Return the language model at an OpenAI-compatible address."""
    settings = OLLamaLLMService.Settings(model=model, system_instruction=INSTRUCTIONS)
    return OLLamaLLMService(base_url=url, settings=settings)


async def run(topics: DialogueTopics, pipeline: Pipeline, replies: PromptedReplies) -> None:
    """Run until the pipeline ends."""
    worker = PipelineWorker(pipeline, cancel_on_idle_timeout=False)
    started = asyncio.Event()

    @worker.event_handler('on_pipeline_started')
    async def _(*_: object) -> None:
        started.set()

    async def follow() -> None:
        # Processors drop what comes before the pipeline has started.
        await started.wait()
        await topics.follow(replies)

    runner = WorkerRunner()
    await runner.add_workers(worker)
    following = asyncio.create_task(follow())
    try:
        await runner.run()
    finally:
        following.cancel()


async def main() -> None:
    """Talk by microphone and loudspeaker until Ctrl-C."""
    # Needs PortAudio; the rest of this file does not.
    from pipecat.services.openai.stt import OpenAISTTService
    from pipecat.services.openai.tts import OpenAITTSService
    from pipecat.transports.local.audio import LocalAudioTransport, LocalAudioTransportParams

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--model', default='llama3.2')
    parser.add_argument('--llm-url', default='http://localhost:11434/v1')
    parser.add_argument('--speech-url', default='http://localhost:8000/v1')
    parser.add_argument('--stt-model', default='Systran/faster-whisper-small')
    parser.add_argument('--tts-model', default='speaches-ai/Kokoro-82M-v1.0-ONNX')
    parser.add_argument('--voice', default='af_heart')
    options = parser.parse_args()
    audio = LocalAudioTransport(
        LocalAudioTransportParams(audio_in_enabled=True, audio_out_enabled=True)
    )
    stt = OpenAISTTService(
        base_url=options.speech_url,
        api_key='local',
        settings=OpenAISTTService.Settings(model=options.stt_model),
    )
    tts = OpenAITTSService(
        base_url=options.speech_url,
        api_key='local',
        settings=OpenAITTSService.Settings(model=options.tts_model, voice=options.voice),
    )
    topics = DialogueTopics()
    try:
        pipeline, replies = make_pipeline(
            topics,
            make_llm(options.llm_url, options.model),
            [audio.input(), stt],
            [tts, audio.output()],
            SileroVADAnalyzer(),
        )
        await run(topics, pipeline, replies)
    finally:
        topics.close()


if __name__ == '__main__':
    asyncio.run(main())
