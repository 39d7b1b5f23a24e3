"""The video of a demo: annotated frames with the truth and the dialogue, written as they arrive."""

from __future__ import annotations

import importlib.util
import os
import threading
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import cv2
import numpy as np

from emotion_estimator.annotation import (
    OTHER_COLOUR,
    Colour,
    caption_strip,
    label_colour,
    time_lanes,
)
from emotion_estimator.atomic_write import atomic_write
from emotion_estimator.demo.state import AnnotatedFrame, DemoScene, DemoState
from emotion_estimator.demo.turns import PERSON, ROBOT
from emotion_estimator.errors import EmotionEstimatorError
from emotion_estimator.frame import RgbImage

#: Longer gaps between stamps, in seconds, are shortened to this, so that a camera that was away for
#: an hour does not make an hour of the same frame.
MAX_GAP = 5.0


class _Encoder(Protocol):
    codec: str

    def write(self, image: RgbImage) -> None: ...

    def close(self) -> None: ...


class _H264:
    """H.264 by PyAV's x264, which plays everywhere."""

    codec = 'H.264'

    def __init__(self, av: ModuleType, path: Path, fps: Fraction, size: tuple[int, int]) -> None:
        self._av = av
        options = {'preset': 'superfast', 'crf': '23', 'threads': '1'}
        self._file: Any = av.open(str(path), 'w', format='mp4', options={'movflags': '+faststart'})
        self._stream = self._file.add_stream('libx264', rate=fps, options=options)
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = 'yuv420p'
        self._frames = 0

    def write(self, image: RgbImage) -> None:
        frame = self._av.VideoFrame.from_ndarray(image, format='rgb24')
        frame.pts = self._frames
        frame.time_base = 1 / self._stream.average_rate
        self._frames += 1
        self._file.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._file.mux(self._stream.encode())
        self._file.close()


class _Mpeg4:
    """MPEG-4 Part 2, which every build of OpenCV has; players can show it, browsers cannot."""

    codec = 'MPEG-4 Part 2'

    def __init__(self, path: Path, fps: Fraction, size: tuple[int, int]) -> None:
        fourcc = cv2.VideoWriter.fourcc(*'mp4v')
        self._writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, float(fps), size)
        if not self._writer.isOpened():
            raise OSError('OpenCV has no MPEG-4 encoder')

    def write(self, image: RgbImage) -> None:
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        self._writer.release()


def _encoder(path: Path, fps: Fraction, size: tuple[int, int]) -> _Encoder:
    if importlib.util.find_spec('av') is not None:
        import av

        return _H264(av, path, fps, size)
    return _Mpeg4(path, fps, size)


class DemoVideo:
    """Encodes frames into a file of constant frame rate, which appears once it is complete.

    A frame is shown from its stamp until the next one's: it is repeated if frames are missing, and
    left out if two stamps fall into one frame period.
    """

    def __init__(self, path: Path, fps: float) -> None:
        """:param fps: frames per second of the video, above 0."""
        self.path = path
        self.codec = ''
        self.frames = 0
        self._fps = Fraction(fps).limit_denominator(1001)
        self._complete = ExitStack()
        self._encoder: _Encoder | None = None
        self._size = (0, 0)
        self._begin = 0.0
        self._last_stamp = 0.0
        self._last: RgbImage | None = None

    def add(self, stamp: float, image: RgbImage) -> None:
        """Add a frame.

        :param stamp: seconds; a frame older than the last one is left out.
        :param image: uint8 (H, W, 3) RGB; the first one's size becomes the video's.
        :raises EmotionEstimatorError: the file cannot be written.
        """
        try:
            self._add(stamp, image)
        except OSError as error:
            raise EmotionEstimatorError(f'{self.path} cannot be written: {error}') from error

    def _add(self, stamp: float, image: RgbImage) -> None:
        if self._encoder is None:
            # Even numbers: H.264's chroma planes have half the size.
            self._size = (image.shape[1] + image.shape[1] % 2, image.shape[0] + image.shape[0] % 2)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial = self._complete.enter_context(atomic_write(self.path))
            self._encoder = _encoder(partial, self._fps, self._size)
            self.codec = self._encoder.codec
            self._begin = self._last_stamp = stamp
        if stamp < self._last_stamp:
            return
        self._begin += max(0.0, stamp - self._last_stamp - MAX_GAP)
        self._last_stamp = stamp
        slot = round((stamp - self._begin) * self._fps)
        while self._last is not None and self.frames < slot:
            self._write(self._last)
        self._last = self._fitted(image)

    def _write(self, image: RgbImage) -> None:
        assert self._encoder is not None
        self._encoder.write(image)
        self.frames += 1

    def close(self) -> bool:
        """Finish the file; return False if there was no frame and therefore is no file.

        :raises EmotionEstimatorError: the file cannot be written.
        """
        try:
            with self._complete:
                if self._encoder is None:
                    return False
                if self._last is not None:
                    self._write(self._last)
                self._encoder.close()
        except OSError as error:
            raise EmotionEstimatorError(f'{self.path} cannot be written: {error}') from error
        finally:
            self._encoder = None
        return True

    def _fitted(self, image: RgbImage) -> RgbImage:
        """Return the image in the video's size: padded by a pixel, or scaled."""
        width, height = self._size
        right, below = width - image.shape[1], height - image.shape[0]
        if (right, below) == (0, 0):
            return np.ascontiguousarray(image)
        if right in (0, 1) and below in (0, 1):
            return np.pad(image, ((0, below), (0, right), (0, 0)))
        return np.asarray(cv2.resize(image, self._size), np.uint8)


#: Seconds by which the video lags, so that a frame's truth and actions have arrived.
_LAG = 0.4
#: Seconds for which an action stays in the caption at least; words stay while they are spoken.
CAPTION_SECONDS = 4.0
#: Rows of the caption: one for truth and floor, the others for the action and the utterance.
_CAPTION_ROWS = 4
#: Seconds that the lanes of both speakers show.
_LANE_SECONDS = 15.0

_WHITE: Colour = (255, 255, 255)
SPEAKER_COLOURS: dict[str, Colour] = {ROBOT: _WHITE, PERSON: OTHER_COLOUR}


def captioned(image: RgbImage, stamp: float, scene: DemoScene) -> RgbImage:
    """Return the image with a caption below it, and below that when robot and person spoke.

    The caption has the truth, the floor, the action and the utterance.

    :param image: uint8 (H, W, 3) RGB.
    :param stamp: the image's, in seconds.
    :param scene: what was known then; an old action is left out.
    """
    truth = f'truth: {scene.truth}' if scene.truth else ''
    floor = f'floor: {_name(scene.floor)}' if scene.floor else ''
    colour = label_colour(scene.truth) if scene.truth else _WHITE
    texts = [(' | '.join(filter(None, (truth, floor))), colour)]
    if scene.speaking:
        texts.append(('person: (speaks)', SPEAKER_COLOURS[PERSON]))
    words = _words(stamp, scene)
    if words:
        texts.append((words, SPEAKER_COLOURS[ROBOT]))
    lanes = [
        (speaker, colour, [(t.begin, t.end) for t in scene.turns if t.speaker == speaker])
        for speaker, colour in SPEAKER_COLOURS.items()
    ]
    return np.vstack(
        (
            image,
            caption_strip(image.shape, texts, _CAPTION_ROWS),
            time_lanes(image.shape, lanes, (stamp - _LANE_SECONDS, stamp)),
        )
    )


def _words(stamp: float, scene: DemoScene) -> str:
    """Return what the robot says or has just done; empty if that is long ago."""
    said = next((turn for turn in reversed(scene.turns) if turn.speaker == ROBOT), None)
    if said is not None and stamp < said.end:
        return f'robot ({_name(said.action)}): {said.words}'
    action = scene.action
    if action is None or stamp - action.stamp > CAPTION_SECONDS:
        return ''
    name = _name(action.action)
    return f'robot ({name}): {action.utterance}' if action.utterance else name


def _name(action: str) -> str:
    return action.replace('_', ' ')


class VideoRecorder:
    """Records the state's frames in a thread of its own until :meth:`finish`."""

    def __init__(self, state: DemoState, video: DemoVideo) -> None:
        self._state = state
        self._video = video
        self._done = threading.Event()
        self._error: EmotionEstimatorError | None = None
        self._thread = threading.Thread(target=self._work, name='video', daemon=True)
        self._thread.start()

    def finish(self) -> bool:
        """Record the remaining frames and close the file; return whether there is one.

        :raises EmotionEstimatorError: the file could not be written.
        """
        self._done.set()
        self._thread.join()
        complete = self._video.close()
        if self._error is not None:
            raise self._error
        return complete

    def _work(self) -> None:
        # On Linux this affects only this thread: on a busy machine the nodes come first.
        os.nice(5)
        while True:
            ending = self._done.is_set()
            frame = self._state.take_frame(0.0 if ending else _LAG)
            if frame is not None:
                self._record(frame)
            elif ending:
                return
            else:
                self._done.wait(0.02)

    def _record(self, frame: AnnotatedFrame) -> None:
        if self._error is not None:
            return
        scene = self._state.scene_at(frame.stamp)
        try:
            self._video.add(frame.stamp, captioned(frame.image, frame.stamp, scene))
        except EmotionEstimatorError as error:
            self._error = error
