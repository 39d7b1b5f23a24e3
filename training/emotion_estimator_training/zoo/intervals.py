"""What test clips can tell: figures of all seeds with intervals, chance, and kinds of clips.

People, not frames or clips, are drawn (cluster bootstrap, Field and Welsh 2007): frames of one
person are alike, and intervals that took them for independent would be far too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator_training.evaluation.person_bootstrap import (
    PersonBootstrap,
    share,
    with_interval,
)
from emotion_estimator_training.zoo.data.face_tracks import FaceTrack
from emotion_estimator_training.zoo.data.windows import Windows
from emotion_estimator_training.zoo.metrics import Result

Floats = NDArray[np.float32]
#: Half an interval's width from which on a test set is called small.
_WIDE = 0.1


def interval_figures(
    probabilities: Sequence[Floats], queries: Windows, classes: Sequence[str]
) -> dict[str, Any]:
    """Return accuracy, macro-F1 and share of right clips over seeds, with 95 % intervals.

    :param probabilities: (N, C) of ``queries``, of the same model trained with each seed.
    :returns: ``accuracy``, ``macro_f1`` and ``clip_accuracy`` (means over the seeds), ``interval``
        (for each [mean, low, high]), ``by_seed`` (for each the seeds' values) and ``by_clip``
        (each track's subject and accuracy).
    """
    truth = queries.labels
    subjects = [queries.tracks[track].clip.subject for track in queries.track]
    bootstrap = PersonBootstrap(subjects)
    tracks, first = np.unique(queries.track, return_index=True)
    draws: dict[str, list[NDArray[np.float64]]] = {
        'accuracy': [],
        'macro_f1': [],
        'clip_accuracy': [],
    }
    by_clip = np.zeros(len(tracks))
    for one in probabilities:
        said = one.argmax(axis=1)
        right = np.array([(said == truth)[queries.track == track].mean() for track in tracks])
        by_clip += right / len(probabilities)
        whole = np.array(
            [
                one[queries.track == track].mean(axis=0).argmax() == truth[at]
                for track, at in zip(tracks, first)
            ]
        )
        # A clip counts once, in its first row.
        columns = np.zeros((len(truth), 3 * len(classes) + 2))
        for code in range(len(classes)):
            columns[:, 3 * code] = (said == code) & (truth == code)
            columns[:, 3 * code + 1] = truth == code
            columns[:, 3 * code + 2] = said == code
        columns[first, -2], columns[first, -1] = whole, 1
        sums = bootstrap.sums(columns)
        hits, actual, reported = (sums[:, at : 3 * len(classes) : 3] for at in range(3))
        draws['accuracy'].append(share(hits.sum(axis=1), actual.sum(axis=1)))
        f1 = np.nan_to_num(share(2 * hits, actual + reported))
        draws['macro_f1'].append(f1.mean(axis=1))
        draws['clip_accuracy'].append(share(sums[:, -2], sums[:, -1]))
    means = {name: np.mean(values, axis=0) for name, values in draws.items()}
    return {
        **{name: round(float(values[0]), 4) for name, values in means.items()},
        'interval': {name: with_interval(values) for name, values in means.items()},
        'by_seed': {
            name: [round(float(one[0]), 4) for one in values] for name, values in draws.items()
        },
        'by_clip': [
            [queries.tracks[track].clip.subject, round(float(right), 4)]
            for track, right in zip(tracks, by_clip)
        ],
    }


def kind_figures(probabilities: Floats, queries: Windows) -> dict[str, list[Any]]:
    """Return for each kind of clips their number, and the share of right ones with its interval.

    :param probabilities: (N, C) of ``queries``.
    :returns: by kind, [clips, share, low, high]; empty if no clip has a kind.
    """
    rows: dict[str, list[tuple[str, bool]]] = {}
    truth = queries.labels
    for track in np.unique(queries.track):
        of_track = queries.track == track
        clip = queries.tracks[track].clip
        right = probabilities[of_track].mean(axis=0).argmax() == truth[of_track][0]
        if clip.kind:
            rows.setdefault(clip.kind, []).append((clip.subject, bool(right)))
    found: dict[str, list[Any]] = {}
    for kind, clips in sorted(rows.items()):
        bootstrap = PersonBootstrap([subject for subject, _ in clips])
        sums = bootstrap.sums(np.array([[right, 1] for _, right in clips], np.float64))
        found[kind] = [len(clips), *(with_interval(share(sums[:, 0], sums[:, 1])) or ())]
    return found


def baselines(
    train: Sequence[FaceTrack], test: Sequence[FaceTrack], classes: Sequence[str]
) -> dict[str, Any]:
    """Return what a model reaches that looks at nothing.

    :returns: ``chance`` (1 / C), ``class`` (the one with most training clips) and ``majority`` (the
        share of the test frames that it is right for).
    """
    labels = [track.clip.label for track in train]
    most = max(classes, key=labels.count)
    frames = sum(map(len, test))
    right = sum(len(track) for track in test if track.clip.label == most)
    return {
        'chance': round(1 / len(classes), 4),
        'class': most,
        'majority': round(right / max(frames, 1), 4),
    }


def above_chance(result: Result, found: dict[str, Any]) -> bool:
    """Return whether a result's accuracy is surely above that of :func:`baselines`."""
    low = (result.get('interval') or {}).get('accuracy', [0.0, None, None])[1]
    return low is not None and low > max(found['chance'], found['majority'])


def small_test_warning(test: Sequence[FaceTrack]) -> str | None:
    """Return a warning if accuracy on these tracks is known to 0.1 at best, else None."""
    subjects = len({track.clip.subject for track in test})
    half = 1.96 * (0.25 / max(subjects, 1)) ** 0.5
    if half <= _WIDE:
        return None
    return (
        f'the test part has {len(test)} clips of {subjects} subjects: an accuracy of 0.5 is known '
        f'to {half:.2f} only, and models that differ by less cannot be told apart'
    )
