"""The native libraries, TFLite runtimes and MediaPipe, opened without their log output."""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import logging
import os
import platform
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from emotion_estimator.errors import ModelError, first_line
from emotion_estimator.trial import RUNTIME_ERRORS, admit
from emotion_estimator.untrusted import quote
from emotion_estimator.weights import WeightsFile

_STDERR = 2

_PACKAGE_LOG = logging.getLogger(__name__.partition('.')[0])

#: Packages whose ``interpreter`` holds an ``Interpreter``, in order of preference. TensorFlow is
#: not one of them: running the estimator never imports it.
_RUNTIMES = ('ai_edge_litert', 'tflite_runtime')


def debugging() -> bool:
    """Return whether the log ``emotion_estimator`` is at debug: libraries then say what they do."""
    return _PACKAGE_LOG.isEnabledFor(logging.DEBUG)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Discard what C++ code writes to standard error meanwhile, unless debugging.

    Debugging is the level of the log ``emotion_estimator``. MediaPipe logs some thirty lines while
    it opens a graph and detects its first face, before its log levels take effect, and TFLite logs
    its delegate; no setting prevents either.
    """
    if debugging():
        yield
        return
    sys.stderr.flush()
    saved = os.dup(_STDERR)
    try:
        with Path(os.devnull).open('wb') as nowhere:
            os.dup2(nowhere.fileno(), _STDERR)
        yield
    finally:
        os.dup2(saved, _STDERR)
        os.close(saved)


def mediapipe_with_face_mesh() -> str:
    """Return the last release of ``mediapipe`` for this machine that bundles the face mesh.

    :returns: the version, as in ``requirements/robot.txt``; empty if there is none.
    """
    if sys.version_info >= (3, 13):
        return ''
    # Of 0.10.19 to 0.10.21 there is no wheel for arm64 on Linux.
    return '0.10.18' if platform.machine() == 'aarch64' else '0.10.21'


def import_mediapipe() -> Any:
    """Import ``mediapipe``, its C++ log limited to errors unless a level is set already.

    :raises ModelError: it is not installed or cannot be loaded.
    """
    if not debugging():
        os.environ.setdefault('GLOG_minloglevel', '2')
        os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    # protobuf warns on each result of mediapipe 0.10's solutions; users cannot change that.
    warnings.filterwarnings('ignore', message='SymbolDatabase.GetPrototype', category=UserWarning)
    try:
        with quiet(), _without_tensorflow():
            try:
                with _without_pyplot():
                    return importlib.import_module('mediapipe')
            except Exception:
                # A release that needs more of matplotlib than its name, or none that works.
                return importlib.import_module('mediapipe')
    except Exception as error:
        # An incompatible protobuf raises TypeError, an incompatible NumPy AttributeError.
        raise ModelError(
            f'mediapipe cannot be imported ({first_line(error)}); '
            'install it with "pip install mediapipe"'
        ) from error


@contextlib.contextmanager
def _without_tensorflow() -> Iterator[None]:
    """Let nothing import TensorFlow meanwhile, unless it is imported already.

    Where it is installed, MediaPipe imports all of it for a decorator of its documentation: seconds
    and some 300 MB in each process.
    """
    absent = 'tensorflow' not in sys.modules
    if absent:
        sys.modules['tensorflow'] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if absent:
            del sys.modules['tensorflow']


class _LaterModule(ModuleType):
    """Stands for a module until something of it is used."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        # Others may look for it meanwhile.
        self.__spec__ = importlib.machinery.ModuleSpec(name, None)

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            raise AttributeError(f'{self.__name__} is not imported yet; it has no {name!r}')
        return getattr(importlib.import_module(self.__name__), name)


@contextlib.contextmanager
def _without_pyplot() -> Iterator[None]:
    """Import pyplot only when it is used, unless matplotlib is imported already.

    MediaPipe's functions that draw charts import it: more than half of the time that importing
    MediaPipe takes.
    """
    if 'matplotlib' in sys.modules:
        yield
        return
    package, pyplot = _LaterModule('matplotlib'), _LaterModule('matplotlib.pyplot')
    package.__path__ = []
    package.__dict__['pyplot'] = pyplot
    stand_ins = {each.__name__: each for each in (package, pyplot)}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, each in stand_ins.items():
            if sys.modules.get(name) is each:
                del sys.modules[name]


def runtimes() -> tuple[str, ...]:
    """Return the installed runtimes, of ``ai_edge_litert`` and ``tflite_runtime``, best first."""
    return tuple(name for name in _RUNTIMES if importlib.util.find_spec(name) is not None)


def loaded_runtimes() -> tuple[str, ...]:
    """Return the runtimes that this process has loaded: one, unless one of them did not work."""
    return tuple(name for name in _RUNTIMES if f'{name}.interpreter' in sys.modules)


def open_interpreter(
    weights: WeightsFile | Path, runtime: str | None = None, threads: int = 1
) -> Any:
    """Open a TFLite model, tensors allocated.

    Weights that are not released are tried in another process first (``trial.py``).

    :param weights: the content of a ``.tflite`` file, or its path, which is read once.
    :param runtime: ``ai_edge_litert`` or ``tflite_runtime``; None is the first that works.
    :param threads: that compute it, 1 or more.
    :raises ModelError: no runtime is installed or works here, or it cannot read the file.
    """
    if isinstance(weights, Path):
        weights = WeightsFile.read(weights, hint='restore the file')
    broken = []
    for package in (runtime,) if runtime else runtimes():
        try:
            interpreter_class = _interpreter_class(package)
            admit(weights, __name__, trial.__name__, package)
            return _open(weights, interpreter_class, package, threads)
        except RUNTIME_ERRORS as error:
            broken.append(f'{package} does not work here ({first_line(error)})')
    found = '; '.join(broken) or 'no TFLite runtime found'
    raise ModelError(f'{found}; pip install ai-edge-litert, or "numpy<2" for tflite-runtime')


def trial(package: str) -> Callable[[WeightsFile], None]:
    """Import a runtime; return what loads a model and runs it once, for ``trial.py``.

    :raises ImportError: the runtime is not installed or does not work.
    """
    interpreter_class = _interpreter_class(package)

    def run(weights: WeightsFile) -> None:
        interpreter = _open(weights, interpreter_class, package)
        outputs = interpreter.get_output_details()
        for each in interpreter.get_input_details():
            interpreter.set_tensor(each['index'], np.zeros(each['shape'], each['dtype']))
        interpreter.invoke()
        for each in outputs:
            interpreter.get_tensor(each['index'])

    return run


def _interpreter_class(package: str) -> Any:
    with quiet():
        return importlib.import_module(f'{package}.interpreter').Interpreter


def _open(weights: WeightsFile, interpreter_class: Any, package: str, threads: int = 1) -> Any:
    try:
        with quiet():
            # The interpreter keeps the content, which it does not copy.
            interpreter = interpreter_class(model_content=weights.content, num_threads=threads)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError(
            f'{quote(weights.path)} is not a TFLite model that {package} can run '
            f'({quote(first_line(error))}); restore the file'
        ) from error
    return interpreter
