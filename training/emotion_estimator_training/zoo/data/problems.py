"""What is wrong with single clips: named, counted, and left out, so that the others go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

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
