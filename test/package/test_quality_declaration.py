"""QUALITY_DECLARATION.md answers every item of REP-2004, from what is in this repository."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import emotion_estimator

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / 'QUALITY_DECLARATION.md').read_text()
# The items of REP-2004's table of levels.
ITEMS = (
    '1.i 1.ii 1.iii 1.iv 1.v 1.vi 2.i 2.ii 2.iii 2.iv 2.v 3.i 3.ii 3.iii 3.iv 3.v 3.v.a 3.v.b '
    '3.v.c 4.i 4.ii 4.iii.a 4.iii.b 4.iv.a 4.iv.b 4.v.a 4.v.b 5.i 5.ii 5.iii 6.i 7.i'
)


def section(item: str) -> str:
    """Return the text below the heading that names ``item``."""
    (found,) = re.findall(rf'^### .*\[{re.escape(item)}\].*\n((?:(?!#).*\n)+)', TEXT, re.M)
    return found


def test_it_answers_each_item_once():
    headings = '\n'.join(re.findall(r'^### (.*)', TEXT, re.M))
    assert sorted(re.findall(r'\[(\d[\w.]*)\]', headings)) == sorted(ITEMS.split())
    assert all(section(item).strip() for item in ITEMS.split())


def test_readme_links_to_it():
    assert '](QUALITY_DECLARATION.md)' in (ROOT / 'README.md').read_text()


@pytest.mark.parametrize('document', ['QUALITY_DECLARATION.md', 'CONTRIBUTING.md', 'NOTICE'])
def test_what_it_points_to_is_here(document):
    text = (ROOT / document).read_text()
    links = re.findall(r'\]\((?!https?:)([^)#]+)\)', text)
    paths = re.findall(r'`?((?:[\w.]+/)+\w+\.(?:py|md|jpg|toml))', text)
    files = re.findall(r'`([\w.-]+\.(?:xml|py|rst|toml|txt|md)|\.flake8|\.ci/run)`', text)
    for path in {*links, *paths, *files}:
        assert (ROOT / path).exists(), path


def test_the_commands_it_names_are_there():
    targets = set(re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), re.M))
    named = set(re.findall(r'`make ([a-z-]+)`', TEXT))
    assert named and named <= targets


def test_its_dependencies_are_those_of_package_xml():
    package = ET.parse(ROOT / 'package.xml')
    declared = {entry.text for tag in ('depend', 'exec_depend') for entry in package.iter(tag)}
    without_key = {'ai-edge-litert', 'av', 'tflite-runtime'}
    named = re.findall(r'`([\w-]+)`', section('5.i') + section('5.iii'))
    assert set(named) - {'matplotlib', 'rich', 'rosbags'} == declared | without_key


def test_the_linters_differ_as_it_says():
    cmake = (ROOT / 'CMakeLists.txt').read_text()
    (excluded,) = re.findall(r'AMENT_LINT_AUTO_EXCLUDE ([\w ]+)\)', cmake)
    (docstrings,) = re.findall(r'ament_pep257\(--add-ignore ([D\d ]+)\)', cmake)
    answer = section('4.v.b')
    rows = dict(re.findall(r'^\| `(\w+)` \| (.*)', answer, re.M))
    # Left out by ament_lint_auto, of which ament_pep257 is called with an option instead.
    assert {f'ament_cmake_{name[6:]}' for name in rows} == {*excluded.split(), 'ament_cmake_flake8'}
    assert rows['ament_pep257'].startswith(f'{docstrings} |')


def test_the_declared_modules_of_the_interface_exist():
    text = (ROOT / 'CONTRIBUTING.md').read_text()
    (modules,) = re.findall(r'`emotion_estimator\.\{([\w,]+)\}`', text)
    for module in modules.split(','):
        assert (ROOT / 'emotion_estimator' / f'{module}.py').is_file(), module
    assert '`emotion_estimator.__all__`' in text and emotion_estimator.__all__


def test_the_tree_in_contributing_has_every_room():
    text = (ROOT / 'CONTRIBUTING.md').read_text()
    robot = {room.parent.name for room in (ROOT / 'emotion_estimator').glob('*/__init__.py')}
    listed = set(re.findall(r'^\| `emotion_estimator/(\w+)/` \|', text, re.M))
    assert listed == robot
    research = ROOT / 'training' / 'emotion_estimator_training'
    rooms = {room.parent.name for room in research.glob('*/__init__.py')}
    assert set(re.findall(r'^\| … `(\w+)/` \|', text, re.M)) == rooms


def test_faults_are_reported_to_the_maintainers_of_a_version_that_is_supported():
    package = ET.parse(ROOT / 'package.xml')
    text = (ROOT / 'SECURITY.md').read_text()
    reporting = text.partition('\n## Reporting\n')[2].partition('\n## ')[0]
    addresses = {maintainer.get('email') for maintainer in package.iter('maintainer')}
    assert set(re.findall(r'[\w.]+@[\w.-]+\w', text)) == addresses
    series = package.findtext('version').rpartition('.')[0]
    assert re.search(rf'^\| .*\b{re.escape(series)} \| yes \|$', reporting, re.MULTILINE)
    assert '[SECURITY.md](SECURITY.md)' in section('7.i')


def test_each_peer_has_what_is_defended_and_what_is_not():
    text = (ROOT / 'SECURITY.md').read_text()
    part = text.partition('\n## Who can reach what\n')[2].partition('\n## ')[0]
    rows = [line.strip('|').split('|') for line in part.splitlines() if line.startswith('| **')]
    assert len(rows) >= 6
    assert all(len(cells) == 4 and all(cell.strip() for cell in cells) for cells in rows)
