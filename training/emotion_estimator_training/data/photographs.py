"""Labelled photographs of people: a folder or a zip with a CSV; parts that share no person."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError, first_line
from emotion_estimator.frame import RgbImage
from emotion_estimator.perception.image import rgb_from_file
from emotion_estimator.picture_header import check_picture
from emotion_estimator.sources.base import silence_opencv
from emotion_estimator.untrusted import read_limited
from emotion_estimator_training.data.stills import FER_CLASSES, class_named

#: Name of the CSV, if there are several.
LABELS_FILE = 'labels.csv'
#: Columns that it must have; ``split`` may be there too.
COLUMNS = ('image', 'label', 'person')
#: Values of the column ``split``, lower case: kept for training, or held out.
_TRAINING_NAMES = ('train', 'training')
_HELD_OUT_NAMES = ('held_out', 'held-out', 'test', 'validation', 'valid', 'val')

#: Bits of two pictures' difference hashes (of 128) that may differ if they are copies: re-encoded,
#: resized, cut a little differently. Of 6,877 press photographs all pairs up to 7 bits apart were
#: such; from 8 on, two people were taken for one.
_COPY_BITS = 6
#: Side in cells of the difference hash.
_HASH_SIDE = 8
#: Pictures compared with all others at a time.
_BLOCK = 1024

#: A person with more than this share of all photographs, and with more than this number of them,
#: is never held out: a held-out part with a third of its pictures of one face measures that face.
_FREQUENT_SHARE = 0.01
_FREQUENT_COUNT = 20

#: Bytes of a file that is still taken for a picture.
_MOST_BYTES = 100_000_000
#: Examples of a problem, and characters of each.
_EXAMPLES, _LONGEST = 3, 80


@dataclass(frozen=True)
class DataProblem:
    """Something wrong with the data, and how often.

    :param kind: what is wrong and what was done about it.
    :param count: rows or pictures.
    :param examples: the first few.
    """

    kind: str
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        """Return one line."""
        more = ', ...' if self.count > len(self.examples) else ''
        return f'{self.kind}: {self.count:,} ({", ".join(self.examples)}{more})'


@dataclass(frozen=True, eq=False)
class Photographs:
    """Labelled photographs; their pixels are read when they are asked for.

    :param path: the folder or zip.
    :param names: each picture's file, as the CSV names it.
    :param emotion: int64 (N,), index into ``FER_CLASSES``.
    :param person: (N,), who is shown; a picture without a person has one of its own.
    :param copy_of: int64 (N,), the first row with the same picture (the same bytes, or so alike
        that it must be a copy); its own row for most.
    :param held_out: bool (N,), as the column ``split`` says; None without that column.
    :param problems: what was wrong with the data.
    """

    path: Path
    names: tuple[str, ...]
    emotion: NDArray[np.int64]
    person: tuple[str, ...]
    copy_of: NDArray[np.int64]
    held_out: NDArray[np.bool_] | None = None
    problems: tuple[DataProblem, ...] = ()
    _files: _Files | None = field(default=None, repr=False)

    def __len__(self) -> int:
        """Return the number of photographs."""
        return len(self.names)

    @property
    def duplicate(self) -> NDArray[np.bool_]:
        """Return (N,), whether an earlier row has the same picture."""
        return np.asarray(self.copy_of != np.arange(len(self)))

    def encoded(self, row: int) -> bytes:
        """Return a picture's file.

        :raises InputError: it has gone since.
        """
        files = self._files or _open_files(self.path)
        data, reason = files.read(self.names[row])
        if data is None:
            raise InputError(f'{self.path}: {self.names[row]}: {reason}; restore the file')
        return data

    def image(self, row: int) -> RgbImage:
        """Return a picture as uint8 (H, W, 3) RGB, its EXIF orientation applied.

        :raises InputError: it has gone or changed since.
        """
        try:
            return rgb_from_file(self.encoded(row))
        except InputError as error:
            raise InputError(f'{self.path}: {self.names[row]}: {error}') from error

    def where(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Photographs:
        """Return some of the photographs, without the problems of all.

        :param rows: a mask (N,) or indices. Copies of a picture that is left out are copies of the
            first one kept.
        """
        kept = np.arange(len(self))[rows]
        first: dict[int, int] = {}
        for row, original in enumerate(self.copy_of[kept].tolist()):
            first.setdefault(original, row)
        return replace(
            self,
            names=tuple(self.names[row] for row in kept),
            emotion=self.emotion[kept],
            person=tuple(self.person[row] for row in kept),
            copy_of=np.array([first[row] for row in self.copy_of[kept].tolist()], np.int64),
            held_out=None if self.held_out is None else self.held_out[kept],
            problems=(),
        )


class _Problems:
    """Collects examples by kind, in the order in which kinds appear."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}

    def add(self, kind: str, example: str) -> None:
        # A CSV's cell may hold anything; a problem is one line.
        shown = ' '.join(example.split())
        self._found.setdefault(kind, []).append(shown[:_LONGEST])

    def listed(self) -> tuple[DataProblem, ...]:
        return tuple(
            DataProblem(kind, len(examples), tuple(examples[:_EXAMPLES]))
            for kind, examples in self._found.items()
        )


class _Files:
    """The files of a folder or a zip, by their names relative to the CSV."""

    def __init__(self, path: Path, labels: str, archive: zipfile.ZipFile | None) -> None:
        self.path = path
        #: The CSV's name in the folder or zip.
        self.labels = labels
        self._archive = archive
        self._base = labels.rpartition('/')[0]

    def __reduce__(self) -> tuple[Any, ...]:
        """Open the zip again in another process: one file's position cannot be shared."""
        return _open_files, (self.path,)

    def read(self, name: str) -> tuple[bytes | None, str]:
        """Return a file's bytes, or None and why not."""
        if not name:
            return None, 'no name'
        try:
            if self._archive is None:
                file = self.path / self._base / name
                if not file.is_file():
                    return None, 'missing'
                return read_limited(file, _MOST_BYTES), ''
            entry = self._archive.getinfo(f'{self._base}/{name}' if self._base else name)
            if entry.file_size > _MOST_BYTES:
                return None, 'too large'
            return self._archive.read(entry), ''
        except KeyError:
            return None, 'missing'
        except (OSError, ValueError, RuntimeError, NotImplementedError, EOFError) as error:
            # RuntimeError: encrypted. ValueError: a null byte in the name.
            return None, getattr(error, 'strerror', None) or first_line(error)
        except zipfile.BadZipFile as error:
            return None, first_line(error)
        except Exception as error:  # zlib, bz2 and lzma each raise errors of their own
            if type(error).__module__ not in ('zlib', 'bz2', '_lzma', 'lzma'):
                raise
            return None, first_line(error)


def _open_files(path: Path) -> _Files:
    """Find the CSV.

    :raises InputError: there is no such folder or zip, or none or several CSV files in it.
    """
    archive = None
    if path.is_dir():
        names = [file.name for file in path.iterdir() if file.suffix.lower() == '.csv']
    else:
        try:
            archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            reason = getattr(error, 'strerror', None) or first_line(error)
            raise InputError(
                f'{path} cannot be read ({reason}); give a folder or a zip of photographs with '
                f'{LABELS_FILE} (columns {", ".join(COLUMNS)})'
            ) from error
        names = [
            name
            for name in archive.namelist()
            if name.lower().endswith('.csv') and name.count('/') < 2 and '__MACOSX' not in name
        ]
    preferred = [name for name in names if name.rpartition('/')[2] == LABELS_FILE] or names
    if len(preferred) != 1:
        found = f'has {len(names)} CSV files' if names else 'has no CSV file'
        raise InputError(f'{path} {found}; name the one with {", ".join(COLUMNS)} {LABELS_FILE}')
    return _Files(path, preferred[0], archive)


def load_photographs(path: Path) -> Photographs:
    """Read a folder or a zip of photographs with a CSV.

    :param path: holds a CSV with the columns image (a file's name, relative to the CSV), label (one
        of ``FER_CLASSES`` or a usual synonym), person, and optionally split (train or test), in
        any order; the pictures are in any format that OpenCV reads.
    :returns: the rows that can be used. Everything else is counted in ``problems``: rows that are
        left out (repeated, incomplete, with another label, their picture missing or unreadable),
        pictures without a person, copies, persons in both parts of ``split``.
    :raises InputError: there is no CSV, a column is missing, or no row can be used.
    """
    silence_opencv()
    files = _open_files(path)
    problems = _Problems()
    rows = _unique(_rows(files, problems), problems)
    kept: list[_Row] = []
    digests, hashes = [], []
    for row in rows:
        data, reason = files.read(row.image)
        if data is None:
            problems.add(
                'rows left out, picture cannot be read'
                if reason != 'missing'
                else 'rows left out, picture missing',
                row.image if reason == 'missing' else f'{row.image} ({reason})',
            )
            continue
        fingerprint = _difference_hash(data)
        if fingerprint is None:
            problems.add('rows left out, picture cannot be decoded', row.image)
            continue
        kept.append(row)
        digests.append(hashlib.sha256(data).digest())
        hashes.append(fingerprint)
    if not kept:
        what = '; '.join(map(str, problems.listed())) or 'only a header'
        raise InputError(f'{path}: no row of {files.labels} can be used: {what}')
    copy_of = _copies(np.stack(hashes))
    _name_copies(kept, copy_of, digests, problems)
    held_out = _held_out(kept, problems)
    return Photographs(
        path=path,
        names=tuple(row.image for row in kept),
        emotion=np.array([row.emotion for row in kept], np.int64),
        person=tuple(row.person for row in kept),
        copy_of=copy_of,
        held_out=held_out,
        problems=problems.listed(),
        _files=files,
    )


@dataclass(frozen=True)
class _Row:
    line: int
    image: str
    emotion: int
    person: str
    split: str | None


def _rows(files: _Files, problems: _Problems) -> Iterator[_Row]:
    where = f'{files.path}: {files.labels}'
    data, reason = files.read(files.labels.rpartition('/')[2])
    if data is None:
        raise InputError(f'{where} cannot be read ({reason})')
    try:
        text = data.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b'\n') + 1
        raise InputError(f'{where}, line {line}: not UTF-8; save the file as UTF-8') from error
    first = text.partition('\n')[0]
    # Spreadsheets of many countries write semicolons.
    delimiter = max(',;\t', key=first.count)
    lines = csv.reader(io.StringIO(text, newline=''), delimiter=delimiter)
    try:
        header = [name.strip().lower() for name in next(lines, [])]
        missing = [name for name in COLUMNS if name not in header]
        if missing:
            raise InputError(
                f'{where}, line 1: no column {missing[0]}; it needs {", ".join(COLUMNS)}'
            )
        at = [header.index(name) for name in COLUMNS]
        split_at = header.index('split') if 'split' in header else None
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            cells += [''] * (len(header) - len(cells))
            image, label, person = (cells[column].strip() for column in at)
            number = lines.line_num
            emotion = class_named(label)
            if not image:
                problems.add('rows left out, no picture named', f'line {number}')
            elif emotion is None:
                problems.add(
                    f'rows left out, label none of {", ".join(FER_CLASSES)}',
                    f'line {number} {label!r}',
                )
            else:
                if not person:
                    problems.add('pictures without a person, each taken for another', image)
                    person = f'(line {number})'
                split = None if split_at is None else cells[split_at].strip()
                yield _Row(number, image, emotion, person, split)
    except csv.Error as error:
        raise InputError(f'{where}, near line {lines.line_num}: {first_line(error)}') from error


def _unique(rows: Iterable[_Row], problems: _Problems) -> Iterator[_Row]:
    """Yield the first row of each picture."""
    seen: dict[str, _Row] = {}
    for row in rows:
        first = seen.setdefault(row.image, row)
        if first is row:
            yield row
        elif replace(row, line=first.line) == first:
            problems.add('rows left out, the same as an earlier one', f'line {row.line}')
        else:
            problems.add(
                'rows left out, an earlier one says something else of the picture',
                f'line {row.line} {row.image}',
            )


def _difference_hash(data: bytes) -> NDArray[np.bool_] | None:
    """Return 128 bits: whether each cell of 8x8 is darker than its right and its lower neighbour.

    None if it is no picture.
    """
    buffer = np.frombuffer(data, np.uint8)
    try:
        check_picture(buffer, 'picture')
        # A quarter of the size is four times as fast to decode, if it is a JPEG.
        picture = cv2.imdecode(buffer, cv2.IMREAD_REDUCED_GRAYSCALE_4)
    except (InputError, cv2.error):
        picture = None
    if picture is None:
        return None
    side = _HASH_SIDE + 1
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA).astype(np.int16)
    right = small[:-1, 1:] > small[:-1, :-1]
    down = small[1:, :-1] > small[:-1, :-1]
    return np.asarray(np.concatenate([right.ravel(), down.ravel()]), bool)


def _copies(hashes: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return ``copy_of`` as in :class:`Photographs`."""
    links = _Links(len(hashes))
    signs = np.where(hashes, 1, -1).astype(np.float32)
    bits = hashes.shape[1]
    for start in range(0, len(signs), _BLOCK):
        agreement = signs[start : start + _BLOCK] @ signs.T
        for a, b in np.argwhere(agreement >= bits - 2 * _COPY_BITS).tolist():
            links.join(start + a, b)
    return np.array([links.first(row) for row in range(len(hashes))], np.int64)


class _Links:
    """Groups of numbers, joined pair by pair; each is known by its least member."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def first(self, number: int) -> int:
        while self._parent[number] != number:
            self._parent[number] = number = self._parent[self._parent[number]]
        return number

    def join(self, a: int, b: int) -> None:
        low, high = sorted((self.first(a), self.first(b)))
        self._parent[high] = low


def _name_copies(
    rows: Sequence[_Row], copy_of: NDArray[np.int64], digests: Sequence[bytes], problems: _Problems
) -> None:
    for row, original in enumerate(copy_of.tolist()):
        if row == original:
            continue
        example = f'{rows[row].image} of {rows[original].image}'
        exact = digests[row] == digests[original]
        problems.add(f'{"exact" if exact else "near"} copies of other pictures', example)
        if rows[row].person != rows[original].person:
            problems.add('copies under another person than the original, kept in one part', example)
        if rows[row].emotion != rows[original].emotion:
            problems.add('copies with another label than the original', example)


def _held_out(rows: Sequence[_Row], problems: _Problems) -> NDArray[np.bool_] | None:
    if all(row.split is None for row in rows):
        return None
    parts: dict[str, set[bool]] = defaultdict(set)
    held_out = []
    for row in rows:
        name = (row.split or '').lower()
        if name not in _TRAINING_NAMES + _HELD_OUT_NAMES:
            problems.add(
                'rows with a split other than train or test, taken for train',
                f'line {row.line} {row.split!r}',
            )
        held_out.append(name in _HELD_OUT_NAMES)
        parts[row.person].add(held_out[-1])
    for person, found in parts.items():
        if len(found) > 1:
            problems.add('people in both parts of the split, taken for train', person)
    return np.array(
        [held and parts[row.person] == {True} for row, held in zip(rows, held_out)], bool
    )


def split_by_person(
    photographs: Photographs, held_out: float = 0.2
) -> tuple[Photographs, Photographs]:
    """Return the photographs to train on, and those of held-out people.

    No person and no picture (nor a copy of it) is in both. A person's part follows from a hash of
    the name, so it stays the same whoever else is added. A person in more than 1 % of the
    photographs is never held out. If the CSV has a column ``split``, that decides instead.

    :param held_out: share of people, in (0, 1).
    :raises InputError: a part would be empty.
    """
    people = sorted(set(photographs.person))
    number = {person: n for n, person in enumerate(people)}
    rows = np.array([number[person] for person in photographs.person])
    groups = _Links(len(people))
    for row, original in enumerate(photographs.copy_of.tolist()):
        groups.join(int(rows[row]), int(rows[original]))
    if photographs.held_out is None:
        counts = Counter(photographs.person)
        most = max(_FREQUENT_COUNT, _FREQUENT_SHARE * len(photographs))
        # People who share a picture follow the first of them.
        chosen = [
            name_share(people[groups.first(n)]) < held_out and counts[name] <= most
            for n, name in enumerate(people)
        ]
    else:
        said = dict(zip(photographs.person, photographs.held_out.tolist()))
        chosen = [said[name] for name in people]
    staying = {groups.first(n) for n in range(len(people)) if not chosen[n]}
    mask = np.array([groups.first(int(n)) not in staying for n in rows], bool)
    if mask.all() or not mask.any():
        raise InputError(
            f'{photographs.path}: {len(people)} people cannot be split in two parts; give more '
            'people, or a column split'
        )
    return photographs.where(~mask), photographs.where(mask)


def name_share(person: str) -> float:
    """Return a number in [0, 1) that depends on a name alone: who is held out."""
    return int.from_bytes(hashlib.sha256(person.encode()).digest()[:8], 'big') / 2**64
