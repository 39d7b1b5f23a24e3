"""Tables of docs/accuracy.md are replaced by those of the measurements."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / 'scripts' / 'write_accuracy.py'
TABLE = '| threshold | recall |\n| --- | --- |\n| 0.5 | {} |\n'


@pytest.fixture
def writer(tmp_path):
    """Return the script's names, at home in a folder of its own."""
    names = runpy.run_path(str(SCRIPT))
    document = tmp_path / 'docs' / 'accuracy.md'
    document.parent.mkdir()
    markers = (*names['SIDE_BY_SIDE'], *names['REPORTED'])
    document.write_text(
        'Before.\n\n'
        + ''.join(f'<!-- {m} -->\n\nold {m}\n\n<!-- end of {m} -->\n' for m in markers)
    )
    names['main'].__globals__.update(ROOT=tmp_path, DOCUMENT=document)
    return names, document


def measured(folder, name, title, recall):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f'{title}:\n\n{TABLE.format(recall)}\n')


def test_thresholds_come_from_the_report_and_from_other_sets(writer, tmp_path, capsys):
    names, document = writer
    measured(tmp_path / 'out' / 'report', 'tables.md', 'Thresholds, face_mesh', 0.25)
    measured(tmp_path / 'out' / 'thresholds', 'photographs.md', 'Thresholds, photographs', 0.75)
    names['main']()
    text = document.read_text()
    part = text.partition('<!-- thresholds -->')[2].partition('<!-- end of thresholds -->')[0]
    assert part.index('Thresholds, face_mesh:') < part.index('Thresholds, photographs:')
    assert '| 0.5 | 0.25 |' in part and '| 0.5 | 0.75 |' in part
    assert 'old thresholds' not in text
    assert text.count('\nold ') == len(names['SIDE_BY_SIDE']) + len(names['REPORTED']) - 1
    assert 'clips: nothing new, left unchanged' in capsys.readouterr().out


def test_other_sets_alone_are_written_too(writer, tmp_path):
    names, document = writer
    measured(tmp_path / 'out' / 'thresholds', 'photographs.md', 'Thresholds, photographs', 0.75)
    names['main']()
    assert '| 0.5 | 0.75 |' in document.read_text()


def test_without_measurements_nothing_changes(writer):
    names, document = writer
    before = document.read_text()
    names['main']()
    assert document.read_text() == before


def test_the_document_has_every_marker():
    names = runpy.run_path(str(SCRIPT))
    text = names['DOCUMENT'].read_text()
    for marker in (*names['SIDE_BY_SIDE'], *names['REPORTED']):
        assert f'<!-- {marker} -->' in text and f'<!-- end of {marker} -->' in text
