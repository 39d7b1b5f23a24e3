"""What the robot's own pipeline says of an image of a face, by branch, and the network of `fer`.

Landmarks and answers are kept in a file, so that an interrupted run continues, and a new model only
runs its networks.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

import emotion_estimator
from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import BRANCHES, LABELS, FaceEmotion, Roi
from emotion_estimator.errors import InputError, ModelError, first_line
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.model_card import ModelCard
from emotion_estimator.perception.appearance import Branches
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.perception.landmarks.base import FaceLandmarks, Landmarker
from emotion_estimator.perception.landmarks.face_landmarker import FaceLandmarker
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead, FaceMesh
from emotion_estimator.perception.landmarks.source import bundles_face_mesh
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.perception.primary_face import turned_away
from emotion_estimator.perception.upright import UprightNetwork
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.evaluation.side_by_side import (
    BY_BEST,
    BY_SUM,
    FerNetwork,
    labels_of_fer,
)

Floats: TypeAlias = NDArray[np.float32]

#: Rows of tables: our branches, and ``fer`` with each way to make labels of its classes.
FER_NAMES = {f'fer ({note})': note for note in (BY_SUM, BY_BEST)}
MODELS = (*BRANCHES, *FER_NAMES)

#: What fer 25.10.3 puts around an image and adds to a face's box on each side, in pixels.
_FER_BORDER, _FER_MARGIN = 40, 10

_LOOKS_DOWN = [BLENDSHAPE_NAMES.index(f'eyeLookDown{side}') for side in ('Left', 'Right')]
_PACKAGE = Path(emotion_estimator.__file__).parent


class AnswerStore:
    """Bytes by key in a file; what was put before an interruption is there after it."""

    def __init__(self, path: Path) -> None:
        """Open or create the file and its folder.

        :raises InputError: it cannot be opened, or is damaged.
        """
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Every statement is a transaction of its own; a power failure may cost the cache.
            self._file = sqlite3.connect(path, isolation_level=None)
            self._file.execute('PRAGMA synchronous=OFF')
            self._file.execute('PRAGMA journal_mode=WAL')
            self._file.execute('CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, value BLOB)')
        except (OSError, sqlite3.Error) as error:
            raise self._damaged(error) from error

    def get(self, key: str) -> bytes | None:
        """Return what was put under a key, or None."""
        try:
            row = self._file.execute('SELECT value FROM kept WHERE key = ?', (key,)).fetchone()
        except sqlite3.Error as error:
            raise self._damaged(error) from error
        return None if row is None else bytes(row[0])

    def put(self, key: str, value: bytes) -> None:
        """Keep bytes."""
        try:
            self._file.execute('INSERT OR REPLACE INTO kept VALUES (?, ?)', (key, value))
        except sqlite3.Error as error:
            raise self._damaged(error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _damaged(self, error: Exception) -> InputError:
        return InputError(f'{self._path} cannot be used ({first_line(error)}); delete it')


class StoredLandmarks:
    """A landmark source for unrelated images that looks each image up before it searches it."""

    def __init__(
        self, name: str, key: str, open_source: Callable[[], Landmarker], store: AnswerStore
    ) -> None:
        """Take a source, which is opened when it is first needed.

        :param key: identifies the source's version and files.
        """
        self.name = name
        self._key = key
        self._open = open_source
        self._source: Landmarker | None = None
        self._store = store
        #: The last images, since each branch asks for the same.
        self._recent: dict[str, tuple[FaceLandmarks, ...]] = {}

    def __call__(self, frame: Frame) -> tuple[FaceLandmarks, ...]:
        """Return the faces in an image."""
        key = f'{self._key} {digest(frame.image, frame.image.shape)}'
        found = self._recent.get(key)
        if found is None:
            kept = self._store.get(key)
            if kept is None:
                self._source = self._source or self._open()
                found = self._source(frame)
                # A cache of our own, in the form that the pipeline knows, whatever fields it has.
                self._store.put(key, pickle.dumps(found))
            else:
                found = pickle.loads(kept)
            if len(self._recent) > 64:
                self._recent.clear()
            self._recent[key] = found
        return found

    def reset(self) -> None:
        """Do nothing: the images are unrelated."""

    def close(self) -> None:
        """Close the source, if it was opened."""
        if self._source is not None:
            self._source.close()
            self._source = None


@dataclass(frozen=True)
class LandmarkChoice:
    """A landmark source to measure with.

    :param name: ``face_landmarker`` or ``face_mesh``.
    :param teacher: ``face_landmarker.task``; None for the face mesh.
    :param models: folder with the blendshape head, which the face mesh needs.
    """

    name: str
    teacher: Path | None
    models: Path

    @property
    def key(self) -> str:
        """Return what identifies the source: its files, its code and its libraries."""
        files = sorted((_PACKAGE / 'perception' / 'landmarks').glob('*.py'))
        if self.teacher is not None:
            files.append(self.teacher)
        else:
            files.append(
                ModelCard.load(self.models / 'blendshape_head.json', 'blendshape_head').path
            )
        return digest(self.name, *(file.read_bytes() for file in files), *_libraries())

    def open(self, *, static: bool) -> Landmarker:
        """Open the source as the pipeline does by default.

        :param static: for unrelated images.
        :raises ModelError: a file is missing or corrupt.
        """
        settings = EstimatorSettings()
        faces = settings.max_faces
        if self.teacher is not None:
            return FaceLandmarker(self.teacher, faces, static, settings.min_face_confidence)
        head = BlendshapeHead.load(self.models / 'blendshape_head.json')
        return FaceMesh(head, faces, static, settings.min_face_confidence)


def landmark_choices(
    names: Sequence[str], teacher: Path | None, models: Path
) -> tuple[list[LandmarkChoice], list[str]]:
    """Return the wanted sources that are available, and a line for each that is not.

    :param names: of ``face_landmarker`` and ``face_mesh``.
    :param teacher: ``face_landmarker.task``; None if there is none.
    """
    choices, missing = [], []
    for name in names:
        if name == 'face_landmarker':
            if teacher is None or not teacher.is_file():
                missing.append('no face_landmarker.task: left out; make ... TEACHER=FILE')
                continue
            choices.append(LandmarkChoice(name, teacher, models))
        elif not bundles_face_mesh():
            missing.append('this mediapipe has no face mesh (up to 0.10.21): left out')
        else:
            choices.append(LandmarkChoice(name, None, models))
    return choices, missing


def digest(*parts: Any) -> str:
    """Return a checksum of bytes, arrays and anything with a ``repr``, in their order."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            part = np.ascontiguousarray(part).data
        elif not isinstance(part, (bytes, memoryview)):
            part = repr(part).encode()
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:32]


def _libraries() -> list[str]:
    found = [cv2.__version__, np.__version__]
    try:
        found.append(metadata.version('mediapipe'))
    except metadata.PackageNotFoundError:
        found.append('-')
    return found


@dataclass(frozen=True, eq=False)
class BranchPipelines:
    """The pipeline with each branch, on landmarks that they share.

    :param estimators: by branch and vocabulary.
    """

    estimators: Mapping[tuple[str, str], EmotionEstimator]

    @classmethod
    def open(
        cls,
        models: Path,
        landmarkers: Callable[[], Landmarker],
        vocabularies: Sequence[str] = ('three', 'seven'),
    ) -> BranchPipelines:
        """Open the networks of a folder.

        :param landmarkers: returns the landmark source of the next pipeline, ``fused`` first.
        :raises ModelError: a network is missing or does not fit.
        """
        classifiers = {
            name: EmotionClassifier.load(models / 'emotion_lstm.json', vocabulary=name)
            for name in vocabularies
        }
        one = next(iter(classifiers.values()))
        upright = UprightNetwork.load()
        readers = {
            branch: Branches.open(
                branch,
                one.embedding_size,
                models / 'appearance.json',
                sha256=one.appearance_sha256,
            )
            for branch in BRANCHES
        }
        return cls(
            {
                (branch, name): EmotionEstimator.from_parts(
                    landmarkers(), classifier, reader=readers[branch], upright=upright
                )
                for branch in BRANCHES
                for name, classifier in classifiers.items()
            }
        )

    @property
    def title(self) -> str:
        """Return name and version of the classifier."""
        return next(iter(self.estimators.values())).model


def networks_key(models: Path) -> str:
    """Return what identifies the networks of a folder and the code that runs them."""
    cards = [
        ModelCard.load(models / f'{kind}.json', kind).sha256
        for kind in ('emotion_lstm', 'appearance')
    ]
    files = [*sorted((_PACKAGE / 'perception').rglob('*.py')), Path(__file__)]
    files += [_PACKAGE / name for name in ('emotion.py', 'settings.py')]
    operating = (models / 'emotion_lstm.json').read_bytes()
    return digest(*cards, operating, *(file.read_bytes() for file in files), *_libraries())


@dataclass(frozen=True)
class ModelAnswer:
    """What a model says of a face.

    :param label: one of ``LABELS``, as the model reports it.
    :param three: probabilities of ``LABELS``.
    :param seven: probabilities of ``FER_CLASSES``.
    """

    label: str
    three: tuple[float, ...]
    seven: tuple[float, ...]


@dataclass(frozen=True)
class ImageReading:
    """What is seen in an image, and what each model says of its largest face.

    :param faces: number of faces found; the rest is empty without one.
    :param roi: the largest face's box in pixels: x, y, width, height.
    :param looks_down: mean of the blendshapes eyeLookDown, 0 to 1.
    :param turned: degrees between the face's normal and the camera.
    :param light: mean grey of the box, 0 to 255.
    :param answers: by model, see ``MODELS``.
    """

    faces: int
    roi: tuple[int, int, int, int] = (0, 0, 0, 0)
    looks_down: float = 0.0
    turned: float = 0.0
    light: float = 0.0
    answers: Mapping[str, ModelAnswer] | None = None

    def to_json(self) -> bytes:
        """Return the reading as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, content: bytes) -> ImageReading:
        """Read what :meth:`to_json` returned."""
        raw = json.loads(content)
        raw['roi'] = tuple(raw['roi'])
        if raw['answers'] is not None:
            raw['answers'] = {
                name: ModelAnswer(one['label'], tuple(one['three']), tuple(one['seven']))
                for name, one in raw['answers'].items()
            }
        return cls(**raw)


class ImageReader:
    """Reads unrelated images with one landmark source, all of our branches, and ``fer``."""

    def __init__(
        self, choice: LandmarkChoice, models: Path, fer: FerNetwork | None, store: AnswerStore
    ) -> None:
        """Open everything but the landmark source, which may not be needed.

        :param models: folder of the networks and their cards.
        :param fer: None leaves it out.
        :raises ModelError: a network is missing or does not fit.
        """
        self.source = choice.name
        self._store = store
        self._fer = fer
        self._landmarks = StoredLandmarks(
            choice.name, choice.key, lambda: choice.open(static=True), store
        )
        self._pipelines = BranchPipelines.open(models, lambda: self._landmarks)
        self._key = digest(choice.key, networks_key(models), fer.bytes if fer else 0)

    def __call__(self, image: Callable[[], RgbImage], key: str) -> ImageReading:
        """Return what is seen in an image.

        :param image: returns uint8 (H, W, 3) RGB; called only if the answer is not known.
        :param key: identifies the image's content.
        """
        key = f'{self._key} {key}'
        kept = self._store.get(key)
        if kept is not None:
            return ImageReading.from_json(kept)
        reading = self._read(image())
        self._store.put(key, reading.to_json())
        return reading

    def close(self) -> None:
        """Close the landmark source."""
        self._landmarks.close()

    def _read(self, image: RgbImage) -> ImageReading:
        faces = {key: one.still(image) for key, one in self._pipelines.estimators.items()}
        found = faces['fused', 'three']
        if not found:
            return ImageReading(0)
        face = found[0]
        answers = {
            branch: ModelAnswer(
                faces[branch, 'three'][0].label,
                ordered(faces[branch, 'three'][0], LABELS),
                ordered(faces[branch, 'seven'][0], FER_CLASSES),
            )
            for branch in BRANCHES
        }
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        if self._fer is not None:
            answers |= fer_answers(self._fer(fer_picture(grey, face.roi)))
        box = face.roi
        return ImageReading(
            faces=len(found),
            roi=(box.x, box.y, box.width, box.height),
            looks_down=round(looks_down(face), 4),
            turned=round(turned_away(face.landmarks), 2),
            light=round(
                float(grey[box.y : box.y + box.height, box.x : box.x + box.width].mean()), 2
            ),
            answers=answers,
        )


def ordered(face: FaceEmotion, labels: Sequence[str]) -> tuple[float, ...]:
    """Return a face's probabilities in the order of ``labels``, rounded to 6 decimals."""
    return tuple(round(float(face.probabilities[face.labels.index(name)]), 6) for name in labels)


def looks_down(face: FaceEmotion) -> float:
    """Return how far both eyes look down, 0 to 1."""
    return float(face.blendshapes[_LOOKS_DOWN].mean())


def fer_picture(grey: NDArray[np.uint8], box: Roi) -> NDArray[np.uint8]:
    """Return what ``fer`` 25.10.3 cuts out for a face's box: a square with a margin.

    :param grey: uint8 (H, W).
    """
    side = max(box.width, box.height)
    x = box.x - (side - box.width) // 2 - _FER_MARGIN + _FER_BORDER
    y = box.y - (side - box.height) // 2 - _FER_MARGIN + _FER_BORDER
    mean = float(grey[-2:].mean())
    around = np.pad(grey, _FER_BORDER, constant_values=int(np.rint(mean)))
    side += 2 * _FER_MARGIN
    return around[max(y, 0) : y + side, max(x, 0) : x + side]


def fer_answers(seven: Floats) -> dict[str, ModelAnswer]:
    """Return the rows of ``FER_NAMES``.

    :param seven: (7,), probabilities of ``FER_CLASSES``.
    """
    by_note = labels_of_fer(seven[None])
    rounded = tuple(round(float(one), 6) for one in seven)
    return {
        name: ModelAnswer(
            LABELS[int(by_note[note][0].argmax())],
            tuple(round(float(one), 6) for one in by_note[note][0]),
            rounded,
        )
        for name, note in FER_NAMES.items()
    }


def open_fer(path: Path) -> tuple[FerNetwork | None, list[str]]:
    """Return the network of ``fer``, or None and a line that says why not."""
    try:
        return FerNetwork(path), []
    except ModelError as error:
        return None, [f'fer is left out: {error}']
