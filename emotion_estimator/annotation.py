"""Draw results onto a frame: box, landmarks, label, probability bars, caption."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from emotion_estimator.emotion import NONE, FaceEmotion
from emotion_estimator.frame import RgbImage
from emotion_estimator.lettering import lettering

Colour = tuple[int, int, int]

#: The RGB colour of each label everywhere: Okabe and Ito's palette, which colour-blind people can
#: distinguish (jfly.uni-koeln.de/color).
LABEL_COLOURS: dict[str, Colour] = {
    'happy': (230, 159, 0),
    'unknown': (0, 158, 115),
    'sad': (86, 180, 233),
    'angry': (213, 94, 0),
    'surprise': (240, 228, 66),
    'fear': (0, 114, 178),
    # Beyond the palette: a dark yellow, and a lighter green than that of "unknown".
    'disgust': (124, 122, 32),
    'neutral': (148, 210, 189),
    NONE: (150, 150, 150),
}
OTHER_COLOUR: Colour = (204, 121, 167)

_WHITE: Colour = (255, 255, 255)
_BLACK: Colour = (0, 0, 0)

#: Beside the colours, for lines: lengths of dash and gap in widths of the line, since happy and sad
#: are equally bright. Empty is a solid line.
LABEL_DASHES: dict[str, tuple[float, ...]] = {
    'happy': (),
    'unknown': (1, 2),
    'sad': (5, 3),
    'angry': (6, 2, 1, 2),
    'surprise': (2, 4),
    'fear': (9, 3),
    'disgust': (9, 2, 1, 2, 1, 2),
    'neutral': (1, 4),
    NONE: (1, 6),
}

#: Landmarks of the face mesh that show an expression: oval, brows, lids, nose, lips.
SHOWN_LANDMARKS = (
    10, 338, 297, 284, 251, 454, 361, 397, 379, 400, 152, 176, 150, 172, 132, 234, 21, 54, 67, 109,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380, 468, 473,
    168, 6, 195, 4, 98, 327,
    61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 78, 81, 13, 311, 308, 402, 14, 178,
)  # fmt: skip


def label_colour(label: str) -> Colour:
    """Return the RGB colour of ``label`` in pictures, videos and terminals."""
    return LABEL_COLOURS.get(label, OTHER_COLOUR)


def label_dashes(label: str) -> tuple[float, ...]:
    """Return the dashes of ``label`` in charts, in widths of the line; empty is a solid line."""
    return LABEL_DASHES.get(label, (3, 2))


def annotate(
    image: RgbImage, faces: Iterable[FaceEmotion], caption: Sequence[str] = ()
) -> RgbImage:
    """Return a copy of ``image`` with every face's emotion drawn on it.

    :param image: uint8 (H, W, 3), RGB; not changed.
    :param faces: the estimator's result; landmarks are drawn if present, bars for the first face.
    :param caption: lines of plain text for the bottom; characters that the font lacks become boxes.
    :returns: uint8 (H, W, 3), RGB.
    """
    canvas = np.array(image, dtype=np.uint8, order='C')
    pen = _Pen(canvas, min(canvas.shape[:2]))
    faces = tuple(faces)
    for face in faces:
        pen.face(face)
    if faces:
        pen.bars(faces[0])
    else:
        pen.tag((pen.gap, pen.gap), 'no face', label_colour(NONE))
    pen.caption(caption)
    return canvas


def caption_strip(
    shape: tuple[int, ...], texts: Sequence[tuple[str, Colour]], rows: int
) -> RgbImage:
    """Return a black strip of text to put below an image.

    :param shape: shape of the image: height and width first.
    :param texts: each text and its RGB colour; starts on a new row and wraps.
    :param rows: number of rows; text that does not fit is left out.
    :returns: uint8 (h, W, 3), RGB; h depends on the image's size and ``rows`` alone.
    """
    side = min(shape[:2])
    height = rows * _Pen(np.zeros((1, 1, 3), np.uint8), side).line
    strip = np.zeros((height, shape[1], 3), np.uint8)
    pen = _Pen(strip, side)
    lines = [(line, colour) for text, colour in texts for line in pen.wrap(text)]
    for i, (line, colour) in enumerate(lines[:rows], 1):
        pen.write(pen.cut(line), pen.gap, i * pen.line - pen.gap, colour)
    return strip


def time_lanes(
    shape: tuple[int, ...],
    lanes: Sequence[tuple[str, Colour, Sequence[tuple[float, float]]]],
    span: tuple[float, float],
) -> RgbImage:
    """Return a black strip with bars over time to put below an image.

    :param shape: shape of the image: height and width first.
    :param lanes: each lane's name, RGB colour and bars: begin and end in seconds.
    :param span: what the width shows, in seconds, from left to right.
    :returns: uint8 (h, W, 3), RGB; h depends on the image's size and the number of lanes alone.
    """
    side = min(shape[:2])
    line = _Pen(np.zeros((1, 1, 3), np.uint8), side).line
    strip = np.zeros((len(lanes) * line, shape[1], 3), np.uint8)
    pen = _Pen(strip, side)
    pen.lanes(lanes, span)
    return strip


class _Pen:
    """Draw on an image; all sizes scale with ``side``, its shorter side in pixels."""

    def __init__(self, canvas: RgbImage, side: int) -> None:
        self._canvas = canvas
        self._height, self._width = canvas.shape[:2]
        self._letters = lettering(max(8, round(side / 43)))
        self._stroke = max(1, round(side / 400))
        self.gap = max(2, side // 80)
        self.line = self._letters.height + 2 * self.gap

    def face(self, face: FaceEmotion) -> None:
        colour = label_colour(face.label)
        roi = face.roi
        corners = (roi.x, roi.y), (roi.x + roi.width - 1, roi.y + roi.height - 1)
        cv2.rectangle(self._canvas, *corners, _BLACK, self._stroke + 3)
        cv2.rectangle(self._canvas, *corners, colour, self._stroke + 1)
        if len(face.landmarks) > max(SHOWN_LANDMARKS):
            for x, y in face.landmarks[list(SHOWN_LANDMARKS), :2]:
                centre = round(float(x)), round(float(y))
                cv2.circle(self._canvas, centre, self._stroke, _BLACK, -1, cv2.LINE_AA)
                cv2.circle(self._canvas, centre, max(1, self._stroke - 1), colour, -1, cv2.LINE_AA)
        if face.is_speaking:
            self.speech(face)
        text = f'{face.label} {face.confidence:.2f}'
        above = roi.y - self.line
        self.tag((roi.x, above if above >= 0 else roi.y + self._stroke), text, colour)

    def speech(self, face: FaceEmotion) -> None:
        """Draw a speech bubble at the face's top right corner, inside its box."""
        side = self.line
        right, top = face.roi.x + face.roi.width - self.gap, face.roi.y + self.gap
        left, bottom = right - round(1.4 * side), top + side
        tip = np.array([(left + side // 4, bottom), (left + side // 2, bottom)])
        tail = np.vstack([tip, (left, bottom + side // 3)]).astype(np.int32)
        for colour, grown in ((_BLACK, self._stroke), (_WHITE, 0)):
            corners = (left - grown, top - grown), (right + grown, bottom + grown)
            cv2.rectangle(self._canvas, *corners, colour, -1)
            cv2.polylines(self._canvas, [tail], True, colour, 2 * grown + 1, cv2.LINE_AA)
            cv2.fillPoly(self._canvas, [tail], colour, cv2.LINE_AA)
        for dot in (0.35, 0.7, 1.05):
            centre = left + round(dot * side), (top + bottom) // 2
            cv2.circle(self._canvas, centre, max(1, side // 10), _BLACK, -1, cv2.LINE_AA)

    def tag(self, corner: tuple[int, int], text: str, colour: Colour) -> None:
        """Write black text on a filled box at ``corner`` (its top left), moved into the image."""
        width = self._text_width(text) + 2 * self.gap
        x = max(0, min(corner[0], self._width - width))
        y = max(0, min(corner[1], self._height - self.line))
        cv2.rectangle(self._canvas, (x, y), (x + width, y + self.line), colour, -1)
        self.write(text, x + self.gap, y + self.line - self.gap, _BLACK)

    def bars(self, face: FaceEmotion) -> None:
        """Draw one bar per class into the top left corner."""
        names = max((self._text_width(label) for label in face.labels), default=0)
        length = max(20, self._width // 6)
        width = names + length + 3 * self.gap
        self._darken(0, 0, width, len(face.labels) * self.line + self.gap)
        for i, (label, probability) in enumerate(zip(face.labels, face.probabilities)):
            bottom = (i + 1) * self.line
            self.write(label, self.gap, bottom - self.gap // 2, _WHITE)
            left, top = names + 2 * self.gap, bottom - self.line + self.gap
            filled = round(length * float(np.clip(probability, 0, 1)))
            cv2.rectangle(self._canvas, (left, top), (left + length, bottom), (90, 90, 90), 1)
            cv2.rectangle(
                self._canvas, (left, top), (left + filled, bottom), label_colour(label), -1
            )

    def caption(self, lines: Sequence[str]) -> None:
        """Write lines onto a darkened strip along the bottom, each truncated to the width."""
        if not lines:
            return
        top = self._height - len(lines) * self.line - self.gap
        self._darken(0, top, self._width, self._height)
        for i, line in enumerate(lines, 1):
            self.write(self.cut(line), self.gap, top + i * self.line - self.gap // 2, _WHITE)

    def lanes(
        self,
        lanes: Sequence[tuple[str, Colour, Sequence[tuple[float, float]]]],
        span: tuple[float, float],
    ) -> None:
        """Draw bars over time, a row for each lane, with a grey line at each full second."""
        left = max((self._text_width(name) for name, _, _ in lanes), default=0) + 2 * self.gap
        begin, end = span
        pixels = (self._width - self.gap - left) / (end - begin)
        for second in range(math.ceil(begin), math.floor(end) + 1):
            x = left + round((second - begin) * pixels)
            cv2.line(self._canvas, (x, 0), (x, self._height - 1), (50, 50, 50), 1)
        for row, (name, colour, bars) in enumerate(lanes):
            top = row * self.line
            self.write(name, self.gap, top + self.line - self.gap, colour)
            for start, stop in bars:
                if stop > begin and start < end:
                    first, last = (
                        left + round((min(max(t, begin), end) - begin) * pixels)
                        for t in (start, stop)
                    )
                    corners = (first, top + self.gap // 2), (last, top + self.line - self.gap // 2)
                    cv2.rectangle(self._canvas, *corners, colour, -1)

    def wrap(self, text: str) -> list[str]:
        """Wrap text to the width, apart from longer words; return at least one line."""
        lines: list[str] = []
        for word in text.split():
            longer = f'{lines[-1]} {word}' if lines else word
            if lines and self._text_width(longer) <= self._width - 2 * self.gap:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines or ['']

    def cut(self, text: str) -> str:
        """Truncate text to the width, with an ellipsis."""
        room = self._width - 2 * self.gap
        if self._text_width(text) <= room:
            return text
        # No letter is narrower than a pixel.
        length = bisect_right(
            range(min(len(text), room) + 1), room, key=lambda n: self._text_width(text[:n] + '…')
        )
        return text[: max(length - 1, 0)] + '…'

    def _text_width(self, text: str) -> int:
        return self._letters.width(text)

    def _darken(self, left: int, top: int, right: int, bottom: int) -> None:
        area = self._canvas[max(top, 0) : bottom, left:right]
        area[:] = area // 4

    def write(self, text: str, x: int, y: int, colour: Colour) -> None:
        self._letters.write(self._canvas, text, x, y, colour)
