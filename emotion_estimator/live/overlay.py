"""Faces as SVG over their image: box, landmarks, where head and eyes point, label."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from emotion_estimator.annotation import SHOWN_LANDMARKS, label_colour, label_dashes
from emotion_estimator.emotion import FaceEmotion
from emotion_estimator.pointers import Pointer, gaze_pointers, head_pointer


def overlay(faces: Iterable[FaceEmotion], height: int, chosen: str | None = None) -> str:
    """Return the content of an SVG whose units are the image's pixels.

    :param height: of the image in pixels; strokes and letters scale with it.
    :param chosen: id of the face that is looked at; None is the first. It is drawn stronger.
    """
    return ''.join(
        _face(face, height, face.face_id == chosen if chosen else not index)
        for index, face in enumerate(faces)
    )


def hex_colour(label: str) -> str:
    """Return a label's colour as CSS writes it."""
    return '#{:02x}{:02x}{:02x}'.format(*label_colour(label))


def _face(face: FaceEmotion, height: int, chosen: bool) -> str:
    stroke = max(height / 240, 1.0) * (1.6 if chosen else 0.8)
    colour, box = hex_colour(face.label), face.roi
    dashes = ' '.join(f'{stroke * each:.1f}' for each in label_dashes(face.label))
    size = max(height / 24, 9.0)
    text = f'{face.label} {face.confidence:.2f}{", speaks" if face.is_speaking else ""}'
    parts = [
        f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" fill="none" '
        f'stroke="#000" stroke-opacity="0.6" stroke-width="{2 * stroke:.1f}"/>',
        f'<rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" fill="none" '
        f'stroke="{colour}" stroke-width="{stroke:.1f}" stroke-dasharray="{dashes}"/>',
    ]
    marks = face.landmarks
    if len(marks) > max(SHOWN_LANDMARKS):
        dots = ''.join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{stroke / 1.6:.1f}"/>'
            for x, y in marks[list(SHOWN_LANDMARKS), :2]
        )
        parts.append(f'<g fill="{colour}" stroke="#000" stroke-width="0.4">{dots}</g>')
    parts += _directions(face, stroke)
    above = box.y - 0.35 * size
    parts.append(
        f'<text x="{box.x}" y="{above if above > size else box.y + 1.2 * size:.0f}" '
        f'font-size="{size:.0f}" font-family="sans-serif" font-weight="bold" fill="{colour}" '
        f'stroke="#000" stroke-width="{size / 6:.1f}" paint-order="stroke">{escape(text)}</text>'
    )
    return ''.join(parts)


def _directions(face: FaceEmotion, stroke: float) -> list[str]:
    """Return arrows: from the nose where the head points, from the eyes where they look."""
    colour = '#7CFC00' if face.looks_at_camera else '#ffd54f'
    gaze = [_arrow(each, colour, stroke) for each in gaze_pointers(face)]
    return [_arrow(head_pointer(face), '#fff', 1.2 * stroke), *gaze]


def _arrow(pointer: Pointer, colour: str, width: float) -> str:
    """Return a line with a dot at its end."""
    (x, y), (right, down) = pointer
    return (
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{down:.1f}" stroke="{colour}" '
        f'stroke-width="{width:.1f}" stroke-linecap="round"/>'
        f'<circle cx="{right:.1f}" cy="{down:.1f}" r="{1.5 * width:.1f}" fill="{colour}"/>'
    )
