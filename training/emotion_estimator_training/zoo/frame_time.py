"""What one more frame costs a model: cutting its inputs, and running its TFLite file."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from emotion_estimator.perception.appearance import AppearanceNetwork
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.perception.face_crop import crop
from emotion_estimator.perception.window_classifier import WindowClassifier
from emotion_estimator_training.zoo.data.frames import FaceTrack

#: Frames that are timed, after some that are not, and seconds after which it is enough.
_FRAMES, _BEFORE, _ENOUGH = 40, 3, 20.0


def frame_time(card: Path, track: FaceTrack) -> float:
    """Return the median milliseconds of processor time that an exported model takes a frame.

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


def shipped_time(models: Path, track: FaceTrack, rate: float) -> float:
    """Return the median milliseconds that this package's own networks take a frame.

    :param models: their folder.
    :raises ModelError: it holds no networks that run.
    """
    classifier = EmotionClassifier.load(models / 'emotion_lstm.json')
    card = models / 'appearance.json'
    appearance = AppearanceNetwork.load(card) if card.is_file() else None
    state = classifier.initial_state()

    def step(number: int) -> None:
        nonlocal state
        frame = number % len(track)
        embedding = None
        if appearance is not None:
            embedding = appearance(crop(track.crops[frame], track.landmarks[frame]))
        _, state = classifier(track.blendshapes[frame], state, 1 / rate, embedding)

    return _median(step)


def shipped_bytes(models: Path) -> int:
    """Return the size of this package's own weights."""
    files = (models / 'emotion_lstm.tflite', models / 'appearance.tflite')
    return sum(path.stat().st_size for path in files if path.is_file())


def _median(step: Callable[[int], object]) -> float:
    taken: list[float] = []
    begun = time.perf_counter()
    for number in range(_BEFORE + _FRAMES):
        # Not the clock on the wall: what else the machine does is not the model's cost.
        before = time.process_time()
        step(number)
        taken.append(time.process_time() - before)
        if time.perf_counter() - begun > _ENOUGH and number > _BEFORE:
            break
    return float(np.median(taken[_BEFORE:]) * 1000)
