"""Builds the zoo's models by kind, and lists the errors that end one model but not a run."""

from __future__ import annotations

from collections.abc import Callable

from emotion_estimator.errors import EmotionEstimatorError, InputError
from emotion_estimator_training.models.legacy_keras import tf
from emotion_estimator_training.zoo.models.c3d import C3d
from emotion_estimator_training.zoo.models.catalog import Entry
from emotion_estimator_training.zoo.models.frame_aggregation import (
    DecisionAggregation,
    StatisticsModel,
)
from emotion_estimator_training.zoo.models.frame_model import FrameModel, shared_frame_model
from emotion_estimator_training.zoo.models.frame_pairs import FramePairs
from emotion_estimator_training.zoo.models.microx import MicroX
from emotion_estimator_training.zoo.models.model import RunContext, ZooModel
from emotion_estimator_training.zoo.models.ours import Ours, Shipped
from emotion_estimator_training.zoo.models.sequence_heads import CnnRnn, SequenceModel
from emotion_estimator_training.zoo.models.survey_baselines import StcNlstm, Stcnn, TwoStream

#: Model classes by the ``kind`` of a catalog entry.
MODEL_KINDS: dict[str, Callable[[Entry, RunContext], ZooModel]] = {
    'microx': MicroX,
    'frame': FrameModel,
    'decision': DecisionAggregation,
    'statistics': StatisticsModel,
    'sequence': SequenceModel,
    'stcnn': Stcnn,
    'c3d': C3d,
    'cnn-rnn': CnnRnn,
    'two-stream': TwoStream,
    'stc-nlstm': StcNlstm,
    'frame-pairs': FramePairs,
    'ours': Ours,
    'shipped': Shipped,
}

#: Errors of a model that cannot be built or trained: bad settings or data (Keras and scikit-learn
#: raise ValueError), a package that is not installed, too little memory.
MODEL_FAILURES = (
    EmotionEstimatorError,
    ImportError,
    MemoryError,
    ValueError,
    ArithmeticError,
    tf.errors.OpError,
)


def build(entry: Entry, context: RunContext) -> ZooModel:
    """Return the untrained model of an entry.

    :raises InputError: the kind is unknown, or a setting is wrong.
    """
    if entry.kind not in MODEL_KINDS:
        raise InputError(
            f'{entry.name} has the unknown kind {entry.kind!r}; choose from '
            f'{", ".join(MODEL_KINDS)}'
        )
    if entry.name == 'frame' and entry == context.catalog.entry('frame', context.size):
        # The one that the sequence models build on.
        return shared_frame_model(context)
    return MODEL_KINDS[entry.kind](entry, context)
