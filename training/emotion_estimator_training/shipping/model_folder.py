"""The models of a run: its own, and shipped ones in place of those that it has not made."""

from __future__ import annotations

import shutil
from pathlib import Path

from emotion_estimator.errors import InputError
from emotion_estimator.model_card import models_dir

HEAD, APPEARANCE, STREAMING = MODELS = 'blendshape_head', 'appearance', 'emotion_lstm'


def own_models(run: Path) -> Path:
    """Return a run's folder of models, or the shipped one if the run has made none.

    If it has made some of them, the missing ones are copied from the shipped ones.
    """
    folder = run / 'models'
    if not any((folder / f'{name}.json').is_file() for name in MODELS):
        return models_dir()
    return with_shipped(folder, (HEAD, APPEARANCE))


def with_shipped(folder: Path, names: tuple[str, ...] = (HEAD,)) -> Path:
    """Copy those shipped models into ``folder`` that it lacks; return it."""
    for name in names:
        if not (folder / f'{name}.json').is_file():
            copy_model(name, models_dir(), folder)
    return folder


def copy_model(name: str, origin: Path, folder: Path) -> None:
    """Copy a model's weights and both its cards.

    :raises InputError: they cannot be read or written.
    """
    if origin.resolve() == folder.resolve():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The JSON card last: it states the checksum of the weights.
        for suffix in ('.tflite', '.md', '.json'):
            shutil.copyfile(origin / f'{name}{suffix}', folder / f'{name}{suffix}')
    except OSError as error:
        raise InputError(
            f'{name} cannot be copied from {origin} to {folder} ({error.strerror}); '
            'choose another folder'
        ) from error
