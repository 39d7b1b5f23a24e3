"""Faces as drawings over their image, for Foxglove's and Lichtblick's image panels.

The types are those of Foxglove's ROS 2 package ``foxglove_msgs``, which need not be installed: a
bag contains their definitions. Fields that later releases added are missing; viewers read a type as
the bag defines it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from emotion_estimator.annotation import SHOWN_LANDMARKS, label_colour
from emotion_estimator.bags.messages import Header, make, time_message
from emotion_estimator.emotion import FaceEmotion
from emotion_estimator.pointers import Point, gaze_pointers, head_pointer

_PACKAGE = 'foxglove_msgs/msg'
IMAGE_ANNOTATIONS = f'{_PACKAGE}/ImageAnnotations'
#: Values of a ``PointsAnnotation``'s type.
_POINTS, _LINE_LOOP, _LINE_LIST = 1, 2, 4

_WHITE = (255, 255, 255)
#: Of the eyes' lines: towards the camera, and elsewhere; as on the live page.
_TOWARDS, _ELSEWHERE = (124, 252, 0), (255, 213, 79)


def annotations_message(faces: Iterable[FaceEmotion], header: Header) -> Any:
    """Return box, landmarks, directions and label of each face, in pixels of the image.

    :param faces: of the image with this header; without any, what was drawn before disappears.
    """
    points: list[Any] = []
    texts: list[Any] = []
    for face in faces:
        box, colour = face.roi, label_colour(face.label)
        stroke = max(box.width / 100, 1.0)
        right, bottom = box.x + box.width, box.y + box.height
        corners = [(box.x, box.y), (right, box.y), (right, bottom), (box.x, bottom)]
        points.append(_points(_LINE_LOOP, corners, colour, stroke, header))
        if len(face.landmarks) > max(SHOWN_LANDMARKS):
            marks = [(x, y) for x, y in face.landmarks[list(SHOWN_LANDMARKS), :2].tolist()]
            points.append(_points(_POINTS, marks, colour, 1.5 * stroke, header))
        points.append(_points(_LINE_LIST, [*head_pointer(face)], _WHITE, 1.5 * stroke, header))
        gaze = [end for pointer in gaze_pointers(face) for end in pointer]
        looks = _TOWARDS if face.looks_at_camera else _ELSEWHERE
        points.append(_points(_LINE_LIST, gaze, looks, stroke, header))
        texts.append(_text(face, header))
    return make(IMAGE_ANNOTATIONS, circles=[], points=points, texts=texts)


def _points(
    kind: int, places: Sequence[Point], colour: tuple[int, int, int], stroke: float, header: Header
) -> Any:
    return make(
        f'{_PACKAGE}/PointsAnnotation',
        timestamp=time_message(header),
        type=kind,
        points=[_point(place) for place in places],
        outline_color=_colour(colour),
        outline_colors=[],
        fill_color=_colour(colour, 0.0),
        thickness=float(stroke),
    )


def _text(face: FaceEmotion, header: Header) -> Any:
    speaks = ', speaks' if face.is_speaking else ''
    return make(
        f'{_PACKAGE}/TextAnnotation',
        timestamp=time_message(header),
        position=_point((face.roi.x, face.roi.y)),
        text=f'{face.label} {face.confidence:.2f}{speaks}',
        font_size=max(face.roi.width / 8, 10.0),
        text_color=_colour(label_colour(face.label)),
        background_color=_colour((0, 0, 0), 0.6),
    )


def _point(place: Point) -> Any:
    return make(f'{_PACKAGE}/Point2', x=float(place[0]), y=float(place[1]))


def _colour(colour: tuple[int, int, int], opacity: float = 1.0) -> Any:
    r, g, b = (part / 255 for part in colour)
    return make(f'{_PACKAGE}/Color', r=r, g=g, b=b, a=opacity)
