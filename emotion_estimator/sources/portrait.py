"""The animated portrait: a real face that changes its expression and speaks, with its truth."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.account import Account
from emotion_estimator.emotion import NONE
from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame
from emotion_estimator.sources.base import Source
from emotion_estimator.sources.portrait_face import SAD_FACE
from emotion_estimator.sources.portrait_warp import FaceWarp

#: Duration in seconds of a change of expression, and of entering or leaving the image.
CHANGE = 0.3
SLIDE = 0.4

_DATA = Path(__file__).resolve().parent / 'data'

#: Magnification at which the face is warped, and height of a frame in pixels of the picture.
_SCALE = 2
_VIEW = 284.0
#: Point of the picture at the centre of the frame, and the pivot of the swaying body.
_CENTRE = (228.0, 148.0)
_PIVOT = (225.0, 250.0)
#: How far the person steps aside to be out of view, beyond half a frame, in pixels of the picture.
_REACH = 165.0
#: Seconds between blinks, and how long lids close, stay closed and open.
_BLINK_EVERY = 3.7
_BLINK = (0.08, 0.05, 0.14)

#: How much larger than a frame the noise is, in pixels.
_NOISE_MARGIN = 61


@dataclass(frozen=True)
class PortraitSegment:
    """One segment of the script.

    :param seconds: its duration.
    :param expression: ``neutral``, ``happy`` or ``sad``.
    :param present: whether the person is in the image.
    :param speaking: whether the person speaks.
    """

    seconds: float
    expression: str
    present: bool = True
    speaking: bool = False

    @property
    def truth(self) -> str:
        """Return the correct label in this segment: ``happy``, ``sad``, ``unknown`` or ``none``."""
        if not self.present:
            return NONE
        return 'unknown' if self.expression == 'neutral' else self.expression


#: The absence has two segments, so that the expression changes out of sight.
SCRIPT: tuple[PortraitSegment, ...] = (
    PortraitSegment(3.0, 'neutral'),
    PortraitSegment(4.0, 'happy'),
    PortraitSegment(3.0, 'neutral'),
    PortraitSegment(5.0, 'sad'),
    PortraitSegment(3.0, 'neutral'),
    PortraitSegment(1.5, 'neutral', present=False),
    PortraitSegment(1.5, 'happy', present=False),
    PortraitSegment(3.0, 'happy'),
    PortraitSegment(2.0, 'neutral'),
    PortraitSegment(4.0, 'neutral'),
    PortraitSegment(4.0, 'neutral', speaking=True),
    PortraitSegment(6.0, 'neutral'),
)

#: Syllables per second of slow speech.
_SYLLABLES = 4.5
#: What is spoken, a syllable's vowel and how far it opens the mouth; '' is a pause.
#: "My sister had a garden. She grew the reddest roses there."
_SPEECH: tuple[tuple[str, float], ...] = (
    ('open', 0.9), ('spread', 0.9), ('spread', 0.7), ('open', 0.8), ('open', 0.6), ('open', 1.0),
    ('spread', 0.7), ('', 0.0), ('', 0.0), ('spread', 1.0), ('round', 1.0), ('spread', 0.7),
    ('open', 0.8), ('spread', 0.8), ('round', 1.0), ('spread', 0.8), ('open', 0.9), ('', 0.0),
)  # fmt: skip


def smoothstep(x: float) -> float:
    """Rise smoothly from 0 (x <= 0) to 1 (x >= 1)."""
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


class Timeline:
    """The state of a script at any time in seconds; the script repeats after its end."""

    def __init__(self, script: tuple[PortraitSegment, ...] = SCRIPT) -> None:
        self._script = script
        ends: list[float] = []
        for segment in script:
            ends.append((ends[-1] if ends else 0.0) + segment.seconds)
        self._ends = tuple(ends)
        self.duration = ends[-1]

    def truth_at(self, t: float) -> str:
        """Return the correct label at ``t``: happy, unknown (neutral), sad or none."""
        return self._script[self._index(t)].truth

    def changes(self) -> tuple[float, ...]:
        """Return the times within one pass of the script at which the correct label changes.

        Time 0 is one of them if the last and the first label differ.
        """
        starts = (0.0, *self._ends[:-1])
        return tuple(
            start
            for start, before, after in zip(
                starts, (self._script[-1], *self._script[:-1]), self._script
            )
            if before.truth != after.truth
        )

    def speaking_at(self, t: float) -> bool:
        """Return whether the person speaks at ``t``, which includes short pauses for breath."""
        return self._script[self._index(t)].speaking

    def mouth_at(self, t: float) -> dict[str, float]:
        """Return the weight of each of ``VOWELS`` that the mouth forms at ``t``, 0 to 1 in sum."""
        i = self._index(t)
        if not self._script[i].speaking:
            return {}
        since = t % self.duration - self._ends[i] + self._script[i].seconds
        number, phase = divmod(since * _SYLLABLES, 1.0)
        vowel, opening = _SPEECH[int(number) % len(_SPEECH)]
        return {vowel: opening * math.sin(math.pi * phase) ** 1.5} if vowel else {}

    def expression_at(self, t: float) -> dict[str, float]:
        """Return the weight of each expression at ``t``; the weights sum to 1."""
        before, after, share = self._blend(t, CHANGE)
        mix = {before.expression: 1.0 - share}
        mix[after.expression] = mix.get(after.expression, 0.0) + share
        return mix

    def presence_at(self, t: float) -> float:
        """Return 1 if the person is in the image, 0 if absent, in between while moving."""
        before, after, share = self._blend(t, SLIDE)
        return (1.0 - share) * before.present + share * after.present

    def _index(self, t: float) -> int:
        within = t % self.duration
        return next((i for i, end in enumerate(self._ends) if within < end), 0)

    def _blend(self, t: float, width: float) -> tuple[PortraitSegment, PortraitSegment, float]:
        """Return the segments before and after the nearest change, and the later one's weight."""
        i = self._index(t)
        within = t % self.duration
        start, end = self._ends[i] - self._script[i].seconds, self._ends[i]
        if within - start < end - within:
            before, after = self._script[i - 1], self._script[i]
            since = within - start
        else:
            before, after = self._script[i], self._script[(i + 1) % len(self._script)]
            since = within - end
        return before, after, smoothstep(since / width + 0.5)


class Portrait(Source):
    """The animated portrait: a pure function of time, from stamp 0, one pass unless looped.

    :param fps: frames per second, above 0.
    :param size: width and height of the frames in pixels, each at least 64.
    :param loop: restart after each pass, for ever.
    :param noise: standard deviation of the sensor noise, in grey levels of 255.
    :raises InputError: invalid rate or size.
    """

    live = False

    def __init__(
        self,
        fps: float = 30.0,
        size: tuple[int, int] = (512, 512),
        loop: bool = False,
        noise: float = 2.0,
    ) -> None:
        if not (math.isfinite(fps) and fps > 0.0):
            raise InputError(f'portrait: {fps} frames per second is out of range; choose 1 to 120')
        if min(size) < 64:
            raise InputError(f'portrait: {size[0]}x{size[1]} is too small; choose at least 64x64')
        self.name = 'portrait'
        self.account = Account('frames')
        self.fps = float(fps)
        self._size = size
        self._loop = loop
        self._timeline = Timeline()
        self.duration = self._timeline.duration
        self._person = _load_person()
        self._face = FaceWarp(np.ascontiguousarray(self._person[..., :3]), _SCALE)
        self._room = _room(size)
        self._noise = _noise(size, noise)

    def truth_at(self, t: float) -> str:
        """Return the correct label at ``t``: happy, unknown (neutral), sad or none."""
        return self._timeline.truth_at(t)

    def speaking_at(self, t: float) -> bool:
        """Return whether the person speaks at ``t``, which includes short pauses for breath."""
        return self._timeline.speaking_at(t)

    def changes(self) -> tuple[float, ...]:
        """Return the times in seconds, within one pass, at which the correct label changes."""
        return self._timeline.changes()

    def frames(self) -> Iterator[Frame]:
        """Yield the frames of one pass, stamped from 0 in steps of ``1 / fps``."""
        i = 0
        self.account = Account('frames')
        while self._loop or i / self.fps < self.duration:
            self.account.read += 1
            yield self.frame_at(i / self.fps)
            i += 1

    def frame_at(self, t: float) -> Frame:
        """Return the frame at ``t`` seconds, always the same for the same ``t``."""
        return Frame(self.image_at(t), t, self.truth_at(t), self.speaking_at(t))

    def close(self) -> None:
        """Do nothing: there is nothing to free."""

    def image_at(self, t: float) -> NDArray[np.uint8]:
        """Return the image at ``t`` seconds: uint8 (height, width, 3), RGB."""
        presence = self._timeline.presence_at(t)
        image: NDArray[Any] = self._room.copy()
        if presence > 0.0:
            shares = self._timeline.expression_at(t)
            mouth = self._timeline.mouth_at(t)
            shares['neutral'] = shares.get('neutral', 0.0) - sum(mouth.values())
            shares.update(mouth)
            # Drooping lids close by less.
            shares['blink'] = _lids(t) * (1.0 - SAD_FACE.upper_lid * shares.get('sad', 0.0))
            self._person[self._face.area][..., :3] = self._face(shares)
            layer = cv2.warpAffine(self._person, self._pose(t, presence), self._size)
            see_through = cv2.bitwise_not(cv2.extractChannel(layer, 3))
            image = cv2.multiply(image, cv2.merge([see_through] * 3), scale=1 / 255)
            image = cv2.add(image, cv2.cvtColor(layer, cv2.COLOR_RGBA2RGB))
        return self._add_noise(image, t)

    def _pose(self, t: float, presence: float) -> NDArray[np.float64]:
        """Return the affine map (2, 3) from the enlarged picture to the frame: sway, lean, step."""
        width, height = self._size
        zoom = height / _VIEW * (1.0 + 0.02 * math.sin(math.tau * t / 9.1))
        roll = math.radians(2.2 * math.sin(math.tau * t / 6.3) + 0.7 * math.sin(math.tau * t / 2.3))
        across = 3.0 * math.sin(math.tau * t / 7.3) + 1.2 * math.sin(math.tau * t / 3.1 + 1.0)
        down = 2.0 * math.sin(math.tau * t / 5.2 + 0.5)
        aside = (1.0 - presence) * (_REACH + width / height * _VIEW / 2)
        linear = zoom * np.array(
            [[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]]
        )
        pivot = np.array(_PIVOT)
        place = np.array([width / 2, height / 2]) + height / _VIEW * (
            pivot - _CENTRE + (across - aside, down)
        )
        # Point p of the picture is at (p + 0.5) * _SCALE - 0.5 in the enlargement.
        shift = place - linear @ (pivot + 0.5 - 0.5 / _SCALE)
        return np.hstack([linear / _SCALE, shift[:, None]])

    def _add_noise(self, image: NDArray[Any], t: float) -> NDArray[np.uint8]:
        height, width = image.shape[:2]
        # Knuth's multiplicative hash of the time in milliseconds selects the offset of the noise.
        place = (round(t * 1000.0) * 2654435761) % 2**32
        y, x = place % _NOISE_MARGIN, (place >> 16) % _NOISE_MARGIN
        lighter, darker = (n[y : y + height, x : x + width] for n in self._noise)
        return np.asarray(cv2.subtract(cv2.add(image, lighter), darker), np.uint8)


def _lids(t: float) -> float:
    """Return how far a blink closes the lids at ``t``: 0 open, 1 closed."""
    fall, stay, rise = _BLINK
    number, since = divmod(t, _BLINK_EVERY)
    since -= 1.6 + 0.9 * math.sin(2.4 * number)
    if since < fall + stay:
        return smoothstep(since / fall)
    return 1.0 - smoothstep((since - fall - stay) / rise)


def _load_person() -> NDArray[np.uint8]:
    """Return the cut-out person, enlarged by ``_SCALE``: RGBA, premultiplied by alpha."""
    picture = cv2.imread(str(_DATA / 'astronaut.jpg'), cv2.IMREAD_COLOR)
    mask = cv2.imread(str(_DATA / 'astronaut_mask.png'), cv2.IMREAD_GRAYSCALE)
    if picture is None or mask is None:
        raise InputError(f'portrait: pictures are missing from {_DATA}; reinstall the package')
    rgba = np.dstack([cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), mask])
    rgba = cv2.resize(rgba, None, fx=_SCALE, fy=_SCALE, interpolation=cv2.INTER_CUBIC)
    colours = np.rint(rgba[..., :3] * (rgba[..., 3:] / 255.0))
    return np.dstack([colours.astype(np.uint8), rgba[..., 3]])


def _room(size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a mottled backdrop like that of the picture: RGB."""
    random = np.random.RandomState(2)
    mottle = cv2.resize(random.normal(0.0, 4.0, (5, 6)), size, interpolation=cv2.INTER_CUBIC)
    light = np.linspace(6.0, -10.0, size[1])[:, None]
    colour = np.array([201.0, 195.0, 192.0])
    lit = colour + np.asarray(mottle + light)[..., None]
    return np.asarray(np.rint(lit).clip(0, 255), np.uint8)


def _noise(size: tuple[int, int], deviation: float) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the noise's positive and negative parts, larger than a frame so that it can shift."""
    random = np.random.RandomState(3)
    shape = (size[1] + _NOISE_MARGIN, size[0] + _NOISE_MARGIN, 3)
    noise = np.rint(random.normal(0.0, deviation, shape))
    return noise.clip(0, 255).astype(np.uint8), (-noise).clip(0, 255).astype(np.uint8)
