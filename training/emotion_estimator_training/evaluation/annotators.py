"""What ten people said of each image: how far people can tell FER2013's labels.

FER+ (Barsoum et al., Training Deep Networks for Facial Expression Recognition with Crowd-Sourced
Label Distribution, 2016) asked ten annotators about every image. Where they do not agree with
FER2013's label, a network can be right only by learning FER2013's own habits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import LABELS
from emotion_estimator_training.data.dataset import FER_CLASSES, TO_LABEL, TRAINING, Stills
from emotion_estimator_training.evaluation.accuracy import Said
from emotion_estimator_training.models.appearance_run import votes_of

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

#: What the rows are called.
MOST, FITTED = 'ten people, what most say', "ten people, fitted to FER2013's labels"

#: FER+'s votes, in FER2013's order of classes; what follows them is contempt, unknown and no face.
_OF_CLASSES = tuple(
    ('neutral', 'happy', 'surprise', 'sad', 'angry', 'disgust', 'fear').index(name)
    for name in FER_CLASSES
)
_OTHERWISE = LABELS.index('unknown')


def ask_annotators(stills: Stills, rows: Ints) -> list[Said]:
    """Take the annotators for networks: what most of them say, and what their votes allow.

    The second is a model of the votes alone, fitted to FER2013's labels on Training, for each
    vocabulary: how well the label is told by what ten people see, without the pixels.

    :param rows: of ``stills``, those that are tested.
    :returns: nothing where the data has no votes, or Training fewer than two labels to fit to.
    """
    votes, learned = votes_of(stills), stills.usage == TRAINING
    if stills.ferplus_votes is None or len(np.unique(TO_LABEL[stills.emotion[learned]])) < 2:
        return []
    seven = votes[rows][:, _OF_CLASSES]
    three = seven @ np.eye(len(LABELS), dtype=np.float32)[TO_LABEL]
    three[:, _OTHERWISE] += votes[rows][:, len(FER_CLASSES):].sum(axis=1)
    truth = {'three': TO_LABEL[stills.emotion], 'seven': stills.emotion}
    sizes = {'three': len(LABELS), 'seven': len(FER_CLASSES)}
    fitted = {
        name: _fitted(votes[learned], truth[name][learned], votes[rows], size)
        for name, size in sizes.items()
    }
    return [
        Said(MOST, '-', rows, {'three': three, 'seven': seven}, 0),
        Said(FITTED, '-', rows, fitted, 0),
    ]


def _fitted(votes: Floats, truth: Ints, tested: Floats, size: int) -> Floats:
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(max_iter=150, random_state=0)
    model.fit(votes, truth)
    told = np.zeros((len(tested), size), np.float32)
    told[:, model.classes_] = model.predict_proba(tested)
    return told
