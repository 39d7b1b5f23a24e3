"""Loops over frames written out step by step, where TFLite has no loop of that kind."""

from __future__ import annotations

from typing import Any

from emotion_estimator_training.models.legacy_keras import keras


class UnrolledConvLSTM2D(keras.layers.ConvLSTM2D):
    """The same layer with its steps written out one after another, as TFLite needs it."""

    def call(self, inputs: Any, **_: Any) -> Any:
        """Return the last output, (B, H, W, filters)."""
        state = self.get_initial_state(inputs)
        output = state[0]
        for step in range(inputs.shape[1]):
            output, state = self.cell(inputs[:, step], state)
        return output


def unrolled(model: Any) -> Any:
    """Return a copy of a Keras model in which ConvLSTMs' and simple RNNs' steps are written out.

    Not for training: there batches come without a number of frames.
    """
    def copy(layer: Any) -> Any:
        kind, config = type(layer), layer.get_config()
        if kind is keras.layers.ConvLSTM2D:
            kind = UnrolledConvLSTM2D
        elif kind is keras.layers.SimpleRNN:
            config['unroll'] = True
        return kind.from_config(config)

    copied = keras.models.clone_model(model, clone_function=copy)
    copied.set_weights(model.get_weights())
    return copied
