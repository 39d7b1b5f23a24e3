"""Options of the verbs that run perception (``image`` and ``video``), and how they print faces."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from emotion_estimator.account import Account
from emotion_estimator.cli.verbosity import is_quiet, reports_json
from emotion_estimator.emotion import FaceEmotion
from emotion_estimator.runtimes import loaded_runtimes
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.untrusted import as_line

if TYPE_CHECKING:
    from emotion_estimator.perception.pipeline import EmotionEstimator
    from emotion_estimator.sources.base import Source

Command = TypeVar('Command', bound=Callable[..., Any])

_LOG = logging.getLogger(__name__)

_SETTINGS = {item.name: item for item in fields(EstimatorSettings)}


def perception_options(command: Command) -> Command:
    """Add ``--json``, as ``as_json``, and options named after the estimator's settings."""
    as_json = click.option(
        '--json', 'as_json', is_flag=True, help='Print one JSON object per line.'
    )
    return setting_options(as_json(command))


def setting_options(command: Command) -> Command:
    """Add options named after the estimator's settings."""
    for option in (
        _option('--max-faces', 'max_faces'),
        _option('--abstain-below', 'abstain_below'),
        _option('--happy-threshold', 'happy_threshold'),
        _option('--sad-threshold', 'sad_threshold'),
        _option('--vocabulary', 'vocabulary'),
        _option('--branches', 'branches'),
        _option('--model', 'model'),
        _option('--model-path', 'face_landmarker_path'),
        _option('--landmarks', 'landmark_source'),
    ):
        command = option(command)
    return command


def _option(flag: str, setting: str) -> Callable[[Command], Command]:
    """Return the option for a setting, with its description, default and range."""
    declared = _SETTINGS[setting]
    minimum, maximum = declared.metadata['minimum'], declared.metadata['maximum']
    kind: Any = type(declared.default)
    if declared.metadata['choices']:
        kind = click.Choice(declared.metadata['choices'])
    elif minimum is not None:
        kind = (click.IntRange if kind is int else click.FloatRange)(minimum, maximum)
    return click.option(
        flag,
        setting,
        default=declared.default,
        type=kind,
        show_default=declared.default != '',
        help=declared.metadata['description'],
    )


#: Exit status if input was left out and ``--strict`` is given.
LEFT_OUT = 3

strict_option = click.option(
    '--strict', is_flag=True, help='End with status 3 if any of the input was left out.'
)


def say_account(name: str, account: Account, as_json: bool = False) -> None:
    """Write the account of a reading to standard error: one line, or one JSON object.

    Standard output has the results alone, one line a frame or file. With -q it is only written
    where something was left out.

    :param name: of the input, as the user gave it.
    """
    if is_quiet() and account.complete:
        return
    if as_json or reports_json():
        line = json.dumps({'file': name, 'account': account.to_dict()})
    else:
        line = as_line(f'{name}: {account}')
    # Standard error may be on a full disk; the exit status says it then.
    with suppress(OSError):
        click.echo(line, err=True)


def log_source(source: Source) -> None:
    """Log which source was opened, for -v."""
    declared = f', {source.account.declared} declared' if source.account.declared else ''
    _LOG.info('source %s: %.4g images a second%s', source.name, source.fps, declared)


def log_estimator(estimator: EmotionEstimator, settings: EstimatorSettings) -> None:
    """Log which models were opened, and what runs them, for -v."""
    if not _LOG.isEnabledFor(logging.INFO):
        return
    threads = settings.num_threads
    _LOG.info(
        'model %s (%s), branches %s, run by %s with %d thread%s',
        estimator.model,
        ', '.join(estimator.labels),
        'of its own' if settings.model else settings.branches,
        ', '.join(loaded_runtimes()) or 'no runtime',
        threads,
        '' if threads == 1 else 's',
    )


def complete_source(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return what a shell may complete a SOURCE to: a file, or `portrait` where none begins so."""
    begun = incomplete and 'portrait'.startswith(incomplete)
    if begun and not any(Path().glob(f'{incomplete}*')):
        return [CompletionItem('portrait')]
    return [CompletionItem(incomplete, type='file')]


def in_words(faces: tuple[FaceEmotion, ...]) -> str:
    """Return the faces in one short phrase."""
    described = [f'{f.label} {f.confidence:.2f} at {f.roi.as_list()}' for f in faces]
    return ', '.join(described) or 'no face'
