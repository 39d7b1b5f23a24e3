"""``emotion-estimator compare EXPECTED ACTUAL``: whether a version gives the same answers."""

from __future__ import annotations

import json
from pathlib import Path

import click

from emotion_estimator.bags.files import need_rosbags
from emotion_estimator.errors import InputError
from emotion_estimator.replay.comparison import TOLERANCE, Comparison, compare
from emotion_estimator.replay.comparison_report import as_dict, broken_line, table
from emotion_estimator.replay.course import is_bag, read_course
from emotion_estimator.replay.limits import Broken, Limits, broken, load_limits, shipped_limits
from emotion_estimator.replay.pictures import check_figure, draw_comparison

#: Status where a limit is broken, as `diff` has it.
BROKEN = 1
NO_LIMITS = 'none'


@click.command('compare')
@click.argument('expected', type=click.Path(path_type=Path))
@click.argument('actual', type=click.Path(path_type=Path))
@click.option(
    '--limits',
    'limits_file',
    metavar='FILE',
    help='YAML of how much may differ; none only reports. Without it the shipped limits hold, '
    'config/replay_limits.yaml.',
)
@click.option(
    '--tolerance',
    default=TOLERANCE,
    show_default=True,
    type=click.FloatRange(min=0),
    help='Seconds within which two stamps are the same frame.',
)
@click.option('--topic', help="The bags' topic; without it /emotions or /emotion is found.")
@click.option(
    '--figure', type=click.Path(path_type=Path), help='Picture of both: .png, .svg or .pdf.'
)
@click.option(
    '--window',
    type=(float, float),
    metavar='BEGIN END',
    help='Seconds after the first frame that the picture shows; without it, all.',
)
@click.option('--json', 'as_json', is_flag=True, help='One JSON object.')
def compare_verb(
    expected: Path,
    actual: Path,
    limits_file: str | None,
    tolerance: float,
    topic: str | None,
    figure: Path | None,
    window: tuple[float, float] | None,
    as_json: bool,
) -> int:
    """Compare two results of the same recording, frame by frame.

    EXPECTED and ACTUAL are JSON lines of `replay --json` or `video --json`, folders of
    `replay --report`, or bags that hold /emotions or /emotion.

    Exit status 0 within the limits, 1 where one is broken (standard error names each, and its
    first place), 2 where the two cannot be compared.
    """
    if window is not None and figure is None:
        raise click.UsageError('--window is for --figure')
    limits = _limits(limits_file)
    if figure is not None:
        check_figure(figure, window)
    if is_bag(expected) or is_bag(actual):
        need_rosbags()
    comparison = compare(
        read_course(expected, topic),
        read_course(actual, topic),
        tolerance,
        (str(expected), str(actual)),
    )
    found = broken(comparison, limits)
    if as_json:
        click.echo(json.dumps(as_dict(comparison, found)))
    else:
        kept = f'{len(found)} broken' if found else 'all kept'
        verdict = 'not looked at' if limits_file == NO_LIMITS else kept
        click.echo('\n'.join([*table(comparison), f'limits         {verdict}']))
    for each in found:
        click.echo(f'emotion-estimator: {broken_line(comparison, each)}', err=True)
    if figure is not None:
        title = f'expected: {expected}      actual: {actual}'
        _draw(comparison, found, figure, title, window)
    return BROKEN if found else 0


def _limits(name: str | None) -> Limits:
    if name == NO_LIMITS:
        return Limits()
    return load_limits(shipped_limits() if name is None else Path(name))


def _draw(
    comparison: Comparison,
    found: list[Broken],
    path: Path,
    title: str,
    window: tuple[float, float] | None,
) -> None:
    try:
        draw_comparison(comparison, path, title, found, window)
    except OSError as error:
        raise InputError(f'figure {path} cannot be written ({error.strerror})') from error
