"""Video against stills: each branch's labels for a tracked clip, and for its frames as stills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import VOCABULARIES
from emotion_estimator_training.evaluation.recognizers import BRANCHES, RobotNetworks
from emotion_estimator_training.features.clips import Track

Metrics = dict[str, Any]

#: The expression that a generated clip shows, by its name and vocabulary.
SHOWN = {
    'generated_happy': {'three': 'happy', 'seven': 'happy'},
    'generated_sadness': {'three': 'sad', 'seven': 'sad'},
    'generated_surprise': {'three': 'unknown', 'seven': 'surprise'},
}


@dataclass(frozen=True, eq=False)
class ClipReading:
    """One clip, in the frames in which the face is found both with and without tracking.

    :param labels: by mode (``video``, ``stills``), branch and vocabulary, each frame's label.
    """

    track: Track
    labels: Mapping[tuple[str, str, str], tuple[str, ...]]


def read_clip(networks: RobotNetworks, tracked: Track, stills: Track) -> ClipReading | None:
    """Run each branch on a clip, as a sequence and on each frame by itself.

    :param tracked: from the landmark source in video mode.
    :param stills: from the same frames, each processed as an unrelated image.
    :returns: None if fewer than two frames show the face in both.
    """
    tracked, stills = _showing(tracked), _showing(stills)
    _, one, two = np.intersect1d(tracked.times, stills.times, return_indices=True)
    if len(one) < 2:
        return None
    seen, alone = (_with_embeddings(networks, each) for each in (tracked, stills))
    dt = seen.sequence.dt[0]
    labels = {}
    for vocabulary in VOCABULARIES:
        names = networks.labels(vocabulary)
        for branch in BRANCHES:
            probabilities = {
                'video': networks.sequence(seen.vectors, dt, branch, vocabulary)[one],
                'stills': networks.stills(alone.vectors[two], branch, vocabulary),
            }
            for mode, each in probabilities.items():
                labels[mode, branch, vocabulary] = tuple(
                    names[code] for code in each.argmax(axis=1)
                )
    return ClipReading(_frames(seen, one), labels)


def _showing(track: Track) -> Track:
    """Return the frames whose crop shows the face."""
    if track.crops is None:
        return track
    return _frames(track, np.flatnonzero(track.crops.any(axis=(1, 2))))


def _frames(track: Track, rows: NDArray[np.int64]) -> Track:
    def some(array: Any) -> Any:
        return None if array is None else array[rows]

    return replace(
        track,
        times=track.times[rows],
        blendshapes=track.blendshapes[rows],
        truth=tuple(track.truth[row] for row in rows) if track.truth else (),
        crops=some(track.crops),
        embeddings=some(track.embeddings),
    )


def _with_embeddings(networks: RobotNetworks, track: Track) -> Track:
    return (
        track
        if track.crops is None
        else replace(track, embeddings=networks.embeddings(track.crops))
    )


def clip_metrics(reading: ClipReading) -> list[Metrics]:
    """Return the metrics of a clip for each branch and vocabulary.

    :returns: rows with ``video``, ``source``, ``frames``, ``seconds``, ``branch``, ``vocabulary``;
        ``agreement``, the share of frames with the same label as video and as still;
        ``flips_per_s`` as video and ``stills_flips_per_s``; ``shown``, the expression that the clip
        shows, and the share of frames with that label, ``right`` as video and ``stills_right``
        (None if unknown); and ``most``, the most frequent label as video.
    """
    rows = []
    seconds = float(np.ptp(reading.track.times))
    for vocabulary in VOCABULARIES:
        shown = SHOWN.get(reading.track.name, {}).get(vocabulary)
        for branch in BRANCHES:
            video, stills = (
                np.array(reading.labels[mode, branch, vocabulary]) for mode in ('video', 'stills')
            )
            names, counts = np.unique(video, return_counts=True)
            rows.append(
                {
                    'video': reading.track.name,
                    'source': reading.track.source,
                    'frames': len(video),
                    'seconds': round(seconds, 2),
                    'branch': branch,
                    'vocabulary': vocabulary,
                    'agreement': round(float((video == stills).mean()), 4),
                    'flips_per_s': _flips(video, seconds),
                    'stills_flips_per_s': _flips(stills, seconds),
                    'shown': shown,
                    'right': None if shown is None else round(float((video == shown).mean()), 4),
                    'stills_right': None
                    if shown is None
                    else round(float((stills == shown).mean()), 4),
                    'most': str(names[counts.argmax()]),
                }
            )
    return rows


def _flips(labels: NDArray[np.str_], seconds: float) -> float:
    return round(float((labels[1:] != labels[:-1]).sum()) / max(seconds, 1e-9), 4)
