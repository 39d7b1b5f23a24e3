from __future__ import annotations

import logging
import random
from dataclasses import replace

import numpy as np
import pytest
from mean_head import mean_head

from emotion_estimator.affect import affect
from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import EXPRESSIONS, Roi, primary
from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame
from emotion_estimator.perception.appearance import Branches
from emotion_estimator.perception.classifier import Answer
from emotion_estimator.perception.landmarks.base import FaceLandmarks
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.settings import EstimatorSettings

IMAGE = np.zeros((200, 200, 3), np.uint8)
PICTURE = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
#: Probabilities of the seven expressions: of a face at rest, and of a glad one.
RESTING = np.array([0, 0, 0, 0.1, 0, 0, 0.9], np.float32)
GLAD = np.array([0, 0, 0, 0.9, 0, 0, 0.1], np.float32)
LEFT, RIGHT = Roi(0, 0, 30, 30), Roi(60, 0, 40, 40)


def looking(roi, *, away=False):
    """Return landmarks that span ``roi``, of a head that looks at the camera or far to the side."""
    middle = (roi.x + roi.width / 2, roi.y + roi.height / 2)
    landmarks = mean_head(yaw=60 if away else 0, size=roi.width / 18, place=middle)
    # Two points that say nothing of the pose.
    landmarks[[0, 17], :2] = (roi.x, roi.y), (roi.x + roi.width, roi.y + roi.height)
    return landmarks


class ScriptedLandmarker:
    """Returns the boxes of a script; records the stamps it was given."""

    name = 'scripted'

    def __init__(self, *rois):
        self.rois = rois
        self.away = ()
        self.landmarks_of = lambda roi: looking(roi, away=roi in self.away)
        self.resets = 0
        self.stamps = []
        self.closed = False

    def __call__(self, frame):
        self.stamps.append(frame.stamp)
        blendshapes = np.full(len(BLENDSHAPE_NAMES), 0.1, np.float32)
        return tuple(FaceLandmarks(self.landmarks_of(roi), blendshapes, roi) for roi in self.rois)

    def reset(self):
        self.resets += 1

    def close(self):
        self.closed = True


class CountingClassifier:
    """Its state is the number of frames it saw; certain of happy from the third on."""

    labels = ('happy', 'unknown', 'sad')
    expressions = EXPRESSIONS
    title = 'counting-1'
    neutral = None

    def __init__(self):
        self.steps = []
        #: The blendshapes and embeddings it was given.
        self.given = []
        self.glad = False

    def initial_state(self):
        return 0

    def step(self, blendshapes, state, dt, embedding):
        self.steps.append((state, dt))
        self.given.append((blendshapes, embedding))
        happy = 0.9 if state >= 2 else 0.05
        seven = GLAD if self.glad else RESTING
        return Answer(np.array([happy, 0.95 - happy, 0.05], np.float32), seven, state + 1)

    def still(self, blendshapes, embedding):
        self.given.append((blendshapes, embedding))
        return Answer(np.array([0.1, 0.2, 0.7], np.float32), GLAD, 0)


class MeanGrey:
    """Stands in for the appearance network: the mean of the crop, twice."""

    size = 2

    def __call__(self, crop):
        assert crop.shape == (48, 48)
        return np.full(2, crop.mean(), np.float32)


@pytest.fixture
def made():
    landmarker, classifier = ScriptedLandmarker(LEFT), CountingClassifier()
    estimator = EmotionEstimator.from_parts(landmarker, classifier)
    return estimator, landmarker, classifier


def run(estimator, stamps):
    return [estimator(Frame(IMAGE, stamp)) for stamp in stamps]


def test_state_is_carried_from_frame_to_frame(made):
    estimator, _, classifier = made
    results = run(estimator, [0.0, 0.1, 0.2, 0.3])
    assert [state for state, _ in classifier.steps] == [0, 1, 2, 3]
    assert [dt for _, dt in classifier.steps[1:]] == pytest.approx([0.1] * 3)
    assert [faces[0].label for faces in results] == ['unknown', 'unknown', 'happy', 'happy']
    face = results[-1][0]
    assert face.confidence == pytest.approx(0.9)
    assert face.roi == LEFT
    assert face.model == 'counting-1'


def test_each_face_has_its_own_state_and_the_largest_comes_first(made):
    estimator, landmarker, classifier = made
    run(estimator, [0.0, 0.1])
    landmarker.rois = (LEFT, RIGHT)
    (faces,) = run(estimator, [0.2])
    assert [face.roi for face in faces] == [RIGHT, LEFT]
    assert [state for state, _ in classifier.steps[2:]] == [2, 0]
    assert primary(faces) is faces[0]


def test_the_primary_face_comes_first_then_the_others_by_size(made):
    estimator, landmarker, _ = made
    small, middle, large = Roi(85, 85, 30, 30), Roi(0, 0, 40, 40), Roi(140, 0, 60, 60)
    landmarker.rois = (middle, small, large)
    order = {
        'largest': [large, middle, small],
        'nearest_centre': [small, large, middle],
    }
    for k, (rule, rois) in enumerate(order.items()):
        estimator.apply(EstimatorSettings(primary_face=rule))
        (faces,) = run(estimator, [k / 10])
        assert [face.roi for face in faces] == rois


def test_who_looks_longest_at_the_camera_is_primary(made):
    estimator, landmarker, _ = made
    estimator.apply(EstimatorSettings(primary_face='longest_engaged'))
    landmarker.rois = (LEFT, RIGHT)
    landmarker.away = (RIGHT,)
    stamps = [k / 8 for k in range(12)]
    results = run(estimator, stamps)
    assert [faces[0].roi for faces in results] == [RIGHT] * 8 + [LEFT] * 4
    assert [face.engaged for face in results[-1]] == [stamps[-1], 0.0]
    landmarker.away = (LEFT, RIGHT)
    assert [face.engaged for face in run(estimator, [stamps[-1] + 0.5])[0]] == [stamps[-1], 0.0]


def test_the_primary_face_undetected_for_a_frame_is_primary_again(made):
    estimator, landmarker, _ = made
    nearly = Roi(100, 100, 42, 42)
    seen = []
    for k, rois in enumerate([(RIGHT,), (nearly, RIGHT), (nearly,), (), (nearly, RIGHT)]):
        landmarker.rois = rois
        (faces,) = run(estimator, [k / 10])
        seen.append(None if primary(faces) is None else primary(faces).roi)
    assert seen == [RIGHT, RIGHT, nearly, None, RIGHT]


def test_faces_that_cross_keep_their_states(made):
    estimator, landmarker, classifier = made
    for k in range(61):
        landmarker.rois = (Roi(2 * k, 50, 40, 40), Roi(120 - 2 * k, 54, 44, 44))[:: 1 - 2 * (k % 2)]
        faces = estimator(Frame(IMAGE, k / 30))
        assert {face.roi.width: face.face_id for face in faces} == {40: 'face_1', 44: 'face_2'}
    assert [state for state, _ in classifier.steps[-2:]] == [60, 60]


def test_faces_that_come_and_go_all_the_time_leave_nothing_behind(made):
    estimator, landmarker, _ = made
    estimator.apply(EstimatorSettings(face_timeout=10.0))
    rng = random.Random(0)
    for k in range(3000):
        landmarker.rois = tuple(
            Roi(rng.randrange(160), rng.randrange(160), 20 + n, 20 + n)
            for n in range(rng.randrange(5))
        )
        assert len(estimator(Frame(IMAGE, k / 30))) == len(landmarker.rois)
        assert len(estimator._memories) <= 64
    landmarker.rois = ()
    run(estimator, [100.0 + k for k in range(11)])
    assert estimator.resets == 0
    assert estimator._memories == {}


def test_a_landmarker_that_finds_more_than_asked_for_is_believed(made):
    estimator, landmarker, _ = made
    landmarker.rois = tuple(Roi(12 * n, 12 * n, 10, 10) for n in range(16))
    first, second = run(estimator, [0.0, 0.1])
    assert len({face.face_id for face in first}) == 16
    assert [face.face_id for face in first] == [face.face_id for face in second]


def test_settings_change_between_frames_without_loss(made):
    estimator, landmarker, classifier = made
    settings = EstimatorSettings()
    run(estimator, [0.0, 0.1])
    estimator.apply(replace(settings, face_timeout=3.0, reset_gap=5.0))
    landmarker.rois = ()
    run(estimator, [0.2, 2.5])
    landmarker.rois = (LEFT,)
    assert run(estimator, [2.9])[0][0].face_id == 'face_1'
    assert classifier.steps[-1] == (2, pytest.approx(2.8))
    estimator.apply(settings)
    assert run(estimator, [3.0])[0][0].face_id == 'face_1'
    assert estimator.resets == 0
    assert run(estimator, [4.5])[0][0].face_id == 'face_2'
    assert estimator.resets == 1


def test_settings_that_are_refused_change_nothing(made):
    estimator, *_ = made
    run(estimator, [0.0])
    with pytest.raises(InputError, match='primary_face must be one of'):
        estimator.apply(EstimatorSettings(primary_face='loudest', reset_gap=60.0))
    run(estimator, [2.0])
    assert estimator.resets == 1


def test_a_lost_face_comes_back_as_another_with_fresh_state(made):
    estimator, landmarker, classifier = made
    first = run(estimator, [0.0, 0.1])[-1][0].face_id
    landmarker.rois = ()
    assert run(estimator, [0.3, 0.7]) == [(), ()]
    landmarker.rois = (LEFT,)
    second = run(estimator, [0.9])[-1][0].face_id
    assert second != first
    assert classifier.steps[-1][0] == 0


def test_a_short_loss_keeps_state_and_counts_its_time(made):
    estimator, landmarker, classifier = made
    run(estimator, [0.0])
    landmarker.rois = ()
    run(estimator, [0.2])
    landmarker.rois = (LEFT,)
    run(estimator, [0.4])
    assert classifier.steps[-1] == (1, pytest.approx(0.4))


@pytest.mark.parametrize('jump', [-0.5, 1.5, -1e6, 1e6])
def test_a_jump_in_time_resets_everything(made, jump):
    estimator, landmarker, classifier = made
    before = run(estimator, [0.0, 0.1, 0.2])[-1][0].face_id
    after = run(estimator, [0.2 + jump])[-1][0].face_id
    assert landmarker.resets == estimator.resets == 1
    assert classifier.steps[-1][0] == 0
    assert after != before


def test_one_jump_in_a_hundred_is_logged_with_what_to_do(made, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger('emotion_estimator'), 'propagate', True)
    caplog.set_level(logging.INFO, 'emotion_estimator')
    estimator, *_ = made
    run(estimator, [0.0, 50.0] * 101)
    assert estimator.resets == 201
    logged = [record.getMessage() for record in caplog.records]
    assert [f'jump {n};' in line for n, line in zip((1, 101, 201), logged)] == [True] * 3
    assert len(logged) == 3
    assert 'more than one camera publishes on this topic' in logged[0]


def test_the_same_stamp_twice_is_no_jump(made):
    estimator, landmarker, classifier = made
    run(estimator, [0.5, 0.5])
    assert landmarker.resets == 0
    state, dt = classifier.steps[-1]
    assert state == 1
    assert dt > 0


@pytest.mark.parametrize(
    ('frame', 'says'),
    [
        (Frame(np.zeros((5, 5), np.uint8), 0.2), 'of shape (5, 5)'),
        (Frame(IMAGE, float('nan')), 'stamp must be a finite number'),
    ],
)
def test_a_bad_frame_is_refused_and_changes_nothing(made, frame, says):
    estimator, landmarker, classifier = made
    run(estimator, [0.0, 0.1])
    with pytest.raises(InputError) as caught:
        estimator(frame)
    assert says in str(caught.value)
    run(estimator, [0.2])
    assert landmarker.resets == 0
    assert classifier.steps[-1][0] == 2


def test_stills_are_classified_as_stills(made):
    estimator, landmarker, _ = made
    landmarker.rois = (LEFT, RIGHT)
    faces = estimator.still(IMAGE)
    assert [(face.face_id, face.roi, face.label) for face in faces] == [
        ('face_1', RIGHT, 'sad'),
        ('face_2', LEFT, 'sad'),
    ]


def test_closing_frees_the_landmark_source(made):
    estimator, landmarker, _ = made
    estimator.close()
    assert landmarker.closed


def test_a_face_as_json_has_the_contracts_fields(made):
    estimator, *_ = made
    ((face,),) = run(estimator, [0.0])
    assert face.to_dict() == {
        'face_id': 'face_1',
        'label': 'unknown',
        'confidence': 0.9,
        'probabilities': {'happy': 0.05, 'unknown': 0.9, 'sad': 0.05},
        'roi': [0, 0, 30, 30],
        'valence': 0.081,
        'arousal': 0.051,
        'head_pose': {'yaw': 0.0, 'pitch': 0.0, 'roll': 0.0},
        'gaze': {'yaw': -0.9, 'pitch': 4.3},
        'looks_at_camera': True,
        'speaking': 0.0,
        'is_speaking': False,
    }


def given(branches, landmarks_of, image=PICTURE):
    """Return what the classifier was given of one face in a frame, and in a still if found."""
    landmarker, classifier = ScriptedLandmarker(RIGHT), CountingClassifier()
    estimator = EmotionEstimator.from_parts(landmarker, classifier, reader=branches)
    assert estimator.branches == branches.name
    landmarker.landmarks_of = landmarks_of
    assert len(estimator(Frame(image, 0.0))) == 1
    stills = estimator.still(image)
    assert len(classifier.given) == 1 + len(stills)
    return classifier.given


def in_the_middle(roi):
    landmarks = looking(roi)
    landmarks[[33, 133, 362, 263], 0] = (80, 95, 105, 120)
    landmarks[[33, 133, 362, 263], 1] = 90
    landmarks[[168, 6, 197], :2] = (100, 95)
    landmarks[[127, 234], :2] = (70, 95)
    landmarks[[356, 454], :2] = (130, 95)
    landmarks[10, :2] = (100, 60)
    return landmarks


def outside(roi):
    return in_the_middle(roi) + np.float32(300)


@pytest.mark.parametrize(
    ('branches', 'scores', 'picture'),
    [
        (Branches(None), True, False),
        (Branches(MeanGrey()), True, True),
        (Branches(MeanGrey(), alone=True), False, True),
    ],
    ids=lambda value: getattr(value, 'name', None),
)
def test_the_classifier_is_given_what_the_branches_say(branches, scores, picture):
    seen = given(branches, in_the_middle)
    assert len(seen) == 2
    for blendshapes, embedding in seen:
        assert (blendshapes is not None, embedding is not None) == (scores, picture)
        assert not picture or embedding == pytest.approx(np.full(2, 128), abs=10)


@pytest.mark.parametrize('alone', [False, True])
@pytest.mark.parametrize(
    ('landmarks_of', 'image'),
    [
        (outside, PICTURE),
        (in_the_middle, IMAGE),
        (lambda roi: np.full((478, 3), 50, np.float32), PICTURE),
    ],
    ids=['outside', 'dark', 'no face'],
)
def test_of_a_face_without_a_picture_the_blendshapes_are_read(alone, landmarks_of, image):
    branches = Branches(MeanGrey(), alone=alone)
    for blendshapes, embedding in given(branches, landmarks_of, image):
        assert embedding is None
        assert blendshapes is not None


def test_an_improbable_label_becomes_unknown_from_the_next_frame_on(made):
    estimator, *_ = made
    run(estimator, [0.0, 0.1, 0.2])
    assert run(estimator, [0.3])[0][0].label == 'happy'
    estimator.apply(EstimatorSettings(abstain_below=0.95))
    ((face,),) = run(estimator, [0.4])
    assert (face.label, face.confidence) == ('unknown', pytest.approx(0.9))
    estimator.apply(EstimatorSettings())
    assert run(estimator, [0.5])[0][0].label == 'happy'


def test_thresholds_choose_in_the_stream_and_in_stills(made):
    estimator, *_ = made
    run(estimator, [0.0, 0.1, 0.2])
    estimator.apply(EstimatorSettings(happy_threshold=0.95, sad_threshold=0.75))
    ((face,),) = run(estimator, [0.3])
    assert (face.label, face.confidence) == ('unknown', pytest.approx(0.05))
    assert face.probabilities == pytest.approx([0.9, 0.05, 0.05]), 'only the label changes'
    assert estimator.still(IMAGE)[0].label == 'unknown'
    estimator.apply(EstimatorSettings(happy_threshold=0.9, sad_threshold=0.7))
    assert run(estimator, [0.4])[0][0].label == 'happy'
    assert estimator.still(IMAGE)[0].label == 'sad'
    estimator.apply(EstimatorSettings(happy_threshold=0.9, sad_threshold=0.7, abstain_below=0.8))
    (still,) = estimator.still(IMAGE)
    assert (still.label, still.confidence) == ('unknown', pytest.approx(0.7))


def test_a_threshold_for_a_label_that_the_model_lacks_is_named_once(made, caplog):
    estimator, _, classifier = made
    classifier.labels = ('happy', 'unknown', 'pensive')
    with caplog.at_level(logging.WARNING):
        estimator.apply(EstimatorSettings(happy_threshold=0.5))
        assert not caplog.records
        estimator.apply(EstimatorSettings(sad_threshold=0.5))
        estimator.apply(EstimatorSettings(sad_threshold=0.6, abstain_below=0.1))
    (record,) = caplog.records
    assert record.getMessage() == (
        'sad_threshold has no effect: the labels of counting-1 are happy, unknown, pensive'
    )
    assert estimator.still(IMAGE)[0].label == 'pensive'


def test_valence_and_arousal_are_of_the_seven_expressions(made):
    estimator, _, classifier = made
    classifier.glad = True
    ((face,),) = run(estimator, [0.0])
    assert (face.valence, face.arousal) == pytest.approx(affect(zip(EXPRESSIONS, GLAD)))


def test_a_faces_own_look_is_taken_out_once_it_is_known(made):
    estimator, _, classifier = made
    estimator.apply(EstimatorSettings(neutral_baseline=0.5))
    stamps = [k / 10 for k in range(20)]
    faces = run(estimator, stamps)
    seen = faces[-1][0].blendshapes
    assert (seen == np.float32(0.1)).all(), 'the result has the uncorrected blendshapes'
    changed = [not np.array_equal(scores, seen) for scores, _ in classifier.given]
    assert changed.index(True) in (5, 6)
    assert all(changed[6:])
    estimator.apply(EstimatorSettings())
    run(estimator, [2.0])
    np.testing.assert_array_equal(classifier.given[-1][0], seen)


def test_a_glad_or_averted_face_is_not_taken_for_one_at_rest(made):
    estimator, landmarker, classifier = made
    estimator.apply(EstimatorSettings(neutral_baseline=0.5))
    classifier.glad = True
    run(estimator, [k / 10 for k in range(10)])
    classifier.glad, landmarker.away = False, (LEFT,)
    run(estimator, [1 + k / 10 for k in range(10)])
    for scores, _ in classifier.given:
        assert (scores == np.float32(0.1)).all()


def test_each_face_has_its_own_look_at_rest(made):
    estimator, landmarker, classifier = made
    estimator.apply(EstimatorSettings(neutral_baseline=0.5))
    run(estimator, [k / 10 for k in range(9)])
    landmarker.rois = (LEFT, RIGHT)
    run(estimator, [0.9])
    (first, _), (second, _) = classifier.given[-2:]
    assert not np.array_equal(first, second)
    assert (second == np.float32(0.1)).all()
