"""Keeps C++ libraries' chatter off standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_STDERR = 2


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what C++ writes to standard error meanwhile.

    MediaPipe logs some thirty lines while it opens a graph and sees its first face, before its
    log levels take effect, and TFLite names its delegate; no setting stops them.
    """
    sys.stderr.flush()
    saved = os.dup(_STDERR)
    try:
        with Path(os.devnull).open('wb') as nowhere:
            os.dup2(nowhere.fileno(), _STDERR)
        yield
    finally:
        os.dup2(saved, _STDERR)
        os.close(saved)
