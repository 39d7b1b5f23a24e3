"""Replay a bag in a test, and check what the test expects of it.

A broken expectation raises an ``AssertionError`` with a readable message; pytest shows it at the
test's own line, without this module's frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from emotion_estimator.account import Account
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.errors import EmotionEstimatorError, InputError
from emotion_estimator.frame import FrameResult, read_results
from emotion_estimator.replay.comparison import TOLERANCE, compare
from emotion_estimator.replay.comparison_report import broken_line
from emotion_estimator.replay.expectations import (
    SHARE,
    Expectation,
    ExpectationFinding,
    Expectations,
    ExpectedDecision,
    examine,
    load_expectations,
)
from emotion_estimator.replay.job import ReplayJob, run_job
from emotion_estimator.replay.limits import broken_limits, load_limits, shipped_limits
from emotion_estimator.replay.pictures import check_figure, draw_comparison, draw_results
from emotion_estimator.replay.results import RESULTS, load_results
from emotion_estimator.settings import EstimatorSettings, load_parameters, make_settings


@dataclass(frozen=True, eq=False)
class ReplayOutcome:
    """The outcome of a replay.

    :param results: the results of all frames, as ``replay --json`` writes them: without landmarks.
    :param actions: the dialogue manager's decisions.
    :param problems: one line for each defect of the bag and each kind of skipped image.
    :param file: the results as JSON Lines.
    :param account: how many images were declared and read, and how many left out and why.
    """

    results: tuple[FrameResult, ...]
    actions: tuple[DialogueAction, ...]
    problems: tuple[str, ...]
    file: Path
    account: Account


@dataclass(frozen=True)
class CallingTest:
    """The test that uses a bag.

    :param folder: folder of the test's module; its paths are relative to it.
    :param figure: picture to draw when an expectation is not met; None draws none.
    """

    folder: Path
    figure: Path | None = None


class ReplayedBag:
    """A bag's results and decisions, with checks.

    Times are seconds since the bag's first image. Paths are relative to the test's folder.
    """

    def __init__(self, name: str, outcome: ReplayOutcome, caller: CallingTest) -> None:
        """:param name: the bag's name in messages."""
        self.name = name
        self.results = outcome.results
        self.actions = outcome.actions
        self.problems = outcome.problems
        self.file = outcome.file
        self.account = outcome.account
        self._caller = caller
        #: Of all expectations of labels and actions so far, for pictures.
        self._findings: list[ExpectationFinding] = []

    def expect(self, label: str, begin: float, end: float, share: float = SHARE) -> None:
        """Expect the primary face's label in at least ``share`` of the frames of a time span.

        :param label: one of the model's labels, or ``none`` for nobody.
        :raises AssertionError: fewer frames have it, or the bag does not cover the span.
        """
        __tracebackhide__ = True
        self._expect(lambda: Expectations((Expectation(label, begin, end, share),), ()))

    def expect_action(self, action: str, between: tuple[float, float]) -> None:
        """Expect the dialogue manager to decide on an action at least once.

        :raises AssertionError: it does not between these two times.
        """
        __tracebackhide__ = True
        self._expect(lambda: Expectations((), (ExpectedDecision(action, *between),)))

    def expect_file(self, path: str | Path) -> None:
        """Check a YAML file of expectations, see :func:`.expectations.load_expectations`.

        :raises AssertionError: an expectation is not met, or the file is invalid.
        """
        __tracebackhide__ = True
        self._expect(lambda: load_expectations(self._caller.folder / path))

    def expect_like(
        self,
        expected: str | Path,
        limits: str | Path | None = None,
        tolerance: float = TOLERANCE,
        topic: str | None = None,
    ) -> None:
        """Compare with earlier results, as ``emotion-estimator compare`` does.

        :param expected: JSON Lines of ``replay --json``, the folder of a ``replay --report``, or a
            bag with ``/emotions`` or ``/emotion``.
        :param limits: YAML file of allowed differences; None uses the shipped one.
        :param tolerance: seconds within which two stamps are the same frame.
        :param topic: topic of the expected bag.
        :raises AssertionError: a limit is broken, or the two cannot be compared.
        """
        __tracebackhide__ = True
        with _UserErrors():
            earlier = load_results(self._caller.folder / expected, topic)
            file = shipped_limits() if limits is None else self._caller.folder / limits
            allowed = load_limits(file)
            comparison = compare(earlier, self.results, tolerance, (str(expected), self.name))
            broken = broken_limits(comparison, allowed)
        if broken:
            title = f'expected: {expected}      actual: {self.name}'
            lines = [broken_line(comparison, each) for each in broken]
            lines.append(f'if the new results are right, expect these: {self.file}')
            lines += self._bag_problems()
            lines += self._draw(lambda path: draw_comparison(comparison, path, title, broken))
            _fail(f'{self.name} is not like {expected}', lines)

    def draw(self, path: str | Path) -> None:
        """Draw probabilities, labels, actions and what was expected so far over time.

        The suffix selects the format.

        :raises AssertionError: the picture cannot be drawn, or there are no frames.
        """
        __tracebackhide__ = True
        with _UserErrors():
            target = self._caller.folder / path
            check_figure(target)
            self._draw_results(target)

    def _expect(self, make: Callable[[], Expectations]) -> None:
        __tracebackhide__ = True
        with _UserErrors():
            expected = make()
        findings = examine(self.results, self.actions, expected)
        self._findings += findings
        lines = [each.problem for each in findings if not each.met]
        if lines:
            _fail(self.name, lines + self._bag_problems() + self._draw(self._draw_results))

    def _bag_problems(self) -> list[str]:
        lines = [f'problem of the bag: {problem}' for problem in self.problems]
        return lines if self.account.complete else [*lines, f'of the bag: {self.account}']

    def _draw_results(self, path: Path) -> None:
        if not self.results:
            raise InputError(f'{self.name} has no frame to draw')
        draw_results(self.results, self.actions, path, self.name, self._findings)

    def _draw(self, draw: Callable[[Path], None]) -> list[str]:
        """Draw if the test run asks for pictures; return a line with the path."""
        path = self._caller.figure
        if path is None:
            return []
        try:
            check_figure(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            draw(path)
        except (InputError, OSError) as error:
            return [f'no picture: {error}']
        return [f'picture: {path}']


class ReplayCache:
    """Caches replays for all tests of a run.

    :param folder: folder for the results.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._done: dict[ReplayJob, ReplayOutcome] = {}

    def outcome(self, job: ReplayJob) -> ReplayOutcome:
        """Replay a bag, or return the outcome of an earlier replay.

        :raises EmotionEstimatorError: the bag, a model or the policy cannot be used.
        """
        if job not in self._done:
            file = self._folder / f'{len(self._done)}_{job.bag.stem}' / RESULTS
            summary = run_job(replace(job, results=file))
            self._done[job] = ReplayOutcome(
                tuple(read_results(file)), summary.actions, summary.problems, file,
                summary.account,
            )  # fmt: skip
        return self._done[job]


class EmotionReplay:
    """Replays bags, each once for the same settings: the fixture ``emotion_replay``."""

    def __init__(self, caller: CallingTest, cache: ReplayCache) -> None:
        self._caller = caller
        self._cache = cache

    def __call__(
        self,
        bag: str | Path,
        *,
        topic: str | None = None,
        landmarks: str | None = None,
        policy: str | Path | None = None,
        conversation: str | Path | None = None,
        params: str | Path | None = None,
        speech: str | None = None,
        **settings: Any,
    ) -> ReplayedBag:
        """Replay a bag.

        Paths are relative to the test's folder.

        :param topic: image topic; None finds it.
        :param landmarks: ``auto``, ``face_landmarker`` or ``face_mesh``; None uses ``params``.
        :param policy: the dialogue manager's policy file; None uses the shipped one.
        :param conversation: file of its topics and words; None uses the shipped one.
        :param params: ROS parameter file; the estimator's parameters are read from it.
        :param speech: namespace of the speech topics, needed only if the bag has several such that
            the images are in none of them; None finds it.
        :param settings: further parameters of the estimator, such as ``max_faces=1``.
        :raises AssertionError: the bag, a file or a setting cannot be used.
        """
        __tracebackhide__ = True
        if landmarks is not None:
            settings['landmark_source'] = landmarks
        with _UserErrors():
            job = ReplayJob(
                bag=(self._caller.folder / bag).resolve(),
                topic=topic,
                settings=self._settings(params, settings),
                policy_file=self._file(policy),
                conversation_file=self._file(conversation),
                speech=speech,
            )
            return ReplayedBag(str(bag), self._cache.outcome(job), self._caller)

    def _file(self, given: str | Path | None) -> Path | None:
        return None if given is None else self._caller.folder / given

    def _settings(self, params: str | Path | None, given: dict[str, Any]) -> EstimatorSettings:
        base = EstimatorSettings()
        if params is not None:
            base = load_parameters(self._caller.folder / params, 'estimator', EstimatorSettings)
        return make_settings(EstimatorSettings, {**asdict(base), **given})


class _UserErrors:
    """Turns errors that a user can fix into an ``AssertionError`` without this module's frames."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        __tracebackhide__ = True
        if isinstance(error, EmotionEstimatorError):
            raise AssertionError(str(error)) from None


def _fail(head: str, lines: list[str]) -> None:
    __tracebackhide__ = True
    # pytest's summary shows only the first line.
    raise AssertionError('\n  '.join([f'{head}: {lines[0]}', *lines[1:]]))
