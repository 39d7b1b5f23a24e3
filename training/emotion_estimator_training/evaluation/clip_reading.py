"""Tracked video against stills: what a network says of a clip, and of its frames one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator_training.evaluation.recognizers import (
    BRANCHES,
    VOCABULARIES,
    RobotNetworks,
)
from emotion_estimator_training.evaluation.stability import flips
from emotion_estimator_training.features.clips import Track
from emotion_estimator_training.tables import markdown_table

Figures = dict[str, Any]

#: What the makers of clips call them, in each vocabulary.
SHOWN = {
    'generated_happy': {'three': 'happy', 'seven': 'happy'},
    'generated_sadness': {'three': 'sad', 'seven': 'sad'},
    'generated_surprise': {'three': 'unknown', 'seven': 'surprise'},
}


@dataclass(frozen=True, eq=False)
class ClipReading:
    """One clip in the frames in which tracking finds the face and looking at each alone does too.

    :param strips: by way to look (``video``, ``stills``), branch and vocabulary, each frame's
        label.
    """

    track: Track
    strips: Mapping[tuple[str, str, str], tuple[str, ...]]


def read(networks: RobotNetworks, tracked: Track, stills: Track) -> ClipReading | None:
    """Ask each branch about a clip, from frame to frame and of each frame by itself.

    :param tracked: of the landmark source in video mode; ``stills`` the same frames, each looked
        at as an unrelated image.
    :returns: None where they share no frame that shows the face.
    """
    tracked, stills = _showing(tracked), _showing(stills)
    _, one, two = np.intersect1d(tracked.times, stills.times, return_indices=True)
    if len(one) < 2:
        return None
    seen, alone = (_with_embeddings(networks, each) for each in (tracked, stills))
    dt = seen.course.dt[0]
    strips = {}
    for vocabulary in VOCABULARIES:
        labels = networks.labels(vocabulary)
        for branch in BRANCHES:
            said = {
                'video': networks.course(seen.vectors, dt, branch, vocabulary)[one],
                'stills': networks.stills(alone.vectors[two], branch, vocabulary),
            }
            for way, told in said.items():
                strips[way, branch, vocabulary] = tuple(
                    labels[code] for code in told.argmax(axis=1)
                )
    return ClipReading(_frames(seen, one), strips)


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


def reading_figures(reading: ClipReading) -> list[Figures]:
    """Return what a clip shows of each branch and vocabulary.

    :returns: rows with ``video``, ``source``, ``frames``, ``seconds``, ``branch``, ``vocabulary``;
        ``agreement``, the share of frames of which both ways say the same; ``flips_per_s`` in
        video and ``stills_flips_per_s``; ``shown``, what the clip's name says it shows, and the
        share of frames called so, ``right`` in video and ``stills_right`` (null where unknown);
        and ``most``, what video says most often.
    """
    rows = []
    seconds = float(np.ptp(reading.track.times))
    for vocabulary in VOCABULARIES:
        shown = SHOWN.get(reading.track.name, {}).get(vocabulary)
        for branch in BRANCHES:
            video, stills = (
                np.array(reading.strips[way, branch, vocabulary]) for way in ('video', 'stills')
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
    names, codes = np.unique(labels, return_inverse=True)
    return round(float(flips(np.eye(len(names))[codes][None])[0]) / max(seconds, 1e-9), 4)


def markdown(rows: Sequence[Mapping[str, Any]], vocabulary: str) -> str:
    """Return one vocabulary's rows of :func:`reading_figures` as Markdown."""

    def share(value: float | None) -> str:
        return '-' if value is None else f'{value:.3f}'

    return markdown_table(
        [
            'clip',
            'landmark source',
            'branch',
            'frames',
            'video = stills',
            'flips/s, video',
            'flips/s, stills',
            'shown',
            'called so, video',
            'called so, stills',
            'most, video',
        ],
        [
            [
                one['video'],
                one['source'],
                one['branch'],
                one['frames'],
                share(one['agreement']),
                f'{one["flips_per_s"]:.2f}',
                f'{one["stills_flips_per_s"]:.2f}',
                one['shown'] or '-',
                share(one['right']),
                share(one['stills_right']),
                one['most'],
            ]
            for one in rows
            if one['vocabulary'] == vocabulary
        ],
    )
