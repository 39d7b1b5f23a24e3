"""Compares recognizers in time: on the same constructed faces, and on tracked videos."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emotion_estimator_training.data.grouping import Grouping
from emotion_estimator_training.evaluation.held import flips, held_faces, held_figures, held_rows
from emotion_estimator_training.evaluation.moving_average import MovingAverage
from emotion_estimator_training.evaluation.recognizer import Floats, Recognizer
from emotion_estimator_training.evaluation.stability import (
    can_follow,
    changing_faces,
    delays,
    draw_changes,
    summary,
)
from emotion_estimator_training.features.clips import Track
from emotion_estimator_training.features.feature_set import FeatureSet

RATES = (10, 30, 60)
#: Of the movement measured on tracked video, beside the measured one itself.
STRENGTHS = (0.5, 2.0)
#: Seconds over which the dense network is averaged, for a curve of flips against delay.
WINDOWS = (0.25, 0.5, 1.0, 2.0)
#: The network without memory, which the others are compared with.
DENSE = 'dense'
#: How often the expression itself changes in videos that are known; the least number of flips.
CHANGES_SHOWN = {
    'generated_happy': 0, 'generated_sadness': 0, 'generated_surprise': 0, 'head_pose': 0,
    'smile_onset': 2,
}


def in_time(recognizers: Mapping[str, Recognizer]) -> dict[str, Recognizer]:
    """Return those that stability compares: the dense network's moving averages added."""
    chosen = dict(recognizers)
    if DENSE in chosen:
        chosen[DENSE] = dense = _Remembering(chosen[DENSE])
        for seconds in WINDOWS:
            chosen[f'{DENSE}, mean of {seconds:g} s'] = MovingAverage(dense, seconds)
    return chosen


class _Remembering:
    """A recognizer that answers the same sequences only once: its averages ask for them again."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.name, self.labels, self.stills = recognizer.name, recognizer.labels, recognizer.stills
        self._recognizer = recognizer
        # Two at a time: faces that hold, and faces that change.
        self._last: deque[tuple[Floats, Floats]] = deque(maxlen=2)

    def sequences(self, blendshapes: Floats, dt: Floats) -> Floats:
        for known, answers in self._last:
            if known is blendshapes:
                return answers
        self._last.append((blendshapes, self._recognizer.sequences(blendshapes, dt)))
        return self._last[-1][1]


def compare(
    recognizers: Mapping[str, Recognizer],
    features: FeatureSet,
    grouping: Grouping,
    rates: Sequence[int] = RATES,
    faces: int = 200,
    pairs: int = 300,
) -> dict[str, Any]:
    """Return flips on held faces and delay after a change, all on the same faces.

    Delays are compared on the changes that every recognizer can follow.

    :param features: faces of one source and of a test split.
    :returns: by name and frames per second :func:`~.held.held_figures`, ``flips_to_dense`` (their
        ratio to the dense network's, where it is among them) and :func:`~.stability.summary` of
        the delays; at 30 frames per second ``flips_by_strength`` of the movement too.
    """
    changes = draw_changes(features, grouping, pairs)
    common = np.logical_and.reduce([can_follow(one, changes) for one in recognizers.values()])
    label = grouping.to_label[features.emotion[held_rows(features, faces)]]
    followed = changes.where(common)
    models: dict[str, Any] = {name: {} for name in recognizers}
    for rate in rates:
        held, moving = held_faces(features, rate, faces=faces), changing_faces(followed, rate)
        for name, recognizer in recognizers.items():
            models[name][f'{rate}_fps'] = {
                **{key: round(value, 4)
                   for key, value in held_figures(recognizer, held, label).items()},
                **summary(delays(recognizer, followed, moving)),
            }
    for figures in models.values():
        figures['flips_by_strength'] = {}
    for strength in STRENGTHS:
        held = held_faces(features, 30, faces=faces, strength=strength)
        for name, recognizer in recognizers.items():
            models[name]['flips_by_strength'][f'{strength:g}'] = round(
                held_figures(recognizer, held, label)['flips_per_s'], 4
            )
    if DENSE in models:
        for figures in models.values():
            for rate in rates:
                dense = models[DENSE][f'{rate}_fps']['flips_per_s']
                mine = figures[f'{rate}_fps']['flips_per_s']
                figures[f'{rate}_fps']['flips_to_dense'] = round(mine / dense, 4) if dense else None
    return {
        'faces_held': min(faces, len(features)), 'changes_drawn': len(changes.label),
        'changes_all_can_follow': int(common.sum()), 'models': models,
    }


def on_video(recognizers: Mapping[str, Recognizer], found: Sequence[Track]) -> list[dict[str, Any]]:
    """Return label flips of each recognizer on each tracked video.

    :returns: rows with the video, the source, the seconds, how often the expression itself
        changes (null where unknown) and by recognizer the flips.
    """
    rows = []
    for one in found:
        shown = CHANGES_SHOWN.get(one.name)
        if one.truth:
            shown = int(sum(a != b for a, b in zip(one.truth, one.truth[1:])))
        answers = {
            name: recognizer.sequences(one.course.vectors, one.course.dt)
            for name, recognizer in recognizers.items()
        }
        rows.append({
            'video': one.name, 'source': one.source, 'seconds': round(float(np.ptp(one.times)), 2),
            'changes_shown': shown,
            'flips': {name: int(flips(each)[0]) for name, each in answers.items()},
        })
    return rows
