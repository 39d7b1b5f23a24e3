"""PAPERS.md has an entry for whatever the code cites, and names files that exist."""

from __future__ import annotations

import calendar
import io
import re
import subprocess
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / 'PAPERS.md').read_text()
PACKAGES = (ROOT / 'emotion_estimator', ROOT / 'training' / 'emotion_estimator_training')
#: Heading of each entry, as the code cites it, and the text below it.
ENTRIES = dict(re.findall(r'^### (.+)\n\n((?:(?!^##).*\n)+)', TEXT, re.M))
#: "Attrah 2025", "Simonyan and Zisserman 2014", "Reddy et al. 2019", "Pua et al.".
NAME = r"[A-Z][^\W\d]+(?:['-][A-Z]\w+)?"
CITATION = re.compile(
    rf'\b(?P<few>{NAME}(?: and {NAME})?) (?P<year>(?:19|20)\d\d)\b'
    rf'|\b(?P<many>{NAME} et al\.)(?:,? (?P<their_year>(?:19|20)\d\d)\b)?'
)
#: Words before a year that are nobody's names, and JPEG 2000.
NOBODY = {'JPEG', 'In', 'On', 'Since', *calendar.month_name[1:], *calendar.month_abbr[1:]}


def prose(file: Path) -> str:
    """Return a module's docstrings and comments, or all of another file, as one line."""
    text = file.read_text()
    if file.suffix == '.py':
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        wanted = (tokenize.COMMENT, tokenize.STRING)
        text = ' '.join(token.string.lstrip('#: ') for token in tokens if token.type in wanted)
    return ' '.join(text.split())


def cited() -> dict[str, set[str]]:
    """Return the citations in both packages and the documentation, and where each of them is."""
    found: dict[str, set[str]] = {}
    code = [f for package in PACKAGES for f in package.rglob('*') if f.suffix in ('.py', '.yaml')]
    for file in [*code, *(ROOT / 'docs').glob('*.md'), ROOT / 'README.md']:
        for match in CITATION.finditer(prose(file)):
            few, year, many, their_year = match.groups('')
            if few not in NOBODY:
                citation = f'{few or many} {year or their_year}'.strip()
                found.setdefault(citation, set()).add(str(file.relative_to(ROOT)))
    return found


def test_there_are_entries_and_each_has_its_bibtex():
    assert len(ENTRIES) > 50
    for heading, text in ENTRIES.items():
        assert '```bibtex\n@' in text, heading
        fields = re.findall(r'^  (author|title) +=', text, re.M)
        assert {'author', 'title'} <= set(fields), heading
    keys = re.findall(r'^@\w+\{(\w+),$', TEXT, re.M)
    assert len(keys) == len(set(keys))


def test_whatever_is_cited_has_an_entry():
    citations = cited()
    assert 'Attrah 2025' in citations and 'Pua et al.' in citations
    # Without a year, any entry of these authors will do.
    known = {*ENTRIES, *(heading.rpartition(' ')[0] for heading in ENTRIES)}
    assert {name: files for name, files in citations.items() if name not in known} == {}


def test_standards_of_ros_have_an_entry():
    named = {
        name
        for package in PACKAGES
        for file in package.rglob('*.py')
        for name in re.findall(r'REP-\d+', file.read_text())
    }
    assert named and named <= set(ENTRIES)


@pytest.mark.parametrize('heading', ENTRIES)
def test_each_entry_names_files_that_exist(heading):
    above = ENTRIES[heading].partition('```')[0]
    files = re.findall(r'`((?:[\w.]+/)+[\w.]+)`|\]\((\w+\.md)\)', above)
    assert files
    for path in files:
        assert (ROOT / ''.join(path)).is_file(), path


def test_papers_are_not_cited_by_numbers():
    numbered = r'\bseeds? 0[0-9]{2}\b|\| 00[0-9], '
    command = ['git', 'grep', '-liE', numbered, '--', f':!{Path(__file__).relative_to(ROOT)}']
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert found.stdout == ''
