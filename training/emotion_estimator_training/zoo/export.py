"""Writes trained models as TFLite, with cards, and measures what one more frame costs them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.model_card import models_dir
from emotion_estimator.perception.appearance import AppearanceNetwork
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.perception.face_crop import crop
from emotion_estimator.perception.face_parts import CUT
from emotion_estimator.perception.window_classifier import KIND, WindowClassifier
from emotion_estimator_training.evaluation.timing import MILLISECONDS, Stopwatch
from emotion_estimator_training.models.legacy_keras import tf
from emotion_estimator_training.shipping.quantize import FLOAT, converted
from emotion_estimator_training.zoo.data.frames import FaceTrack
from emotion_estimator_training.zoo.models.inputs import Input
from emotion_estimator_training.zoo.models.model import ZooModel

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
    # Processor time: what else the machine does is not the model's cost.
    watch = Stopwatch(time.process_time_ns)
    begun = time.perf_counter()
    for number in range(_BEFORE + _FRAMES):
        watch.run('step', partial(step, number), keep=number >= _BEFORE)
        if time.perf_counter() - begun > _ENOUGH and number > _BEFORE:
            break
    return watch.median('step', MILLISECONDS)


def export(
    model: ZooModel, folder: Path, face_side: int, metrics: Mapping[str, Any] | None = None
) -> Path:
    """Write ``<name>.tflite`` (and ``<name>.frame.tflite``) with the card; return its path.

    :param face_side: side in pixels of the aligned faces that the model learned from.
    :param metrics: measured, for the card.
    :raises InputError: the model does not run on a robot.
    :raises ModelError: TensorFlow cannot convert it; says why.
    """
    networks = model.networks()
    folder.mkdir(parents=True, exist_ok=True)
    name = model.entry.slug
    settings: dict[str, Any] = {
        'cut': CUT,
        'window': model.window,
        'rate': round(model.place.rate, 3),
        'face_side': face_side,
        'inputs': [one.as_dict() for one in networks.inputs],
    }
    if networks.frame is not None and networks.frame_input is not None:
        content = tflite(networks.frame, (networks.frame_input,), 1)
        path = folder / f'{name}.frame.tflite'
        path.write_bytes(content)
        settings['frame'] = {
            'file': path.name,
            'bytes': len(content),
            'sha256': hashlib.sha256(content).hexdigest(),
            'input': networks.frame_input.as_dict(),
        }
    if networks.appearance:
        settings['appearance_sha256'] = networks.appearance
    content = tflite(networks.window, networks.inputs, model.window)
    weights = folder / f'{name}.tflite'
    weights.write_bytes(content)
    card = {
        'name': f'zoo_{name}',
        'version': '1.0.0',
        'kind': KIND,
        'says': model.entry.says,
        'labels': list(model.classes),
        'settings': settings,
        'metrics': dict(metrics or {}),
        'file': weights.name,
        'bytes': len(content),
        'sha256': hashlib.sha256(content).hexdigest(),
        'blendshapes': list(BLENDSHAPE_NAMES),
    }
    path = weights.with_suffix('.json')
    path.write_text(json.dumps(card, indent=1) + '\n')
    return path


def exported_bytes(card: Path, models: Path | None = None) -> int:
    """Return the size of an exported model's weights, the shipped ones that it reads included.

    :param models: folder of the appearance network that it reads; None is the shipped one.
    """
    raw = json.loads(card.read_text())
    settings = raw['settings']
    shipped = None
    if 'appearance_sha256' in settings:
        shipped = (models or models_dir()) / 'appearance.tflite'
    return (
        int(raw['bytes'])
        + int(settings.get('frame', {}).get('bytes', 0))
        + (shipped.stat().st_size if shipped else 0)
    )


def tflite(network: Any, inputs: tuple[Input, ...], window: int) -> bytes:
    """Convert a Keras model to TFLite for one window, its inputs named as ``inputs``.

    :raises ModelError: TensorFlow cannot.
    """
    single = len(inputs) == 1
    function = tf.function(
        lambda *values: network(values[0] if single else list(values), training=False),
        input_signature=[
            tf.TensorSpec((1, *one.shape(window)), tf.float32, one.name) for one in inputs
        ],
        autograph=False,
    )
    return converted(function.get_concrete_function(), FLOAT, lambda: ())
