"""Text in images: DejaVu Sans, which has all of Latin script; without it OpenCV's stroke font."""

from __future__ import annotations

import importlib.util
import logging
import unicodedata
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_log = logging.getLogger(__name__)

_FILE = 'DejaVuSans.ttf'
#: Height of a capital letter: DejaVu Sans's in ems, and that of OpenCV's font at scale 1 in pixels.
_CAPITAL_EMS, _CAPITAL_PIXELS = 0.729, 21.0
#: Texts of a size of which bitmaps and widths are kept: a frame has about ten.
_BITMAPS, _WIDTHS = 128, 2048
#: Longer texts are cut before anything is measured: nobody can read them on an image.
_LONGEST = 2000


class Lettering(Protocol):
    """Writes lines of text in one size."""

    @property
    def height(self) -> int:
        """Height of a capital letter in pixels."""

    def width(self, text: str) -> int:
        """Return the width of ``text`` in pixels."""

    def write(
        self, canvas: NDArray[np.uint8], text: str, x: int, y: int, colour: tuple[int, int, int]
    ) -> None:
        """Write ``text`` from ``x`` on the baseline ``y``; what lies outside is left out.

        :param canvas: uint8 (H, W, 3), RGB.
        """


@lru_cache(maxsize=16)
def lettering(height: int) -> Lettering:
    """Return the letters whose capitals are about ``height`` pixels high, at least 1.

    Without Pillow or the font, one line in the log says so, and accents are left out.
    """
    file = _font_file()
    if file is None:
        return _StrokeLetters(height)
    from PIL import ImageFont

    return _TypeLetters(ImageFont.truetype(file, max(1, round(height / _CAPITAL_EMS))))


@cache
def _font_file() -> str | None:
    """Return a font file that Pillow can open, or None; looks for it once."""
    try:
        from PIL import ImageFont
    except ImportError:
        missing = 'Pillow'
    else:
        package = importlib.util.find_spec('matplotlib')
        folder = Path(package.origin).parent if package and package.origin else Path()
        # matplotlib carries the font; a name alone is looked for among the system's fonts.
        for file in (str(folder / 'mpl-data' / 'fonts' / 'ttf' / _FILE), _FILE):
            try:
                return str(ImageFont.truetype(file, 10).path)
            except OSError:
                continue
        missing = 'the font DejaVu Sans'
    _log.warning(
        '%s is missing: text in images has no accents; pip install matplotlib brings it', missing
    )
    return None


class _TypeLetters:
    def __init__(self, font: FreeTypeFont) -> None:
        self._font = font
        _, top, _, bottom = font.getbbox('H', anchor='ls')
        self.height = round(bottom - top)
        self.width = lru_cache(_WIDTHS)(self._width)
        self._bitmap = lru_cache(_BITMAPS)(self._draw)

    def write(
        self, canvas: NDArray[np.uint8], text: str, x: int, y: int, colour: tuple[int, int, int]
    ) -> None:
        left, top, mask = self._bitmap(text)
        left, top = x + left, y + top
        rows = slice(max(top, 0), max(min(top + mask.shape[0], canvas.shape[0]), 0))
        columns = slice(max(left, 0), max(min(left + mask.shape[1], canvas.shape[1]), 0))
        area = canvas[rows, columns]
        if area.size:
            share = mask[
                rows.start - top : rows.stop - top, columns.start - left : columns.stop - left, None
            ]
            area[:] = (area * (255 - share) + np.array(colour, np.uint16) * share + 127) // 255

    def _width(self, text: str) -> int:
        return int(np.ceil(self._font.getlength(_printable(text))))

    def _draw(self, text: str) -> tuple[int, int, NDArray[np.uint16]]:
        """Return where the text's bitmap begins, seen from the baseline's begin, and the bitmap.

        :returns: left, top, and how much each pixel is covered, 0 to 255, (h, w).
        """
        from PIL import Image, ImageDraw

        shown = _printable(text)
        left, top, right, bottom = map(int, self._font.getbbox(shown, anchor='ls'))
        image = Image.new('L', (max(right - left, 1), max(bottom - top, 1)))
        ImageDraw.Draw(image).text((-left, -top), shown, 255, self._font, anchor='ls')
        return left, top, np.asarray(image).astype(np.uint16)


class _StrokeLetters:
    _FONT = cv2.FONT_HERSHEY_SIMPLEX

    def __init__(self, height: int) -> None:
        self.height = height
        self._scale = height / _CAPITAL_PIXELS
        self._stroke = max(1, round(height / 9))

    def width(self, text: str) -> int:
        width: int = cv2.getTextSize(_ascii(text), self._FONT, self._scale, self._stroke)[0][0]
        return width

    def write(
        self, canvas: NDArray[np.uint8], text: str, x: int, y: int, colour: tuple[int, int, int]
    ) -> None:
        cv2.putText(
            canvas, _ascii(text), (x, y), self._FONT, self._scale, colour, self._stroke, cv2.LINE_AA
        )


def _printable(text: str) -> str:
    """Return the text on one line, in composed characters, without any that cannot be drawn."""
    composed = unicodedata.normalize('NFC', text[:_LONGEST])
    if composed.isprintable():
        return composed
    return ''.join(
        each if each.isprintable() else ' ' if each.isspace() else '\N{REPLACEMENT CHARACTER}'
        for each in composed
    )


def _ascii(text: str) -> str:
    """Return the text without accents; other characters outside ASCII become ``?``."""
    apart = unicodedata.normalize('NFKD', _printable(text))
    return (
        ''.join(c for c in apart if not unicodedata.combining(c))
        .encode('ascii', 'replace')
        .decode()
    )
