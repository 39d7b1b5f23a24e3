"""The video of a demo: annotated frames with the truth and the dialogue, written as they arrive."""

from __future__ import annotations

import os
import threading

import numpy as np

from emotion_estimator.annotation import (
    OTHER_COLOUR,
    Colour,
    caption_strip,
    label_colour,
    time_lanes,
)
from emotion_estimator.demo.state import AnnotatedFrame, DemoScene, DemoState
from emotion_estimator.demo.turns import PERSON, ROBOT
from emotion_estimator.errors import EmotionEstimatorError
from emotion_estimator.film_writer import FilmWriter
from emotion_estimator.frame import RgbImage

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

    def __init__(self, state: DemoState, video: FilmWriter) -> None:
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
