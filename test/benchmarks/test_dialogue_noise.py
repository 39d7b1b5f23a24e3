"""The ground truth of conversations, the noise added to it, and the scores of interventions."""

from __future__ import annotations

import math
from itertools import groupby, pairwise

import pytest

from emotion_estimator.emotion import LABELS, NONE
from emotion_estimator.errors import InputError

from dialogue_baselines import RETURNED, EachMessage, Majority, Trigger
from dialogue_noise import Noise, Segment, ground_truth, observe
from dialogue_scoring import Episode, GroundTruth, Intervention, episodes, score

HOUR = 3600
CALM = (Segment('unknown', 0.0, 2 * HOUR),)
EMPTY = (Segment(NONE, 0.0, HOUR),)


def labels(segments, noise, rate=10.0, seed=1):
    return [face.label if face else NONE for _, face in observe(segments, noise, rate, seed)]


def test_a_conversation_is_complete_and_reproducible():
    course = ground_truth(HOUR, 3)
    assert course == ground_truth(HOUR, 3) != ground_truth(HOUR, 4)
    assert course[0].begin == 0
    assert course[-1].end >= HOUR
    assert all(a.end == b.begin and a.label != b.label for a, b in pairwise(course))
    assert {segment.label for segment in course} == {*LABELS, NONE}
    lasts = [s.end - s.begin for s in course if s.label == 'sad']
    assert min(lasts) >= 1
    assert max(lasts) <= 15


@pytest.mark.parametrize('rate', [5.0, 60.0])
def test_without_noise_the_truth_is_seen_at_any_rate(rate):
    course = ground_truth(60, 1)
    seen = list(observe(course, Noise(), rate, 1))
    assert len(seen) == math.ceil(course[-1].end * rate)
    shows = GroundTruth(course)
    assert all(shows.shows(f.label if f else NONE, stamp, grace=0) for stamp, f in seen)


@pytest.mark.parametrize('burst', [0.0, 0.4, 2.0])
@pytest.mark.parametrize('share', [0.1, 0.2, 0.4])
def test_the_share_of_wrong_labels_is_as_requested(share, burst):
    seen = labels(CALM, Noise(labels=share, burst=burst))
    wrong = [label for label in seen if label != 'unknown']
    # Errors that last are fewer, so that chance has more of a say.
    assert len(wrong) / len(seen) == pytest.approx(share, rel=0.2 if burst else 0.05)
    # Both of the others alike.
    assert wrong.count('happy') / len(wrong) == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize(('burst', 'mean'), [(0.0, 0.111), (0.5, 0.5), (2.0, 2.0)])
def test_errors_last_as_long_as_requested(burst, mean):
    # A tenth by themselves: runs of one label are a tenth of a second, seldom two.
    seen = labels(CALM, Noise(labels=0.1, burst=burst))
    runs = [len(list(run)) / 10 for label, run in groupby(seen) if label != 'unknown']
    assert sum(runs) / len(runs) == pytest.approx(mean, rel=0.2)


def test_errors_remain_errors_after_the_truth_has_changed():
    course = ground_truth(HOUR, 5)
    shows = GroundTruth(course)
    seen = list(observe(course, Noise(labels=0.3, burst=3.0), 10.0, 5))
    there = [(stamp, face) for stamp, face in seen if face is not None]
    wrong = [1 for stamp, face in there if not shows.shows(face.label, stamp, grace=0)]
    assert len(wrong) / len(there) == pytest.approx(0.3, rel=0.15)


def test_faces_are_missed_and_seen_in_empty_rooms():
    noise = Noise(undetected=0.1)
    assert labels(CALM, noise).count(NONE) == pytest.approx(0.1 * 20 * HOUR, rel=0.2)
    ghosts = [label for label in labels(EMPTY, noise) if label != NONE]
    assert len(ghosts) == pytest.approx(0.1 * 10 * HOUR, rel=0.2)
    assert set(ghosts) == set(LABELS)


def test_messages_are_lost_without_changing_the_others():
    all_of_them = dict(observe(CALM, Noise(labels=0.2), 10.0, 2))
    some = dict(observe(CALM, Noise(labels=0.2, lost=0.3), 10.0, 2))
    assert len(some) / len(all_of_them) == pytest.approx(0.7, rel=0.1)
    assert all(all_of_them[stamp] is face for stamp, face in some.items())


def test_the_confidence_carries_no_information():
    seen = [face for _, face in observe(CALM, Noise(labels=0.3, burst=0.4), 10.0, 1)]
    right = [face.confidence for face in seen if face.label == 'unknown']
    wrong = [face.confidence for face in seen if face.label != 'unknown']
    assert sum(right) / len(right) == pytest.approx(0.8, abs=0.01)
    assert sum(wrong) / len(wrong) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(
    'wrong', [{'labels': 1.0}, {'lost': -0.1}, {'undetected': math.nan}, {'burst': math.inf}]
)
def test_noise_out_of_range_is_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Noise(**wrong)


COURSE = (
    Segment('unknown', 0, 10),
    Segment('happy', 10, 15),
    Segment('unknown', 15, 20),
    Segment(NONE, 20, 26),
    Segment('sad', 26, 28),
    Segment('unknown', 28, 40),
)


def test_episodes_last_long_enough():
    assert episodes(COURSE) == (
        Episode('happy', 10, 15), Episode(NONE, 20, 26), Episode(RETURNED, 26, 40)
    )  # fmt: skip
    assert Episode('sad', 26, 28) in episodes(COURSE, shortest=2)


@pytest.mark.parametrize(
    ('kind', 'stamp', 'shown'),
    [
        ('happy', 9.9, False), ('happy', 10.0, True), ('happy', 15.9, True), ('happy', 16.1, False),
        ('sad', 12.0, False), (NONE, 20.5, True), (RETURNED, 20.5, True), (RETURNED, 22, False),
        (RETURNED, 27, True), ('unknown', 500, True),
    ],
)  # fmt: skip
def test_what_was_true_a_second_ago_is_not_yet_wrong(kind, stamp, shown):
    assert GroundTruth(COURSE).shows(kind, stamp) is shown


def test_interventions_are_counted_once_each():
    made = [
        Intervention(5, 'sad'),  # wrong
        Intervention(11.5, 'happy'),
        Intervention(12.5, 'happy'),  # right again, and no other answer
        Intervention(17, 'happy'),  # too late
        Intervention(30, RETURNED),
    ]
    got = score(made, COURSE, episodes(COURSE))
    assert (got.made, got.wrong, got.due) == (5, 2, 3)
    assert got.wrong_per_minute == pytest.approx(2 / (40 / 60))
    assert got.delays == (1.5, 4.0)
    assert got.missed == pytest.approx(1 / 3)
    assert got.delay(0.3) == 1.5
    assert got.delay(0.6) == 4.0
    assert got.delay(0.95) == math.inf


def test_an_answer_before_the_episode_does_not_count():
    got = score([Intervention(9.99, 'happy')], COURSE, [Episode('happy', 10, 15)])
    assert (got.delays, got.wrong) == ((), 1)


TRIGGERS = {
    'sad': Trigger(2, 5.0),
    'happy': Trigger(1, 5.0),
    NONE: Trigger(9, 0),
    RETURNED: Trigger(8, 0),
}


def play(decide, course):
    return [(i / 2, kind) for i, label in enumerate(course) if (kind := decide(label, i / 2))]


def test_each_message_acts_where_cooldown_and_rate_limit_allow():
    course = ['sad', 'happy', 'happy', 'happy', *['sad'] * 8, 'unknown']
    assert play(EachMessage(TRIGGERS, min_gap=1.0), course) == [
        (0.0, 'sad'), (1.0, 'happy'), (5.0, 'sad')
    ]  # fmt: skip


def test_absence_pauses_until_somebody_returns():
    course = [NONE, NONE, 'sad', 'sad', NONE]
    assert play(EachMessage(TRIGGERS, min_gap=0.0), course) == [
        (0.0, NONE), (1.0, RETURNED), (1.5, 'sad'), (2.0, NONE)
    ]  # fmt: skip


def test_the_majority_of_the_last_seconds_decides():
    decide = Majority(lambda label, stamp: label, span=2.0)
    course = ['sad', 'sad', 'happy', 'happy', 'happy', 'sad']
    assert [decide(label, i / 2) for i, label in enumerate(course)] == [
        'sad', 'sad', 'sad', 'sad', 'happy', 'happy'
    ]  # fmt: skip
