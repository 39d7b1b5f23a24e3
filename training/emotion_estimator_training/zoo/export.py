"""Writes trained models as TFLite, with the cards by which a robot runs them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.model_card import models_dir
from emotion_estimator.perception.face_parts import CUT
from emotion_estimator.perception.window_card import KIND
from emotion_estimator_training.models.legacy_keras import tf
from emotion_estimator_training.shipping.quantize import FLOAT, converted
from emotion_estimator_training.zoo.models.inputs import Input
from emotion_estimator_training.zoo.models.model import ZooModel


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
        'cut': CUT, 'window': model.window, 'rate': round(model.place.rate, 3),
        'face_side': face_side,
        'inputs': [one.as_dict() for one in networks.inputs],
    }
    if networks.frame is not None and networks.frame_input is not None:
        content = tflite(networks.frame, (networks.frame_input,), 1)
        path = folder / f'{name}.frame.tflite'
        path.write_bytes(content)
        settings['frame'] = {
            'file': path.name, 'bytes': len(content),
            'sha256': hashlib.sha256(content).hexdigest(),
            'input': networks.frame_input.as_dict(),
        }
    if networks.appearance:
        settings['appearance_sha256'] = networks.appearance
    content = tflite(networks.window, networks.inputs, model.window)
    weights = folder / f'{name}.tflite'
    weights.write_bytes(content)
    card = {
        'name': f'zoo_{name}', 'version': '1.0.0', 'kind': KIND, 'says': model.entry.says,
        'labels': list(model.classes), 'settings': settings, 'metrics': dict(metrics or {}),
        'file': weights.name, 'bytes': len(content),
        'sha256': hashlib.sha256(content).hexdigest(), 'blendshapes': list(BLENDSHAPE_NAMES),
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
        int(raw['bytes']) + int(settings.get('frame', {}).get('bytes', 0))
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
