"""Models that read a window of frames in place of the shipped streaming one (docs/zoo.md)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from emotion_estimator.emotion import FloatArray
from emotion_estimator.errors import InputError, ModelError, first_line
from emotion_estimator.frame import RgbImage
from emotion_estimator.model_card import ModelCard
from emotion_estimator.perception.face_parts import CUT, FACE, aligned_face, motion, part_image
from emotion_estimator.tflite import open_interpreter

#: The kind of its cards.
KIND = 'window_classifier'

#: Frames kept of a face, in windows: a camera that is so many times quicker than the model's rate
#: still fills the window.
_KEPT = 4


@dataclass(frozen=True)
class WindowInput:
    """One input of a network, as its card declares it.

    :param kind: ``image``, ``flow``, ``blendshapes`` or ``encoding``.
    :param part: of an image: ``face`` or a part of it; ``side`` in pixels.
    :param last: only the window's last frame.
    """

    kind: str
    part: str = FACE
    side: int = 0
    colour: bool = True
    size: int = 0
    last: bool = False

    @property
    def name(self) -> str:
        """Return the name of its tensor."""
        return self.part if self.kind == 'image' else self.kind


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
        settings = card.settings
        try:
            if settings['cut'] != CUT:
                raise ValueError(f"'cut' ({settings['cut']!r}; this code cuts {CUT!r})")
            self.window, self.rate = int(settings['window']), float(settings['rate'])
            self._side = int(settings['face_side'])
            self._inputs = tuple(WindowInput(**one) for one in settings['inputs'])
            frame: Mapping[str, Any] | None = settings.get('frame')
            self._frame_input = WindowInput(**frame['input']) if frame else None
            if self.window < 1 or not (math.isfinite(self.rate) and self.rate > 0):
                raise ValueError("'window' and 'rate', which must be over 0")
            frame_path = card.path.parent / str(frame['file']) if frame else None
            frame_sha256 = str(frame['sha256']) if frame else ''
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ModelError(
                f'card of {card.title} lacks or misstates the setting {first_line(error)}; '
                'export the model again'
            ) from error
        self._network = _Network(card.path, self._inputs, len(card.labels), runtime)
        self._frames: _Network | None = None
        if frame_path is not None and self._frame_input is not None:
            _check(frame_path, frame_sha256)
            size = next((one.size for one in self._inputs if one.kind == 'encoding'), 0)
            self._frames = _Network(frame_path, (self._frame_input,), size, runtime)
        # Blendshapes alone need no picture.
        self._looks = any(one.kind != 'blendshapes' for one in self._inputs)

    @classmethod
    def load(cls, card: Path, runtime: str | None = None) -> WindowClassifier:
        """Load a model that ``emotion-estimator zoo export`` wrote.

        :param card: its JSON card.
        :raises ModelError: card, weights and code do not fit together.
        """
        return cls(ModelCard.load(card, KIND), runtime)

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
        """Return :meth:`values`, or None for them where the landmarks are no face."""
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
        begin = now - self.window / self.rate
        kept = tuple(one for one in memory.seen if one[0] >= begin)
        seen = (*kept, (now, values))[-_KEPT * self.window:]
        probabilities = self._answer(seen, now)
        return WindowAnswer(probabilities, probabilities, Memory(now, seen))

    def still(self, values: Values | None, embedding: None = None) -> WindowAnswer:
        """Return what the model says of a face of which there is only one image: held, unmoved."""
        return self.step(values, self.initial_state(), 1 / self.rate)

    def _value(
        self, one: WindowInput, crop: RgbImage, points: FloatArray, blendshapes: FloatArray
    ) -> Any:
        if one.kind == 'blendshapes':
            return np.asarray(blendshapes, np.float32)
        if one.kind == 'flow':
            cut = part_image(crop, points, FACE, one.side)
            return cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY)
        if one.kind == 'image':
            return part_image(crop, points, one.part, one.side, one.colour)
        if self._frames is None or self._frame_input is None:
            raise InputError(f'{self.title} reads encodings, but its card names no network of them')
        read = self._frame_input
        pixels = part_image(crop, points, read.part, read.side, read.colour)
        return self._frames({read.name: _scaled(pixels)})

    def _answer(self, seen: tuple[tuple[float, Values], ...], now: float) -> FloatArray:
        times = np.array([time for time, _ in seen])
        wanted = now - np.arange(self.window - 1, -1, -1) / self.rate
        chosen = [seen[int(i)][1] for i in np.abs(times[None] - wanted[:, None]).argmin(axis=1)]
        tensors = {}
        for number, one in enumerate(self._inputs):
            values = [frame[number] for frame in chosen]
            if one.kind == 'flow':
                tensors[one.name] = np.concatenate([
                    _flow(before, after) for before, after in pairwise(values)
                ], axis=-1)
            else:
                tensors[one.name] = _scaled(values[-1] if one.last else np.stack(values))
        raw = self._network(tensors)
        probabilities: FloatArray = raw / max(float(raw.sum()), 1e-9)
        return probabilities


class _Network:
    """One TFLite file, its inputs by name."""

    def __init__(
        self, path: Path, inputs: tuple[WindowInput, ...], size: int, runtime: str | None
    ) -> None:
        self._run: Any = open_interpreter(path, runtime)
        details = self._run.get_input_details()
        found = {str(one['name']).split(':')[0]: one for one in details}
        output = self._run.get_output_details()[0]
        names = sorted(one.name for one in inputs)
        if sorted(found) != names or int(output['shape'][-1]) != size:
            raise ModelError(
                f'{path} reads {sorted(found)} and gives {int(output["shape"][-1])} numbers, its '
                f'card says {names} and {size}; export the model again'
            )
        self._at = {name: (one['index'], tuple(one['shape'])) for name, one in found.items()}
        self._output = output['index']

    def __call__(self, tensors: Mapping[str, FloatArray]) -> FloatArray:
        for name, values in tensors.items():
            index, shape = self._at[name]
            if (1, *values.shape) != shape:
                raise ModelError(
                    f'input {name} has shape {shape}, its card makes {(1, *values.shape)}; '
                    'export the model again'
                )
            self._run.set_tensor(index, values[None])
        self._run.invoke()
        answer: FloatArray = self._run.get_tensor(self._output)[0]
        return answer


def _scaled(values: Any) -> FloatArray:
    """Return pixels as 0 to 1; other numbers as they are."""
    scaled: FloatArray = values.astype(np.float32)
    return scaled / np.float32(255) if values.dtype == np.uint8 else scaled


def _flow(before: Any, after: Any) -> FloatArray:
    if before is after:
        return np.zeros((*before.shape, 2), np.float32)
    return motion(before, after)


def _check(path: Path, sha256: str) -> None:
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(
            f'model file {str(path)!r} cannot be read ({error.strerror}); restore it beside its '
            'card'
        ) from error
    if digest != sha256:
        raise ModelError(f'model file {path} is not the one its card means; export the model again')
