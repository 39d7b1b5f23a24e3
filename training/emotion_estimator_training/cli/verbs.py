"""A group of verbs that write into folders of runs, imported when they are asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import click

from emotion_estimator.cli.main import LazyVerbs
from emotion_estimator.errors import InputError, first_line


class ExtraVerbs(LazyVerbs):
    """Imports a verb from a module of ``package``; says in one line what is not installed."""

    #: Where the verbs' modules are.
    package: ClassVar[str]

    def load(self, name: str, where: str) -> click.Command:
        """Import a verb."""
        with _extra_named():
            module: Any = importlib.import_module(f'{self.package}.{where}')
        command: click.Command = getattr(module, name.replace('-', '_'))
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb."""
        # Verbs import what is slow to import once they run.
        with _extra_named(), _file_named():
            return super().invoke(ctx)


@contextmanager
def _extra_named() -> Iterator[None]:
    """Say of a package that is not installed what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or str(error)).partition('.')[0]
        if package == __name__.partition('.')[0]:
            raise
        raise InputError(f'training needs {package}; pip install ./training') from error


@contextmanager
def _file_named() -> Iterator[None]:
    """Say of a folder or file that cannot be written, or a full disk, which one."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        where = 'a file of the run' if error.filename is None else error.filename
        raise InputError(
            f'{where} cannot be used ({error.strerror or first_line(error)}); choose another '
            'folder, or make room in this one'
        ) from error
