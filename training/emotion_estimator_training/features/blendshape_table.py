"""Tables of blendshapes, one face a line, in CSV files that any program can write."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import InputError
from emotion_estimator.untrusted import cannot_read, quote, quote_some, read_lines
from emotion_estimator_training.data.grouping import Grouping
from emotion_estimator_training.data.stills import FER_CLASSES, SPLITS, class_named, split_named

#: ``BlendshapeTable.usage`` of rows whose file does not say it.
NO_USAGE = -1
#: Columns by what they hold, lower case; the first one that a file has is read.
_LABEL, _USAGE = ('class', 'label', 'emotion'), ('usage', 'split')
_PERSON, _COPY = ('person', 'subject', 'index', 'image'), ('augmented',)
_NUMBER = re.compile(r'[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?')
#: A blendshape's column in the tables of Attrah's repository: its index.
_NUMBERED = re.compile(r'blend([0-9]{1,2})')


@dataclass(frozen=True, eq=False)
class BlendshapeTable:
    """Labelled blendshapes.

    :param blendshapes: float32 (N, 52), 0 to 1, in ``BLENDSHAPE_NAMES`` order; zeros in columns
        that are not ``known``.
    :param known: indices of the blendshapes that every file has a column of.
    :param label: (N,), as written: a word, or a number.
    :param usage: int64 (N,), ``TRAINING``, ``PUBLIC_TEST``, ``PRIVATE_TEST`` or ``NO_USAGE``.
    :param person: (N,), who is seen, or the image; a row of neither is its own.
    :param augmented: bool (N,), whether the row is an augmented copy.
    """

    blendshapes: NDArray[np.float32]
    known: tuple[int, ...]
    label: tuple[str, ...]
    usage: NDArray[np.int64]
    person: tuple[str, ...]
    augmented: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.label)

    def indices(self, labels: Sequence[str], grouping: Grouping | None = None) -> NDArray[np.int64]:
        """Return each row's index in ``labels``, int64 (N,).

        A number is an index in the labels of ``grouping``, or in ``labels`` without one. A word is
        a label, or one of FER2013's classes that ``grouping`` makes a label of.

        :param grouping: of these labels, in any order.
        :raises InputError: a row has neither.
        """
        found: dict[str, int] = {}
        for word in dict.fromkeys(self.label):
            index = _index(word, labels, grouping)
            if index is None:
                classes = f", or FER2013's {', '.join(FER_CLASSES)}" if grouping else ''
                raise InputError(
                    f'the table has the label {quote(word)}; known are '
                    f'{quote_some(list(labels), 12)}{classes}, and 0 to {len(labels) - 1}'
                )
            found[word] = index
        return np.array([found[word] for word in self.label], np.int64)


def _index(word: str, labels: Sequence[str], grouping: Grouping | None) -> int | None:
    named = list(grouping.labels if grouping else labels)
    if re.fullmatch(_NUMBER, word) and float(word) % 1 == 0:
        number = min(int(float(word)), len(named))
        return labels.index(named[number]) if number < len(named) else None
    if word in labels:
        return labels.index(word)
    code = class_named(word)
    if grouping is None or code is None:
        return None
    return labels.index(named[int(grouping.to_label[code])])


def read_tables(paths: Sequence[Path]) -> BlendshapeTable:
    """Read CSV files as one table.

    :param paths: files whose first line names the columns: blendshapes by name, or ``blend25`` by
        index; ``class``, ``label`` or ``emotion``; and optionally ``usage`` or ``split`` (Training,
        PublicTest, PrivateTest, or train, validation, test), ``person``, ``subject``, ``index`` or
        ``image``, and ``augmented``. Other columns are ignored. Without a usage, the file's name
        decides, if one of its words is a split. Without names there are 52 scores and the label, as
        in some of Attrah's tables.
    :raises InputError: one cannot be read, has no blendshape, label or row, or a wrong line; names
        the line.
    """
    parts = [_read(path) for path in paths]
    return BlendshapeTable(
        np.concatenate([part.blendshapes for part in parts]),
        tuple(i for i in parts[0].known if all(i in part.known for part in parts)),
        tuple(label for part in parts for label in part.label),
        np.concatenate([part.usage for part in parts]),
        tuple(person for part in parts for person in part.person),
        np.concatenate([part.augmented for part in parts]),
    )


def _read(path: Path) -> BlendshapeTable:
    scores: list[list[float]] = []
    label: list[str] = []
    usage: list[int] = []
    person: list[str] = []
    copies: list[bool] = []
    default = _usage_of_name(path)
    try:
        lines = csv.reader(read_lines(path))
        header = [name.strip() for name in next(lines, [])]
        unnamed = [header] if _is_row(header) else []
        if unnamed:
            header = [
                *BLENDSHAPE_NAMES,
                'label',
                *['' for _ in header[len(BLENDSHAPE_NAMES) + 1 :]],
            ]
        columns = _blendshapes(header, path)
        at = {name: number for number, name in reversed([*enumerate(map(str.lower, header))])}
        where_label, where_usage, where_person, where_copy = (
            next((at[name] for name in names if name in at), None)
            for names in (_LABEL, _USAGE, _PERSON, _COPY)
        )
        if where_label is None:
            raise InputError(f'{quote(path)}, line 1: no column {", ".join(_LABEL)}')
        for cells in chain(unnamed, lines):
            if not any(cells):
                continue
            where = f'{quote(path)}, line {lines.line_num}'
            if len(cells) < len(header):
                raise InputError(f'{where}: {len(cells)} columns instead of {len(header)}')
            scores.append(_scores(cells, columns, where))
            label.append(cells[where_label].strip())
            if not label[-1]:
                raise InputError(f'{where}: no label')
            usage.append(default if where_usage is None else _usage(cells[where_usage], where))
            person.append(where if where_person is None else cells[where_person].strip())
            copies.append(where_copy is not None and cells[where_copy].strip() in ('1', 'True'))
    except (OSError, ValueError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        raise cannot_read('blendshape table', path, error, InputError) from error
    if not scores:
        raise InputError(f'blendshape table {quote(path)} has no rows, only a header')
    known = sorted(columns)
    blendshapes = np.zeros((len(scores), len(BLENDSHAPE_NAMES)), np.float32)
    blendshapes[:, known] = np.array(scores, np.float32)
    return BlendshapeTable(
        blendshapes,
        tuple(known),
        tuple(label),
        np.array(usage, np.int64),
        tuple(person),
        np.array(copies, bool),
    )


def _is_row(cells: Sequence[str]) -> bool:
    """Return whether the first line is a row of a table without names: 52 scores and a label."""
    return len(cells) > len(BLENDSHAPE_NAMES) and all(map(_NUMBER.fullmatch, cells))


def _blendshapes(header: Sequence[str], path: Path) -> dict[int, int]:
    """Return the column of each blendshape that a header names, by the blendshape's index."""
    columns: dict[int, int] = {}
    for number, name in enumerate(header):
        numbered = _NUMBERED.fullmatch(name)
        if name in BLENDSHAPE_NAMES:
            index = BLENDSHAPE_NAMES.index(name)
        elif numbered and int(numbered[1]) < len(BLENDSHAPE_NAMES):
            index = int(numbered[1])
        else:
            continue
        if index in columns:
            raise InputError(f'{quote(path)}, line 1: {BLENDSHAPE_NAMES[index]} has two columns')
        columns[index] = number
    if not columns:
        raise InputError(
            f'{quote(path)}, line 1 names no blendshape such as {BLENDSHAPE_NAMES[25]}; "training '
            'features" writes such tables'
        )
    return columns


def _scores(cells: Sequence[str], columns: dict[int, int], where: str) -> list[float]:
    """Return the scores by rising index of the blendshape."""
    values = []
    for index in sorted(columns):
        cell = cells[columns[index]]
        try:
            value = float(cell)
        except ValueError:
            value = -1.0
        if not 0.0 <= value <= 1.0:
            raise InputError(
                f'{where}: {BLENDSHAPE_NAMES[index]} is {quote(cell)}; give a number from 0 to 1'
            )
        values.append(value)
    return values


def _usage(cell: str, where: str) -> int:
    found = split_named(cell)
    if found is None:
        raise InputError(f'{where}: usage {quote(cell)}; use {", ".join(SPLITS)}')
    return found


def _usage_of_name(path: Path) -> int:
    for word in re.split(r'[^A-Za-z]+', path.stem):
        found = split_named(word)
        if found is not None:
            return found
    return NO_USAGE
