"""THIRD_PARTY.md: every file that is no program has a source and a licence."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / 'THIRD_PARTY.md').read_text()
#: Folders whose files are programs, or data that is listed.
FOLDERS = (
    'benchmarks', 'config', 'docs/images', 'emotion_estimator', 'examples', 'launch', 'models',
    'msg', 'scripts', 'security', 'srv', 'test', 'training', 'views',
)  # fmt: skip
#: Programs; what builds them, and what describes them.
PROGRAMS = {'.py', '.sh', '.cpp', '.hpp', '', '.typed', '.in', '.lock', '.toml'}
DESCRIPTIONS = {'CMakeLists.txt', 'NOTICE.md', 'README.md', 'package.xml'}
#: Made by whoever runs something here.
MADE = re.compile(r'__pycache__|\.egg-info|_cache|/\.|^out/')
SECTIONS = ('In the package', 'In the repository alone')


def rows(section: str) -> list[tuple[list[str], str, str]]:
    """Return the patterns, source and licence of each row of a section's table."""
    part = TEXT.partition(f'\n## {section}\n')[2].partition('\n## ')[0]
    found = re.findall(r'^\| (`.*?) \| (.*?) \| (.*?) \|$', part, re.MULTILINE)
    return [(re.findall('`([^`]+)`', files), text, licence) for files, text, licence in found]


def data() -> set[str]:
    """Return the files that are neither programs nor descriptions."""
    return {
        str(file.relative_to(ROOT))
        for folder in FOLDERS
        for file in (ROOT / folder).rglob('*')
        if file.is_file()
        and file.suffix not in PROGRAMS
        and file.name not in DESCRIPTIONS
        and not MADE.search(str(file.relative_to(ROOT)))
    }


def listed() -> set[str]:
    return {
        str(file.relative_to(ROOT))
        for section in SECTIONS
        for patterns, _, _ in rows(section)
        for pattern in patterns
        for file in ROOT.glob(pattern)
    }


def test_no_file_of_data_is_missing():
    assert data() - listed() == set()


def test_what_is_listed_exists_and_has_source_and_licence():
    for section in SECTIONS:
        for patterns, text, licence in rows(section):
            assert patterns and len(text) > 20
            assert re.fullmatch(r'Apache-2\.0|public domain|MIT|BSD-3-Clause|CC BY 4\.0', licence)
            for pattern in patterns:
                assert list(ROOT.glob(pattern)), pattern


def test_networks_and_pictures_are_named_one_by_one():
    named = {
        pattern
        for section in SECTIONS
        for patterns, _, _ in rows(section)
        for pattern in patterns
        if '*' not in pattern
    }
    kinds = ('.tflite', '.npz', '.task', '.png', '.jpg')
    assert {file for file in data() if file.endswith(kinds)} - named == set()


def test_each_shipped_network_says_what_it_learned_from():
    part = TEXT.partition('\n## What the networks learned from\n')[2].partition('\n## ')[0]
    learned = re.findall(r'^\| .*? \| (`.*?`|all) \| .+ \|$', part, re.MULTILINE)
    networks = {file.stem for kind in ('tflite', 'npz') for file in ROOT.glob(f'models/*.{kind}')}
    assert networks == set(re.findall(r'`(\w+)`', ' '.join(learned)))


@pytest.mark.parametrize('document', ['NOTICE', 'SECURITY.md'])
def test_it_is_found(document):
    assert 'THIRD_PARTY.md' in (ROOT / document).read_text()


def test_pip_installs_it_beside_the_licence(tmp_path):
    source = tmp_path / 'source'
    source.mkdir()
    for name in ('setup.py', 'README.md', 'LICENSE', 'NOTICE', 'THIRD_PARTY.md'):
        shutil.copy(ROOT / name, source)
    for name in ('emotion_estimator', 'config', 'models', 'msg'):
        (source / name).symlink_to(ROOT / name)
    run = subprocess.run(
        [sys.executable, 'setup.py', '--quiet', 'egg_info', 'dist_info', '--output-dir', tmp_path],
        cwd=source, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    (folder,) = tmp_path.glob('*.dist-info')
    found = {file.name for file in folder.rglob('*')}
    assert {'LICENSE', 'NOTICE', 'THIRD_PARTY.md'} <= found
