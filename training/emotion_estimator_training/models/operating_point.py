"""Where the trained network's line between the labels is drawn, and how sure it may sound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emotion_estimator_training.data.grouping import Grouping
from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.evaluation.scores import calibration_error, confusion, macro_f1

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

#: Added to a probability before its logarithm is taken.
LEAST = 1e-6


def softmax(logits: Floats) -> Floats:
    """Return probabilities along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sharpen(probabilities: Floats, temperature: float) -> Floats:
    """Return probabilities (..., L) whose logarithms are divided; the order stays."""
    return softmax(np.log(probabilities + LEAST) / temperature)


def calibrated_temperature(sets: list[tuple[Floats, Ints]]) -> float:
    """Return the temperature that makes labels' probabilities as sure as they are right.

    Temperature scaling (Guo et al., On Calibration of Modern Neural Networks, 2017), by the least
    expected calibration error, the mean over the sets and over neighbouring temperatures. Least
    cross-entropy, as there, leaves what the operating point did to it.

    :param sets: of each landmark source the labels' probabilities (N, L) and the truth (N,) of
        images held back from training.
    """
    temperatures = np.arange(0.6, 2.01, 0.02)
    error = np.array(
        [
            np.mean([calibration_error(sharpen(told, one), truth) for told, truth in sets])
            for one in temperatures
        ]
    )
    near = np.convolve(np.pad(error, 2, mode='edge'), np.full(5, 0.2), mode='valid')
    return float(temperatures[near.argmin()])


def operating_point(
    sets: list[tuple[Floats, Ints]],
    grouping: Grouping,
    accuracy_counts: float = 1.0,
    least_counts: float = 0.25,
) -> Floats:
    """Return the bias (7,) on happy's and sad's logits that serves the labels best.

    What is best: accuracy times ``accuracy_counts`` plus macro-F1 plus ``least_counts`` of the
    least recall of a label, less the calibration error; the mean over the sets and over
    neighbouring biases, since single images decide between neighbours. Accuracy plus macro-F1 alone
    lie on a ridge, along which a few more faces of the frequent labels cost many of the rare one.

    :param sets: of each landmark source the logits (N, 7) and emotions (N,) of images
        held back from training.
    """
    happy, sad = np.arange(-0.5, 1.01, 0.1), np.arange(-0.2, 1.81, 0.1)
    worth = np.zeros((len(happy), len(sad)))
    for i, one in enumerate(happy):
        for j, other in enumerate(sad):
            for logits, emotion in sets:
                told = softmax(logits + _bias(one, other)) @ grouping.matrix
                matrix = confusion(
                    grouping.to_label[emotion], told.argmax(axis=1), len(grouping.labels)
                )
                accuracy = np.diag(matrix).sum() / max(matrix.sum(), 1)
                recall = np.diag(matrix) / np.maximum(matrix.sum(axis=1), 1)
                worth[i, j] += (
                    accuracy_counts * accuracy
                    + macro_f1(matrix)
                    + least_counts * recall.min()
                    - calibration_error(told, grouping.to_label[emotion])
                ) / len(sets)
    padded = np.pad(worth, 1, mode='edge')
    smooth = sum(padded[i : i + len(happy), j : j + len(sad)] for i in range(3) for j in range(3))
    i, j = np.unravel_index(np.argmax(smooth), smooth.shape)
    return _bias(happy[i], sad[j])


def _bias(happy: float, sad: float) -> Floats:
    bias = np.zeros(len(FER_CLASSES), np.float32)
    bias[FER_CLASSES.index('happy')], bias[FER_CLASSES.index('sad')] = happy, sad
    return bias


def class_biases(sets: list[tuple[Floats, Ints]]) -> Floats:
    """Return the bias (7,) on the classes' logits that serves all seven best.

    What is best: accuracy plus macro-F1, the mean over the sets; found class by class, twice round,
    the mean over neighbouring biases. Rare classes (disgust above all) are else hardly ever told.

    :param sets: as for :func:`operating_point`.
    """
    bias = np.zeros(len(FER_CLASSES), np.float32)
    steps = np.arange(-0.6, 1.21, 0.1)
    for _ in range(2):
        for code in range(len(FER_CLASSES)):
            worth = np.zeros(len(steps))
            for number, step in enumerate(steps):
                tried = bias.copy()
                tried[code] = step
                for logits, emotion in sets:
                    told = (logits + tried).argmax(axis=1)
                    matrix = confusion(emotion, told, len(FER_CLASSES))
                    right = np.diag(matrix).sum() / max(matrix.sum(), 1)
                    worth[number] += (right + macro_f1(matrix)) / len(sets)
            near = np.convolve(np.pad(worth, 1, mode='edge'), np.full(3, 1 / 3), mode='valid')
            bias[code] = steps[near.argmax()]
    # Only differences count: neutral's is nought.
    return bias - bias[FER_CLASSES.index('neutral')]
