from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.emotion import LABELS, FaceEmotion, Roi
from emotion_estimator.errors import InputError
from emotion_estimator.perception.primary_face import PrimaryFace

IMAGE = (640, 480)
RULES = ('largest', 'nearest_centre', 'longest_engaged')


def face(face_id, x=0, y=0, side=100, engaged=0.0):
    probabilities = np.ones(3, np.float32) / 3
    roi = Roi(x, y, side, side)
    return FaceEmotion(face_id, 'sad', 0.3, LABELS, probabilities, roi, engaged=engaged)


def choose(primary, *faces, alive=None):
    """Return the id of the primary one; ``alive`` are the ids not forgotten yet."""
    ids = {one.face_id for one in faces} if alive is None else set(alive)
    chosen = primary(faces, ids, IMAGE)
    return None if chosen is None else chosen.face_id


#: Of each rule: a face that it prefers clearly, and one that is better, but not clearly.
WORSE = {
    'largest': face('worse', side=100),
    'nearest_centre': face('worse', 50, 190),
    'longest_engaged': face('worse', engaged=3.0),
}
SLIGHTLY_BETTER = {
    'largest': face('slightly', side=111),
    'nearest_centre': face('slightly', 85, 190),
    'longest_engaged': face('slightly', engaged=3.9),
}
BETTER = {
    'largest': face('better', side=113),
    'nearest_centre': face('better', 95, 190),
    'longest_engaged': face('better', engaged=4.1),
}


@pytest.mark.parametrize('rule', RULES)
def test_the_first_frame_is_decided_by_the_rule_alone(rule):
    assert choose(PrimaryFace(rule), WORSE[rule], SLIGHTLY_BETTER[rule]) == 'slightly'
    assert choose(PrimaryFace(rule), BETTER[rule], WORSE[rule]) == 'better'


@pytest.mark.parametrize('rule', RULES)
def test_only_a_face_better_by_the_margin_takes_over(rule):
    primary = PrimaryFace(rule)
    assert choose(primary, WORSE[rule]) == 'worse'
    assert choose(primary, SLIGHTLY_BETTER[rule], WORSE[rule]) == 'worse'
    assert choose(primary, BETTER[rule], WORSE[rule]) == 'better'
    assert choose(primary, BETTER[rule], WORSE[rule]) == 'better'


@pytest.mark.parametrize('rule', RULES)
def test_a_face_missed_for_a_frame_is_primary_again(rule):
    primary = PrimaryFace(rule)
    worse, other = WORSE[rule], SLIGHTLY_BETTER[rule]
    choose(primary, worse)
    assert choose(primary, worse, other) == 'worse'
    assert choose(primary, other, alive=('worse', 'slightly')) == 'slightly'
    assert choose(primary, alive=('worse', 'slightly')) is None
    assert choose(primary, other, worse) == 'worse'


@pytest.mark.parametrize('rule', RULES)
def test_who_stood_in_stays_when_the_primary_face_is_forgotten(rule):
    primary = PrimaryFace(rule)
    choose(primary, BETTER[rule])
    assert choose(primary, WORSE[rule], alive=('better', 'worse')) == 'worse'
    assert choose(primary, WORSE[rule], SLIGHTLY_BETTER[rule]) == 'worse'


def test_a_face_that_came_closer_meanwhile_stays_primary():
    primary = PrimaryFace('largest')
    choose(primary, face('a'), face('b', side=50))
    assert choose(primary, face('b', side=80), alive='ab') == 'b'
    assert choose(primary, face('a'), face('b', side=150)) == 'b'


def test_before_anybody_looks_at_the_camera_the_largest_is_the_longest_engaged():
    assert choose(PrimaryFace('longest_engaged'), face('a', side=110), face('b')) == 'a'


def test_another_rule_decides_the_next_frame_and_the_same_one_changes_nothing():
    primary = PrimaryFace('largest')
    choose(primary, face('a', 270, 190))
    both = (face('a', 270, 190), face('b', 275, 190, side=105))
    primary.use('largest')
    assert choose(primary, *both) == 'a'
    primary.use('longest_engaged')
    assert choose(primary, *both) == 'b'
    primary.use('nearest_centre')
    assert choose(primary, *both) == 'a'


def test_an_unknown_rule_is_refused_and_the_old_one_stays():
    primary = PrimaryFace('largest')
    with pytest.raises(InputError, match='primary_face must be one of largest, '):
        primary.use('loudest')
    assert choose(primary, face('a'), face('b', side=105)) == 'b'


@given(rule=st.sampled_from(RULES), seed=st.integers(0, 999))
def test_nearly_equal_faces_never_make_it_flicker(rule, seed):
    rng, primary = random.Random(seed), PrimaryFace(rule)
    chosen = {
        choose(
            primary,
            *(
                face(
                    name,
                    270 + rng.randint(-8, 8),
                    190 + rng.randint(-8, 8),
                    rng.randint(95, 105),
                    engaged=rng.uniform(5.0, 5.9),
                )
                for name in rng.sample('abcd', 4)
            ),
        )
        for _ in range(30)
    }
    assert len(chosen) == 1


def off_centre(one):
    x, y, width, height = one.roi.as_list()
    return math.hypot(x + width / 2 - IMAGE[0] / 2, y + height / 2 - IMAGE[1] / 2)


SIGHTINGS = st.dictionaries(
    st.sampled_from('abcde'),
    st.tuples(
        st.integers(-50, 600),
        st.integers(-50, 400),
        st.integers(1, 300),
        st.floats(0, 9),
        st.booleans(),
    ),
)


@given(rule=st.sampled_from(RULES), frames=st.lists(SIGHTINGS, max_size=15), seed=st.integers(0, 9))
def test_in_any_frame_it_is_a_face_of_the_frame_none_clearly_better_whatever_the_order(
    rule, frames, seed
):
    rng, primary, mixed = random.Random(seed), PrimaryFace(rule), PrimaryFace(rule)
    for sightings in frames:
        faces = [face(i, *four) for i, (*four, detected) in sightings.items() if detected]
        chosen = primary(faces, set(sightings), IMAGE)
        assert mixed(rng.sample(faces, len(faces)), set(sightings), IMAGE) is chosen
        assert (chosen is None) == (not faces)
        if len(faces) == 1:
            assert chosen is faces[0]
        for other in faces:
            if rule == 'largest':
                assert other.roi.area <= 1.2501 * chosen.roi.area
            if rule == 'nearest_centre':
                assert off_centre(other) >= off_centre(chosen) - 0.0501 * math.hypot(*IMAGE)
            if rule == 'longest_engaged':
                assert other.engaged <= chosen.engaged + 1.0
