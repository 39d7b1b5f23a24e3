"""Tables of labelled video clips: label maps, the clips, and the problems found in them."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emotion_estimator.errors import InputError, first_line
from emotion_estimator.strict_yaml import read_yaml
from emotion_estimator.untrusted import read_lines
from emotion_estimator_training import CONFIG

#: File name suffixes of videos.
VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.mpg', '.mpeg', '.wmv', '.flv', '.gif')
#: Default name of the table, and of a file next to it that has the strength of the expression at
#: each time (columns clip, time, strength), as made sets do.
TABLE, STRENGTH = 'clips.csv', 'strength.csv'
#: Required and optional columns of the table.
COLUMNS, OPTIONAL = ('clip', 'label', 'subject'), ('start', 'end', 'split', 'kind')
#: Kind of clips that are only measured, apart from the others: they are in no part of a split.
APART = 'moved'
#: Parts of a split.
PARTS = ('train', 'validation', 'test')
#: Names of parts in a table.
_PART_NAMES = {
    **{part: part for part in PARTS},
    'training': 'train',
    'val': 'validation',
    'testing': 'test',
}
#: Kinds of problems, and how a summary names the clips that have them.
PROBLEM_KINDS = {
    'row': 'table lines that cannot be read',
    'label': 'clips whose label is not in the map',
    'missing': 'missing clips',
    'twice': 'clips that are listed twice',
    'overlap': 'segments that overlap an earlier one with another label',
    'unreadable': 'clips that cannot be decoded',
    'no face': 'clips without a face',
    'short': 'segments with too few frames',
    'window': 'clips without a complete window',
}
#: Problems of one kind that a summary quotes.
_QUOTED = 3
#: Seconds that segments with different labels may share: annotated ends are not exact.
_TOLERATED_OVERLAP = 0.1
#: Key of a label map that lists the labels to leave out.
_LEAVE_OUT = 'leave_out'


@dataclass(frozen=True)
class Problem:
    """A clip, or a line of the table, that is left out.

    :param kind: key of ``PROBLEM_KINDS``.
    :param clip: name of the clip, or of the line if it names none.
    :param what: one line that describes the problem.
    """

    kind: str
    clip: str
    what: str


def summary(problems: Iterable[Problem]) -> list[str]:
    """Return one line for each kind of problem: the number, and the first few of them."""
    problems = list(problems)
    counts = Counter(problem.kind for problem in problems)
    lines = []
    for kind, name in PROBLEM_KINDS.items():
        if counts[kind]:
            quoted = [problem.what for problem in problems if problem.kind == kind]
            more = f'; and {len(quoted) - _QUOTED} more' if len(quoted) > _QUOTED else ''
            lines.append(f'{counts[kind]} {name}: {"; ".join(quoted[:_QUOTED])}{more}')
    return lines


@dataclass(frozen=True)
class LabelMap:
    """Maps the labels of a set to classes.

    :param classes: in output order; empty if each label is a class of its own.
    :param to_class: class of each label, in lower case.
    :param leave_out: labels, in lower case, whose clips are not used.
    """

    name: str = 'identity'
    classes: tuple[str, ...] = ()
    to_class: Mapping[str, str] = field(default_factory=dict)
    leave_out: frozenset[str] = frozenset()

    def __call__(self, label: str) -> str | None:
        """Return the class of a label, or None if its clips are left out.

        :raises KeyError: the label is unknown.
        """
        if not self.classes:
            return label.strip()
        return None if _plain(label) in self.leave_out else self.to_class[_plain(label)]


def load_label_map(name: str = 'identity', config: Path | None = None) -> LabelMap:
    """Read a label map.

    :param config: a YAML file; None is the shipped ``config/zoo.yaml``.
    :raises InputError: there is no such map, it lists a label twice, or has one class only.
    """
    path = config or CONFIG / 'zoo.yaml'
    content = read_yaml(path)
    maps = content.get('label_maps') if isinstance(content, dict) else None
    if not isinstance(maps, dict):
        raise InputError(f'{path} has no label_maps; see the shipped zoo.yaml')
    if name not in maps:
        raise InputError(
            f'{path} has no label map {name!r}; it has: {", ".join(map(str, maps)) or "none"}'
        )
    labels_of = maps[name] or {}
    where = f'{path}: label map {name}'
    if not isinstance(labels_of, dict):
        raise InputError(f'{where}: list the labels of each class')
    to_class: dict[str, str] = {}
    for class_name, labels in labels_of.items():
        if not isinstance(labels, list) or not labels:
            raise InputError(f'{where}, class {class_name}: give a list of labels')
        for label in map(_plain, map(str, labels)):
            if label in to_class:
                raise InputError(f'{where}: {label!r} already belongs to {to_class[label]}')
            to_class[label] = str(class_name)
    leave_out = frozenset(label for label, one in to_class.items() if one == _LEAVE_OUT)
    classes = tuple(str(one) for one in labels_of if one != _LEAVE_OUT)
    if len(classes) < 2 and labels_of:
        raise InputError(f'{where}: give at least two classes')
    kept = {label: one for label, one in to_class.items() if label not in leave_out}
    return LabelMap(name, classes, kept, leave_out)


def _plain(label: str) -> str:
    return label.strip().lower()


@dataclass(frozen=True)
class Clip:
    """A labelled video, or a labelled part of one (a *segment*, Terbouche and Chaoui).

    :param name: from the table.
    :param path: a video file, or a folder of frames.
    :param label: one of the set's classes.
    :param subject: who is seen.
    :param start: seconds from the start of the video; None is its start.
    :param end: seconds, greater than ``start``; None is the end of the video.
    :param part: one of ``PARTS``, if the table has a column ``split``.
    :param kind: any word, which figures are broken down by; empty if the table has no such column.
    """

    name: str
    path: Path
    label: str
    subject: str
    start: float | None = None
    end: float | None = None
    part: str | None = None
    kind: str = ''

    @property
    def title(self) -> str:
        """Return the name, followed by the seconds of a segment."""
        if self.start is None and self.end is None:
            return self.name
        start, end = self.start or 0.0, 'end' if self.end is None else f'{self.end:g}'
        return f'{self.name} [{start:g}-{end} s]'


@dataclass(frozen=True)
class ClipSet:
    """The usable clips of a table.

    :param classes: in output order; each has a clip.
    :param problems: clips that are not used, and why.
    :param left_out: number of clips that the label map leaves out.
    :param warnings: likely mistakes that do not prevent using the clips.
    """

    classes: tuple[str, ...]
    clips: tuple[Clip, ...]
    problems: tuple[Problem, ...] = ()
    left_out: int = 0
    warnings: tuple[str, ...] = ()


def load_clips(table: Path, folder: Path | None = None, labels: LabelMap | None = None) -> ClipSet:
    """Read a table of labelled clips.

    :param table: CSV with the columns clip, label, subject, and optionally start and end in
        seconds, split (train, validation or test) and kind. A clip is the name of a video, with or
        without its suffix, or of a folder of frames.
    :param folder: of the clips; None is that of the table.
    :param labels: None makes each label a class of its own.
    :returns: the clips in the order of the table. Missing clips, unknown labels, unreadable lines,
        and clips that repeat or contradict an earlier one are returned as problems.
    :raises InputError: the table cannot be read, lacks a column, or has fewer than two classes.
    """
    labels = labels or LabelMap()
    folder = folder or table.parent
    if not folder.is_dir():
        raise InputError(f'{folder} is not a folder; pass the folder of the clips')
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
                raise ValueError(f'end {end:g} is not after start {start or 0:g}')
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
        kind = cells.get('kind', '').strip()
        clip = Clip(name, path, class_name, subject, start, end, part, kind)
        key = (path, start or 0.0, end)
        if key in clips:
            first = clips[key]
            same = (first.label, first.subject, first.part) == (class_name, subject, part)
            differs = '' if same else f' as {first.label} of {first.subject}'
            problems.append(
                Problem('twice', name, f'{clip.title} (line {line}) is listed before{differs}')
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
    """Return whether two clips of one video label the same time differently."""
    begin = max(one.start or 0.0, other.start or 0.0)
    end = min(math.inf if clip.end is None else clip.end for clip in (one, other))
    return one.label != other.label and end - begin > _TOLERATED_OVERLAP


def _alike(classes: tuple[str, ...], labels: LabelMap) -> tuple[str, ...]:
    """Return a warning if classes made of plain labels differ only in case."""
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(name.casefold(), []).append(name)
    alike = ['/'.join(names) for names in groups.values() if len(names) > 1]
    if labels.classes or not alike:
        return ()
    return (
        f'classes differ only in case ({", ".join(alike)}); unify them, or use a label map '
        '(--labels)',
    )


def _lines(table: Path) -> list[tuple[int, dict[str, str]]]:
    """Return the number of each line and its cells by column; blank lines are skipped."""
    lines = []
    try:
        reader = csv.reader(read_lines(table))
        header = [name.strip().lower() for name in next(reader, [])]
        missing = [name for name in COLUMNS if name not in header]
        if missing:
            raise InputError(
                f'{table}, line 1: no column {missing[0]}; required are '
                f'{", ".join(COLUMNS)}, optional {", ".join(OPTIONAL)}'
            )
        for cells in reader:
            if any(cell.strip() for cell in cells):
                lines.append((reader.line_num, dict(zip(header, cells))))
    except OSError as error:
        raise InputError(
            f'{table} cannot be read ({error.strerror}); pass a CSV table of clips'
        ) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(
            f'{table} is not CSV in UTF-8 ({first_line(error)}); convert it'
        ) from error
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
        raise ValueError(f'{column} {text!r} is not a time in seconds')
    return seconds


def _part(cells: Mapping[str, str]) -> str | None:
    if 'split' not in cells:
        return None
    text = cells['split'].strip()
    if text.lower() not in _PART_NAMES:
        raise ValueError(f'split {text!r} is not one of {", ".join(PARTS)}')
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
        # The name is too long, or the folder may not be entered.
        return None


def _too_few(
    table: Path, labels: LabelMap, classes: tuple[str, ...], problems: list[Problem], left_out: int
) -> str:
    what = f'usable clips of one class only ({classes[0]})' if classes else 'no usable clip'
    lines = [*summary(problems), *([f'{left_out} left out by the label map'] if left_out else [])]
    return (
        f'{table} has {what} with the label map {labels.name}; at least two classes are needed'
        + ''.join(f'; {line}' for line in lines)
    )
