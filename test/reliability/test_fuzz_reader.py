"""The fuzzer finds what is planted; every reader bears a short, seeded part of `make fuzz`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import fuzz
import fuzz_reader
import pytest
from readers import READERS, Reader

PROGRAM = Path(fuzz_reader.__file__)
#: Mutants a reader; `make fuzz` reads as many as its time allows.
INPUTS = 30


def planted_run(folder: Path, most: int, digest: str = 'code') -> dict:
    """Let the fuzzer read planted faults in a process of its own, for it forks."""
    program = Path(__file__).with_name('planted_reader.py')
    done = subprocess.run(
        [sys.executable, str(program), str(folder), str(most), digest],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_what_crashes_hangs_escapes_and_fills_is_counted_and_kept(tmp_path):
    found = planted_run(tmp_path, 7)
    tally = found['after']
    assert [tally[key] for key in ('inputs', 'accepted', 'refused')] == [7, 3, 1]
    assert [tally[key] for key in ('crash', 'hang', 'uncaught', 'memory')] == [1, 1, 1, 1]
    kept = {path.name.partition('-')[0]: path for path in (tmp_path / 'findings').rglob('*-*')
            if not path.suffix}  # fmt: skip
    assert set(kept) == {'crash', 'hang', 'uncaught', 'memory'}
    # Made smaller: what does not matter is left out.
    small = kept['crash'].read_bytes()
    assert small.startswith(b'crash') and len(small) < 40
    assert 'RecursionError' in kept['uncaught'].with_suffix('.txt').read_text()
    assert found['again'] == ['crash']
    planted = Reader('planted bytes', lambda folder: None, list)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(READERS, 'planted', planted)
        text = fuzz.table({'planted': json.loads((tmp_path / 'planted.json').read_text())})
    assert '7 inputs: 1 native crashes, 1 hangs, 1 uncaught exceptions, 1 over 500 MB' in text
    assert '--repeat' in text


def test_a_second_run_continues_and_other_code_begins_again(tmp_path):
    planted_run(tmp_path, 2)
    assert planted_run(tmp_path, 2)['before']['inputs'] == 2
    assert planted_run(tmp_path, 2, 'other code')['before']['inputs'] == 0


@pytest.fixture(scope='module')
def short_run(tmp_path_factory):
    """Give every reader a few mutants, in one process: what is imported serves all."""
    folder = tmp_path_factory.mktemp('fuzz')
    # MediaPipe's takes seconds to import in each worker.
    names = [name for name, reader in READERS.items() if reader.forks]
    command = [sys.executable, str(PROGRAM), *names, '--inputs', str(INPUTS), '--small']
    done = subprocess.run(
        [*command, '--seconds', '60', '--output', str(folder)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    # 1 says that a reader failed, which its own test shows.
    assert done.returncode in (0, 1) and 'Traceback' not in done.stderr, done.stderr
    return fuzz.tallies(folder)


@pytest.mark.parametrize('name', [n for n, reader in READERS.items() if reader.forks])
def test_every_reader_bears_a_short_part(short_run, name):
    tally = short_run[name]
    assert tally['inputs'] == INPUTS
    assert tally['accepted'] + tally['refused'] == INPUTS, fuzz.table({name: tally})
