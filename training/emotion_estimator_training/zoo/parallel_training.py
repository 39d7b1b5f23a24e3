"""Trains the models of a run beside each other: one process a core, one thread in each.

A small network hardly learns faster with two threads than with one.
"""

from __future__ import annotations

import functools
import logging
import pickle
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from emotion_estimator.errors import first_line
from emotion_estimator.worker_pool import Runner, runner_of
from emotion_estimator_training.models.legacy_keras import tf
from emotion_estimator_training.zoo.data.video_set import VideoSet
from emotion_estimator_training.zoo.models.catalog import Entry
from emotion_estimator_training.zoo.models.model import RunContext, Split, ZooModel
from emotion_estimator_training.zoo.models.registry import MODEL_FAILURES, build

_LOG = logging.getLogger(__name__)

#: Opens the set of a run in another process; can be pickled.
Opener = Callable[[], VideoSet]
#: Seconds of training by the folder of the run's models and the model's name.
Seconds = dict[tuple[str, str], float]


@dataclass(frozen=True)
class TrainingJob:
    """Models that one process trains one after another, since they read the same frame model.

    :param opener: the pickled :data:`Opener`, by which a process knows a set that it has open.
    :param context: of the models; nothing in it is built yet.
    """

    opener: bytes
    context: RunContext
    entries: tuple[Entry, ...]

    def train(self) -> Seconds:
        """Train the models; leave out what cannot be trained, which the run will name."""
        use_one_thread()
        video = opened(self.opener)
        split = Split(video.classes, video.tracks['train'], video.tracks['validation'])
        seconds: Seconds = {}
        for entry in self.entries:
            begun = time.monotonic()
            try:
                history = build(entry, self.context).fit(split)
            except MODEL_FAILURES as error:
                _LOG.debug('%s: %s', entry.name, first_line(error))
                continue
            taken = time.monotonic() - begun
            seconds[str(self.context.folder), entry.name] = taken
            if self.context.progress:
                where = self.context.folder.name
                name = f'{where} {entry.name}' if where.startswith('seed-') else entry.name
                print(f'{name}: {len(history)} epochs, {taken:.0f} s', flush=True)
        return seconds


def training_jobs(
    models: Iterable[tuple[ZooModel, RunContext]], opener: Opener
) -> list[TrainingJob]:
    """Return the jobs that train models, in the order of the first model of each.

    :param models: each with the context that it is to be trained in.
    """
    pickled = pickle.dumps(opener)
    jobs: dict[tuple[str, str], TrainingJob] = {}
    for model, context in models:
        frames = getattr(model, 'frames', model)
        key = (str(context.folder), frames.entry.name)
        begun = jobs.get(key) or TrainingJob(pickled, replace(context, shared={}, notes=[]), ())
        jobs[key] = replace(begun, entries=(*begun.entries, model.entry))
    return list(jobs.values())


def train_jobs(jobs: list[TrainingJob], processes: int | Runner | None) -> Seconds:
    """Train all jobs' models into their folders, where the run finds them.

    :param processes: worker processes (None: one a core), or a runner of
        :mod:`~emotion_estimator.worker_pool`.
    :returns: seconds of each model that was trained.
    :raises EmotionEstimatorError: a process died.
    """
    seconds: Seconds = {}
    for _, found in runner_of(processes)(TrainingJob.train, jobs):
        seconds.update(found)
    return seconds


@functools.lru_cache(maxsize=1)
def opened(opener: bytes) -> Any:
    """Return what a pickled function returns, once for all jobs of a process."""
    return pickle.loads(opener)()


def use_one_thread() -> None:
    """Let TensorFlow compute with one thread: there is a process for each core."""
    # Refused once TensorFlow has computed something, in the process's second job.
    with suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
