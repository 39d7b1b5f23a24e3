"""Update the tables of docs/accuracy.md from the output of bench-accuracy and evaluate.

    make bench-accuracy ...                               # out/accuracy/public.md
    make bench-accuracy ... ARGS='--split private'        # out/accuracy/private.md
    make evaluate ... ARGS='--hard 1500'                  # out/report/tables.md
    # Other sets' tables of thresholds: threshold_document() of the report, in out/thresholds/*.md
    python3 scripts/write_accuracy.py

Tables whose files do not exist are left unchanged.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / 'docs' / 'accuracy.md'
#: Split and file of the side-by-side tables, by their marker in the document.
SIDE_BY_SIDE = {
    'private': ('PrivateTest', 'out/accuracy/private.md'),
    'public': ('PublicTest', 'out/accuracy/public.md'),
}
#: How the titles of a marker's tables start in the report.
REPORTED = {
    'sure': 'Calibration',
    'thresholds': 'Thresholds',
    'covered': 'Covered',
    'hard': 'Hard',
    'clips': 'Clips',
    'neutral': 'Adaptation',
}
#: Sections about the machine, not the networks.
_LEFT_OUT = ('Files', 'Milliseconds per face, in turns')


def side_by_side(text: str, split: str) -> str:
    """Return the sections of bench-accuracy's file for a split, one heading level deeper."""
    titles = re.findall(r'^## (.*)$', text, re.MULTILINE)
    bodies = re.split(r'^## .*$', text, flags=re.MULTILINE)[1:]
    return '\n\n'.join(
        f'### {split}: {title[0].lower()}{title[1:]}\n\n{body.strip()}'
        for title, body in zip(titles, bodies)
        if title not in _LEFT_OUT
    )


def reported(text: str, begins: str) -> str:
    """Return the report's tables whose titles start with ``begins``, with their titles."""
    tables = re.findall(r'^([^\n|]+):\n\n((?:\|.*\n?)+)', text, re.MULTILINE)
    return '\n\n'.join(
        f'{title}:\n\n{table.strip()}' for title, table in tables if title.startswith(begins)
    )


def replaced(document: str, marker: str, tables: str) -> str:
    """Return the document with the tables at a marker replaced."""
    begin, end = f'<!-- {marker} -->', f'<!-- end of {marker} -->'
    before, found, rest = document.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f'{DOCUMENT} has no {begin} ... {end}')
    return f'{before}{begin}\n\n{tables}\n\n{end}{after}'


def main() -> None:
    """Update the document and print what changed."""
    document = DOCUMENT.read_text()
    found: dict[str, str] = {}
    for marker, (split, name) in SIDE_BY_SIDE.items():
        if (ROOT / name).is_file():
            found[marker] = side_by_side((ROOT / name).read_text(), split)
    report = ROOT / 'out' / 'report' / 'tables.md'
    files = [report, *sorted((ROOT / 'out' / 'thresholds').glob('*.md'))]
    written = '\n'.join(file.read_text() for file in files if file.is_file())
    found |= {marker: reported(written, begins) for marker, begins in REPORTED.items()}
    for marker, tables in found.items():
        if tables:
            document = replaced(document, marker, tables)
            print(f'{marker}: {len(tables.splitlines())} lines')
    for marker in (*SIDE_BY_SIDE, *REPORTED):
        if not found.get(marker):
            print(f'{marker}: nothing new, left unchanged')
    DOCUMENT.write_text(document)


if __name__ == '__main__':
    main()
