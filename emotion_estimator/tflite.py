"""Whichever TFLite runtime is installed, behind one function."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from emotion_estimator.errors import ModelError, first_line
from emotion_estimator.quiet import quiet

#: Packages whose ``interpreter`` holds an ``Interpreter``, in order of preference. TensorFlow is
#: not one of them: running the estimator never imports it.
_RUNTIMES = ('ai_edge_litert', 'tflite_runtime')

#: What a runtime raises that does not fit this machine, whatever the file: tflite-runtime 2.14,
#: for instance, was compiled against NumPy 1 and under NumPy 2 fails at its first interpreter.
_RUNTIME_ERRORS = (ImportError, AttributeError, SystemError)


def runtimes() -> tuple[str, ...]:
    """Return which of ``ai_edge_litert`` and ``tflite_runtime`` are installed, the best first."""
    return tuple(name for name in _RUNTIMES if importlib.util.find_spec(name) is not None)


def open_interpreter(path: Path, runtime: str | None = None) -> Any:
    """Open a TFLite file, one thread, tensors allocated.

    :param path: the ``.tflite`` file.
    :param runtime: ``ai_edge_litert`` or ``tflite_runtime``; None takes the first that works.
    :raises ModelError: no runtime is installed or works here, or it cannot read the file.
    """
    broken = []
    for package in (runtime,) if runtime else runtimes():
        try:
            return _open(path, package)
        except _RUNTIME_ERRORS as error:
            broken.append(f'{package} does not work here ({first_line(error)})')
    found = '; '.join(broken) or 'no TFLite runtime found'
    raise ModelError(f'{found}; pip install ai-edge-litert, or "numpy<2" for tflite-runtime')


def _open(path: Path, package: str) -> Any:
    try:
        with quiet():
            interpreter_class = importlib.import_module(f'{package}.interpreter').Interpreter
            interpreter = interpreter_class(model_path=str(path), num_threads=1)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError(
            f'{path} is not a TFLite model that {package} can run ({first_line(error)}); '
            'restore the file'
        ) from error
    return interpreter
