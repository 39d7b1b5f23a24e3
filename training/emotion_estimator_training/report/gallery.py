"""Faces with their landmarks drawn: a portrait for everybody, and the worst errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.perception.landmarks.landmarks import Landmarker
from emotion_estimator_training.data.augment import Enlargement, enlarge
from emotion_estimator_training.evaluation.evaluate import Answers

_DOT = (90, 220, 255)


@dataclass(frozen=True)
class Error:
    """A still that a model gets wrong.

    :param image_id: FER2013's row.
    :param probability: of the label that it says; ``of_truth`` of the one that is right.
    """

    image_id: int
    truth: str
    guess: str
    probability: float
    of_truth: float


def worst_errors(answers: Answers, labels: Sequence[str], count: int) -> list[Error]:
    """Return the most confident wrong answers, the surest first."""
    return _errors(answers, labels, answers.probabilities.max(axis=1), count)


def most_missed(answers: Answers, labels: Sequence[str], label: str, count: int) -> list[Error]:
    """Return the faces of a label that is least seen in them, the least first."""
    code = labels.index(label)
    doubt = np.where(answers.truth == code, 1 - answers.probabilities[:, code], -1.0)
    return _errors(answers, labels, doubt, count)


def _errors(
    answers: Answers, labels: Sequence[str], order: NDArray[np.floating], count: int
) -> list[Error]:
    guess = answers.probabilities.argmax(axis=1)
    wrong = np.flatnonzero((guess != answers.truth) & (order >= 0))
    return [
        Error(
            int(answers.image_id[row]), labels[answers.truth[row]], labels[guess[row]],
            round(float(answers.probabilities[row].max()), 3),
            round(float(answers.probabilities[row, answers.truth[row]]), 3),
        )
        for row in wrong[np.argsort(-order[wrong], kind='stable')[:count]]
    ]


def draw_landmarks(image: RgbImage, landmarks: NDArray[np.float32]) -> RgbImage:
    """Return a copy of an image with all landmarks as dots: Figure 1 of seed 001.

    :param image: uint8 (H, W, 3), RGB.
    :param landmarks: (478, 2 or more), in pixels.
    """
    canvas = np.array(image, np.uint8, order='C')
    radius = max(1, min(canvas.shape[:2]) // 300)
    for x, y in landmarks[:, :2]:
        cv2.circle(canvas, (round(float(x)), round(float(y))), radius, _DOT, -1, cv2.LINE_AA)
    return canvas


def still_with_landmarks(still: NDArray[np.uint8], landmarker: Landmarker) -> RgbImage:
    """Return a 48x48 still enlarged as the landmark source sees it, with what it finds.

    :param landmarker: opened for unrelated images.
    """
    image = enlarge(still, Enlargement())
    faces = landmarker(Frame(image, 0.0))
    drawn = draw_landmarks(image, faces[0].landmarks) if faces else image
    # The rim is black.
    rim = image.shape[0] // 6
    return drawn[rim:-rim, rim:-rim]


def jpeg(image: RgbImage) -> bytes:
    """Return an RGB image as JPEG."""
    done, content = cv2.imencode('.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR),
                                 [cv2.IMWRITE_JPEG_QUALITY, 85])
    if not done:
        raise ValueError('OpenCV could not encode an image')
    return content.tobytes()
