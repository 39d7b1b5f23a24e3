"""Files and folders that appear under their names only once they are whole."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from emotion_estimator.errors import InputError, first_line


@contextlib.contextmanager
def whole(*targets: Path | None) -> Iterator[tuple[Path | None, ...]]:
    """Yield a place to write for each target, and move all there in this order when that succeeded.

    A folder's place has the target's name too, since bags hold it in the names of their files.
    Whatever ends the block, an error or Ctrl-C, leaves nothing behind; what a killed run left is
    removed by the next one.

    :param targets: files or folders, each in a folder that is made where it is not there; None for
        what is not wanted.
    :raises InputError: a place cannot be written, or something within the block was an OSError.
    """
    nests = [target and target.parent / f'.{target.name}.partial' for target in targets]
    places = tuple(
        target and nest and nest / target.name for target, nest in zip(targets, nests)
    )
    try:
        try:
            for nest in filter(None, nests):
                shutil.rmtree(nest, ignore_errors=True)
                nest.mkdir(parents=True)
            yield places
            for place, target in zip(places, targets):
                if place is not None and target is not None and place.exists():
                    if place.is_dir() and target.is_dir():
                        shutil.rmtree(target)
                    place.replace(target)
        finally:
            for nest in filter(None, nests):
                shutil.rmtree(nest, ignore_errors=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        where = error.filename or next(filter(None, targets), 'output')
        reason = error.strerror or first_line(error)
        raise InputError(f'{where} cannot be written ({reason})') from error
