"""Labelled video: a folder of clips, or of frames, and a table of labels."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from emotion_estimator.errors import InputError, first_line
from emotion_estimator.zoo.label_maps import LabelMap, load_label_map
from emotion_estimator.zoo.problems import Problem, summary

#: Names that count as videos.
VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.mpg', '.mpeg', '.wmv', '.flv', '.gif')

#: Columns of the table that are needed, and that may be there.
COLUMNS, OPTIONAL = ('clip', 'label', 'subject'), ('start', 'end')


@dataclass(frozen=True)
class Clip:
    """A video, or the part of it that one label describes (a *segment*, seed 004).

    :param name: as the table has it.
    :param path: a video file, or a folder of frames.
    :param label: one of the set's classes.
    :param subject: who is seen.
    :param start: seconds from the video's begin; None begins with it.
    :param end: seconds, over ``start``; None ends with the video.
    """

    name: str
    path: Path
    label: str
    subject: str
    start: float | None = None
    end: float | None = None

    @property
    def title(self) -> str:
        """Return the name, with its part of the video where it has one."""
        if self.start is None and self.end is None:
            return self.name
        start, end = self.start or 0.0, 'end' if self.end is None else f'{self.end:g}'
        return f'{self.name} [{start:g}-{end} s]'


@dataclass(frozen=True)
class ClipSet:
    """Clips that can be used, and what is wrong with the others.

    :param classes: in output order; each has a clip.
    :param left_out: how many clips have a label that the map leaves out on purpose.
    """

    classes: tuple[str, ...]
    clips: tuple[Clip, ...]
    problems: tuple[Problem, ...] = ()
    left_out: int = 0
