"""docs/reliability.md has the fault catalogue and the readers of this version."""

from __future__ import annotations

import re

import pytest
from readers import READERS

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

import document
from faults import CATALOGUE

TEXT = document.DOCUMENT.read_text()


def test_every_fault_has_its_row_and_no_other_is_there():
    part = document.part(TEXT, 'faults')
    rows = {}
    for line in part.splitlines():
        if found := re.match(r'\| \*\*(.+?)\*\*: (.+?) \| (.+?) \| ?(\S*) \| ?(\S*) \|$', line):
            rows[found[1]] = found
    assert list(rows) == [name for group in groups() for name in group]
    for name, fault in CATALOGUE.items():
        assert rows[name][2] == fault.what
        assert re.sub(r' \*\*Not yet: .*\*\*', '', rows[name][3]) == fault.then
        # Measured: seconds or `-`, and MB.
        assert rows[name][5].isdigit(), f'{name} was not inflicted: make faults ARGS=--write'


def groups():
    names = dict.fromkeys(fault.group for fault in CATALOGUE.values())
    return [[n for n, fault in CATALOGUE.items() if fault.group == group] for group in names]


def test_there_are_forty_kinds_and_they_are_told_apart():
    assert len(CATALOGUE) >= 40
    assert len({fault.what for fault in CATALOGUE.values()}) == len(CATALOGUE)


def test_every_reader_is_in_the_table_of_the_document():
    for name in READERS:
        assert f'| {name} | {READERS[name].what} |' in TEXT
