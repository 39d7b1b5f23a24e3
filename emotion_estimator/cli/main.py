"""``emotion-estimator <verb>``: the command line. Each verb is a module of this folder."""

from __future__ import annotations

import difflib
import errno
import importlib
import logging
import multiprocessing
import os
import select
import signal
import sys
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import entry_points
from types import FrameType
from typing import Any, ClassVar

import click
from click.shell_completion import CompletionItem

from emotion_estimator import __version__
from emotion_estimator.bags.files import need_rosbags
from emotion_estimator.cli.verbosity import (
    add_verbosity,
    log_format_option,
    report,
    reporting,
)
from emotion_estimator.errors import EmotionEstimatorError, InputError, first_line
from emotion_estimator.untrusted import MAX_QUOTE, cannot_read, quote


class LazyVerbs(click.Group):
    """A group that lists its verbs without importing them: their libraries may be missing."""

    #: Name of each verb: where it is (see :meth:`load`), and its summary in the help.
    verbs: ClassVar[Mapping[str, tuple[str, str]]]

    @abstractmethod
    def load(self, name: str, where: str) -> click.Command:
        """Import the verb ``name``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs' names in the order of ``verbs``."""
        return list(self.verbs)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the verb and its arguments; click suggests similar options, but no similar verbs.

        :raises click.UsageError: there is no such verb.
        """
        word = args[0]
        similar = difflib.get_close_matches(word, self.verbs, n=3, cutoff=0.6)
        unknown = word not in self.verbs and not word.startswith('-')
        # A shell that completes wants no words about what is wrong.
        if unknown and similar and not ctx.resilient_parsing:
            ctx.fail(f'No such command {word!r}; did you mean {" or ".join(similar)}?')
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs with their summaries."""
        with formatter.section('Commands'):
            formatter.write_dl([(name, summary) for name, (_, summary) in self.verbs.items()])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import and return a verb; None if there is no verb of this name."""
        if name not in self.verbs:
            return super().get_command(ctx, name)
        try:
            return add_verbosity(self.load(name, self.verbs[name][0]))
        except EmotionEstimatorError:
            if ctx.resilient_parsing:
                return None
            raise

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the verbs and options that begin so; click would import every verb."""
        found = [
            CompletionItem(name, help=summary)
            for name, (_, summary) in self.verbs.items()
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


BAD_INPUT = 2
# The shell's convention for a program that a signal ended.
_INTERRUPTED = 128 + signal.SIGINT
_TERMINATED = 128 + signal.SIGTERM

#: Name of each verb: its function in the module ``emotion_estimator.cli.<name>``, and its summary.
#: A module is imported only to run its verb, so that the other verbs work without its libraries.
VERBS = {
    'bench': ('bench', 'Measure what reading faces costs on this machine, in a minute.'),
    'compare': ('compare_verb', 'Compare two results of the same recording, frame by frame.'),
    'demo': (
        'demo',
        'Run camera, estimator and dialogue manager, and record a video (needs ROS 2).',
    ),
    'dialogue': ('dialogue', 'Simulate a conversation without a camera or ROS.'),
    'doctor': ('doctor', 'Check the installation, the models, and communication between nodes.'),
    'evaluate': ('evaluate', 'Measure the shipped model on labelled blendshapes.'),
    'image': ('image', 'Read the expression of each face in images.'),
    'live': ('live', 'Show SOURCE and what is read of it on a page in the browser.'),
    'mcp': ('mcp', 'Offer the robot to language models as tools (MCP; needs ROS 2).'),
    'models': ('models', 'List the models, or download the Face Landmarker.'),
    'record': ('record', 'Record SOURCE into a rosbag2, without ROS.'),
    'replay': (
        'replay',
        'Run each BAG (rosbag2) through the estimator and the dialogue manager, without ROS.',
    ),
    'schemas': (
        'schemas',
        'List the JSON Schemas of what the verbs and the dialogue manager write: file and purpose.',
    ),
    'video': ('video', 'Read the expression of each face in every frame of SOURCE.'),
}
#: Verbs of the research package (``training`` in the repository) with their summaries. It provides
#: them as entry points of the group ``emotion_estimator.verbs``.
RESEARCH_VERBS = {
    'training': 'Train and measure the models on labelled faces.',
    'zoo': "Train and compare the papers' other models on labelled video.",
}


class _ReaderGoneError(Exception):
    """The reader has closed the pipe, as in ``emotion-estimator video ... | head``."""


@contextmanager
def _reader_gone() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        # click would exit with status 1.
        raise _ReaderGoneError from error


def _reader_is_gone() -> bool:
    """Return whether it was standard output that broke, and no other pipe or connection."""
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
    except (AttributeError, OSError, ValueError):
        # There is none.
        return True
    return any(state & (select.POLLERR | select.POLLHUP) for _, state in poll.poll(0))


class _Verbs(LazyVerbs):
    verbs = {**VERBS, **{name: (name, summary) for name, summary in RESEARCH_VERBS.items()}}

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _reader_gone():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _reader_gone():
            return super().invoke(ctx)

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
        f'{name} needs the research package, which is not installed; in a checkout of the '
        'repository run: pip install ./training'
    )


@click.group(cls=_Verbs, context_settings={'help_option_names': ['-h', '--help']})
@log_format_option
@click.version_option(__version__, prog_name='emotion-estimator')
def group() -> None:
    """Read facial expressions from images, videos and recordings, and try out dialogues."""


add_verbosity(group)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    :param arguments: the verb and its arguments; None takes the process's.
    :returns: 0 on success, 2 for bad usage or input, 130 after Ctrl-C, 143 after SIGTERM, or the
        status that the verb sets.
    """
    with _interrupted_by_sigterm() as terminated, reporting():
        status = _run(list(sys.argv[1:] if arguments is None else arguments))
    return _TERMINATED if status == _INTERRUPTED and terminated() else status


@contextmanager
def _interrupted_by_sigterm() -> Iterator[Callable[[], bool]]:
    """Treat SIGTERM like Ctrl-C, so that cleanup runs; yields whether one has arrived."""
    came = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        # `timeout` sends a second one, which must not interrupt the cleanup.
        signal.signal(number, signal.SIG_IGN)
        # Unlike Ctrl-C in a terminal, SIGTERM does not reach the worker processes.
        for child in multiprocessing.active_children():
            child.terminate()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(arguments: list[str]) -> int:
    try:
        status = group.main(
            args=arguments or ['--help'], prog_name='emotion-estimator', standalone_mode=False
        )
        if sys.stdout is not None:
            # Here it can still be said that the disk is full.
            sys.stdout.flush()
    except EmotionEstimatorError as error:
        return _refuse(error, arguments)
    except click.ClickException as error:
        return _refuse(f'{error.format_message().rstrip(".")}; see --help', arguments)
    except (click.Abort, KeyboardInterrupt):
        resumable = arguments[:1] and arguments[0] in RESEARCH_VERBS
        hint = '; run the same command again to continue' if resumable else ''
        complain(f'interrupted{hint}')
        return _INTERRUPTED
    except (BrokenPipeError, _ReaderGoneError) as error:
        if not _reader_is_gone():
            return _refuse(f'a connection was closed ({first_line(error)}); try again', arguments)
        _discard_output()
        return 0
    except UnicodeEncodeError as error:
        sign = error.object[error.start : error.start + 1]
        return _refuse(
            f'standard output cannot take {sign!a} in {error.encoding}; set PYTHONIOENCODING=utf-8',
            arguments,
        )
    except OSError as error:
        if error.filename is None and error.errno in _WRITE_ERRORS:
            _discard_output()
            return _refuse(
                f'standard output cannot be written ({error.strerror}); make room or write '
                'elsewhere',
                arguments,
            )
        return _refuse(cannot_read('', error.filename or 'a file', error, InputError), arguments)
    return status if isinstance(status, int) else 0


#: Of a write to a stream: the disk is full, or a quota or limit is reached, or it is damaged.
_WRITE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def complain(message: object) -> None:
    """Write a message to standard error: one printable line of limited length."""
    report(logging.ERROR, message)


def _refuse(message: object, arguments: Sequence[str]) -> int:
    text = str(message)
    for argument in arguments:
        # click repeats a wrong argument in full.
        if len(argument) > MAX_QUOTE:
            text = text.replace(argument, quote(argument))
    complain(text)
    return BAD_INPUT


def _discard_output() -> None:
    """Have what is still in the buffer go nowhere, or Python complains of it when it ends."""
    with suppress(OSError, AttributeError):
        number = os.open(os.devnull, os.O_WRONLY)
        os.dup2(number, sys.stdout.fileno())
        os.close(number)


if __name__ == '__main__':
    sys.exit(main())
