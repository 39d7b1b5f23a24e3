"""Write a file or a folder completely or not at all."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_write(target: Path, *, resume: bool = False) -> Iterator[Path]:
    """Yield a path to write to; it becomes ``target`` when the block succeeds.

    .. code-block:: python

        with atomic_write(folder / 'summary.json') as partial:
            partial.write_text(json.dumps(summary))

    The path has the target's name, in a temporary folder next to it: NumPy, TensorFlow and video
    encoders choose the format by the suffix, and a bag's files are named after its folder. Any
    exception, Ctrl-C included, removes what was written and leaves an existing target untouched.
    What a killed process left behind is removed by the next write. A block that writes nothing
    leaves no target.

    :param target: file or folder, in a folder that exists. An existing file is replaced, an
        existing folder only if it is empty.
    :param resume: keep the partial file when the block fails, and yield it again next time.
    :raises OSError: a file cannot be written or moved.
    """
    folder = target.parent / f'.{target.name}.partial'
    partial = folder / target.name
    try:
        if not resume:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(exist_ok=resume)
        yield partial
        if partial.exists():
            partial.replace(target)
    finally:
        if not (resume and partial.exists()):
            shutil.rmtree(folder, ignore_errors=True)
