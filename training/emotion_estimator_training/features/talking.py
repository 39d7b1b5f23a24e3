"""Makes photographed people talk: whose faces, with whose mouths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator_training.data.mouths import direction, with_mouth_of, with_syllable
from emotion_estimator_training.data.stills import FER_CLASSES

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Rows = NDArray[np.bool_]

_NEUTRAL, _HAPPY, _SAD = (FER_CLASSES.index(name) for name in ('neutral', 'happy', 'sad'))
#: Face width in pixels from which a mouth is good enough for another face.
_LEAST_WIDTH = 70
#: Longest side in pixels of the picture of a mouth that is kept.
_MOST_PIXELS = 256
#: Difference of :func:`direction` up to which two faces are turned alike; of mouths from films,
#: which are few, a little more.
_ALIKE, _ALIKE_IN_FILMS = 0.15, 0.25
#: By class, the share of mouths taken from photographs, from films, and of moved own mouths. People
#: who smile lend theirs to people who smile. Nobody lends a mouth to the sad: theirs is half of the
#: expression.
_MOUTHS = {_NEUTRAL: (0.5, 0.3, 0.2), _HAPPY: (0.6, 0.0, 0.4)}
_OWN_MOUTH = (0.0, 0.0, 1.0)


@dataclass(frozen=True)
class TalkingPlan:
    """How many faces are made to talk.

    :param mouths: pictures of each face with another mouth.
    :param each: maximum number of faces of one person.
    :param faces: maximum number of neutral faces; of happy and of sad ones half as many, and of
        each other class an eighth.
    """

    mouths: int = 4
    each: int = 6
    faces: int = 1600

    def most(self, emotion: int) -> int:
        """Return the maximum number of faces of a class."""
        if emotion == _NEUTRAL:
            return self.faces
        return self.faces // (2 if emotion in (_HAPPY, _SAD) else 8)


@dataclass(frozen=True, eq=False)
class LentMouth:
    """A face whose mouth others can have.

    :param grey: uint8 (H, W), the face with a margin around it.
    :param landmarks: float32 (478, 3), in pixels of ``grey``.
    """

    grey: Image
    landmarks: Floats


def mouth_in(image: Image, landmarks: Floats) -> LentMouth:
    """Return the part of an image that shows a face, of at most 256 pixels.

    :param image: uint8 (H, W, 3) RGB.
    :param landmarks: (478, 3), in its pixels.
    """
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    margin = (high - low) / 2
    left, top = np.maximum(low - margin, 0).astype(int).tolist()
    right, bottom = (high + margin).astype(int).tolist()
    grey = cv2.cvtColor(np.ascontiguousarray(image[top:bottom, left:right]), cv2.COLOR_RGB2GRAY)
    scale = min(1.0, _MOST_PIXELS / max(grey.shape))
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    moved = (landmarks - np.array([left, top, 0], np.float32)) * np.float32(scale)
    return LentMouth(np.asarray(small, np.uint8), moved.astype(np.float32))


def talking(
    image: Image, landmarks: Floats, mouth: LentMouth | None, rng: np.random.Generator
) -> Image:
    """Return a face (H, W), grey, with another mouth; None or one that does not fit moves its own.

    :param image: uint8 (H, W, 3) RGB.
    :param landmarks: (478, 3), in its pixels.
    """
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    made = None
    if mouth is not None:
        made = with_mouth_of(grey, landmarks, mouth.grey, mouth.landmarks)
    return with_syllable(grey, landmarks, rng) if made is None else made


class MouthLenders:
    """The mouths that people in one part of the photographs and films lend to each other."""

    def __init__(
        self,
        picture: Callable[[int], Image],
        landmarks: Floats,
        emotion: Ints,
        person: Ints,
        usable: Rows,
        filmed: Sequence[LentMouth],
    ) -> None:
        """Take the photographs, of which ``usable`` (N,) says which are of this part.

        :param picture: returns a photograph, uint8 (H, W, 3) RGB.
        :param landmarks: (N, 478, 3), in the photographs' pixels.
        :param emotion: (N,), index into ``FER_CLASSES``.
        :param person: (N,), number of the person.
        :param filmed: mouths from films of people who talk.
        """
        self._picture, self._landmarks = picture, landmarks
        self._emotion, self._person, self._usable = emotion, person, usable
        self._turn = np.zeros((len(landmarks), 2), np.float32)
        for row in np.flatnonzero(usable):
            self._turn[row] = direction(landmarks[row])
        large = usable & (np.ptp(landmarks[..., 0], axis=1) > _LEAST_WIDTH)
        self._lenders = {
            code: np.flatnonzero(large & (emotion == code)) for code in (_NEUTRAL, _HAPPY)
        }
        self._filmed = filmed
        self._filmed_turn = np.array([direction(one.landmarks) for one in filmed]).reshape(-1, 2)
        self._kept: dict[int, LentMouth] = {}

    def plan(
        self, plan: TalkingPlan, rng: np.random.Generator
    ) -> list[tuple[int, LentMouth | None]]:
        """Choose which faces talk, and the mouth of each picture; None is the face's own."""
        of_person: Counter[int] = Counter()
        of_class: Counter[int] = Counter()
        chosen = []
        for row in rng.permutation(np.flatnonzero(self._usable)).tolist():
            person, emotion = int(self._person[row]), int(self._emotion[row])
            if of_person[person] >= plan.each or of_class[emotion] >= plan.most(emotion):
                continue
            of_person[person] += 1
            of_class[emotion] += 1
            chosen += [(row, self._lent(row, rng)) for _ in range(plan.mouths)]
        return chosen

    def _lent(self, row: int, rng: np.random.Generator) -> LentMouth | None:
        code = int(self._emotion[row])
        way = rng.choice(3, p=_MOUTHS.get(code, _OWN_MOUTH))
        if way == 0:
            others = self._lenders[code]
            near = np.abs(self._turn[others] - self._turn[row]).max(axis=1) < _ALIKE
            others = others[near & (self._person[others] != self._person[row])]
            return self._photographed(int(rng.choice(others))) if len(others) else None
        if way == 1 and self._filmed:
            near = np.abs(self._filmed_turn - self._turn[row]).max(axis=1) < _ALIKE_IN_FILMS
            return self._filmed[int(rng.choice(np.flatnonzero(near)))] if near.any() else None
        return None

    def _photographed(self, row: int) -> LentMouth:
        if row not in self._kept:
            self._kept[row] = mouth_in(self._picture(row), self._landmarks[row])
        return self._kept[row]
