"""One bag replayed: what to read, what to write, and the summary of it."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from emotion_estimator.dialogue.policy import DialogueAction, DialoguePolicy
from emotion_estimator.emotion import FaceEmotion
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.replay.bag_reader import ImageBag, open_bag
from emotion_estimator.replay.bag_writer import BagWriter
from emotion_estimator.replay.result import FrameResult
from emotion_estimator.replay.run import ReplayedFrame, replay
from emotion_estimator.resources import resource_dir
from emotion_estimator.settings import EstimatorSettings

_NOTHING = np.zeros(0, np.float32)


@dataclass(frozen=True)
class ReplayJob:
    """What to do with one bag; can be sent to another process.

    :param topic: of the images; None finds it.
    :param settings: of the estimator.
    :param policy_file: of the dialogue manager; None takes the shipped one.
    :param begin: seconds from the first image at which to begin; ``end`` likewise, None is the
        bag's end.
    :param results: file for the JSON lines.
    :param report: folder for the report.
    :param written: folder for a bag with the input's topics and the results.
    """

    bag: Path
    topic: str | None = None
    settings: EstimatorSettings = field(default_factory=EstimatorSettings)
    policy_file: Path | None = None
    begin: float = 0.0
    end: float | None = None
    results: Path | None = None
    report: Path | None = None
    written: Path | None = None


@dataclass(frozen=True)
class JobSummary:
    """What came of a bag.

    :param frames: images answered.
    :param labels: frames by the primary face's label.
    :param problems: one line on each thing that is wrong with the bag or was left out.
    """

    bag: Path
    topic: str
    landmark_source: str
    model: str
    frames: int
    labels: Counter[str]
    actions: tuple[DialogueAction, ...]
    problems: tuple[str, ...]


def run_job(
    job: ReplayJob, watch: Callable[[ReplayedFrame], None] = lambda frame: None
) -> JobSummary:
    """Replay a bag.

    A results file appears under its name only once it is whole.

    :param watch: told of every frame.
    :raises InputError: the bag or the policy cannot be read, or a target exists already or cannot
        be written.
    :raises ModelError: a model cannot be loaded.
    """
    policy = DialoguePolicy.load(job.policy_file or resource_dir('config') / 'dialogue.yaml')
    with contextlib.ExitStack() as opened:
        bag = opened.enter_context(open_bag(job.bag, job.topic))
        writer = opened.enter_context(BagWriter(job.written)) if job.written else None
        lines = opened.enter_context(_whole_file(job.results)) if job.results else None
        estimator = EmotionEstimator.load(job.settings)
        opened.callback(estimator.close)
        labels: Counter[str] = Counter()
        actions: list[DialogueAction] = []
        kept: list[FrameResult] = []
        for frame in replay(
            _images(bag, job.begin, job.end), estimator, policy,
            max_rate_hz=job.settings.max_rate_hz,
        ):
            labels[frame.result.label] += 1
            if frame.action is not None:
                actions.append(frame.action)
            if lines is not None:
                lines(frame.result.as_json() + '\n')
            if writer is not None:
                writer.result(frame.result, frame.header, estimator.model)
                if frame.action is not None:
                    writer.action(frame.action, frame.header)
            if job.report is not None:
                kept.append(_lean(frame.result))
            watch(frame)
        if writer is not None:
            for message in bag.messages():
                writer.copy(message)
        summary = JobSummary(
            bag=job.bag,
            topic=bag.topic,
            landmark_source=estimator.landmark_source,
            model=estimator.model,
            frames=sum(labels.values()),
            labels=labels,
            actions=tuple(actions),
            problems=tuple(bag.problems),
        )
    if job.report is not None:
        # Slow to import, for its pictures.
        from emotion_estimator.replay.report import write_report

        write_report(job.report, str(job.bag), kept, actions, summary.problems)
    return summary


def _images(bag: ImageBag, begin: float, end: float | None) -> Iterator:
    """Yield the images between two offsets from the first one."""
    first: float | None = None
    for image in bag.images():
        first = image.stamp if first is None else first
        if image.stamp - first >= begin and (end is None or image.stamp - first < end):
            yield image


@contextlib.contextmanager
def _whole_file(path: Path) -> Iterator[Callable[[str], object]]:
    partial = path.with_name(f'.{path.name}.partial')
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with partial.open('w', encoding='utf-8') as file:
            yield file.write
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _lean(result: FrameResult) -> FrameResult:
    """Drop what a report does not show and an hour of it would fill the memory with."""

    def lean(face: FaceEmotion) -> FaceEmotion:
        return replace(face, blendshapes=_NOTHING, landmarks=_NOTHING)

    return replace(result, faces=tuple(map(lean, result.faces)))
