"""Convert between the core's values and ROS messages as stored in a bag, without ROS."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from emotion_estimator.bags.foxglove_types import FOXGLOVE_TYPES
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.emotion import NONE, FaceEmotion, Roi
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.frame import FrameResult, RgbImage
from emotion_estimator.perception.image import jpeg_from_rgb, rgb_from_compressed, rgb_from_image
from emotion_estimator.resources import resource_dir
from emotion_estimator.untrusted import MAX_PIXELS, quote

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
EMOTION = 'emotion_estimator/msg/Emotion'
EMOTION_ARRAY = 'emotion_estimator/msg/EmotionArray'
DIALOGUE_ACTION = 'emotion_estimator/msg/DialogueAction'

#: The same before it had the field ``line``; older bags have it.
_ACTION_BEFORE_LINE = 'emotion_estimator/msg/DialogueActionBeforeLine'

#: Likewise of emotions: the fields that they got together, and the types without them.
_LATER_FIELDS = (
    'head_yaw',
    'head_pitch',
    'head_roll',
    'gaze_yaw',
    'gaze_pitch',
    'looks_at_camera',
    'speaking',
    'is_speaking',
)
_EMOTION_BEFORE = 'emotion_estimator/msg/EmotionBeforeHeadPose'
_FORMER = {
    EMOTION: _EMOTION_BEFORE,
    EMOTION_ARRAY: 'emotion_estimator/msg/EmotionArrayBeforeHeadPose',
}

_SECOND = 10**9

#: Largest message other than an image; parsed, it takes ten times as much memory.
_MAX_SMALL = 4 << 20
#: Longest definition that is parsed, and its lines: time grows with their square.
_MAX_PARSED, _MAX_LINES = 64 << 10, 3000


@cache
def typestore() -> Any:
    """Return rosbags' store with the types of ROS 2, of this package, and of Foxglove's drawings.

    The types of images and results are the same in every distribution.
    """
    store = get_typestore(Stores.ROS2_HUMBLE)
    ours: dict[str, Any] = {}
    for file in sorted(resource_dir('msg').glob('*.msg')):
        ours.update(get_types_from_msg(file.read_text(), f'emotion_estimator/msg/{file.stem}'))
    before = (resource_dir('msg') / 'DialogueAction.msg').read_text().replace('string line\n', '')
    ours.update(get_types_from_msg(before, _ACTION_BEFORE_LINE))
    before = (resource_dir('msg') / 'Emotion.msg').read_text()
    before = re.sub(rf'^\w+ ({"|".join(_LATER_FIELDS)})$', '', before, flags=re.MULTILINE)
    ours.update(get_types_from_msg(before, _EMOTION_BEFORE))
    before = (resource_dir('msg') / 'EmotionArray.msg').read_text()
    before = re.sub(r'^\S*Emotion\[\]', f'{_EMOTION_BEFORE}[]', before, flags=re.MULTILINE)
    ours.update(get_types_from_msg(before, _FORMER[EMOTION_ARRAY]))
    for kind, text in FOXGLOVE_TYPES.items():
        ours.update(get_types_from_msg(text, kind))
    store.register(ours)
    return store


@cache
def definition(kind: str) -> tuple[str, str]:
    """Return a type's definition, with those of its fields' types, and its hash (REP-2016)."""
    store = typestore()
    text, _ = store.generate_msgdef(kind, ros_version=2)
    # ROS 2 requires quotes around string constants, which rosbags removes.
    text = re.sub(r'^(string \w+)=([^"\n]*)$', r'\1="\2"', text, flags=re.MULTILINE)
    return text, store.hash_rihs01(kind)


def complete_definition(kind: str, text: str) -> tuple[str, str]:
    """Return the definition and hash of a type in another bag.

    :param text: the bag's definition; empty in bags of Humble and earlier, which have none.
    :returns: the definition, empty if unknown, and the hash, all zeros if unknown.
    """
    if not text and kind in typestore().fielddefs:
        return definition(kind)
    unknown = text, f'RIHS01_{"0" * 64}'
    if len(text) > _MAX_PARSED or text.count('\n') > _MAX_LINES:
        return unknown
    try:
        store = get_typestore(Stores.EMPTY)
        store.register(get_types_from_msg(text, kind))
        return text, store.hash_rihs01(kind)
    except Exception:
        # Of a damaged definition rosbags lets any exception of its parser pass.
        return unknown


def make(kind: str, **fields: Any) -> Any:
    """Return a message of a type; every field must be given."""
    return typestore().types[kind](**fields)


def serialize(message: Any) -> bytes:
    """Return a message's CDR bytes in little-endian order, as all common machines write them."""
    kind = message.__msgtype__
    return bytes(typestore().serialize_cdr(message, kind, little_endian=True))


def deserialize(data: bytes, kind: str) -> Any:
    """Return the message in CDR bytes of either byte order; its arrays are views of ``data``.

    :raises InputError: the bytes are not a message of this type.
    """
    if kind not in typestore().fielddefs:
        raise InputError(f'{quote(kind)} is no known type')
    if len(data) > _MAX_SMALL and kind not in (IMAGE, COMPRESSED_IMAGE):
        raise InputError(f'{len(data)} bytes are too many for a {kind}')
    try:
        return typestore().deserialize_cdr(data, kind)
    except (SerdeError, IndexError, AssertionError, OverflowError, MemoryError) as error:
        raise InputError(
            f'{len(data)} bytes are not a valid {kind} ({first_line(error)})'
        ) from error


@dataclass(frozen=True)
class Header:
    """An image's stamp and frame of reference.

    :param nanoseconds: stamp, since the clock's epoch.
    """

    nanoseconds: int
    frame_id: str = ''

    @property
    def stamp(self) -> float:
        """Return the stamp in seconds, exactly the float that the nodes compute."""
        seconds, rest = divmod(self.nanoseconds, _SECOND)
        return float(seconds) + float(rest) * 1e-9


def read_header(data: bytes) -> Header:
    """Return the header at the beginning of a message, without reading the rest.

    :param data: CDR: four bytes, the second of which gives the byte order; then ``std_msgs/Header``
        (the stamp as int32 and uint32; the frame's length and name, with a final zero byte).
    :raises InputError: the bytes do not begin with a header.
    """
    order = '<' if data[1:2] == b'\x01' else '>'
    try:
        seconds, rest, length = struct.unpack_from(f'{order}iII', data, 4)
        name = data[16 : 16 + length].removesuffix(b'\0').decode()
    except (struct.error, UnicodeDecodeError) as error:
        raise InputError(f'message of {len(data)} bytes has no header') from error
    return Header(seconds * _SECOND + rest, name)


def decode_image(data: bytes, kind: str, max_pixels: int = MAX_PIXELS) -> RgbImage:
    """Decode a serialized image message, as the estimator node does.

    :param kind: ``IMAGE`` or ``COMPRESSED_IMAGE``.
    :param max_pixels: largest product of width and height.
    :returns: uint8 (H, W, 3) RGB, upright.
    :raises InputError: the image cannot be decoded; says why.
    """
    if kind not in (IMAGE, COMPRESSED_IMAGE):
        # A topic may have several types.
        raise InputError(f'it is of type {quote(kind)}, not an image')
    message = deserialize(data, kind)
    if kind == IMAGE:
        return rgb_from_image(message, max_pixels)
    return rgb_from_compressed(message, max_pixels)


def image_message(image: RgbImage, header: Header, quality: int | None) -> Any:
    """Return a uint8 (H, W, 3) RGB image as a message: JPEG of ``quality`` 1 to 100, or raw."""
    if quality is not None:
        jpeg = np.frombuffer(jpeg_from_rgb(image, quality), np.uint8)
        kind, form = COMPRESSED_IMAGE, 'rgb8; jpeg compressed bgr8'
        return make(kind, header=_header(header), format=form, data=jpeg)
    height, width = image.shape[:2]
    return make(
        IMAGE,
        header=_header(header),
        height=height,
        width=width,
        encoding='rgb8',
        is_bigendian=0,
        step=3 * width,
        data=np.ascontiguousarray(image).reshape(-1),
    )


def emotion_message(face: FaceEmotion | None, header: Header, model: str) -> Any:
    """Return the message for a face, or for nobody; its latency is 0."""
    nobody = FaceEmotion('', NONE, 0.0, (), np.zeros(0, np.float32), Roi(0, 0, 0, 0))
    shown = face or nobody
    x, y, width, height = shown.roi.as_list()
    roi = {'x_offset': x, 'y_offset': y, 'width': width, 'height': height, 'do_rectify': False}
    return make(
        EMOTION,
        header=_header(header),
        face_id=shown.face_id,
        label=shown.label,
        confidence=float(shown.confidence),
        labels=list(shown.labels),
        probabilities=np.asarray(shown.probabilities, np.float32),
        blendshapes=np.asarray(shown.blendshapes, np.float32),
        roi=make('sensor_msgs/msg/RegionOfInterest', **roi),
        model=model,
        latency=0.0,
        valence=float(shown.valence),
        arousal=float(shown.arousal),
        head_yaw=float(shown.head_yaw),
        head_pitch=float(shown.head_pitch),
        head_roll=float(shown.head_roll),
        gaze_yaw=float(shown.gaze_yaw),
        gaze_pitch=float(shown.gaze_pitch),
        looks_at_camera=bool(shown.looks_at_camera),
        speaking=float(shown.speaking),
        is_speaking=bool(shown.is_speaking),
    )


def emotions_message(faces: Sequence[FaceEmotion], header: Header, model: str) -> Any:
    """Return the message for all faces of an image, the primary one first."""
    emotions = [emotion_message(face, header, model) for face in faces]
    return make(EMOTION_ARRAY, header=_header(header), emotions=emotions)


def truth_message(label: str, header: Header) -> Any:
    """Return the message for an image's ground truth, as the camera node publishes it."""
    truth = FaceEmotion(
        '', label, float(label != NONE), (), np.zeros(0, np.float32), Roi(0, 0, 0, 0)
    )
    return emotion_message(truth, header, 'ground truth')


def action_message(action: DialogueAction, header: Header) -> Any:
    """Return the message for the dialogue manager's decision on an image."""
    return make(
        DIALOGUE_ACTION,
        header=_header(header),
        action=action.action,
        topic=action.topic,
        approach=action.approach,
        utterance=action.utterance,
        reason=action.reason,
        emotion=action.emotion,
        confidence=float(action.confidence),
        rule=action.rule,
        face_id=action.face_id,
        suppressed=list(action.suppressed),
        line=action.line,
    )


def bool_message(value: bool) -> Any:
    """Return a ``std_msgs/Bool``."""
    return make('std_msgs/msg/Bool', data=value)


def string_message(value: str) -> Any:
    """Return a ``std_msgs/String``."""
    return make('std_msgs/msg/String', data=value)


def time_message(header: Header) -> Any:
    """Return a header's stamp as a ``builtin_interfaces/Time``."""
    seconds, rest = divmod(header.nanoseconds, _SECOND)
    return make('builtin_interfaces/msg/Time', sec=seconds, nanosec=rest)


def read_result(data: bytes, kind: str) -> FrameResult:
    """Return the faces of an ``Emotion`` or ``EmotionArray`` message.

    In messages from before the fields of head pose and speech, these have their defaults.

    :raises InputError: the bytes are not such a message, e.g. of another version's definition.
    """
    try:
        message = deserialize(data, kind)
    except InputError as problem:
        try:
            message = deserialize(data, _FORMER[kind])
        except InputError:
            raise problem from None
    emotions = message.emotions if kind == EMOTION_ARRAY else [message]
    faces = tuple(_face(emotion) for emotion in emotions if emotion.label != NONE)
    return FrameResult(_stamp(message.header), faces)


def read_action(data: bytes) -> DialogueAction:
    """Return the decision of a ``DialogueAction`` message.

    :raises InputError: the bytes are not such a message.
    """
    try:
        message = deserialize(data, DIALOGUE_ACTION)
    except InputError:
        message = deserialize(data, _ACTION_BEFORE_LINE)
    return DialogueAction(
        action=message.action,
        topic=message.topic,
        approach=message.approach,
        utterance=message.utterance,
        reason=message.reason,
        emotion=message.emotion,
        confidence=float(message.confidence),
        rule=message.rule,
        face_id=message.face_id,
        stamp=_stamp(message.header),
        suppressed=tuple(message.suppressed),
        line=getattr(message, 'line', ''),
    )


def _header(header: Header) -> Any:
    return make('std_msgs/msg/Header', stamp=time_message(header), frame_id=header.frame_id)


def _stamp(header: Any) -> float:
    return Header(header.stamp.sec * _SECOND + header.stamp.nanosec).stamp


def _face(message: Any) -> FaceEmotion:
    roi = message.roi
    return FaceEmotion(
        face_id=message.face_id,
        label=message.label,
        confidence=float(message.confidence),
        labels=tuple(message.labels),
        probabilities=np.array(message.probabilities, np.float32),
        roi=Roi(roi.x_offset, roi.y_offset, roi.width, roi.height),
        blendshapes=np.array(message.blendshapes, np.float32),
        model=message.model,
        valence=float(message.valence),
        arousal=float(message.arousal),
        **{name: getattr(message, name) for name in _LATER_FIELDS if hasattr(message, name)},
    )
