"""Whichever TFLite runtime is installed, behind one function."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from emotion_estimator.errors import ModelError
from emotion_estimator.quiet import quiet

#: Modules that hold an ``Interpreter``, in order of preference. TensorFlow is not one of them:
#: running the estimator never imports it.
_RUNTIMES = ('ai_edge_litert.interpreter', 'tflite_runtime.interpreter')


def runtime_name() -> str | None:
    """Return ``ai_edge_litert`` or ``tflite_runtime``, the first that is installed, else None."""
    for module in _RUNTIMES:
        package = module.partition('.')[0]
        if importlib.util.find_spec(package) is not None:
            return package
    return None


def open_interpreter(path: Path, runtime: str | None = None) -> Any:
    """Open a TFLite file, one thread, tensors allocated.

    :param path: the ``.tflite`` file.
    :param runtime: ``ai_edge_litert`` or ``tflite_runtime``; None takes the first installed.
    :raises ModelError: no runtime is installed, or it cannot read the file.
    """
    package = runtime or runtime_name()
    if package is None:
        raise ModelError('no TFLite runtime found: pip install ai-edge-litert (or tflite-runtime)')
    try:
        interpreter_class = importlib.import_module(f'{package}.interpreter').Interpreter
    except ImportError as error:
        raise ModelError(f'TFLite runtime {package} cannot be imported: {error}') from error
    try:
        with quiet():
            interpreter = interpreter_class(model_path=str(path), num_threads=1)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f'{path} is not a TFLite model that {package} can run ({reason}); restore the file'
        ) from error
    return interpreter
