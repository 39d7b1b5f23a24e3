"""Which of a bag's topics is meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from emotion_estimator.bags.typestore import (
    COMPRESSED_IMAGE,
    DIALOGUE_ACTION,
    EMOTION,
    EMOTION_ARRAY,
    IMAGE,
)
from emotion_estimator.errors import InputError

#: Topics by name with their types; how many messages each has.
Types = Mapping[str, str]
Counts = Mapping[str, int]

_PACKED = '/compressed'


def image_topic(bag: Path, types: Types, counts: Counts, wanted: str | None) -> str:
    """Return the topic of the images.

    :param wanted: a name, with or without its slash, of which ``/compressed`` is taken where that
        alone is there; None finds the one that holds images.
    :raises InputError: it is not there, holds no images, or several do; the line lists them.
    """
    images = _of_type(types, IMAGE, COMPRESSED_IMAGE)
    with_any = [topic for topic in images if counts[topic]]
    if wanted is not None:
        topic = _named(bag, types, wanted, images, (IMAGE, COMPRESSED_IMAGE))
        if not counts[topic]:
            raise InputError(f'bag {bag} has no message on its topic {topic}; {_those(with_any)}')
        return topic
    if not any(counts.values()):
        raise InputError(f'bag {bag} is empty: it has no messages')
    raw = {topic for topic in with_any if types[topic] == IMAGE}
    separate = [topic for topic in with_any if topic.removesuffix(_PACKED) not in raw - {topic}]
    if len(separate) == 1:
        return separate[0]
    if separate:
        raise InputError(
            f'bag {bag} has images on several topics, name one: {_in_words(separate)}'
        )
    empty = f'; {_in_words(images)} without a message' if images else ''
    raise InputError(
        f'bag {bag} has no images (sensor_msgs/Image or CompressedImage); it has '
        f'{_in_words(f"{topic} ({types[topic]})" for topic in sorted(types))}{empty}'
    )


def emotions_topic(bag: Path, types: Types, counts: Counts, wanted: str | None) -> str:
    """Return the topic of the estimator's answers.

    :param wanted: its name; None finds the one called ``emotions``, else ``emotion``, else the only
        one of their types, ground truth aside.
    :raises InputError: it is not there, or there are several; the line lists them.
    """
    kinds = (EMOTION_ARRAY, EMOTION)
    if wanted is not None:
        return _named(bag, types, wanted, _of_type(types, *kinds), kinds)
    for kind, name in zip(kinds, ('emotions', 'emotion')):
        found = [topic for topic in _of_type(types, kind) if counts[topic]]
        found = [topic for topic in found if not topic.endswith('/ground_truth')]
        called = [topic for topic in found if topic.endswith(f'/{name}')] or found
        if len(called) == 1:
            return called[0]
        if called:
            raise InputError(
                f'bag {bag} has emotions on several topics, name one: {_in_words(called)}'
            )
    raise InputError(
        f'bag {bag} has no emotions; `emotion-estimator replay --write-bag` writes a bag with them'
    )


def actions_topic(bag: Path, types: Types, counts: Counts, wanted: str | None) -> str | None:
    """Return the topic of the dialogue manager's decisions, None where there is none.

    :raises InputError: the one that is wanted is not there, or there are several.
    """
    found = _of_type(types, DIALOGUE_ACTION)
    if wanted is not None:
        return _named(bag, types, wanted, found, (DIALOGUE_ACTION,))
    held = [topic for topic in found if counts[topic]]
    if len(held) > 1:
        raise InputError(
            f'bag {bag} has actions on several topics, name one: {_in_words(held)}'
        )
    return held[0] if held else None


def _in_words(topics: Iterable[str]) -> str:
    # In a damaged bag a name may be anything.
    line = ', '.join(topics) or 'no topics'
    return ''.join(sign if sign.isprintable() else '?' for sign in line)


def _of_type(types: Types, *kinds: str) -> list[str]:
    return sorted(topic for topic, kind in types.items() if kind in kinds)


def _those(topics: list[str]) -> str:
    return f'choose {_in_words(topics)}' if topics else 'no topic of this kind has any'


def _named(
    bag: Path, types: Types, wanted: str, choice: list[str], kinds: tuple[str, ...]
) -> str:
    slashed = f'/{wanted.lstrip("/")}'
    for topic in (wanted, slashed, f'{slashed}{_PACKED}'):
        if topic in choice:
            return topic
    for topic in (wanted, slashed):
        if topic in types:
            raise InputError(
                f'topic {topic} of bag {bag} is of type {types[topic]}, which is none of '
                f'{", ".join(kinds)}; {_those(choice)}'
            )
    raise InputError(f'bag {bag} has no topic {slashed}; {_those(choice)}')
