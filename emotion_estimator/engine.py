"""Runs independent pieces of work: on this machine's cores, or on a Dask cluster."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from emotion_estimator.errors import EmotionEstimatorError, InputError, first_line

Task = TypeVar('Task')
Result = TypeVar('Result')

#: Runs a function (one that can be imported by name) on each task and yields each task's index and
#: result, in the order in which they finish.
Runner = Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[tuple[int, Any]]]

_DIED = (
    'a worker process died, perhaps for want of memory; call the verb again with fewer workers: '
    'it continues where it was'
)
#: Tasks that wait at each Dask worker, so that none is idle and few images are under way.
_AHEAD = 2


def runner_of(processes: int | Runner | None) -> Runner:
    """Return what runs tasks: a runner itself, or that many processes (None: one a core)."""
    return processes if callable(processes) else on_processes(processes)


def on_processes(count: int | None = None) -> Runner:
    """Return a runner on new processes of this machine.

    :param count: how many; None takes one for each core.
    """
    def run(
        work: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Result]]:
        if not tasks:
            return
        # Not forked: MediaPipe's threads would not survive it.
        executor = ProcessPoolExecutor(
            min(count or os.cpu_count() or 1, len(tasks)),
            multiprocessing.get_context('spawn'), _begin_process,
        )
        try:
            futures = {executor.submit(work, task): index for index, task in enumerate(tasks)}
            for future in as_completed(futures):
                # Popped, so that what was yielded is not kept.
                yield futures.pop(future), future.result()
        except BrokenProcessPool as error:
            raise EmotionEstimatorError(_DIED) from error
        finally:
            # Cancels what has not begun, so that Ctrl-C need not wait for all.
            executor.shutdown(wait=True, cancel_futures=True)

    return run


def on_dask(workers: int | None = None, scheduler: str | None = None) -> Runner:
    """Return a runner on a Dask cluster.

    :param workers: processes of a cluster on this machine; None takes one for each core.
    :param scheduler: address of a running scheduler (``tcp://host:8786``) instead, whose workers
        have this package installed and the same model files at the same places.
    :raises InputError: Dask is not installed.
    """
    try:
        import distributed
    except ImportError as error:
        raise InputError(
            '--engine dask needs dask.distributed; pip install "dask[distributed]"'
        ) from error

    def run(
        work: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Result]]:
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
        # Dask spawns its processes too; one thread in each, since they are all busy.
        with distributed.LocalCluster(
            n_workers=min(workers or os.cpu_count() or 1, len(tasks)), threads_per_worker=1,
            dashboard_address=None, silence_logs=logging.ERROR,
        ) as cluster, distributed.Client(cluster) as client:
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
        # Not pure: Dask would hash all images to name the result.
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


def _begin_process() -> None:
    # Ctrl-C reaches these processes too: they end at once, without a traceback each.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.nice(5)
