"""Results of one recording are aligned by their stamps, and their label changes matched."""

from __future__ import annotations

from itertools import pairwise

from courses import any_courses, course, frame
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emotion_estimator.replay.alignment import Change, Onset, align, match_changes, split_laps


@settings(deadline=None, max_examples=50)
@example([0.0, 0.5, 1.0], [1.0, 1.0], 1.0)
@given(
    st.lists(st.floats(0, 10), max_size=40).map(sorted),
    st.lists(st.floats(0, 10), max_size=40).map(sorted),
    st.floats(0, 1),
)
def test_pairs_are_one_to_one_ascending_within_the_tolerance_and_symmetric(these, those, tolerance):
    pairs = align(these, those, tolerance)
    assert all(i < k and j < n for (i, j), (k, n) in pairwise(pairs))
    assert all(abs(these[i] - those[j]) <= tolerance + 1e-6 for i, j in pairs)
    assert align(those, these, tolerance) == [(j, i) for i, j in pairs]
    # What is left over has no free partner: a pair of them would cross another, or has a neighbour
    # that is nearer.
    free = set(range(len(those))) - {j for _, j in pairs}
    for i in set(range(len(these))) - {i for i, _ in pairs}:
        for j in free:
            if abs(these[i] - those[j]) <= tolerance:
                rivals = [
                    (k, n)
                    for k, n in pairs
                    if (k - i) * (n - j) < 0 or k == i + 1 or n == j + 1 or k == i - 1
                ]
                assert rivals


def test_the_tolerance_may_be_longer_than_a_frame():
    thirty = [i / 30 for i in range(60)]
    assert align(thirty, thirty[1:], tolerance=0.05) == [(i + 1, i) for i in range(59)]
    assert align(thirty, thirty[10:20], tolerance=0.05) == [(i + 10, i) for i in range(10)]


def test_the_nearest_of_several_is_taken():
    assert align([0.0], [-0.004, 0.001, 0.003], 0.005) == [(0, 1)]
    assert align([0.0, 0.010], [0.006, 0.011], 0.007) == [(0, 0), (1, 1)]
    assert align([1.0, 1.0, 2.0], [1.0, 1.0, 2.0], 0.005) == [(0, 0), (1, 1), (2, 2)]


def test_the_tolerance_itself_is_still_the_same_frame():
    begin = 1.7e9
    assert align([begin], [begin + 0.005], 0.005) == [(0, 0)]
    assert align([begin], [begin + 0.0051], 0.005) == []


@settings(deadline=None, max_examples=50)
@given(any_courses())
def test_laps_ascend_and_are_the_course(frames):
    split = split_laps(frames)
    taken = iter(frames)
    for lap in split:
        of_file = [next(taken) for _ in lap]
        assert sorted(map(id, lap)) == sorted(map(id, of_file))
    assert next(taken, None) is None
    for lap in split:
        assert all(a.stamp <= b.stamp for a, b in pairwise(lap))


def test_equal_stamps_begin_no_lap():
    assert len(split_laps([frame(1.0, 'sad'), frame(1.0, 'happy'), frame(1.1, 'sad')])) == 1


def test_a_late_frame_begins_no_lap():
    in_order = course(['happy'] * 10 + ['sad'] * 10, begin=1.7e9)
    swapped = [*in_order[:9], in_order[10], in_order[9], *in_order[11:]]
    assert split_laps(swapped) == [tuple(in_order)]


def test_a_step_back_by_more_than_transport_mixes_up_begins_a_lap():
    stamps = [0.0, 0.1, 0.5, 0.26, 0.24, 0.3]
    split = split_laps([frame(stamp, 'sad') for stamp in stamps])
    assert [[each.stamp for each in lap] for lap in split] == [[0.0, 0.1, 0.26, 0.5], [0.24, 0.3]]


def test_an_actual_change_before_the_expected_label_s_last_one_matches_nothing():
    expected = [Change(0, 2.0, 'sad'), Change(0, 3.0, 'happy')]
    early = Change(0, 1.9, 'happy')
    assert match_changes(expected, [early]) == ([Onset(each, None) for each in expected], [early])


def test_an_actual_change_matches_once():
    expected = [Change(0, 1.0, 'happy'), Change(0, 2.0, 'sad'), Change(0, 2.0, 'happy')]
    onsets, added = match_changes(expected, [Change(0, 2.0, 'happy')])
    assert [each.shift for each in onsets] == [1.0, None, None]
    assert added == []
