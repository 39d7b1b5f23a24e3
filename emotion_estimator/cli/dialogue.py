"""``emotion-estimator dialogue``: a conversation in the terminal, without a camera or ROS."""

from __future__ import annotations

import math
import sys
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

import click

from emotion_estimator.bags.files import need_rosbags
from emotion_estimator.cli.keyboard import HELP, HELP_KEY, QUIT, KeyState, keys_as_inputs
from emotion_estimator.cli.main import complain
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.emotion import primary
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.replay.results import is_bag, stream_results, stream_sights
from emotion_estimator.settings import LanguageModelSettings, make_settings
from emotion_estimator.simulation.script import Script, ScriptChecker, load_script
from emotion_estimator.simulation.simulator import (
    Event,
    SimulatedInput,
    Words,
    as_json,
    as_text,
    in_real_time,
    simulate,
)
from emotion_estimator.untrusted import printable, quote

#: Exit status when the robot does not do what its script expects.
NOT_AS_EXPECTED = 1

#: Messages per second that keys produce.
RATE = 15.0

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option(
    '--script',
    type=_FILE,
    help='YAML script: what the person shows and says, and how the robot should respond.',
)
@click.option(
    '--from',
    'recording',
    type=click.Path(path_type=Path, allow_dash=True),
    metavar='JSONL|BAG',
    help='Recorded emotions: output of `video --json` or `replay --json` (- for standard input), '
    'or a bag with /emotions or /emotion.',
)
@click.option(
    '--hear-face',
    is_flag=True,
    help='Count recorded speaking faces as voice activity, as the parameter hear_face does.',
)
@click.option('--topic', help='Topic of the bag. Default: /emotions, else /emotion.')
@click.option('--policy', type=_FILE, help='YAML file of rules. Default: the shipped one.')
@click.option(
    '--conversation',
    type=_FILE,
    help='YAML file of topics and words. Default: the shipped one.',
)
@click.option(
    '--speed',
    type=click.FloatRange(0, 1e6, min_open=True),
    help='Speed relative to real time. Default: as fast as possible, or 1 for keys in a terminal.',
)
@click.option(
    '--hold',
    type=click.FloatRange(0, 3600, min_open=True),
    default=1.0,
    show_default=True,
    help='How long each key applies, in seconds, when keys are piped in.',
)
@click.option(
    '--llm-base-url',
    metavar='URL',
    help='OpenAI-compatible server that chooses the words, such as http://localhost:11434/v1; '
    "simulated time stands still meanwhile. Default: the conversation file's words.",
)
@click.option(
    '--llm-model', metavar='NAME', help='Name of the model on that server. Requires --llm-base-url.'
)
@click.option('--json', 'as_objects', is_flag=True, help='Print one JSON object per action.')
def dialogue(
    script: Path | None, recording: Path | None, hear_face: bool, topic: str | None,
    policy: Path | None, conversation: Path | None, speed: float | None, hold: float,
    llm_base_url: str | None, llm_model: str | None, as_objects: bool,
) -> int:  # fmt: skip
    """Simulate a conversation without a camera or ROS.

    Without --script and --from, keys stand for emotions: h happy, u unknown, s sad, n nobody; space
    starts and stops the person's speech, " types what they say, ? lists the keys, q quits.

    Exit status: 0, or 1 if the robot does not do what the script expects.
    """
    if script is not None and recording is not None:
        raise click.UsageError('--script and --from exclude each other; give one of them')
    if math.isnan(hold) or (speed is not None and math.isnan(speed)):
        raise click.UsageError('--speed and --hold must be numbers above 0')
    if topic is not None and recording is None:
        raise click.UsageError('--topic requires --from')
    if hear_face and recording is None:
        raise click.UsageError('--hear-face requires --from')
    if (llm_base_url is None) != (llm_model is None):
        raise click.UsageError('--llm-base-url and --llm-model go together; give both')
    scripted = load_script(script) if script is not None else None
    manager = DialogueManager.load(
        policy or (scripted.policy if scripted else None),
        conversation or (scripted.conversation if scripted else None),
    )
    manager.hears_face = hear_face
    # Only a language model reads what was seen.
    manager.remembers = llm_model is not None
    printer = _Printer(as_objects, scripted, manager.language)
    for warning in manager.warnings:
        complain(warning)
    inputs = _inputs(scripted, manager, recording, topic, speed, hold, as_objects)
    # Closed in any case, which restores the terminal.
    with closing(inputs), _words(llm_base_url, llm_model) as words:
        for event in simulate(manager, inputs, words):
            printer.show(event)
    return printer.finish()


def _words(base_url: str | None, model: str | None) -> AbstractContextManager[Words | None]:
    """Open who finds the words; None leaves them to the conversation file."""
    if base_url is None or model is None:
        return nullcontext()
    # Imported here, since it needs an optional library.
    from emotion_estimator.simulation.model_speech import model_speech

    settings = make_settings(LanguageModelSettings, {'base_url': base_url, 'model': model})
    return model_speech(settings)


class _Printer:
    """Prints events as they occur, each with whether it is as expected."""

    def __init__(self, as_objects: bool, script: Script | None, language: str) -> None:
        self._as_objects = as_objects
        self._checker = ScriptChecker(script, language) if script else None
        if script is not None and script.about and not as_objects:
            click.echo(printable(script.about))

    def show(self, event: Event) -> None:
        """Print an event, if it has anything to print."""
        verdict = self._checker(event) if self._checker else None
        if self._as_objects:
            line = as_json(event, verdict)
            if line is not None:
                click.echo(line)
            return
        for line in as_text(event, verdict):
            click.echo(printable(line))

    def finish(self) -> int:
        """Print the unmet expectations; return the exit status."""
        failures = self._checker.finish() if self._checker else []
        for failure in failures:
            complain(failure)
        return NOT_AS_EXPECTED if failures else 0


def _inputs(
    script: Script | None, manager: DialogueManager, recording: Path | None, topic: str | None,
    speed: float | None, hold: float, quiet: bool,
) -> Generator[SimulatedInput, None, None]:  # fmt: skip
    if script is not None:
        inputs = script.inputs(manager.language)
    elif recording is not None:
        inputs = _recorded(recording, topic, manager)
    elif sys.stdin is not None and sys.stdin.isatty():
        return _live(speed or 1.0, quiet)
    else:
        inputs = keys_as_inputs(_characters(), hold, RATE)
    return in_real_time(inputs, speed) if speed else inputs


def _recorded(
    recording: Path, topic: str | None, manager: DialogueManager
) -> Generator[SimulatedInput, None, None]:
    path = Path('/dev/stdin') if str(recording) == '-' else recording
    if is_bag(path):
        need_rosbags()
        inputs = _from_bag(path, topic, manager)
    else:
        inputs = _from_lines(path, manager.remembers)
    empty = True
    for given in inputs:
        empty = empty and not given.has_frame
        yield given
    if empty:
        raise InputError(f'{quote(recording)} holds no frames')


def _from_lines(path: Path, whole: bool) -> Iterator[SimulatedInput]:
    for frame in stream_results(path) if whole else stream_sights(path):
        stamp, faces = frame.stamp, frame.faces
        yield SimulatedInput(stamp, faces[0] if faces else None, others=faces[1:])


def _from_bag(path: Path, topic: str | None, manager: DialogueManager) -> Iterator[SimulatedInput]:
    # The library for bags is slow to import and not needed for JSON Lines.
    from emotion_estimator.bags.reader import EmotionBag
    from emotion_estimator.bags.speech import SpeechMessage

    with EmotionBag(path, topic) as bag:
        # Of speech before the first emotion the stamp does not count.
        last = next((first.stamp for first in bag.results()), 0.0)
        for item in bag.results_and_speech():
            if not isinstance(item, SpeechMessage):
                last = item.stamp
                others = item.faces[1:] if bag.all_faces else None
                yield SimulatedInput(last, primary(item.faces), others=others)
            elif item.text.strip():
                yield SimulatedInput(last, has_frame=False, said=item.text)
            else:
                # To the manager itself: an input's `speaking` would be repeated with each frame,
                # so that it never expired.
                item.report_to(manager, last)
        problems = bag.problems
    for problem in problems:
        complain(problem)


def _characters() -> Iterator[str]:
    if sys.stdin is None:
        return
    try:
        for line in sys.stdin:
            yield from line
    except UnicodeDecodeError as error:
        raise InputError(f'standard input is not text ({first_line(error)})') from error


def _live(speed: float, quiet: bool) -> Generator[SimulatedInput, None, None]:
    # Imported here, since other platforms than POSIX have no such terminals.
    from emotion_estimator.cli.keyboard import pressed, ticks

    state = KeyState()
    with pressed() as key:
        # Printed after the terminal is set up: keys pressed before that are lost.
        click.echo(HELP, err=quiet)
        for count, keys in ticks(key, 1 / (RATE * speed)):
            stamp = count / RATE
            for each in keys:
                if each == QUIT and not state.typing:
                    return
                if each == HELP_KEY and not state.typing:
                    click.echo(HELP, err=quiet)
                    continue
                try:
                    pressed_input = state.press(each, stamp)
                except InputError as error:
                    click.echo(str(error), err=True)
                    continue
                if state.typing:
                    click.echo(f'\r    you: {state.typed}\x1b[K', nl=False, err=True)
                if pressed_input is not None:
                    click.echo('\r\x1b[K' if pressed_input.said else '', nl=False, err=True)
                    yield pressed_input
            yield state.input(stamp)
