"""The operating point: what is added to the logits to choose labels; and calibration.

It decides how readily each label is chosen, and is chosen itself on images that were not trained
on. In cards it is ``logit_biases``, in checkpoints and tables ``biases``.
"""

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

#: Share of neutral faces that a robot may take for sad ones, and for happy ones.
MOST_WRONG = 0.025

#: How much the lowest recall of a label counts for a robot: it should notice who is sad.
_LEAST_OF_A_ROBOT = 1.0

#: What is added to the logits of happy and of sad: the points that are tried.
_HAPPY, _SAD = np.arange(-0.8, 1.01, 0.1), np.arange(-0.8, 1.81, 0.1)


def softmax(logits: Floats) -> Floats:
    """Return probabilities along the last axis."""
    powers: Floats = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def sharpen(probabilities: Floats, temperature: float) -> Floats:
    """Return probabilities (..., L) after temperature scaling; their order is unchanged."""
    return softmax(np.log(probabilities + LEAST) / temperature)


def calibrated_temperature(sets: list[tuple[Floats, Ints]]) -> float:
    """Return the temperature that calibrates the labels' probabilities.

    Temperature scaling (Guo et al., On Calibration of Modern Neural Networks, 2017). The expected
    calibration error is minimized, averaged over the sets and over neighbouring temperatures;
    minimizing cross-entropy, as Guo et al. do, would not undo what the operating point does to
    calibration.

    :param sets: for each landmark source, the labels' probabilities (N, L) and the true labels
        (N,) of images held out from training.
    """
    temperatures = np.arange(0.4, 2.01, 0.02)
    error = np.array(
        [
            np.mean([calibration_error(sharpen(found, one), truth) for found, truth in sets])
            for one in temperatures
        ]
    )
    near = np.convolve(np.pad(error, 2, mode='edge'), np.full(5, 0.2), mode='valid')
    return float(temperatures[near.argmin()])


def choose_robot_point(
    sets: list[tuple[Floats, Ints]],
    people: list[tuple[Floats, Ints]],
    grouping: Grouping,
    most: float = MOST_WRONG,
) -> Floats:
    """Return the operating point (7,) for a robot: it rarely takes a neutral face for another.

    Only happy and sad are moved. Of the points at which at most ``most`` of the neutral faces of
    ``people`` are called sad, and as many happy, the best one maximizes what :func:`_worth` says of
    the sets, where the recall of the rarest label counts as much as accuracy; if there is none, the
    one with the fewest such faces.

    :param sets: for each landmark source and kind of pictures, the logits (N, 7) and classes (N,)
        of images held out from training.
    :param people: those of them that are like what a robot sees.
    """
    found = _worth(sets, grouping, least_counts=_LEAST_OF_A_ROBOT)
    of = {name: int(grouping.to_label[FER_CLASSES.index(name)]) for name in FER_CLASSES}
    # A label that neutral faces have themselves is right.
    codes = [of[name] for name in ('happy', 'sad') if of[name] != of['neutral']]
    wrong = np.zeros((2, *found.shape))
    for i, one in enumerate(_HAPPY):
        for j, other in enumerate(_SAD):
            for logits, emotion in people:
                neutral = logits[emotion == FER_CLASSES.index('neutral')]
                labels = (softmax(neutral + _point(one, other)) @ grouping.matrix).argmax(axis=1)
                for number, code in enumerate(codes):
                    wrong[number, i, j] += (labels == code).sum() / max(len(neutral), 1)
    worst = wrong.max(axis=0) / max(len(people), 1)
    allowed = worst <= max(most, float(worst.min()))
    i, j = divmod(int(np.where(allowed, found, -np.inf).argmax()), len(_SAD))
    return _point(_HAPPY[i], _SAD[j])


def choose_operating_point(
    sets: list[tuple[Floats, Ints]],
    grouping: Grouping,
    accuracy_counts: float = 1.0,
    least_counts: float = 0.25,
) -> Floats:
    """Return the operating point (7,) that serves the grouping's labels best.

    Only happy and sad are moved; see :func:`_worth`. Published figures of FER2013's labels are at
    this point.

    :param sets: for each landmark source, the logits (N, 7) and classes (N,) of images held out
        from training.
    """
    found = _worth(sets, grouping, accuracy_counts, least_counts)
    i, j = divmod(int(found.argmax()), len(_SAD))
    return _point(_HAPPY[i], _SAD[j])


def _worth(
    sets: list[tuple[Floats, Ints]],
    grouping: Grouping,
    accuracy_counts: float = 1.0,
    least_counts: float = 0.25,
) -> NDArray[np.float64]:
    """Return (happy, sad), what each operating point is worth.

    That is accuracy times ``accuracy_counts``, plus macro-F1, plus ``least_counts`` times the
    lowest recall of a label, minus the calibration error, averaged over the sets and over
    neighbouring points, between which single images decide. Accuracy plus macro-F1 alone form a
    ridge, along which a few more faces of the frequent labels cost many of the rare one.
    """
    worth = np.zeros((len(_HAPPY), len(_SAD)))
    for i, one in enumerate(_HAPPY):
        for j, other in enumerate(_SAD):
            for logits, emotion in sets:
                found = softmax(logits + _point(one, other)) @ grouping.matrix
                matrix = confusion(
                    grouping.to_label[emotion], found.argmax(axis=1), len(grouping.labels)
                )
                accuracy = np.diag(matrix).sum() / max(matrix.sum(), 1)
                recall = np.diag(matrix) / np.maximum(matrix.sum(axis=1), 1)
                worth[i, j] += (
                    accuracy_counts * accuracy
                    + macro_f1(matrix)
                    + least_counts * recall.min()
                    - calibration_error(found, grouping.to_label[emotion])
                ) / len(sets)
    padded = np.pad(worth, 1, mode='edge')
    smooth = np.zeros_like(worth)
    for down in range(3):
        for right in range(3):
            smooth += padded[down : down + len(_HAPPY), right : right + len(_SAD)]
    return smooth / 9


def _point(happy: float, sad: float) -> Floats:
    point = np.zeros(len(FER_CLASSES), np.float32)
    point[FER_CLASSES.index('happy')], point[FER_CLASSES.index('sad')] = happy, sad
    return point


def choose_class_operating_point(sets: list[tuple[Floats, Ints]]) -> Floats:
    """Return the operating point (7,) that serves all seven classes best.

    The best maximizes accuracy plus macro-F1, averaged over the sets and over neighbouring points;
    it is searched class by class, twice. Without it rare classes, disgust above all, are hardly
    ever chosen.

    :param sets: as for :func:`choose_operating_point`.
    """
    point = np.zeros(len(FER_CLASSES), np.float32)
    steps = np.arange(-0.6, 1.21, 0.1)
    for _ in range(2):
        for code in range(len(FER_CLASSES)):
            worth = np.zeros(len(steps))
            for number, step in enumerate(steps):
                tried = point.copy()
                tried[code] = step
                for logits, emotion in sets:
                    found = (logits + tried).argmax(axis=1)
                    matrix = confusion(emotion, found, len(FER_CLASSES))
                    accuracy = np.diag(matrix).sum() / max(matrix.sum(), 1)
                    worth[number] += (accuracy + macro_f1(matrix)) / len(sets)
            near = np.convolve(np.pad(worth, 1, mode='edge'), np.full(3, 1 / 3), mode='valid')
            point[code] = steps[near.argmax()]
    # Only differences matter: neutral's is zero.
    point -= point[FER_CLASSES.index('neutral')]
    return point
