"""Still images as sources: one file, or a folder as a slide show."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from emotion_estimator.account import Account
from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.picture_decoding import decode_picture
from emotion_estimator.sources.base import Source, fit, silence_opencv
from emotion_estimator.untrusted import (
    MAX_PICTURE_FILE,
    MAX_PIXELS,
    cannot_read,
    quote,
    read_limited,
)

#: File types taken from a folder; other files are counted.
IMAGE_SUFFIXES = frozenset(
    (
        '.jpg',
        '.jpeg',
        '.png',
        '.bmp',
        '.webp',
        '.tif',
        '.tiff',
        '.pgm',
        '.ppm',
        '.pbm',
        '.pnm',
        '.gif',
        '.avif',
        # Refused by their name instead of being passed over.
        '.heic',
        '.heif',
    )
)

#: What is said of files that cannot be shown, by the kind of the fault.
_FAULTS = {'damaged': 'damaged', 'format': 'of another format', 'too_large': 'too large'}

#: Pieces of a name: a number, or what is between numbers.
_NUMBERS = re.compile(r'(\d+)|(\D+)')
#: Numbers are sorted before text, as their characters are.
_TEXT = 256


def read_image(path: Path, max_pixels: int = MAX_PIXELS) -> RgbImage:
    """Decode an image file to RGB uint8 (H, W, 3), upright, as :func:`decode_picture` does.

    :param max_pixels: largest product of width and height.
    :raises InputError: the file is missing, unreadable, not an image, or too large.
    """
    silence_opencv()
    try:
        data = read_limited(path, MAX_PICTURE_FILE)
    except (OSError, ValueError) as error:
        # ValueError: the name contains a null byte.
        hint = 'give the path of a readable image'
        raise cannot_read('image', path, error, InputError, hint) from error
    return decode_picture(data, f'image {quote(path)}', max_pixels)


class StillImages(Source):
    """Images, each repeated for a while; stamps from 0 in steps of ``1 / fps``.

    :param paths: image files in the order shown, at least one.
    :param name: for messages.
    :param hold: seconds each image is shown, at least one frame.
    :param fps: frames per second, above 0.
    :param loop: restart after the last one, for ever.
    :param max_pixels: largest product of width and height of a file; larger ones are broken.
    :param others: how many of what else is in the folder is not shown, by its kind.
    :ivar account: of the images, each counted once however often it is shown.
    :raises InputError: invalid rate, or no image can be decoded.
    """

    live = False

    def __init__(
        self,
        paths: list[Path],
        name: str,
        *,
        hold: float,
        fps: float = 30.0,
        loop: bool = False,
        width: int | None = None,
        height: int | None = None,
        max_pixels: int = MAX_PIXELS,
        others: Mapping[str, int] | None = None,
    ) -> None:
        if not (math.isfinite(fps) and fps > 0.0):
            raise InputError(f'{name}: {fps} frames per second is out of range; choose 1 to 120')
        self.name = name
        self.fps = float(fps)
        self._paths = paths
        self._repeats = max(round(hold * fps), 1)
        self._loop = loop
        self._size = (width, height)
        self._max_pixels = max_pixels
        #: Files that cannot be decoded, and why.
        self.broken: dict[Path, str] = {}
        self._shown: set[Path] = set()
        self.account = Account('images', declared=len(paths) + sum((others or {}).values()))
        for kind, count in (others or {}).items():
            self.account.leave_out(kind, count)
        if not any(self._read(path) is not None for path in paths):
            first = next(iter(self.broken.values()))
            if len(paths) == 1:
                raise InputError(first)
            raise InputError(
                f'none of the {len(paths)} images in {name} can be decoded; first: {first}'
            )

    @property
    def skipped(self) -> int:
        """Return the number of files so far that cannot be decoded."""
        return len(self.broken)

    def frames(self) -> Iterator[Frame]:
        """Yield each image for ``hold`` seconds, as a new copy in each frame."""
        i = 0
        while True:
            shown = 0
            for path in self._paths:
                image = self._read(path)
                if image is None:
                    continue
                shown += 1
                if path not in self._shown:
                    self._shown.add(path)
                    self.account.read += 1
                for _ in range(self._repeats):
                    yield Frame(image.copy(), i / self.fps)
                    i += 1
            if not shown:
                raise InputError(
                    f'no image in {self.name} can be decoded any more; restore the files'
                )
            if not self._loop:
                return

    def close(self) -> None:
        """Do nothing: there is nothing to free."""

    def _read(self, path: Path) -> RgbImage | None:
        try:
            return fit(read_image(path, self._max_pixels), *self._size)
        except InputError as error:
            # Of one that was shown before, the account is closed.
            if path not in self.broken and path not in self._shown:
                self.account.leave_out(_FAULTS.get(error.kind, 'unreadable'))
            self.broken[path] = str(error)
            return None


def images_in(folder: Path) -> list[Path]:
    """Return the image files directly in ``folder``, in natural order: ``2.png`` before ``10.png``.

    :raises InputError: it cannot be listed or has no images.
    """
    return contents(folder)[0]


def contents(folder: Path) -> tuple[list[Path], dict[str, int]]:
    """Return what :func:`images_in` does, and how much else is in the folder, by its kind.

    Hidden files, which systems leave there, are not counted.

    :raises InputError: it cannot be listed or has no images.
    """
    paths: list[Path] = []
    others: Counter[str] = Counter()
    try:
        for path in folder.iterdir():
            if path.suffix.lower() in IMAGE_SUFFIXES:
                paths.append(path)
            elif not path.name.startswith('.'):
                others['folders' if path.is_dir() else 'not images'] += 1
    except OSError as error:
        raise InputError(f'folder {folder} cannot be listed ({error.strerror})') from error
    if not paths:
        raise InputError(f'folder {folder} has no images; add JPEG or PNG files')
    return sorted(paths, key=_natural), dict(others)


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Return the key of natural order: numbers by their value, of any length and script."""
    key: list[tuple[int, str]] = []
    # Decimal digits only: superscripts are digits to Python, too, and no numbers.
    for number, text in _NUMBERS.findall(path.stem):
        if number:
            # Compared by length first: a number of many digits is not converted.
            digits = ''.join(str(unicodedata.decimal(digit)) for digit in number).lstrip('0')
            key.append((len(digits), digits))
        else:
            key.append((_TEXT, text))
    # Names that differ only in leading zeros have an order, too.
    return key, path.name
