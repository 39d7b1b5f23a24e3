"""``emotion-estimator replay BAG``: run recordings through the live nodes' pipeline."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from tqdm import tqdm

from emotion_estimator.bags.reader import ImageBag
from emotion_estimator.cli.main import complain
from emotion_estimator.cli.options import LEFT_OUT, say_account, strict_option
from emotion_estimator.cli.verbosity import is_quiet, progress
from emotion_estimator.errors import EmotionEstimatorError, InputError
from emotion_estimator.replay.expectations import load_expectations
from emotion_estimator.replay.job import JobSummary, ReplayJob, run_job
from emotion_estimator.replay.run import ReplayedFrame
from emotion_estimator.settings import EstimatorSettings, load_parameters
from emotion_estimator.untrusted import as_line, printable, quote
from emotion_estimator.worker_pool import Runner, on_dask, on_processes

#: Exit status where something expected is not met.
_NOT_MET = 1
_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument('bags', nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option('--topic', default=None, help='Image topic; required if a bag has several.')
@click.option(
    '--speech',
    metavar='NAMESPACE',
    default=None,
    help="Namespace of the speech topics (dialogue/user_speaking and others). Default: the images' "
    'own, or the only one.',
)
@click.option('--json', 'as_json', is_flag=True, help='Print one JSON object per frame.')
@click.option(
    '--output', type=_FOLDER, default=None, help='Write NAME.jsonl for each bag into this folder.'
)
@click.option(
    '--report',
    type=_FOLDER,
    default=None,
    help='Write a report page into this folder (several bags: into NAME in it).',
)
@click.option(
    '--thumbnails',
    is_flag=True,
    help='Put pictures of the face into the report, at the first changes of its label.',
)
@click.option(
    '--expect',
    type=_FILE,
    default=None,
    help='YAML file of expected labels and actions (docs/recordings.md). Exit status 1 if one is '
    'not met.',
)
@click.option(
    '--write-bag',
    type=_FOLDER,
    default=None,
    help="Write a bag with the input's topics and the results (several bags: NAME in this folder).",
)
@click.option(
    '--params',
    type=_FILE,
    default=None,
    help="ROS parameter file; the estimator's parameters are read from it.",
)
@click.option(
    '--landmarks',
    type=click.Choice(['auto', 'face_landmarker', 'face_mesh']),
    default=None,
    help='Landmark source.',
)
@click.option(
    '--model-path',
    default=None,
    help='face_landmarker.task. Default: that in your cache, or of this package.',
)
@click.option('--policy', type=_FILE, default=None, help="The dialogue manager's policy file.")
@click.option(
    '--conversation',
    type=_FILE,
    default=None,
    help='File of its topics, which the policy may name, and its utterances.',
)
@click.option(
    '--begin',
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help='Start of the results, in seconds after the first image.',
)
@click.option(
    '--end',
    type=click.FloatRange(0, min_open=True),
    default=None,
    help='Stop this many seconds after the first image.',
)
@click.option(
    '--jobs',
    type=click.IntRange(1),
    default=None,
    help='Number of bags to replay in parallel processes. Default: one per core.',
)
@click.option(
    '--engine',
    'pool',
    type=click.Choice(['processes', 'dask']),
    default='processes',
    show_default=True,
    help='Run several bags in local processes or on a Dask cluster.',
)
@click.option('--scheduler', default=None, help='Address of a running Dask scheduler.')
@click.option('--resume', is_flag=True, help='Skip bags whose results are already in --output.')
@strict_option
@click.pass_context
def replay(
    context: click.Context, bags: tuple[Path, ...], topic: str | None, speech: str | None,
    as_json: bool, output: Path | None, report: Path | None, thumbnails: bool,
    expect: Path | None, write_bag: Path | None,
    params: Path | None, landmarks: str | None, model_path: str | None, policy: Path | None,
    conversation: Path | None,
    begin: float, end: float | None, jobs: int | None, pool: str, scheduler: str | None,
    resume: bool, strict: bool,
) -> None:  # fmt: skip
    """Run each BAG (rosbag2) through the estimator and the dialogue manager, without ROS.

    It runs as fast as the bag can be read and drops no image, so the same bag gives the same
    results every time. Results carry the recording's stamps; compare them with
    `emotion-estimator compare`. The dialogue manager also hears the speech in the bag: the topics
    dialogue/user_speaking, dialogue/user_said and dialogue/robot_speaking.

    It ends with a line on standard error for each bag: how many images it declares, how many were
    read, and how many were left out and why. With --expect, each expectation that is not met is a
    line there too.
    """
    names = _names(bags, distinct=bool(output or report or write_bag))
    if as_json and len(bags) > 1:
        raise click.UsageError('--json is for one bag; give --output DIR for several')
    if resume and output is None:
        raise click.UsageError('--resume needs --output, where it looks for finished results')
    dask = pool == 'dask'
    if scheduler and not dask:
        raise click.UsageError('--scheduler is for --engine dask')
    if end is not None and end <= begin:
        raise click.UsageError(f'--end {end:g} is not after --begin {begin:g}')
    if report is not None and (report / 'metadata.yaml').exists():
        raise click.UsageError(f'--report {report} is a bag; give another folder')
    if expect is not None and (resume or begin > 0):
        raise click.UsageError(
            '--expect needs each bag from its first image; leave --resume and --begin out'
        )
    if thumbnails and report is None:
        raise click.UsageError('--thumbnails are for --report')
    base = ReplayJob(
        bag=bags[0], topic=topic, settings=_settings(params, landmarks, model_path),
        policy_file=policy, conversation_file=conversation, begin=begin, end=end,
        speech=speech, thumbnails=thumbnails,
        expected=load_expectations(expect) if expect else None,
    )  # fmt: skip
    several = len(bags) > 1
    pending = []
    for bag, name in zip(bags, names):
        job = replace(
            base, bag=bag,
            results=output / f'{name}.jsonl' if output else None,
            report=report / name if report and several else report,
            written=write_bag / name if write_bag and several else write_bag,
        )  # fmt: skip
        if resume and job.results is not None and job.results.exists():
            if not is_quiet():
                click.echo(as_line(f'{bag}: {job.results} exists already'), err=True)
            continue
        pending.append(job)
    if several:
        run = on_dask(jobs, scheduler) if dask else on_processes(jobs)
        # Dask's workers may have another working directory.
        outcomes = _run_all([_absolute(job) for job in pending] if dask else pending, run)
    else:
        outcomes = [_run_one(job, as_json) for job in pending]
    if not all(finding.met for each in outcomes for finding in each.findings):
        context.exit(_NOT_MET)
    if strict and not all(each.account.complete for each in outcomes):
        context.exit(LEFT_OUT)


def _names(bags: Sequence[Path], distinct: bool) -> list[str]:
    names = [_name(bag) for bag in bags]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None and distinct:
        raise click.UsageError(f'two bags are named {twice}; replay them one by one')
    return names


def _name(bag: Path) -> str:
    try:
        resolved = bag.resolve()
    except RuntimeError:
        # A link to itself; reading it says so.
        resolved = bag
    return resolved.stem if bag.is_file() else resolved.name


def _settings(
    params: Path | None, landmarks: str | None, model_path: str | None
) -> EstimatorSettings:
    settings = (
        load_parameters(params, 'estimator', EstimatorSettings) if params else EstimatorSettings()
    )
    if landmarks is not None:
        settings = replace(settings, landmark_source=landmarks)
    if model_path is not None:
        settings = replace(settings, face_landmarker_path=model_path)
    return settings


def _run_one(job: ReplayJob, as_json: bool) -> JobSummary:
    """Replay a bag, and print its summary."""
    with progress(unit='image', desc=quote(job.bag.name)) as bar:

        def on_open(bag: ImageBag) -> None:
            if job.begin == 0 and job.end is None:
                bar.reset(bag.count)

        def on_frame(frame: ReplayedFrame) -> None:
            bar.update()
            if as_json:
                click.echo(frame.result.as_json())

        summary = run_job(job, on_frame, on_open)
    _print_summary(summary, as_json)
    return summary


def _run_all(jobs: Sequence[ReplayJob], run: Runner) -> list[JobSummary]:
    """Replay bags, and print the summary of each."""
    failed = 0
    outcomes: list[JobSummary] = []
    with progress(total=len(jobs), unit='bag') as bar:
        for index, outcome in run(_run_safely, jobs):
            bar.update()
            if isinstance(outcome, str):
                failed += 1
                tqdm.write(as_line(f'{jobs[index].bag}: {outcome}'), file=sys.stderr)
            else:
                outcomes.append(outcome)
                with bar.external_write_mode():
                    _print_summary(outcome, as_json=False)
    if failed:
        raise InputError(f'{failed} of {len(jobs)} bags could not be replayed, see above')
    return outcomes


def _absolute(job: ReplayJob) -> ReplayJob:
    places = {
        name: place.absolute()
        for name in ('bag', 'policy_file', 'conversation_file', 'results', 'report', 'written')
        if (place := getattr(job, name)) is not None
    }
    return replace(job, **places)


def _run_safely(job: ReplayJob) -> JobSummary | str:
    """Replay a bag; return the error's text instead of raising, so that other bags continue."""
    try:
        return run_job(job)
    except EmotionEstimatorError as error:
        return str(error)


def _print_summary(summary: JobSummary, as_json: bool) -> None:
    for problem in summary.problems:
        click.echo(as_line(f'{summary.bag}: {problem}'), err=True)
    for finding in summary.findings:
        if not finding.met:
            complain(f'{summary.bag}: {finding.problem}')
    if as_json:
        say_account(str(summary.bag), summary.account, as_json)
        return
    shares = ', '.join(
        f'{label} {count / summary.frames:.0%}' for label, count in summary.labels.most_common()
    )
    lines = [
        f'{summary.bag}: {summary.frames} images of {summary.topic} '
        f'({summary.landmark_source}, {summary.model}): {shares or "none"}'
    ]
    for action in summary.actions:
        lines.append(f'{action.stamp:16.3f} s  {action.action} ({action.rule}): {action.reason}')
    for line in lines:
        click.echo(printable(line))
    say_account(str(summary.bag), summary.account)
