"""Models that are one Keras network over windows of frames."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from emotion_estimator.errors import InputError
from emotion_estimator.perception.window_classifier import IMAGE, WindowInput
from emotion_estimator_training.models.legacy_keras import keras
from emotion_estimator_training.zoo.data.face_tracks import FaceTrack
from emotion_estimator_training.zoo.data.windows import Windows
from emotion_estimator_training.zoo.models.catalog import Entry
from emotion_estimator_training.zoo.models.fitting import (
    ZooFitSettings,
    fit,
    load_best,
    probabilities,
)
from emotion_estimator_training.zoo.models.input_reader import InputReader
from emotion_estimator_training.zoo.models.layer_summary import LayerSummary, summarize_layers
from emotion_estimator_training.zoo.models.model import (
    ExportNetworks,
    Floats,
    Overlap,
    RunContext,
    Split,
    Tracks,
    ZooModel,
)
from emotion_estimator_training.zoo.models.pretrained import PretrainedWeights, find_pretrained

#: Value of the setting ``overlap`` for :func:`balanced_overlap`.
BALANCED = 'balanced'
#: Greatest overlap of windows of a rare class.
_MOST_OVERLAP = 0.75


class NetworkModel(ZooModel):
    """A model that is one Keras network over windows.

    :param inputs: of the network, in order.
    :param overlap: see :data:`Overlap`; or ``balanced``.
    """

    def __init__(
        self,
        entry: Entry,
        context: RunContext,
        window: int,
        inputs: Sequence[WindowInput],
        settings: ZooFitSettings,
        overlap: Overlap | str = 0.0,
    ) -> None:
        super().__init__(entry, context)
        self.window, self.inputs = window, tuple(inputs)
        self.fit_settings, self._overlap = settings, overlap
        self._readers: dict[bool, InputReader] = {}
        self._network: Any = None

    @abstractmethod
    def build(self) -> Any:
        """Return the untrained Keras model, from ``inputs`` to probabilities (N, C)."""

    @property
    def network(self) -> Any:
        """Return the Keras model; built on first use, from pretrained weights if there are any.

        :raises InputError: the pretrained weights are another network's.
        """
        if self._network is None:
            keras.utils.set_random_seed(self.fit_settings.seed)
            network = self.build()
            if self.pretrained is not None:
                taken, could = self.pretrained.begin(network, self.classes)
                if taken < could:
                    self.note(f'{self.name} begins from {taken} of {could} pretrained layers')
            self._network = network
        return self._network

    @cached_property
    def pretrained(self) -> PretrainedWeights | None:
        """Return the weights that the network begins from; None begins anew.

        :raises ModelError: they are damaged.
        """
        folder = self.context.pretrained
        if folder is None or self.pixel_encoder() is not self:
            return None
        found = find_pretrained(folder, self.entry.slug)
        if found is None:
            self.note(
                f'{self.name} begins anew: {folder} has no weights of it; run "emotion-estimator '
                f'zoo pretrain --models {self.name.removesuffix(":frame")}"'
            )
        return found

    @property
    def saw(self) -> str:
        """Return what the model learned from before; see :attr:`ZooModel.saw`."""
        return self.pretrained.saw if self.pretrained is not None else super().saw

    def pixel_encoder(self) -> ZooModel | None:
        """Return this model if it reads pixels."""
        return self if any(one.kind == IMAGE for one in self.inputs) else None

    def of_stills(self) -> tuple[Any, tuple[WindowInput, ...]]:
        """Return the part of the network that can learn from stills, and its inputs."""
        return self.network, self.inputs

    def identity(self, split: Split) -> dict[str, Any]:
        """Return what determines the result of training, including pretrained weights."""
        found = super().identity(split)
        if self.pretrained is None:
            return found
        return {**found, 'pretrained': self.pretrained.sha256}

    def fit(self, split: Split) -> list[dict[str, Any]]:
        """Train; see :meth:`ZooModel.fit`."""
        # Terbouche and Chaoui let windows overlap in validation too.
        overlap = self.overlap_on(split.train)
        return fit(
            self.network,
            self.reader(),
            self.windows_of(split.train, overlap),
            self.windows_of(split.validation, overlap),
            self.fit_settings,
            self.folder,
            self.identity(split),
            self.context.progress,
        )

    def overlap_on(self, train: Tracks) -> Overlap:
        """Return the overlap of windows; ``balanced`` is computed from the training tracks.

        :raises InputError: the setting is neither an overlap nor ``balanced``.
        """
        overlap = self._overlap
        if isinstance(overlap, (float, int, Mapping)):
            return overlap
        if overlap == BALANCED:
            return balanced_overlap(train)
        raise InputError(
            f'{self.name}: overlap must be a number, a number for each class, or {BALANCED!r}, '
            f'got {overlap!r}'
        )

    def load(self) -> None:
        """Load the best weights; see :meth:`ZooModel.load`."""
        load_best(self.network, self.folder)

    def predict(self, windows: Windows, covered: bool = False) -> Floats:
        """Return the probabilities (N, C); see :meth:`ZooModel.predict`."""
        return probabilities(self.network, self.reader(covered), windows)

    def structure(self) -> tuple[LayerSummary, ...]:
        """Return the layers in order."""
        return summarize_layers(self.network)

    def networks(self) -> ExportNetworks:
        """Return the network itself."""
        return ExportNetworks(self.network, self.inputs)

    def reader(self, covered: bool = False) -> InputReader:
        """Return the reader of ``inputs``."""
        if covered not in self._readers:
            self._readers[covered] = InputReader(self.inputs, self.encode, covered)
        return self._readers[covered]

    def encode(self, track: FaceTrack, covered: bool) -> Floats:
        """Return an encoding (T, E) of each frame; only for models that read encodings."""
        raise NotImplementedError(self.name)

    def keras_inputs(self) -> list[Any]:
        """Return Keras inputs for ``inputs``."""
        return [
            keras.Input(one.shape(self.window), name=f'{one.name}_input') for one in self.inputs
        ]


def balanced_overlap(tracks: Tracks) -> dict[str, float]:
    """Return an overlap by class, 0 to 0.75, that is greater for classes with fewer frames.

    Terbouche and Chaoui, figure 21.
    """
    frames: Counter[str] = Counter()
    for track in tracks:
        frames[track.clip.label] += len(track)
    most = max(frames.values(), default=1)
    return {
        label: round(min(1 - count / most, _MOST_OVERLAP), 3) for label, count in frames.items()
    }
