"""Two results are compared frame by frame: equal ones agree, planted differences are found."""

from __future__ import annotations

import dataclasses
import json
import math
import weakref
from collections import Counter
from itertools import zip_longest

import numpy as np
import pytest
from courses import any_courses, course, face, frame
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from emotion_estimator.bags.stamp_order import WINDOW
from emotion_estimator.emotion import LABELS, NONE
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult, write_results
from emotion_estimator.replay.alignment import ROUNDING, Change, Onset, match_changes
from emotion_estimator.replay.comparison import TOLERANCE, Tally, compare, distance
from emotion_estimator.replay.comparison_report import as_dict, table
from emotion_estimator.replay.pictures import draw_comparison
from emotion_estimator.replay.results import load_results
from emotion_estimator.timeline import stretches

NAMES = (*LABELS, NONE)
briefly = settings(deadline=None, max_examples=50)
labels = st.lists(st.sampled_from(NAMES), min_size=1, max_size=40)


# --- the same is the same


@briefly
@given(any_courses())
def test_a_course_is_itself(frames):
    same = compare(frames, frames)
    assert same.overall == Tally(len(frames), len(frames))
    assert all(tally.share == 1 for tally in same.per_label.values())
    assert not (same.missing or same.extra or same.lost or same.added or same.differing)
    assert not (same.miscounted or same.misread_others)
    assert set(same.shifts) <= {0.0}
    assert set(same.differences) <= {0.0}
    shown = as_dict(same)
    json.dumps(shown, allow_nan=False)
    assert shown['expected'] == shown['actual']
    assert shown['first_difference'] is None
    assert 'no label differs' in '\n'.join(table(same))


@briefly
@given(labels, labels)
def test_exchanging_the_two_exchanges_missing_and_extra_only(these, those):
    expected, actual = course(these), course(those, begin=0.2)
    assume(len(these) > 2)
    there, back = compare(expected, actual), compare(actual, expected)
    assert there.overall == back.overall
    assert there.differences == back.differences
    assert list(there.missing) == list(back.extra)
    assert list(there.extra) == list(back.missing)
    assert len(there.miscounted) == len(back.miscounted)


@briefly
@given(labels, labels, st.floats(-TOLERANCE, TOLERANCE))
def test_a_shift_within_the_tolerance_changes_nothing(these, those, shift):
    expected, actual = course(these), course(those)
    moved = [dataclasses.replace(each, stamp=each.stamp + shift) for each in actual]
    before, after = compare(expected, actual), compare(expected, moved)
    ours, theirs = as_dict(before), as_dict(after)
    for shown in (ours, theirs):
        del shown['actual']
        # Six decimals of an extra frame's stamp, which keeps its own time.
        del shown['onsets']
    if len(those) <= len(these):
        assert before.onsets == after.onsets
    assert ours == theirs


@briefly
@given(st.lists(st.sampled_from(LABELS), min_size=1, max_size=40), st.data())
def test_a_planted_label_is_found_at_its_stamp(these, data):
    at = data.draw(st.integers(0, len(these) - 1))
    other = data.draw(st.sampled_from([name for name in NAMES if name != these[at]]))
    expected = course(these, begin=1.7e9)
    found = compare(expected, course([*these[:at], other, *these[at + 1 :]], begin=1.7e9))
    (pair,) = found.differing
    assert pair.stamp == expected[at].stamp
    assert found.overall == Tally(len(these), len(these) - 1)
    assert found.per_label[these[at]].agreed == these.count(these[at]) - 1
    first = as_dict(found)['first_difference']
    assert (first['expected'], first['actual']) == (these[at], other)
    assert f'{expected[at].stamp:.3f}' in table(found)[-1]


@briefly
@given(st.integers(0, 29), st.floats(0.01, 0.15))
def test_a_planted_probability_is_found_at_its_stamp(at, by):
    expected = course(['happy'] * 30)
    actual = [*expected[:at], frame(expected[at].stamp, 'happy', 0.8 - by), *expected[at + 1 :]]
    found = compare(expected, actual)
    assert found.overall.share == 1
    assert found.most_different.stamp == expected[at].stamp
    assert found.most_different.difference == pytest.approx(by, abs=1e-6)
    assert np.mean(found.differences) == pytest.approx(by / 30, abs=1e-6)


@briefly
@given(labels.filter(lambda these: len(these) > 1), st.data())
def test_a_lost_frame_is_missing_and_extra_the_other_way_round(these, data):
    at = data.draw(st.integers(0, len(these) - 1))
    complete = course(these)
    found = compare(complete, [*complete[:at], *complete[at + 1 :]])
    assert [each.stamp for each in found.missing] == [complete[at].stamp]
    assert not found.extra
    assert found.overall.share == 1
    assert f'first missing at {complete[at].stamp:.3f}' in '\n'.join(table(found))
    assert [
        each.stamp for each in compare([*complete[:at], *complete[at + 1 :]], complete).extra
    ] == [complete[at].stamp]


def test_a_late_frame_is_the_same_frame():
    in_order = course(['happy'] * 10 + ['sad'] * 10, begin=1.7e9)
    found = compare(in_order, [*in_order[:9], in_order[10], in_order[9], *in_order[11:]])
    assert (found.overall, len(found.missing), len(found.extra)) == (Tally(20, 20), 0, 0)


# --- changes of the label


def test_onsets_later_earlier_lost_and_added():
    expected = course(['unknown'] * 10 + ['happy'] * 10 + ['sad'] * 10 + ['unknown'] * 10)
    actual = course(
        ['unknown'] * 12 + ['happy'] * 7 + ['sad'] * 3 + ['happy'] * 1 + ['sad'] * 17
    )  # fmt: skip
    found = compare(expected, actual)
    assert [(each.change.label, each.shift) for each in found.onsets] == [
        ('happy', pytest.approx(0.2)),
        ('sad', pytest.approx(-0.1)),
        ('unknown', None),
    ]
    assert [(each.label, each.stamp) for each in found.added] == [
        ('happy', pytest.approx(2.2)),
        ('sad', pytest.approx(2.3)),
    ]
    shown = as_dict(found)['onsets']
    assert shown == {
        'count': 3, 'lost': 1, 'added': 2, 'median_shift': 0.05, 'p95_shift': 0.195,
        'worst_shift': 0.2,
    }  # fmt: skip
    words = '\n'.join(table(found))
    assert 'most at 1.000: actual changes to happy 0.200 s later than expected' in words
    assert 'first lost at 3.000: expected changes to unknown, actual does not' in words


def test_a_label_that_comes_after_the_expected_one_left_matches_nothing():
    expected = course(['unknown'] * 5 + ['happy'] * 2 + ['unknown'] * 10)
    actual = course(['unknown'] * 9 + ['happy'] * 2 + ['unknown'] * 6)
    found = compare(expected, actual)
    assert found.onsets[0] == Onset(Change(0, pytest.approx(0.5), 'happy'), None)
    assert found.onsets[1].shift == pytest.approx(0.4)
    # Late by its own duration is still a match.
    late = compare(expected, course(['unknown'] * 7 + ['happy'] * 2 + ['unknown'] * 8))
    assert [each.shift for each in late.onsets] == [pytest.approx(0.2)] * 2


def test_the_worst_shift_may_be_an_early_one():
    expected = course(['unknown'] * 10 + ['happy'] * 10 + ['sad'] * 10)
    found = compare(expected, course(['unknown'] * 11 + ['happy'] * 6 + ['sad'] * 13))
    assert as_dict(found)['onsets']['worst_shift'] == -0.3
    assert 'at 2.000: actual changes to sad 0.300 s earlier than' in '\n'.join(table(found))


def test_settled_frames_are_those_away_from_a_change():
    expected = course(['happy'] * 20 + ['sad'] * 20)
    late = compare(expected, course(['happy'] * 22 + ['sad'] * 18))
    assert late.overall == Tally(40, 38)
    assert all(pair.agrees for pair in late.settled(0.15))
    # The change is at 2.0: 1.85 to 2.15 holds the frames 1.9, 2.0 and 2.1.
    assert len(late.settled(0.15)) == 37


# --- faces


def test_other_faces_are_counted_and_compared():
    expected = [frame(0.0, 'happy'), frame(0.1, 'happy', others=['sad']), frame(0.2, 'sad')]
    actual = [frame(0.0, 'happy', others=['sad']), frame(0.1, 'happy', others=['unknown']),
              frame(0.2, 'sad')]  # fmt: skip
    found = compare(expected, actual)
    assert found.overall.share == 1
    assert [pair.stamp for pair in found.miscounted] == [0.0]
    assert [pair.stamp for pair in found.misread_others] == [0.1]
    assert 'first at 0.000: faces: expected 1, actual 2' in '\n'.join(table(found))


def test_a_face_that_one_course_lacks_differs_in_label_not_in_probability():
    found = compare(course(['happy', 'happy']), course(['happy', NONE]))
    assert [pair.labels for pair in found.differing] == [('happy', NONE)]
    assert tuple(found.differences) == (0.0,)
    nobody = compare(course([NONE]), course([NONE]))
    assert nobody.overall.share == 1
    assert nobody.most_different is None
    assert 'no frame with a face in both' in '\n'.join(table(nobody))
    assert as_dict(nobody)['probability_difference'] is None


def test_a_class_that_only_one_model_knows_has_no_probability_in_the_other():
    wide = [FrameResult(0.0, (face('angry', 0.6, ('happy', 'sad', 'angry')),))]
    narrow = [FrameResult(0.0, (face('sad', 0.7, ('happy', 'sad')),))]
    found = compare(narrow, wide)
    assert tuple(found.differences) == (pytest.approx(0.6),)
    assert 'only actual has angry' in '\n'.join(table(found))
    strange = [FrameResult(0.0, (face('joy', 0.7, ('joy', 'fear')),))]
    with pytest.raises(InputError, match=r'has the labels happy, sad; new.jsonl fear, joy: none'):
        compare(narrow, strange, names=('old.jsonl', 'new.jsonl'))


# --- time that jumps back


def test_laps_are_compared_with_laps_of_the_same_number():
    once = course(['happy'] * 5 + ['sad'] * 5)
    twice = [*once, *once]
    assert compare(twice, twice).overall == Tally(20, 20)
    short = compare(twice, once)
    assert (len(short.pairs), len(short.missing), len(short.extra)) == (10, 10, 0)
    assert {each.lap for each in short.missing} == {1}
    other = compare(twice, [*once, *course(['happy'] * 10)])
    assert other.differing[0].lap == 1
    assert 'at 0.500 (lap 2): expected sad, actual happy' in table(other)[-1]
    # From the last frame of a lap to the first of the next is no change of the label.
    assert as_dict(other)['expected']['flips'] == 2


# --- what cannot be compared


@pytest.mark.parametrize(
    ('expected', 'actual', 'says'),
    [
        ([], course(['sad']), 'a.jsonl holds no frames'),
        (course(['sad']), [], 'b.jsonl holds no frames'),
        ([], [], 'a.jsonl holds no frames'),
        (course(['sad'] * 3), course(['sad'], begin=9), r'stamps 0.000 to 0.200 s\) has a counter'),
        ([frame(math.nan, 'sad')], course(['sad']), 'a.jsonl: the stamp of frame 1 is not finite'),
        (course(['sad']), [frame(0.0, 'sad'), frame(math.inf, 'sad')], 'the stamp of frame 2'),
        (course(['sad']), [frame(0.0, 'sad', math.nan)], r'frame 1 \(stamp 0.000\) gives .* nan'),
        ([frame(0.0, 'happy', 1.01)], course(['sad']), r'a.jsonl: frame 1 .* probability 1.01'),
        ([frame(0.0, 'happy', -0.5)], course(['sad']), r'gives happy the probability -0.5,'),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_one_clear_line(expected, actual, says):
    with pytest.raises(InputError, match=says) as caught:
        compare(expected, actual, names=('a.jsonl', 'b.jsonl'))
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('tolerance', [-0.1, math.nan, math.inf])
def test_a_tolerance_is_a_time(tolerance):
    with pytest.raises(InputError, match='tolerance must be 0 or more seconds'):
        compare(course(['sad']), course(['sad']), tolerance)


def test_one_frame():
    found = compare(course(['sad'], begin=5), course(['sad'], begin=5))
    assert found.overall == Tally(1, 1)
    assert as_dict(found)['actual']['flips_per_second'] == 0
    assert json.loads(json.dumps(as_dict(found), allow_nan=False))['paired'] == 1


# --- from files, and as a picture


def test_a_report_folder_is_read_as_its_results(tmp_path):
    write_results(course(['happy', 'sad']), tmp_path / 'results.jsonl')
    assert [each.label for each in load_results(tmp_path)] == ['happy', 'sad']
    with pytest.raises(InputError, match='cannot be read'):
        load_results(tmp_path / 'gone.jsonl')


def test_a_bag_of_emotions_is_the_course_written(tmp_path):
    pytest.importorskip('rosbags')
    from emotion_estimator.bags.messages import Header
    from emotion_estimator.bags.writer import BagWriter

    frames = course(['happy', NONE, 'sad', 'unknown'], begin=1.7e9)
    with BagWriter(tmp_path / 'bag') as bag:
        for each in frames:
            bag.result(each, Header(round(each.stamp * 1e9), 'camera'), 'lstm')
    found = compare(frames, load_results(tmp_path / 'bag'))
    assert found.overall == Tally(4, 4)
    assert found.most_different.difference < 1e-6
    with pytest.raises(InputError, match='/none_such'):
        load_results(tmp_path / 'bag', '/none_such')


ODD = '$\\frac{$'


@pytest.mark.parametrize(
    ('expected', 'actual'),
    [
        (course([ODD] * 30 + ['\x1b[2J'] * 30), course(['$'] * 40 + ['\u6c34'] * 20)),
        (course(['happy'] * 30 + [NONE] * 9), course(['happy'] * 20 + ['sad'] * 19)),
        (course(['happy']), course(['happy'])),
        (course([NONE]), course([NONE])),
        (course(['sad', 'happy'] * 9) * 2, course(['sad'] * 25, begin=-0.3)),
    ],
)
def test_any_comparison_can_be_drawn(tmp_path, expected, actual, recwarn):
    pytest.importorskip('matplotlib')
    draw_comparison(
        compare(expected, actual), tmp_path / 'both.png', f'costs $5 {ODD}\nb\x00\udcff'
    )
    assert [each for each in recwarn if 'Glyph' in str(each.message)] == []
    assert (tmp_path / 'both.png').read_bytes().startswith(b'\x89PNG')
    assert [each.name for each in tmp_path.iterdir()] == ['both.png']


# --- the same numbers as counted frame by frame


def plain(expected, actual, tolerance):
    """Compare as directly as possible, with all frames at hand."""
    laps = plain_laps(expected), plain_laps(actual)
    pairs, missing, extra, onsets, added = [], [], [], [], []
    for lap, (these, those) in enumerate(zip_longest(*laps, fillvalue=())):
        matched = plain_align([a.stamp for a in these], [b.stamp for b in those], tolerance)
        pairs += [(lap, these[i], those[j]) for i, j in matched]
        missing += [(lap, each.stamp) for i, each in enumerate(these) if i not in dict(matched)]
        back = {j: i for i, j in matched}
        extra += [(lap, each.stamp) for j, each in enumerate(those) if j not in back]
        moved = [these[back[j]].stamp if j in back else b.stamp for j, b in enumerate(those)]
        found = match_changes(
            plain_changes(lap, [a.stamp for a in these], these), plain_changes(lap, moved, those)
        )
        onsets += found[0]
        added += found[1]
    return pairs, missing, extra, onsets, added


def plain_laps(results):
    laps = []
    for each in results:
        if not laps or each.stamp < max(one.stamp for one in laps[-1]) - WINDOW * 1e-9:
            laps.append([])
        laps[-1].append(each)
    return [sorted(lap, key=lambda one: one.stamp) for lap in laps]


def plain_changes(lap, stamps, frames):
    return [
        Change(lap, stamp, b.label)
        for stamp, a, b in zip(stamps[1:], frames, frames[1:])
        if a.label != b.label
    ]


def plain_align(these, those, tolerance):
    def nearer(one, i, other, j):
        if i + 1 == len(one):
            return False
        later = abs(one[i + 1] - other[j])
        last = j + 1 == len(other)
        return later < abs(one[i] - other[j]) and (last or later <= abs(one[i + 1] - other[j + 1]))

    i, j, pairs = 0, 0, []
    while i < len(these) and j < len(those):
        if abs(these[i] - those[j]) > tolerance + ROUNDING:
            i, j = (i, j + 1) if these[i] > those[j] else (i + 1, j)
        elif nearer(these, i, those, j):
            i += 1
        elif nearer(those, j, these, i):
            j += 1
        else:
            pairs.append((i, j))
            i, j = i + 1, j + 1
    return pairs


def probabilities_apart(one, other):
    if not (one.faces and other.faces):
        return None
    these, those = (
        dict(zip(each.faces[0].labels, map(float, each.faces[0].probabilities)))
        for each in (one, other)
    )
    return max(abs(these.get(name, 0.0) - those.get(name, 0.0)) for name in these | those)


@st.composite
def two_courses(draw):
    expected = draw(any_courses())
    late = [
        dataclasses.replace(each, stamp=each.stamp + draw(st.sampled_from([0, 0, 0.003, -0.2])))
        for each in expected
        if draw(st.integers(0, 9))
    ]
    return expected, late if late and draw(st.booleans()) else draw(any_courses())


@settings(deadline=None, max_examples=200)
@given(two_courses(), st.sampled_from([TOLERANCE, 0.0, 0.3, 5.0]), st.floats(0, 1))
def test_it_is_what_all_frames_at_hand_give(courses, tolerance, margin):
    pairs, missing, extra, onsets, added = plain(*courses, tolerance)
    assume(pairs)
    found = compare(*map(iter, courses), tolerance, keep=False)
    assert [(pair.lap, pair.stamp) for pair in found.pairs] == [(n, a.stamp) for n, a, _ in pairs]
    assert [pair.labels for pair in found.pairs] == [(a.label, b.label) for _, a, b in pairs]
    apart = [probabilities_apart(a, b) for _, a, b in pairs]
    assert [pair.difference for pair in found.pairs] == apart
    assert list(found.differences) == [each for each in apart if each is not None]
    assert [(each.lap, each.stamp) for each in found.missing] == missing
    assert [(each.lap, each.stamp) for each in found.extra] == extra
    assert (list(found.onsets), list(found.added)) == (onsets, added)
    names = list(dict.fromkeys(a.label for _, a, _ in pairs))
    assert list(found.per_label.items()) == [
        (name, Tally.of([a.label == b.label for _, a, b in pairs if a.label == name]))
        for name in names
    ]
    changed = {n: [o.change.stamp for o in onsets if o.change.lap == n] for n, _, _ in pairs}
    assert [pair.stamp for pair in found.settled(margin)] == [
        a.stamp for n, a, _ in pairs if distance(changed[n], a.stamp) > margin
    ]
    assert [(p.lap, p.stamp) for p in found.miscounted] == [
        (n, a.stamp) for n, a, b in pairs if len(a.faces) != len(b.faces)
    ]
    others = [[sorted(f.label for f in each.faces[1:]) for each in pair[1:]] for pair in pairs]
    assert [(p.lap, p.stamp) for p in found.misread_others] == [
        (n, a.stamp)
        for (n, a, b), (ours, theirs) in zip(pairs, others)
        if len(a.faces) == len(b.faces) and ours != theirs
    ]
    for shown, frames in zip((found.expected, found.actual), courses):
        laps = plain_laps(frames)
        spans = [
            (begin - end, begin, end, label)
            for lap in laps
            for begin, end, label in stretches([(each.stamp, each.label) for each in lap])
        ]
        longest = sorted(spans, key=lambda span: span[0])[:5]
        assert [(s.begin, s.end, s.label) for s in shown.longest] == [span[1:] for span in longest]
        assert shown.seconds == sum(lap[-1].stamp - lap[0].stamp for lap in laps)
        assert (shown.begin, shown.laps, shown.count) == (laps[0][0].stamp, len(laps), len(frames))
        counted = Counter(each.label for lap in laps for each in lap)
        assert list(shown.frames.items()) == counted.most_common()


def test_nothing_is_held_of_a_frame_but_its_columns():
    """A day of frames is read one at a time: no frame that was compared is still alive."""
    alive = weakref.WeakSet()
    most = 0

    def frames():
        nonlocal most
        for number in range(3000):
            made = frame(number / 30, 'happy' if number % 300 else 'sad')
            alive.add(made)
            most = max(most, len(alive))
            yield made
            del made

    found = compare(frames(), frames(), keep=False)
    assert found.overall == Tally(3000, 3000)
    assert most < 50


def test_an_error_of_reading_comes_before_what_is_wrong_with_the_content(tmp_path):
    def broken(frames, line):
        yield from frames
        raise InputError(line)

    good, odd = course(['sad'] * 3), [frame(math.nan, 'sad')]
    for expected, actual, says in (
        (broken(odd, 'first'), broken(good, 'second'), 'first'),
        (broken(good * 50, 'first'), broken([], 'second'), 'first'),
        (iter(odd), broken(good, 'second'), 'second'),
        (iter([]), broken([*odd, *good], 'second'), 'second'),
        (iter(odd), iter([]), 'the stamp of frame 1'),
    ):
        with pytest.raises(InputError, match=says):
            compare(expected, actual, keep=False)
