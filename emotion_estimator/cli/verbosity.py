"""What the command line says beside its results: ``-v``, ``-q`` and ``--log-format``."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import logging
import platform
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import click

from emotion_estimator import __version__
from emotion_estimator.untrusted import MAX_JSON, MAX_LOG_LINE, as_line

Command = TypeVar('Command', bound=click.Command)

#: Names of the loggers of which -v shows more; -vv adds those of all libraries.
_OURS = ('emotion_estimator', 'emotion_estimator_training')
#: Packages whose versions change results or times.
_PACKAGES = (
    'mediapipe', 'numpy', 'opencv-python-headless', 'opencv-python', 'opencv-contrib-python',
    'ai-edge-litert', 'tflite-runtime', 'av',
)  # fmt: skip
_LEVELS = {0: logging.WARNING, 1: logging.INFO}

_LOG = logging.getLogger(__name__)


class _Lines(logging.Handler):
    """Writes each record to standard error, as one printable line or one JSON object."""

    as_json = False

    def emit(self, record: logging.LogRecord) -> None:
        # Standard error may be on a full disk; the exit status says it then.
        with suppress(OSError):
            click.echo(self.format(record), err=True)

    def format(self, record: logging.LogRecord) -> str:
        most = MAX_JSON if getattr(record, 'complete', False) else MAX_LOG_LINE
        text = as_line(record.getMessage(), most)
        level = record.levelname.lower()
        if self.as_json:
            told = {'time': round(record.created, 3), 'level': level, 'name': record.name}
            return json.dumps({**told, 'message': text})
        ours = record.name.partition('.')[0] in _OURS
        # What is said without -v does not name its level: every line of it matters.
        of_v = record.levelno < logging.WARNING and not hasattr(record, 'anyway')
        grade = f'{level}: ' if of_v else ''
        return f'emotion-estimator: {grade}{"" if ours else f"{record.name}: "}{text}'


_lines = _Lines()


@contextmanager
def reporting() -> Iterator[None]:
    """Write the log of the core to standard error meanwhile, from warnings on."""
    loggers = [logging.getLogger(name) for name in (None, *_OURS)]
    before = [(logger.level, logger.propagate) for logger in loggers]
    _lines.as_json = False
    _report_from(logging.WARNING)
    try:
        yield
    finally:
        for logger, (level, propagate) in zip(loggers, before):
            logger.removeHandler(_lines)
            logger.setLevel(level)
            logger.propagate = propagate


def _report_from(level: int) -> None:
    root, ours = logging.getLogger(), [logging.getLogger(name) for name in _OURS]
    for logger in ours:
        logger.setLevel(level)
        # A library may give the root a handler, as TensorFlow Lite's converter does, which would
        # write each line again.
        logger.propagate = level == logging.DEBUG
    if level == logging.DEBUG:
        root.setLevel(level)
        told, silent = [root], ours
    else:
        told, silent = ours, [root]
    for logger in told:
        logger.addHandler(_lines)
    for logger in silent:
        logger.removeHandler(_lines)


def report(level: int, message: object) -> None:
    """Write a message to standard error, whatever the verbosity."""
    record = logging.LogRecord(_LOG.name, level, '', 0, str(message), None, None)
    record.anyway = True
    _lines.emit(record)


def note(message: object) -> None:
    """Write a message to standard error, unless -q is given."""
    if not is_quiet():
        report(logging.INFO, message)


def reports_json() -> bool:
    """Return whether --log-format asks for JSON."""
    return _lines.as_json


def is_quiet() -> bool:
    """Return whether -q is given: notes and progress are hidden."""
    return not _LOG.isEnabledFor(logging.WARNING)


def progress(*, beside_results: bool = False, **options: Any) -> Any:
    """Return tqdm's bar, which is hidden by -q, and where standard error is no terminal.

    :param beside_results: results are printed meanwhile; the bar is then shown with -v alone, where
        they go elsewhere than to the terminal.
    :param options: of tqdm.
    """
    from tqdm import tqdm

    hidden = is_quiet()
    if beside_results:
        hidden = not _LOG.isEnabledFor(logging.INFO) or sys.stdout is None or sys.stdout.isatty()
    return tqdm(disable=True if hidden else None, leave=False, **options)


def _verbosity(context: click.Context, parameter: click.Parameter, value: int) -> None:
    if context.resilient_parsing or not value:
        return
    given = context.meta.setdefault(__name__, Counter())
    given[parameter.name] += int(value)
    if len(given) > 1:
        raise click.UsageError('--verbose and --quiet exclude each other; give one of them')
    if given['quiet']:
        _report_from(logging.ERROR)
        return
    _report_from(_LEVELS.get(given['verbose'], logging.DEBUG))


def _versions() -> str:
    found = [f'emotion-estimator {__version__}', f'Python {platform.python_version()}']
    for name in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found.append(f'{name} {importlib.metadata.version(name)}')
    return ', '.join(found)


def _log_format(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if not context.resilient_parsing:
        _lines.as_json = value == 'json'


# Eager, so that they hold for what is said of the other options.
_VERBOSITY = (
    click.option(
        '-v', '--verbose', count=True, is_eager=True, expose_value=False, callback=_verbosity,
        help='Say what was chosen: source, models, versions. -vv: what the libraries say, too.',
    ),
    click.option(
        '-q', '--quiet', is_flag=True, is_eager=True, expose_value=False, callback=_verbosity,
        help='Only results, errors, and what was left out; no notes, no progress.',
    ),
)  # fmt: skip

log_format_option = click.option(
    '--log-format',
    type=click.Choice(['text', 'json']),
    default='text',
    envvar='EMOTION_ESTIMATOR_LOG_FORMAT',
    show_default=True,
    show_envvar=True,
    is_eager=True,
    expose_value=False,
    callback=_log_format,
    help='Of the lines on standard error.',
)


def add_verbosity(command: Command) -> Command:
    """Give a command, and those that it groups, ``-v`` and ``-q``, unless it has them."""
    known = {name for parameter in command.params for name in parameter.opts}
    if '--verbose' not in known:
        for option in _VERBOSITY:
            option(command)
        if not isinstance(command, click.Group) and command.callback:
            command.callback = _versions_first(command.callback)
    if isinstance(command, click.Group):
        for each in command.commands.values():
            add_verbosity(each)
    return command


def _versions_first(run: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(run)
    def run_verb(*arguments: Any, **options: Any) -> Any:
        # Not when -v is read: the options after it may be wrong, of which one line is enough.
        if _LOG.isEnabledFor(logging.INFO):
            _LOG.info(_versions())
        return run(*arguments, **options)

    return run_verb
