"""Networks of single frames, Xception first, and their encodings (Terbouche and Chaoui, 2.3)."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from emotion_estimator.errors import InputError, ModelError, first_line
from emotion_estimator_training.features.feature_set import EMBEDDING as EMBEDDING_SIZE
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.zoo.data.frames import FaceTrack
from emotion_estimator_training.zoo.data.windows import Windows, single_frames
from emotion_estimator_training.zoo.models.catalog import Entry
from emotion_estimator_training.zoo.models.fitting import (
    Floats,
    ZooFitSettings,
    fit,
    probabilities,
    read,
)
from emotion_estimator_training.zoo.models.inputs import EMBEDDING, IMAGE, Input, InputReader
from emotion_estimator_training.zoo.models.layers import Dropout
from emotion_estimator_training.zoo.models.model import NetworkModel, Networks, RunContext, Split
from emotion_estimator_training.zoo.models.ours import Embeddings, embeddings_of

_LOG = logging.getLogger(__name__)

_PRETRAINED = (
    'SINGLE FRAMES ARE READ BY THE SHIPPED APPEARANCE NETWORK, NOT BY XCEPTION: frame, aggregation '
    "and LSTMs begin with what it learned of FER2013's faces; models that read pixels from nothing "
    'do not'
)
#: The encoder that is the shipped appearance network.
APPEARANCE = 'appearance'
#: What Keras calls its file of ImageNet weights without the top, and where it keeps it.
KERAS_FILE = 'xception_weights_tf_dim_ordering_tf_kernels_notop.h5'
_KERAS_FOLDER = Path.home() / '.keras' / 'models'
#: The least side that Xception takes, in pixels.
_LEAST_SIDE = 71


@dataclass(frozen=True)
class XceptionSettings:
    """Terbouche and Chaoui's figure 16; the defaults are what it publishes.

    :param encoder: ``xception``; ``small``, four separable convolutions; ``kahou`` or
        ``kahou-small``, three convolutions (Kahou et al. 2015); ``appearance``, the shipped
        network of this name, which learned faces elsewhere and learns nothing here.
    :param weights: of Xception: ``auto`` takes a file that is there and else random ones, and says
        so; ``random``; ``imagenet`` lets Keras download them where no file is given.
    :param side: of the face, in pixels; 224 gives Xception's 7 x 7 x 2048 features.
    :param units: dense layers; the second (or only) one's output is the encoding.
    :param frame_step: learn from every so many frames of a clip.
    """

    encoder: str = 'xception'
    weights: str = 'auto'
    side: int = 224
    units: tuple[int, ...] = (1024, 512, 256)
    dropout: float = 0.0
    frame_step: int = 5
    fit: ZooFitSettings = field(default=ZooFitSettings())


class FrameModel(NetworkModel):
    """A network that reads single frames."""

    def __init__(self, entry: Entry, place: RunContext) -> None:
        self.settings = read(XceptionSettings, entry.settings, entry.name)
        face = Input(IMAGE, side=self.settings.side, last=True)
        self._embeddings: Embeddings | None = None
        if self.settings.encoder == APPEARANCE:
            face = Input(EMBEDDING, size=EMBEDDING_SIZE, last=True)
            self._embeddings = embeddings_of(place)
            if self._embeddings is None:
                raise InputError(
                    f'{entry.name} needs the appearance network (models/appearance.json); or '
                    'choose another encoder'
                )
        super().__init__(entry, place, 1, [face], self.settings.fit)
        if self._embeddings is not None:
            self.note(_PRETRAINED)
        self._encodings: dict[tuple[FaceTrack, bool, bool], Floats] = {}
        self._encoder: Any = None
        self._fitted: Any = None

    def build(self) -> Any:
        """Return the untrained network; Xception with ImageNet's weights where they are."""
        [face] = self.keras_inputs()
        values = _ENCODERS[self._kind()](face, self)
        for number, units in enumerate(self.settings.units, start=1):
            values = keras.layers.Dense(units, 'relu', name=f'fc_{number}')(values)
            if self.settings.dropout:
                values = Dropout(self.settings.dropout, name=f'dropout_{number}')(values)
        answer = keras.layers.Dense(len(self.classes), 'softmax', name='emotion')(values)
        return keras.Model(face, answer, name='frame')

    @property
    def encoding_size(self) -> int:
        """Return E."""
        return self.settings.units[min(1, len(self.settings.units) - 1)]

    @property
    def encoder(self) -> Any:
        """Return the part of the network that ends with the encoding, (N, E)."""
        if self._encoder is None:
            layer = f'fc_{min(2, len(self.settings.units))}'
            self._encoder = keras.Model(
                self.network.input, self.network.get_layer(layer).output, name='encoder'
            )
        return self._encoder

    def fit(self, split: Split) -> list[dict[str, Any]]:
        """Learn from single frames; once for all models that are built on this one."""
        if self._fitted is None or self._fitted[0] is not split:
            step = self.settings.frame_step
            train = single_frames(self.windows_of(split.train), step)
            validation = single_frames(self.windows_of(split.validation), step)
            self._fitted = (
                split,
                fit(
                    self.network,
                    self.reader(),
                    train,
                    validation,
                    self.settings.fit,
                    self.folder,
                    self.identity(split),
                    self.place.progress,
                ),
            )
        return self._fitted[1]

    @property
    def appearance(self) -> str:
        """Return the checksum of the appearance network that it reads; empty where it does not."""
        return self._embeddings.sha256 if self._embeddings is not None else ''

    def identity(self, split: Split) -> dict[str, Any]:
        """Return what decides the outcome of learning, the networks that it begins with included.

        :raises ModelError: Xception's weights file that was given cannot be read.
        """
        found = super().identity(split)
        if self.appearance:
            return {**found, 'appearance': self.appearance}
        if self.settings.encoder == 'xception':
            return {**found, 'xception': self._begins_with}
        return found

    @cached_property
    def _begins_with(self) -> str:
        """Return the checksum of Xception's weights file; empty where they are random."""
        path = weights_file(self.settings.weights, self.place.weights)
        try:
            return hashlib.sha256(path.read_bytes()).hexdigest() if path is not None else ''
        except OSError as error:
            raise ModelError(f'{path} cannot be read ({error.strerror})') from error

    def networks(self) -> Networks:
        """Return the network itself."""
        return replace(super().networks(), appearance=self.appearance)

    def reader(self, covered: bool = False) -> InputReader:
        """Return what gathers faces, or what the appearance network makes of them."""
        if covered not in self._readers:
            self._readers[covered] = InputReader(self.inputs, self._embeddings, covered)
        return self._readers[covered]

    def encode(self, track: FaceTrack, covered: bool) -> Floats:
        """Return the encodings (T, E) of a track's frames."""
        return self._of_track(track, covered, self.encoder, True)

    def frame_probabilities(self, track: FaceTrack, covered: bool) -> Floats:
        """Return the probabilities (T, C) of a track's frames, each by itself."""
        return self._of_track(track, covered, self.network, False)

    def _of_track(self, track: FaceTrack, covered: bool, model: Any, encoding: bool) -> Floats:
        key = (track, covered, encoding)
        if key not in self._encodings:
            frames = np.arange(len(track))
            alone = Windows((track,), self.classes, np.zeros(len(track), np.int64), frames[:, None])
            found = probabilities(model, self.reader(covered), alone)
            self._encodings[key] = found
        return self._encodings[key]

    def _kind(self) -> str:
        if self.settings.encoder not in _ENCODERS:
            raise InputError(
                f'{self.name}: there is no encoder {self.settings.encoder!r}; choose of '
                f'{", ".join(_ENCODERS)}'
            )
        return self.settings.encoder


def weights_file(choice: str, given: Path | None) -> Path | None:
    """Return the file of Xception's ImageNet weights, or None where there is none.

    :param choice: ``auto``, ``random`` or ``imagenet``, which without a file of the user's is
        Keras' own matter.
    :param given: by the user.
    :raises ModelError: the file that was given is not there.
    """
    if choice == 'random':
        return None
    if given is not None:
        if not given.is_file():
            raise ModelError(f"{given} is not there; give Keras' {KERAS_FILE}")
        return given
    kept = _KERAS_FOLDER / KERAS_FILE
    if choice == 'imagenet':
        # Keras compares the file with its own checksum: it is always the same.
        return None
    return kept if kept.is_file() else None


def _xception(face: Any, model: FrameModel) -> Any:
    settings = model.settings
    if settings.side < _LEAST_SIDE:
        raise InputError(f'{model.name}: Xception needs a side of {_LEAST_SIDE} pixels or more')
    values = keras.layers.Rescaling(2.0, -1.0, name='minus_one_to_one')(face)
    shape = (settings.side, settings.side, 3)
    path = weights_file(settings.weights, model.place.weights)
    if settings.weights == 'imagenet' and path is None:
        base = _downloaded(shape)
    else:
        base = keras.applications.Xception(False, None, input_shape=shape)
        _load(base, path, model)
    return keras.layers.GlobalAveragePooling2D(name='pooling')(base(values))


def _downloaded(shape: tuple[int, int, int]) -> Any:
    try:
        return keras.applications.Xception(False, 'imagenet', input_shape=shape)
    except Exception as error:
        # Keras raises no class of its own where there is no network.
        raise ModelError(
            f"Keras cannot download Xception's weights ({first_line(error)}); put {KERAS_FILE} "
            f'into {_KERAS_FOLDER}, or name it with --xception-weights'
        ) from error


def _load(base: Any, path: Path | None, model: FrameModel) -> None:
    if path is None:
        note = (
            'XCEPTION BEGINS WITH RANDOM WEIGHTS, not with those learned on ImageNet, which seed '
            f"004 had: put Keras' {KERAS_FILE} into {_KERAS_FOLDER}, or name it with "
            '--xception-weights'
        )
        if note not in model.place.notes:
            _LOG.warning(note)
        model.note(note)
        return
    try:
        base.load_weights(path)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} does not hold Xception's weights ({first_line(error)}); give Keras' "
            f'{KERAS_FILE}'
        ) from error


def _small(face: Any, _: FrameModel) -> Any:
    values = face
    for number, filters in enumerate((16, 32, 64, 96), start=1):
        values = keras.layers.SeparableConv2D(
            filters, 3, padding='same', use_bias=False, name=f'separable_{number}'
        )(values)
        values = keras.layers.BatchNormalization(name=f'norm_{number}', momentum=0.9)(values)
        values = keras.layers.ReLU(name=f'relu_{number}')(values)
        values = keras.layers.MaxPooling2D(2, name=f'pool_{number}')(values)
    return keras.layers.GlobalAveragePooling2D(name='pooling')(values)


def _convolutions(widths: tuple[int, ...]) -> Any:
    def make(face: Any, _: FrameModel) -> Any:
        values = face
        for number, filters in enumerate(widths, start=1):
            values = keras.layers.Conv2D(
                filters, 5, padding='same', activation='relu', name=f'convolution_{number}'
            )(values)
            values = keras.layers.MaxPooling2D(3, 2, name=f'pool_{number}')(values)
        return keras.layers.Flatten(name='flatten')(values)

    return make


def _appearance(embedding: Any, _: FrameModel) -> Any:
    return keras.layers.BatchNormalization(name='norm', momentum=0.9)(embedding)


_ENCODERS: dict[str, Any] = {
    APPEARANCE: _appearance,
    'xception': _xception,
    'small': _small,
    'kahou': _convolutions((64, 128, 256)),
    'kahou-small': _convolutions((8, 16, 24)),
}


def shared_frame_model(place: RunContext) -> FrameModel:
    """Return the run's one model of single frames, the catalog's ``frame``."""
    if 'frame' not in place.shared:
        place.shared['frame'] = FrameModel(place.catalog.entry('frame', place.size), place)
    found: FrameModel = place.shared['frame']
    return found
