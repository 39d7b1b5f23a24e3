"""Clips as tracked and as stills: agreement, flips, and what the clip's name says."""

from __future__ import annotations

import numpy as np
from robot_stub import stub_networks, written

from emotion_estimator_training.data.stills import FER_CLASSES
from emotion_estimator_training.evaluation.clip_reading import clip_metrics, read_clip
from emotion_estimator_training.features.clips import Track
from emotion_estimator_training.report.tables import clip_table

HAPPY, SAD, SURPRISE = (FER_CLASSES.index(name) for name in ('happy', 'sad', 'surprise'))


def track(name, classes, times=None, by_crop=None) -> Track:
    faces = written(classes, by_crop=by_crop)
    times = np.arange(len(classes)) / 10 if times is None else times
    return Track(name, 'face_mesh', times, faces.blendshapes, crops=faces.crops)


def row(rows, branch, vocabulary='three'):
    return next(one for one in rows if (one['branch'], one['vocabulary']) == (branch, vocabulary))


def test_agreement_flips_and_names_are_counted_by_branch() -> None:
    tracked = track('generated_happy', [HAPPY] * 11, by_crop=[HAPPY] * 5 + [SAD] + [HAPPY] * 5)
    alone = track('generated_happy', [HAPPY, SAD] * 5 + [HAPPY], by_crop=[HAPPY] * 11)
    rows = clip_metrics(read_clip(stub_networks(), tracked, alone))
    shapes, pixels = row(rows, 'blendshapes'), row(rows, 'appearance')
    assert shapes['agreement'] == round(6 / 11, 4)
    assert (shapes['flips_per_s'], shapes['stills_flips_per_s']) == (0.0, 10.0)
    assert (shapes['right'], shapes['stills_right']) == (1.0, round(6 / 11, 4))
    assert pixels['agreement'] == round(10 / 11, 4)
    assert pixels['flips_per_s'] == 2.0
    assert (pixels['shown'], pixels['most']) == ('happy', 'happy')
    assert '| generated_happy | face_mesh | blendshapes | 11 | 0.545 |' in clip_table(rows, 'three')


def test_surprise_is_unknown_in_three_labels_and_itself_in_seven() -> None:
    tracked = track('generated_surprise', [SURPRISE] * 5)
    rows = clip_metrics(read_clip(stub_networks(), tracked, tracked))
    assert (row(rows, 'fused')['shown'], row(rows, 'fused')['right']) == ('unknown', 1.0)
    assert (row(rows, 'fused', 'seven')['shown'], row(rows, 'fused', 'seven')['right']) == (
        'surprise',
        1.0,
    )


def test_a_clip_without_a_known_expression_has_no_right_answer() -> None:
    rows = clip_metrics(read_clip(stub_networks(), *[track('head_pose', [SAD] * 4)] * 2))
    assert row(rows, 'fused')['right'] is None
    assert '| - | - | - | sad |' in clip_table(rows, 'three')


def test_only_frames_that_both_ways_see_are_compared() -> None:
    tracked = track('a', [HAPPY, HAPPY, SAD, SAD], np.array([0.0, 0.1, 0.2, 0.3]))
    alone = track('a', [SAD, SAD, SAD], np.array([0.1, 0.3, 0.4]))
    (one, *_) = clip_metrics(read_clip(stub_networks(), tracked, alone))
    assert (one['frames'], one['agreement']) == (2, 0.5)
    apart = track('a', [SAD, SAD], np.array([1.0, 1.1]))
    assert read_clip(stub_networks(), tracked, apart) is None


def test_frames_that_do_not_show_the_face_are_passed_over() -> None:
    tracked = track('a', [HAPPY] * 4)
    tracked.crops[1] = 0
    (one, *_) = clip_metrics(read_clip(stub_networks(), tracked, track('a', [HAPPY] * 4)))
    assert one['frames'] == 3
