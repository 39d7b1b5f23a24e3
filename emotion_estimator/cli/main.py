"""``emotion-estimator <verb>``: what the package does without ROS."""

from __future__ import annotations

import importlib
import multiprocessing
import signal
import sys
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from types import FrameType
from typing import Any, ClassVar

import click

from emotion_estimator import __version__
from emotion_estimator.bags.files import need_rosbags
from emotion_estimator.errors import EmotionEstimatorError, InputError


class LazyVerbs(click.Group):
    """Lists its verbs without importing what they need, which may not be installed."""

    #: Each verb, where it is, and what the list of verbs says of it.
    verbs: ClassVar[Mapping[str, tuple[str, str]]]

    @abstractmethod
    def load(self, name: str, where: str) -> click.Command:
        """Import a verb."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs' names in the order of the table."""
        return list(self.verbs)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table."""
        with formatter.section('Commands'):
            formatter.write_dl([(name, says) for name, (_, says) in self.verbs.items()])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return a verb, imported now, or one that was added; None for a name that is none."""
        if name in self.verbs:
            return self.load(name, self.verbs[name][0])
        return super().get_command(ctx, name)


BAD_INPUT = 2
# As the shell has it for a program that a signal ended.
_INTERRUPTED = 128 + signal.SIGINT
_TERMINATED = 128 + signal.SIGTERM

#: Each verb, what its module calls it, and what the list of verbs says of it. A module is imported
#: when its verb is asked for, so that the others need not what it needs.
VERBS = {
    'compare': ('compare_verb', 'Compare two results of the same recording, frame by frame.'),
    'dialogue': ('dialogue', 'Simulate a conversation without camera and ROS.'),
    'doctor': ('doctor', 'Say what is installed, which models run, and whether nodes can talk.'),
    'evaluate': ('evaluate', 'Measure the shipped model on rows of blendshapes.'),
    'image': ('image', 'Say what the faces in images express.'),
    'models': ('models', 'List the models, or fetch the Face Landmarker.'),
    'record': ('record', 'Record SOURCE into a rosbag2, without ROS.'),
    'replay': ('replay', 'Say what the robot would have made of each BAG (rosbag2).'),
    'video': ('video', 'Say what the faces in each frame of SOURCE express.'),
}
#: Verbs of the research package (``training`` in the repository), which brings them as entry points
#: of the group ``emotion_estimator.verbs``, and what the list of verbs says of them.
RESEARCH_VERBS = {
    'training': 'Train and measure the models on labelled faces.',
    'zoo': "Train and compare the papers' other models on labelled video.",
}


class _Verbs(LazyVerbs):
    verbs = {**VERBS, **{name: (name, says) for name, says in RESEARCH_VERBS.items()}}

    def load(self, name: str, where: str) -> click.Command:
        if name in RESEARCH_VERBS:
            return _research_verb(name)
        try:
            module: Any = importlib.import_module(f'emotion_estimator.cli.{name}')
        except ModuleNotFoundError as error:
            if (error.name or '').partition('.')[0] == 'rosbags':
                need_rosbags()
            raise
        command: click.Command = getattr(module, where)
        return command


def _research_verb(name: str) -> click.Command:
    for entry_point in entry_points(group='emotion_estimator.verbs', name=name):
        command: click.Command = entry_point.load()
        return command
    raise InputError(
        f'{name} is in the research package, which is not installed; from a checkout of the '
        'repository: pip install ./training'
    )


@click.group(cls=_Verbs, context_settings={'help_option_names': ['-h', '--help']})
@click.version_option(__version__, prog_name='emotion-estimator')
def group() -> None:
    """Read facial expressions: happy, sad, unknown, or nobody there."""


def main() -> int:
    """Run the command line.

    :return: 0 when it worked, 2 for bad usage or input, 130 for Ctrl-C, 143 for SIGTERM.
    """
    with _interrupted_by_sigterm() as terminated:
        status = _run()
    return _TERMINATED if status == _INTERRUPTED and terminated() else status


@contextmanager
def _interrupted_by_sigterm() -> Iterator[Callable[[], bool]]:
    """Let SIGTERM do what Ctrl-C does, so that nothing half done stays; give whether it came."""
    came = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        # A second one, as `timeout` sends it, must not interrupt the cleaning up.
        signal.signal(number, signal.SIG_IGN)
        # Ctrl-C in a terminal reaches workers too.
        for child in multiprocessing.active_children():
            child.terminate()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGTERM, before)


def _run() -> int:
    try:
        status = group.main(args=sys.argv[1:] or ['--help'], standalone_mode=False)
    except EmotionEstimatorError as error:
        click.echo(f'emotion-estimator: {error}', err=True)
        return BAD_INPUT
    except click.ClickException as error:
        click.echo(f'emotion-estimator: {error.format_message().rstrip(".")}; see --help', err=True)
        return BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        research = sys.argv[1:2] and sys.argv[1] in RESEARCH_VERBS
        goes_on = '; the same command continues' if research else ''
        click.echo(f'emotion-estimator: interrupted{goes_on}', err=True)
        return _INTERRUPTED
    except BrokenPipeError:
        # `emotion-estimator video ... | head`: the reader has enough.
        sys.stderr.close()
        return 0
    return status if isinstance(status, int) else 0


if __name__ == '__main__':
    sys.exit(main())
