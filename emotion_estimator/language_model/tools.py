"""Tools for language models: what a model may ask the robot, declared once for every protocol."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from emotion_estimator.dialogue.context import ABOUT
from emotion_estimator.dialogue.debounce import DebouncedEmotion
from emotion_estimator.dialogue.observation import number, oddity
from emotion_estimator.emotion import NONE, FaceEmotion
from emotion_estimator.untrusted import parse_json

#: Maximum number of characters of a topic's id or name.
MAX_TOPIC = 200

#: Seconds after which what was heard last no longer describes the present.
_OLD = 3.0

#: Seconds to wait for the first message: discovery takes up to one after the start.
_PATIENCE = 2.0

#: Seconds between two looks for it.
_LOOK = 0.05

#: Seconds without a face after which nobody is in view, as in ``dialogue.context``.
_ABSENT = 1.0

#: Maximum number of characters of a label, a face id, and a line of an answer.
_NAME, _LINE = 40, 500

#: Maximum number of characters of a context; the dialogue manager's are below 6,000.
_CONTEXT = 65_536

#: Maximum number of labels with a probability; models have three to eight.
_LABELS = 20

_WARNING = (
    'These are estimates of facial expression by a camera, often wrong, and never what somebody '
    'feels: do not tell the person how they feel; where it seems to matter, ask.'
)


@dataclass(frozen=True)
class AgentTool:
    """A tool as a language model sees it.

    :param description: for the model: what the tool gives, and what it does not.
    :param parameters: JSON schema of its arguments, an object.
    :param result: JSON schema of what it returns, an object.
    :param acts: whether a call changes anything.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    result: Mapping[str, Any]
    acts: bool = False


def _object(properties: dict[str, Any], closed: bool = False) -> dict[str, Any]:
    schema = {'type': 'object', 'properties': properties, 'required': list(properties)}
    return {**schema, 'additionalProperties': False} if closed else schema


_AGE = {
    'type': 'number',
    'minimum': 0,
    'description': 'Seconds since this was received from the robot.',
}
_CURRENT = {
    'type': 'boolean',
    'description': f'False when it is more than {_OLD:.0f} s old and no longer describes the '
    'present.',
}

#: Every tool, in the order in which models see them.
TOOLS = (
    AgentTool(
        'get_emotion',
        'Return the present facial expression of the person in front of the robot, as estimated '
        f'from camera images. {_WARNING} "unknown" means neutral or hard to read, "none" that '
        'nobody is in view or nothing is certain yet. Gives no image.',
        _object({}, closed=True),
        _object(
            {
                'about': {'type': 'string', 'description': 'What these numbers are.'},
                'summary': {'type': 'string', 'description': 'The same in one sentence.'},
                'age': _AGE,
                'current': _CURRENT,
                'present': {'type': 'boolean', 'description': 'Whether a face is in view.'},
                'label': {
                    'type': 'string',
                    'description': 'Expression that has lasted, such as happy, sad or unknown; '
                    'none while nobody is in view or nothing is certain yet.',
                },
                'seconds': {
                    'type': 'number',
                    'minimum': 0,
                    'description': 'How long the expression has lasted.',
                },
                'confidence': {
                    'type': 'number',
                    'minimum': 0,
                    'maximum': 1,
                    'description': 'Mean probability of the label according to the model.',
                },
                'probabilities': {
                    'type': 'object',
                    'additionalProperties': {'type': 'number', 'minimum': 0, 'maximum': 1},
                    'description': 'Of each label in the latest image alone; empty without a face.',
                },
                'face_id': {
                    'type': 'string',
                    'description': 'Stays the same while the face is in view; names nobody.',
                },
            }
        ),
    ),
    AgentTool(
        'get_context',
        'Return the recent course of the conversation: expressions of the last minute, presence, '
        f'topic, tone, and what the robot did last, with a summary in English. {_WARNING}',
        _object({}, closed=True),
        _object(
            {
                'age': _AGE,
                'current': _CURRENT,
                'context': {
                    'type': 'object',
                    'description': 'Content of dialogue/context (docs/dialogue.md); "summary" '
                    'has it in sentences.',
                },
            }
        ),
    ),
    AgentTool(
        'choose_topic',
        'Make the robot talk about another topic, now. Use it when the person asks for a topic. '
        'If there is no such topic, the answer lists those that there are.',
        _object(
            {
                'topic': {
                    'type': 'string',
                    'minLength': 1,
                    'maxLength': MAX_TOPIC,
                    'description': 'The id of the topic, or its name as it is spoken of.',
                }
            },
            closed=True,
        ),
        _object(
            {
                'topic': {'type': 'string', 'description': 'As it was asked for.'},
                'says': {
                    'type': 'string',
                    'description': 'What the robot says now; the name of its action if it '
                    'leaves the words to somebody else.',
                },
            }
        ),
        acts=True,
    ),
)


def function_list() -> list[dict[str, Any]]:
    """Return the tools as the ``tools`` of OpenAI's chat completions, which others accept too."""
    return [
        {
            'type': 'function',
            'function': {
                'name': tool.name,
                'description': tool.description,
                'parameters': dict(tool.parameters),
            },
        }
        for tool in TOOLS
    ]


@dataclass(frozen=True)
class ToolAnswer:
    """What a call of a tool returns.

    :param text: one line for the model: the result as JSON, or what went wrong.
    :param data: the result by the tool's schema; None if the call failed.
    """

    text: str
    data: dict[str, Any] | None = None

    @property
    def failed(self) -> bool:
        """Return whether the call failed."""
        return self.data is None


#: Asks the robot for a topic; returns whether it agreed and what it says, or why not.
TopicRequest = Callable[[str], Awaitable[tuple[bool, str]]]


class AgentToolbox:
    """Answers calls of the tools from what was heard last.

    ``hear_emotion`` and ``hear_context`` may be called in any thread, ``call`` in an event loop.
    Nothing that is heard or asked raises, and every wait is bounded.
    """

    def __init__(
        self,
        choose_topic: TopicRequest,
        *,
        emotions: str = '/emotion',
        contexts: str = '/dialogue/context',
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin without having heard anything.

        :param choose_topic: asks the robot; must return within a bounded time.
        :param emotions: name of the topic of emotions, for error messages.
        :param contexts: name of the topic of contexts, for error messages.
        :param clock: seconds for ages; the stamps of a replayed bag may be years old.
        """
        self._choose_topic = choose_topic
        self._emotions, self._contexts = emotions, contexts
        self._clock = clock
        self._lock = threading.Lock()
        self._expression = DebouncedEmotion()
        self._face: FaceEmotion | None = None
        self._stamp = self._face_at = -math.inf
        self._emotion_heard: float | None = None
        self._context: tuple[float, str] | None = None

    def hear_emotion(self, face: FaceEmotion | None, stamp: float) -> None:
        """Take the primary face of an image; None for nobody. ``stamp`` is in seconds."""
        stamp = number(stamp)
        with self._lock:
            self._emotion_heard = self._clock()
            self._face = face
            self._expression(face, stamp)
            if math.isfinite(stamp):
                if face is not None:
                    self._face_at = stamp
                elif stamp < self._stamp:
                    self._face_at = -math.inf
                self._stamp = stamp

    def hear_context(self, text: str) -> None:
        """Take a message of ``dialogue/context``."""
        with self._lock:
            self._context = self._clock(), text

    async def call(self, name: str, arguments: Mapping[str, Any] | None) -> ToolAnswer:
        """Return the answer to a call of the tool ``name``.

        :raises KeyError: there is no such tool.
        """
        tool = {tool.name: tool for tool in TOOLS}[name]
        given = dict(arguments or {})
        problem = _wrong(tool, given)
        if problem:
            return ToolAnswer(problem)
        if name == 'choose_topic':
            return await self._ask_for(given['topic'].strip())
        if name == 'get_context':
            await self._wait_until(lambda: self._context is not None)
            return self._recent_context()
        await self._wait_until(lambda: self._emotion_heard is not None)
        return self._present_emotion()

    async def _wait_until(self, done: Callable[[], bool]) -> None:
        for _ in range(round(_PATIENCE / _LOOK)):
            if done():
                return
            await asyncio.sleep(_LOOK)

    def _present_emotion(self) -> ToolAnswer:
        with self._lock:
            if self._emotion_heard is None:
                return _nothing(self._emotions, 'the estimator')
            age = round(max(self._clock() - self._emotion_heard, 0.0), 1)
            expression, stamp = self._expression, self._stamp
            since = expression.since
            data: dict[str, Any] = {
                'about': ABOUT,
                'age': age,
                'current': age <= _OLD,
                'present': stamp - self._face_at <= _ABSENT,
                'label': expression.label[:_NAME],
                'seconds': 0.0 if since is None else round(max(stamp - since, 0.0), 1),
                'confidence': round(expression.confidence, 2),
                'probabilities': _probabilities(self._face),
                'face_id': expression.face_id[:_NAME],
            }
        data['summary'] = _sentence(data)
        return _result(data)

    def _recent_context(self) -> ToolAnswer:
        with self._lock:
            if self._context is None:
                return _nothing(self._contexts, 'the dialogue manager')
            heard, text = self._context
            age = round(max(self._clock() - heard, 0.0), 1)
        if len(text) > _CONTEXT:
            return ToolAnswer(
                f'{self._contexts} is {len(text)} characters long, more than {_CONTEXT}; is it '
                "the dialogue manager's?"
            )
        try:
            context = parse_json(text)
        except ValueError:
            context = None
        if not isinstance(context, dict):
            return ToolAnswer(
                f"{self._contexts} holds no JSON object; is it the dialogue manager's?"
            )
        return _result({'age': age, 'current': age <= _OLD, 'context': context})

    async def _ask_for(self, topic: str) -> ToolAnswer:
        agreed, said = await self._choose_topic(topic)
        said = _one_line(said)
        return _result({'topic': topic, 'says': said}) if agreed else ToolAnswer(said)


def _wrong(tool: AgentTool, given: Mapping[str, Any]) -> str:
    """Return what is wrong with a call's arguments, in one line; empty when nothing is."""
    wanted = tool.parameters['properties']
    for name in given:
        if name not in wanted:
            takes = f'only {", ".join(wanted)}' if wanted else 'no arguments'
            return f'{tool.name} takes {takes}, not {_one_line(name)[:_NAME]!r}'
    if 'topic' not in wanted:
        return ''
    ask = f'{tool.name} needs topic: the id of a topic, or its name as it is spoken of'
    topic = given.get('topic')
    if not isinstance(topic, str):
        kind = 'nothing' if topic is None else f'a JSON {_json_kind(topic)}'
        return f'{ask}; it got {kind}'
    if len(topic) > MAX_TOPIC:
        return f'{ask}, of {MAX_TOPIC} characters at most; it got {len(topic)}'
    # A ROS string ends at the first NUL and holds no lone surrogates; no name has line breaks.
    if any(unicodedata.category(character) in ('Cc', 'Cs') for character in topic.strip()):
        return f'{ask}, without control characters'
    return '' if topic.strip() else f'{ask}; it is empty'


def _json_kind(value: object) -> str:
    if isinstance(value, bool):
        return 'boolean'
    if isinstance(value, (int, float)):
        return 'number'
    return 'array' if isinstance(value, list) else 'object'


def _nothing(topic: str, node: str) -> ToolAnswer:
    return ToolAnswer(
        f'nothing has been heard on {topic}; is {node} running, with the same ROS_DOMAIN_ID?'
    )


def _result(data: dict[str, Any]) -> ToolAnswer:
    return ToolAnswer(json.dumps(data, ensure_ascii=False), data)


def _sentence(data: Mapping[str, Any]) -> str:
    if not data['current']:
        return f'There has been no estimate for {data["age"]:.0f} s; the rest is as old.'
    if not data['present']:
        return 'Nobody is in view.'
    if data['label'] == NONE:
        return 'A face is in view; its expression is not clear yet.'
    looks = {'unknown': 'neutral or hard to read'}.get(data['label'], data['label'])
    return (
        f'The expression of the face in view has looked {looks} for {data["seconds"]:.0f} s '
        f'(confidence {data["confidence"]:.2f}; often wrong).'
    )


def _probabilities(face: FaceEmotion | None) -> dict[str, float]:
    """Return each label's probability in the latest image; nothing if they make no sense."""
    if face is None or oddity(face) or len(face.labels) > _LABELS:
        return {}
    return {
        label[:_NAME]: min(round(float(part), 2), 1.0)
        for label, part in zip(face.labels, face.probabilities)
    }


def _one_line(text: str) -> str:
    """Return ``text`` on one line, shortened, without what JSON cannot carry."""
    text = ' '.join(text.encode('utf-8', 'replace').decode('utf-8').split())
    return text if len(text) <= _LINE else f'{text[: _LINE - 3]}...'
