"""What one more frame costs a model: cutting its inputs, and running its TFLite file."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from emotion_estimator.perception.window_classifier import WindowClassifier
from emotion_estimator.zoo.frames import FaceTrack
from emotion_estimator.zoo.ours import Shipped

#: Frames that are timed, after some that are not, and seconds after which it is enough.
_FRAMES, _BEFORE, _ENOUGH = 40, 3, 20.0


def frame_time(card: Path, track: FaceTrack) -> float:
    """Return the median milliseconds that an exported model takes for one more frame.

    :raises ModelError: no TFLite runtime runs it.
    """
    classifier = WindowClassifier.load(card)
    memory = classifier.initial_state()

    def step(number: int) -> None:
        nonlocal memory
        frame = number % len(track)
        values = classifier.values(
            track.crops[frame], track.landmarks[frame], track.blendshapes[frame]
        )
        memory = classifier.step(values, memory, 1 / classifier.rate).state

    return _median(step)


def shipped_time(model: Shipped, track: FaceTrack) -> float:
    """Return the median milliseconds that the shipped classifier takes for one more frame."""
    recognizer = model.recognizer
    seconds = np.full((1, 1), 1 / model.place.rate, np.float32)
    return _median(
        lambda number: recognizer.sequences(
            track.blendshapes[None, number % len(track), None], seconds
        )
    )


def shipped_bytes(model: Shipped) -> int:
    """Return the size of the shipped weights that it reads."""
    from emotion_estimator.model_card import models_dir

    folder = model.place.models or models_dir()
    files = [folder / 'emotion_lstm.tflite']
    if model.place.shared.get('embeddings') is not None:
        files.append(folder / 'appearance.tflite')
    return sum(path.stat().st_size for path in files if path.is_file())


def _median(step: Callable[[int], object]) -> float:
    taken: list[float] = []
    begun = time.perf_counter()
    for number in range(_BEFORE + _FRAMES):
        before = time.perf_counter()
        step(number)
        taken.append(time.perf_counter() - before)
        if time.perf_counter() - begun > _ENOUGH and number > _BEFORE:
            break
    return float(np.median(taken[_BEFORE:]) * 1000)
