"""The tables in docs/reliability.md, which the commands write with ``--write``."""

from __future__ import annotations

import os
import re
from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / 'docs' / 'reliability.md'

#: Longest text of a cell.
_LONGEST = 200


def part(text: str, name: str) -> str:
    """Return the part of a document between the comments of a name.

    :raises ValueError: it has no such part.
    """
    _, begin, rest = text.partition(f'<!-- {name}: begin -->\n')
    found, end, _ = rest.partition(f'<!-- {name}: end -->')
    if not begin or not end:
        raise ValueError(f'no part {name}')
    return found


def write_part(name: str, text: str) -> None:
    """Replace a part of the document."""
    before = DOCUMENT.read_text()
    begin, end = f'<!-- {name}: begin -->\n', f'<!-- {name}: end -->'
    part(before, name)
    head, _, rest = before.partition(begin)
    DOCUMENT.write_text(f'{head}{begin}{text.strip()}\n{end}{rest.partition(end)[2]}')


def cell(text: str) -> str:
    """Return text from a log as a cell of a table: short, printable, without temporary folders."""
    short = text if len(text) <= _LONGEST else f'{text[: _LONGEST - 3]}...'
    shown = ''.join(c if c.isprintable() else '?' for c in short)
    return re.sub(r'/\S*/(?=[\w.]+)', '', shown).replace('|', '\\|')


def machine() -> str:
    """Return what the figures were measured on, since other work slows everything down."""
    load = os.getloadavg()[1]
    return f'Measured on {os.cpu_count()} cores at a load average of {load:.1f}.'
