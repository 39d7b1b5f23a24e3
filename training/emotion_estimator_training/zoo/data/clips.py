"""Labelled video: a folder of clips, their labels, and what is wrong with single ones."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emotion_estimator import strict_yaml
from emotion_estimator.errors import InputError, first_line
from emotion_estimator_training import CONFIG

#: Kinds of problems, and what is said of them.
KINDS = {
    'row': 'lines of the table that cannot be read',
    'label': 'clips with a label that is not in the map',
    'missing': 'clips that are not there',
    'twice': 'clips that the table names twice',
    'overlap': 'segments that overlap one above of another label',
    'unreadable': 'clips that cannot be decoded',
    'no face': 'clips without a face',
    'short': 'segments with too few frames',
    'window': 'clips without a whole window',
}
#: How many are named of each kind.
_NAMED = 3


@dataclass(frozen=True)
class Problem:
    """One clip (or line) that is left out, and why.

    :param kind: one of ``KINDS``.
    :param clip: its name; of a line that names none, the line.
    :param what: one line that says what is wrong.
    """

    kind: str
    clip: str
    what: str


def summary(problems: Iterable[Problem]) -> list[str]:
    """Return one line for each kind of problem: how many there are, and what the first ones are."""
    found = list(problems)
    counts = Counter(problem.kind for problem in found)
    lines = []
    for kind, says in KINDS.items():
        if counts[kind]:
            named = [problem.what for problem in found if problem.kind == kind]
            more = f'; and {len(named) - _NAMED} more' if len(named) > _NAMED else ''
            lines.append(f'{counts[kind]} {says}: {"; ".join(named[:_NAMED])}{more}')
    return lines


_LEAVE_OUT = 'leave_out'


@dataclass(frozen=True)
class LabelMap:
    """A set's labels as classes.

    :param classes: in output order; empty where each label stands for itself.
    :param to_class: from a label in lower case to its class.
    :param leave_out: labels, in lower case, whose clips are not used.
    """

    name: str = 'identity'
    classes: tuple[str, ...] = ()
    to_class: Mapping[str, str] = field(default_factory=dict)
    leave_out: frozenset[str] = frozenset()

    def __call__(self, label: str) -> str | None:
        """Return a label's class, or None where the map leaves it out.

        :raises KeyError: the map does not know it.
        """
        if not self.classes:
            return label.strip()
        return None if _plain(label) in self.leave_out else self.to_class[_plain(label)]


def default_config() -> Path:
    """Return the shipped ``zoo.yaml``."""
    return CONFIG / 'zoo.yaml'


def load_label_map(name: str = 'identity', config: Path | None = None) -> LabelMap:
    """Read a label map.

    :param config: a YAML file like ``config/zoo.yaml``; None takes that.
    :raises InputError: it is not there, gives a label two classes, or has fewer than two classes
        (but none at all, as ``identity`` has).
    """
    path = config or default_config()
    maps = _maps(path)
    if name not in maps:
        raise InputError(
            f'{path} has no label map {name!r}; it has: {", ".join(map(str, maps)) or "none"}'
        )
    content = maps[name] or {}
    where = f'{path}: label map {name}'
    if not isinstance(content, dict):
        raise InputError(f'{where}: give classes and the labels of each')
    to_class: dict[str, str] = {}
    for class_name, labels in content.items():
        if not isinstance(labels, list) or not labels:
            raise InputError(f'{where}, class {class_name}: give a list of labels')
        for label in map(_plain, map(str, labels)):
            if label in to_class:
                raise InputError(f'{where}: {label!r} belongs to {to_class[label]} already')
            to_class[label] = str(class_name)
    leave_out = frozenset(label for label, one in to_class.items() if one == _LEAVE_OUT)
    classes = tuple(str(one) for one in content if one != _LEAVE_OUT)
    if len(classes) < 2 and content:
        raise InputError(f'{where}: there must be two classes or more')
    kept = {label: one for label, one in to_class.items() if label not in leave_out}
    return LabelMap(name, classes, kept, leave_out)


def _maps(path: Path) -> dict[object, object]:
    content = strict_yaml.read_yaml(path)
    maps = content.get('label_maps') if isinstance(content, dict) else None
    if not isinstance(maps, dict):
        raise InputError(f'{path} has no label_maps; see the shipped config/zoo.yaml')
    return maps


def _plain(label: str) -> str:
    return label.strip().lower()


#: Names that count as videos.
VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.mpg', '.mpeg', '.wmv', '.flv', '.gif')

#: Seconds that segments of two labels may have in common: annotators' ends are not exact.
_COMMON = 0.1

#: Columns of the table that are needed, and that may be there.
COLUMNS, OPTIONAL = ('clip', 'label', 'subject'), ('start', 'end', 'split')
#: Parts of a set, and what tables call them.
PARTS = ('train', 'validation', 'test')
_PART_NAMES = {
    **{part: part for part in PARTS},
    'training': 'train',
    'val': 'validation',
    'testing': 'test',
}


@dataclass(frozen=True)
class Clip:
    """A video, or the part of it that one label describes (a *segment*, Terbouche and Chaoui).

    :param name: as the table has it.
    :param path: a video file, or a folder of frames.
    :param label: one of the set's classes.
    :param subject: who is seen.
    :param start: seconds from the video's begin; None begins with it.
    :param end: seconds, over ``start``; None ends with the video.
    :param part: one of ``PARTS``, where the table has a column ``split``.
    """

    name: str
    path: Path
    label: str
    subject: str
    start: float | None = None
    end: float | None = None
    part: str | None = None

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
    :param warnings: what is likely meant otherwise, although all can be used.
    """

    classes: tuple[str, ...]
    clips: tuple[Clip, ...]
    problems: tuple[Problem, ...] = ()
    left_out: int = 0
    warnings: tuple[str, ...] = ()


def load_clips(table: Path, folder: Path | None = None, labels: LabelMap | None = None) -> ClipSet:
    """Read a table of labelled clips.

    :param table: CSV with the columns clip, label, subject and, where it likes, start and end in
        seconds, and split (train, validation or test). A clip is the name of a video (its suffix
        may lack) or of a folder of frames.
    :param folder: where the clips are; None is where the table is.
    :param labels: None takes each label as a class of its own.
    :returns: the clips in the table's order; those that are not there, have a label that is not in
        the map, stand in a line that cannot be read, or overlap one above of another label, as
        problems.
    :raises InputError: the table cannot be read, lacks a column, or leaves fewer than two classes.
    """
    labels = labels or LabelMap()
    folder = folder or table.parent
    if not folder.is_dir():
        raise InputError(f'{folder} is no folder; give the folder of the clips')
    clips: dict[tuple[Path, float, float | None], Clip] = {}
    of_video: dict[Path, list[Clip]] = {}
    problems: list[Problem] = []
    left_out = 0
    for line, cells in _lines(table):
        try:
            name, label, subject = (_cell(cells, column) for column in COLUMNS)
            start, end = _seconds(cells, 'start'), _seconds(cells, 'end')
            part = _part(cells)
            if end is not None and end <= (start or 0.0):
                raise ValueError(f'its end ({end:g}) is not after its start ({start or 0:g})')
        except ValueError as error:
            problems.append(Problem('row', f'line {line}', f'line {line}: {error}'))
            continue
        try:
            class_name = labels(label)
        except KeyError:
            problems.append(Problem('label', name, f'{name}: {label!r} (line {line})'))
            continue
        if class_name is None:
            left_out += 1
            continue
        path = _find(folder, name)
        if path is None:
            problems.append(Problem('missing', name, name))
            continue
        clip = Clip(name, path, class_name, subject, start, end, part)
        key = (path, start or 0.0, end)
        if key in clips:
            first = clips[key]
            same = (first.label, first.subject, first.part) == (class_name, subject, part)
            differs = '' if same else f' as {first.label} of {first.subject}'
            problems.append(
                Problem('twice', name, f'{clip.title} (line {line}) stands above already{differs}')
            )
            continue
        other = next((one for one in of_video.get(path, []) if _contradict(one, clip)), None)
        if other is not None:
            what = f'{clip.title} (line {line}) is {class_name}, {other.title} is {other.label}'
            problems.append(Problem('overlap', name, what))
            continue
        clips[key] = clip
        of_video.setdefault(path, []).append(clip)
    classes = labels.classes or tuple(sorted({clip.label for clip in clips.values()}))
    classes = tuple(one for one in classes if any(clip.label == one for clip in clips.values()))
    if len(classes) < 2:
        raise InputError(_too_few(table, labels, classes, problems, left_out))
    return ClipSet(
        classes, tuple(clips.values()), tuple(problems), left_out, _alike(classes, labels)
    )


def _contradict(one: Clip, other: Clip) -> bool:
    """Tell whether two clips of one video say different things of the same time."""
    begin = max(one.start or 0.0, other.start or 0.0)
    end = min(math.inf if clip.end is None else clip.end for clip in (one, other))
    return one.label != other.label and end - begin > _COMMON


def _alike(classes: tuple[str, ...], labels: LabelMap) -> tuple[str, ...]:
    """Return a warning where labels that stand for themselves differ in capitals only."""
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(name.casefold(), []).append(name)
    alike = ['/'.join(names) for names in groups.values() if len(names) > 1]
    if labels.classes or not alike:
        return ()
    return (
        f'classes differ in capitals only ({", ".join(alike)}); write them alike, or give a label '
        'map (--labels)',
    )


def _lines(table: Path) -> list[tuple[int, Mapping[str, str]]]:
    """Return each line's number and cells by column; blank lines are passed over."""
    lines = []
    try:
        with table.open(newline='', encoding='utf-8-sig') as file:
            reader = csv.reader(file)
            header = [name.strip().lower() for name in next(reader, [])]
            missing = [name for name in COLUMNS if name not in header]
            if missing:
                raise InputError(
                    f'{table}, line 1: no column {missing[0]}; it needs '
                    f'{", ".join(COLUMNS)} and may have {" and ".join(OPTIONAL)}'
                )
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    lines.append((reader.line_num, dict(zip(header, cells))))
    except OSError as error:
        raise InputError(
            f'{table} cannot be read ({error.strerror}); give a CSV file of clips'
        ) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f'{table} is no CSV in UTF-8: {first_line(error)}') from error
    return lines


def _cell(cells: Mapping[str, str], column: str) -> str:
    text = cells.get(column, '').strip()
    if not text or '\0' in text:
        raise ValueError(f'no {column}')
    return text


def _seconds(cells: Mapping[str, str], column: str) -> float | None:
    text = cells.get(column, '').strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f'{column} {text!r} is no time in seconds')
    return seconds


def _part(cells: Mapping[str, str]) -> str | None:
    if 'split' not in cells:
        return None
    text = cells['split'].strip()
    if text.lower() not in _PART_NAMES:
        raise ValueError(f'split {text!r} is none of {", ".join(PARTS)}')
    return _PART_NAMES[text.lower()]


def _find(folder: Path, name: str) -> Path | None:
    """Return a clip's file or folder, or None."""
    path = folder / name
    try:
        if path.is_file() or path.is_dir():
            return path
        candidates = (path.with_name(path.name + suffix) for suffix in VIDEO_SUFFIXES)
        return next((one for one in candidates if one.is_file()), None)
    except (OSError, ValueError):
        # A name too long, or a folder one may not enter.
        return None


def _too_few(
    table: Path, labels: LabelMap, classes: tuple[str, ...], problems: list[Problem], left_out: int
) -> str:
    what = f'clips of one class only ({classes[0]})' if classes else 'no clip that can be used'
    says = [*summary(problems), *([f'{left_out} left out by the label map'] if left_out else [])]
    return (
        f'{table} has {what} by the label map {labels.name}; at least two classes are needed'
        + ''.join(f'; {line}' for line in says)
    )
