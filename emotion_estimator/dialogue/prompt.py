"""The content of ``dialogue/prompt``: a language model should speak now, and about what."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.observation import number
from emotion_estimator.errors import InputError
from emotion_estimator.untrusted import parse_json, quote

#: Incremented when a field is removed or changes its meaning; new fields may be added at any time.
VERSION = 1

#: What the model should do, by kind of line; kinds that are missing take the action's.
TASKS: Mapping[str, str] = {
    'start': 'Greet the person, whom you have not met yet, and ask an easy question about the '
    'topic.',
    'resume': 'Welcome the person back in a few words and return to the topic.',
    'take_up': 'The person left while you were speaking and is back now. Welcome them, and say '
    'what you were about to say.',
    'answer': 'Show in a few words that you heard what the person said, then ask about it.',
    'again': 'The person has not heard or understood you. Say your last sentence again, more '
    'simply.',
    'glad_answer': 'Respond cheerfully, in a few words, to what the person said, then ask about '
    'it.',
    'smile': 'Say something friendly about the topic. Do not remark on a smile.',
    'prompt': 'Your last question was not answered. Ask again, more simply or from another side. '
    'Do not mention the silence, and do not respond as if there had been an answer.',
    'validate': 'Say in one short sentence that you are there. Claim nothing about the person, '
    'do not cheer them up, and do not change the subject.',
    'acknowledge': 'Respond to the person in one short sentence.',
    'check_in': 'Ask the person how they are, without claiming to know.',
    'comfort': 'Calmly thank the person for telling you this. Give no advice, and bring up no '
    'other topic.',
    'more': 'Ask gently whether the person would like to say more, or would rather sit together '
    'quietly.',
    'offer': 'The person does not want to talk about it. Accept that, and offer the topic so that '
    'it can be declined.',
    'after_no': 'Accept the no in a few words, then ask something else about the topic.',
    'listen': 'Show that you listen, and ask gently whether the person would like to go on.',
    'peace': 'The person wants to be left alone. Say in a few words that you will be quiet.',
    'quiet': 'Offer your company without talk, in one short sentence.',
    'move_on': 'Enough has been said about the last topic. Lead over to the new one with a '
    'question.',
    'choose_topic': 'The topic has just been chosen. Begin with a question about it.',
    'continue': 'Stay with the topic and ask something further.',
    'change_topic': 'Leave the last topic gently and lead over to the new one with a question.',
    'change_approach': 'Stay with the topic, in the new tone.',
    'celebrate': 'Share the good moment in one short sentence.',
    'pause': 'Say that you will wait, and nothing else.',
    'end': 'Say goodbye.',
}

#: Kinds of line that must not ask anything.
WITHOUT_QUESTION: frozenset[str] = frozenset(
    ('validate', 'acknowledge', 'comfort', 'quiet', 'peace', 'pause', 'end', 'celebrate')
)

#: What holds for everything the robot says.
_RULES = (
    'Never say or suggest what the person feels, and give no diagnosis. {camera} Do not joke '
    'unless the tone is playful. Promise nothing, and offer nothing but conversation.'
)
_CAMERA = 'Do not mention the camera or the face unless you are asked about it.'
_DISCLOSURE = 'After the greeting, say this word for word: "{disclosure}"'

#: English names of common languages: small models follow these better than tags.
_LANGUAGES = {
    'ar': 'Arabic', 'cs': 'Czech', 'da': 'Danish', 'de': 'German', 'el': 'Greek', 'en': 'English',
    'es': 'Spanish', 'fi': 'Finnish', 'fr': 'French', 'he': 'Hebrew', 'hi': 'Hindi',
    'hu': 'Hungarian', 'it': 'Italian', 'ja': 'Japanese', 'ko': 'Korean', 'nb': 'Norwegian',
    'nl': 'Dutch', 'no': 'Norwegian', 'pl': 'Polish', 'pt': 'Portuguese', 'ro': 'Romanian',
    'ru': 'Russian', 'sv': 'Swedish', 'tr': 'Turkish', 'uk': 'Ukrainian', 'zh': 'Chinese',
}  # fmt: skip

#: Maximum number of characters kept of what the person said: the last ones.
_SAID = 2000


@dataclass(frozen=True)
class SpeakingPrompt:
    """A received prompt, checked.

    :param instruction: what to say and how, in English.
    :param fallback: words to say where no model answers; empty for none.
    :param action: the dialogue manager's action.
    :param line: its kind of line.
    :param topic: id of the conversation's topic.
    :param topic_name: the topic as it is spoken of.
    :param approach: tone of the conversation.
    :param language: BCP 47 tag of the language to speak.
    :param said: what the person said in their last turn; empty if unknown.
    :param disclosure: sentence to say word for word; empty for none.
    :param context: content of ``dialogue/context``; may be empty.
    :param stamp: seconds; the action's.
    """

    instruction: str
    fallback: str = ''
    action: str = ''
    line: str = ''
    topic: str = ''
    topic_name: str = ''
    approach: str = ''
    language: str = 'en'
    said: str = ''
    disclosure: str = ''
    context: Mapping[str, Any] = field(default_factory=dict)
    stamp: float = 0.0


def make_prompt(
    action: DialogueAction,
    context: Mapping[str, Any],
    *,
    line: str = '',
    topic_name: str = '',
    language: str = 'en',
    said: str = '',
    fallback: str | None = None,
    disclosure: str = '',
) -> dict[str, Any]:
    """Return the content of ``dialogue/prompt``; ``docs/language_model.md`` describes each field.

    :param action: what to carry out, with topic and approach.
    :param context: what ``DialogueManager.context`` returns.
    :param line: kind of line; empty takes the action.
    :param topic_name: the topic as it is spoken of; empty takes its id.
    :param language: BCP 47 tag of the conversation's language.
    :param said: what the person said in their last turn; its last 2,000 characters are kept.
    :param fallback: words to say where no model answers; None takes the action's utterance.
    :param disclosure: sentence to say word for word; empty for none.
    """
    line = line or action.action
    name = topic_name or action.topic
    stamp = number(action.stamp)
    said = said.strip()
    if len(said) > _SAID:
        said = f'… {said[-_SAID:]}'
    return {
        'version': VERSION,
        'stamp': round(stamp, 3) if math.isfinite(stamp) else 0.0,
        'action': action.action,
        'line': line,
        'instruction': instruction(
            line,
            action.action,
            topic_name=name,
            approach=action.approach,
            language=language,
            disclosure=disclosure,
        ),
        'topic': action.topic,
        'topic_name': name,
        'approach': action.approach,
        'language': language,
        'said': said,
        'fallback': action.utterance if fallback is None else fallback,
        'disclosure': disclosure,
        'context': dict(context),
    }


def instruction(
    line: str,
    action: str,
    *,
    topic_name: str,
    approach: str,
    language: str,
    disclosure: str = '',
) -> str:
    """Return what to say and how, in English, complete without further rules.

    :param line: kind of line; one without a task of its own takes the action's.
    :param action: one of ``action.ACTIONS``; an unknown one is taken for ``continue``.
    :param topic_name: the topic as it is spoken of.
    :param approach: tone of the conversation.
    :param language: BCP 47 tag of the language to speak.
    :param disclosure: sentence to say word for word; empty for none.
    """
    kind = next((each for each in (line, action) if each in TASKS), 'continue')
    question = 'without a question' if kind in WITHOUT_QUESTION else 'with one question at most'
    camera = _DISCLOSURE.format(disclosure=disclosure) if disclosure else _CAMERA
    return ' '.join((
        TASKS[kind],
        f'The topic is {topic_name}, the tone {approach}.',
        f'Speak {_language(language)}, in one or two short sentences and {question}.',
        _RULES.format(camera=camera),
    ))  # fmt: skip


def _language(tag: str) -> str:
    name = _LANGUAGES.get(tag.replace('_', '-').partition('-')[0].lower())
    return name or f'the language with the tag {tag}'


def parse_prompt(text: str) -> SpeakingPrompt:
    """Check the content of ``dialogue/prompt``; unknown fields are ignored.

    :param text: JSON.
    :raises InputError: it is not a JSON object, its version is unknown, or it has neither
        instruction nor fallback, or a field of the wrong type.
    """
    try:
        raw = parse_json(text)
    except ValueError as error:
        raise InputError(f'the prompt is not JSON ({quote(error)})') from None
    if not isinstance(raw, dict):
        raise InputError('the prompt is not a JSON object')
    version = raw.get('version', VERSION)
    if version != VERSION:
        raise InputError(f'the prompt has version {version!r:.20}; only {VERSION} is known')
    values: dict[str, Any] = {'instruction': ''}
    for name, kind, words in _FIELDS:
        value = raw.get(name)
        if value is None:
            continue
        if not isinstance(value, kind) or isinstance(value, bool):
            raise InputError(f'the {name} of the prompt is not {words}')
        values[name] = value
    prompt = SpeakingPrompt(**values)
    if not prompt.instruction.strip() and not prompt.fallback.strip():
        raise InputError('the prompt has neither instruction nor fallback')
    return prompt


_FIELDS: tuple[tuple[str, type | tuple[type, ...], str], ...] = (
    *(
        (name, str, 'a text')
        for name in (
            'instruction', 'fallback', 'action', 'line', 'topic', 'topic_name', 'approach',
            'language', 'said', 'disclosure',
        )
    ),
    ('context', dict, 'an object'),
    ('stamp', (int, float), 'a number'),
)  # fmt: skip
