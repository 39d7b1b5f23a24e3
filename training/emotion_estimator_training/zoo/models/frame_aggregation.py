"""Aggregation of single frames without their order (Terbouche and Chaoui, 1.4.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from emotion_estimator.errors import InputError
from emotion_estimator_training.models.legacy_keras import keras, tf
from emotion_estimator_training.seed import SEED
from emotion_estimator_training.zoo.data.frames import FaceTrack
from emotion_estimator_training.zoo.models.catalog import Entry
from emotion_estimator_training.zoo.models.fitting import (
    BEST,
    Floats,
    ZooFitSettings,
    load_best,
    probabilities,
    read,
)
from emotion_estimator_training.zoo.models.inputs import ENCODING, Input
from emotion_estimator_training.zoo.models.model import (
    LayerSummary,
    NetworkModel,
    Networks,
    RunContext,
    Split,
)
from emotion_estimator_training.zoo.models.xception import FrameModel, shared_frame_model

HOW = ('mean', 'weighted')


class CertaintyWeighted(keras.layers.Layer):
    """The mean over frames of probabilities (N, L, C), weighted by how certain each frame is.

    A frame's certainty is what its distribution's entropy lacks of the greatest possible, relative
    to that: 0 where all classes are alike, 1 where one is certain.
    """

    def call(self, inputs: Any) -> Any:
        """Return (N, C)."""
        entropy = -tf.reduce_sum(inputs * tf.math.log(inputs + 1e-7), axis=-1, keepdims=True)
        weights = 1.0 - entropy / float(np.log(max(inputs.shape[-1], 2))) + 1e-3
        return tf.reduce_sum(inputs * weights, axis=1) / tf.reduce_sum(weights, axis=1)


@dataclass(frozen=True)
class DecisionSettings:
    """How frames' probabilities become those of a window.

    :param how: ``mean``, or ``weighted`` by certainty.
    """

    window: int = 16
    how: str = 'mean'


class OnFrames(NetworkModel):
    """A model over what the run's model of single frames makes of each."""

    def __init__(
        self,
        entry: Entry,
        place: RunContext,
        window: int,
        settings: ZooFitSettings,
        overlap: Any = 0.0,
        frames: FrameModel | None = None,
    ) -> None:
        self.frames = frames or shared_frame_model(place)
        inputs = [Input(ENCODING, size=self.encoding_size())]
        super().__init__(entry, place, window, inputs, settings, overlap)

    def encoding_size(self) -> int:
        """Return E."""
        return self.frames.encoding_size

    def encode(self, track: FaceTrack, covered: bool) -> Floats:
        """Return the encodings (T, E) of a track's frames."""
        return self.frames.encode(track, covered)

    def frame_network(self) -> Any:
        """Return the Keras model that reads a frame."""
        return self.frames.encoder

    def fit(self, split: Split) -> list[dict[str, Any]]:
        """Learn single frames first, where that was not done, then windows."""
        self.frames.fit(split)
        return self.fit_windows(split)

    def fit_windows(self, split: Split) -> list[dict[str, Any]]:
        """Learn windows."""
        return super().fit(split)

    def identity(self, split: Split) -> dict[str, Any]:
        """Return what decides the outcome of learning, the model of frames' included."""
        return {**super().identity(split), 'frames': self.frames.identity(split)}

    @property
    def noted(self) -> list[str]:
        """Return what must be said aloud of the model of frames, and of this one."""
        return [*self.frames.noted, *super().noted]

    def load(self) -> None:
        """Read what was learned of frames and of windows."""
        self.frames.load()
        super().load()

    def structure(self) -> tuple[LayerSummary, ...]:
        """Return the frame's layers, then the window's."""
        from emotion_estimator_training.zoo.models.model import layers

        return (*layers(self.frame_network(), 'frame/'), *layers(self.network))

    def networks(self) -> Networks:
        """Return the network of a frame, and the window's over its encodings."""
        return Networks(
            self.network,
            self.inputs,
            self.frame_network(),
            self.frames.inputs[0],
            self.frames.appearance,
        )


class DecisionAggregation(OnFrames):
    """Decision level: probabilities put together. It learns nothing beyond single frames."""

    def __init__(self, entry: Entry, place: RunContext) -> None:
        self.settings = read(DecisionSettings, entry.settings, entry.name)
        if self.settings.how not in HOW:
            raise InputError(f'{entry.name}: how {self.settings.how!r}; choose of {HOW}')
        super().__init__(entry, place, self.settings.window, ZooFitSettings())

    def encoding_size(self) -> int:
        """Return C: a frame's encoding is what its network says."""
        return len(self.frames.classes)

    def encode(self, track: FaceTrack, covered: bool) -> Floats:
        """Return the probabilities (T, C) of a track's frames."""
        return self.frames.frame_probabilities(track, covered)

    def frame_network(self) -> Any:
        """Return the Keras model that reads a frame, to its end."""
        return self.frames.network

    def build(self) -> Any:
        """Return the network that has nothing to learn."""
        [frames] = self.keras_inputs()
        if self.settings.how == 'mean':
            answer = keras.layers.GlobalAveragePooling1D(name='mean')(frames)
        else:
            answer = CertaintyWeighted(name='weighted')(frames)
        return keras.Model(frames, answer, name=self.settings.how)

    def fit_windows(self, split: Split) -> list[dict[str, Any]]:
        """Do nothing."""
        return []

    def load(self) -> None:
        """Read what was learned of frames."""
        self.frames.load()


#: Statistics over frames (N, L, E) -> (N, E); ``all`` keeps every frame (N, L * E).
STATISTICS: dict[str, Callable[[Any], Any]] = {
    'mean': lambda values: tf.reduce_mean(values, axis=1),
    'variance': lambda values: tf.math.reduce_variance(values, axis=1),
    'minimum': lambda values: tf.reduce_min(values, axis=1),
    'maximum': lambda values: tf.reduce_max(values, axis=1),
    'all': lambda values: tf.reshape(values, (-1, int(values.shape[1]) * int(values.shape[2]))),
}
CLASSIFIERS = ('svm', 'mlp')


class Statistics(keras.layers.Layer):
    """Statistics of encodings (N, L, E) over the frames, one after another (N, K * E)."""

    def __init__(self, statistics: tuple[str, ...] = ('mean',), **others: Any) -> None:
        super().__init__(**others)
        self.statistics = tuple(statistics)

    def call(self, inputs: Any) -> Any:
        """Return (N, K * E)."""
        return tf.concat([STATISTICS[name](inputs) for name in self.statistics], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return how to make it again."""
        return {**super().get_config(), 'statistics': self.statistics}


class Standardize(keras.layers.Layer):
    """Values (N, K) less their mean over their scale, both measured, not learned."""

    def build(self, shape: Any) -> None:
        """Make room."""
        self.mean = self.add_weight('mean', (int(shape[-1]),), trainable=False)
        self.scale = self.add_weight(
            'scale', (int(shape[-1]),), initializer='ones', trainable=False
        )

    def call(self, inputs: Any) -> Any:
        """Return (N, K)."""
        return (inputs - self.mean) / self.scale


@dataclass(frozen=True)
class StatisticsSettings:
    """Feature-level aggregation (Terbouche and Chaoui, figure 2).

    :param statistics: of ``STATISTICS``, concatenated.
    :param classifier: ``svm``, a linear support vector machine for each class against the rest
        whose margins' softmax is given, or ``mlp``, one hidden layer.
    :param hidden: units of the MLP.
    :param c: how much the SVM minds errors.
    """

    window: int = 16
    statistics: tuple[str, ...] = ('mean', 'variance', 'minimum', 'maximum')
    classifier: str = 'svm'
    hidden: int = 128
    c: float = 0.01
    overlap: Any = 0.0
    seed: int = SEED


class StatisticsModel(OnFrames):
    """Feature level: scikit-learn learns, a Keras network of the same weights answers."""

    def __init__(self, entry: Entry, place: RunContext) -> None:
        self.settings = read(StatisticsSettings, entry.settings, entry.name)
        unknown = set(self.settings.statistics) - set(STATISTICS)
        if unknown or self.settings.classifier not in CLASSIFIERS:
            raise InputError(
                f'{entry.name}: statistics are {", ".join(STATISTICS)}, classifiers '
                f'{", ".join(CLASSIFIERS)}'
            )
        super().__init__(
            entry, place, self.settings.window, ZooFitSettings(), self.settings.overlap
        )

    def build(self) -> Any:
        """Return the network that scikit-learn's weights are put into."""
        [frames] = self.keras_inputs()
        values = Statistics(self.settings.statistics, name='statistics')(frames)
        values = Standardize(name='standardize')(values)
        if self.settings.classifier == 'mlp':
            values = keras.layers.Dense(self.settings.hidden, 'relu', name='hidden')(values)
        answer = keras.layers.Dense(
            len(self.classes), 'softmax', name=f'{self.settings.classifier}_margins'
        )(values)
        return keras.Model(frames, answer, name='statistics')

    def fit_windows(self, split: Split) -> list[dict[str, Any]]:
        """Learn from statistics of all training windows; read what was learned if it was."""
        train = self.windows_of(split.train, self.overlap_on(split.train))
        present = np.unique(train.labels)
        if len(present) < 2:
            raise InputError(f'{self.name}: training windows of one class only; give others too')
        front = keras.Model(self.network.input, self.network.get_layer('statistics').output)
        x = probabilities(front, self.reader(), train)
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(x)
        dense = self._learned(scaler.transform(x), train.labels)
        self.network.get_layer('standardize').set_weights([scaler.mean_, scaler.scale_])
        for name, weights in dense.items():
            self.network.get_layer(name).set_weights(weights)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.network.save_weights(self.folder / BEST)
        found = probabilities(self.network, self.reader(), train)
        right = float((found.argmax(axis=1) == train.labels).mean())
        return [{'epoch': 1, 'train_accuracy': round(right, 4)}]

    def load(self) -> None:
        """Read what was learned of frames and of windows."""
        self.frames.load()
        load_best(self.network, self.folder)

    def _learned(self, x: Floats, labels: Any) -> dict[str, list[Floats]]:
        """Return weights of the dense layers by their names."""
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
            return {last: self._whole(machine.coef_.T, machine.intercept_, known)}
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
            last: self._whole(second, second_bias, known),
        }

    def _whole(self, kernel: Floats, bias: Floats, known: Any) -> list[Floats]:
        """Return a dense layer's weights for all classes, also those that did not occur."""
        if len(known) == 2 and kernel.shape[1] == 1:
            # scikit-learn gives the second of two classes only.
            kernel = np.concatenate([-kernel / 2, kernel / 2], axis=1)
            bias = np.concatenate([-bias / 2, bias / 2])
        whole = np.zeros((len(kernel), len(self.classes)), np.float32)
        whole[:, known] = kernel
        biases = np.full(len(self.classes), -30.0, np.float32)
        biases[known] = bias
        return [whole, biases]
