"""The fuzzer finds what is planted; every reader bears a short, seeded part of `make fuzz`."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fuzz
import fuzz_reader
import pytest
from fuzz_reader import ReaderRun
from readers import READERS, Reader

from emotion_estimator.errors import InputError

PROGRAM = Path(fuzz_reader.__file__)
#: Mutants a reader; `make fuzz` reads as many as its time allows.
INPUTS = 30


def planted(data: bytes) -> None:
    if data.startswith(b'crash'):
        os.kill(os.getpid(), signal.SIGSEGV)
    if data.startswith(b'hang'):
        time.sleep(60.0)
    if data.startswith(b'escape'):
        raise RecursionError('too deep')
    if data.startswith(b'large'):
        held = bytearray(40 << 20)
        held[::4096] = b'x' * len(held[::4096])
    if data.startswith(b'bad'):
        raise InputError('bad')


@pytest.fixture
def run(tmp_path, monkeypatch):
    seeds = [b'good', b'bad', b'crash' + b'.' * 64, b'escape', b'hang', b'large', b'good again']
    reader = Reader('planted bytes', lambda folder: planted, lambda: seeds)
    monkeypatch.setitem(READERS, 'planted', reader)
    monkeypatch.setattr(fuzz_reader, 'HANG', 0.5)
    monkeypatch.setattr(fuzz_reader, 'MOST_MEMORY', 20 << 20)
    monkeypatch.setattr(fuzz_reader, '_MINIMISING', 1.0)
    made = ReaderRun('planted', tmp_path, 1)
    yield made
    made.close()
    gc.unfreeze()


def test_what_crashes_hangs_escapes_and_fills_is_counted_and_kept(run, tmp_path):
    tally = run.run(60.0, 7, lambda _: None)
    assert (tally.inputs, tally.accepted, tally.refused) == (7, 3, 1)
    assert (tally.crash, tally.hang, tally.uncaught, tally.memory) == (1, 1, 1, 1)
    kept = {path.name.partition('-')[0]: path for path in (tmp_path / 'findings').rglob('*-*')
            if not path.suffix}  # fmt: skip
    assert set(kept) == {'crash', 'hang', 'uncaught', 'memory'}
    # Made smaller: what does not matter is left out.
    small = kept['crash'].read_bytes()
    assert small.startswith(b'crash') and len(small) < 40
    assert 'RecursionError' in kept['uncaught'].with_suffix('.txt').read_text()
    assert run.outcome(kept['crash'].read_bytes()).kind == 'crash'
    text = fuzz.table({'planted': json.loads((tmp_path / 'planted.json').read_text())})
    assert '7 inputs: 1 native crashes, 1 hangs, 1 uncaught exceptions, 1 over 500 MB' in text
    assert '--repeat' in text


def test_a_second_run_continues_and_other_code_begins_again(run, tmp_path, monkeypatch):
    run.run(60.0, 2, lambda _: None)
    again = ReaderRun('planted', tmp_path, 1)
    assert again.tally.next == again.tally.inputs == 2
    monkeypatch.setattr(fuzz_reader, 'code_digest', lambda: 'other')
    assert ReaderRun('planted', tmp_path, 1).tally.inputs == 0


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
    assert done.returncode in (0, 1), done.stderr
    return fuzz.tallies(folder)


@pytest.mark.parametrize('name', [n for n, reader in READERS.items() if reader.forks])
def test_every_reader_bears_a_short_part(short_run, name):
    tally = short_run[name]
    assert tally['inputs'] == INPUTS
    assert tally['accepted'] + tally['refused'] == INPUTS, fuzz.table({name: tally})
