"""One door to a set of labelled video: its faces, split, and what is wrong with it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError, first_line
from emotion_estimator.worker_pool import Runner
from emotion_estimator_training.seed import SEED
from emotion_estimator_training.zoo.data.clips import ClipSet, load_clips, load_label_map, summary
from emotion_estimator_training.zoo.data.frames import ClipFrameSettings, FaceTrack, face_tracks
from emotion_estimator_training.zoo.data.made_clips import STRENGTH, TABLE
from emotion_estimator_training.zoo.data.splits import PARTS, SHARES, split, split_warnings


@dataclass(frozen=True, eq=False)
class VideoSet:
    """Faces of labelled clips.

    :param classes: in output order; each has a track in ``train``.
    :param tracks: of each of ``PARTS``.
    :param rate: frames per second, the mean over all tracks: steps are of two lengths where the
        rate asked for does not divide a video's.
    :param problems: one line for each kind of clips that were left out.
    :param warnings: what makes labels or split worth less.
    """

    classes: tuple[str, ...]
    tracks: dict[str, tuple[FaceTrack, ...]]
    rate: float
    problems: list[str]
    warnings: list[str]


@dataclass(frozen=True)
class SetChoice:
    """Which clips, how they are split, and how they become faces.

    :param data: the table, or a folder with it (``clips.csv``, or the one CSV file there is).
    :param clips: folder of the clips; None is where the table is.
    :param labels: name of a label map in ``config`` (None: the shipped ``zoo.yaml``).
    :param shares: as ``by`` and ``seed`` for :func:`split`.
    """

    data: Path
    clips: Path | None = None
    labels: str = 'identity'
    config: Path | None = None
    shares: Sequence[float] = SHARES
    by: str = 'subject'
    seed: int = SEED
    frames: ClipFrameSettings = field(default=ClipFrameSettings(rate=0.0))

    @property
    def table(self) -> Path:
        """Return the table.

        :raises InputError: there is none, or several.
        """
        return _table(self.data) if self.data.is_dir() else self.data

    def read(self) -> ClipSet:
        """Return the clips; errors are those of :func:`load_clips` and the label maps'."""
        return load_clips(self.table, self.clips, load_label_map(self.labels, self.config))


def open_set(choice: SetChoice, cache: Path, processes: int | Runner | None = None) -> VideoSet:
    """Look at a set of labelled video, or read what was seen before.

    :param cache: as ``processes`` for :func:`face_tracks`.
    :raises InputError: the set cannot be read or split, faces are found in clips of one class
        only, or a part has none of a class that train has.
    :raises ModelError: the landmark source does not open.
    """
    clips = choice.read()
    tracks, problems = face_tracks(clips.clips, choice.frames, cache, processes)
    lines = summary((*clips.problems, *problems))
    if len({track.clip.label for track in tracks}) < 2:
        raise InputError(
            f'faces are found in clips of fewer than two classes of {choice.data}: '
            + '; '.join(lines)
        )
    tracks = _with_strength(choice.table.parent / STRENGTH, tracks)
    parts = split([track.clip for track in tracks], choice.shares, choice.by, choice.seed)
    by_clip = {track.clip: track for track in tracks}
    trained = {clip.label for clip in parts['train']}
    classes = tuple(name for name in clips.classes if name in trained)
    kept = {
        part: tuple(by_clip[clip] for clip in parts[part] if clip.label in classes)
        for part in PARTS
    }
    empty = [part for part in PARTS if not kept[part]]
    if empty or len(classes) < 2:
        what = f'{empty[0]} has no clip' if empty else 'train has clips of fewer than two classes'
        if empty and parts[empty[0]]:
            what += ' of a class that train has'
        raise InputError(f'{what}; change the shares, the column split, or give more clips')
    warnings = [*clips.warnings, *split_warnings(parts, clips.classes)]
    seconds = sum(float(track.times[-1] - track.times[0]) for track in tracks)
    rate = sum(len(track) - 1 for track in tracks) / seconds
    return VideoSet(classes, kept, rate, lines, warnings)


def counts(tracks: Sequence[FaceTrack], classes: Sequence[str]) -> str:
    """Say how many tracks there are of each class."""
    there = Counter(track.clip.label for track in tracks)
    return ', '.join(f'{there[name]} {name}' for name in classes)


def _table(folder: Path) -> Path:
    named = folder / TABLE
    if named.is_file():
        return named
    tables = sorted(folder.glob('*.csv'))
    if len(tables) != 1:
        found = 'no table' if not tables else f'{len(tables)} CSV files and no {TABLE}'
        raise InputError(f'{folder} has {found}; give the table itself')
    return tables[0]


def _with_strength(path: Path, tracks: Sequence[FaceTrack]) -> tuple[FaceTrack, ...]:
    """Give tracks of a made set the strength of the expression in each frame."""
    if not path.is_file():
        return tuple(tracks)
    strengths = _strengths(path)
    return tuple(
        track
        if track.clip.name not in strengths
        else replace(track, strength=_at(track.times, strengths[track.clip.name]))
        for track in tracks
    )


def _at(times: NDArray[np.float64], known: Mapping[float, float]) -> NDArray[np.float32]:
    return np.interp(times, list(known), list(known.values())).astype(np.float32)


def _strengths(path: Path) -> dict[str, dict[float, float]]:
    """Return by clip and time the strength of its expression."""
    strengths: dict[str, dict[float, float]] = {}
    try:
        with path.open(newline='', encoding='utf-8') as file:
            for row in csv.DictReader(file):
                strengths.setdefault(row['clip'], {})[float(row['time'])] = float(row['strength'])
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise InputError(
            f'{path} is damaged ({first_line(error)}); make the set again, or delete the file'
        ) from error
    return strengths
