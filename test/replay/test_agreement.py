"""Labels against the truth, frame by frame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.emotion import LABELS, NONE
from emotion_estimator.replay.comparison import Tally, agreement, change_times

TRUTH = [(i / 10, 'happy' if i < 20 else 'sad') for i in range(40)]


def test_frames_are_matched_by_their_stamp():
    labels = [(stamp + 1e-8, label) for stamp, label in TRUTH if stamp > 1]
    found = agreement(TRUTH, labels)
    assert found.overall == Tally(29, 29)
    assert found.overall.share == 1.0


def test_a_late_label_counts_against_overall_but_not_outside_the_margin():
    # The label follows 0.2 s late.
    labels = [(i / 10, 'happy' if i < 22 else 'sad') for i in range(40)]
    found = agreement(TRUTH, labels)
    assert change_times(TRUTH) == [pytest.approx(1.95)]
    assert found.overall == Tally(40, 38)
    assert found.settled == Tally(34, 34)
    assert found.per_label == {'happy': Tally(17, 17), 'sad': Tally(17, 17)}


def test_each_label_has_its_own_tally():
    found = agreement(TRUTH, [(stamp, 'happy') for stamp, _ in TRUTH], margin=0.0)
    assert found.per_label == {'happy': Tally(20, 20), 'sad': Tally(20, 0)}
    assert found.overall.share == 0.5


def test_nothing_to_compare():
    assert agreement([], [(0.0, 'happy')]) is None
    assert agreement(TRUTH, []) is None
    assert agreement(TRUTH, [(100.0, 'happy')]) is None
    only_changes = agreement([(0.0, 'sad'), (0.1, 'happy')], [(0.0, 'sad')])
    assert only_changes.settled.share is None


@given(
    st.lists(st.tuples(*[st.sampled_from([*LABELS, NONE])] * 2), min_size=1, max_size=60),
    st.floats(0, 2),
)
def test_settled_is_what_no_change_is_near(pairs, margin):
    truth = [(i / 10, right) for i, (right, _) in enumerate(pairs)]
    labels = [(i / 10, label) for i, (_, label) in enumerate(pairs)]
    found = agreement(truth, labels, margin)
    near = [any(abs(i / 10 - c) <= margin for c in change_times(truth)) for i in range(len(pairs))]
    assert found.settled.frames == near.count(False)
    agreed = sum(right == label for (right, label), n in zip(pairs, near) if not n)
    assert found.settled.agreed == agreed
    assert sum(t.frames for t in found.per_label.values()) == found.settled.frames
    assert found.overall.frames == len(pairs)
