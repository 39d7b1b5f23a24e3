"""Exported models that read a window of frames, in place of the shipped one (docs/zoo.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import NONE, FloatArray
from emotion_estimator.errors import InputError, ModelError, first_line
from emotion_estimator.frame import RgbImage
from emotion_estimator.model_card import ModelCard, read_weights, sibling
from emotion_estimator.perception.appearance import AppearanceNetwork, FaceInput
from emotion_estimator.perception.classifier import Answer
from emotion_estimator.perception.face_crop import crop as grey_crop
from emotion_estimator.perception.face_parts import (
    CUT,
    FACE,
    PARTS,
    aligned_face,
    motion,
    part_image,
)
from emotion_estimator.runtimes import open_interpreter
from emotion_estimator.untrusted import quote
from emotion_estimator.weights import WeightsFile

#: ``kind`` in their model cards.
KIND = 'window_classifier'

#: Kinds of inputs: images of a face or of a part; stacked optical flow; blendshapes; encodings of
#: single frames by a network of the model's own; embeddings from the shipped appearance network.
IMAGE, FLOW, SHAPES, ENCODING, EMBEDDING = KINDS = (
    'image',
    'flow',
    'blendshapes',
    'encoding',
    'embedding',
)

#: Minimum side of an image and maximum side of an aligned face, in pixels.
_LEAST_SIDE, _MOST_SIDE = 8, 1024

#: Frames kept per frame that the model reads: those of faster cameras are thinned, which bounds the
#: memory while the window stays full.
_KEPT = 4

#: The value of each input in one frame.
Values = tuple[Any, ...]


@dataclass(frozen=True)
class WindowInput:
    """One input of a network.

    :param kind: one of ``KINDS``; images have values from 0 to 1.
    :param part: for an image: ``face`` or one of the parts.
    :param side: for an image or a flow: its side in pixels.
    :param colour: for an image: RGB instead of grey.
    :param size: for an encoding or embedding: its length.
    :param last: only the window's last frame, without a time axis.
    """

    kind: str
    part: str = FACE
    side: int = 0
    colour: bool = True
    size: int = 0
    last: bool = False

    def __post_init__(self) -> None:
        """Validate.

        :raises InputError: unknown kind or part, or too small an image.
        """
        for name, value in asdict(self).items():
            wanted = type(getattr(WindowInput, name, ''))
            if type(value) is not wanted:
                raise InputError(
                    f'{name} of an input must be {wanted.__name__}, not {_short(value)}'
                )
        if self.kind not in KINDS:
            raise InputError(f'unknown kind of input {_short(self.kind)}; use {", ".join(KINDS)}')
        if self.part != FACE and self.part not in PARTS:
            raise InputError(
                f'a face has no part {_short(self.part)}; choose one of {", ".join([*PARTS, FACE])}'
            )
        if self.kind in (IMAGE, FLOW) and self.side < _LEAST_SIDE:
            raise InputError(
                f'{self.part}: a side of {self.side} pixels is too small; use {_LEAST_SIDE} or more'
            )

    @property
    def name(self) -> str:
        """Return its name in layers, tensors and cards."""
        return self.part if self.kind == IMAGE else self.kind

    def shape(self, window: int) -> tuple[int, ...]:
        """Return its shape for a window of so many frames, without the batch axis."""
        if self.kind == FLOW:
            return (self.side, self.side, 2 * (window - 1))
        time = () if self.last else (window,)
        if self.kind == IMAGE:
            return (*time, self.side, self.side, 3 if self.colour else 1)
        return (*time, len(BLENDSHAPE_NAMES) if self.kind == SHAPES else self.size)

    def as_dict(self) -> dict[str, Any]:
        """Return it as written in cards."""
        return asdict(self)


@dataclass(frozen=True)
class FrameNetwork:
    """The network that encodes single frames for the window's network.

    :param weights: its ``.tflite`` file, which has the checksum in the card.
    :param input: what it reads.
    """

    weights: WeightsFile
    input: WindowInput


@dataclass(frozen=True)
class WindowSettings:
    """What a card declares about running its model.

    :param window: number of frames read.
    :param rate: frames per second in the window.
    :param face_side: side in pixels of the aligned faces it was trained on.
    :param inputs: of the window's network.
    :param frame: the network that encodes single frames, if there is one.
    :param appearance: checksum of the appearance network whose embeddings it reads, or empty.
    """

    window: int
    rate: float
    face_side: int
    inputs: tuple[WindowInput, ...]
    frame: FrameNetwork | None
    appearance: str


def read_settings(card: ModelCard) -> WindowSettings:
    """Return the settings of a card of ``KIND``.

    :raises ModelError: a setting is missing or invalid; the message names card and setting.
    """
    if len(set(card.labels)) < 2 or len(set(card.labels)) < len(card.labels):
        raise _wrong(
            card, f'labels {_short(list(card.labels))}: two or more different ones are needed'
        )
    if not all(card.labels) or NONE in card.labels:
        raise _wrong(card, f'an empty label or {NONE!r}, which means that there is no face')
    found = card.settings
    if found.get('cut') != CUT:
        raise _wrong(card, f"'cut' {_short(found.get('cut'))}, but this version cuts {CUT!r}")
    window, side = card.count('window'), card.count('face_side', _MOST_SIDE)
    rate = found.get('rate')
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate < math.inf:
        raise _wrong(card, f"'rate' {_short(rate)}: frames per second above 0 are needed")
    try:
        inputs = tuple(map(_input, _listed(found['inputs'])))
        frame = _frame(card, found.get('frame'))
    except (KeyError, TypeError, ValueError, InputError) as error:
        shown = quote(first_line(error))
        raise _wrong(card, f"invalid 'inputs' or 'frame' ({shown})") from error
    names = [one.name for one in inputs]
    if not inputs or len(set(names)) < len(names):
        raise _wrong(card, f"'inputs' {_short(names)}: one or more different ones are needed")
    if (ENCODING in names) != (frame is not None):
        raise _wrong(card, "an input 'encoding' without the network 'frame', or the reverse")
    if FLOW in names and window < 2:
        raise _wrong(card, "'window' 1, but optical flow needs two frames")
    appearance = card.text('appearance_sha256')
    if EMBEDDING in (*names, frame and frame.input.name) and not appearance:
        raise _wrong(card, "an input 'embedding' without 'appearance_sha256'")
    return WindowSettings(window, float(rate), side, inputs, frame, appearance)


def _input(raw: Any) -> WindowInput:
    if not isinstance(raw, dict):
        raise TypeError(f'{_short(raw)} is no input')
    unknown = sorted(raw.keys() - WindowInput.__dataclass_fields__.keys())
    if unknown:
        raise TypeError(f'an input has no {_short(unknown[0])}')
    return WindowInput(**raw)


def _listed(raw: Any) -> list[Any]:
    if not isinstance(raw, list):
        raise TypeError(f'{_short(raw)} is no list')
    return raw


def _frame(card: ModelCard, raw: Any) -> FrameNetwork | None:
    if raw is None:
        return None
    read = _input(raw['input'])
    if read.kind not in (IMAGE, EMBEDDING) or not read.last:
        raise InputError('a network of single frames reads one image or embedding')
    path = sibling(card.path, raw['file'])
    return FrameNetwork(read_weights(path, str(raw['sha256'])), read)


def _wrong(card: ModelCard, what: str) -> ModelError:
    where = quote(card.path.parent)
    return ModelError(f'card of {card.title} ({where}) has {what}; export it again')


def _short(value: object) -> str:
    return quote(repr(value))


class WindowNetwork:
    """Run a TFLite file whose inputs and output are checked on opening, not in mid-stream."""

    def __init__(
        self,
        weights: WeightsFile,
        shapes: Mapping[str, tuple[int, ...]],
        size: int,
        runtime: str | None = None,
        threads: int = 1,
    ) -> None:
        """Open ``weights``.

        :param shapes: shapes of the inputs that the card declares, without the batch axis.
        :param size: length of the output.
        :param runtime: as in :func:`~emotion_estimator.runtimes.open_interpreter`; so is
            ``threads``.
        :raises ModelError: no runtime can open it, or it does not match its card.
        """
        self._run: Any = open_interpreter(weights, runtime, threads)
        path = quote(weights.path)
        details = self._run.get_input_details()
        outputs = self._run.get_output_details()
        found = {str(one['name']).split(':')[0]: tuple(map(int, one['shape'])) for one in details}
        declared = {name: (1, *shape) for name, shape in shapes.items()}
        if found != declared:
            raise ModelError(
                f'{path} reads {_words(found)}, its card declares {_words(declared)}; export the '
                'model again'
            )
        given = [tuple(map(int, one['shape'])) for one in outputs]
        if given != [(1, size)]:
            raise ModelError(
                f'{path} outputs {quote(given)}, its card declares {[(1, size)]}; export the '
                'model again'
            )
        if any(one['dtype'] != np.float32 for one in (*details, *outputs)):
            raise ModelError(
                f'{path} has inputs or outputs that are not float32; export the model again'
            )
        self._at = {str(one['name']).split(':')[0]: one['index'] for one in details}
        self._output = outputs[0]['index']
        self._path = path

    def __call__(self, tensors: Mapping[str, FloatArray]) -> FloatArray:
        """Return the output (size,) for float32 inputs by name, without the batch axis.

        :raises ModelError: the runtime opened the file but cannot run it.
        """
        for name, values in tensors.items():
            self._run.set_tensor(self._at[name], values[None])
        try:
            self._run.invoke()
        except RuntimeError as error:
            raise ModelError(f'{self._path} cannot be run ({quote(first_line(error))})') from error
        answer: FloatArray = self._run.get_tensor(self._output)[0]
        return answer


def _words(shapes: Mapping[str, tuple[int, ...]]) -> str:
    words = (f'{name} {"x".join(map(str, shape))}' for name, shape in sorted(shapes.items()))
    return quote(', '.join(words))


class Memory(NamedTuple):
    """The state of a face.

    :param now: seconds since it was first seen.
    :param seen: time and values of its last frames, the oldest first.
    """

    now: float = 0.0
    seen: tuple[tuple[float, Values], ...] = ()


class WindowClassifier:
    """Frames of a face in, probabilities out; the state is the caller's, one per face.

    It replaces both the shipped classifier and its branches: it reads faces itself.
    """

    #: Reported where the shipped classifier reports its branches.
    name = 'window'
    #: Blendshapes of an average face at rest: these models have none.
    neutral: FloatArray | None = None

    def __init__(self, card: ModelCard, runtime: str | None = None, threads: int = 1) -> None:
        """Open the weights of ``card``; see :meth:`load`."""
        self.labels, self.title, self.sha256 = card.labels, card.title, card.sha256
        settings = read_settings(card)
        self.window, self.rate = settings.window, settings.rate
        self._side, self._inputs = settings.face_side, settings.inputs
        shapes = {one.name: one.shape(self.window) for one in self._inputs}
        #: Checksum of each network, by its kind.
        self.checksums = {KIND: card.sha256}
        options = runtime, threads
        self._network = WindowNetwork(card.weights, shapes, len(card.labels), *options)
        self._read: WindowInput | None = None
        if settings.frame is not None:
            self._read, weights = settings.frame.input, settings.frame.weights
            self.checksums[f'{KIND}_frame'] = weights.sha256
            [size] = [one.size for one in self._inputs if one.kind == ENCODING]
            self._frames = WindowNetwork(
                weights, {self._read.name: self._read.shape(1)}, size, *options
            )
        self._appearance: AppearanceNetwork | None = None
        if any(one.kind == EMBEDDING for one in (*self._inputs, self._read) if one):
            self._appearance = AppearanceNetwork.load(None, *options)
            self.checksums['appearance'] = self._appearance.sha256
            # Another network's embeddings have the same shape but another meaning.
            if self._appearance.sha256 != settings.appearance:
                raise ModelError(
                    f'{card.title} was trained with another appearance network than '
                    f'{self._appearance.title}; train it again with this version'
                )
        # Blendshapes alone need no crop.
        self._looks = any(one.kind != SHAPES for one in self._inputs)

    @classmethod
    def load(
        cls, card: Path | str, runtime: str | None = None, threads: int = 1
    ) -> WindowClassifier:
        """Load a model that ``emotion-estimator zoo run`` exported.

        :param card: its JSON card; ``~`` is expanded.
        :raises ModelError: the card is missing; card, weights and code do not match; or no runtime
            can open the weights.
        """
        try:
            path = Path(card).expanduser()
        except RuntimeError as error:
            raise ModelError(
                f'model card {quote(card)!r} cannot be opened ({first_line(error)}); give the '
                'path of a JSON card'
            ) from error
        return cls(ModelCard.load(path, KIND), runtime, threads)

    @property
    def expressions(self) -> tuple[str, ...]:
        """Return the labels: the model has no finer ones."""
        return self.labels

    def initial_state(self) -> Memory:
        """Return the state of a face never seen before."""
        return Memory()

    def values(self, image: RgbImage, landmarks: FloatArray, blendshapes: FloatArray) -> Values:
        """Return the model's inputs for one face in one frame.

        :param image: uint8 (H, W, 3), RGB.
        :param landmarks: (478, 3), in pixels of the image.
        :param blendshapes: (52,), 0 to 1.
        :raises InputError: the landmarks do not form a face.
        """
        crop, points = (
            aligned_face(image, landmarks, self._side) if self._looks else (image, landmarks)
        )
        return tuple(self._value(one, crop, points, blendshapes) for one in self._inputs)

    def __call__(
        self, image: RgbImage, landmarks: FloatArray, blendshapes: FloatArray
    ) -> FaceInput[Values]:
        """Return :meth:`values`, or nothing if the landmarks do not form a face.

        Values that are not finite are left out as well: they would spoil a window's worth of
        answers.
        """
        if not (np.isfinite(landmarks).all() and np.isfinite(blendshapes).all()):
            return FaceInput(None)
        try:
            return FaceInput(self.values(image, landmarks, blendshapes))
        except InputError:
            return FaceInput(None)

    def step(
        self, values: Values | None, memory: Memory, dt: float, embedding: FloatArray | None = None
    ) -> Answer[Memory]:
        """Classify one frame of a face.

        The window holds the frames nearest to now, to one step of the model's rate before, to two
        steps, and so on, whatever the camera's rate is. Before the first frame, it is repeated.

        :param values: from :meth:`values`; None repeats the face's last ones.
        :param memory: from :meth:`initial_state` or the face's previous step.
        :param dt: seconds since the face's previous frame, above 0.
        :param embedding: not used; ``values`` holds everything.
        """
        now = memory.now + dt
        if values is None:
            if not memory.seen:
                unknown = np.full(len(self.labels), 1 / len(self.labels), np.float32)
                return Answer(unknown, unknown, Memory(now))
            values = memory.seen[-1][1]
        seen = self._kept(memory.seen, now, values)
        probabilities = self._answer(seen, now)
        return Answer(probabilities, probabilities, Memory(now, seen))

    def still(self, values: Values | None, embedding: FloatArray | None = None) -> Answer[Memory]:
        """Classify a single image of a face, as if it did not move."""
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
        """Return the frames to keep, at most ``_KEPT * window + 1``, the new one last."""
        if len(seen) > 1 and seen[-1][0] - seen[-2][0] < 1 / (_KEPT * self.rate):
            seen = seen[:-1]
        seen = (*seen, (now, values))
        # The last frame before the window's start may be the nearest to it.
        begin = now - (self.window - 1) / self.rate
        before = sum(time <= begin for time, _ in seen)
        return seen[max(before - 1, 0) :]

    def _answer(self, seen: tuple[tuple[float, Values], ...], now: float) -> FloatArray:
        times = np.array([time for time, _ in seen])
        wanted = now - np.arange(self.window - 1, -1, -1) / self.rate
        chosen = [seen[int(i)][1] for i in np.abs(times[None] - wanted[:, None]).argmin(axis=1)]
        tensors = {}
        for number, one in enumerate(self._inputs):
            values = [frame[number] for frame in chosen]
            if one.kind == FLOW:
                tensors[one.name] = np.concatenate(
                    [_flow(before, after) for before, after in pairwise(values)], axis=-1
                )
            else:
                tensors[one.name] = _scaled(values[-1] if one.last else np.stack(values))
        raw = self._network(tensors)
        probabilities: FloatArray = raw / max(float(raw.sum()), 1e-9)
        return probabilities


def _scaled(values: Any) -> FloatArray:
    """Return pixels scaled to 0 to 1; other values unchanged."""
    scaled: FloatArray = values.astype(np.float32)
    return scaled / np.float32(255) if values.dtype == np.uint8 else scaled


def _flow(before: Any, after: Any) -> FloatArray:
    if before is after:
        return np.zeros((*before.shape, 2), np.float32)
    return motion(before, after)
