"""The message types of bags, without ROS: the distributions' own, and this package's."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore

from emotion_estimator.errors import InputError, first_line
from emotion_estimator.resources import resource_dir

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
EMOTION = 'emotion_estimator/msg/Emotion'
EMOTION_ARRAY = 'emotion_estimator/msg/EmotionArray'
DIALOGUE_ACTION = 'emotion_estimator/msg/DialogueAction'


@cache
def typestore() -> Any:
    """Return rosbags' store of the types of ROS 2 and of this package's ``msg`` folder.

    The types that images and answers are made of are the same in every distribution.
    """
    store = get_typestore(Stores.ROS2_HUMBLE)
    ours: dict[str, Any] = {}
    for file in sorted(resource_dir('msg').glob('*.msg')):
        ours.update(get_types_from_msg(file.read_text(), f'emotion_estimator/msg/{file.stem}'))
    store.register(ours)
    return store


@cache
def definition(kind: str) -> tuple[str, str]:
    """Return a type's text, with those it is made of, and its hash (REP-2016)."""
    store = typestore()
    text, _ = store.generate_msgdef(kind, ros_version=2)
    # ROS 2 wants constants in quotes, which rosbags takes off.
    text = re.sub(r'^(string \w+)=([^"\n]*)$', r'\1="\2"', text, flags=re.MULTILINE)
    return text, store.hash_rihs01(kind)


def complete_definition(kind: str, text: str) -> tuple[str, str]:
    """Return the text and hash of a type of another bag.

    :param text: as the bag has it; empty in bags of Humble and before, which hold none.
    :returns: the text, empty where nobody knows it, and a hash of zeros where it is not known.
    """
    if not text and kind in typestore().fielddefs:
        return definition(kind)
    try:
        store = get_typestore(Stores.EMPTY)
        store.register(get_types_from_msg(text, kind))
        return text, store.hash_rihs01(kind)
    except (TypesysError, KeyError, SyntaxError):
        return text, f'RIHS01_{"0" * 64}'


def make(kind: str, **fields: Any) -> Any:
    """Return a message of a type, every field of which is given."""
    return typestore().types[kind](**fields)


def serialize(message: Any) -> bytes:
    """Return a message's CDR bytes, little-endian, as every common machine writes them."""
    kind = message.__msgtype__
    return bytes(typestore().serialize_cdr(message, kind, little_endian=True))


def deserialize(data: bytes, kind: str) -> Any:
    """Return the message in CDR bytes of either byte order; its arrays are views of ``data``.

    :raises InputError: the bytes are no such message.
    """
    try:
        return typestore().deserialize_cdr(data, kind)
    except (SerdeError, IndexError, AssertionError, OverflowError, MemoryError) as error:
        raise InputError(
            f'{len(data)} bytes are no {kind} as it is known here ({first_line(error)})'
        ) from error
