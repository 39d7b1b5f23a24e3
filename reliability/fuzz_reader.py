"""Give one reader mutants in forked workers, and keep what ends, hangs, escapes or fills them.

``make fuzz`` starts this once for each reader; it continues where the last run stopped.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import hashlib
import json
import mmap
import os
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from mutators import mutant
from readers import READERS, Read

from emotion_estimator.errors import EmotionEstimatorError

#: Seconds after which an input hangs: of processor time, and by the clock.
HANG = 5.0
_HANG_BY_CLOCK = 20.0
#: Bytes above those before the first input.
MOST_MEMORY = 500 << 20
#: From here on a worker is killed while it reads.
_TOO_MUCH = 3 << 30
#: Address space of a worker in bytes, in case it is too fast to be watched.
_ADDRESSES = 12 << 30
#: Seconds that a worker may take beyond its time to notice that it is over.
_GRACE = 60.0
_POLL = 0.02
#: Seconds to make a failing input smaller.
_MINIMISING = 5.0
#: Files kept of one reader.
_MOST_KEPT = 20
#: Larger seeds are read once, but not mutated while there are smaller ones.
_LARGE = 16 << 10

#: Counters that a worker shares: inputs, accepted, refused, uncaught, the number being read, when
#: its reading began (0 between inputs), and the highest memory in bytes.
_SHARED = struct.Struct('<QQQQQdQ')
_STATUS_MEMORY = 3
_PAGE = os.sysconf('SC_PAGE_SIZE')
_TICKS = os.sysconf('SC_CLK_TCK')


class Reading(NamedTuple):
    """How an input ended.

    :param kind: ``ok``, ``uncaught``, ``crash``, ``hang`` or ``memory``.
    :param signature: what such inputs have in common, one line.
    :param details: traceback, or empty.
    """

    kind: str
    signature: str = ''
    details: str = ''


@dataclass
class ReaderTally:
    """Counts of a reader over all runs on the same code with the same seed."""

    reader: str
    code: str
    seed: int
    next: int = 0
    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    crash: int = 0
    hang: int = 0
    uncaught: int = 0
    memory: int = 0
    seconds: float = 0.0
    peak_mb: float = 0.0
    #: Of each signature: how often, and the file kept.
    kinds: dict[str, list] = field(default_factory=dict)

    @property
    def failures(self) -> int:
        """Number of inputs that ended in another way than read or refused."""
        return self.crash + self.hang + self.uncaught + self.memory


def code_digest() -> str:
    """Return what changes with the package's code and the fuzzer's."""
    root = Path(__file__).parents[1]
    files = sorted((root / 'emotion_estimator').rglob('*.py'))
    files += sorted((root / 'reliability').glob('*.py'))
    return hashlib.sha256(b''.join(path.read_bytes() for path in files)).hexdigest()[:12]


class ReaderRun:
    """Runs one reader until a time is over.

    :param name: of ``READERS``.
    :param folder: for results; the tally, the corpus and what failed lie in it.
    """

    def __init__(
        self, name: str, folder: Path, seed: int, *, fresh: bool = False, small: bool = False
    ) -> None:
        """:param small: leave out large seeds and bombs, and keep failing inputs as they are."""
        self.name = name
        self._reader = READERS[name]
        self._folder = folder
        self._seed = seed
        self._small = small
        self._scratch = tempfile.TemporaryDirectory(prefix='fuzz-', dir=_memory_folder())
        self._seeds = self._corpus(fresh, bombs=not small)
        few = [s for s in self._seeds if self._reader.large or len(s) <= _LARGE]
        self._mutated = few or [min(self._seeds, key=len)]
        if small:
            self._seeds = self._mutated
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)
        self._read: Read | None = None
        self.tally = ReaderTally(name, code_digest(), seed)
        with suppress(OSError, ValueError, TypeError):
            before = ReaderTally(**json.loads(self._state.read_text()))
            if not fresh and (before.code, before.seed) == (self.tally.code, seed):
                self.tally = before

    @property
    def _state(self) -> Path:
        return self._folder / f'{self.name}.json'

    def _corpus(self, fresh: bool, bombs: bool) -> list[bytes]:
        """Return the seeds: kept ones, since videos are not encoded alike twice, or new ones."""
        folder = self._folder / 'corpus' / self.name
        if fresh or not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            for kind, make in (('bomb', self._reader.bombs), ('seed', self._reader.seeds)):
                for number, data in enumerate(_in_child(make)):
                    (folder / f'{kind}-{number:03}').write_bytes(data)
        wanted = '*' if bombs else 'seed-*'
        return [path.read_bytes() for path in sorted(folder.glob(wanted))]

    def input(self, number: int) -> bytes:
        """Return the input of a number: first the seeds themselves, then mutants."""
        if number < len(self._seeds):
            return self._seeds[number]
        key = f'{self._seed}/{self.name}/{number}'
        return mutant(self._mutated, self._reader.mutation, key)

    def run(self, seconds: float, most: int, report: Callable[[ReaderTally], None]) -> ReaderTally:
        """Read until the time is over or ``most`` inputs are read in all.

        :param report: called about once a second, and at the end.
        """
        self._open()
        end = time.monotonic() + seconds
        stopped = False
        while not stopped and time.monotonic() < end and self.tally.inputs < most:
            begun = time.monotonic()
            try:
                outcome, number = self._worker(end, most - self.tally.inputs, report)
            except KeyboardInterrupt:
                outcome, number, stopped = Reading('ok'), None, True
            self._collect(time.monotonic() - begun)
            if number is not None:
                self._failed(outcome, self.input(number), number)
                self.tally.next = number + 1
            self._write()
            report(self.tally)
        return self.tally

    def outcome(self, data: bytes) -> Reading:
        """Read one input in a process of its own."""
        self._open()
        return self._alone(data)

    def close(self) -> None:
        """Remove the scratch folder."""
        self._scratch.cleanup()

    def _open(self) -> None:
        if self._read is None:
            self._read = self._reader.open(Path(self._scratch.name))
            # Imports what the first input would import, which would count as that input's memory.
            if self._reader.forks:
                with suppress(Exception):
                    self._read(b'')
            gc.collect()
            gc.freeze()

    def _worker(
        self, end: float, most: int, report: Callable[[ReaderTally], None]
    ) -> tuple[Reading, int | None]:
        """Fork a worker and watch it; return what it failed at, and the number of that input."""
        self._shared[: _SHARED.size] = _SHARED.pack(0, 0, 0, 0, self.tally.next, 0.0, 0)
        trace = Path(self._scratch.name) / 'trace'
        pid = os.fork()
        if not pid:
            self._in_worker(trace, lambda: self._loop(end, most))
        base = _resident(pid)
        said = time.monotonic()
        try:
            while True:
                ended, status = os.waitpid(pid, os.WNOHANG)
                *_, number, begun, _ = _SHARED.unpack_from(self._shared)
                if ended:
                    pid = 0
                    break
                now = time.monotonic()
                if begun and now - begun > HANG and _hangs(pid, now - begun):
                    return self._confirmed('hang', number)
                if _resident(pid) - base > _TOO_MUCH:
                    return self._confirmed('memory', number)
                if now > end + _GRACE:
                    raise RuntimeError(f'a worker of {self.name} neither reads nor ends')
                if now - said > 1.0:
                    said = now
                    report(self._so_far())
                time.sleep(_POLL)
        finally:
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            return _crashed(status, trace), number
        if os.WEXITSTATUS(status) == _STATUS_MEMORY:
            return self._confirmed('memory', number)
        if os.WEXITSTATUS(status):
            return Reading('crash', f'exit status {os.WEXITSTATUS(status)}', _text(trace)), number
        self.tally.next = number
        return Reading('ok'), None

    def _confirmed(self, kind: str, number: int) -> tuple[Reading, int]:
        """Read the input once more, alone: others or a busy machine may be to blame."""
        alone = self._alone(self.input(number))
        if alone.kind == 'ok' and kind == 'memory':
            return Reading(kind, 'many inputs together; none alone'), number
        return alone, number

    def _in_worker(self, trace: Path, body: Callable[[], int]) -> None:
        """Do ``body`` in a forked process, and end it."""
        status = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            nowhere = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(nowhere, number)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES, _ADDRESSES))
            file = trace.open('w')
            faulthandler.enable(file, all_threads=False)
            status = body()
        except BaseException:
            trace.write_text(traceback.format_exc())
        finally:
            os._exit(status)

    def _loop(self, end: float, most: int) -> int:
        assert self._read is not None
        _single_threaded()
        shared, pack, read = self._shared, _SHARED.pack_into, self._read
        inputs = accepted = refused = uncaught = 0
        number = self.tally.next
        if not self._reader.forks:
            with suppress(Exception):
                read(b'')
        base, peak = _highest(), 0
        known = set(self.tally.kinds)
        while inputs < most:
            data = self.input(number)
            # The fuzzer's own memory does not count.
            base = max(base, _highest())
            now = time.monotonic()
            if now > end:
                break
            inputs += 1
            pack(shared, 0, inputs, accepted, refused, uncaught, number, now, peak)
            try:
                read(data)
                accepted += 1
            except EmotionEstimatorError:
                refused += 1
            except BaseException as error:
                uncaught += 1
                signature = _signature(error)
                if signature not in known and len(known) < _MOST_KEPT:
                    known.add(signature)
                    self._note(signature, data, number, traceback.format_exc())
            peak = _highest()
            pack(shared, 0, inputs, accepted, refused, uncaught, number, 0.0, peak)
            if peak - base > MOST_MEMORY:
                return _STATUS_MEMORY
            number += 1
        pack(shared, 0, inputs, accepted, refused, uncaught, number, 0.0, peak)
        return 0

    def _note(self, signature: str, data: bytes, number: int, details: str) -> None:
        """Leave an uncaught exception for the parent, which makes its input smaller."""
        note = {'signature': signature, 'number': number, 'details': details}
        path = Path(self._scratch.name) / f'note-{number}'
        path.write_text(json.dumps(note))

    def _so_far(self) -> ReaderTally:
        inputs, accepted, refused, uncaught, number, _, peak = _SHARED.unpack_from(self._shared)
        now = ReaderTally(**asdict(self.tally))
        now.inputs += inputs
        now.accepted += accepted
        now.refused += refused
        now.uncaught += uncaught
        now.next = number
        now.peak_mb = max(now.peak_mb, peak / (1 << 20))
        return now

    def _collect(self, seconds: float) -> None:
        """Add what the last worker did to the tally."""
        self.tally = self._so_far()
        self.tally.seconds += seconds
        self._shared[: _SHARED.size] = _SHARED.pack(0, 0, 0, 0, self.tally.next, 0.0, 0)
        for path in sorted(Path(self._scratch.name).glob('note-*')):
            note = json.loads(path.read_text())
            path.unlink()
            outcome = Reading('uncaught', note['signature'], note['details'])
            self._keep(outcome, self.input(note['number']), note['number'])

    def _failed(self, outcome: Reading, data: bytes, number: int) -> None:
        if outcome.kind in ('crash', 'hang', 'memory'):
            setattr(self.tally, outcome.kind, getattr(self.tally, outcome.kind) + 1)
            self._keep(outcome, data, number)

    def _keep(self, outcome: Reading, data: bytes, number: int) -> None:
        """Count a signature; keep its first input, made smaller."""
        label = f'{outcome.kind}: {outcome.signature}'
        if outcome.signature in self.tally.kinds:
            self.tally.kinds[outcome.signature][0] += 1
            return
        if len(self.tally.kinds) >= _MOST_KEPT:
            return
        small = self._smaller(data, outcome)
        folder = self._folder / 'findings' / self.name
        folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(small).hexdigest()[:8]
        path = folder / f'{outcome.kind}-{digest}'
        path.write_bytes(small)
        repeat = f"make fuzz ARGS='--repeat {path} --reader {self.name}'"
        path.with_suffix('.txt').write_text(
            f'{label}\ninput {number} of seed {self._seed}, {len(data)} bytes, '
            f'made smaller: {len(small)}\nrepeat: {repeat}\n\n{outcome.details}'
        )
        self.tally.kinds[outcome.signature] = [1, outcome.kind, str(path), len(small)]

    def _smaller(self, data: bytes, wanted: Reading) -> bytes:
        """Leave out blocks, larger ones first, while the input still fails in the same way."""
        # What still hangs is slow to see; a few blocks then.
        end = time.monotonic() + (0.0 if self._small else _MINIMISING)
        size = len(data) // 2
        while size and time.monotonic() < end:
            at = 0
            while at < len(data) and time.monotonic() < end:
                shorter = data[:at] + data[at + size :]
                if self._alone(shorter)[:2] == wanted[:2]:
                    data = shorter
                else:
                    at += size
            size //= 2
        return data

    def _alone(self, data: bytes) -> Reading:
        assert self._read is not None
        read, trace = self._read, Path(self._scratch.name) / 'trace-alone'
        answer = Path(self._scratch.name) / 'answer'
        answer.write_text('["ok", "", ""]')

        def body() -> int:
            _single_threaded()
            if not self._reader.forks:
                with suppress(Exception):
                    read(b'')
            base = _highest()
            try:
                read(data)
            except EmotionEstimatorError:
                pass
            except BaseException as error:
                found = ('uncaught', _signature(error), traceback.format_exc())
                answer.write_text(json.dumps(found))
            return _STATUS_MEMORY if _highest() - base > MOST_MEMORY else 0

        pid = os.fork()
        if not pid:
            self._in_worker(trace, body)
        base, begun = _resident(pid), time.monotonic()
        while True:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                break
            taken = time.monotonic() - begun
            large = _resident(pid) - base > _TOO_MUCH
            if large or (taken > HANG and _hangs(pid, taken)):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return Reading('memory', 'over 3 GB') if large else Reading('hang', 'over 5 s')
            time.sleep(0.002)
        if os.WIFSIGNALED(status):
            return _crashed(status, trace)
        if os.WEXITSTATUS(status) == _STATUS_MEMORY:
            return Reading('memory', 'over 500 MB')
        return Reading(*json.loads(answer.read_text()))

    def _write(self) -> None:
        temporary = self._state.with_suffix('.part')
        temporary.write_text(json.dumps(asdict(self.tally), indent=1))
        temporary.replace(self._state)


def _memory_folder() -> str | None:
    return '/dev/shm' if os.access('/dev/shm', os.W_OK) else None


def _single_threaded() -> None:
    if 'cv2' in sys.modules:
        sys.modules['cv2'].setNumThreads(1)


def _highest() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _resident(pid: int) -> int:
    try:
        return int(Path(f'/proc/{pid}/statm').read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _hangs(pid: int, seconds: float) -> bool:
    """Tell a process that hangs from one that waits for a processor."""
    return seconds > _HANG_BY_CLOCK or _waits(pid) or _busy_for(pid, HANG)


_busy: dict[int, float] = {}


def _processor_seconds(pid: int) -> float:
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _busy_for(pid: int, seconds: float) -> bool:
    """Return whether a process has used that much processor time since it was first asked for."""
    try:
        used = _processor_seconds(pid)
    except (OSError, IndexError):
        return False
    return used - _busy.setdefault(pid, used) > 0.5 * seconds


def _waits(pid: int) -> bool:
    """Return whether a process sleeps: it waits for something that does not come."""
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] == 'S'
    except (OSError, IndexError):
        return False


def _crashed(status: int, trace: Path) -> Reading:
    name = signal.Signals(os.WTERMSIG(status)).name
    text = _text(trace)
    frames = [line.strip() for line in text.splitlines() if line.strip().startswith('File ')]
    where = frames[0].rpartition('/')[2].replace('"', '') if frames else 'unknown place'
    return Reading('crash', f'{name} in {where}', text)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors='replace')
    except OSError:
        return ''


def _signature(error: BaseException) -> str:
    """Return the type of an exception, and where the package let it pass."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if '/emotion_estimator/' in f.filename]
    where = f'{Path(ours[-1].filename).name}:{ours[-1].name}' if ours else 'outside'
    if not ours and frames:
        where = f'{Path(frames[-1].filename).name}:{frames[-1].name}'
    return f'{type(error).__name__} in {where}'


def _in_child(make: Callable[[], list[bytes] | None]) -> list[bytes]:
    """Return what ``make`` returns in a forked process, whose libraries start threads."""
    with tempfile.TemporaryDirectory() as folder:
        pid = os.fork()
        if not pid:
            status = 1
            try:
                for number, data in enumerate(make() or ()):
                    (Path(folder) / f'{number:04}').write_bytes(data)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        _, status = os.waitpid(pid, 0)
        if status:
            raise RuntimeError('the corpus cannot be made')
        return [path.read_bytes() for path in sorted(Path(folder).iterdir())]


def main() -> int:
    """Run one reader; write its tally after each worker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('reader', choices=READERS, nargs='+')
    parser.add_argument('--small', action='store_true', help='leave out large seeds')
    parser.add_argument('--seconds', type=float, default=60.0)
    parser.add_argument('--inputs', type=int, default=1 << 62)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--output', type=Path, default=Path('out/fuzz'))
    parser.add_argument('--fresh', action='store_true')
    parser.add_argument('--repeat', type=Path)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options.output.mkdir(parents=True, exist_ok=True)
    return max(run_one(name, options) for name in options.reader)


def run_one(name: str, options: argparse.Namespace) -> int:
    """Run a reader, or repeat an input; return the exit status."""
    run = ReaderRun(name, options.output, options.seed, fresh=options.fresh, small=options.small)
    try:
        if options.repeat:
            outcome = run.outcome(options.repeat.read_bytes())
            print(f'{outcome.kind} {outcome.signature}\n{outcome.details}'.strip())
            return int(outcome.kind != 'ok')
        progress = options.output / f'{name}.progress'

        def report(tally: ReaderTally) -> None:
            progress.write_text(f'{tally.inputs} {tally.failures}')

        tally = run.run(options.seconds, options.inputs, report)
        progress.unlink(missing_ok=True)
        return int(tally.failures > 0)
    finally:
        run.close()


if __name__ == '__main__':
    sys.exit(main())
