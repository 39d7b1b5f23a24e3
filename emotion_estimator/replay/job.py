"""Replay one bag: what to read, what to write, and a summary of the outcome."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from emotion_estimator.account import Account
from emotion_estimator.atomic_write import atomic_write
from emotion_estimator.bags.reader import ImageBag, StampedImage, open_bag
from emotion_estimator.bags.speech import SpeechMessage
from emotion_estimator.bags.writer import BagWriter
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.emotion import FaceEmotion
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.frame import FrameResult
from emotion_estimator.perception.mounting import Mounting
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.replay.expectations import ExpectationFinding, Expectations, examine
from emotion_estimator.replay.run import ReplayedFrame, replay
from emotion_estimator.replay.thumbnails import Thumbnails
from emotion_estimator.settings import EstimatorSettings

_EMPTY = np.zeros(0, np.float32)


@dataclass(frozen=True)
class ReplayJob:
    """The inputs, settings and outputs of one replay; can be pickled for a worker process.

    :param topic: image topic; None finds it.
    :param speech: namespace of the speech topics; None finds it.
    :param settings: the estimator's settings.
    :param policy_file: the dialogue manager's policy; None uses the shipped one.
    :param conversation_file: its topics and words; None uses the shipped ones.
    :param begin: seconds after the first image at which results begin. Earlier images are processed
        too, so that a part gives the same results as the complete bag.
    :param end: seconds after the first image at which to stop; None reads to the end.
    :param results: JSON Lines file to write.
    :param report: folder to write the report into.
    :param thumbnails: put pictures of faces into the report, at the changes of the label.
    :param expected: what the results should be; None expects nothing.
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
    speech: str | None = None
    thumbnails: bool = False
    expected: Expectations | None = None


@dataclass(frozen=True)
class JobSummary:
    """The outcome of a replay.

    :param frames: number of images with a result.
    :param labels: frames per label of the primary face.
    :param problems: one line for each defect of the bag and each kind of skipped image.
    :param account: how many images were declared and read, and how many left out and why.
    :param findings: what became of each expectation.
    """

    bag: Path
    topic: str
    landmark_source: str
    model: str
    frames: int
    labels: Counter[str]
    actions: tuple[DialogueAction, ...]
    problems: tuple[str, ...]
    account: Account
    findings: tuple[ExpectationFinding, ...] = ()


def run_job(
    job: ReplayJob,
    on_frame: Callable[[ReplayedFrame], None] = lambda frame: None,
    on_open: Callable[[ImageBag], None] = lambda bag: None,
) -> JobSummary:
    """Replay a bag.

    The written bag and the results file appear only when they are complete, the results last.

    :param on_frame: called for every frame within the job's time span.
    :param on_open: called with the open bag before the first frame.
    :raises InputError: the bag, the policy or the conversation cannot be read, no image could be
        processed, or an output exists already or cannot be written.
    :raises ModelError: a model cannot be loaded.
    """
    policy = DialogueManager.load(job.policy_file, job.conversation_file)
    if job.written is not None and (job.written.exists() or job.written.is_symlink()):
        raise InputError(f'{job.written} exists; give another folder for the bag, or remove it')
    with open_bag(job.bag, job.topic) as bag, _partial_outputs(job) as (written, results):
        on_open(bag)
        estimator = EmotionEstimator.load(job.settings)
        with contextlib.closing(estimator):
            skipped = _SkippedImages()
            mounting = Mounting(job.settings.rotate)
            with _Outputs(job, written, results, estimator.model) as outputs:
                for frame in replay(
                    _until(bag, job), estimator, policy,
                    max_rate_hz=job.settings.max_rate_hz, mounting=mounting,
                    max_pixels=job.settings.max_image_pixels, on_skip=skipped,
                    on_surplus=skipped.surplus,
                ):  # fmt: skip
                    if outputs.add(frame):
                        on_frame(frame)
                account = _account(bag, skipped, outputs)
                outputs.copy_input(bag)
        hints = (mounting.hint,) if mounting.hint else ()
        problems = (*bag.problems, *skipped.lines(), *hints)
        if not outputs.labels:
            raise InputError(f'bag {job.bag}: {_why_no_results(job, bag, outputs.begun, problems)}')
        findings = examine(outputs.kept, outputs.actions, job.expected) if job.expected else []
        if job.report is not None:
            # Slow to import because of matplotlib.
            from emotion_estimator.replay.report import write_report

            write_report(
                job.report, str(job.bag), outputs.kept, outputs.actions, problems, account=account,
                findings=findings, thumbnails=outputs.thumbnails,
            )  # fmt: skip
    return JobSummary(
        bag=job.bag,
        topic=bag.topic,
        landmark_source=estimator.landmark_source,
        model=estimator.model,
        frames=sum(outputs.labels.values()),
        labels=outputs.labels,
        actions=tuple(outputs.actions),
        problems=problems,
        account=account,
        findings=tuple(findings),
    )


@contextlib.contextmanager
def _partial_outputs(job: ReplayJob) -> Iterator[tuple[Path | None, Path | None]]:
    """Yield where to write the bag and the results until both are complete.

    :raises InputError: an output cannot be written, or the block raised an OSError.
    """
    # Moved in reverse: `--resume` takes a results file as the sign that all is done.
    targets = (job.results, job.written)
    try:
        with contextlib.ExitStack() as stack:
            partials: list[Path | None] = []
            for target in targets:
                if target is not None:
                    target.parent.mkdir(parents=True, exist_ok=True)
                partials.append(target and stack.enter_context(atomic_write(target)))
            results, written = partials
            yield written, results
    except BrokenPipeError:
        raise
    except OSError as error:
        place = error.filename or job.written or job.results or 'output'
        reason = error.strerror or first_line(error)
        raise InputError(f'{place} cannot be written ({reason})') from error


class _Outputs(contextlib.ExitStack):
    """Writes and counts the frames within the job's time span."""

    def __init__(
        self, job: ReplayJob, written: Path | None, results: Path | None, model: str
    ) -> None:
        super().__init__()
        self.labels: Counter[str] = Counter()
        self.actions: list[DialogueAction] = []
        self.kept: list[FrameResult] = []
        #: None unless the report asks for pictures of faces.
        self.thumbnails = Thumbnails() if job.report is not None and job.thumbnails else None
        self._job = job
        self._model = model
        #: Frames before the job's begin, which nobody asked for.
        self.before = 0
        self._first: float | None = None
        self._log_times: list[int] = []
        self._writer = self.enter_context(BagWriter(written)) if written else None
        self._lines = self.enter_context(results.open('w', encoding='utf-8')) if results else None

    @property
    def begun(self) -> bool:
        """Return whether any frame was processed, within the job's time span or before."""
        return self._first is not None

    def add(self, frame: ReplayedFrame) -> bool:
        """Write a frame; return False when it lies before the job's begin."""
        result, action = frame.result, frame.action
        self._first = result.stamp if self._first is None else self._first
        if result.stamp - self._first < self._job.begin:
            self.before += 1
            return False
        self.labels[result.label] += 1
        if action is not None:
            self.actions.append(action)
        if self._lines is not None:
            self._lines.write(result.as_json() + '\n')
        if self._writer is not None:
            self._log_times = [*self._log_times[:1], frame.log_time]
            self._writer.result(result, frame.header, self._model, frame.log_time)
            if action is not None:
                self._writer.action(action, frame.header, frame.log_time)
        if self._job.report is not None or self._job.expected is not None:
            self.kept.append(_without_arrays(result))
        if self.thumbnails is not None:
            self.thumbnails.see(result, frame.image)
        return True

    def copy_input(self, bag: ImageBag) -> None:
        """Copy the input's messages; if only a part was replayed, those recorded during it."""
        if self._writer is None or not self._log_times:
            return
        part = self._job.begin > 0 or self._job.end is not None
        for message in bag.messages():
            if not part or self._log_times[0] <= message.log_time <= self._log_times[-1]:
                self._writer.copy(message)


class _SkippedImages:
    """Counts the images that decode but that the estimator does not process."""

    def __init__(self) -> None:
        #: Number of images by the reason in a few words.
        self.reasons: Counter[str] = Counter()
        self._first_and_count: dict[str, tuple[float, int]] = {}

    def __call__(self, image: StampedImage, problem: str) -> None:
        first, count = self._first_and_count.get(problem, (image.stamp, 0))
        self._first_and_count[problem] = first, count + 1
        self.reasons[problem.partition(':')[0]] += 1

    def surplus(self, image: StampedImage) -> None:
        """Count an image above the rate that the settings allow."""
        self.reasons['above max_rate_hz'] += 1

    def lines(self) -> Iterator[str]:
        """Yield one line for each kind of problem."""
        for problem, (first, count) in self._first_and_count.items():
            yield f'{count} images skipped, first at {first:.6f} s: {problem}'


def _account(bag: ImageBag, skipped: _SkippedImages, outputs: _Outputs) -> Account:
    """Return the account of the bag's images, as far as the job asked for them."""
    account = bag.account
    for reason, count in skipped.reasons.items():
        account.leave_out(reason, count)
    account.read = outputs.labels.total()
    if account.declared is not None:
        account.declared -= outputs.before
    return account


def _until(bag: ImageBag, job: ReplayJob) -> Iterator[StampedImage | SpeechMessage]:
    """Yield the bag's images and speech up to the job's end after the first image."""
    first: float | None = None
    for item in bag.images_and_speech(job.speech):
        if not isinstance(item, SpeechMessage):
            first = item.stamp if first is None else first
            if job.end is not None and item.stamp - first >= job.end:
                return
        yield item


def _why_no_results(job: ReplayJob, bag: ImageBag, begun: bool, problems: tuple[str, ...]) -> str:
    if problems and not begun:
        return f'none of its images could be processed: {problems[-1]}'
    return f'no image later than {job.begin:g} s after the first; it lasts {bag.duration:.1f} s'


def _without_arrays(result: FrameResult) -> FrameResult:
    """Drop what a report does not show, so that an hour of results fits into memory."""

    def small(face: FaceEmotion) -> FaceEmotion:
        return replace(face, blendshapes=_EMPTY, landmarks=_EMPTY)

    return replace(result, faces=tuple(map(small, result.faces)))
