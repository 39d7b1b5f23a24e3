"""TensorFlow with Keras 2, imported without its log: ``from ...legacy_keras import keras, tf``.

Keras 2 (the package ``tf_keras``) converts LSTMs to TFLite's fused operator and freezes variables;
Keras 3, the default of TensorFlow 2.19, does neither.
"""

from __future__ import annotations

import os

from emotion_estimator.errors import InputError
from emotion_estimator.runtimes import quiet

# TensorFlow reads both when it is imported.
os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

# TensorFlow logs which parts of CUDA it finds, whatever the level of its log.
try:
    with quiet():
        import tensorflow as tf
        import tf_keras as keras
except ImportError as error:
    raise InputError(f'training needs {error.name or error}; pip install ./training') from error

__all__ = ['keras', 'tf']
