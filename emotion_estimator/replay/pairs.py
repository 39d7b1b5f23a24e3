"""The frames of two results side by side, in columns: a day of them fits into memory."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import sub
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import NONE
from emotion_estimator.result_line import Glance

#: The labels of a frame's faces, the primary face first; empty if there are none.
FaceLabels = tuple[str, ...]


def primary_label(faces: FaceLabels) -> str:
    """Return the primary face's label, or ``none`` if there is no face."""
    return faces[0] if faces else NONE


@dataclass(frozen=True)
class UnpairedFrame:
    """A frame that only one of the two results has; the stamp in seconds."""

    lap: int
    stamp: float


@dataclass(frozen=True)
class Pair:
    """The same frame in both results.

    :param lap: number of the lap, from 0; a lap begins where stamps jump back.
    :param stamp: the expected frame's stamp, in seconds.
    :param expected: labels of the expected faces.
    :param actual: labels of the actual faces.
    :param difference: largest difference of a probability between the primary faces, 0 to 1; a
        label unknown to one model has probability 0 there. None if either has no face: then either
        the labels differ, or both show nobody.
    """

    lap: int
    stamp: float
    expected: FaceLabels
    actual: FaceLabels
    difference: float | None

    @property
    def labels(self) -> tuple[str, str]:
        """Return the expected and the actual label of the primary face."""
        return primary_label(self.expected), primary_label(self.actual)

    @property
    def agrees(self) -> bool:
        """Whether both have the same label."""
        return primary_label(self.expected) == primary_label(self.actual)


class UnpairedFrames:
    """Frames of one of the two results, in order of laps and time."""

    def __init__(self) -> None:
        self._laps = array('L')
        self._stamps = array('d')

    def add(self, lap: int, stamp: float) -> None:
        """Append a frame."""
        self._laps.append(lap)
        self._stamps.append(stamp)

    def __len__(self) -> int:
        return len(self._stamps)

    def __getitem__(self, at: int) -> UnpairedFrame:
        return UnpairedFrame(self._laps[at], self._stamps[at])

    def __iter__(self) -> Iterator[UnpairedFrame]:
        return map(UnpairedFrame, self._laps, self._stamps)


class PairColumns:
    """Pairs in order of laps and time, 24 bytes each.

    :ivar stamps: the expected frames' stamps, in seconds.
    :ivar differences: see :class:`Pair`; NaN for None.
    :ivar expected: numbers of the expected faces' labels in ``sights``.
    :ivar actual: those of the actual ones.
    :ivar sights: what was seen in any frame.
    :ivar begins: the number of pairs before each lap.
    """

    def __init__(self) -> None:
        self.stamps = array('d')
        self.differences = array('d')
        self.expected = array('I')
        self.actual = array('I')
        self.sights: list[FaceLabels] = []
        self.begins: list[int] = []
        self._numbers: dict[FaceLabels, int] = {}

    def begin_lap(self) -> None:
        """Note that the pairs added from now on belong to the next lap."""
        self.begins.append(len(self.stamps))

    def add(self, expected: Glance, actual: Glance) -> None:
        """Append a pair."""
        self.stamps.append(expected.stamp)
        self.differences.append(_difference(expected, actual))
        numbers = self._numbers
        for column, faces in ((self.expected, expected.faces), (self.actual, actual.faces)):
            number = numbers.get(faces)
            if number is None:
                number = numbers[faces] = len(self.sights)
                self.sights.append(faces)
            column.append(number)

    def __getitem__(self, at: int) -> Pair:
        difference = self.differences[at]
        return Pair(
            bisect_right(self.begins, at) - 1,
            self.stamps[at],
            self.sights[self.expected[at]],
            self.sights[self.actual[at]],
            None if difference != difference else difference,
        )


def _difference(expected: Glance, actual: Glance) -> float:
    """Return the largest difference of a probability; NaN if either has none."""
    if not (expected.faces and actual.faces):
        return np.nan
    names, values = expected.labels, expected.probabilities
    if names == actual.labels:
        return max(map(abs, map(sub, values, actual.probabilities)), default=np.nan)
    these, those = dict(zip(names, values)), dict(zip(actual.labels, actual.probabilities))
    return max(abs(these.get(label, 0.0) - those.get(label, 0.0)) for label in {**these, **those})


class Pairs:
    """Pairs, or some of them, as a sequence of :class:`Pair` that are made when asked for."""

    def __init__(self, columns: PairColumns, rows: NDArray[np.intp] | None = None) -> None:
        """:param rows: numbers of the pairs to show, ascending; None shows all."""
        self.columns = columns
        self._rows = rows

    def __len__(self) -> int:
        return len(self.columns.stamps) if self._rows is None else len(self._rows)

    def __getitem__(self, at: int) -> Pair:
        return self.columns[at if self._rows is None else int(self._rows[at])]

    def __iter__(self) -> Iterator[Pair]:
        return map(self.__getitem__, range(len(self)))

    def where(self, chosen: NDArray[np.bool_]) -> Pairs:
        """Return some of the pairs.

        :param chosen: bool (len(self),), true for those to keep.
        """
        rows = np.flatnonzero(chosen)
        return Pairs(self.columns, rows if self._rows is None else self._rows[rows])

    def with_label(self, label: str) -> Pairs:
        """Return the pairs whose expected label is ``label``."""
        named = np.array([primary_label(faces) == label for faces in self.sights])
        return self.where(named[self._column(self.columns.expected, np.uintc)])

    @property
    def sights(self) -> Sequence[FaceLabels]:
        """Return the labels of faces seen in any frame, those of one frame each once."""
        return self.columns.sights

    @property
    def stamps(self) -> NDArray[np.float64]:
        """Return the expected frames' stamps in seconds: float64 (len(self),)."""
        return self._column(self.columns.stamps, np.float64)

    @property
    def differences(self) -> NDArray[np.float64]:
        """Return each pair's difference, NaN where there is none: float64 (len(self),)."""
        return self._column(self.columns.differences, np.float64)

    @property
    def agreed(self) -> int:
        """Return in how many pairs the labels agree."""
        return int(np.count_nonzero(self.agree))

    @cached_property
    def agree(self) -> NDArray[np.bool_]:
        """Return which labels agree: bool (len(self),)."""
        return self.same([primary_label(faces) for faces in self.sights])

    def same(self, values: Sequence[object]) -> NDArray[np.bool_]:
        """Return in which pairs a property of the faces is the same in both.

        :param values: the property of each of ``sights``; hashable.
        :return: bool (len(self),).
        """
        numbers = {value: n for n, value in enumerate(dict.fromkeys(values))}
        coded = np.array([numbers[value] for value in values], np.uintc)
        expected = coded[self._column(self.columns.expected, np.uintc)]
        actual = coded[self._column(self.columns.actual, np.uintc)]
        same: NDArray[np.bool_] = expected == actual
        return same

    def expected_labels(self) -> list[str]:
        """Return the expected labels, each once, in the order in which they come up."""
        found, first = np.unique(self._column(self.columns.expected, np.uintc), return_index=True)
        inorder = found[np.argsort(first)]
        return list(dict.fromkeys(primary_label(self.sights[number]) for number in inorder))

    def laps(self) -> Iterator[tuple[int, slice]]:
        """Yield the number and the extent of each lap that has pairs; for all pairs only."""
        ends = [*self.columns.begins[1:], len(self.columns.stamps)]
        for lap, (begin, end) in enumerate(zip(self.columns.begins, ends)):
            if begin < end:
                yield lap, slice(begin, end)

    def _column(self, values: array[float] | array[int], kind: type) -> NDArray[Any]:
        column: NDArray[Any] = np.frombuffer(values, kind)
        return column if self._rows is None else column[self._rows]
