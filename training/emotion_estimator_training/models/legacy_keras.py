"""TensorFlow with Keras 2, imported quietly: ``from ...legacy_keras import keras, tf``.

Keras 2 (the package ``tf_keras``) converts LSTMs to TFLite's fused operator and freezes variables;
Keras 3, which TensorFlow 2.19 takes by itself, does neither.
"""

from __future__ import annotations

import os

from emotion_estimator.errors import InputError
from emotion_estimator.runtimes import quiet

# Before TensorFlow is imported: both are read on import.
os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

# TensorFlow registers what it finds of CUDA aloud, before any level of its log counts.
try:
    with quiet():
        import tensorflow as tf
        import tf_keras as keras
except ImportError as error:
    raise InputError(f'training needs {error.name or error}; pip install ./training') from error

__all__ = ['keras', 'tf']
