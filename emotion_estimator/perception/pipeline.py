"""The only door into perception: a frame in, the emotion of each face in it out."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any

from emotion_estimator.affect import affect
from emotion_estimator.emotion import FaceEmotion
from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.perception.abstention import told
from emotion_estimator.perception.appearance import Branches
from emotion_estimator.perception.classifier import Answer, EmotionClassifier
from emotion_estimator.perception.image import check_rgb
from emotion_estimator.perception.landmarks.base import FaceLandmarks, Landmarker
from emotion_estimator.perception.landmarks.source import find_faces, open_first
from emotion_estimator.perception.neutral_baseline import USUAL, NeutralFace
from emotion_estimator.perception.primary_face import (
    FACING_DEGREES,
    Engagement,
    PrimaryFace,
    turned_away,
)
from emotion_estimator.perception.tracker import Tracker
from emotion_estimator.perception.window_classifier import WindowClassifier
from emotion_estimator.settings import EstimatorSettings

_LOG = logging.getLogger(__name__)

#: Seconds assumed before a face's first frame, and between two frames of the same stamp.
_FIRST_STEP = 1 / 30
_LEAST_STEP = 1 / 240

#: Of so many jumps in time, the log tells one.
_TOLD_EVERY = 100


@dataclass
class _Known:
    """What is kept of a face from frame to frame.

    :param state: the classifier's.
    :param stamp: of the face's last frame, in seconds; None before the first.
    """

    state: Any
    neutral: NeutralFace
    stamp: float | None = None


class EmotionEstimator:
    """Landmarks and blendshapes, identity, one streaming LSTM state per face, the primary face.

    Time is the frames' stamps. A face that is lost takes its state with it. Everything is reset
    when time jumps: backwards, or forwards by more than ``reset_gap``.
    """

    def __init__(
        self,
        landmarker: Landmarker,
        classifier: EmotionClassifier | WindowClassifier,
        settings: EstimatorSettings | None = None,
        *,
        branches: Branches | WindowClassifier | None = None,
        reason: str = '',
    ) -> None:
        """Put the parts together; :meth:`load` is the usual way.

        :param settings: of which those that :meth:`apply` names are taken.
        :param branches: what is read of a face; None is its blendshapes alone.
        :param reason: why this landmark source was chosen.
        """
        self.landmark_source = landmarker.name
        self.landmark_reason = reason
        self.resets = 0
        self._landmarker = landmarker
        # Two that fit each other: what the one sees the other reads.
        self._classifier: Any = classifier
        self._branches: Any = branches or Branches(None)
        self._usual = classifier.neutral if classifier.neutral is not None else USUAL
        self._tracker = Tracker()
        self._engagement = Engagement()
        self._primary = PrimaryFace()
        self._states: dict[str, _Known] = {}
        self._last_stamp: float | None = None
        self._jumps = 0
        self.apply(settings or EstimatorSettings())

    @classmethod
    def load(
        cls, settings: EstimatorSettings | None = None, *, static: bool = False
    ) -> EmotionEstimator:
        """Open the landmark source and the shipped networks.

        :param static: for unrelated still images, see :meth:`still`.
        :raises ModelError: a model file is missing, corrupt or does not fit the code.
        """
        settings = settings or EstimatorSettings()
        classifier, branches = _open_model(settings)
        landmarker, choice = open_first(
            settings.landmark_source,
            settings.face_landmarker_path,
            max_faces=settings.max_faces,
            static=static,
            min_confidence=settings.min_face_confidence,
        )
        _LOG.info('landmark source %s: %s', choice.name, choice.reason)
        return cls(landmarker, classifier, settings, branches=branches, reason=choice.reason)

    def apply(self, settings: EstimatorSettings) -> None:
        """Take over the settings that change at run time, from the next frame on.

        ``face_timeout``, ``reset_gap``, ``primary_face``, ``abstain_below`` and
        ``neutral_baseline``; no face is lost by it. The others say what is opened, by :meth:`load`.

        :raises InputError: there is no such rule for the primary face.
        """
        self._primary.use(settings.primary_face)
        self._tracker.timeout = settings.face_timeout
        self._reset_gap = settings.reset_gap
        self._abstain_below = settings.abstain_below
        self._neutral_baseline = settings.neutral_baseline

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the classifier's classes."""
        return self._classifier.labels

    @property
    def model(self) -> str:
        """Name and version of the classifier."""
        return self._classifier.title

    @property
    def model_sha256(self) -> str:
        """Checksum of the classifier's weights, in hexadecimal."""
        return self._classifier.sha256

    @property
    def branches(self) -> str:
        """Return what is read of a face, as the setting ``branches`` names it."""
        return self._branches.name

    def __call__(self, frame: Frame) -> tuple[FaceEmotion, ...]:
        """Return the faces in ``frame``; an empty tuple where there is none.

        The primary face first, as the setting ``primary_face`` has it, then the others by size.

        :raises InputError: the image is not uint8 RGB, or the stamp is not a number; no state is
            changed then.
        """
        image = check_rgb(frame.image)
        if not math.isfinite(frame.stamp):
            raise InputError(f'frame stamp must be a finite number of seconds, got {frame.stamp}')
        self._forget_if_time_jumped(frame.stamp)
        found = self._landmarker(Frame(image, frame.stamp))
        face_ids = self._tracker([face.roi for face in found], frame.stamp)
        alive = self._tracker.face_ids
        looking = {
            face_id
            for face, face_id in zip(found, face_ids)
            if turned_away(face.landmarks) < FACING_DEGREES
        }
        engaged = self._engagement(looking, alive, frame.stamp)
        self._states = {i: known for i, known in self._states.items() if i in alive}
        faces = [
            self._emotion(
                face, i, self._step(image, face, i, frame.stamp, i in looking), engaged[i]
            )
            for face, i in zip(found, face_ids)
        ]
        height, width = image.shape[:2]
        primary = self._primary(faces, alive, (width, height))
        return tuple(sorted(faces, key=lambda face: (face is not primary, -face.roi.area)))

    def still(self, image: Any) -> tuple[FaceEmotion, ...]:
        """Return the faces in one still image, each as if it had been held for a while.

        The largest first. Small faces are searched for too; ask :meth:`load` for ``static``.

        :param image: uint8 (H, W, 3) RGB.
        :raises InputError: it is something else.
        """
        image = check_rgb(image)
        faces = []
        for n, face in enumerate(find_faces(self._landmarker, image), start=1):
            seen = self._branches(image, face.landmarks, face.blendshapes)
            answer = self._classifier.still(seen.blendshapes, seen.embedding)
            faces.append(self._emotion(face, f'face_{n}', answer))
        return tuple(faces)

    def reset(self) -> None:
        """Forget every face and the time: another stream begins."""
        self.resets += 1
        self._landmarker.reset()
        # All else is kept by face id, and no id comes again.
        self._tracker.reset()
        self._last_stamp = None

    def close(self) -> None:
        """Free the landmark source's memory and threads."""
        self._landmarker.close()

    def _forget_if_time_jumped(self, stamp: float) -> None:
        last = self._last_stamp
        if last is not None and not 0 <= stamp - last <= self._reset_gap:
            # Two cameras on one topic would fill the log with a line a frame.
            if self._jumps % _TOLD_EVERY == 0:
                if stamp > last:
                    what = f'no image for {stamp - last:.3f} s'
                else:
                    what = f'time went back by {last - stamp:.3f} s'
                _LOG.info(
                    '%s: state reset, jump %d; if it repeats, a bag loops, or more than one '
                    'camera publishes on this topic',
                    what,
                    self._jumps + 1,
                )
            self._jumps += 1
            self.reset()
        self._last_stamp = stamp

    def _step(
        self, image: RgbImage, face: FaceLandmarks, face_id: str, stamp: float, facing: bool
    ) -> Answer:
        known = self._states.get(face_id)
        if known is None:
            known = _Known(self._classifier.initial_state(), NeutralFace(self._usual))
            self._states[face_id] = known
        dt = _FIRST_STEP if known.stamp is None else max(stamp - known.stamp, _LEAST_STEP)
        seconds = self._neutral_baseline
        blendshapes = known.neutral.correct(face.blendshapes) if seconds else face.blendshapes
        seen = self._branches(image, face.landmarks, blendshapes)
        answer = self._classifier.step(seen.blendshapes, known.state, dt, seen.embedding)
        known.state, known.stamp = answer.state, stamp
        if seconds:
            expressions = zip(self._classifier.expressions, answer.expressions)
            known.neutral.gather(face.blendshapes, dt, expressions, seconds=seconds, facing=facing)
        return answer

    def _emotion(
        self, face: FaceLandmarks, face_id: str, answer: Answer, engaged: float = 0.0
    ) -> FaceEmotion:
        label, confidence = told(self.labels, answer.probabilities, self._abstain_below)
        point = affect(zip(self._classifier.expressions, answer.expressions))
        return FaceEmotion(
            face_id=face_id,
            label=label,
            confidence=confidence,
            labels=self.labels,
            probabilities=answer.probabilities,
            roi=face.roi,
            blendshapes=face.blendshapes,
            landmarks=face.landmarks,
            model=self.model,
            engaged=engaged,
            valence=point.valence,
            arousal=point.arousal,
        )


def _open_model(
    settings: EstimatorSettings,
) -> tuple[EmotionClassifier | WindowClassifier, Branches | WindowClassifier]:
    """Open the shipped networks, or the model that stands for them."""
    if settings.model:
        default = EstimatorSettings()
        if (settings.branches, settings.vocabulary) != (default.branches, default.vocabulary):
            _LOG.warning('branches and vocabulary do not count: model is %s', settings.model)
        window = WindowClassifier.load(settings.model)
        # It reads faces itself.
        return window, window
    classifier = EmotionClassifier.load(vocabulary=settings.vocabulary)
    return classifier, Branches.open(
        settings.branches, classifier.embedding_size, sha256=classifier.appearance_sha256
    )
