"""``emotion-estimator compare EXPECTED ACTUAL``: check results against expected ones."""

from __future__ import annotations

import json
from pathlib import Path

import click

from emotion_estimator.bags.files import need_rosbags
from emotion_estimator.cli.main import complain
from emotion_estimator.errors import InputError
from emotion_estimator.replay.comparison import TOLERANCE, Comparison, compare
from emotion_estimator.replay.comparison_report import as_dict, broken_line, table
from emotion_estimator.replay.limits import (
    BrokenLimit,
    Limits,
    broken_limits,
    load_limits,
    shipped_limits,
)
from emotion_estimator.replay.pictures import check_figure, draw_comparison
from emotion_estimator.replay.results import is_bag, stream_glances, stream_results
from emotion_estimator.untrusted import printable, quote

#: Exit status when a limit is broken, as of `diff`.
BROKEN = 1
NO_LIMITS = 'none'


@click.command('compare')
@click.argument('expected', type=click.Path(path_type=Path))
@click.argument('actual', type=click.Path(path_type=Path))
@click.option(
    '--limits',
    'limits_file',
    metavar='FILE',
    help='YAML file of allowed differences, or none to report only. '
    'Default: the shipped config/replay_limits.yaml.',
)
@click.option(
    '--tolerance',
    default=TOLERANCE,
    show_default=True,
    type=click.FloatRange(min=0),
    help='Maximum difference in seconds between two stamps of the same frame.',
)
@click.option('--topic', help='Topic of the bags. Default: /emotions or /emotion.')
@click.option(
    '--figure',
    type=click.Path(path_type=Path),
    help='Draw both results to a .png, .svg or .pdf file.',
)
@click.option(
    '--window',
    type=(float, float),
    metavar='BEGIN END',
    help='Time span of the figure, in seconds after the first frame. Default: all.',
)
@click.option('--json', 'as_json', is_flag=True, help='Print one JSON object.')
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

    EXPECTED and ACTUAL are JSON Lines of `replay --json` or `video --json`, folders of
    `replay --report`, or bags with /emotions or /emotion.

    Exit status: 0 within the limits; 1 if a limit is broken (standard error names each and the
    first frame that breaks it); 2 if the two cannot be compared.
    """
    if window is not None and figure is None:
        raise click.UsageError('--window is for --figure')
    limits = _limits(limits_file)
    if figure is not None:
        check_figure(figure, window)
    if is_bag(expected) or is_bag(actual):
        need_rosbags()
    # Pictures show more of each frame than is compared.
    read = stream_glances if figure is None else stream_results
    comparison = compare(
        read(expected, topic),
        read(actual, topic),
        tolerance,
        (str(expected), str(actual)),
        keep=figure is not None,
    )
    broken = broken_limits(comparison, limits)
    if as_json:
        click.echo(json.dumps(as_dict(comparison, broken)))
    else:
        outcome = f'{len(broken)} broken' if broken else 'all kept'
        verdict = 'not checked' if limits_file == NO_LIMITS else outcome
        for line in (*table(comparison), f'limits         {verdict}'):
            click.echo(printable(line))
    for each in broken:
        complain(broken_line(comparison, each))
    if figure is not None:
        title = f'expected: {expected}      actual: {actual}'
        _draw(comparison, broken, figure, title, window)
    return BROKEN if broken else 0


def _limits(name: str | None) -> Limits:
    if name == NO_LIMITS:
        return Limits()
    return load_limits(shipped_limits() if name is None else Path(name))


def _draw(
    comparison: Comparison,
    broken: list[BrokenLimit],
    path: Path,
    title: str,
    window: tuple[float, float] | None,
) -> None:
    try:
        draw_comparison(comparison, path, title, broken, window)
    except OSError as error:
        raise InputError(f'figure {quote(path)} cannot be written ({error.strerror})') from error
