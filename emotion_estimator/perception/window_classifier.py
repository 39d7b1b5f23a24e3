"""Models that read a window of frames in place of the shipped streaming one (docs/zoo.md)."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from emotion_estimator.emotion import FloatArray
from emotion_estimator.errors import InputError, ModelError, first_line
from emotion_estimator.frame import RgbImage
from emotion_estimator.model_card import ModelCard
from emotion_estimator.perception.appearance import AppearanceNetwork
from emotion_estimator.perception.face_crop import crop as grey_crop
from emotion_estimator.perception.face_parts import FACE, aligned_face, motion, part_image
from emotion_estimator.perception.window_card import (
    EMBEDDING,
    ENCODING,
    FLOW,
    IMAGE,
    KIND,
    SHAPES,
    WindowInput,
    read_settings,
)
from emotion_estimator.perception.window_network import WindowNetwork, check_file

#: Frames kept of a face for each one that the model reads: of quicker cameras some are passed over,
#: so that memory is bounded and the window is filled all the same.
_KEPT = 4


#: What is kept of one frame: each input's value.
Values = tuple[Any, ...]


class Memory(NamedTuple):
    """What is kept of a face.

    :param now: seconds since it was first seen.
    :param seen: of its last frames, the oldest first: when it was, and its values.
    """

    now: float = 0.0
    seen: tuple[tuple[float, Values], ...] = ()


class WindowSeen(NamedTuple):
    """What is known of a face in a frame, in the fields of the shipped classifier's ``Seen``.

    :param blendshapes: all that the model reads; None where the landmarks are no face.
    :param embedding: nothing.
    """

    blendshapes: Values | None
    embedding: None = None


class WindowAnswer(NamedTuple):
    """What the model says of a frame, as the shipped classifier's answer has it.

    :param probabilities: (C,) over ``labels``; ``expressions`` alike.
    :param state: the face's new memory.
    """

    probabilities: FloatArray
    expressions: FloatArray
    state: Memory


class WindowClassifier:
    """Frames of a face in, probabilities out; the memory is the caller's, one per face.

    It stands for the shipped classifier and for its branches: it reads faces itself.
    """

    #: What the setting ``branches`` would call it.
    name = 'window'
    #: A usual face at rest is not known.
    neutral = None

    def __init__(self, card: ModelCard, runtime: str | None = None) -> None:
        """Open the weights of ``card``; see :meth:`load`."""
        self.labels, self.title, self.sha256 = card.labels, card.title, card.sha256
        settings = read_settings(card)
        self.window, self.rate = settings.window, settings.rate
        self._side, self._inputs = settings.face_side, settings.inputs
        shapes = {one.name: one.shape(self.window) for one in self._inputs}
        self._network = WindowNetwork(card.path, shapes, len(card.labels), runtime)
        self._read: WindowInput | None = None
        if settings.frame is not None:
            self._read, path = settings.frame.input, settings.frame.path
            check_file(path, settings.frame.sha256)
            [size] = [one.size for one in self._inputs if one.kind == ENCODING]
            self._frames = WindowNetwork(
                path, {self._read.name: self._read.shape(1)}, size, runtime
            )
        self._appearance: AppearanceNetwork | None = None
        if any(one.kind == EMBEDDING for one in (*self._inputs, self._read) if one):
            self._appearance = AppearanceNetwork.load(None, runtime)
            # Another network's numbers would be read as if they meant the same.
            if self._appearance.sha256 != settings.appearance:
                raise ModelError(
                    f'{card.title} was trained with another appearance network than '
                    f'{self._appearance.title}; train it again with this version'
                )
        # Blendshapes alone need no picture.
        self._looks = any(one.kind != SHAPES for one in self._inputs)

    @classmethod
    def load(cls, card: Path | str, runtime: str | None = None) -> WindowClassifier:
        """Load a model that ``emotion-estimator zoo run`` exported.

        :param card: its JSON card; ``~`` is the home folder.
        :raises ModelError: the card is not there; card, weights and code do not fit together; or
            no runtime opens the weights.
        """
        try:
            path = Path(card).expanduser()
        except RuntimeError as error:
            raise ModelError(
                f'model card {str(card)!r} cannot be looked at ({first_line(error)}); give the '
                'path of a JSON card'
            ) from error
        return cls(ModelCard.load(path, KIND), runtime)

    @property
    def expressions(self) -> tuple[str, ...]:
        """Return the labels once more: the model has no finer ones."""
        return self.labels

    def initial_state(self) -> Memory:
        """Return the memory of a face never seen before."""
        return Memory()

    def values(
        self, image: RgbImage, landmarks: FloatArray, blendshapes: FloatArray
    ) -> Values:
        """Return what the model reads of one face in one frame.

        :param image: uint8 (H, W, 3), RGB.
        :param landmarks: (478, 3), in its pixels; ``blendshapes`` (52,).
        :raises InputError: the landmarks are no face.
        """
        crop, points = (
            aligned_face(image, landmarks, self._side) if self._looks else (image, landmarks)
        )
        return tuple(self._value(one, crop, points, blendshapes) for one in self._inputs)

    def __call__(
        self, image: RgbImage, landmarks: FloatArray, blendshapes: FloatArray
    ) -> WindowSeen:
        """Return :meth:`values`, or None for them where the landmarks are no face.

        Landmarks or blendshapes that are not finite are none: they would spoil a whole window.
        """
        if not (np.isfinite(landmarks).all() and np.isfinite(blendshapes).all()):
            return WindowSeen(None)
        try:
            return WindowSeen(self.values(image, landmarks, blendshapes))
        except InputError:
            return WindowSeen(None)

    def step(
        self, values: Values | None, memory: Memory, dt: float, embedding: None = None
    ) -> WindowAnswer:
        """Take one frame of one face.

        The window holds the frames nearest to now, one step of the model's rate before, two steps,
        and so on, whatever the camera's rate is; before the first frame it is repeated.

        :param values: of :meth:`values`; None repeats the face's last ones.
        :param dt: seconds since the face's frame before, over 0.
        """
        now = memory.now + dt
        if values is None:
            if not memory.seen:
                unknown = np.full(len(self.labels), 1 / len(self.labels), np.float32)
                return WindowAnswer(unknown, unknown, Memory(now))
            values = memory.seen[-1][1]
        seen = self._kept(memory.seen, now, values)
        probabilities = self._answer(seen, now)
        return WindowAnswer(probabilities, probabilities, Memory(now, seen))

    def still(self, values: Values | None, embedding: None = None) -> WindowAnswer:
        """Return what the model says of a face of which there is only one image: held, unmoved."""
        return self.step(values, self.initial_state(), 1 / self.rate)

    def _value(
        self, one: WindowInput, crop: RgbImage, points: FloatArray, blendshapes: FloatArray
    ) -> Any:
        if one.kind == SHAPES:
            return np.asarray(blendshapes, np.float32)
        if one.kind == FLOW:
            cut = part_image(crop, points, FACE, one.side)
            return cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY)
        if one.kind == IMAGE:
            return part_image(crop, points, one.part, one.side, one.colour)
        if one.kind == EMBEDDING:
            assert self._appearance is not None
            return self._appearance(grey_crop(crop, points))
        assert self._read is not None
        seen = self._value(self._read, crop, points, blendshapes)
        return self._frames({self._read.name: _scaled(seen)})

    def _kept(
        self, seen: tuple[tuple[float, Values], ...], now: float, values: Values
    ) -> tuple[tuple[float, Values], ...]:
        """Return the frames to keep, at most ``_KEPT * window + 1``, this one the last."""
        if len(seen) > 1 and seen[-1][0] - seen[-2][0] < 1 / (_KEPT * self.rate):
            seen = seen[:-1]
        seen = (*seen, (now, values))
        # The last one before the window's begin may be the nearest to it.
        begin = now - (self.window - 1) / self.rate
        before = sum(time <= begin for time, _ in seen)
        return seen[max(before - 1, 0):]

    def _answer(self, seen: tuple[tuple[float, Values], ...], now: float) -> FloatArray:
        times = np.array([time for time, _ in seen])
        wanted = now - np.arange(self.window - 1, -1, -1) / self.rate
        chosen = [seen[int(i)][1] for i in np.abs(times[None] - wanted[:, None]).argmin(axis=1)]
        tensors = {}
        for number, one in enumerate(self._inputs):
            values = [frame[number] for frame in chosen]
            if one.kind == FLOW:
                tensors[one.name] = np.concatenate([
                    _flow(before, after) for before, after in pairwise(values)
                ], axis=-1)
            else:
                tensors[one.name] = _scaled(values[-1] if one.last else np.stack(values))
        raw = self._network(tensors)
        probabilities: FloatArray = raw / max(float(raw.sum()), 1e-9)
        return probabilities


def _scaled(values: Any) -> FloatArray:
    """Return pixels as 0 to 1; other numbers as they are."""
    scaled: FloatArray = values.astype(np.float32)
    return scaled / np.float32(255) if values.dtype == np.uint8 else scaled


def _flow(before: Any, after: Any) -> FloatArray:
    if before is after:
        return np.zeros((*before.shape, 2), np.float32)
    return motion(before, after)
