"""A source, the estimator and the conversation in this process, for the page; no ROS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.emotion import FaceEmotion, primary
from emotion_estimator.errors import EmotionEstimatorError, InputError
from emotion_estimator.frame import Frame, FrameResult, RgbImage
from emotion_estimator.live.history import History
from emotion_estimator.live.moment import Moment
from emotion_estimator.live.page_image import PageImage, page_image
from emotion_estimator.live.remark import PERSON, Remark, of_action
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.perception.worker import EstimatorWorker, PendingImage
from emotion_estimator.settings import CameraSettings, EstimatorSettings, make_settings
from emotion_estimator.sources.capture import Capture
from emotion_estimator.sources.open_source import is_device, open_source

if TYPE_CHECKING:
    from emotion_estimator.bags.messages import Header
    from emotion_estimator.bags.writer import BagWriter

#: Seconds between two looks whether a page has been opened.
_LOOK = 0.1
#: Setting of the session itself: a moving mouth counts as speech.
HEAR_FACE = 'hear_face'
#: Settings of the estimator that the page offers.
CHANGEABLE = ('vocabulary', 'happy_threshold', 'sad_threshold', 'abstain_below')


class _Known(NamedTuple):
    """Where a frame comes from, and what its source knows besides its image."""

    capture: Capture
    truth: str | None
    speaks: bool | None


class LiveSession:
    """A :class:`~emotion_estimator.live.feed.Feed` without ROS.

    Nothing is read while no page is open. A film, a picture and the portrait begin again at their
    end.

    :param source: as of :func:`~emotion_estimator.sources.open_source.open_source`.
    :param settings: the estimator's.
    :param policy: YAML file of rules; None takes the shipped one.
    :param conversation: YAML file of topics and words; None takes the shipped one.
    :param recordings: folder in which recordings are made.
    :raises InputError: a file or the source cannot be read, or a setting is out of range.
    :raises ModelError: a model file is missing or broken.
    """

    def __init__(
        self,
        source: str,
        settings: EstimatorSettings,
        *,
        policy: Path | None = None,
        conversation: Path | None = None,
        recordings: Path = Path(),
    ) -> None:
        self.history = History()
        self.title = ''
        self.can = frozenset({'source', 'record'})
        self._manager = DialogueManager.load(policy, conversation)
        self._settings = settings
        self._recordings = recordings
        # Guards what the threads of capture, estimator and page share.
        self._lock = threading.RLock()
        self._watched = threading.Event()
        self._closing = threading.Event()
        self._problem = ''
        self._viewers = 0
        self._bag: BagWriter | None = None
        self._bag_path = ''
        self._heard = False
        #: What the recording has of the person's speech.
        self._recorded_speech = False
        self._capture = self._open_capture(source)
        try:
            self._estimator = EmotionEstimator.load(settings)
        except EmotionEstimatorError:
            self._capture.close()
            raise
        self._worker = self._start_worker()
        self._begin(source)

    def close(self) -> None:
        """Stop reading, complete a recording, free the models."""
        self._closing.set()
        self._watched.set()
        self._capture.stop()
        if self._worker.stop():
            self._estimator.close()
        self.record(False)

    def __enter__(self) -> LiveSession:
        """Return the session."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def watch(self, viewers: int) -> None:
        """Read while somebody looks, or a recording is made; forget the images after that."""
        with self._lock:
            self._viewers = viewers
            if not viewers:
                self.history.clear()
            if viewers or self._bag is not None:
                self._watched.set()
            elif not self._closing.is_set():
                self._watched.clear()

    def status(self) -> str:
        """Return the camera's problem, or what could not be done last."""
        return self._capture.problem or self._problem

    def changeable(self) -> Mapping[str, Any]:
        """Return the settings that can be changed, by name."""
        known = asdict(self._settings)
        return {
            **{name: known[name] for name in CHANGEABLE},
            HEAR_FACE: self._manager.hears_face,
        }

    def change(self, name: str, value: Any) -> None:
        """Change a setting; another vocabulary opens the networks again.

        :raises InputError: unknown name, or the setting cannot have that value.
        """
        if name == HEAR_FACE:
            with self._lock:
                self._manager.hears_face = bool(value)
            return
        if name not in CHANGEABLE:
            raise InputError(f'{name} cannot be changed here')
        changed = make_settings(EstimatorSettings, {**asdict(self._settings), name: value})
        if name == 'vocabulary' and changed != self._settings:
            estimator = EmotionEstimator.load(changed)
            if not self._worker.stop():
                estimator.close()
                raise InputError('the estimator hangs; start again')
            self._estimator.close()
            self._estimator = estimator
            self._worker = self._start_worker()
        self._settings = changed

    def choose_source(self, source: str) -> None:
        """Read another source from now on.

        :raises InputError: there is no such source; the present one is read on.
        """
        capture = self._open_capture(source)
        self._capture.stop()
        with self._lock:
            self._capture = capture
            self._problem = ''
            self.history.clear()
        self._worker.time_went_back()
        self._begin(source)

    def say(self, words: str) -> None:
        """Take what the person says, as one utterance."""
        words = words.strip()
        if words:
            with self._lock:
                stamp = time.time()
                self._manager.user_said(words, stamp)
                self.history.say(Remark(stamp, PERSON, words))
                self._write(lambda bag: bag.user_said(words, _header(stamp)))

    def record(self, on: bool, folder: Path | None = None) -> str:
        """Begin or end a bag of the images, what is read of them, and the conversation.

        :param folder: which must not exist; None takes one named after the time in the folder of
            recordings.
        :returns: its path, empty if there is none.
        :raises InputError: it cannot be written, or the library for bags is missing.
        """
        with self._lock:
            if on and self._bag is None:
                from emotion_estimator.bags.files import need_rosbags

                need_rosbags()
                from emotion_estimator.bags.writer import BagWriter

                path = folder or self._recordings / f'live-{datetime.now():%Y%m%d-%H%M%S}'
                self._bag, self._bag_path = BagWriter(path), str(path.resolve())
                self._recorded_speech = False
                self._watched.set()
            elif not on and self._bag is not None:
                bag, self._bag = self._bag, None
                bag.close()
                if not self._viewers and not self._closing.is_set():
                    self._watched.clear()
            return self._bag_path

    @property
    def recording(self) -> bool:
        """Return whether images are being recorded."""
        return self._bag is not None

    def _open_capture(self, source: str) -> Capture:
        if is_device(source):
            # Its thread would wait until somebody plugs it in; here somebody waits for an answer.
            open_source(source).close()
        capture = Capture(
            make_settings(CameraSettings, {'source': source, 'loop': True}),
            clock=time.time,
            publish=self._offer,
            listened_to=lambda: True,
            wanted=self._watched.is_set,
            ended=self._ended,
            log=self._note,
        )
        capture.open()
        return capture

    def _begin(self, source: str) -> None:
        self.title = self._capture.name
        # The portrait knows when it speaks; of anybody else only the mouth tells.
        self._manager.hears_face = source != 'portrait'
        self._capture.start()

    def _start_worker(self) -> EstimatorWorker[_Known]:
        worker: EstimatorWorker[_Known] = EstimatorWorker(
            self._estimator,
            lambda: self._settings,
            answer=self._answer,
            reject=lambda _, problem, kind: self._note(problem),
            fail=self._note,
        )
        worker.start()
        return worker

    def _note(self, problem: str) -> None:
        self._problem = problem

    def _ended(self, problem: str) -> None:
        self._problem = problem or 'the source has ended'

    def _offer(self, frame: Frame, stamp: float) -> None:
        capture = self._capture
        while not self._watched.wait(_LOOK):
            # A source that was replaced, or closed, must not wait for somebody to look.
            if self._closing.is_set() or capture is not self._capture:
                return
        known = _Known(capture, frame.truth, frame.truth_speaking)
        self._worker.offer(PendingImage(stamp, known, lambda: frame.image))

    def _answer(
        self, picture: PendingImage[_Known], image: RgbImage, faces: tuple[FaceEmotion, ...]
    ) -> None:
        stamp, known = picture.stamp, picture.header
        shown = page_image(image) if self._viewers else PageImage()
        with self._lock:
            if known.capture is not self._capture:
                # Of a source that was replaced meanwhile.
                return
            self._hear(known.speaks, stamp)
            action = self._manager(primary(faces), stamp, faces[1:])
            self._write(lambda bag: self._write_moment(bag, image, faces, known, stamp, action))
            if action is not None:
                self.history.say(of_action(action))
            if not self._viewers:
                # None is open, or the last one was closed while this image was read.
                return
            self.history.add(
                Moment(
                    stamp,
                    faces,
                    shown,
                    image.shape[0],
                    truth=known.truth,
                    speaks=known.speaks,
                    latency=time.time() - stamp,
                    floor=self._manager.floor,
                    suppressed=tuple(map(str, self._manager.suppressed)),
                )
            )

    def _hear(self, speaks: bool | None, stamp: float) -> None:
        """Pass on that the source knows whether the person speaks, in place of a microphone."""
        if speaks is None:
            return
        self._manager.user_speaking(speaks, stamp)
        if self._bag is not None and self._recorded_speech != speaks:
            self._recorded_speech = speaks
            self._write(lambda bag: bag.user_speaking(speaks, _header(stamp)))
        if self._heard and not speaks:
            self.history.say(Remark(stamp, PERSON, '(has spoken)'))
        self._heard = speaks

    def _write_moment(
        self,
        bag: BagWriter,
        image: RgbImage,
        faces: tuple[FaceEmotion, ...],
        known: _Known,
        stamp: float,
        action: DialogueAction | None,
    ) -> None:
        header = _header(stamp)
        bag.image('/image_raw/compressed', image, header, CameraSettings.jpeg_quality)
        if known.truth is not None:
            bag.truth(known.truth, header)
        bag.result(FrameResult(stamp, faces), header, self._estimator.model)
        if action is not None:
            bag.action(action, header)

    def _write(self, put: Callable[[BagWriter], None]) -> None:
        """Write into the recording, if there is one; one that cannot be written ends."""
        if self._bag is None:
            return
        try:
            put(self._bag)
        except InputError as error:
            self._note(str(error))
            bag, self._bag = self._bag, None
            with suppress(InputError):
                bag.close()


def _header(stamp: float) -> Header:
    from emotion_estimator.bags.messages import Header

    return Header(round(stamp * 1e9), CameraSettings.frame_id)
