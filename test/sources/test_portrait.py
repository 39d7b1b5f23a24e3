from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from available import TASK, needs_face_mesh
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import primary
from emotion_estimator.errors import InputError
from emotion_estimator.sources.portrait import Portrait, PortraitSegment, Timeline
from emotion_estimator.sources.portrait_face import VOWELS

#: Seconds around a change of the truth that agreement leaves out.
MARGIN = 0.3


@pytest.fixture(scope='module')
def portrait():
    return Portrait(fps=30)


def orange(image: np.ndarray) -> np.ndarray:
    """Return where the space suit is."""
    red, green, blue = (image[..., c].astype(int) for c in range(3))
    return (red > green + 60) & (red > blue + 60)


def test_the_course_shows_everything_and_says_when(portrait):
    assert portrait.duration == 40.0
    assert portrait.changes() == (3.0, 7.0, 10.0, 15.0, 18.0, 21.0, 24.0)
    middles = (1, 5, 8, 12, 16, 19, 22, 33)
    assert [portrait.truth_at(t) for t in middles] == [
        'unknown',
        'happy',
        'unknown',
        'sad',
        'unknown',
        'none',
        'happy',
        'unknown',
    ]


def test_the_person_speaks_once_with_a_face_at_rest(portrait):
    times = np.arange(0, 80, 0.1)
    assert {t for t in times if portrait.speaking_at(t)} == {
        t for t in times if 30.0 <= t % 40.0 < 34.0
    }
    assert {portrait.truth_at(t) for t in times if portrait.speaking_at(t)} == {'unknown'}
    assert [portrait.frame_at(t).truth_speaking for t in (29.9, 30.0, 32.0, 34.0)] == [
        False,
        True,
        True,
        False,
    ]


@given(st.floats(0, 200))
def test_the_mouth_forms_vowels_only_in_speech(t):
    timeline = Timeline()
    mouth = timeline.mouth_at(t)
    assert set(mouth) <= set(VOWELS)
    assert 0.0 <= sum(mouth.values()) <= 1.0
    assert timeline.speaking_at(t) or not mouth


def test_the_truth_switches_in_the_middle_of_each_change(portrait):
    timeline = Timeline()
    for t in portrait.changes():
        assert portrait.truth_at(t - 0.01) != portrait.truth_at(t + 0.01)
    assert timeline.expression_at(3.0)['happy'] == pytest.approx(0.5)
    assert timeline.presence_at(18.0) == pytest.approx(0.5)


@given(st.floats(0, 200))
def test_shares_of_expressions_sum_to_one_and_fit_the_truth(t):
    timeline = Timeline()
    shares = timeline.expression_at(t)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert 0.0 <= timeline.presence_at(t) <= 1.0
    within = t % timeline.duration
    if all(abs(within - change) > MARGIN for change in timeline.changes()):
        truth = timeline.truth_at(t)
        assert timeline.presence_at(t) == (0.0 if truth == 'none' else 1.0)
        if truth != 'none':
            assert shares.get({'unknown': 'neutral'}.get(truth, truth)) == 1.0


def test_a_script_whose_ends_differ_changes_at_its_seam():
    timeline = Timeline((PortraitSegment(2.0, 'happy'), PortraitSegment(1.0, 'sad')))
    assert timeline.changes() == (0.0, 2.0)
    assert timeline.truth_at(3.5) == 'happy'


def test_frames_are_stamped_from_zero_and_end_with_the_course():
    portrait = Portrait(fps=4, size=(96, 80))
    frames = list(portrait.frames())
    assert len(frames) == 40 * 4
    assert [frame.stamp for frame in frames] == [i / 4 for i in range(40 * 4)]
    assert {frame.image.shape for frame in frames} == {(80, 96, 3)}
    assert all(frame.image.dtype == np.uint8 for frame in frames)
    assert [f.truth for f in frames] == [portrait.truth_at(f.stamp) for f in frames]
    assert sum(f.truth_speaking for f in frames) == 4 * 4


def test_looped_it_goes_on_with_growing_stamps():
    portrait = Portrait(fps=1, size=(64, 64), loop=True)
    frames = list(islice(portrait.frames(), 85))
    assert [frame.stamp for frame in frames] == list(range(85))
    assert [f.truth for f in frames[:40]] == [f.truth for f in frames[40:80]]
    assert [f.truth_speaking for f in frames[:40]] == [f.truth_speaking for f in frames[40:80]]


def test_frames_are_pure_in_time_whatever_the_rate_and_order(portrait):
    other = Portrait(fps=30)
    later = other.image_at(12.0)
    assert np.array_equal(other.image_at(4.3), portrait.image_at(4.3))
    assert np.array_equal(later, portrait.image_at(12.0))


def test_the_person_moves_and_the_sensor_is_noisy(portrait):
    still = Portrait(noise=0.0)
    moved = still.image_at(5.5).astype(int) - still.image_at(4.5)
    assert np.abs(moved).mean() > 1.0
    away = portrait.image_at(19.0).astype(int)
    assert np.std(away - still.image_at(19.0)) == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize('size', [(512, 512), (640, 480), (240, 320)])
def test_absence_leaves_only_the_backdrop(size):
    portrait = Portrait(size=size)
    assert orange(portrait.image_at(1.0)).mean() > 0.02
    for t in (18.25, 19.5, 20.75):
        image = portrait.image_at(t).astype(int)
        assert not orange(image).any()
        # Grey and even: no edge anywhere, noise aside.
        assert image.min() > 150
        assert np.ptp(image, axis=2).max() < 40


@pytest.mark.parametrize('fps', [0.0, -5.0, float('nan'), float('inf')])
def test_a_rate_that_cannot_be_is_refused(fps):
    with pytest.raises(InputError, match='frames per second is out of range'):
        Portrait(fps=fps)


def test_a_size_too_small_for_a_face_is_refused():
    with pytest.raises(InputError, match='32x512 is too small'):
        Portrait(size=(32, 512))


def estimate(portrait: Portrait, source: str) -> list:
    """Return (frame, face or None) of one course."""
    pytest.importorskip('mediapipe', reason='no mediapipe here')
    from emotion_estimator.perception.pipeline import EmotionEstimator
    from emotion_estimator.settings import EstimatorSettings

    path = str(TASK) if source == 'face_landmarker' else ''
    settings = EstimatorSettings(landmark_source=source, face_landmarker_path=path)
    estimator = EmotionEstimator.load(settings)
    try:
        return [(frame, primary(estimator(frame))) for frame in portrait.frames()]
    finally:
        estimator.close()


def between_changes(portrait: Portrait, course: list) -> list:
    """Return the course without the frames near a change."""
    return [
        (frame, face)
        for frame, face in course
        if all(abs(frame.stamp - change) > MARGIN for change in portrait.changes())
    ]


@pytest.fixture(scope='module', params=[
    pytest.param('face_mesh', marks=needs_face_mesh),
    'face_landmarker',
])  # fmt: skip
def course(request, portrait):
    return estimate(portrait, request.param)


@pytest.fixture(scope='module')
def seen(course, portrait):
    return between_changes(portrait, course)


def test_the_face_is_seen_exactly_when_it_is_there(seen):
    assert [face is None for _, face in seen] == [frame.truth == 'none' for frame, _ in seen]


def check_agreement(seen):
    right = [frame.truth == (face.label if face else 'none') for frame, face in seen]
    assert np.mean(right) >= 0.9
    for truth in ('happy', 'unknown', 'sad'):
        assert np.mean([ok for ok, (frame, _) in zip(right, seen) if frame.truth == truth]) >= 0.75


def check_sad_is_found_soon(course, fps):
    """Two frames may be needed where they take longer than 0.3 s."""
    shown = min(frame.stamp for frame, _ in course if frame.truth == 'sad')
    found = min(frame.stamp for frame, face in course if face and face.label == 'sad')
    assert 0.0 <= found - shown <= max(0.3, 2 / fps) + 1e-6


def test_the_shipped_classifier_agrees_with_the_truth(seen):
    check_agreement(seen)


def test_sad_is_found_soon(course):
    check_sad_is_found_soon(course, 30)


@pytest.mark.parametrize('fps', [5, 10, 15])
@needs_face_mesh
def test_slower_rates_cost_neither_agreement_nor_time(fps):
    portrait = Portrait(fps=fps)
    course = estimate(portrait, 'face_mesh')
    check_agreement(between_changes(portrait, course))
    check_sad_is_found_soon(course, fps)


def median(seen: list, truth: str, name: str) -> float:
    i = BLENDSHAPE_NAMES.index(name)
    return float(np.median([face.blendshapes[i] for frame, face in seen if frame.truth == truth]))


def test_blendshapes_show_what_was_drawn(seen):
    for side in ('Left', 'Right'):
        assert median(seen, 'happy', f'mouthSmile{side}') > 0.7
        assert median(seen, 'unknown', f'mouthSmile{side}') < 0.1
        assert median(seen, 'unknown', f'mouthFrown{side}') < 0.1
        assert median(seen, 'sad', f'mouthSmile{side}') < 0.05
        assert median(seen, 'sad', f'eyeSquint{side}') > median(seen, 'unknown', f'eyeSquint{side}')
    assert median(seen, 'sad', 'browInnerUp') > median(seen, 'unknown', 'browInnerUp') + 0.1


def test_landmarks_show_a_wide_smile_and_drawn_corners(seen):
    def measure(truth):
        width, drop = [], []
        for frame, face in seen:
            if frame.truth == truth:
                left, right = face.landmarks[61, :2], face.landmarks[291, :2]
                middle = 0.5 * (face.landmarks[13, :2] + face.landmarks[14, :2])
                between_eyes = np.linalg.norm(face.landmarks[33, :2] - face.landmarks[263, :2])
                width.append(np.linalg.norm(right - left) / between_eyes)
                drop.append((0.5 * (left + right) - middle)[1] / between_eyes)
        return np.median(width), np.median(drop)

    (smile, up), (neutral, level), (sad, down) = map(measure, ('happy', 'unknown', 'sad'))
    assert smile > 1.15 * neutral
    assert smile > 1.1 * sad
    assert up < level < down


def test_landmarks_show_syllables_and_a_pause_in_speech(course):
    def opening(begin, end):
        """Return the distance between the lips, relative to the eyes', from begin to end."""
        found = []
        for frame, face in course:
            if begin <= frame.stamp < end:
                points = face.landmarks[:, :2]
                eyes = np.linalg.norm(points[33] - points[263])
                found.append(np.linalg.norm(points[13] - points[14]) / eyes)
        return np.array(found)

    rest, speech, pause = opening(27.0, 29.5), opening(30.0, 34.0), opening(31.7, 31.9)
    assert rest.max() < 0.03 > pause.max()
    assert speech.max() > 0.12
    wide = speech > 0.03
    # Of 15 syllables the shortest may fall between two frames.
    assert 11 <= np.count_nonzero(wide[1:] & ~wide[:-1]) <= 16
