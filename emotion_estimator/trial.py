"""Trial of weights that are not released, in a process of its own: it may crash or hang instead.

A damaged TFLite file ends the process that loads it, and no exception says so. The trial does not
prove weights harmless: other inputs than zeros may still do so.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from emotion_estimator.errors import EmotionEstimatorError, ModelError, first_line
from emotion_estimator.untrusted import printable, quote
from emotion_estimator.weights import WeightsFile

#: Seconds of processor time for loading and running, libraries imported; seconds by the clock for
#: all of it: a small robot that is just starting takes long to import them.
BUSY, PATIENCE = 4, 60

#: Memory, in bytes, for all but copies of the file; and how many of these.
_MEMORY, _COPIES = 400 << 20, 4

#: Exit statuses of the trial, besides 0.
_REFUSED, _UNFIT = 10, 11
_PROGRAM = 'from emotion_estimator.trial import main; main()'
#: Characters of its answer that are read.
_LONGEST = 1000

#: What raises in a runtime that does not work on this machine, whatever the file: tflite-runtime
#: 2.14, for instance, was compiled against NumPy 1 and fails with NumPy 2.
RUNTIME_ERRORS = (ImportError, AttributeError, SystemError)

_LOG = logging.getLogger(__name__)

#: Checksums of what was announced, and what passed a trial.
_announced: set[str] = set()
_passed: set[tuple[str, ...]] = set()


def announce(weights: WeightsFile) -> None:
    """Log weights that are not released, once in this process."""
    if weights.released or weights.sha256 in _announced:
        return
    _announced.add(weights.sha256)
    _LOG.warning(
        '%s is not released with this version (sha256 %s...); it runs as it is',
        quote(weights.path),
        weights.sha256[:12],
    )


def made_here(sha256: str) -> None:
    """Announce no weights of this checksum: this process has just made them itself."""
    _announced.add(sha256)


def admit(
    weights: WeightsFile, module: str, function: str, *arguments: str, memory: int = _MEMORY
) -> None:
    """Return if weights are released, or are loaded and run once by a process of their own.

    :param module: has ``function``, which with ``arguments`` imports what it needs and returns what
        takes the weights, loads and runs them.
    :param memory: bytes that it may take, besides copies of the file.
    :raises ModelError: the trial ended with an error, crashed, or took too long or too much memory.
    :raises ImportError: a library does not work on this machine.
    """
    if weights.released:
        return
    trial = weights.sha256, module, function, *arguments
    if trial not in _passed:
        _try(weights, [str(memory), str(BUSY), str(weights.path), module, function, *arguments])
        _passed.add(trial)
    announce(weights)


def _try(weights: WeightsFile, arguments: list[str]) -> None:
    environment = {
        **os.environ,
        # As this process finds its modules, wherever the trial's folder is.
        'PYTHONPATH': os.pathsep.join(str(Path(each).absolute()) for each in sys.path),
        # Each thread reserves memory that it does not use.
        'OPENBLAS_NUM_THREADS': '1',
        'MALLOC_ARENA_MAX': '1',
    }
    try:
        ended = subprocess.run(
            [sys.executable, '-c', _PROGRAM, *arguments],
            input=weights.content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=os.sep,
            env=environment,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ModelError(
            f'{quote(weights.path)} is not used: it is not a released file, and a trial of it took '
            f'over {PATIENCE} s; try again when the machine is less busy'
        ) from None
    except OSError as error:
        raise _unusable(weights, f'could not start ({error.strerror})') from error
    text = ended.stdout[:_LONGEST].decode('utf-8', 'replace')
    text = printable(text)
    if ended.returncode == _UNFIT:
        raise ImportError(text)
    if ended.returncode == _REFUSED:
        raise ModelError(text)
    if ended.returncode == -signal.SIGXCPU:
        raise _unusable(weights, f'was still busy after {BUSY} s')
    if ended.returncode < 0:
        with contextlib.suppress(ValueError):
            raise _unusable(weights, f'crashed ({signal.Signals(-ended.returncode).name})')
    if ended.returncode != 0:
        raise _unusable(weights, f'ended with status {ended.returncode}')


def _unusable(weights: WeightsFile, what: str) -> ModelError:
    return ModelError(
        f'{quote(weights.path)} is not used: it is not a released file, and a trial of it {what}; '
        'restore the file'
    )


def main() -> None:
    """Be the process of a trial: its arguments name the function, standard input has the weights.

    Its exit status is 0, or says what happened; the line on standard output says more.
    """
    memory, busy, path, module, function, *arguments = sys.argv[1:]
    # The content only; native libraries print to where Python does.
    answer = os.dup(1)
    os.dup2(2, 1)
    content = sys.stdin.buffer.read()
    # Whoever started this may be gone.
    signal.alarm(PATIENCE)
    status, line = 0, ''
    try:
        run: Callable[[WeightsFile], None] = getattr(importlib.import_module(module), function)(
            *arguments
        )
        _limit(int(memory) + _COPIES * len(content), int(busy))
        run(WeightsFile(Path(path), content, ''))
    except RUNTIME_ERRORS as error:
        status, line = _UNFIT, first_line(error)
    except EmotionEstimatorError as error:
        status, line = _REFUSED, first_line(error)
    except Exception as error:
        what = f'{type(error).__name__}: {quote(first_line(error))}'
        status, line = _REFUSED, f'{quote(path)} cannot be used ({what}); restore the file'
    os.write(answer, line.encode('utf-8', 'replace'))
    # Without the destructors of what may be damaged.
    os._exit(status)


def _limit(memory: int, seconds: int) -> None:
    """Limit the bytes and processor time that this process may take from now on, if possible."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    busy = int(used.ru_utime + used.ru_stime) + 1 + seconds
    limits = {resource.RLIMIT_CPU: busy, resource.RLIMIT_CORE: 0}
    with contextlib.suppress(OSError, ValueError):
        # Linux: pages of address space.
        pages = int(Path('/proc/self/statm').read_text().split()[0])
        limits[resource.RLIMIT_AS] = pages * resource.getpagesize() + memory
    for kind, most in limits.items():
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))
