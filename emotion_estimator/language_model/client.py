"""A client of the OpenAI-compatible chat interface, which Ollama, llama.cpp and vLLM serve too."""

from __future__ import annotations

import logging
import socket
import ssl
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emotion_estimator.errors import EmotionEstimatorError, InputError, first_line
from emotion_estimator.untrusted import parse_json, quote

LOG = logging.getLogger(__name__)

#: What can go wrong with an answer, as counted.
FAILURES: tuple[str, ...] = (
    'refused',  # nobody listens at the URL
    'dns',  # its host has no address
    'tls',  # its certificate is not accepted, or it does not speak TLS
    'unreachable',  # any other failure of the connection before the answer
    'timeout',  # no sentence in time, or the answer takes too long
    'rejected',  # status 4xx: key, model or request
    'rate_limit',  # status 429
    'server_error',  # status 5xx, or an error in the stream
    'malformed',  # neither a stream of events nor JSON, or not a chat completion
    'cut_off',  # the stream ended before the answer
    'filtered',  # the server withholds the answer
    'empty',  # no text
    'nonsense',  # text, but nothing that can be said
    'internal',  # a fault of this package
)

#: Maximum number of bytes of an answer that is not streamed, and of a line of one that is.
_LARGEST = 1_000_000
#: Maximum number of bytes of a streamed answer: a word takes some 300 of them, reasoning too.
_LARGEST_STREAM = 16_000_000


class LanguageModelError(EmotionEstimatorError):
    """A model did not answer, or not in a usable way; the message is one line.

    :ivar kind: one of ``FAILURES``.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(' '.join(message.split()))
        self.kind = kind


@dataclass(frozen=True)
class AnswerPiece:
    """What one event of the stream adds.

    :param text: text of the answer, of any length; never reasoning.
    :param finish: why the answer ends ("stop", "length", ...); empty while it goes on.
    :param reasoning: whether the event holds reasoning, which is not part of the answer.
    """

    text: str = ''
    finish: str = ''
    reasoning: bool = False


def require_openai() -> Any:
    """Return the package ``openai``.

    :raises InputError: it is not installed.
    """
    try:
        import openai
    except ImportError as error:
        raise InputError(
            "a language model needs the package openai: pip install 'emotion-estimator[llm]' "
            f'({first_line(error)})'
        ) from None
    return openai


class ChatClient:
    """Asks a server for chat completions, as streams; to be used in one asyncio loop.

    Nothing of the environment is sent but the key: no organisation, no description of this machine.
    """

    def __init__(self, base_url: str, model: str, key: str = '') -> None:
        """Prepare requests; none is sent yet.

        :param base_url: URL of the server, without the ``/chat/completions``.
        :param model: name of the model.
        :param key: the API key; empty sends none.
        :raises InputError: the package ``openai`` is not installed.
        """
        self._openai = require_openai()
        self._url = base_url
        self._model = model
        self._key = key
        #: Whether to log where each request goes and its whole body.
        self.log_requests = False
        self._client = self._openai.AsyncOpenAI(
            # Never None: the package would send a key that the environment has for OpenAI.
            api_key=key or 'none',
            base_url=base_url,
            max_retries=0,
            timeout=None,
            http_client=self._openai.DefaultAsyncHttpxClient(
                event_hooks={
                    'request': [self._before_request],
                    'response': [self._before_reading],
                }
            ),
        )
        self._client.organization = self._client.project = None
        libraries = [sys.modules[name] for name in ('httpx', 'httpx2') if name in sys.modules]
        self._transport_errors = tuple(library.TransportError for library in libraries)
        # Imports what the first request would wait for.
        self._completions = self._client.chat.completions

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def stream(
        self,
        messages: Sequence[dict[str, str]],
        temperature: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> AsyncGenerator[AnswerPiece, None]:
        """Yield an answer piece by piece.

        :param messages: each with ``role`` and ``content``.
        :param temperature: of the sampling; None leaves it to the server.
        :param extra: further fields of the request.
        :raises LanguageModelError: of any kind up to ``filtered``.
        """
        options = {} if temperature is None else {'temperature': temperature}
        begun = False
        try:
            stream = await self._completions.create(
                model=self._model,
                messages=list(messages),
                stream=True,
                extra_body=dict(extra or {}),
                **options,
            )
            begun = True
            try:
                kind = stream.response.headers.get('content-type', '').partition(';')[0].strip()
                if kind == 'application/json':
                    for piece in await self._whole(stream.response):
                        yield piece
                    return
                if kind in ('text/html', 'application/xhtml+xml'):
                    raise LanguageModelError(
                        'malformed', f'{self._url} answers with a page ({kind}); check base_url'
                    )
                async for chunk in stream:
                    for piece in _pieces(getattr(chunk, 'choices', None), 'delta'):
                        yield piece
            finally:
                await stream.close()
        except self._openai.OpenAIError as error:
            raise self._failure(error, begun) from error
        except self._transport_errors as error:
            # Before its version 3 the package let these through.
            raise self._cut_off() from error
        except (ValueError, RecursionError) as error:
            # JSON or UTF-8 that is none, or is nested too deeply.
            raise self._malformed(error) from error
        except (AttributeError, TypeError, KeyError) as error:
            # The package does not check what it takes for a completion.
            raise self._malformed(error) from error

    async def _before_request(self, request: Any) -> None:
        for name in [name for name in request.headers if name.lower().startswith('x-stainless')]:
            del request.headers[name]
        request.headers['User-Agent'] = 'emotion-estimator'
        # A few compressed kilobytes could become gigabytes.
        request.headers['Accept-Encoding'] = 'identity'
        if not self._key:
            request.headers.pop('Authorization', None)
        if self.log_requests:
            body = (await request.aread()).decode(errors='replace')
            # Asked for by a setting, and of no use when cut.
            LOG.info('%s %s %s', request.method, request.url, body, extra={'complete': True})

    async def _before_reading(self, response: Any) -> None:
        """Have an answer end, while it arrives, where it gets too long."""
        if response.headers.get('content-encoding', 'identity').strip().lower() != 'identity':
            raise LanguageModelError(
                'malformed', f'{self._url} answers compressed, which was not asked for'
            )
        library = sys.modules[type(response).__module__.partition('.')[0]]
        response.stream = _limited(response.stream, library.AsyncByteStream, self._url)

    async def _whole(self, response: Any) -> list[AnswerPiece]:
        """Return the answer of a server that does not stream."""
        body = b''
        async for part in response.aiter_bytes():
            body += part
            if len(body) > _LARGEST:
                raise LanguageModelError(
                    'malformed', f'{self._url} answers with over {_LARGEST} bytes'
                )
        answer = parse_json(body, _LARGEST)
        if not isinstance(answer, dict):
            raise TypeError('the answer is not a JSON object')
        if answer.get('error'):
            raise LanguageModelError('server_error', f'{self._url}: {self._clean(answer["error"])}')
        return list(_pieces(answer.get('choices'), 'message'))

    def _failure(self, error: Exception, begun: bool) -> LanguageModelError:
        """Return what an error of the package means."""
        openai, url = self._openai, self._url
        if isinstance(error, openai.APITimeoutError):
            return LanguageModelError('timeout', f'{url} does not answer in time')
        if isinstance(error, openai.APIConnectionError):
            if begun:
                return LanguageModelError(
                    'cut_off', f'{url} ended the connection within the answer'
                )
            return self._unconnected(error)
        status = getattr(error, 'status_code', None)
        message = self._clean(getattr(error, 'body', None) or error)
        if status is None:
            # An error that comes as an event.
            return LanguageModelError('server_error', f'{url}: {message}')
        if status in (401, 403):
            # Without the server's message, which may repeat a part of the key.
            return LanguageModelError(
                'rejected', f'{url} does not accept the API key, or its lack (status {status})'
            )
        if status == 404:
            message = f'{message}; check base_url and model'
        kind = 'rate_limit' if status == 429 else 'server_error' if status >= 500 else 'rejected'
        return LanguageModelError(kind, f'{url}: status {status}: {message}')

    def _cut_off(self) -> LanguageModelError:
        return LanguageModelError('cut_off', f'{self._url} ended the connection within the answer')

    def _unconnected(self, error: BaseException) -> LanguageModelError:
        url = self._url
        for cause in _causes(error):
            if isinstance(cause, ssl.SSLError):
                return LanguageModelError('tls', f'{url}: TLS fails: {first_line(cause)}')
            if isinstance(cause, socket.gaierror):
                return LanguageModelError('dns', f'{url}: the host is unknown: {first_line(cause)}')
            if isinstance(cause, ConnectionRefusedError):
                return LanguageModelError('refused', f'nobody listens at {url}; start the server')
        deepest = [first_line(cause) for cause in _causes(error)][-1]
        return LanguageModelError('unreachable', f'{url} cannot be reached: {deepest}')

    def _malformed(self, error: Exception) -> LanguageModelError:
        return LanguageModelError(
            'malformed', f'{self._url} does not answer as a chat model: {self._clean(error)}'
        )

    def _clean(self, message: object) -> str:
        """Return a server's message on one line, short, and without the key."""
        if isinstance(message, dict):
            message = message.get('message') or message.get('error') or message
        if isinstance(message, dict):
            message = message.get('message') or message
        text = ' '.join(str(message).split())
        if self._key:
            text = text.replace(self._key, '***')
        return quote(text)


def _limited(stream: Any, kind: Any, url: str) -> Any:
    """Return a stream of bytes that fails where the whole, or a line, gets too long.

    :param kind: the class of streams, of the library that made this one.
    """

    class LimitedStream(kind):  # type: ignore[misc]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            whole = line = 0
            async for part in stream:
                whole += len(part)
                begin = part.rfind(b'\n')
                longest = line + (len(part) if begin < 0 else part.find(b'\n'))
                line = line + len(part) if begin < 0 else len(part) - begin - 1
                if whole > _LARGEST_STREAM or longest > _LARGEST:
                    limit = _LARGEST_STREAM if whole > _LARGEST_STREAM else _LARGEST
                    raise LanguageModelError('malformed', f'{url} answers with over {limit} bytes')
                yield part

        async def aclose(self) -> None:
            await stream.aclose()

    return LimitedStream()


def _pieces(choices: Any, name: str) -> Iterator[AnswerPiece]:
    """Yield what the first choice adds; servers send events without any, such as the usage."""
    for choice in choices or ():
        if _get(choice, 'index') not in (None, 0):
            continue
        content = _get(choice, name)
        text, finish = _get(content, 'content'), _get(choice, 'finish_reason')
        if _get(content, 'refusal') or finish == 'content_filter':
            raise LanguageModelError('filtered', 'the server withholds the answer')
        # `reasoning_content`: llama.cpp and older vLLM; `reasoning`: Ollama and vLLM.
        thought = any(_get(content, field) for field in ('reasoning_content', 'reasoning'))
        yield AnswerPiece(
            # Half a surrogate pair cannot be sent on.
            text=text.encode('utf-8', 'ignore').decode() if isinstance(text, str) else '',
            finish=finish if isinstance(finish, str) else '',
            reasoning=thought,
        )


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        seen.append(cause)
        yield cause
        cause = cause.__cause__ or cause.__context__
