"""The video of a demo: captions, lanes of both speakers, a recorder in a thread."""

from __future__ import annotations

import numpy as np
import pytest

from emotion_estimator.annotation import OTHER_COLOUR
from emotion_estimator.demo.state import AnnotatedFrame, DemoScene, DemoState
from emotion_estimator.demo.turns import PERSON, ROBOT, SpokenTurn
from emotion_estimator.demo.video import (
    CAPTION_SECONDS,
    VideoRecorder,
    captioned,
)
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.errors import EmotionEstimatorError
from emotion_estimator.film_writer import FilmWriter

ACTION = DialogueAction(
    'continue', 'tea', 'warm', 'Nice.', 'because', 'happy', 0.9, 'smile', 'a', 10.0
)


def frame(value: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_the_caption_is_below_and_old_actions_leave_it():
    image = frame(128, 240, 320)
    bare = captioned(image, 10.0, DemoScene())
    assert (bare[:240] == image).all()
    with_truth = captioned(image, 10.0, DemoScene('happy'))
    said = captioned(image, 10.0 + CAPTION_SECONDS, DemoScene('happy', action=ACTION))
    assert bare.shape == with_truth.shape == said.shape
    sizes = [(each[240:] > 0).sum() for each in (bare, with_truth, said)]
    assert sizes == sorted(set(sizes))
    late = captioned(image, 10.1 + CAPTION_SECONDS, DemoScene('happy', action=ACTION))
    # Below it, the marks of the seconds have moved.
    strip = slice(240, 240 + 4 * (bare.shape[0] - 240) // 6)
    assert (late[strip] == with_truth[strip]).all()


def test_words_stay_while_they_are_spoken():
    image, long = frame(128, 240, 320), SpokenTurn(ROBOT, 10.0, 20.0, 'Nice.', 'continue')
    at_the_end, after = (
        captioned(image, t, DemoScene(action=ACTION, turns=(long,))) for t in (19.9, 20.1)
    )
    text = slice(240, 240 + 4 * (after.shape[0] - 240) // 6)
    assert at_the_end[text].any()
    assert not after[text].any()


def test_the_film_shows_both_speakers_on_one_time_axis():
    turns = (SpokenTurn(ROBOT, 3.0, 8.0, 'Nice.', 'continue'), SpokenTurn(PERSON, 9.0, 12.0))
    image = captioned(frame(128, 480, 640), 15.0, DemoScene('happy', False, 'waiting', None, turns))
    line = (image.shape[0] - 480) // 6
    # Right of the names.
    robot, person = image[-2 * line : -line, 100:].astype(int), image[-line:, 100:].astype(int)
    white = np.flatnonzero((robot[line // 2] > 250).all(axis=-1))
    purple = np.flatnonzero((person[line // 2] == OTHER_COLOUR).all(axis=-1))
    # Fifteen seconds up to now, at the right edge.
    second = len(white) / 5.0
    assert len(purple) / 3.0 == pytest.approx(second, rel=0.05)
    assert (purple[0] - white[-1]) / second == pytest.approx(1.0, abs=0.2)
    assert (540 - purple[-1]) / second == pytest.approx(3.0, abs=0.3)
    speaking = captioned(frame(128, 480, 640), 11.0, DemoScene(speaking=True, turns=turns))
    silent = captioned(frame(128, 480, 640), 11.0, DemoScene(speaking=False, turns=turns))
    assert (speaking != silent).any()


def test_the_recorder_writes_every_frame_that_arrived(tmp_path):
    state, video = DemoState(), FilmWriter(tmp_path / 'a.mp4', 10)
    recorder = VideoRecorder(state, video)
    for i in range(20):
        state.add_truth(i / 10, 'happy')
        state.add_frame(AnnotatedFrame(i / 10, frame(100, 240, 320)))
    assert recorder.finish()
    assert video.frames == 20
    assert state.history().video_dropped == 0


def test_the_recorder_reports_a_file_that_cannot_be_written(tmp_path):
    (tmp_path / 'taken').write_text('')
    state = DemoState()
    recorder = VideoRecorder(state, FilmWriter(tmp_path / 'taken' / 'a.mp4', 10))
    for i in range(3):
        state.add_frame(AnnotatedFrame(i / 10, frame(100)))
    with pytest.raises(EmotionEstimatorError, match='cannot be written'):
        recorder.finish()
