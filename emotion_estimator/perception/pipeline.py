"""The entry point of perception: an image in, the emotion of each face in it out."""

from __future__ import annotations

import contextlib
import difflib
import logging
import math
import numbers
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.affect import affect
from emotion_estimator.emotion import HAPPY, NEUTRAL, SAD, UNKNOWN, FaceEmotion, FloatArray
from emotion_estimator.errors import EmotionEstimatorError, InputError
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.perception.appearance import Branches, FaceInput, FaceReader
from emotion_estimator.perception.classifier import Answer, EmotionClassifier, FaceClassifier
from emotion_estimator.perception.gaze import LOOKING_DEGREES, gaze
from emotion_estimator.perception.grey import is_grey, skin_toned
from emotion_estimator.perception.head_pose import UNREADABLE, HeadPose, Intrinsics, head_pose
from emotion_estimator.perception.image import check_rgb
from emotion_estimator.perception.label_choice import choose_label
from emotion_estimator.perception.landmarks.base import FaceLandmarks, Landmarker
from emotion_estimator.perception.landmarks.source import find_faces, open_first, open_landmarker
from emotion_estimator.perception.mounting import UPRIGHT_ROLL
from emotion_estimator.perception.neutral_baseline import USUAL, NeutralFace
from emotion_estimator.perception.primary_face import FACING_DEGREES, Engagement, PrimaryFace
from emotion_estimator.perception.small_faces import find_small_faces
from emotion_estimator.perception.speaking import SpeechDetector, SpeechModel
from emotion_estimator.perception.steady_face import SteadyFace
from emotion_estimator.perception.tracker import Tracker
from emotion_estimator.perception.upright import (
    SURE,
    UPRIGHT,
    UprightMemory,
    UprightNetwork,
    find_turned_faces,
)
from emotion_estimator.perception.window_classifier import WindowClassifier
from emotion_estimator.settings import EstimatorSettings, make_settings
from emotion_estimator.sources.images import read_image
from emotion_estimator.untrusted import quote

_LOG = logging.getLogger(__name__)

#: Seconds assumed before a face's first frame, and between two frames with the same stamp.
_FIRST_STEP = 1 / 30
_LEAST_STEP = 1 / 240

#: Grey images in a row without a face after which the detector's least confidence is lowered, and
#: the factor.
_GREY_IMAGES = 15
_GREY_CONFIDENCE = 0.6

#: One in so many jumps in time is logged.
_LOG_EVERY = 100


@dataclass
class _FaceMemory:
    """What is kept of a face from frame to frame.

    :param state: the classifier's.
    :param stamp: of the face's last frame, in seconds; None before the first.
    """

    state: Any
    neutral: NeutralFace
    speech: SpeechDetector
    stamp: float | None = None
    upright: UprightMemory = field(default_factory=UprightMemory)
    steady: SteadyFace = field(default_factory=SteadyFace)


class EmotionEstimator:
    """Find the faces in images and estimate the emotion of each.

    Example::

        from emotion_estimator import EmotionEstimator, open_source

        with EmotionEstimator(max_faces=1) as estimator:
            for frame in open_source('portrait'):
                for face in estimator(frame):
                    print(frame.stamp, face.label, face.confidence)

    Frames form a stream: faces are tracked, and each has a state of its own that follows its
    expression over time. Time is the frames' stamps. A face that is lost loses its state; all
    state is reset when time jumps backwards, or forwards by more than the setting ``reset_gap``.
    Still images are independent of the stream and of each other.

    Threads may share an estimator: they take turns. Processes may not: after a fork the child
    needs an estimator of its own.
    """

    def __init__(
        self,
        settings: EstimatorSettings | None = None,
        *,
        static: bool = False,
        **changes: Any,
    ) -> None:
        """Open the landmark source and the networks.

        :param settings: None is the defaults.
        :param static: only still images will follow; avoids opening two landmark sources.
        :param changes: fields of :class:`~emotion_estimator.settings.EstimatorSettings` that
            differ from ``settings``, such as ``max_faces=1``. ``max_rate_hz`` and the settings of
            topics and messages affect only the node.
        :raises InputError: unknown setting, or a value out of range; the message names the
            setting, its range and the value.
        :raises ModelError: a model file is missing, corrupt or does not match the code.
        """
        checked = _check_settings(settings, changes)
        classifier, reader = _open_model(checked)
        landmarker, choice = open_first(
            checked.landmark_source,
            checked.face_landmarker_path,
            max_faces=checked.max_faces,
            static=static,
            min_confidence=checked.min_face_confidence,
        )
        _LOG.info('landmark source %s: %s', choice.name, choice.reason)

        def open_still() -> Landmarker:
            return open_landmarker(
                choice,
                max_faces=checked.max_faces,
                static=True,
                min_confidence=checked.min_face_confidence,
            )

        def open_grey() -> Landmarker:
            return open_landmarker(
                choice,
                max_faces=checked.max_faces,
                min_confidence=checked.min_face_confidence,
                min_detection=_GREY_CONFIDENCE * checked.min_face_confidence,
            )

        self._assemble(
            landmarker,
            classifier,
            reader,
            checked,
            open_grey=None if static else open_grey,
            upright=UprightNetwork.load(),
            open_still=None if static else open_still,
            reason=choice.reason,
            max_faces=checked.max_faces,
        )

    @classmethod
    def load(
        cls, settings: EstimatorSettings | None = None, *, static: bool = False
    ) -> EmotionEstimator:
        """Open an estimator; the same as calling the class."""
        return cls(settings, static=static)

    @classmethod
    def from_parts(
        cls,
        landmarker: Landmarker,
        classifier: FaceClassifier[Any, Any],
        settings: EstimatorSettings | None = None,
        *,
        reader: FaceReader[Any] | None = None,
        upright: UprightNetwork | None = None,
    ) -> EmotionEstimator:
        """Put together parts of your own, in place of those that the settings name.

        :param landmarker: also used for still images.
        :param classifier: reads what ``reader`` returns.
        :param settings: only those that :meth:`apply` names are used.
        :param reader: None reads the blendshapes alone.
        :param upright: recognizes faces that are upside down; None takes all for upright.
        """
        estimator = cls.__new__(cls)
        estimator._assemble(
            landmarker,
            classifier,
            reader or Branches(None),
            settings or EstimatorSettings(),
            upright=upright,
        )
        return estimator

    def _assemble(
        self,
        landmarker: Landmarker,
        classifier: FaceClassifier[Any, Any],
        reader: FaceReader[Any],
        settings: EstimatorSettings,
        *,
        upright: UprightNetwork | None,
        open_still: Callable[[], Landmarker] | None = None,
        open_grey: Callable[[], Landmarker] | None = None,
        reason: str = '',
        max_faces: int | None = None,
    ) -> None:
        self.landmark_source = landmarker.name
        #: Why this landmark source was chosen.
        self.landmark_reason = reason
        #: The camera that took the images, if it is known: the head's angles are then in its axes,
        #: otherwise relative to the line from the camera to the face.
        self.camera: Intrinsics | None = None
        #: How often all state was reset.
        self.resets = 0
        #: Whether the last image of the stream showed a face that does not lie on its side or head.
        self.saw_upright_face = False
        #: How many faces of the last still were left out, since they are more than ``max_faces``.
        self.faces_left_out = 0
        #: Read the crop of a face that looks as in the image before in every second image only.
        self.thrifty = False
        #: How many crops were not read for that reason.
        self.reused = 0
        self._max_pixels = settings.max_image_pixels
        self._max_faces = max_faces
        self._landmarker = landmarker
        self._open_still = open_still
        self._still_landmarker = landmarker if open_still is None else None
        self._classifier = classifier
        self._reader = reader
        self._speech = SpeechModel.load()
        self._upright = upright
        self._usual = classifier.neutral if classifier.neutral is not None else USUAL
        self._tracker = Tracker()
        self._engagement = Engagement()
        self._primary = PrimaryFace()
        self._memories: dict[str, _FaceMemory] = {}
        self._thresholds: dict[str, float] = {}
        self._last_stamp: float | None = None
        self._sees_faces = False
        self._grey_images = 0
        self._lenient = False
        self._open_grey = open_grey
        self._jumps = 0
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._closed = False
        self.apply(settings)

    def apply(self, settings: EstimatorSettings) -> None:
        """Take over the settings that can change at run time, from the next frame on.

        These are ``face_timeout``, ``search_hz``, ``reset_gap``, ``primary_face``,
        ``sad_threshold``, ``happy_threshold``, ``abstain_below`` and ``neutral_baseline``. No face
        is lost. The others select what is opened.

        :raises InputError: a value is out of range; nothing changes.
        """
        settings = _check_settings(settings, {})
        with self._in_use():
            self._primary.use(settings.primary_face)
            self._tracker.timeout = settings.face_timeout
            self._search_hz = settings.search_hz
            self._search_at_rate()
            self._reset_gap = settings.reset_gap
            self._warn_of_missing_labels(settings)
            self._thresholds = {
                name: getattr(settings, name)
                for name in ('abstain_below', 'sad_threshold', 'happy_threshold')
            }
            self._neutral_baseline = settings.neutral_baseline

    def _search_at_rate(self) -> None:
        # A user's own landmark source need not be able to.
        if hasattr(self._landmarker, 'search_hz'):
            self._landmarker.search_hz = self._search_hz

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the classifier's classes."""
        return self._classifier.labels

    @property
    def model(self) -> str:
        """Return name and version of the classifier."""
        return self._classifier.title

    @property
    def model_sha256(self) -> str:
        """Return the checksum of the classifier's weights, in hexadecimal."""
        return self._classifier.sha256

    @property
    def checksums(self) -> dict[str, str]:
        """Return the checksum of each network at work, in hexadecimal, by its kind."""
        parts = (self._landmarker, self._classifier, self._reader)
        found: dict[str, str] = {}
        for part in parts:
            # Parts of a user's own may have none.
            found |= getattr(part, 'checksums', {})
        found['speaking'] = self._speech.sha256
        if self._upright is not None:
            found['upright'] = self._upright.sha256
        return found

    @property
    def branches(self) -> str:
        """Return what is read of a face, as the setting ``branches`` names it."""
        return self._reader.name

    def __call__(
        self,
        image: Frame | NDArray[np.uint8] | str | os.PathLike[str],
        *,
        stamp: float | None = None,
        bgr: bool = False,
    ) -> tuple[FaceEmotion, ...]:
        """Return the faces in an image; an empty tuple if there are none.

        A frame or an array is the next image of the stream, a path an independent still image, as
        for :meth:`still`.

        :param image: a ``Frame``; uint8 (H, W, 3), RGB unless ``bgr``; or the path of an image
            file.
        :param stamp: capture time of an array in seconds, on a clock of your choice. None takes
            the time of the call on the monotonic clock, as fits a live camera. Give it for
            recordings; for unrelated images use :meth:`still`.
        :param bgr: the array's channels are in OpenCV's order.
        :returns: the primary face first, as selected by the setting ``primary_face``, then the
            others by size; of a path, all by size.
        :raises InputError: not such an image, the file cannot be read, or the stamp is not a
            number; no state is changed.
        :raises EmotionEstimatorError: the estimator is closed, or belongs to another process.
        """
        with self._in_use():
            if isinstance(image, np.ndarray):
                pixels = _rgb(image, bgr, self._max_pixels)
                # Only here: a frame's own stamp decides everything else.
                return self._next(pixels, time.monotonic() if stamp is None else stamp)
            if stamp is not None or bgr:
                raise InputError(
                    'stamp and bgr are for arrays: a Frame has a stamp, frames and files are RGB'
                )
            if isinstance(image, Frame):
                return self._next(_pixels(image, False, self._max_pixels), image.stamp)
            return self._still(_pixels(image, False, self._max_pixels))

    def still(
        self,
        image: Frame | NDArray[np.uint8] | str | os.PathLike[str],
        *,
        bgr: bool = False,
        small: bool = False,
    ) -> tuple[FaceEmotion, ...]:
        """Return the faces in a still image, each as if it had kept its expression for a while.

        Smaller faces are found than in a frame, which takes longer. The stream is not affected.

        :param image: as for calling the estimator; a frame's stamp is ignored.
        :param bgr: the array's channels are in OpenCV's order.
        :param small: also find upright faces of 20 pixels and more in large images, which takes
            seconds (``docs/small_faces.md``).
        :returns: the largest face first, at most ``max_faces``.
        :raises InputError: not such an image, or the file cannot be read.
        :raises EmotionEstimatorError: the estimator is closed, or belongs to another process.
        """
        with self._in_use():
            if bgr and not isinstance(image, np.ndarray):
                raise InputError('bgr is for arrays: frames and files are RGB')
            return self._still(_pixels(image, bgr, self._max_pixels), small)

    def reset(self) -> None:
        """Forget every face and the time: another stream starts."""
        with self._in_use():
            self.resets += 1
            self._landmarker.reset()
            # Everything else is kept by face id, and no id is used twice.
            self._tracker.reset()
            self._last_stamp = None
            self._sees_faces = False

    def close(self) -> None:
        """Free the landmark source's memory and threads; closing twice is harmless.

        In a forked child it does nothing: the threads to end exist only in the parent.
        """
        if os.getpid() != self._process:
            return
        with self._lock:
            if not self._closed:
                self._closed = True
                self._landmarker.close()
                if self._still_landmarker not in (None, self._landmarker):
                    self._still_landmarker.close()

    def __enter__(self) -> EmotionEstimator:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        """Let one thread in at a time, and none after closing or in a forked process."""
        # First: another thread of the parent may have held the lock when it forked.
        if os.getpid() != self._process:
            raise EmotionEstimatorError(
                'this EmotionEstimator was opened before the process forked and cannot be used in '
                'the child; open one in each process'
            )
        with self._lock:
            if self._closed:
                raise EmotionEstimatorError('this EmotionEstimator is closed; open another one')
            yield

    def _next(self, image: RgbImage, stamp: float) -> tuple[FaceEmotion, ...]:
        """Return the faces in the next image of the stream."""
        if not (isinstance(stamp, numbers.Real) and math.isfinite(stamp)):
            raise InputError(f'frame stamp must be a finite number of seconds, got {stamp!r}')
        self._forget_if_time_jumped(stamp)
        # First, since it may replace the landmarker.
        seen = self._for_landmarker(image)
        found = self._landmarker(Frame(seen, stamp))
        if self._lenient and seen is not image and self._upright is not None:
            # A face that the detector was not sure of must look like one.
            network = self._upright
            found = tuple(face for face in found if network(image, face.landmarks) >= UPRIGHT)
        self._sees_faces = bool(found)
        face_ids = self._tracker([face.roi for face in found], stamp)
        alive = self._tracker.face_ids
        self._memories = {i: memory for i, memory in self._memories.items() if i in alive}
        poses = [
            head_pose(face.landmarks) if self._is_upright(image, face, i, stamp) else UNREADABLE
            for face, i in zip(found, face_ids)
        ]
        self.saw_upright_face = any(_is_head_up(pose) for pose in poses)
        looking = {i for pose, i in zip(poses, face_ids) if pose.away < FACING_DEGREES}
        engaged = self._engagement(looking, alive, stamp)
        size = image.shape[1], image.shape[0]
        faces = [
            self._emotion(
                face,
                pose,
                size,
                i,
                self._step(image, face, i, stamp, i in looking),
                engaged[i],
                self._memories[i].speech,
            )
            for face, pose, i in zip(found, poses, face_ids)
        ]
        primary = self._primary(faces, alive, size)
        return tuple(sorted(faces, key=lambda face: (face is not primary, -face.roi.area)))

    def _for_landmarker(self, image: RgbImage) -> RgbImage:
        """Return the image in which faces are looked for.

        Grey ones are coloured until a face is found; it is then followed, and read, as it is. In a
        stream of grey images without a face the detector is also satisfied with less confidence,
        from then on.
        """
        if self._sees_faces or not is_grey(image):
            self._grey_images = 0
            return image
        self._grey_images += 1
        if self._grey_images == _GREY_IMAGES and self._open_grey is not None:
            landmarker, self._open_grey = self._open_grey(), None
            self._landmarker.close()
            self._landmarker = landmarker
            self._search_at_rate()
            self._lenient = True
        return skin_toned(image)

    def shows_upright_face(self, image: RgbImage) -> bool:
        """Return whether a still image surely shows a face that is upright.

        It is searched as a whole, without tiles for small faces.

        :param image: uint8 (H, W, 3) RGB.
        """
        with self._in_use():
            faces = find_faces(self._for_stills(), image, tiles=False)
            return any(
                _is_head_up(head_pose(face.landmarks))
                and (self._upright is None or self._upright(image, face.landmarks) >= SURE)
                for face in faces
            )

    def _for_stills(self) -> Landmarker:
        if self._still_landmarker is None:
            assert self._open_still is not None
            self._still_landmarker = self._open_still()
        return self._still_landmarker

    def _still(self, image: RgbImage, small: bool = False) -> tuple[FaceEmotion, ...]:
        faces: list[FaceEmotion] = []
        found = self._stills(image, self._for_stills(), small)
        kept = found[: self._max_faces]
        self.faces_left_out = len(found) - len(kept)
        for n, (face, upright) in enumerate(kept, start=1):
            pose = head_pose(face.landmarks) if upright else UNREADABLE
            if upright:
                seen = self._reader(image, face.landmarks, face.blendshapes)
                answer = self._classifier.still(seen.features, seen.embedding)
            else:
                answer = self._unreadable()
            size = image.shape[1], image.shape[0]
            faces.append(self._emotion(face, pose, size, f'face_{n}', answer))
        return tuple(faces)

    def _stills(
        self, image: RgbImage, landmarker: Landmarker, small: bool
    ) -> list[tuple[FaceLandmarks, bool]]:
        """Return the faces in a still, the largest first, and whether the mesh of each is upright.

        They may be more than ``max_faces``, which limits those of each tile.
        """
        if self._upright is None:
            found = [(face, True) for face in find_faces(landmarker, image)]
        else:
            found = list(find_turned_faces(landmarker, image, self._upright))
        if small:
            known = [face.roi for face, _ in found]
            more = find_small_faces(landmarker, image, self._upright, known)
            found = sorted(
                [*found, *((face, True) for face in more)], key=lambda pair: -pair[0].roi.area
            )
        return found

    def _forget_if_time_jumped(self, stamp: float) -> None:
        last = self._last_stamp
        if last is not None and not 0 <= stamp - last <= self._reset_gap:
            # Two cameras on one topic would fill the log with one line per frame.
            if self._jumps % _LOG_EVERY == 0:
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

    def _warn_of_missing_labels(self, settings: EstimatorSettings) -> None:
        """Say once which threshold was given for a label that the model does not have."""
        for label in (SAD, HAPPY):
            name = f'{label}_threshold'
            if (
                label not in self.labels
                and getattr(settings, name) > 0
                and not self._thresholds.get(name)
            ):
                _LOG.warning(
                    '%s has no effect: the labels of %s are %s',
                    name,
                    self.model,
                    ', '.join(self.labels),
                )

    def _memory(self, face_id: str, stamp: float) -> tuple[_FaceMemory, float]:
        """Return what is kept of a face, and the seconds since its last frame."""
        memory = self._memories.get(face_id)
        if memory is None:
            memory = _FaceMemory(
                self._classifier.initial_state(),
                NeutralFace(self._usual),
                SpeechDetector(self._speech),
            )
            self._memories[face_id] = memory
        if memory.stamp is None:
            return memory, _FIRST_STEP
        return memory, max(stamp - memory.stamp, _LEAST_STEP)

    def _is_upright(self, image: RgbImage, face: FaceLandmarks, face_id: str, stamp: float) -> bool:
        if self._upright is None:
            return True
        memory, dt = self._memory(face_id, stamp)
        return memory.upright.observe(self._upright(image, face.landmarks), dt)

    def _step(
        self, image: RgbImage, face: FaceLandmarks, face_id: str, stamp: float, facing: bool
    ) -> Answer[Any]:
        memory, dt = self._memory(face_id, stamp)
        if not memory.upright.readable:
            memory.stamp = stamp
            return self._unreadable(memory.state)
        seconds = self._neutral_baseline
        blendshapes = memory.neutral.correct(face.blendshapes) if seconds else face.blendshapes
        seen = self._read(image, face, blendshapes, memory.steady, dt)
        answer = self._classifier.step(seen.features, memory.state, dt, seen.embedding)
        memory.state, memory.stamp = answer.state, stamp
        memory.speech(face.landmarks, face.blendshapes, stamp)
        if seconds:
            expressions = zip(self._classifier.expressions, answer.expressions)
            memory.neutral.observe(
                face.blendshapes, dt, expressions, seconds=seconds, facing=facing
            )
        return answer

    def _read(
        self,
        image: RgbImage,
        face: FaceLandmarks,
        blendshapes: FloatArray,
        steady: SteadyFace,
        dt: float,
    ) -> FaceInput[Any]:
        # Readers of a user's own read each face.
        if self.thrifty and isinstance(self._reader, Branches):
            embedding = steady.take(face, dt)
            if embedding is not None:
                self.reused += 1
                return self._reader.again(embedding, blendshapes)
        seen = self._reader(image, face.landmarks, blendshapes)
        steady.keep(face, seen)
        return seen

    def _unreadable(self, state: Any = None) -> Answer[Any]:
        """Return the answer for a face whose mesh is not upright: nothing is known of it."""
        return Answer(
            _certain(UNKNOWN, self.labels), _certain(NEUTRAL, self._classifier.expressions), state
        )

    def _emotion(
        self,
        face: FaceLandmarks,
        pose: HeadPose,
        image: tuple[int, int],
        face_id: str,
        answer: Answer[Any],
        engaged: float = 0.0,
        speech: SpeechDetector | None = None,
    ) -> FaceEmotion:
        label, confidence = choose_label(self.labels, answer.probabilities, **self._thresholds)
        if pose is UNREADABLE:
            # Its mouth is not where the mesh has it.
            label, speech = UNKNOWN, None
        point = affect(zip(self._classifier.expressions, answer.expressions))
        camera = self.camera
        yaw, pitch, roll = pose.angles_in(camera, image) if camera else pose.angles
        eyes = gaze(face.landmarks, face.blendshapes, pose)
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
            head_yaw=yaw,
            head_pitch=pitch,
            head_roll=roll,
            gaze_yaw=eyes.yaw,
            gaze_pitch=eyes.pitch,
            looks_at_camera=eyes.off_camera(pose) < LOOKING_DEGREES,
            speaking=0.0 if speech is None else speech.probability,
            is_speaking=speech is not None and speech.speaking,
        )


def _check_settings(
    settings: EstimatorSettings | None, changes: Mapping[str, Any]
) -> EstimatorSettings:
    """Return ``settings`` with ``changes``, checked as the node's parameters are."""
    if not isinstance(settings, (EstimatorSettings, type(None))):
        raise InputError(
            f'EmotionEstimator takes EstimatorSettings or keywords, got {settings!r}; for an '
            'image, call the estimator with it'
        )
    names = [item.name for item in fields(EstimatorSettings)]
    unknown = next((name for name in changes if name not in names), None)
    if unknown is not None:
        [nearest] = difflib.get_close_matches(unknown, names, n=1, cutoff=0.0)
        raise InputError(f'unknown setting {unknown!r}; the nearest is {nearest!r}')
    values = {**asdict(settings or EstimatorSettings()), **changes}
    return make_settings(
        EstimatorSettings,
        # Paths are strings in parameter files.
        {k: os.fspath(v) if isinstance(v, os.PathLike) else v for k, v in values.items()},
    )


def _open_model(
    settings: EstimatorSettings,
) -> tuple[FaceClassifier[Any, Any], FaceReader[Any]]:
    """Open the shipped networks, or the model that replaces them."""
    if settings.model:
        default = EstimatorSettings()
        if (settings.branches, settings.vocabulary) != (default.branches, default.vocabulary):
            _LOG.warning(
                'branches and vocabulary have no effect with the model %s', quote(settings.model)
            )
        window = WindowClassifier.load(settings.model, threads=settings.num_threads)
        # It reads faces itself.
        return window, window
    classifier = EmotionClassifier.load(vocabulary=settings.vocabulary)
    return classifier, Branches.open(
        settings.branches,
        classifier.embedding_size,
        sha256=classifier.appearance_sha256,
        threads=settings.num_threads,
    )


def _is_head_up(pose: HeadPose) -> bool:
    return pose.size > 0 and abs(pose.angles[2]) < UPRIGHT_ROLL


def _certain(name: str, names: tuple[str, ...]) -> FloatArray:
    """Return probabilities float32 (N,) of which one is 1; all equal if there is no such name."""
    if name not in names:
        return np.full(len(names), 1 / len(names), np.float32)
    return np.array([float(each == name) for each in names], np.float32)


def _pixels(image: Any, bgr: bool, max_pixels: int) -> RgbImage:
    """Return an image as checked RGB, read from its file if it is a path."""
    if isinstance(image, Frame):
        return check_rgb(image.image, max_pixels)
    if isinstance(image, np.ndarray):
        return _rgb(image, bgr, max_pixels)
    if isinstance(image, (str, os.PathLike)):
        return check_rgb(read_image(Path(image), max_pixels), max_pixels)
    hint = '; did the camera deliver an image?' if image is None else ''
    raise InputError(
        'image must be a Frame, a numpy array of shape (height, width, 3), or the path of an image '
        f'file, got {type(image).__name__}{hint}'
    )


def _rgb(image: NDArray[Any], bgr: bool, max_pixels: int) -> RgbImage:
    checked = check_rgb(image, max_pixels)
    return np.ascontiguousarray(checked[..., ::-1]) if bgr else checked
