"""Side by side: what different networks say of the same faces, three labels and seven."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import LABELS
from emotion_estimator_training.data.dataset import FER_CLASSES, TO_LABEL, Stills
from emotion_estimator_training.evaluation.fer_network import FerNetwork
from emotion_estimator_training.evaluation.robot_networks import BRANCHES, RobotNetworks
from emotion_estimator_training.evaluation.scores import classification
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.report.papers import PAPER, PAPER_NAME
from emotion_estimator_training.shipping.card_text import markdown_table

Floats = NDArray[np.float32]
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


def ask_ours(
    networks: RobotNetworks, stills: Stills, features: FeatureSet
) -> list[Said]:
    """Ask each branch about the faces of one landmark source, each taken as a still."""
    rows, known = _rows(stills, features), networks.seen(features).vectors
    return [
        Said(branch, features.source, rows, {
            vocabulary: _in_order(networks.stills(known, branch, vocabulary),
                                  networks.labels(vocabulary), labels)
            for vocabulary, labels in _LABELS.items()
        }, networks.bytes_of(branch))
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


def figures(
    said: Sequence[Said], stills: Stills, split: NDArray[np.bool_]
) -> list[dict[str, Any]]:
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
                table.append({
                    'model': one.name, 'source': one.source, 'note': one.note,
                    'vocabulary': vocabulary, 'duplicates': with_duplicates, 'images': count,
                    'coverage': round(measured['n'] / max(count, 1), 4),
                    'accuracy_of_all': round(right / max(count, 1), 4),
                    'bytes': one.bytes, **measured,
                })
    return table


def markdown(
    table: Sequence[Mapping[str, Any]], vocabulary: str, duplicates: bool
) -> str:
    """Return the rows of one vocabulary as Markdown; the paper's first where it has three labels.

    :param table: of :func:`figures`.
    """
    labels = _LABELS[vocabulary]
    header = ['model', 'landmark source', 'faces', 'coverage', 'accuracy', 'macro-F1',
              *(f'recall {label}' for label in labels), 'ECE', 'accuracy of all', 'bytes']
    rows: list[list[str]] = []
    if vocabulary == 'three':
        rows.append([PAPER_NAME, 'face_landmarker', f'{PAPER["n"]:,}', '-',
                     f'{PAPER["accuracy"]:.3f}', f'{PAPER["macro_f1"]:.3f}',
                     *(f'{PAPER["recall"][label]:.3f}' for label in labels), '-', '-', '-'])
    for one in table:
        if (one['vocabulary'], one['duplicates']) != (vocabulary, duplicates):
            continue
        name = f'{one["model"]} ({one["note"]})' if one['note'] and vocabulary == 'three' \
            else one['model']
        rows.append([
            name, one['source'], f'{one["n"]:,}', f'{one["coverage"]:.4f}',
            f'{one["accuracy"]:.3f}', f'{one["macro_f1"]:.3f}',
            *(f'{one["recall"][label]:.3f}' for label in labels), f'{one["ece"]:.3f}',
            f'{one["accuracy_of_all"]:.3f}', f'{one["bytes"]:,}',
        ])
    return markdown_table(header, rows)


def best_of_fer(
    table: Sequence[Mapping[str, Any]], source: str, vocabulary: str, duplicates: bool
) -> Mapping[str, Any]:
    """Return that row of ``fer``, on the faces of a source, that serves it best.

    By accuracy plus macro-F1.
    """
    rows = [one for one in table if one['model'] in (FER_STILL, FER_CROP)
            and (one['source'], one['vocabulary'], one['duplicates'])
            == (source, vocabulary, duplicates)]
    return max(rows, key=lambda one: one['accuracy'] + one['macro_f1'])
