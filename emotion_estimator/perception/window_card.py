"""What models that read a window of frames look at, and how their cards declare it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import NONE
from emotion_estimator.errors import InputError, ModelError, first_line
from emotion_estimator.model_card import ModelCard
from emotion_estimator.perception.face_parts import CUT, FACE, PARTS

#: The kind of their cards.
KIND = 'window_classifier'

#: Pictures of a face or a part of it; stacked flow between frames; scores; what a network of the
#: model's own makes of each frame, and what the shipped appearance network does.
IMAGE, FLOW, SHAPES, ENCODING, EMBEDDING = KINDS = (
    'image', 'flow', 'blendshapes', 'encoding', 'embedding',
)

#: The least side of a picture, in pixels, and the greatest of an aligned face.
_LEAST_SIDE, _MOST_SIDE = 8, 1024


@dataclass(frozen=True)
class WindowInput:
    """One input of a network.

    :param kind: of ``KINDS``; images are 0 to 1.
    :param part: of an image: ``face`` or one of the parts.
    :param side: of an image or a flow, in pixels.
    :param size: of an encoding or embedding.
    :param last: only the window's last frame, without an axis of time.
    """

    kind: str
    part: str = FACE
    side: int = 0
    colour: bool = True
    size: int = 0
    last: bool = False

    def __post_init__(self) -> None:
        """Check that there is such a thing.

        :raises InputError: no such kind, no such part of a face, or a picture without pixels.
        """
        if self.kind not in KINDS:
            raise InputError(f'a model reads nothing of kind {self.kind!r}; {", ".join(KINDS)} are')
        if self.part != FACE and self.part not in PARTS:
            raise InputError(
                f'a face has no part {self.part!r}; choose of {", ".join([*PARTS, FACE])}'
            )
        if self.kind in (IMAGE, FLOW) and self.side < _LEAST_SIDE:
            raise InputError(
                f'{self.part}: a side of {self.side} pixels is too small; from {_LEAST_SIDE} on'
            )

    @property
    def name(self) -> str:
        """Return what layers, tensors and cards call it."""
        return self.part if self.kind == IMAGE else self.kind

    def shape(self, window: int) -> tuple[int, ...]:
        """Return its shape for a window of so many frames, without the batch."""
        if self.kind == FLOW:
            return (self.side, self.side, 2 * (window - 1))
        time = () if self.last else (window,)
        if self.kind == IMAGE:
            return (*time, self.side, self.side, 3 if self.colour else 1)
        return (*time, len(BLENDSHAPE_NAMES) if self.kind == SHAPES else self.size)

    def as_dict(self) -> dict[str, Any]:
        """Return it as cards have it."""
        return asdict(self)


@dataclass(frozen=True)
class FrameNetwork:
    """The network that reads single frames, where the window's reads encodings.

    :param path: its ``.tflite`` file, with this checksum.
    """

    path: Path
    sha256: str
    input: WindowInput


@dataclass(frozen=True)
class WindowSettings:
    """What a card says of how its model is run.

    :param window: frames that it reads, so many per second by ``rate``.
    :param face_side: of the aligned faces that it learned from, in pixels.
    :param appearance: checksum of the appearance network whose embeddings it reads.
    """

    window: int
    rate: float
    face_side: int
    inputs: tuple[WindowInput, ...]
    frame: FrameNetwork | None
    appearance: str


def read_settings(card: ModelCard) -> WindowSettings:
    """Return what a card of ``KIND`` says.

    :raises ModelError: a setting is missing or cannot be; the message names card and setting.
    """
    if len(set(card.labels)) < 2 or len(set(card.labels)) < len(card.labels):
        raise _wrong(card, f'labels {list(card.labels)}: two or more that differ are needed')
    if not all(card.labels) or NONE in card.labels:
        raise _wrong(card, f'a label {NONE!r} or without a letter: nobody in sight is told so')
    found = card.settings
    if found.get('cut') != CUT:
        raise _wrong(card, f"'cut' {found.get('cut')!r}, but this version cuts {CUT!r}")
    window, side = card.whole('window'), card.whole('face_side')
    if side > _MOST_SIDE:
        raise _wrong(card, f"'face_side' {side}, over {_MOST_SIDE} pixels")
    rate = found.get('rate')
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 < rate < math.inf:
        raise _wrong(card, f"'rate' {rate!r}: frames per second, over 0, are needed")
    try:
        inputs = tuple(WindowInput(**one) for one in found['inputs'])
        frame = _frame(card, found.get('frame'))
    except (KeyError, TypeError, InputError) as error:
        raise _wrong(card, f"'inputs' or 'frame' that cannot be ({first_line(error)})") from error
    names = [one.name for one in inputs]
    if not inputs or len(set(names)) < len(names):
        raise _wrong(card, f"'inputs' {names}: one or more that differ are needed")
    if (ENCODING in names) != (frame is not None):
        raise _wrong(card, "an input 'encoding' without the network 'frame' of it, or the reverse")
    if FLOW in names and window < 2:
        raise _wrong(card, "'window' 1, but flow is between two frames")
    appearance = str(found.get('appearance_sha256', ''))
    if EMBEDDING in (*names, frame and frame.input.name) and not appearance:
        raise _wrong(card, "an input 'embedding' without 'appearance_sha256'")
    return WindowSettings(window, float(rate), side, inputs, frame, appearance)


def _frame(card: ModelCard, raw: Mapping[str, Any] | None) -> FrameNetwork | None:
    if raw is None:
        return None
    read = WindowInput(**raw['input'])
    if read.kind not in (IMAGE, EMBEDDING) or not read.last:
        raise InputError('a frame is read as an image or an embedding')
    return FrameNetwork(card.path.parent / str(raw['file']), str(raw['sha256']), read)


def _wrong(card: ModelCard, what: str) -> ModelError:
    return ModelError(f'card of {card.title} ({card.path.parent}) has {what}; export it again')
