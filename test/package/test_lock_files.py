"""Lock files: every file that pip may install is known by its hash, and pip asks for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCKS = sorted([*ROOT.glob('requirements/*.lock'), *ROOT.glob('training/requirements/*.lock')])
#: Files with commands that install.
INSTALLERS = [
    ROOT / 'Makefile',
    ROOT / 'Dockerfile',
    *sorted((ROOT / '.devcontainer').iterdir()),
    *sorted((ROOT / '.github' / 'workflows').iterdir()),
    *sorted(file for file in (ROOT / 'scripts').iterdir() if file.is_file()),
    ROOT / '.ci' / 'run',
]


def joined(text: str) -> list[str]:
    """Return lines with their continuations, without comments."""
    lines = text.replace('\\\n', ' ').splitlines()
    return [line for line in lines if not line.lstrip().startswith(('#', '@#'))]


def pins(lock: Path) -> dict[str, str]:
    """Return what a lock file names: the requirement, and the rest of the line, by name."""
    found = {}
    for line in joined(lock.read_text()):
        requirement, _, rest = line.partition(' --hash=')
        if requirement.strip():
            found[Requirement(requirement).name] = (requirement.strip(), f' --hash={rest}')
    return found


def makefile() -> tuple[dict[str, str], list[str]]:
    """Return the Makefile's variables that are set once, and the lines of its recipes."""
    lines = joined((ROOT / 'Makefile').read_text())
    variables = dict(re.match(r'(\w+) :?= (.*)', line).groups() for line in lines
                     if re.match(r'\w+ :?= ', line))  # fmt: skip
    return variables, [line for line in lines if line.startswith('\t')]


@pytest.mark.parametrize('lock', LOCKS, ids=lambda path: path.name)
def test_every_requirement_has_one_version_and_its_hashes(lock):
    found = pins(lock)
    assert found
    for requirement, rest in found.values():
        (pin,) = Requirement(requirement).specifier
        assert pin.operator == '==', requirement
        assert re.fullmatch(r'( +--hash=sha256:[0-9a-f]{64})+ *', rest), requirement


@pytest.mark.parametrize('file', INSTALLERS, ids=lambda path: path.name)
def test_what_installs_a_lock_file_asks_for_hashes(file):
    text = file.read_text()
    variables = makefile()[0] if file.name == 'Makefile' else {}
    for line in joined(text):
        if ('pip install' not in line and '$(LOCKED)' not in line) or line.startswith('LOCKED '):
            continue
        # Of what make expands, the options of pip and the names of locks.
        plain = line.replace('$(LOCKED)', variables.get('LOCKED', ''))
        if re.search(r'LOCK\)|\.lock\b', plain.partition(' install ')[2]):
            assert '--require-hashes' in plain and '--no-deps' in plain, line
            # Or an sdist's build would fetch what no lock file names.
            assert '--no-build-isolation' in plain, line


def test_make_installs_each_lock_file_that_it_writes():
    variables, recipes = makefile()
    written = {Path(line.split(' -o ')[1].strip()).name for line in recipes if ' -o ' in line}
    for name in ('BUILD_LOCK', 'BENCH_LOCK', 'DOCS_LOCK', 'TRAINING_LOCK'):
        written = {one.replace(f'$({name})', Path(variables[name]).name) for one in written}
    assert written == {lock.name for lock in LOCKS}
    assert '--generate-hashes' in variables['COMPILE']
    assert all('$(COMPILE)' in line for line in recipes if ' -o ' in line)
    installed = {
        name for line in recipes if '$(LOCKED)' in line for name in re.findall(r'(\w*LOCK)\)', line)
    }
    assert installed == {
        'BUILD_LOCK', 'LOCK', 'TRAINING_LOCK', 'BENCH_LOCK', 'DOCS_LOCK', 'TEST_LOCK'
    }  # fmt: skip


def test_what_is_not_from_a_lock_file_is_this_repository():
    for line in makefile()[1]:
        if 'pip install' in line:
            named = line.partition(' install ')[2].split()
            assert {word for word in named if not word.startswith('-')} <= {'.', './training'}
            assert {'--no-deps', '--no-build-isolation'} <= set(named)


@pytest.mark.parametrize('lock', LOCKS, ids=lambda path: path.name)
def test_what_builds_is_the_same_in_every_environment(lock):
    build = pins(ROOT / 'requirements' / 'build.lock')
    assert {'pip', 'setuptools', 'wheel'} <= build.keys()
    found = pins(lock)
    assert {name: found[name] for name in build if name in found} == {
        name: pin for name, pin in build.items() if name in found
    }
