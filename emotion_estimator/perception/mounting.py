"""How a camera is mounted: turn its images upright, and find out by which turn.

Turns are clockwise, in degrees: 0, 90, 180 or 270. Everything behind the turn (boxes, landmarks,
angles, the debug image) is in pixels and axes of the turned image, and :func:`turned_camera` turns
the camera's intrinsics with it.
"""

from __future__ import annotations

import logging
from typing import Protocol

import cv2
import numpy as np

from emotion_estimator.errors import InputError, first_line
from emotion_estimator.frame import RgbImage
from emotion_estimator.perception.head_pose import Intrinsics

_LOG = logging.getLogger(__name__)

#: Turns from which a camera's image may have to be made upright.
TURNS = (0, 90, 180, 270)

#: Head roll in degrees above which a face does not count as upright, halfway to the next turn and
#: somewhat more, since heads tilt.
UPRIGHT_ROLL = 60.0

_ROTATIONS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}

#: Seconds without an upright face after which the other turns are looked at: `auto`, and where only
#: a hint is given.
_PATIENCE = 3.0
_HINT_PATIENCE = 10.0
#: Seconds between two such looks.
_PERIOD = 1.0
#: Looks at one turn, without any in between in which it showed no face, that decide for it.
_LOOKS = 3
#: Seconds of upright faces after which the turn is right and the others are no longer looked at.
_SETTLED = 2.0
#: Longer steps of time count as none: the stream was interrupted, or began again.
_LONGEST_STEP = 2.0


def turned(image: RgbImage, degrees: int) -> RgbImage:
    """Return an image turned clockwise, contiguous; the image itself for 0.

    :param image: uint8 (H, W, 3).
    :param degrees: one of ``TURNS``.
    :raises InputError: another number.
    """
    _check(degrees)
    if degrees == 0:
        return image
    return np.asarray(cv2.rotate(image, _ROTATIONS[degrees]), np.uint8)


def turned_camera(camera: Intrinsics, degrees: int) -> Intrinsics:
    """Return the camera of images that are turned clockwise.

    :param degrees: one of ``TURNS``.
    :raises InputError: another number.
    """
    _check(degrees)
    fx, fy, cx, cy = camera.fx, camera.fy, camera.cx, camera.cy
    # Pixels are points at integers: the last column is width - 1.
    right, bottom = camera.width - 1, camera.height - 1
    if degrees == 90:
        return Intrinsics(fy, fx, bottom - cy, cx, camera.height, camera.width)
    if degrees == 180:
        return Intrinsics(fx, fy, right - cx, bottom - cy, camera.width, camera.height)
    if degrees == 270:
        return Intrinsics(fy, fx, cy, right - cx, camera.height, camera.width)
    return camera


class LooksForFaces(Protocol):
    """What is asked of the estimator."""

    @property
    def saw_upright_face(self) -> bool:
        """Return whether the last image showed an upright face."""

    def shows_upright_face(self, image: RgbImage) -> bool:
        """Return whether a still image surely shows one."""


class Mounting:
    """Decides by how much a camera's images are turned.

    A fixed turn stays; ``auto`` starts at 0. While no upright face has been seen for some seconds,
    one of the other turns is due for a look every second; the caller looks and reports. Faces in
    three looks at one turn, with no look in vain between them, decide for it: ``auto`` takes it,
    and a fixed turn gives a hint. Once upright faces have been seen for two seconds in all, the
    turn is right, and the other ones are not looked at again. Time is the images' stamps.

    ::

        image = turned(raw, mounting.degrees)
        other = mounting.after_image(stamp, upright_face=...)
        if other is not None:
            look = turned(image, (other - mounting.degrees) % 360)
            mounting.after_look(other, upright_face=...)
    """

    def __init__(self, rotate: str = '0') -> None:
        """Start with a value of the setting ``rotate``: a turn in degrees, or ``auto``.

        :raises InputError: another text.
        """
        self.auto = rotate == 'auto'
        if not self.auto and rotate not in map(str, TURNS):
            raise InputError(f'rotate must be 0, 90, 180, 270 or auto, got {rotate!r}')
        #: By how much to turn the images, clockwise.
        self.degrees = 0 if self.auto else int(rotate)
        #: What to tell the user; empty if nothing.
        self.hint = ''
        self._start()

    def _start(self) -> None:
        self._last: float | None = None
        #: Seconds without and with upright faces.
        self._without = 0.0
        self._with = 0.0
        self._since_look = _PERIOD
        self._next = 0
        self._hits = dict.fromkeys(TURNS, 0)

    def after_image(self, stamp: float, *, upright_face: bool) -> int | None:
        """Report what was seen in an image turned by ``degrees``.

        :param stamp: of the image, in seconds.
        :param upright_face: whether there is a face in it whose head rolls less than 60 degrees.
        :returns: a turn to look at now, or None.
        """
        step = 0.0 if self._last is None else stamp - self._last
        self._last = stamp
        if not 0.0 <= step <= _LONGEST_STEP:
            step = 0.0
        if upright_face:
            self._with += step
            self._without = 0.0
            self._hits = dict.fromkeys(TURNS, 0)
            self.hint = ''
            return None
        self._without += step
        self._since_look += step
        patience = _PATIENCE if self.auto else _HINT_PATIENCE
        if self._with >= _SETTLED or self._without < patience or self._since_look < _PERIOD:
            return None
        self._since_look = 0.0
        others = [turn for turn in TURNS if turn != self.degrees]
        # The turn that showed a face last is looked at until it does not.
        promising = [turn for turn in others if self._hits[turn]]
        if promising:
            return promising[0]
        self._next = (self._next + 1) % len(others)
        return others[self._next]

    def after_look(self, degrees: int, *, upright_face: bool) -> bool:
        """Report what was seen in an image turned by ``degrees``, which ``after_image`` returned.

        :returns: whether ``auto`` took this turn just now.
        """
        if not upright_face:
            self._hits[degrees] = 0
            return False
        self._hits[degrees] += 1
        if self._hits[degrees] < _LOOKS:
            return False
        if not self.auto:
            self.hint = (
                f'faces appear only after turning by {degrees} degrees; set rotate:={degrees}'
            )
            return False
        self.degrees = degrees
        self._start()
        return True


def look_around(
    mounting: Mounting, image: RgbImage, stamp: float, estimator: LooksForFaces
) -> bool:
    """Now and then, while there is no upright face, look for one in the image turned.

    :param image: the one that ``estimator`` processed last, turned as ``mounting`` says.
    :returns: whether ``auto`` took another turn just now.
    """
    degrees = mounting.after_image(stamp, upright_face=estimator.saw_upright_face)
    if degrees is None:
        return False
    other = turned(image, (degrees - mounting.degrees) % 360)
    try:
        upright = estimator.shows_upright_face(other)
    except Exception as error:
        # Whatever MediaPipe raises: the image itself has been answered.
        _LOG.warning('a look for faces in the turned image failed: %s', first_line(error))
        upright = False
    return mounting.after_look(degrees, upright_face=upright)


def _check(degrees: int) -> None:
    if degrees not in TURNS:
        raise InputError(f'an image can be turned by 0, 90, 180 or 270 degrees, got {degrees}')
