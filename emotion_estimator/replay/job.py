"""One bag replayed: what to read, what to write, and the summary of it."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from emotion_estimator.bags.reader import ImageBag, StampedImage, open_bag
from emotion_estimator.bags.writer import BagWriter
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.emotion import FaceEmotion
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.frame import FrameResult
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.replay.run import ReplayedFrame, replay
from emotion_estimator.settings import EstimatorSettings


@contextlib.contextmanager
def whole(*targets: Path | None) -> Iterator[tuple[Path | None, ...]]:
    """Yield a place to write for each target, and move all there in this order when that succeeded.

    A folder's place has the target's name too, since bags hold it in the names of their files.
    Whatever ends the block, an error or Ctrl-C, leaves nothing behind; what a killed run left is
    removed by the next one.

    :param targets: files or folders, each in a folder that is made where it is not there; None for
        what is not wanted.
    :raises InputError: a place cannot be written, or something within the block was an OSError.
    """
    nests = [target and target.parent / f'.{target.name}.partial' for target in targets]
    places = tuple(target and nest and nest / target.name for target, nest in zip(targets, nests))
    try:
        try:
            for nest in filter(None, nests):
                shutil.rmtree(nest, ignore_errors=True)
                nest.mkdir(parents=True)
            yield places
            for place, target in zip(places, targets):
                if place is not None and target is not None and place.exists():
                    if place.is_dir() and target.is_dir():
                        shutil.rmtree(target)
                    place.replace(target)
        finally:
            for nest in filter(None, nests):
                shutil.rmtree(nest, ignore_errors=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        where = error.filename or next(filter(None, targets), 'output')
        reason = error.strerror or first_line(error)
        raise InputError(f'{where} cannot be written ({reason})') from error


_NOTHING = np.zeros(0, np.float32)


@dataclass(frozen=True)
class ReplayJob:
    """What to do with one bag; can be sent to another process.

    :param topic: of the images; None finds it.
    :param settings: of the estimator.
    :param policy_file: of the dialogue manager; None takes the shipped one.
    :param conversation_file: the same.
    :param begin: seconds from the first image at which results begin. What comes before is worked
        on all the same, so that a part's results are those of the whole.
    :param end: seconds from the first image at which to end; None is the bag's end.
    :param results: file for the JSON lines.
    :param report: folder for the report.
    :param written: folder for a bag with the input's topics and the results; it must not exist.
    """

    bag: Path
    topic: str | None = None
    settings: EstimatorSettings = field(default_factory=EstimatorSettings)
    policy_file: Path | None = None
    conversation_file: Path | None = None
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
    job: ReplayJob,
    watch: Callable[[ReplayedFrame], None] = lambda frame: None,
    opened: Callable[[ImageBag], None] = lambda bag: None,
) -> JobSummary:
    """Replay a bag.

    What is to be written appears under its name once all of it is whole, the results last.

    :param watch: told of every frame.
    :param opened: told of the bag before the first frame.
    :raises InputError: the bag, the policy or the conversation cannot be read, no image can, or a
        target exists already or cannot be written.
    :raises ModelError: a model cannot be loaded.
    """
    policy = DialogueManager.load(job.policy_file, job.conversation_file)
    if job.written is not None and (job.written.exists() or job.written.is_symlink()):
        raise InputError(f'{job.written} exists; give another folder for the bag, or remove it')
    with open_bag(job.bag, job.topic) as bag, whole(job.written, job.results) as places:
        opened(bag)
        estimator = EmotionEstimator.load(job.settings)
        with contextlib.closing(estimator):
            written, results = places
            course = _Course(job, written, results, estimator.model)
            refused = _Refused()
            with course:
                for frame in replay(
                    _until(bag, job.end), estimator, policy,
                    max_rate_hz=job.settings.max_rate_hz, refused=refused,
                ):  # fmt: skip
                    if course.take(frame):
                        watch(frame)
                course.copy(bag)
        problems = (*bag.problems, *refused.lines())
        if not course.labels:
            raise InputError(f'bag {job.bag}: {_why_nothing(job, bag, problems)}')
        if job.report is not None:
            # Slow to import, for its pictures.
            from emotion_estimator.replay.report import write_report

            write_report(job.report, str(job.bag), course.kept, course.actions, problems)
    return JobSummary(
        bag=job.bag,
        topic=bag.topic,
        landmark_source=estimator.landmark_source,
        model=estimator.model,
        frames=sum(course.labels.values()),
        labels=course.labels,
        actions=tuple(course.actions),
        problems=problems,
    )


class _Course(contextlib.ExitStack):
    """What is kept and written of the frames from the job's begin on."""

    def __init__(
        self, job: ReplayJob, written: Path | None, results: Path | None, model: str
    ) -> None:
        super().__init__()
        self.labels: Counter[str] = Counter()
        self.actions: list[DialogueAction] = []
        self.kept: list[FrameResult] = []
        self._job = job
        self._model = model
        self._first: float | None = None
        self._times: list[int] = []
        self._writer = self.enter_context(BagWriter(written)) if written else None
        self._lines = self.enter_context(results.open('w', encoding='utf-8')) if results else None

    def take(self, frame: ReplayedFrame) -> bool:
        """Take a frame; return whether it is wanted."""
        result, action = frame.result, frame.action
        self._first = result.stamp if self._first is None else self._first
        if result.stamp - self._first < self._job.begin:
            return False
        self.labels[result.label] += 1
        if action is not None:
            self.actions.append(action)
        if self._lines is not None:
            self._lines.write(result.as_json() + '\n')
        if self._writer is not None:
            self._times = [*self._times[:1], frame.log_time]
            self._writer.result(result, frame.header, self._model, frame.log_time)
            if action is not None:
                self._writer.action(action, frame.header, frame.log_time)
        if self._job.report is not None:
            self.kept.append(_lean(result))
        return True

    def copy(self, bag: ImageBag) -> None:
        """Copy the input's messages, those of the wanted part where only a part is wanted."""
        if self._writer is None or not self._times:
            return
        part = self._job.begin > 0 or self._job.end is not None
        for message in bag.messages():
            if not part or self._times[0] <= message.log_time <= self._times[-1]:
                self._writer.copy(message)


class _Refused:
    """Counts the images that decode, but that the estimator cannot work on."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[float, int]] = {}

    def __call__(self, image: StampedImage, problem: str) -> None:
        """Count one."""
        first, count = self._found.get(problem, (image.stamp, 0))
        self._found[problem] = first, count + 1

    def lines(self) -> Iterator[str]:
        """Yield a line on each kind of problem."""
        for problem, (first, count) in self._found.items():
            yield f'{count} images left out, first at {first:.6f} s: {problem}'


def _until(bag: ImageBag, end: float | None) -> Iterator[StampedImage]:
    """Yield the images up to the first one at an offset from the first of all."""
    first: float | None = None
    for image in bag.images():
        first = image.stamp if first is None else first
        if end is not None and image.stamp - first >= end:
            return
        yield image


def _why_nothing(job: ReplayJob, bag: ImageBag, problems: tuple[str, ...]) -> str:
    if problems:
        return f'none of its images could be worked on: {problems[-1]}'
    return f'no image from {job.begin:g} s after the first on; it lasts {bag.duration:.1f} s'


def _lean(result: FrameResult) -> FrameResult:
    """Drop what a report does not show and an hour of it would fill the memory with."""

    def lean(face: FaceEmotion) -> FaceEmotion:
        return replace(face, blendshapes=_NOTHING, landmarks=_NOTHING)

    return replace(result, faces=tuple(map(lean, result.faces)))
