"""A command group of training verbs, imported on use, with one-line errors."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import click

from emotion_estimator.cli.main import LazyVerbs
from emotion_estimator.errors import InputError, first_line


class ExtraVerbs(LazyVerbs):
    """Imports each verb from a module of ``package``; names missing packages in one line."""

    #: The package of the verbs' modules.
    package: ClassVar[str]

    def load(self, name: str, where: str) -> click.Command:
        """Import a verb."""
        with _missing_package_named():
            module: Any = importlib.import_module(f'{self.package}.{where}')
        command: click.Command = getattr(module, name.replace('-', '_'))
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb."""
        # Verbs import slow modules only when they run.
        with _missing_package_named(), _file_named():
            return super().invoke(ctx)


@contextmanager
def _missing_package_named() -> Iterator[None]:
    """Turn the error of a missing package into how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or str(error)).partition('.')[0]
        if package == __name__.partition('.')[0]:
            raise
        raise InputError(f'training needs {package}; pip install ./training') from error


@contextmanager
def _file_named() -> Iterator[None]:
    """Turn the error of a file or folder that cannot be used, or of a full disk, into its name."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        where = 'a file of the run' if error.filename is None else error.filename
        raise InputError(
            f'{where} cannot be used ({error.strerror or first_line(error)}); choose another '
            'folder or free some space'
        ) from error
