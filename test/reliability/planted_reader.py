"""A program that gives the fuzzer a reader with planted faults, and prints what it found.

It is a program because the fuzzer forks, which a process with threads of native libraries, such as
one of pytest after other tests, does not survive.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / 'reliability'))

import fuzz_reader
from fuzz_reader import ReaderRun
from readers import READERS, Reader

from emotion_estimator.errors import InputError

SEEDS = [b'good', b'bad', b'crash' + b'.' * 64, b'escape', b'hang', b'large', b'good again']


def planted(data: bytes) -> None:
    """Read bytes whose beginning says what happens."""
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


def main(folder: Path, most: int, digest: str) -> None:
    """Read ``most`` inputs in all, with what an earlier run left in the folder."""
    READERS['planted'] = Reader('planted bytes', lambda folder: planted, lambda: SEEDS)
    fuzz_reader.HANG, fuzz_reader.MOST_MEMORY, fuzz_reader._MINIMISING = 0.5, 20 << 20, 1.0
    fuzz_reader.code_digest = lambda: digest
    run = ReaderRun('planted', folder, 1)
    before = asdict(run.tally)
    after = asdict(run.run(60.0, most, lambda _: None))
    crashes = [path for path in (folder / 'findings').rglob('crash-*') if not path.suffix]
    again = [run.outcome(path.read_bytes()).kind for path in crashes]
    run.close()
    print(json.dumps({'before': before, 'after': after, 'again': again}))


if __name__ == '__main__':
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
