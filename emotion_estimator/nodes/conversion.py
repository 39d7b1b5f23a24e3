"""Conversion between ROS messages and the core's values."""

from __future__ import annotations

from array import array

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, RegionOfInterest
from std_msgs.msg import Header

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.emotion import NONE, FaceEmotion, Roi
from emotion_estimator.errors import InputError
from emotion_estimator.frame import RgbImage
from emotion_estimator.msg import DialogueAction as DialogueActionMsg
from emotion_estimator.msg import Emotion
from emotion_estimator.perception.encodings import ENCODINGS, is_supported
from emotion_estimator.perception.head_pose import Intrinsics
from emotion_estimator.perception.image import check_rgb, check_size, jpeg_from_rgb, rgb_from_image
from emotion_estimator.sources.calibration import Calibration
from emotion_estimator.untrusted import MAX_PIXELS, quote

#: Characters kept of a label, an id and other names in a message, and numbers of each list.
_MAX_NAME, _MAX_NUMBERS = 100, 1000


def seconds(stamp: Time) -> float:
    """Return a stamp in seconds; for today's dates float64 resolves 0.3 us."""
    return float(stamp.sec) + float(stamp.nanosec) * 1e-9


def rgb_from_message(message: Image, max_pixels: int = MAX_PIXELS) -> RgbImage:
    """Return an image message's pixels as uint8 (H, W, 3) RGB, without a copy for ``rgb8``.

    ``cv_bridge``, if installed, reads encodings that the core does not know.

    :param max_pixels: largest product of width and height.
    :raises InputError: the message is malformed, its encoding is not supported, or it is too large.
    """
    if not is_supported(message.encoding):
        check_size(message.width, message.height, max_pixels)
        return _rgb_by_cv_bridge(message)
    return rgb_from_image(message, max_pixels)


def _rgb_by_cv_bridge(message: Image) -> RgbImage:
    unsupported = (
        f'image encoding {quote(message.encoding)!r} is not supported; publish one of '
        f'{", ".join(ENCODINGS)}'
    )
    try:
        # Not at the top: a distribution's cv_bridge may not load with a newer NumPy.
        from cv_bridge import CvBridge
    except ImportError as error:
        raise InputError(unsupported, 'encoding') from error
    try:
        return check_rgb(CvBridge().imgmsg_to_cv2(message, 'rgb8'))
    except Exception as error:
        # cv_bridge raises what its helpers raise: KeyError, TypeError, cv2.error, ...
        raise InputError(unsupported, 'encoding') from error


def image_message(image: RgbImage, header: Header) -> Image:
    """Return an ``rgb8`` message of a uint8 (H, W, 3) RGB image.

    The data is set as ``array('B')``: anything else is checked byte by byte (60 ms for VGA).
    """
    height, width = image.shape[:2]
    message = Image(
        header=header, height=height, width=width, encoding='rgb8', is_bigendian=0, step=3 * width
    )
    pixels = array('B')
    pixels.frombytes(np.ascontiguousarray(image).data.cast('B'))
    message.data = pixels
    return message


def compressed_image_message(image: RgbImage, header: Header, quality: int) -> CompressedImage:
    """Return a JPEG message of a uint8 (H, W, 3) RGB image; ``quality`` is 1 to 100."""
    message = CompressedImage(header=header, format='rgb8; jpeg compressed bgr8')
    jpeg = array('B')
    jpeg.frombytes(jpeg_from_rgb(image, quality))
    message.data = jpeg
    return message


def camera_info_topic(image_topic: str) -> str:
    """Return the topic that describes the camera of an image topic, beside which it lies."""
    return f'{image_topic.rpartition("/")[0]}/camera_info'


def camera_info_message(calibration: Calibration, header: Header) -> CameraInfo:
    """Return the message that describes a camera, calibrated or not."""
    return CameraInfo(
        header=header,
        width=calibration.width,
        height=calibration.height,
        distortion_model=calibration.distortion_model,
        d=list(calibration.distortion),
        k=list(calibration.camera),
        r=list(calibration.rectification),
        p=list(calibration.projection),
    )


def intrinsics_from_message(message: CameraInfo, *, rectified: bool = False) -> Intrinsics:
    """Return the camera that a message describes, without its distortion.

    :param rectified: of the camera's rectified images instead of the raw ones.
    :raises InputError: the camera is not calibrated.
    """
    numbers = (
        [message.p[i] for i in (0, 5, 2, 6)] if rectified else [message.k[i] for i in (0, 4, 2, 5)]
    )
    fx, fy, cx, cy = (float(number) for number in numbers)
    roi = message.roi
    width, height = roi.width or message.width, roi.height or message.height
    return Intrinsics(fx, fy, cx - roi.x_offset, cy - roi.y_offset, width, height)


def _region(roi: Roi) -> RegionOfInterest:
    return RegionOfInterest(x_offset=roi.x, y_offset=roi.y, width=roi.width, height=roi.height)


def emotion_message(
    face: FaceEmotion | None,
    header: Header,
    *,
    model: str,
    latency: float = 0.0,
    with_blendshapes: bool = True,
) -> Emotion:
    """Return the message for ``face``, or the one for "no face" (label ``none``) if it is None.

    :param header: the image's.
    :param model: the model's title.
    :param latency: seconds from the image's stamp to now.
    :param with_blendshapes: include the 52 blendshapes.
    """
    message = Emotion(header=header, label=NONE, model=model, latency=latency)
    if face is not None:
        message.face_id = face.face_id
        message.label = face.label
        message.confidence = float(face.confidence)
        message.labels = list(face.labels)
        message.probabilities = array('f', np.asarray(face.probabilities, np.float32).tobytes())
        message.roi = _region(face.roi)
        message.valence = float(face.valence)
        message.arousal = float(face.arousal)
        message.head_yaw = float(face.head_yaw)
        message.head_pitch = float(face.head_pitch)
        message.head_roll = float(face.head_roll)
        message.gaze_yaw = float(face.gaze_yaw)
        message.gaze_pitch = float(face.gaze_pitch)
        message.looks_at_camera = bool(face.looks_at_camera)
        message.speaking = float(face.speaking)
        message.is_speaking = bool(face.is_speaking)
        if with_blendshapes:
            message.blendshapes = array('f', np.asarray(face.blendshapes, np.float32).tobytes())
    return message


def face_from_message(message: Emotion) -> FaceEmotion | None:
    """Return the face of an ``Emotion`` message; None for the label ``none``.

    Names are cut to 100 characters and lists to 1000 values: they are kept, compared and published
    again.
    """
    if message.label == NONE:
        return None
    roi = message.roi
    return FaceEmotion(
        face_id=message.face_id[:_MAX_NAME],
        label=message.label[:_MAX_NAME],
        confidence=float(message.confidence),
        labels=tuple(label[:_MAX_NAME] for label in message.labels[:_MAX_NUMBERS]),
        probabilities=np.array(message.probabilities[:_MAX_NUMBERS], np.float32),
        roi=Roi(roi.x_offset, roi.y_offset, roi.width, roi.height),
        blendshapes=np.array(message.blendshapes[:_MAX_NUMBERS], np.float32),
        model=message.model[:_MAX_NAME],
        valence=float(message.valence),
        arousal=float(message.arousal),
        head_yaw=float(message.head_yaw),
        head_pitch=float(message.head_pitch),
        head_roll=float(message.head_roll),
        gaze_yaw=float(message.gaze_yaw),
        gaze_pitch=float(message.gaze_pitch),
        looks_at_camera=bool(message.looks_at_camera),
        speaking=float(message.speaking),
        is_speaking=bool(message.is_speaking),
    )


def action_message(action: DialogueAction, header: Header) -> DialogueActionMsg:
    """Return the message of a core ``DialogueAction``."""
    return DialogueActionMsg(
        header=header,
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


def action_from_message(message: DialogueActionMsg) -> DialogueAction:
    """Return the core's ``DialogueAction``; its stamp is the header's, in seconds."""
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
        stamp=seconds(message.header.stamp),
        suppressed=tuple(message.suppressed),
        line=message.line,
    )
