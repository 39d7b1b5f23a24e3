"""``emotion-estimator training <verb>``: from raw images to the shipped models."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from emotion_estimator.cli.lazy import LazyVerbs
from emotion_estimator.errors import InputError, first_line

#: Each verb's module, imported when it is asked for (some of them bring matplotlib), and what the
#: list of verbs says of it.
VERBS = {
    'all': ('all', 'Run the whole pipeline on your data, from raw images to models and a report.'),
    'data': ('data', 'Count the images of each class and split.'),
    'clean': ('data', 'Find the images in which no face is seen.'),
    'make-set': ('data', 'Make a small set, to try training without FER2013.'),
    'blendshapes': ('models', "Distil the bundled face mesh's blendshape head."),
    'features': ('features', 'Look at every image, and write the blendshapes.'),
    'covered': ('features', 'Cover parts of faces, and look at them anew.'),
    'appearance': ('appearance', 'Train the network that reads face crops.'),
    'relevant': ('features', 'List the blendshapes that tell anything.'),
    'sequences': ('streaming', 'Draw sequences as the streaming network learns from.'),
    'fit': ('models', 'Train paper, paper-relevant, dense or streaming.'),
    'tune': ('models', "Search a network's settings with Keras Tuner."),
    'quantize': ('streaming', 'Write the streaming network as TFLite, if it stays the same.'),
    'evaluate': ('report', 'Measure every model; write one page and one JSON file.'),
    'stability': ('report', 'Measure label flips and delay of every model.'),
}


class _Verbs(LazyVerbs):
    verbs = VERBS

    def load(self, name: str, where: str) -> click.Command:
        with extra_named():
            module: Any = importlib.import_module(f'{__name__}.{where}')
        command: click.Command = getattr(module, name.replace('-', '_'))
        return command

    def invoke(self, ctx: click.Context) -> Any:
        # Verbs import what is slow to import once they run.
        with extra_named(), file_named():
            return super().invoke(ctx)


@contextmanager
def extra_named() -> Iterator[None]:
    """Say of a package that is not installed what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or str(error)).partition('.')[0]
        if package == __name__.partition('.')[0]:
            raise
        raise InputError(
            f'training needs {package}; pip install "emotion-estimator[training]"'
        ) from error


@contextmanager
def file_named() -> Iterator[None]:
    """Say of a folder or file that cannot be written, or a full disk, which one."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        where = 'a file of the run' if error.filename is None else error.filename
        raise InputError(
            f'{where} cannot be used ({error.strerror or first_line(error)}); choose another '
            'folder, or make room in this one'
        ) from error


training = _Verbs('training', help=(
    'Train and measure the models on labelled faces (docs/training.md). An interrupted verb '
    'continues where it was when called again.'
), short_help='Train and measure the models on labelled faces.')
