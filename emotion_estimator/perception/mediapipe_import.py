"""Imports and opens MediaPipe without its chatter."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emotion_estimator.errors import ModelError

_STDERR = 2


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what C++ writes to standard error meanwhile.

    MediaPipe logs some thirty lines while it opens a graph and sees its first face, before its
    log levels take effect; no setting stops them.
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


def import_mediapipe() -> Any:
    """Return the module ``mediapipe``; its C++ log is limited to errors unless already set.

    :raises ModelError: it is not installed or cannot be loaded.
    """
    os.environ.setdefault('GLOG_minloglevel', '2')
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    # protobuf warns on each result of mediapipe 0.10's solutions; nothing a user can change.
    warnings.filterwarnings('ignore', message='SymbolDatabase.GetPrototype', category=UserWarning)
    try:
        with quiet():
            return importlib.import_module('mediapipe')
    except ImportError as error:
        raise ModelError(
            f'mediapipe cannot be imported ({error}); install it with "pip install mediapipe"'
        ) from error
