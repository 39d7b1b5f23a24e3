"""Exports trained models as TFLite with model cards, and measures their size and time."""

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
from emotion_estimator.perception.window_classifier import KIND, WindowClassifier, WindowInput
from emotion_estimator.trial import made_here
from emotion_estimator_training.evaluation.timing import MILLISECONDS, Stopwatch
from emotion_estimator_training.models.legacy_keras import tf
from emotion_estimator_training.shipping.quantize import FLOAT, converted
from emotion_estimator_training.zoo.data.face_tracks import FaceTrack
from emotion_estimator_training.zoo.models.model import ZooModel

#: Frames that are timed, frames before them to warm up, and seconds after which timing stops.
_FRAMES, _WARM_UP, _TIMEOUT = 40, 3, 20.0


def export(
    model: ZooModel, folder: Path, face_side: int, metrics: Mapping[str, Any] | None = None
) -> Path:
    """Write ``<name>.tflite`` (and ``<name>.frame.tflite``) with a card; return the card's path.

    :param face_side: side in pixels of the aligned faces that the model was trained on.
    :param metrics: measurements for the card.
    :raises InputError: the model cannot run in the estimator node.
    :raises ModelError: TensorFlow cannot convert it.
    """
    networks = model.networks()
    folder.mkdir(parents=True, exist_ok=True)
    name = model.entry.slug
    settings: dict[str, Any] = {
        'cut': CUT,
        'window': model.window,
        'rate': round(model.context.rate, 3),
        'face_side': face_side,
        'inputs': [one.as_dict() for one in networks.inputs],
    }
    if networks.frame is not None and networks.frame_input is not None:
        content = tflite(networks.frame, (networks.frame_input,), 1)
        settings['frame'] = {
            **_write(folder / f'{name}.frame.tflite', content),
            'input': networks.frame_input.as_dict(),
        }
    if networks.appearance:
        settings['appearance_sha256'] = networks.appearance
    weights = folder / f'{name}.tflite'
    written = _write(weights, tflite(networks.window, networks.inputs, model.window))
    card = {
        'name': f'zoo_{name}',
        # None of them is released; the checksum distinguishes them.
        'version': f'1.0.0+local.{written["sha256"][:8]}',
        'kind': KIND,
        'description': model.entry.description,
        'labels': list(model.classes),
        'settings': settings,
        'metrics': dict(metrics or {}),
        **written,
        'blendshapes': list(BLENDSHAPE_NAMES),
    }
    path = weights.with_suffix('.json')
    path.write_text(json.dumps(card, indent=1) + '\n')
    return path


def tflite(network: Any, inputs: tuple[WindowInput, ...], window: int) -> bytes:
    """Convert a Keras model to TFLite for one window at a time.

    :param inputs: name the tensors.
    :raises ModelError: TensorFlow cannot convert it.
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


def _write(path: Path, content: bytes) -> dict[str, Any]:
    """Write a network; return what its card says about the file."""
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    made_here(sha256)
    return {'file': path.name, 'bytes': len(content), 'sha256': sha256}


def exported_bytes(card: Path, models: Path | None = None) -> int:
    """Return the size of an exported model's weights, with the appearance network if it reads it.

    :param models: folder of the appearance network; None is that of the shipped one.
    """
    raw = json.loads(card.read_text())
    settings = raw['settings']
    size = int(raw['bytes']) + int(settings.get('frame', {}).get('bytes', 0))
    if 'appearance_sha256' in settings:
        size += ((models or models_dir()) / 'appearance.tflite').stat().st_size
    return size


def shipped_bytes(models: Path) -> int:
    """Return the size of the weights of this package's own networks.

    :param models: their folder.
    """
    files = (models / 'emotion_lstm.tflite', models / 'appearance.tflite')
    return sum(path.stat().st_size for path in files if path.is_file())


def frame_time(card: Path, track: FaceTrack) -> float:
    """Return the median processor time of an exported model for one frame, in milliseconds.

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

    return _median_ms(step)


def shipped_time(models: Path, track: FaceTrack, rate: float) -> float:
    """Return the median processor time of this package's networks for one frame, in milliseconds.

    :param models: their folder.
    :param rate: frames per second of the track.
    :raises ModelError: the folder holds no networks that run.
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

    return _median_ms(step)


def _median_ms(step: Callable[[int], object]) -> float:
    # Processor time: other processes on the machine do not count.
    watch = Stopwatch(time.process_time_ns)
    begun = time.perf_counter()
    for number in range(_WARM_UP + _FRAMES):
        watch.run('step', partial(step, number), keep=number >= _WARM_UP)
        if time.perf_counter() - begun > _TIMEOUT and number > _WARM_UP:
            break
    return watch.median('step', MILLISECONDS)
