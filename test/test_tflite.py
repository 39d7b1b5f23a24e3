from __future__ import annotations

import sys
from types import ModuleType

import pytest

from emotion_estimator import runtimes as native
from emotion_estimator.errors import ModelError
from emotion_estimator.model_card import models_dir
from emotion_estimator.runtimes import open_interpreter, runtimes

MODEL = models_dir() / 'emotion_lstm.tflite'


@pytest.fixture
def unfit(monkeypatch):
    """Return a function that installs a runtime which does not fit the machine."""

    def install(name, error):
        def interpreter(**_):
            raise error

        package, module = ModuleType(name), ModuleType(f'{name}.interpreter')
        module.Interpreter = interpreter
        monkeypatch.setitem(sys.modules, name, package)
        monkeypatch.setitem(sys.modules, module.__name__, module)

    return install


@pytest.mark.skipif(not runtimes(), reason='no TFLite runtime installed')
@pytest.mark.parametrize(
    'error', [SystemError('returned a result\nwith an exception set'), ImportError('numpy.core')]
)
def test_the_next_runtime_is_taken_when_the_first_does_not_work(unfit, monkeypatch, error):
    unfit('unfit_runtime', error)
    monkeypatch.setattr(native, 'runtimes', lambda: ('unfit_runtime', *runtimes()))
    assert open_interpreter(MODEL).get_input_details()
    with pytest.raises(ModelError, match='unfit_runtime does not work here') as caught:
        open_interpreter(MODEL, 'unfit_runtime')
    assert 'pip install ai-edge-litert' in str(caught.value)
    assert '\n' not in str(caught.value)


def test_without_a_runtime_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(native, 'runtimes', lambda: ())
    with pytest.raises(ModelError, match='no TFLite runtime found; pip install ai-edge-litert'):
        open_interpreter(MODEL)
