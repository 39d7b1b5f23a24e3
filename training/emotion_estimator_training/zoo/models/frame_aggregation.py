"""Aggregation of single frames regardless of their order (Terbouche and Chaoui, 1.4.1).

Concatenated statistics: Bargal et al. 2016. Linear support vector machines: Fan et al. 2008.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from emotion_estimator.errors import InputError
from emotion_estimator.perception.window_classifier import ENCODING, WindowInput
from emotion_estimator_training.models.legacy_keras import keras, tf
from emotion_estimator_training.models.training_loop import BEST
from emotion_estimator_training.seed import SEED
from emotion_estimator_training.zoo.data.face_tracks import FaceTrack
from emotion_estimator_training.zoo.models.catalog import Entry
from emotion_estimator_training.zoo.models.fitting import (
    Floats,
    ZooFitSettings,
    load_best,
    probabilities,
    read,
)
from emotion_estimator_training.zoo.models.frame_model import FrameModel, shared_frame_model
from emotion_estimator_training.zoo.models.layer_summary import LayerSummary, summarize_layers
from emotion_estimator_training.zoo.models.matrix_statistics import (
    covariance,
    eigenvector,
    gaussian,
)
from emotion_estimator_training.zoo.models.model import (
    ExportNetworks,
    Overlap,
    RunContext,
    Split,
    ZooModel,
)
from emotion_estimator_training.zoo.models.network_model import NetworkModel

#: Values of ``DecisionSettings.how``.
HOW = ('mean', 'weighted')
#: Statistics that are matrices, of encodings that were standardized: (N, L, E) -> (N, K).
MATRICES: dict[str, Callable[[Any], Any]] = {
    'covariance': covariance,
    'eigenvector': eigenvector,
    'gaussian': gaussian,
}
#: Statistics over frames (N, L, E) -> (N, E); ``all`` concatenates the frames (N, L * E).
STATISTICS: dict[str, Callable[[Any], Any]] = {
    **MATRICES,
    'mean': lambda values: tf.reduce_mean(values, axis=1),
    'variance': lambda values: tf.math.reduce_variance(values, axis=1),
    'minimum': lambda values: tf.reduce_min(values, axis=1),
    'maximum': lambda values: tf.reduce_max(values, axis=1),
    'all': lambda values: tf.reshape(values, (-1, int(values.shape[1]) * int(values.shape[2]))),
}
#: Values of ``StatisticsSettings.classifier``.
CLASSIFIERS = ('svm', 'mlp')
#: Bias of classes without training windows: their probability is practically 0.
_NEVER = -30.0


class CertaintyWeighted(keras.layers.Layer):  # type: ignore[misc]
    """The mean over frames of probabilities (N, L, C), weighted by each frame's certainty.

    Certainty is one minus the entropy relative to its maximum: 0 for a uniform distribution, 1 if
    one class has probability 1.
    """

    def call(self, inputs: Any) -> Any:
        """Return (N, C)."""
        entropy = -tf.reduce_sum(inputs * tf.math.log(inputs + 1e-7), axis=-1, keepdims=True)
        weights = 1.0 - entropy / float(np.log(max(inputs.shape[-1], 2))) + 1e-3
        return tf.reduce_sum(inputs * weights, axis=1) / tf.reduce_sum(weights, axis=1)


@dataclass(frozen=True)
class DecisionSettings:
    """How the probabilities of frames are aggregated.

    :param window: frames.
    :param how: ``mean``, or ``weighted`` by certainty.
    """

    window: int = 16
    how: str = 'mean'


class OnFrames(NetworkModel):
    """A model over the encodings of single frames.

    :param frames: the frame model; None is the one that the run's models share.
    """

    def __init__(
        self,
        entry: Entry,
        context: RunContext,
        window: int,
        settings: ZooFitSettings,
        overlap: Overlap | str = 0.0,
        frames: FrameModel | None = None,
    ) -> None:
        self.frames = frames or shared_frame_model(context)
        inputs = [WindowInput(ENCODING, size=self.encoding_size())]
        super().__init__(entry, context, window, inputs, settings, overlap)

    def encoding_size(self) -> int:
        """Return E, the size of an encoding."""
        return self.frames.encoding_size

    def encode(self, track: FaceTrack, covered: bool) -> Floats:
        """Return the encodings (T, E) of a track's frames."""
        return self.frames.encode(track, covered)

    def frame_network(self) -> Any:
        """Return the Keras model that encodes a frame."""
        return self.frames.encoder

    def fit(self, split: Split) -> list[dict[str, Any]]:
        """Train the frame model, then the model of windows."""
        self.frames.fit(split)
        return self.fit_windows(split)

    def fit_windows(self, split: Split) -> list[dict[str, Any]]:
        """Train the model of windows."""
        return super().fit(split)

    def identity(self, split: Split) -> dict[str, Any]:
        """Return what determines the result of training, including the frame model."""
        return {**super().identity(split), 'frames': self.frames.identity(split)}

    @property
    def notes(self) -> list[str]:
        """Return the remarks on the frame model and on this one."""
        return [*self.frames.notes, *super().notes]

    @property
    def saw(self) -> str:
        """Return what the frame model learned from before."""
        return self.frames.saw

    def pixel_encoder(self) -> ZooModel | None:
        """Return the frame model if it reads pixels."""
        return self.frames.pixel_encoder()

    def load(self) -> None:
        """Load the weights of both models."""
        self.frames.load()
        super().load()

    def structure(self) -> tuple[LayerSummary, ...]:
        """Return the layers of the frame model, then those of this one."""
        return (
            *summarize_layers(self.frame_network(), 'frame/'),
            *summarize_layers(self.network),
        )

    def networks(self) -> ExportNetworks:
        """Return the network of a frame, and the one over its encodings."""
        return ExportNetworks(
            self.network,
            self.inputs,
            self.frame_network(),
            self.frames.inputs[0],
            self.frames.appearance,
        )


class DecisionAggregation(OnFrames):
    """Decision level: aggregates probabilities. Only the frame model is trained."""

    def __init__(self, entry: Entry, context: RunContext) -> None:
        self.settings = read(DecisionSettings, entry.settings, entry.name)
        if self.settings.how not in HOW:
            raise InputError(
                f'{entry.name}: how must be {" or ".join(HOW)}, got {self.settings.how!r}'
            )
        super().__init__(entry, context, self.settings.window, ZooFitSettings())

    def encoding_size(self) -> int:
        """Return C: the encoding of a frame is its probabilities."""
        return len(self.frames.classes)

    def encode(self, track: FaceTrack, covered: bool) -> Floats:
        """Return the probabilities (T, C) of a track's frames."""
        return self.frames.frame_probabilities(track, covered)

    def frame_network(self) -> Any:
        """Return the complete frame network."""
        return self.frames.network

    def build(self) -> Any:
        """Return the network, which has no weights."""
        [frames] = self.keras_inputs()
        if self.settings.how == 'mean':
            answer = keras.layers.GlobalAveragePooling1D(name='mean')(frames)
        else:
            answer = CertaintyWeighted(name='weighted')(frames)
        return keras.Model(frames, answer, name=self.settings.how)

    def fit_windows(self, split: Split) -> list[dict[str, Any]]:
        """Return no epochs: there is nothing to train."""
        return []

    def load(self) -> None:
        """Load the weights of the frame model."""
        self.frames.load()


class Statistics(keras.layers.Layer):  # type: ignore[misc]
    """Statistics over the frames of encodings (N, L, E), concatenated to (N, K * E)."""

    def __init__(self, statistics: tuple[str, ...] = ('mean',), **others: Any) -> None:
        super().__init__(**others)
        self.statistics = tuple(statistics)

    def call(self, inputs: Any) -> Any:
        """Return (N, K * E)."""
        return tf.concat([STATISTICS[name](inputs) for name in self.statistics], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), 'statistics': self.statistics}


class Standardize(keras.layers.Layer):  # type: ignore[misc]
    """Standardizes values (..., K) by a measured mean and scale."""

    def build(self, shape: Any) -> None:
        """Create the weights."""
        self.mean = self.add_weight('mean', (int(shape[-1]),), trainable=False)
        self.scale = self.add_weight(
            'scale', (int(shape[-1]),), initializer='ones', trainable=False
        )

    def call(self, inputs: Any) -> Any:
        """Return (..., K)."""
        return (inputs - self.mean) / self.scale


@dataclass(frozen=True)
class StatisticsSettings:
    """Settings of feature-level aggregation (Terbouche and Chaoui, figure 2).

    :param window: frames.
    :param statistics: keys of ``STATISTICS``.
    :param classifier: ``svm``, linear one-against-rest support vector machines with a softmax over
        their margins, or ``mlp`` with one hidden layer.
    :param hidden: units of the MLP.
    :param c: the SVM's penalty C of misclassified windows.
    """

    window: int = 16
    statistics: tuple[str, ...] = ('mean', 'variance', 'minimum', 'maximum')
    classifier: str = 'svm'
    hidden: int = 128
    c: float = 0.01
    overlap: Any = 0.0
    seed: int = SEED


class StatisticsModel(OnFrames):
    """Feature level: trained with scikit-learn, run as a Keras network with the same weights."""

    def __init__(self, entry: Entry, context: RunContext) -> None:
        self.settings = read(StatisticsSettings, entry.settings, entry.name)
        unknown = set(self.settings.statistics) - set(STATISTICS)
        if unknown or self.settings.classifier not in CLASSIFIERS:
            raise InputError(
                f'{entry.name}: choose statistics from {", ".join(STATISTICS)}, and a classifier '
                f'from {", ".join(CLASSIFIERS)}'
            )
        super().__init__(
            entry, context, self.settings.window, ZooFitSettings(), self.settings.overlap
        )

    def build(self) -> Any:
        """Return the network into which scikit-learn's weights are copied."""
        [frames] = self.keras_inputs()
        values = frames
        if self._of_matrices:
            values = Standardize(name='standardize_frames')(values)
        values = Statistics(self.settings.statistics, name='statistics')(values)
        values = Standardize(name='standardize')(values)
        if self.settings.classifier == 'mlp':
            values = keras.layers.Dense(self.settings.hidden, 'relu', name='hidden')(values)
        answer = keras.layers.Dense(
            len(self.classes), 'softmax', name=f'{self.settings.classifier}_margins'
        )(values)
        return keras.Model(frames, answer, name='statistics')

    def fit_windows(self, split: Split) -> list[dict[str, Any]]:
        """Train on the statistics of all training windows.

        :raises InputError: the training windows are of one class only.
        """
        train = self.windows_of(split.train, self.overlap_on(split.train))
        present = np.unique(train.labels)
        if len(present) < 2:
            raise InputError(
                f'{self.name}: all training windows are of one class; add clips of others'
            )
        from sklearn.preprocessing import StandardScaler

        if self._of_matrices:
            [frames] = self.reader()(train)
            of_frames = StandardScaler().fit(frames.reshape(-1, frames.shape[-1]))
            self.network.get_layer('standardize_frames').set_weights(
                [of_frames.mean_, of_frames.scale_]
            )
        statistics = keras.Model(self.network.input, self.network.get_layer('statistics').output)
        x = probabilities(statistics, self.reader(), train)
        scaler = StandardScaler().fit(x)
        dense = self._trained(scaler.transform(x), train.labels)
        self.network.get_layer('standardize').set_weights([scaler.mean_, scaler.scale_])
        for name, weights in dense.items():
            self.network.get_layer(name).set_weights(weights)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.network.save_weights(self.folder / BEST)
        predicted = probabilities(self.network, self.reader(), train).argmax(axis=1)
        accuracy = float((predicted == train.labels).mean())
        return [{'epoch': 1, 'train_accuracy': round(accuracy, 4)}]

    def load(self) -> None:
        """Load the weights of both models."""
        self.frames.load()
        load_best(self.network, self.folder)

    @property
    def _of_matrices(self) -> bool:
        return any(name in MATRICES for name in self.settings.statistics)

    def _trained(self, x: Floats, labels: Any) -> dict[str, list[Floats]]:
        """Return the weights of the dense layers, by layer name."""
        last = f'{self.settings.classifier}_margins'
        known = np.unique(labels)
        if self.settings.classifier == 'svm':
            from sklearn.svm import LinearSVC

            machine = LinearSVC(
                C=self.settings.c,
                class_weight='balanced',
                random_state=self.settings.seed,
                dual='auto',
                max_iter=5000,
            ).fit(x, labels)
            return {last: self._for_all_classes(machine.coef_.T, machine.intercept_, known)}
        from sklearn.neural_network import MLPClassifier

        network = MLPClassifier(
            (self.settings.hidden,),
            alpha=1e-2,
            max_iter=300,
            random_state=self.settings.seed,
        ).fit(x, labels)
        (first, second), (first_bias, second_bias) = network.coefs_, network.intercepts_
        return {
            'hidden': [first, first_bias],
            last: self._for_all_classes(second, second_bias, known),
        }

    def _for_all_classes(self, kernel: Floats, bias: Floats, known: Any) -> list[Floats]:
        """Return a dense layer's weights for all classes from those of the trained ones.

        :param known: indices of the classes that occur in training.
        """
        if len(known) == 2 and kernel.shape[1] == 1:
            # Of two classes, scikit-learn returns only the second one's weights.
            kernel = np.concatenate([-kernel / 2, kernel / 2], axis=1)
            bias = np.concatenate([-bias / 2, bias / 2])
        kernels = np.zeros((len(kernel), len(self.classes)), np.float32)
        kernels[:, known] = kernel
        biases = np.full(len(self.classes), _NEVER, np.float32)
        biases[known] = bias
        return [kernels, biases]
