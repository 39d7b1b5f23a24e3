"""The film: annotated images joined with truth and dialogue, encoded in a thread of its own."""

from __future__ import annotations

import os
import threading

import numpy as np

from emotion_estimator.annotation import Colour, caption_strip, label_colour
from emotion_estimator.demo.recording import Recorder
from emotion_estimator.demo.state import DemoState, Shot
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.errors import EmotionEstimatorError
from emotion_estimator.frame import RgbImage

#: Seconds by which filming lags, so that truth and actions of a frame have arrived.
LAG = 0.4
#: Seconds for which an action stays in the caption.
SHOWN = 4.0
#: Rows of text: the truth, and two or three for what the robot says.
ROWS = 4

_WHITE: Colour = (255, 255, 255)


def captioned(
    image: RgbImage, stamp: float, truth: str | None, action: DialogueAction | None
) -> RgbImage:
    """Return the image with text below it: the truth, the decision and what the robot says.

    :param image: uint8 (H, W, 3), RGB.
    :param truth: the source's label for this frame, None where it knows none.
    :param action: the last decision; an old one is left out.
    """
    texts = [(f'truth: {truth}', label_colour(truth))] if truth else []
    if action is not None and stamp - action.stamp <= SHOWN:
        name = action.action.replace('_', ' ')
        texts.append((f'robot ({name}): {action.utterance}' if action.utterance else name, _WHITE))
    return np.vstack((image, caption_strip(image.shape, texts, ROWS)))


class Filming:
    """Takes the state's images and records them until :meth:`finish`."""

    def __init__(self, state: DemoState, recorder: Recorder) -> None:
        self._state = state
        self._recorder = recorder
        self._done = threading.Event()
        self._error: EmotionEstimatorError | None = None
        self._thread = threading.Thread(target=self._work, name='filming', daemon=True)
        self._thread.start()

    def finish(self) -> bool:
        """Film what is left, close the file; return whether there is one.

        :raises EmotionEstimatorError: the file could not be written.
        """
        self._done.set()
        self._thread.join()
        complete = self._recorder.close()
        if self._error is not None:
            raise self._error
        return complete

    def _work(self) -> None:
        # On Linux this is the thread's own: on a busy machine the film yields to the nodes.
        os.nice(5)
        while True:
            ending = self._done.is_set()
            shot = self._state.take_shot(0.0 if ending else LAG)
            if shot is not None:
                self._film(shot)
            elif ending:
                return
            else:
                self._done.wait(0.02)

    def _film(self, shot: Shot) -> None:
        if self._error is not None:
            return
        truth, action = self._state.scene_at(shot.stamp)
        try:
            self._recorder.add(shot.stamp, captioned(shot.image, shot.stamp, truth, action))
        except EmotionEstimatorError as error:
            self._error = error
