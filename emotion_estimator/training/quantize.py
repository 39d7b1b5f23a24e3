"""Writes trained networks as TFLite with int8 weights, and their cards."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import tensorflow as tf

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES


def int8_weights(function: Any) -> bytes:
    """Convert a concrete function to TFLite, weights int8, activations float.

    :param function: a ``tf.function``'s concrete function whose inputs have fixed shapes.
    """
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    # Per-channel weights need FULLY_CONNECTED version 12, which tflite-runtime 2.14 lacks.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    content: bytes = converter.convert()
    return content


def write_model(content: bytes, card: dict[str, Any], folder: Path) -> Path:
    """Write ``<kind>.tflite`` and its JSON card into ``folder``; return the card's path.

    :param card: everything but ``file``, ``sha256`` and ``blendshapes``, which are added.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / f'{card["kind"]}.tflite'
    weights.write_bytes(content)
    path = weights.with_suffix('.json')
    whole = {
        **card,
        'file': weights.name,
        'bytes': len(content),
        'sha256': hashlib.sha256(content).hexdigest(),
        'blendshapes': list(BLENDSHAPE_NAMES),
    }
    path.write_text(json.dumps(whole, indent=1) + '\n')
    return path
