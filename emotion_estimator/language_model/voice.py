"""A language model that speaks when prompted, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from emotion_estimator.dialogue.prompt import SpeakingPrompt
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.language_model.answer import SpokenAnswer
from emotion_estimator.language_model.client import (
    AnswerPiece,
    ChatClient,
    LanguageModelError,
)
from emotion_estimator.language_model.messages import SYSTEM, ChatHistory, chat_messages
from emotion_estimator.settings import LanguageModelSettings
from emotion_estimator.untrusted import cannot_read, quote, read_in_time

LOG = logging.getLogger(__name__)

#: Maximum number of characters of a system prompt file.
_LARGEST = 20_000

#: Notes of an answer that are worth a line.
_NOTES = {
    'too_long': 'the answer is longer than {max_words} words; the rest is not said',
    'repeats': 'the model repeats itself; the rest is not said',
    'speaks_for_person': 'the model goes on to speak for the person; the rest is not said',
    'thinks_aloud': 'the model thinks aloud, which is not always recognised in time; switch its '
    "thinking off, or the server's reasoning parser on",
}


class LanguageVoice:
    """Has a language model answer prompts, and says its sentences one by one.

    Only the newest prompt is answered. Where no sentence comes in time the prompt's fallback is
    said. All methods return at once; the requests are made in a thread of this object.
    """

    def __init__(
        self, settings: LanguageModelSettings, say: Callable[[str], None], key: str = ''
    ) -> None:
        """Start the thread; nothing is sent before the first prompt.

        :param settings: server, model and limits.
        :param say: called in the thread with each sentence.
        :param key: the API key; empty sends none.
        :raises InputError: the package ``openai`` is not installed, or the system prompt file
            cannot be used.
        """
        #: May be replaced at any time; server, model and history stay.
        self.settings = settings
        #: Counts: prompts whose answer has ended; requests; sentences; answers that were
        #: cancelled; and the fallbacks and failures by kind.
        self.answered = self.requests = self.sentences = self.cancelled = 0
        self.fallbacks: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        #: Seconds to the first sentence of the last answer; None before the first.
        self.first_sentence: float | None = None
        #: Why the last answer failed, in one line; empty if it did not.
        self.problem = ''
        self._system = _system_prompt(settings.system_prompt_file)
        self._client = ChatClient(settings.base_url, settings.model, key)
        self._say = say
        self._history = ChatHistory(settings.history_turns)
        #: Held while a sentence is said, so that none is once `cancel` has returned.
        self._lock = threading.Lock()
        self._newest = 0
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.new_event_loop()
        # Looking a host up cannot be interrupted.
        self._loop.set_default_executor(_DaemonExecutor())
        self._thread = threading.Thread(target=self._run, name='language model', daemon=True)
        self._thread.start()

    def speak(self, prompt: SpeakingPrompt) -> None:
        """Answer a prompt; the answer to an earlier one ends."""
        number = self._supersede()
        self._call(self._start, number, prompt)

    def cancel(self) -> None:
        """Fall silent: once this has returned, nothing more of the present answer is said."""
        self._supersede()
        self._call(self._stop_task)

    def person_said(self, text: str) -> None:
        """Record what the person said."""
        self._call(self._history.person_said, text)

    def close(self, timeout: float = 0.5) -> None:
        """Fall silent and end the thread, in ``timeout`` seconds at most."""
        self._supersede()
        if self._loop.is_closed():
            return
        self._call(self._stop_task)
        self._call(self._loop.stop)
        self._thread.join(timeout)

    # In the thread.

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        with contextlib.suppress(Exception):
            if tasks:
                self._loop.run_until_complete(asyncio.wait(tasks, timeout=0.2))
            self._loop.run_until_complete(asyncio.wait_for(self._client.close(), 0.1))
        self._loop.close()

    def _start(self, number: int, prompt: SpeakingPrompt) -> None:
        self._stop_task()
        if number == self._newest:
            if prompt.line == 'start':
                # Another conversation, perhaps with another person.
                self._history.clear()
            self._task = self._loop.create_task(self._answer(number, prompt))

    def _stop_task(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self.cancelled += 1

    async def _answer(self, number: int, prompt: SpeakingPrompt) -> None:
        """Say the model's answer, or what replaces it."""
        answer = SpokenAnswer(self.settings.max_words)
        said: list[str] = []

        def say(sentence: str) -> None:
            if self._say_newest(number, sentence):
                said.append(sentence)

        kind = ''
        try:
            if prompt.instruction.strip():
                kind = await self._request(prompt, answer, say)
            if not said and prompt.fallback.strip():
                say(' '.join(prompt.fallback.split()))
                self.fallbacks[kind or 'no_instruction'] += len(said)
            if prompt.disclosure and not _contains(said, prompt.disclosure):
                # A model may leave it out, and it must be said.
                say(' '.join(prompt.disclosure.split()))
        finally:
            if said:
                self._history.robot_said(' '.join(said))
            if number == self._newest:
                self._task = None
                self.answered += 1

    async def _request(
        self, prompt: SpeakingPrompt, answer: SpokenAnswer, say: Callable[[str], None]
    ) -> str:
        """Say the model's answer; return the kind of what went wrong, or an empty text."""
        self.requests += 1
        begin = self._loop.time()
        first = True
        self._client.log_requests = self.settings.log_requests
        messages = chat_messages(prompt, self._history, self._system)
        try:
            async with contextlib.aclosing(self._sentences(messages, answer, begin)) as sentences:
                async for sentence in sentences:
                    say(sentence)
                    if first:
                        self.first_sentence, first = self._loop.time() - begin, False
            self._check(answer)
        except LanguageModelError as error:
            return self._failed(error, answer)
        except Exception as error:
            # The conversation must go on, whatever fails in a library.
            message = f'{type(error).__name__}: {first_line(error)}'
            return self._failed(LanguageModelError('internal', message), answer)
        self.problem = ''
        note = _NOTES.get(answer.note)
        if note:
            LOG.info(note.format(max_words=self.settings.max_words))
        return ''

    async def _sentences(
        self, messages: list[dict[str, str]], answer: SpokenAnswer, begin: float
    ) -> AsyncGenerator[str, None]:
        """Yield the sentences of an answer as they are complete.

        :raises LanguageModelError: of any kind but ``empty``, ``nonsense`` and ``internal``.
        """
        temperature = self.settings.temperature
        finish = ''
        stream = self._client.stream(
            messages,
            temperature if temperature >= 0 else None,
            self.settings.extra_fields(),
        )
        try:
            while not answer.done:
                piece = await self._next(stream, answer, begin)
                if piece is None:
                    break
                finish = piece.finish or finish
                answer.reasoned = answer.reasoned or piece.reasoning
                for sentence in answer.feed(piece.text):
                    yield sentence
        finally:
            # Where the answer is cut this ends the connection, and so the server's work.
            await stream.aclose()
        complete = finish not in ('', 'length')
        for sentence in answer.finish(complete):
            yield sentence
        if not complete and not answer.said and answer.received:
            raise LanguageModelError(
                'cut_off', f'{self.settings.base_url} ended the answer within its first sentence'
            )

    async def _next(
        self, stream: AsyncGenerator[AnswerPiece, None], answer: SpokenAnswer, begin: float
    ) -> AnswerPiece | None:
        """Return the next piece, None at the end.

        :raises LanguageModelError: it is not there in time, or as ``ChatClient.stream``.
        """
        settings = self.settings
        limit = settings.total_timeout if answer.said else settings.timeout
        left = begin + limit - self._loop.time()
        try:
            return await asyncio.wait_for(anext(stream), max(left, 0))
        except StopAsyncIteration:
            return None
        except (asyncio.TimeoutError, TimeoutError):
            what = 'has not ended its answer' if answer.said else 'has said nothing'
            raise LanguageModelError(
                'timeout', f'{settings.base_url} {what} after {limit:g} s'
            ) from None

    def _check(self, answer: SpokenAnswer) -> None:
        """Raise if nothing came of an answer that arrived as it should."""
        if answer.said:
            return
        who = f'{self.settings.model} at {self.settings.base_url}'
        if answer.received:
            raise LanguageModelError('nonsense', f'{who} answers nothing that can be said')
        hint = ', only reasoning; switch its thinking off' if answer.reasoned else ''
        raise LanguageModelError('empty', f'{who} answers with no text{hint}')

    def _failed(self, error: LanguageModelError, answer: SpokenAnswer) -> str:
        self.failures[error.kind] += 1
        self.problem = str(error)
        LOG.warning('%s%s', error, ' (the beginning was said)' if answer.said else '')
        return error.kind

    # From any thread.

    def _say_newest(self, number: int, sentence: str) -> bool:
        """Say a sentence, unless its answer has been cancelled; tell whether it was said."""
        with self._lock:
            if number != self._newest:
                return False
            self._say(sentence)
            self.sentences += 1
            return True

    def _supersede(self) -> int:
        with self._lock:
            self._newest += 1
            return self._newest

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        # The loop is closed once `close` has been called.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)


class _DaemonExecutor(ThreadPoolExecutor):
    """Runs each call in a thread that nobody waits for, at the end of the process either."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=call, daemon=True).start()
        return future


def _system_prompt(path: str) -> str:
    """Return the robot's rules, from a file if one is given.

    :raises InputError: the file cannot be read, or is empty or too long.
    """
    if not path:
        return SYSTEM
    try:
        # A character takes up to four bytes.
        text = read_in_time(Path(path).expanduser(), 4 * _LARGEST).decode().strip()
    except (OSError, RuntimeError, ValueError) as error:
        # RuntimeError: ~somebody is unknown. ValueError: not UTF-8, or a null byte in the name.
        raise cannot_read(
            'system_prompt_file', path, error, InputError, 'pass a text file in UTF-8'
        ) from error
    if not 0 < len(text) <= _LARGEST:
        raise InputError(
            f'system_prompt_file {quote(path)} has {len(text)} characters; write 1 to {_LARGEST}'
        )
    return text


def _contains(said: list[str], sentence: str) -> bool:
    """Return whether a sentence was said, but for punctuation and case."""
    spoken = _letters(' '.join(said))
    return _letters(sentence) in spoken


def _letters(text: str) -> str:
    return ''.join(c for c in text.casefold() if c.isalnum())
