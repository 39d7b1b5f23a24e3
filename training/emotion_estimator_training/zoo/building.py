"""Makes models of the zoo from their entries."""

from __future__ import annotations

from collections.abc import Callable

from emotion_estimator.errors import InputError
from emotion_estimator_training.zoo.models.catalog import Entry
from emotion_estimator_training.zoo.models.frame_aggregation import Decision, StatisticsModel
from emotion_estimator_training.zoo.models.microx import MicroX
from emotion_estimator_training.zoo.models.model import Place, ZooModel
from emotion_estimator_training.zoo.models.ours import Ours, Shipped
from emotion_estimator_training.zoo.models.sequence_heads import CnnRnn, SequenceModel
from emotion_estimator_training.zoo.models.survey import StcNlstm, Stcnn, TwoStream
from emotion_estimator_training.zoo.models.xception import FrameModel, shared_frame_model

KINDS: dict[str, Callable[[Entry, Place], ZooModel]] = {
    'microx': MicroX,
    'frame': FrameModel,
    'decision': Decision,
    'statistics': StatisticsModel,
    'sequence': SequenceModel,
    'stcnn': Stcnn,
    'cnn-rnn': CnnRnn,
    'two-stream': TwoStream,
    'stc-nlstm': StcNlstm,
    'ours': Ours,
    'shipped': Shipped,
}


def build(entry: Entry, place: Place) -> ZooModel:
    """Return the untrained model.

    :raises InputError: there is no such kind, or a setting is wrong.
    """
    if entry.kind not in KINDS:
        raise InputError(
            f'{entry.name} is of kind {entry.kind!r}; choose of {", ".join(KINDS)}'
        )
    if entry.name == 'frame' and entry == place.catalog.entry('frame', place.size):
        # The one that the sequence models are built on.
        return shared_frame_model(place)
    return KINDS[entry.kind](entry, place)
