"""The base class of the zoo's models, and what a run gives them: data, folders, notes."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.perception.window_classifier import WindowInput
from emotion_estimator_training.zoo.data.clips import Problem, summary
from emotion_estimator_training.zoo.data.face_tracks import FaceTrack
from emotion_estimator_training.zoo.data.windows import Windows, cut_windows
from emotion_estimator_training.zoo.models.catalog import Catalog, Entry
from emotion_estimator_training.zoo.models.layer_summary import LayerSummary
from emotion_estimator_training.zoo.models.pretrained import SAW_NOTHING

Floats = NDArray[np.float32]
Tracks = Sequence[FaceTrack]
#: Share of frames that consecutive windows have in common: for all classes, or by class.
Overlap = float | Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Split:
    """Face tracks to train on and to validate on.

    :param classes: in output order.
    """

    classes: tuple[str, ...]
    train: tuple[FaceTrack, ...]
    validation: tuple[FaceTrack, ...]

    def fingerprint(self) -> str:
        """Return a SHA-256 checksum of the data."""
        return self._checksum

    @cached_property
    def _checksum(self) -> str:
        digest = hashlib.sha256(repr(self.classes).encode())
        for part in (self.train, self.validation):
            digest.update(b'|')
            for track in part:
                digest.update(f'{track.clip.title} {track.clip.label} {len(track)}'.encode())
                digest.update(np.ascontiguousarray(track.crops[::7]).tobytes())
                # Times as well: the same frames at another rate show another motion.
                for values in (track.times, track.landmarks, track.blendshapes, track.found):
                    digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class RunContext:
    """What the models of one run share.

    :param folder: holds one subfolder for each trained model.
    :param classes: in output order.
    :param size: ``paper`` or ``reduced``.
    :param rate: frames per second of the tracks.
    :param weights: file of Xception's ImageNet weights; None looks in Keras' cache folder.
    :param own_models: folder of this package's models; None uses the shipped ones.
    :param pretrained: folder of weights that networks of pixels begin from; None begins anew.
    :param progress: show progress bars.
    :param shared: models that other models build on, by name; filled during the run.
    :param notes: remarks for the report; filled during the run.
    """

    folder: Path
    catalog: Catalog
    classes: tuple[str, ...]
    size: str = 'reduced'
    rate: float = 30.0
    weights: Path | None = None
    own_models: Path | None = None
    pretrained: Path | None = None
    progress: bool = True
    shared: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class ExportNetworks:
    """The Keras networks of a trained model that are exported for the estimator node.

    :param window: network from ``inputs`` to probabilities (1, C).
    :param frame: network that encodes each frame; its output is the one input of ``window``, of
        kind ``encoding``. None if ``window`` reads the frames themselves.
    :param frame_input: the input of ``frame``.
    :param appearance: SHA-256 of the appearance network whose embeddings are read, or empty.
    """

    window: Any
    inputs: tuple[WindowInput, ...]
    frame: Any = None
    frame_input: WindowInput | None = None
    appearance: str = ''


class ZooModel(ABC):
    """A model that learns from face tracks and classifies windows of frames.

    :param entry: its name and settings.
    """

    #: Frames in a window.
    window = 1
    #: Why the model is not measured on covered faces; empty if it is.
    no_covered_reason = ''

    def __init__(self, entry: Entry, context: RunContext) -> None:
        self.entry, self.context = entry, context
        self.name, self.classes = entry.name, context.classes
        self._notes: list[str] = []

    @property
    def folder(self) -> Path:
        """Return the folder of the trained weights."""
        return self.context.folder / self.entry.slug

    @abstractmethod
    def fit(self, split: Split) -> list[dict[str, Any]]:
        """Train, resume training, or load a finished training; return each epoch's metrics.

        :raises InputError: there is too little training data.
        """

    @abstractmethod
    def load(self) -> None:
        """Load the trained weights.

        :raises ModelError: there are none.
        """

    @abstractmethod
    def predict(self, windows: Windows, covered: bool = False) -> Floats:
        """Return the probabilities (N, C) of windows of ``window`` frames.

        :param covered: draw a face mask over mouth and nose first.
        """

    @abstractmethod
    def structure(self) -> tuple[LayerSummary, ...]:
        """Return the layers in order."""

    @abstractmethod
    def networks(self) -> ExportNetworks:
        """Return the networks to export.

        :raises InputError: the model cannot be exported.
        """

    @property
    def saw(self) -> str:
        """Return what the model learned from before the training clips, for tables."""
        return SAW_NOTHING

    def pixel_encoder(self) -> ZooModel | None:
        """Return the model that reads the pixels: this one or one below it; None if none does."""
        return None

    @property
    def parameters(self) -> int:
        """Return the number of weights."""
        return sum(layer.parameters for layer in self.structure())

    def identity(self, split: Split) -> dict[str, Any]:
        """Return everything that determines the result of training, as JSON-able values."""
        return {
            'model': self.name,
            'kind': self.entry.kind,
            'settings': dict(self.entry.settings),
            'classes': list(self.classes),
            'rate': self.context.rate,
            'data': split.fingerprint(),
        }

    def windows_of(self, tracks: Tracks, overlap: Overlap = 0.0) -> Windows:
        """Return windows of ``window`` frames for training or validation.

        Tracks that are shorter than a window or rarely show the face are noted.
        """
        windows, without = cut_windows(
            tracks, self.classes, self.window, overlap=overlap, short='repeat'
        )
        short = [
            Problem('window', track.clip.name, track.clip.title)
            for track in tracks
            if len(track) < self.window
        ]
        for action, problems in (
            ('learns without', without),
            ('repeats the last frame of', short),
        ):
            for line in summary(problems):
                self.note(f'{self.name} {action} {line}')
        return windows

    @property
    def notes(self) -> list[str]:
        """Return the remarks on this model for the report."""
        return list(self._notes)

    def note(self, remark: str) -> None:
        """Add a remark to the notes of this model and of the run, once."""
        for notes in (self._notes, self.context.notes):
            if remark not in notes:
                notes.append(remark)
