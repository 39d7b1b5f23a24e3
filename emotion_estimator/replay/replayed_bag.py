"""A bag replayed for somebody's tests, which then say what they expect of it.

What is not as expected raises an ``AssertionError`` whose text is for people; pytest shows the
test's own line with it and none of this module's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.errors import EmotionEstimatorError, InputError
from emotion_estimator.frame import FrameResult, read_results
from emotion_estimator.replay.comparison import TOLERANCE, compare
from emotion_estimator.replay.comparison_report import broken_line
from emotion_estimator.replay.course import RESULTS, read_course
from emotion_estimator.replay.expectations import (
    SHARE,
    Expectation,
    Expectations,
    ExpectedDecision,
    check,
    load_expectations,
)
from emotion_estimator.replay.job import ReplayJob, run_job
from emotion_estimator.replay.limits import broken, load_limits, shipped_limits
from emotion_estimator.replay.pictures import check_figure, draw_comparison, draw_course
from emotion_estimator.settings import EstimatorSettings, load_parameters, make_settings


@dataclass(frozen=True, eq=False)
class ReplayAnswers:
    """What a replay gave.

    :param results: of each frame, as ``replay --json`` writes them: without landmarks.
    :param actions: what the dialogue manager decided.
    :param problems: one line on each thing that is wrong with the bag or was left out.
    :param file: the results as JSON lines.
    """

    results: tuple[FrameResult, ...]
    actions: tuple[DialogueAction, ...]
    problems: tuple[str, ...]
    file: Path


@dataclass(frozen=True)
class TestLocation:
    """Where a test stands.

    :param folder: that paths are relative to.
    :param figure: picture to draw when an expectation is not met; None draws none.
    """

    folder: Path
    figure: Path | None = None


class ReplayedBag:
    """What the estimator and the dialogue manager make of a bag.

    Times are seconds since the bag's first image. Paths are relative to the test's folder.
    """

    def __init__(self, name: str, answers: ReplayAnswers, place: TestLocation) -> None:
        """:param name: what to call the bag."""
        self.name = name
        self.results = answers.results
        self.actions = answers.actions
        self.problems = answers.problems
        self.file = answers.file
        self._place = place

    def expect(self, label: str, begin: float, end: float, share: float = SHARE) -> None:
        """Expect the primary face's label in at least ``share`` of the frames of a span.

        :param label: one of the model's, or ``none`` for nobody.
        :raises AssertionError: fewer have it, or the bag does not reach so far.
        """
        __tracebackhide__ = True
        self._expect(lambda: Expectations((Expectation(label, begin, end, share),), ()))

    def expect_action(self, action: str, between: tuple[float, float]) -> None:
        """Expect the dialogue manager to decide upon an action, once at least.

        :raises AssertionError: it does not within these two times.
        """
        __tracebackhide__ = True
        self._expect(lambda: Expectations((), (ExpectedDecision(action, *between),)))

    def expect_file(self, path: str | Path) -> None:
        """Expect all that a YAML file names, see :func:`.expectations.load_expectations`.

        :raises AssertionError: something in it is not met, or the file is not good.
        """
        __tracebackhide__ = True
        self._expect(lambda: load_expectations(self._place.folder / path))

    def expect_like(
        self,
        expected: str | Path,
        limits: str | Path | None = None,
        tolerance: float = TOLERANCE,
        topic: str | None = None,
    ) -> None:
        """Expect what was found before, as ``emotion-estimator compare`` has it.

        :param expected: JSON lines of ``replay --json``, the folder of a ``replay --report``, or a
            bag that holds ``/emotions`` or ``/emotion``.
        :param limits: YAML of how much may differ; None takes the shipped one.
        :param tolerance: seconds within which two stamps are the same frame.
        :param topic: of the bag that is expected.
        :raises AssertionError: a limit is broken, or the two cannot be compared.
        """
        __tracebackhide__ = True
        with _ForPeople():
            before = self._place.folder / expected
            file = shipped_limits() if limits is None else self._place.folder / limits
            allowed = load_limits(file)
            comparison = compare(
                read_course(before, topic), self.results, tolerance, (str(expected), self.name)
            )
            found = broken(comparison, allowed)
        if found:
            title = f'expected: {expected}      actual: {self.name}'
            lines = [broken_line(comparison, each) for each in found]
            lines.append(f'the new results, to be expected where they are right: {self.file}')
            lines += self._about_the_bag()
            lines += self._draw(lambda path: draw_comparison(comparison, path, title, found))
            _fail(f'{self.name} is not like {expected}', lines)

    def draw(self, path: str | Path) -> None:
        """Draw probabilities, labels and actions over time; the ending chooses the format.

        :raises AssertionError: the picture cannot be drawn, or there is nothing to draw.
        """
        __tracebackhide__ = True
        with _ForPeople():
            target = self._place.folder / path
            check_figure(target)
            self._draw_course(target)

    def _expect(self, made: Any) -> None:
        __tracebackhide__ = True
        with _ForPeople():
            wanted = made()
        lines = check(self.results, self.actions, wanted.labels, wanted.actions)
        if lines:
            _fail(self.name, lines + self._about_the_bag() + self._draw(self._draw_course))

    def _about_the_bag(self) -> list[str]:
        return [f'what is wrong with the bag: {problem}' for problem in self.problems]

    def _draw_course(self, path: Path) -> None:
        if not self.results:
            raise InputError(f'{self.name} has no frame to draw')
        draw_course(self.results, self.actions, path, self.name)

    def _draw(self, draw: Any) -> list[str]:
        """Draw where that was asked for; return lines that tell of it."""
        path = self._place.figure
        if path is None:
            return []
        try:
            check_figure(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            draw(path)
        except (InputError, OSError) as error:
            return [f'no picture: {error}']
        return [f'picture: {path}']


class Replays:
    """What was replayed before, which a whole run of tests shares.

    :param folder: for results.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._done: dict[ReplayJob, ReplayAnswers] = {}

    def answers(self, job: ReplayJob) -> ReplayAnswers:
        """Replay a bag, or return what that gave before.

        :raises EmotionEstimatorError: the bag, a model or the policy cannot be used.
        """
        if job not in self._done:
            file = self._folder / f'{len(self._done)}_{job.bag.stem}' / RESULTS
            summary = run_job(replace(job, results=file))
            self._done[job] = ReplayAnswers(
                tuple(read_results(file)), summary.actions, summary.problems, file
            )
        return self._done[job]


class EmotionReplay:
    """Replays bags, each only once for the same settings."""

    def __init__(self, place: TestLocation, replays: Replays) -> None:
        self._place = place
        self._replays = replays

    def __call__(
        self,
        bag: str | Path,
        *,
        topic: str | None = None,
        landmarks: str | None = None,
        policy: str | Path | None = None,
        conversation: str | Path | None = None,
        params: str | Path | None = None,
        **settings: Any,
    ) -> ReplayedBag:
        """Replay a bag.

        Paths are relative to the test's folder.

        :param topic: of the images; None finds it.
        :param landmarks: ``auto``, ``face_landmarker`` or ``face_mesh``; None is as ``params`` say.
        :param policy: file of the dialogue manager's rules; None takes the shipped one.
        :param conversation: file of its topics and words; None takes the shipped one.
        :param params: the robot's parameter file, of which the estimator's entries count.
        :param settings: further parameters of the estimator, such as ``max_faces=1``.
        :raises AssertionError: the bag, a file or a setting cannot be used.
        """
        __tracebackhide__ = True
        if landmarks is not None:
            settings['landmark_source'] = landmarks
        with _ForPeople():
            job = ReplayJob(
                bag=(self._place.folder / bag).resolve(),
                topic=topic,
                settings=self._settings(params, settings),
                policy_file=self._file(policy),
                conversation_file=self._file(conversation),
            )
            return ReplayedBag(str(bag), self._replays.answers(job), self._place)

    def _file(self, given: str | Path | None) -> Path | None:
        return None if given is None else self._place.folder / given

    def _settings(self, params: str | Path | None, given: dict[str, Any]) -> EstimatorSettings:
        base = EstimatorSettings()
        if params is not None:
            base = load_parameters(self._place.folder / params, 'estimator', EstimatorSettings)
        return make_settings(EstimatorSettings, {**asdict(base), **given})


class _ForPeople:
    """Turns what a user can mend into an ``AssertionError``."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        __tracebackhide__ = True
        if isinstance(error, EmotionEstimatorError):
            raise AssertionError(str(error)) from None


def _fail(head: str, lines: list[str]) -> None:
    __tracebackhide__ = True
    # pytest's summary shows the first line.
    raise AssertionError('\n  '.join([f'{head}: {lines[0]}', *lines[1:]]))
