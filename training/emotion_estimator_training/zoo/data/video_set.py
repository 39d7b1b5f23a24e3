"""A set of labelled video: its face tracks, split into parts, and the problems found in it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError, first_line
from emotion_estimator.untrusted import read_lines
from emotion_estimator.worker_pool import Runner
from emotion_estimator_training.seed import SEED
from emotion_estimator_training.zoo.data.clips import (
    APART,
    PARTS,
    STRENGTH,
    TABLE,
    Clip,
    ClipSet,
    load_clips,
    load_label_map,
    summary,
)
from emotion_estimator_training.zoo.data.face_tracks import (
    ClipFrameSettings,
    FaceTrack,
    face_tracks,
)
from emotion_estimator_training.zoo.data.splits import SHARES, folds, split, split_warnings


@dataclass(frozen=True, eq=False)
class VideoSet:
    """Face tracks of labelled clips.

    :param classes: in output order; each has a track in ``train``.
    :param tracks: of each of ``PARTS``.
    :param rate: frames per second, the mean over all tracks: intervals vary where the requested
        rate does not divide that of a video.
    :param problems: one line for each kind of clips that were left out.
    :param warnings: doubts about labels or split.
    :param apart: tracks of kind ``APART`` whose subject is in no part but ``test``.
    """

    classes: tuple[str, ...]
    tracks: dict[str, tuple[FaceTrack, ...]]
    rate: float
    problems: list[str]
    warnings: list[str]
    apart: tuple[FaceTrack, ...] = ()


@dataclass(frozen=True)
class SetChoice:
    """Which clips to use, how to split them, and how to turn them into face tracks.

    :param data: the table, or its folder (with ``clips.csv``, or a single CSV file).
    :param clips: folder of the clips; None is that of the table.
    :param labels: name of a label map in ``config``.
    :param config: file of label maps; None is the shipped ``zoo.yaml``.
    :param shares: see :func:`~.splits.split`, as for ``by`` and ``seed``.
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
        """Return the path of the table.

        :raises InputError: the folder has none, or several.
        """
        return _table(self.data) if self.data.is_dir() else self.data

    def read(self) -> ClipSet:
        """Read the clips.

        :raises InputError: as :func:`load_clips` and :func:`load_label_map`.
        """
        return load_clips(self.table, self.clips, load_label_map(self.labels, self.config))


def open_set(choice: SetChoice, cache: Path, processes: int | Runner | None = None) -> VideoSet:
    """Find the faces of a set of labelled video, or read them from the cache.

    :param cache: see :func:`~.face_tracks.face_tracks`, as for ``processes``.
    :raises InputError: the set cannot be read or split, fewer than two classes have clips with a
        face, or a part has no clip of the classes in train.
    :raises ModelError: the landmark source does not open.
    """
    found = _find(choice, cache, processes)
    return _divide(found, split(found.listed, choice.shares, choice.by, choice.seed))


def open_folds(
    choice: SetChoice, cache: Path, processes: int | Runner | None, count: int
) -> list[VideoSet]:
    """Open a set as :func:`open_set` does, ``count`` times, so that each clip is tested once.

    :param count: see :func:`~.splits.folds`; its shares and a column ``split`` do not count.
    :returns: one set for each fold. All have the same classes: those that each fold trains on.
    :raises InputError: as :func:`open_set` and :func:`~.splits.folds`.
    :raises ModelError: the landmark source does not open.
    """
    found = _find(choice, cache, processes)
    parts = folds(found.listed, count, choice.by, choice.seed)
    trained = set.intersection(*({clip.label for clip in fold['train']} for fold in parts))
    return [_divide(found, fold, trained) for fold in parts]


@dataclass(frozen=True, eq=False)
class _Found:
    """All clips of a set with a face, before they are split."""

    choice: SetChoice
    clips: ClipSet
    tracks: tuple[FaceTrack, ...]
    problems: list[str]

    @property
    def listed(self) -> list[Clip]:
        """Return the clips to split."""
        return [track.clip for track in self.tracks if track.clip.kind != APART]


def _find(choice: SetChoice, cache: Path, processes: int | Runner | None) -> _Found:
    clips = choice.read()
    tracks, problems = face_tracks(clips.clips, choice.frames, cache, processes)
    lines = summary((*clips.problems, *problems))
    if len({track.clip.label for track in tracks}) < 2:
        raise InputError(
            f'{choice.data} has clips with a face of fewer than two classes: ' + '; '.join(lines)
        )
    tracks = _with_strength(choice.table.parent / STRENGTH, tracks)
    return _Found(choice, clips, tracks, lines)


def _divide(
    found: _Found, parts: Mapping[str, Sequence[Clip]], trained: Collection[str] | None = None
) -> VideoSet:
    """Return the set that is split into ``parts``.

    :param trained: classes to keep; None keeps those in ``train``.
    """
    by_clip = {track.clip: track for track in found.tracks}
    if trained is None:
        trained = {clip.label for clip in parts['train']}
    classes = tuple(name for name in found.clips.classes if name in trained)
    kept = {
        part: tuple(by_clip[clip] for clip in parts[part] if clip.label in classes)
        for part in PARTS
    }
    empty = [part for part in PARTS if not kept[part]]
    if empty or len(classes) < 2:
        what = f'{empty[0]} has no clip' if empty else 'train has clips of fewer than two classes'
        if empty and parts[empty[0]]:
            what += ' of a class in train'
        raise InputError(f'{what}; change the shares or the column split, or add clips')
    warnings = [*found.clips.warnings, *split_warnings(parts, found.clips.classes)]
    seconds = sum(float(track.times[-1] - track.times[0]) for track in found.tracks)
    rate = sum(len(track) - 1 for track in found.tracks) / seconds
    known = {clip.subject for part in ('train', 'validation') for clip in parts[part]}
    apart = tuple(
        track
        for track in found.tracks
        if track.clip.kind == APART
        and track.clip.subject not in known
        and track.clip.label in classes
    )
    return VideoSet(classes, kept, rate, found.problems, warnings, apart)


def class_counts(tracks: Sequence[FaceTrack], classes: Sequence[str]) -> str:
    """Return the number of tracks of each class as text."""
    counts = Counter(track.clip.label for track in tracks)
    return ', '.join(f'{counts[name]} {name}' for name in classes)


def _table(folder: Path) -> Path:
    named = folder / TABLE
    if named.is_file():
        return named
    tables = sorted(folder.glob('*.csv'))
    if len(tables) != 1:
        found = 'no table' if not tables else f'{len(tables)} CSV files and no {TABLE}'
        raise InputError(f'{folder} has {found}; pass the table itself')
    return tables[0]


def _with_strength(path: Path, tracks: Sequence[FaceTrack]) -> tuple[FaceTrack, ...]:
    """Return tracks with the strength of the expression in each frame, if the set has it."""
    if not path.is_file():
        return tuple(tracks)
    strengths = _read_strengths(path)
    return tuple(
        replace(track, strength=_interpolated(strengths[track.clip.name], track.times))
        if track.clip.name in strengths
        else track
        for track in tracks
    )


def _interpolated(
    strength: Mapping[float, float], times: NDArray[np.float64]
) -> NDArray[np.float32]:
    return np.interp(times, list(strength), list(strength.values())).astype(np.float32)


def _read_strengths(path: Path) -> dict[str, dict[float, float]]:
    """Return the strength of the expression by clip and time."""
    strengths: dict[str, dict[float, float]] = {}
    try:
        for row in csv.DictReader(read_lines(path)):
            strengths.setdefault(row['clip'], {})[float(row['time'])] = float(row['strength'])
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise InputError(
            f'{path} is damaged ({first_line(error)}); make the set again, or delete the file'
        ) from error
    return strengths
