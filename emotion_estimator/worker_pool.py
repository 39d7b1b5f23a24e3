"""Run independent tasks in processes of this machine or on a Dask cluster."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from types import FrameType
from typing import Any, TypeVar

from emotion_estimator.errors import EmotionEstimatorError, InputError, first_line

Task = TypeVar('Task')
Result = TypeVar('Result')

#: Runs a function (importable by name) on each task and yields each task's index and result, in the
#: order in which they finish.
Runner = Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[tuple[int, Any]]]

_DIED = (
    'a worker process died, perhaps out of memory; repeat the command with fewer workers: '
    'it continues where it stopped'
)
#: Tasks queued at each Dask worker: enough to keep it busy, few enough to fit into memory.
_AHEAD = 2
#: Seconds that a terminated worker may take to clean up.
_CLEANUP = 10.0


def runner_of(processes: int | Runner | None) -> Runner:
    """Return a runner as it is, or one on that many processes (None: one per core)."""
    return processes if callable(processes) else on_processes(processes)


def on_processes(count: int | None = None) -> Runner:
    """Return a runner on new processes of this machine.

    :param count: number of processes; None starts one per core.
    """

    def run(work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        if not tasks:
            return
        # Not forked: MediaPipe's threads would not survive it.
        executor = ProcessPoolExecutor(
            min(count or os.cpu_count() or 1, len(tasks)),
            multiprocessing.get_context('spawn'),
            _Worker.begin,
        )
        try:
            futures = {
                executor.submit(_Worker.do, work, task): index for index, task in enumerate(tasks)
            }
            for future in as_completed(futures):
                # Popped, so that what was yielded is not kept.
                yield futures.pop(future), future.result()
        except BrokenProcessPool as error:
            raise EmotionEstimatorError(_DIED) from error
        finally:
            # Cancels tasks that have not begun, so that Ctrl-C need not wait for them.
            executor.shutdown(wait=True, cancel_futures=True)

    return run


def on_dask(workers: int | None = None, scheduler: str | None = None) -> Runner:
    """Return a runner on a Dask cluster.

    :param workers: processes of a cluster on this machine; None starts one per core.
    :param scheduler: use the running scheduler at this address (``tcp://host:8786``) instead. Its
        workers need this package and the same model files at the same paths.
    :raises InputError: Dask is not installed.
    """
    try:
        import distributed
    except ImportError as error:
        raise InputError(
            '--engine dask needs dask.distributed; pip install "dask[distributed]"'
        ) from error

    def run(work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        if not tasks:
            return
        if scheduler is not None:
            try:
                client = distributed.Client(scheduler, timeout='10s')
            except (OSError, ValueError) as error:
                raise InputError(
                    f'--scheduler {scheduler} does not answer: {first_line(error)}; '
                    'start it with "dask scheduler"'
                ) from error
            with client:
                yield from _through(client, work, tasks)
            return
        # Dask spawns its processes, too; one thread in each, since every task uses a core.
        with (
            distributed.LocalCluster(
                n_workers=min(workers or os.cpu_count() or 1, len(tasks)),
                threads_per_worker=1,
                dashboard_address=None,
                silence_logs=logging.ERROR,
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield from _through(client, work, tasks)

    return run


def _through(
    client: Any, work: Callable[[Task], Result], tasks: Sequence[Task]
) -> Iterator[tuple[int, Result]]:
    import distributed

    waiting = list(enumerate(tasks))[::-1]
    index_of: dict[str, int] = {}

    def submit() -> Any:
        index, task = waiting.pop()
        # Not pure, or Dask would hash all images to name the result.
        future = client.submit(work, task, pure=False)
        index_of[future.key] = index
        return future

    ahead = min(_AHEAD * max(sum(client.nthreads().values()), 1), len(tasks))
    done = distributed.as_completed([submit() for _ in range(ahead)], with_results=True)
    try:
        for future, result in done:
            if waiting:
                done.add(submit())
            yield index_of.pop(future.key), result
    except distributed.KilledWorker as error:
        raise EmotionEstimatorError(_DIED) from error


class _Worker:
    """A process that cleans up and ends on Ctrl-C, SIGTERM or its parent's death."""

    busy = False
    ended = False

    @classmethod
    def begin(cls) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, cls.end)
        threading.Thread(target=cls.end_with_parent, daemon=True).start()

    @classmethod
    def do(cls, work: Callable[[Task], Result], task: Task) -> Result:
        try:
            cls.busy = True
            return work(task)
        finally:
            cls.busy = False
            if cls.ended:
                # Otherwise the executor would start the next task.
                os._exit(1)

    @classmethod
    def end(cls, number: int, frame: FrameType | None) -> None:
        if not cls.busy:
            os._exit(1)
        cls.ended = True
        # A second signal, as `timeout` sends it, must not interrupt the cleanup.
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        # Ends work that cannot be interrupted.
        limit = threading.Timer(_CLEANUP, os._exit, (1,))
        limit.daemon = True
        limit.start()
        raise KeyboardInterrupt

    @classmethod
    def end_with_parent(cls) -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        # To the main thread, which may be blocked in a system call.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        time.sleep(_CLEANUP)
        os._exit(1)
