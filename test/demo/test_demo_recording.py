"""The film: constant rate, real stamps, complete or not there."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from emotion_estimator.demo.film import LONGEST_HOLD, SHOWN, Filming, Recorder, captioned
from emotion_estimator.demo.state import DemoState, Shot
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.errors import EmotionEstimatorError

ACTION = DialogueAction(
    'continue', 'tea', 'warm', 'Nice.', 'because', 'happy', 0.9, 'smile', 'a', 10.0
)


def frame(value: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def read(path) -> list[float]:
    """Return the mean brightness of each frame."""
    video, means = cv2.VideoCapture(str(path)), []
    while (got := video.read())[0]:
        means.append(float(got[1].mean()))
    return means


@pytest.fixture(params=['av', 'cv2'])
def encoder(request, monkeypatch):
    if request.param == 'av':
        pytest.importorskip('av', reason='PyAV is not installed: H.264 is not tried')
    else:
        # find_spec() finds nothing where sys.modules holds None.
        monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    return request.param


def test_stamps_become_a_constant_rate(tmp_path, encoder):
    recorder = Recorder(tmp_path / 'new' / 'a.mp4', 10)
    # Jitter, two frames in one slot, and a pause of three frames.
    for stamp, value in ((5.0, 40), (5.11, 80), (5.14, 120), (5.2, 160), (5.5, 200)):
        recorder.add(stamp, frame(value))
    assert not recorder.path.exists()
    assert recorder.close()
    assert read(recorder.path) == pytest.approx([40, 120, 160, 160, 160, 200], abs=6)
    assert recorder.frames == 6
    assert recorder.codec == ('H.264' if encoder == 'av' else 'MPEG-4 Part 2')
    assert [p.name for p in recorder.path.parent.iterdir()] == ['a.mp4']
    rate = cv2.VideoCapture(str(recorder.path)).get(cv2.CAP_PROP_FPS)
    assert rate == pytest.approx(10)


def test_odd_and_changing_sizes(tmp_path, encoder):
    recorder = Recorder(tmp_path / 'a.mp4', 10)
    recorder.add(0.0, frame(50, 47, 63))
    recorder.add(0.1, frame(50, 47, 63))
    recorder.add(0.2, frame(100, 96, 128))
    assert recorder.close()
    assert len(read(recorder.path)) == 3


def test_stamps_that_go_back_are_left_out_and_long_pauses_shortened(tmp_path):
    recorder = Recorder(tmp_path / 'a.mp4', 10)
    for stamp in (100.0, 100.1, 50.0, 3700.0, 3700.1):
        recorder.add(stamp, frame(90))
    recorder.close()
    assert recorder.frames == pytest.approx(3 + 10 * LONGEST_HOLD, abs=1)


def test_no_frame_no_file(tmp_path):
    recorder = Recorder(tmp_path / 'a.mp4', 10)
    assert not recorder.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_named(tmp_path, encoder):
    (tmp_path / 'taken').write_text('')
    recorder = Recorder(tmp_path / 'taken' / 'a.mp4', 10)
    with pytest.raises(EmotionEstimatorError, match=r'taken/a\.mp4 cannot be written'):
        recorder.add(0.0, frame(10))


def test_the_caption_is_below_and_old_actions_leave_it():
    image = frame(128, 240, 320)
    bare = captioned(image, 10.0, None, None)
    assert (bare[:240] == image).all()
    assert (bare[240:] == 0).all()
    with_truth = captioned(image, 10.0, 'happy', None)
    said = captioned(image, 10.0 + SHOWN, 'happy', ACTION)
    assert bare.shape == with_truth.shape == said.shape
    assert (said[240:] > 0).sum() > (with_truth[240:] > 0).sum() > 0
    assert (captioned(image, 10.1 + SHOWN, 'happy', ACTION) == with_truth).all()


def test_filming_writes_every_image_that_arrived(tmp_path):
    state, recorder = DemoState(), Recorder(tmp_path / 'a.mp4', 10)
    filming = Filming(state, recorder)
    for i in range(20):
        state.add_truth(i / 10, 'happy')
        state.add_shot(Shot(i / 10, frame(100, 240, 320)))
    assert filming.finish()
    assert recorder.frames == 20
    assert state.course().unfilmed == 0


def test_filming_reports_what_it_could_not_write(tmp_path):
    (tmp_path / 'taken').write_text('')
    state = DemoState()
    filming = Filming(state, Recorder(tmp_path / 'taken' / 'a.mp4', 10))
    for i in range(3):
        state.add_shot(Shot(i / 10, frame(100)))
    with pytest.raises(EmotionEstimatorError, match='cannot be written'):
        filming.finish()
