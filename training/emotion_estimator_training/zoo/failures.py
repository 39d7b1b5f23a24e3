"""What ends a model of the zoo, but not the run of which it is one."""

from __future__ import annotations

from emotion_estimator.errors import EmotionEstimatorError
from emotion_estimator_training.models.legacy_keras import tf

#: Bad settings or data (Keras and scikit-learn say ValueError), a package or memory that lacks.
FAILURES = (
    EmotionEstimatorError, ImportError, MemoryError, ValueError, ArithmeticError, tf.errors.OpError
)
