"""The only door into perception: a frame in, the emotion of each face in it out."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np

from emotion_estimator.emotion import FaceEmotion
from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.perception.image import check_rgb
from emotion_estimator.perception.landmark_source import open_first
from emotion_estimator.perception.landmarks import FaceLandmarks, Landmarker
from emotion_estimator.perception.search import find_faces
from emotion_estimator.perception.tracker import Tracker
from emotion_estimator.settings import EstimatorSettings

_LOG = logging.getLogger(__name__)

#: Seconds assumed before a face's first frame, and between two frames of the same stamp.
_FIRST_STEP = 1 / 30
_LEAST_STEP = 1 / 240

#: Of so many jumps in time, the log tells one.
_TOLD_EVERY = 100


class EmotionEstimator:
    """Landmarks and blendshapes, identity, and one streaming LSTM state per face.

    Time is the frames' stamps. State is reset when a face is lost, its identity changes, or time
    jumps: backwards, or forwards by more than ``reset_gap``.
    """

    def __init__(
        self,
        landmarker: Landmarker,
        classifier: EmotionClassifier,
        *,
        face_timeout: float = 0.5,
        reset_gap: float = 1.0,
        reason: str = '',
    ) -> None:
        """Put the parts together; :meth:`load` is the usual way.

        :param face_timeout: seconds a face may go undetected and keep identity and state.
        :param reset_gap: seconds between two frames above which everything is forgotten.
        :param reason: why this landmark source was chosen.
        """
        self.landmark_source = landmarker.name
        self.landmark_reason = reason
        self.resets = 0
        self._landmarker = landmarker
        self._classifier = classifier
        self._tracker = Tracker(face_timeout)
        self._reset_gap = reset_gap
        self._states: dict[str, tuple[Any, float]] = {}
        self._last_stamp: float | None = None
        self._jumps = 0

    @classmethod
    def load(
        cls, settings: EstimatorSettings | None = None, *, static: bool = False
    ) -> EmotionEstimator:
        """Open the landmark source and the shipped classifier.

        :param static: for unrelated still images, see :meth:`still`.
        :raises ModelError: a model file is missing, corrupt or does not fit the code.
        """
        settings = settings or EstimatorSettings()
        classifier = EmotionClassifier.load()
        landmarker, choice = open_first(
            settings.landmark_source,
            settings.face_landmarker_path,
            max_faces=settings.max_faces,
            static=static,
            min_confidence=settings.min_face_confidence,
        )
        _LOG.info('landmark source %s: %s', choice.name, choice.reason)
        return cls(
            landmarker,
            classifier,
            face_timeout=settings.face_timeout,
            reset_gap=settings.reset_gap,
            reason=choice.reason,
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The classifier's classes."""
        return self._classifier.labels

    @property
    def model(self) -> str:
        """Name and version of the classifier."""
        return self._classifier.title

    def __call__(self, frame: Frame) -> tuple[FaceEmotion, ...]:
        """Return the faces in ``frame``, the largest first; an empty tuple where there is none.

        :raises InputError: the image is not uint8 RGB, or the stamp is not a number; no state is
            changed then.
        """
        image = check_rgb(frame.image)
        if not math.isfinite(frame.stamp):
            raise InputError(f'frame stamp must be a finite number of seconds, got {frame.stamp}')
        self._forget_if_time_jumped(frame.stamp)
        found = self._landmarker(Frame(image, frame.stamp))
        face_ids = self._tracker([face.roi for face in found], frame.stamp)
        faces = [self._step(face, i, frame.stamp) for face, i in zip(found, face_ids)]
        alive = self._tracker.face_ids
        self._states = {i: state for i, state in self._states.items() if i in alive}
        return tuple(sorted(faces, key=lambda face: -face.roi.area))

    def still(self, image: Any) -> tuple[FaceEmotion, ...]:
        """Return the faces in one still image, each as if it had been held for a while.

        Small faces are searched for too; ask :meth:`load` for ``static``.

        :param image: uint8 (H, W, 3) RGB.
        :raises InputError: it is something else.
        """
        faces = [
            self._emotion(face, f'face_{n}', self._classifier.classify_still(face.blendshapes))
            for n, face in enumerate(find_faces(self._landmarker, check_rgb(image)), start=1)
        ]
        return tuple(faces)

    def reset(self) -> None:
        """Forget every face and the time: another stream begins."""
        self.resets += 1
        self._landmarker.reset()
        self._tracker.reset()
        self._states.clear()
        self._last_stamp = None

    def close(self) -> None:
        """Free the landmark source's memory and threads."""
        self._landmarker.close()

    def _forget_if_time_jumped(self, stamp: float) -> None:
        last = self._last_stamp
        if last is not None and not 0 <= stamp - last <= self._reset_gap:
            # Two cameras on one topic would fill the log with a line a frame.
            if self._jumps % _TOLD_EVERY == 0:
                _LOG.info(
                    'time jumped by %.3f s: state reset, jump %d; if this repeats, more than one '
                    'camera publishes on this topic, or a bag loops',
                    stamp - last,
                    self._jumps + 1,
                )
            self._jumps += 1
            self.reset()
        self._last_stamp = stamp

    def _step(self, face: FaceLandmarks, face_id: str, stamp: float) -> FaceEmotion:
        if face_id in self._states:
            state, last = self._states[face_id]
            dt = max(stamp - last, _LEAST_STEP)
        else:
            state, dt = self._classifier.initial_state(), _FIRST_STEP
        probabilities, state = self._classifier(face.blendshapes, state, dt)
        self._states[face_id] = (state, stamp)
        return self._emotion(face, face_id, probabilities)

    def _emotion(self, face: FaceLandmarks, face_id: str, probabilities: Any) -> FaceEmotion:
        best = int(np.argmax(probabilities))
        return FaceEmotion(
            face_id=face_id,
            label=self.labels[best],
            confidence=float(probabilities[best]),
            labels=self.labels,
            probabilities=probabilities,
            roi=face.roi,
            blendshapes=face.blendshapes,
            landmarks=face.landmarks,
            model=self.model,
        )
