"""Imports and opens MediaPipe without its chatter."""

from __future__ import annotations

import importlib
import os
import warnings
from typing import Any

from emotion_estimator.errors import ModelError, first_line
from emotion_estimator.quiet import quiet


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
    except Exception as error:
        # A protobuf that does not fit raises TypeError, a NumPy that does not fit AttributeError.
        raise ModelError(
            f'mediapipe cannot be imported ({first_line(error)}); '
            'install it with "pip install mediapipe"'
        ) from error
