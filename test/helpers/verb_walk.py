"""Runs each verb of a command line in this process, with hostile values for each parameter."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TextIO
from unittest import mock

import click
from hostile_files import HostileFiles

from emotion_estimator.errors import EmotionEstimatorError

#: Longest time for a run, in seconds; most take milliseconds.
LIMIT = 20.0
#: Values for an option that takes a number.
NUMBERS = ('nan', 'inf', '-inf', '1e400', '-1', '0', '9' * 5000, '', '\u0663', '1e308', '-0.0')
#: Values for an option that takes a text.
TEXTS = (
    '',
    ' ',
    '\udcff',
    'a\nb\x1b[2J',
    '$\\frac{$',
    'x' * 100_000,
    '--',
    '-',
    '/proc/x',
    '\u202e',
)


@dataclass(frozen=True)
class VerbRun:
    """What a run returned and wrote."""

    arguments: tuple[str, ...]
    status: int
    output: str
    error: str


class HangError(BaseException):
    """A run takes longer than ``LIMIT``; no error that a verb could take for one of its own."""


def run_verb(
    main: Callable[[Sequence[str]], int], arguments: Sequence[str], stdout: TextIO | None = None
) -> VerbRun:
    """Run the command line in this process, without a terminal and with empty standard input.

    :param stdout: where to write instead of into ``output``.
    :raises HangError: it takes longer than ``LIMIT``.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise HangError(f'{arguments}: no end after {LIMIT:g} s')

    output, error = _stream(), _stream()
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        with (
            Path(os.devnull).open() as nothing,
            mock.patch.object(sys, 'stdin', nothing),
            contextlib.redirect_stdout(stdout or output),
            contextlib.redirect_stderr(error),
        ):
            try:
                status = main(arguments)
            except SystemExit as ended:
                status = ended.code if isinstance(ended.code, int) else 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return VerbRun(tuple(arguments), status, _content(output), _content(error))


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), 'utf-8', write_through=True)


def _content(stream: io.TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def fault(run: VerbRun) -> str:
    """Return what is wrong with how a run ended; empty if nothing is.

    With status 2 it must have written one line that begins with the program's name.
    """
    lines = run.error.splitlines()
    if run.status not in (0, 1, 2):
        return f'status {run.status}'
    if run.status == 2 and len(lines) != 1:
        return f'{len(lines)} lines: {run.error[:300]!r}'
    for line in lines:
        if run.status == 2 and not line.startswith('emotion-estimator: '):
            return f'without a name: {line[:300]!r}'
        if not line.isprintable():
            return f'unprintable: {line[:300]!r}'
        if len(line) > 1100 or re.search(r'(.)\1{200}', line):
            return f'{len(line)} characters: {line[:300]!r}'
    return ''


def verbs(group: click.Group) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield the words and the command of each verb that is installed, also of those in groups."""
    context = click.Context(group)
    for name in group.list_commands(context):
        try:
            command = group.get_command(context, name)
        except EmotionEstimatorError:
            continue
        assert command is not None
        if isinstance(command, click.Group):
            for words, verb in verbs(command):
                yield (name, *words), verb
        else:
            yield (name,), command


def takes_text(parameter: click.Parameter) -> bool:
    """Return whether a parameter takes a path or free text, which may be a path."""
    return isinstance(parameter.type, (click.Path, click.File)) or parameter.type is click.STRING


def takes_number(parameter: click.Parameter) -> bool:
    """Return whether a parameter takes one or several numbers."""
    if isinstance(parameter, click.Option) and parameter.count:
        # The number of times that it is given.
        return False
    kind = parameter.type
    kinds = kind.types if isinstance(kind, click.Tuple) else [kind]
    return all(isinstance(k, (click.types.IntParamType, click.types.FloatParamType)) for k in kinds)


def arguments_with(
    verb: click.Command, parameter: click.Parameter, value: str, others: str
) -> list[str]:
    """Return arguments in which one parameter has a value.

    :param others: what the verb's other required parameters get.
    """
    options: list[str] = []
    positional: list[str] = []
    for each in verb.params:
        if each is not parameter and not each.required:
            continue
        given = [value if each is parameter else others] * max(each.nargs, 1)
        if isinstance(each.type, click.Choice) and each is not parameter:
            given = [str(each.type.choices[0])] * len(given)
        if isinstance(each, click.Option):
            options += [each.opts[0], *given]
        else:
            positional += given
    return [*options, '--', *positional]


def places(group: click.Group) -> list[tuple[tuple[str, ...], click.Command, click.Parameter]]:
    """Return each parameter of each verb that takes a text or numbers, for parametrized tests."""
    return [
        (words, verb, parameter)
        for words, verb in verbs(group)
        for parameter in verb.params
        if takes_text(parameter) or takes_number(parameter)
    ]


def walk(
    main: Callable[[Sequence[str]], int],
    place: tuple[tuple[str, ...], click.Command, click.Parameter],
    files: HostileFiles,
) -> list[str]:
    """Give a parameter all values that hurt; return what is wrong with how the runs ended.

    A parameter that takes a text gets strange texts and names. Where a name is opened, which the
    error about a missing file says, it gets files of all contents as well.
    """
    words, verb, parameter = place

    def problem(value: str) -> str:
        arguments = [*words, *arguments_with(verb, parameter, value, str(files.good))]
        try:
            found = fault(run_verb(main, arguments))
        except (Exception, HangError) as error:
            found = f'{type(error).__name__}: {error}'
        return f'{value[:100]!r}: {found}' if found else ''

    if takes_number(parameter):
        values = list(NUMBERS)
    else:
        missing = str(files.names['missing'])
        run = run_verb(main, [*words, *arguments_with(verb, parameter, missing, str(files.good))])
        # Others take names of other things, which they list.
        is_path = isinstance(parameter.type, click.Path)
        opens = is_path or re.search('read|opened|not a file|not exist', run.error)
        contents = files.contents if opens and 'missing' in run.error else {}
        values = [*TEXTS, *map(str, (*files.names.values(), *contents.values()))]
    return [found for found in map(problem, values) if found]
