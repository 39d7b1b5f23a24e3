"""``emotion-estimator dialogue``: a conversation in the terminal, without camera and ROS."""

from __future__ import annotations

import math
import sys
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import click

from emotion_estimator.bags.files import need_rosbags
from emotion_estimator.cli.keyboard import HELP, QUIT, Held, typed
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.dialogue.script import Script, Verdict, load_script
from emotion_estimator.dialogue.simulator import (
    Event,
    SimulatedInput,
    as_json,
    lines,
    paced,
    simulate,
)
from emotion_estimator.emotion import primary
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.replay.results import is_bag, stream_results

#: Status where the robot does not do what its script expects.
NOT_AS_EXPECTED = 1
RATE = 15.0
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option('--script', type=_FILE, help='YAML of what a face shows and what should be done.')
@click.option(
    '--from',
    'course',
    type=click.Path(path_type=Path, allow_dash=True),
    metavar='JSONL|BAG',
    help='A recorded course: JSON lines of `video --json` or `replay --json` (- reads them from '
    'standard input), or a bag that holds /emotions or /emotion.',
)
@click.option('--topic', help="The bag's topic; without it /emotions or /emotion is found.")
@click.option('--policy', type=_FILE, help='YAML of the rules; without it the shipped one.')
@click.option(
    '--conversation', type=_FILE, help='YAML of topics and words; without it the shipped one.'
)
@click.option(
    '--speed',
    type=click.FloatRange(0, 1e6, min_open=True),
    help='1 is as in life. Without it as fast as possible; with keys in a terminal, 1.',
)
@click.option(
    '--hold',
    type=click.FloatRange(0, 3600, min_open=True),
    default=1.0,
    show_default=True,
    help='Seconds for which each key holds that does not come from a terminal.',
)
@click.option('--json', 'as_objects', is_flag=True, help='One JSON object an action.')
def dialogue(
    script: Path | None, course: Path | None, topic: str | None, policy: Path | None,
    conversation: Path | None, speed: float | None, hold: float, as_objects: bool,
) -> int:  # fmt: skip
    """Simulate a conversation without camera and ROS.

    Without --script and --from, keys stand for emotions: h happy, u unknown, s sad, n nobody; space
    begins and ends what the person says, q quits.

    Exit status 0, or 1 where the robot does not do what the script expects.
    """
    if script is not None and course is not None:
        raise click.UsageError('--script and --from are two courses; give one of them')
    if math.isnan(hold) or (speed is not None and math.isnan(speed)):
        raise click.UsageError('--speed and --hold must be numbers above 0')
    if topic is not None and course is None:
        raise click.UsageError('--topic is for --from')
    told = load_script(script) if script is not None else None
    manager = DialogueManager.load(
        policy or (told.policy if told else None),
        conversation or (told.conversation if told else None),
    )
    tell = _Teller(as_objects, told)
    # Closed whatever happens, so that a terminal is left as it was found.
    with closing(_moments(told, course, topic, speed, hold, as_objects)) as moments:
        for event in simulate(manager, moments):
            tell(event)
    return tell.finish()


class _Teller:
    """Prints events as they come, each with whether it is as expected."""

    def __init__(self, as_objects: bool, script: Script | None) -> None:
        self._as_objects = as_objects
        self._verdict = Verdict(script) if script else None
        self._first: float | None = None
        if script is not None and script.about and not as_objects:
            click.echo(script.about)

    def __call__(self, event: Event) -> None:
        if self._first is None:
            self._first = event.stamp
        verdict = self._verdict(event) if self._verdict else None
        told = [as_json(event, verdict)] if self._as_objects else lines(event, verdict, self._first)
        for line in told:
            if line is not None:
                click.echo(line)

    def finish(self) -> int:
        failures = self._verdict.finish() if self._verdict else []
        for failure in failures:
            click.echo(f'emotion-estimator: {failure}', err=True)
        return NOT_AS_EXPECTED if failures else 0


def _moments(
    script: Script | None, course: Path | None, topic: str | None, speed: float | None,
    hold: float, quiet: bool,
) -> Generator[SimulatedInput, None, None]:  # fmt: skip
    if script is not None:
        moments = script.moments()
    elif course is not None:
        moments = _recorded(course, topic)
    elif sys.stdin is not None and sys.stdin.isatty():
        return _live(speed or 1.0, quiet)
    else:
        moments = typed(_characters(), hold, RATE)
    return paced(moments, speed) if speed else moments


def _recorded(course: Path, topic: str | None) -> Generator[SimulatedInput, None, None]:
    path = Path('/dev/stdin') if str(course) == '-' else course
    if is_bag(path):
        need_rosbags()
    empty = True
    for frame in stream_results(path, topic):
        empty = False
        yield SimulatedInput(frame.stamp, primary(frame.faces))
    if empty:
        raise InputError(f'{course} holds no frames')


def _characters() -> Iterator[str]:
    if sys.stdin is None:
        return
    try:
        for line in sys.stdin:
            yield from line
    except UnicodeDecodeError as error:
        raise InputError(f'standard input is no text ({first_line(error)})') from error


def _live(speed: float, quiet: bool) -> Generator[SimulatedInput, None, None]:
    # Only where there are terminals.
    from emotion_estimator.cli.keyboard import pressed, ticks

    held = Held()
    with pressed() as key:
        # Who reads it may press at once: keys from before the terminal is ours are thrown away.
        click.echo(HELP, err=quiet)
        for count, keys in ticks(key, 1 / (RATE * speed)):
            stamp = count / RATE
            for each in keys:
                if each == QUIT:
                    return
                try:
                    asked = held.press(each)
                except InputError as error:
                    click.echo(str(error), err=True)
                    continue
                if asked:
                    yield SimulatedInput(stamp, heard=False, asked=asked)
            yield held.moment(stamp)
