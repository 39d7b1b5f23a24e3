"""What every model of the zoo is, those that are one Keras network, and their layers in print."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.tables import text_table
from emotion_estimator_training.zoo.data.clips import Problem, summary
from emotion_estimator_training.zoo.data.frames import FaceTrack
from emotion_estimator_training.zoo.data.windows import Windows, windows
from emotion_estimator_training.zoo.models.catalog import Catalog, Entry
from emotion_estimator_training.zoo.models.fitting import (
    ZooFitSettings,
    fit,
    load_best,
    probabilities,
)
from emotion_estimator_training.zoo.models.inputs import Input, InputReader


class LayerSummary(NamedTuple):
    """One layer; of an output's shape the first is the batch."""

    name: str
    kind: str
    output: tuple[int | None, ...]
    parameters: int
    after: tuple[str, ...]


def layers(model: Any, prefix: str = '') -> tuple[LayerSummary, ...]:
    """Return a Keras model's layers, those of models inside it too, in order."""
    found: list[LayerSummary] = []
    for layer in model.layers:
        if hasattr(layer, 'layers'):
            found += layers(layer, f'{prefix}{layer.name}/')
            continue
        output = layer.output_shape
        if isinstance(output, list):
            output = output[0]
        after: list[str] = []
        for node in layer.inbound_nodes[:1]:
            before = node.inbound_layers
            after += [one.name for one in (before if isinstance(before, list) else [before])]
        kind = type(layer).__name__
        if hasattr(layer, 'forward_layer'):
            kind += f' {type(layer.forward_layer).__name__}'
        found.append(
            LayerSummary(
                prefix + layer.name, kind, tuple(output), int(layer.count_params()), tuple(after)
            )
        )
    return tuple(found)


def in_print(found: tuple[LayerSummary, ...]) -> str:
    """Return the layers as a table: what each is, what it gives, and what it follows."""
    rows = [
        [one.name, one.kind, _shape(one.output), f'{one.parameters:,}', ', '.join(one.after)]
        for one in found
    ]
    total = sum(one.parameters for one in found)
    return (
        text_table(['layer', 'kind', 'output', 'parameters', 'follows'], rows)
        + f'\n\n{len(found)} layers, {total:,} parameters'
    )


def _shape(shape: tuple[int | None, ...]) -> str:
    return ' x '.join(str(one) for one in shape[1:]) or '1'


Floats = NDArray[np.float32]
Tracks = Sequence[FaceTrack]

#: The most that windows of a rare class overlap.
_MOST_OVERLAP = 0.75


@dataclass(frozen=True, eq=False)
class Split:
    """The faces that models learn from, and those that they are chosen by."""

    classes: tuple[str, ...]
    train: tuple[FaceTrack, ...]
    validation: tuple[FaceTrack, ...]

    def fingerprint(self) -> str:
        """Return a checksum of what is learned from."""
        return self._checksum

    @cached_property
    def _checksum(self) -> str:
        digest = hashlib.sha256(repr(self.classes).encode())
        for part in (self.train, self.validation):
            digest.update(b'|')
            for track in part:
                digest.update(f'{track.clip.title} {track.clip.label} {len(track)}'.encode())
                digest.update(np.ascontiguousarray(track.crops[::7]).tobytes())
                # Times too: the same frames at another rate are another expression.
                for values in (track.times, track.landmarks, track.blendshapes, track.found):
                    digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class RunContext:
    """Where and with what the models of a run work.

    :param folder: of the trained models, one folder each.
    :param size: ``paper`` or ``reduced``.
    :param rate: frames per second of the tracks.
    :param weights: Keras' weights file for Xception; None looks in Keras' own folder.
    :param models: folder of the package's own models.
    :param shared: models that others are built on, by name; filled on the way.
    :param notes: what must be said aloud of this run; filled on the way.
    """

    folder: Path
    catalog: Catalog
    classes: tuple[str, ...]
    size: str = 'reduced'
    rate: float = 30.0
    weights: Path | None = None
    models: Path | None = None
    progress: bool = True
    shared: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Networks:
    """A trained model as networks for a robot.

    :param window: Keras model from ``inputs`` to probabilities (1, C).
    :param frame: what reads each frame by itself; its output is the window's one input of kind
        ``encoding``. None where the window reads the frames themselves.
    :param frame_input: what ``frame`` reads.
    :param appearance: checksum of the appearance network whose embeddings the window reads.
    """

    window: Any
    inputs: tuple[Input, ...]
    frame: Any = None
    frame_input: Input | None = None
    appearance: str = ''


class ZooModel(ABC):
    """A model: it learns from tracks, and says what windows of frames express.

    :param entry: its name and settings.
    """

    #: Frames that it reads.
    window = 1
    #: Why faces with a covered mouth tell nothing of it; empty where they do.
    cover_unseen = ''

    def __init__(self, entry: Entry, place: RunContext) -> None:
        self.entry, self.place = entry, place
        self.name, self.classes = entry.name, place.classes
        self._notes: list[str] = []

    @property
    def folder(self) -> Path:
        """Return where it keeps what it learned."""
        return self.place.folder / self.entry.slug

    @abstractmethod
    def fit(self, split: Split) -> list[dict[str, Any]]:
        """Learn, go on learning, or read what was learned; return each epoch's metrics.

        :raises InputError: there is too little to learn from.
        """

    @abstractmethod
    def load(self) -> None:
        """Read what was learned.

        :raises ModelError: nothing was.
        """

    @abstractmethod
    def predict(self, asked: Windows, covered: bool = False) -> Floats:
        """Return the probabilities (N, C) of windows of ``window`` frames.

        :param covered: with a face mask over mouth and nose.
        """

    @abstractmethod
    def structure(self) -> tuple[LayerSummary, ...]:
        """Return the layers, in order."""

    @abstractmethod
    def networks(self) -> Networks:
        """Return what a robot needs of it.

        :raises InputError: it does not run there.
        """

    @property
    def parameters(self) -> int:
        """Return how many numbers it consists of."""
        return sum(layer.parameters for layer in self.structure())

    def identity(self, split: Split) -> dict[str, Any]:
        """Return what decides the outcome of learning."""
        return {
            'model': self.name,
            'kind': self.entry.kind,
            'settings': dict(self.entry.settings),
            'classes': list(self.classes),
            'rate': self.place.rate,
            'data': split.fingerprint(),
        }

    def windows_of(self, tracks: Tracks, overlap: Any = 0.0) -> Windows:
        """Return the windows of ``window`` frames that are learned from, or chosen by.

        Clips that are shorter than a window, or show the face too rarely, are noted.

        :param overlap: what windows have in common: a share, or a share for each class.
        """
        made, without = windows(tracks, self.classes, self.window, overlap=overlap, short='repeat')
        short = [
            Problem('window', track.clip.name, track.clip.title)
            for track in tracks
            if len(track) < self.window
        ]
        for says, found in (('learns without', without), ('repeats the last frame of', short)):
            for line in summary(found):
                self.note(f'{self.name} {says} {line}')
        return made

    @property
    def noted(self) -> list[str]:
        """Return what must be said aloud of it."""
        return list(self._notes)

    def note(self, says: str) -> None:
        """Keep what must be said aloud, for this model and for the run; each once."""
        for notes in (self._notes, self.place.notes):
            if says not in notes:
                notes.append(says)


def balanced_overlap(tracks: Tracks) -> dict[str, float]:
    """Return the more overlap, up to 0.75, the fewer frames a class has.

    Terbouche and Chaoui, figure 21.
    """
    frames: Counter[str] = Counter()
    for track in tracks:
        frames[track.clip.label] += len(track)
    most = max(frames.values(), default=1)
    return {
        label: round(min(1 - count / most, _MOST_OVERLAP), 3) for label, count in frames.items()
    }


class NetworkModel(ZooModel):
    """A model that is one Keras network over windows."""

    def __init__(
        self,
        entry: Entry,
        place: RunContext,
        window: int,
        inputs: Sequence[Input],
        settings: ZooFitSettings,
        overlap: Any = 0.0,
    ) -> None:
        super().__init__(entry, place)
        self.window, self.inputs = window, tuple(inputs)
        self.fit_settings, self._overlap = settings, overlap
        self._readers: dict[bool, InputReader] = {}
        self._network: Any = None

    @abstractmethod
    def build(self) -> Any:
        """Return the untrained Keras model, from ``inputs`` to probabilities (N, C)."""

    def overlap_on(self, train: Tracks) -> float | Mapping[str, float]:
        """Return how much windows have in common, of all classes or by class.

        :raises InputError: the setting is neither that nor ``balanced``.
        """
        overlap = self._overlap
        if overlap == 'balanced':
            return balanced_overlap(train)
        if not isinstance(overlap, (float, int, Mapping)):
            raise InputError(
                f"{self.name}: overlap is a share, a share for each class, or 'balanced', "
                f'got {overlap!r}'
            )
        return overlap

    @property
    def network(self) -> Any:
        """Return the Keras model; built when it is first needed."""
        if self._network is None:
            keras.utils.set_random_seed(self.fit_settings.seed)
            self._network = self.build()
        return self._network

    def fit(self, split: Split) -> list[dict[str, Any]]:
        """Learn; see :meth:`ZooModel.fit`."""
        # Terbouche and Chaoui has windows overlap in training and validation.
        overlap = self.overlap_on(split.train)
        train = self.windows_of(split.train, overlap)
        validation = self.windows_of(split.validation, overlap)
        return fit(
            self.network,
            self.reader(),
            train,
            validation,
            self.fit_settings,
            self.folder,
            self.identity(split),
            self.place.progress,
        )

    def load(self) -> None:
        """Read the best weights."""
        load_best(self.network, self.folder)

    def predict(self, asked: Windows, covered: bool = False) -> Floats:
        """Return the probabilities (N, C)."""
        return probabilities(self.network, self.reader(covered), asked)

    def structure(self) -> tuple[LayerSummary, ...]:
        """Return the layers, in order."""
        return layers(self.network)

    def networks(self) -> Networks:
        """Return the network itself."""
        return Networks(self.network, self.inputs)

    def reader(self, covered: bool = False) -> InputReader:
        """Return what gathers the inputs."""
        if covered not in self._readers:
            self._readers[covered] = InputReader(self.inputs, self.encode, covered)
        return self._readers[covered]

    def encode(self, track: FaceTrack, covered: bool) -> Floats:
        """Return an encoding (T, E) of each frame, for models that read one."""
        raise NotImplementedError(self.name)

    def keras_inputs(self) -> list[Any]:
        """Return Keras inputs for ``inputs``."""
        return [
            keras.Input(one.shape(self.window), name=f'{one.name}_input') for one in self.inputs
        ]


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return settings inside settings."""
    return value if isinstance(value, Mapping) else {}
