"""The network of single frames, Xception or another encoder (Terbouche and Chaoui, 2.3)."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from emotion_estimator.errors import InputError, ModelError, first_line
from emotion_estimator.perception.window_classifier import EMBEDDING, IMAGE, WindowInput
from emotion_estimator_training.features.feature_set import EMBEDDING as EMBEDDING_SIZE
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.zoo.data.face_tracks import FaceTrack
from emotion_estimator_training.zoo.data.windows import Windows, single_frames
from emotion_estimator_training.zoo.models.catalog import Entry
from emotion_estimator_training.zoo.models.fitting import (
    Floats,
    ZooFitSettings,
    fit,
    probabilities,
    read,
)
from emotion_estimator_training.zoo.models.input_reader import InputReader
from emotion_estimator_training.zoo.models.layers import Dropout
from emotion_estimator_training.zoo.models.model import ExportNetworks, RunContext, Split
from emotion_estimator_training.zoo.models.network_model import NetworkModel
from emotion_estimator_training.zoo.models.ours import Embeddings, embeddings_of, saw_embeddings
from emotion_estimator_training.zoo.models.pretrained import SAW_IMAGENET

_LOG = logging.getLogger(__name__)

#: The encoder that is the shipped appearance network.
APPEARANCE = 'appearance'
#: Keras' file of Xception's ImageNet weights without the top, and the folder Keras caches it in.
KERAS_FILE = 'xception_weights_tf_dim_ordering_tf_kernels_notop.h5'
_KERAS_FOLDER = Path.home() / '.keras' / 'models'
#: Least input side of Xception, in pixels.
_LEAST_SIDE = 71
_PRETRAINED_NOTE = (
    'SINGLE FRAMES ARE ENCODED BY THE SHIPPED APPEARANCE NETWORK, NOT BY XCEPTION: frame, '
    'aggregation and LSTMs start from features learned on FER2013; models trained on pixels from '
    'scratch do not'
)
_RANDOM_NOTE = (
    'XCEPTION STARTS FROM RANDOM WEIGHTS, not from the ImageNet weights of Terbouche and Chaoui: '
    "put Keras' {file} into {folder}, or pass it with --xception-weights"
)


@dataclass(frozen=True)
class XceptionSettings:
    """Settings of Terbouche and Chaoui, figure 16; the defaults are the published ones.

    :param encoder: ``xception``; ``small``, four separable convolutions; ``kahou`` or
        ``kahou-small``, three convolutions (Kahou et al. 2015); ``appearance``, the shipped
        appearance network, which is not trained further.
    :param weights: of Xception: ``auto`` uses a file of ImageNet weights if there is one, else
        random weights with a note; ``random``; ``imagenet`` lets Keras download missing ones.
    :param side: of the face, in pixels; 224 gives Xception's 7 x 7 x 2048 features.
    :param units: of the dense layers; the output of the second (or only) one is the encoding.
    :param frame_step: train on every so many frames of a clip.
    """

    encoder: str = 'xception'
    weights: str = 'auto'
    side: int = 224
    units: tuple[int, ...] = (1024, 512, 256)
    dropout: float = 0.0
    frame_step: int = 5
    fit: ZooFitSettings = field(default=ZooFitSettings())


class FrameModel(NetworkModel):
    """A network that classifies single frames, and encodes them for other models."""

    def __init__(self, entry: Entry, context: RunContext) -> None:
        self.settings = read(XceptionSettings, entry.settings, entry.name)
        face = WindowInput(IMAGE, side=self.settings.side, last=True)
        self._embeddings: Embeddings | None = None
        if self.settings.encoder == APPEARANCE:
            face = WindowInput(EMBEDDING, size=EMBEDDING_SIZE, last=True)
            self._embeddings = embeddings_of(context)
            if self._embeddings is None:
                raise InputError(
                    f'{entry.name} needs the appearance network (models/appearance.json); '
                    'restore it, or choose another encoder'
                )
        super().__init__(entry, context, 1, [face], self.settings.fit)
        if self._embeddings is not None:
            self.note(_PRETRAINED_NOTE)
        self._encodings: dict[tuple[FaceTrack, bool, bool], Floats] = {}
        self._encoder: Any = None
        self._fitted: tuple[Split, list[dict[str, Any]]] | None = None

    def build(self) -> Any:
        """Return the untrained network; Xception with ImageNet weights if there are any."""
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
        """Return E, the size of an encoding."""
        return self.settings.units[min(1, len(self.settings.units) - 1)]

    @property
    def encoder(self) -> Any:
        """Return the part of the network up to the encoding (N, E)."""
        if self._encoder is None:
            layer = f'fc_{min(2, len(self.settings.units))}'
            self._encoder = keras.Model(
                self.network.input, self.network.get_layer(layer).output, name='encoder'
            )
        return self._encoder

    def fit(self, split: Split) -> list[dict[str, Any]]:
        """Train on single frames, once for all models that build on this one."""
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
                    self.context.progress,
                ),
            )
        return self._fitted[1]

    @property
    def appearance(self) -> str:
        """Return the SHA-256 of the appearance network that is the encoder, or an empty text."""
        return self._embeddings.sha256 if self._embeddings is not None else ''

    @property
    def saw(self) -> str:
        """Return what the encoder learned from before; see :attr:`ZooModel.saw`."""
        if self._embeddings is not None:
            return saw_embeddings(self.context)
        if self.pretrained is None and self.settings.encoder == 'xception':
            given = weights_file(self.settings.weights, self.context.weights)
            if given is not None or self.settings.weights == 'imagenet':
                return SAW_IMAGENET
        return super().saw

    def identity(self, split: Split) -> dict[str, Any]:
        """Return what determines the result of training, including pretrained weights.

        :raises ModelError: the file of Xception's weights cannot be read.
        """
        found = super().identity(split)
        if self.appearance:
            return {**found, 'appearance': self.appearance}
        if self.settings.encoder == 'xception' and self.pretrained is None:
            return {**found, 'xception': self._weights_checksum}
        return found

    @cached_property
    def _weights_checksum(self) -> str:
        """Return the SHA-256 of Xception's weights file; empty if weights are random."""
        path = weights_file(self.settings.weights, self.context.weights)
        try:
            return hashlib.sha256(path.read_bytes()).hexdigest() if path is not None else ''
        except OSError as error:
            raise ModelError(f'{path} cannot be read ({error.strerror})') from error

    def networks(self) -> ExportNetworks:
        """Return the network itself."""
        return replace(super().networks(), appearance=self.appearance)

    def reader(self, covered: bool = False) -> InputReader:
        """Return the reader of faces, or of their embeddings."""
        if covered not in self._readers:
            self._readers[covered] = InputReader(self.inputs, self._embeddings, covered)
        return self._readers[covered]

    def encode(self, track: FaceTrack, covered: bool) -> Floats:
        """Return the encodings (T, E) of a track's frames."""
        return self._of_track(track, covered, self.encoder, True)

    def frame_probabilities(self, track: FaceTrack, covered: bool) -> Floats:
        """Return the probabilities (T, C) of each frame of a track."""
        return self._of_track(track, covered, self.network, False)

    def _of_track(self, track: FaceTrack, covered: bool, model: Any, encoding: bool) -> Floats:
        key = (track, covered, encoding)
        if key not in self._encodings:
            frames = np.arange(len(track))
            single = Windows(
                (track,), self.classes, np.zeros(len(track), np.int64), frames[:, None]
            )
            self._encodings[key] = probabilities(model, self.reader(covered), single)
        return self._encodings[key]

    def _kind(self) -> str:
        if self.settings.encoder not in _ENCODERS:
            raise InputError(
                f'{self.name}: there is no encoder {self.settings.encoder!r}; choose from '
                f'{", ".join(_ENCODERS)}'
            )
        return self.settings.encoder


def weights_file(choice: str, given: Path | None) -> Path | None:
    """Return the file of Xception's ImageNet weights, or None if there is none to load.

    :param choice: ``auto``, ``random`` or ``imagenet``; with the latter Keras finds or downloads
        the file, unless one is given.
    :param given: file passed by the user.
    :raises ModelError: the given file does not exist.
    """
    if choice == 'random':
        return None
    if given is not None:
        if not given.is_file():
            raise ModelError(f"{given} does not exist; pass Keras' {KERAS_FILE}")
        return given
    if choice == 'imagenet':
        # Keras verifies the checksum of its file, so it never changes.
        return None
    cached = _KERAS_FOLDER / KERAS_FILE
    return cached if cached.is_file() else None


def _xception(face: Any, model: FrameModel) -> Any:
    settings = model.settings
    if settings.side < _LEAST_SIDE:
        raise InputError(f'{model.name}: Xception needs a side of at least {_LEAST_SIDE} pixels')
    values = keras.layers.Rescaling(2.0, -1.0, name='minus_one_to_one')(face)
    shape = (settings.side, settings.side, 3)
    if model.pretrained is not None:
        # They replace whatever it would begin with.
        base = keras.applications.Xception(False, None, input_shape=shape)
    elif (path := weights_file(settings.weights, model.context.weights)) is not None:
        base = keras.applications.Xception(False, None, input_shape=shape)
        _load(base, path)
    elif settings.weights == 'imagenet':
        base = _downloaded(shape)
    else:
        base = keras.applications.Xception(False, None, input_shape=shape)
        _note_random_weights(model)
    return keras.layers.GlobalAveragePooling2D(name='pooling')(base(values))


def _downloaded(shape: tuple[int, int, int]) -> Any:
    try:
        return keras.applications.Xception(False, 'imagenet', input_shape=shape)
    except Exception as error:
        # Without a network, Keras raises a plain Exception.
        raise ModelError(
            f"Keras cannot download Xception's weights ({first_line(error)}); put {KERAS_FILE} "
            f'into {_KERAS_FOLDER}, or pass it with --weights'
        ) from error


def _note_random_weights(model: FrameModel) -> None:
    note = _RANDOM_NOTE.format(file=KERAS_FILE, folder=_KERAS_FOLDER)
    if note not in model.context.notes:
        _LOG.warning(note)
    model.note(note)


def _load(base: Any, path: Path) -> None:
    try:
        base.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"{path} does not hold Xception's weights ({first_line(error)}); pass Keras' "
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


def shared_frame_model(context: RunContext) -> FrameModel:
    """Return the frame model that all models of a run share, the catalog's ``frame``."""
    if 'frame' not in context.shared:
        context.shared['frame'] = FrameModel(context.catalog.entry('frame', context.size), context)
    found: FrameModel = context.shared['frame']
    return found
