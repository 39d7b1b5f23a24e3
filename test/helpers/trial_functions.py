"""Functions for trials that end badly, in place of runtimes that load weights."""

from __future__ import annotations

import os
import time

from emotion_estimator.errors import ModelError


def hang():
    def run(weights):
        while True:
            pass

    return run


def sleep():
    return lambda weights: time.sleep(60)


def fill():
    return lambda weights: bytearray(2 << 30)


def leave():
    return lambda weights: os._exit(3)


def abort():
    return lambda weights: os.abort()


def refuse():
    def run(weights):
        raise ModelError(f'{weights.path} is not for me')

    return run


def unfit():
    raise ImportError('not here')
