"""What the robot's pipeline says of a film, frame by frame, and its label once debounced."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from emotion_estimator.dialogue.debounce import DebouncedEmotion
from emotion_estimator.emotion import BRANCHES, LABELS, NONE, FaceEmotion, primary
from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame
from emotion_estimator.perception.landmarks.base import FaceLandmarks, Landmarker
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.sources.video import VideoFile
from emotion_estimator.untrusted import read_lines
from emotion_estimator_training.data.stills import FER_CLASSES, TO_LABEL, class_named
from emotion_estimator_training.evaluation.image_reading import (
    AnswerStore,
    BranchPipelines,
    LandmarkChoice,
    digest,
    fer_answers,
    fer_picture,
    networks_key,
)
from emotion_estimator_training.evaluation.side_by_side import FerNetwork
from emotion_estimator_training.features.clips import clip_paths

#: The CSV beside the films.
FILMS_FILE = 'clips.csv'
_COLUMNS = ('clip', 'label', 'speaking', 'person')
_YES, _NO = (
    ('yes', 'true', '1', 'talking', 'speaking'),
    ('no', 'false', '0', 'at rest', 'silent', ''),
)


@dataclass(frozen=True)
class LabelledFilm:
    """A film and what its CSV says of it.

    :param label: one of ``LABELS``; None if nothing is said.
    :param speaking: whether the person speaks; None likewise.
    :param person: who is shown; the film's name if that is not said.
    """

    path: Path
    label: str | None = None
    speaking: bool | None = None
    person: str = ''


@dataclass(frozen=True)
class FilmReading:
    """What each model says of the primary face of a film.

    :param stamps: seconds of each frame.
    :param labels: by model, each frame's label; ``none`` without a face.
    :param changes: by model, the debounced label's changes: seconds and the new label.
    :param speaking: each frame's flag ``is_speaking``.
    """

    stamps: tuple[float, ...]
    labels: Mapping[str, tuple[str, ...]]
    changes: Mapping[str, tuple[tuple[float, str], ...]]
    speaking: tuple[bool, ...] = ()


def labelled_films(folder: Path) -> tuple[list[LabelledFilm], list[str]]:
    """Return the films of a folder, and a line for each thing wrong with ``clips.csv``.

    :param folder: holds films and, perhaps, ``clips.csv`` with the columns clip (a file's name,
        with or without its ending), label (one of ``LABELS`` or of ``FER_CLASSES``), speaking (yes
        or no) and person; all but clip may be absent or empty.
    :raises InputError: there are no films, or the CSV cannot be read.
    """
    paths = clip_paths(folder)
    said: dict[str, dict[str, str]] = {}
    lines = []
    table = folder / FILMS_FILE
    if table.is_file():
        for number, row in enumerate(_rows(table), start=2):
            name = row['clip']
            film = next((path for path in paths if name in (path.name, path.stem)), None)
            if film is None:
                lines.append(f'{table}, line {number}: no film {name!r}: left out')
            elif film.name in said:
                lines.append(f'{table}, line {number}: {name!r} has a row already: left out')
            else:
                said[film.name] = row
                lines += _doubts(row, f'{table}, line {number}')
        silent = [path.name for path in paths if path.name not in said]
        if silent:
            lines.append(f'{table} says nothing of {len(silent)} films: {", ".join(silent[:3])}')
    else:
        lines.append(
            f'{folder} has no {FILMS_FILE}: shares of labels are given, nothing is claimed'
        )
    return [_labelled(path, said.get(path.name, {})) for path in paths], lines


def _rows(table: Path) -> list[dict[str, str]]:
    try:
        reader = csv.DictReader(read_lines(table))
        header = [(name or '').strip().lower() for name in reader.fieldnames or ()]
        if 'clip' not in header:
            raise InputError(f'{table}, line 1: no column clip; it has {", ".join(_COLUMNS)}')
        return [
            {
                name: (value or '').strip()
                for name, value in zip(header, row.values())
                if isinstance(value, (str, type(None)))
            }
            for row in reader
        ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f'{table} cannot be read ({error}); save it as UTF-8') from error


def _doubts(row: Mapping[str, str], where: str) -> list[str]:
    lines = []
    label, speaking = row.get('label', ''), row.get('speaking', '').lower()
    if label and _label(label) is None:
        names = ', '.join(dict.fromkeys((*LABELS, *FER_CLASSES)))
        lines.append(f'{where}: label {label!r} is none of {names}: taken as not said')
    if speaking not in _YES + _NO:
        lines.append(f'{where}: speaking {speaking!r} is neither yes nor no: taken as not said')
    return lines


def _label(name: str) -> str | None:
    if name.lower() in LABELS:
        return name.lower()
    code = class_named(name)
    return None if code is None else LABELS[int(TO_LABEL[code])]


def _labelled(path: Path, row: Mapping[str, str]) -> LabelledFilm:
    speaking = row.get('speaking', '').lower()
    return LabelledFilm(
        path,
        _label(row.get('label', '')),
        True if speaking in _YES else False if speaking and speaking in _NO else None,
        row.get('person', '') or path.stem,
    )


class _Leader:
    """A landmark source in a film that remembers what it found in the current frame."""

    def __init__(self, source: Landmarker) -> None:
        self.name = source.name
        self._source = source
        self._stamp: float | None = None
        self._found: dict[str, tuple[FaceLandmarks, ...]] = {}

    def __call__(self, frame: Frame) -> tuple[FaceLandmarks, ...]:
        if frame.stamp != self._stamp:
            self._found.clear()
            self._stamp = frame.stamp
        key = digest(frame.image, frame.image.shape)
        if key not in self._found:
            self._found[key] = self._source(frame)
        return self._found[key]

    def reset(self) -> None:
        self._source.reset()

    def close(self) -> None:
        self._source.close()


class _Follower:
    """Sees what the leader found. The leader's pipeline comes first in each frame, and resets."""

    def __init__(self, leader: _Leader) -> None:
        self.name = leader.name
        self._leader = leader

    def __call__(self, frame: Frame) -> tuple[FaceLandmarks, ...]:
        return self._leader(frame)

    def reset(self) -> None:
        pass

    def close(self) -> None:
        pass


def read_film(
    film: Path, choice: LandmarkChoice, models: Path, fer: FerNetwork | None, store: AnswerStore
) -> FilmReading:
    """Run every branch and ``fer`` through a film.

    :param choice: the landmark source, opened as for a stream.
    :param models: folder of the networks and their cards.
    :param fer: None leaves it out; it sees the face that ``fused`` reports.
    :param store: where the answers are kept.
    :raises InputError: the film cannot be read or has fewer than two frames.
    :raises ModelError: a network is missing or does not fit.
    """
    try:
        content = film.read_bytes()
    except OSError as error:
        raise InputError(f'{film} cannot be read ({error.strerror})') from error
    key = digest(
        'film', content, choice.key, networks_key(models), fer.bytes if fer else 0, _own_code()
    )
    kept = store.get(key)
    if kept is not None:
        raw = json.loads(kept)
        return FilmReading(
            tuple(raw['stamps']),
            {name: tuple(one) for name, one in raw['labels'].items()},
            {name: tuple((at, new) for at, new in one) for name, one in raw['changes'].items()},
            tuple(raw['speaking']),
        )
    reading = _read(film, choice, models, fer)
    if len(reading.stamps) < 2:
        raise InputError(f'{film} has one frame, which is no film: left out')
    store.put(key, json.dumps(asdict(reading)).encode())
    return reading


def _own_code() -> bytes:
    return Path(__file__).read_bytes()


def _read(film: Path, choice: LandmarkChoice, models: Path, fer: FerNetwork | None) -> FilmReading:
    leader = _Leader(choice.open(static=False))
    try:
        waiting: list[Landmarker] = [_Follower(leader) for _ in BRANCHES[1:]]
        waiting.append(leader)
        pipelines = BranchPipelines.open(models, waiting.pop, ('three',)).estimators
        estimators = {branch: pipelines[branch, 'three'] for branch in BRANCHES}
        return _play(VideoFile(film), estimators, fer)
    finally:
        leader.close()


def _play(
    source: VideoFile, estimators: Mapping[str, EmotionEstimator], fer: FerNetwork | None
) -> FilmReading:
    stamps: list[float] = []
    speaking: list[bool] = []
    labels: dict[str, list[str]] = {}
    changes: dict[str, list[tuple[float, str]]] = {}
    debounced: dict[str, DebouncedEmotion] = {}
    for frame in tqdm(source.frames(), desc=Path(source.name).name, unit='frame', leave=False):
        stamps.append(frame.stamp)
        faces: dict[str, FaceEmotion | None] = {
            branch: primary(estimator(frame)) for branch, estimator in estimators.items()
        }
        seen = faces['fused']
        speaking.append(seen is not None and seen.is_speaking)
        if fer is not None:
            faces |= _of_fer(fer, frame, seen)
        for name, face in faces.items():
            labels.setdefault(name, []).append(NONE if face is None else face.label)
            change = debounced.setdefault(name, DebouncedEmotion())(face, frame.stamp)
            if change is not None:
                changes.setdefault(name, []).append((round(change.stamp, 3), change.new))
    return FilmReading(
        tuple(round(one, 4) for one in stamps),
        {name: tuple(one) for name, one in labels.items()},
        {name: tuple(changes.get(name, ())) for name in labels},
        tuple(speaking),
    )


def _of_fer(
    fer: FerNetwork, frame: Frame, seen: FaceEmotion | None
) -> dict[str, FaceEmotion | None]:
    if seen is None:
        return dict.fromkeys(fer_answers(np.full(len(FER_CLASSES), 1 / 7, np.float32)))
    grey = np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY), np.uint8)
    return {
        name: replace(
            seen,
            label=answer.label,
            confidence=max(answer.three),
            labels=LABELS,
            probabilities=np.array(answer.three, np.float32),
        )
        for name, answer in fer_answers(fer(fer_picture(grey, seen.roi))).items()
    }


def film_figures(reading: FilmReading, model: str) -> dict[str, Any]:
    """Return a model's figures for a film.

    :returns: ``frames``, ``seconds``; ``found``, the share of frames with a face, and among these
        the shares ``happy``, ``unknown`` and ``sad``; ``flips_per_s``, changes of the frame's label
        a second; ``becomes``, the labels that the debounced label takes, each with the second at
        which it does.
    """
    labels = reading.labels[model]
    shown = [label for label in labels if label != NONE]
    seconds = max(reading.stamps[-1] - reading.stamps[0], 1e-9)
    flips = sum(a != b and NONE not in (a, b) for a, b in pairwise(labels))
    return {
        'frames': len(labels),
        'seconds': round(seconds, 2),
        'found': round(len(shown) / max(len(labels), 1), 4),
        **{name: round(shown.count(name) / len(shown), 4) if shown else None for name in LABELS},
        'flips_per_s': round(flips / seconds, 4),
        'becomes': [[at, new] for at, new in reading.changes[model]],
    }


def film_groups(films: Sequence[LabelledFilm]) -> dict[str, list[int]]:
    """Return groups of films by what is said of them: the label, and whether the person talks."""
    groups: dict[str, list[int]] = {}
    for row, film in enumerate(films):
        if film.label is None:
            continue
        doing = {True: ', talking', False: ', at rest', None: ''}[film.speaking]
        groups.setdefault(film.label + doing, []).append(row)
    return groups
