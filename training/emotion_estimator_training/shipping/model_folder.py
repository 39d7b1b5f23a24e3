"""The models of a run: its own ones, beside shipped ones where it has not made them."""

from __future__ import annotations

import shutil
from pathlib import Path

from emotion_estimator.errors import InputError
from emotion_estimator.model_card import models_dir

HEAD, APPEARANCE, STREAMING = MODELS = 'blendshape_head', 'appearance', 'emotion_lstm'


def own_models(run: Path) -> Path:
    """Return a run's folder of models, or the shipped one where the run has made none.

    Who has made some of them only gets the shipped ones beside these.
    """
    folder = run / 'models'
    if not any((folder / f'{name}.json').is_file() for name in MODELS):
        return models_dir()
    return with_shipped(folder, (HEAD, APPEARANCE))


def with_shipped(folder: Path, names: tuple[str, ...] = (HEAD,)) -> Path:
    """Return ``folder`` after putting those shipped models into it that it has not."""
    for name in names:
        if not (folder / f'{name}.json').is_file():
            copy_model(name, models_dir(), folder)
    return folder


def copy_model(name: str, origin: Path, folder: Path) -> None:
    """Copy a model's weights and its two cards.

    :raises InputError: they cannot be read or written.
    """
    if origin.resolve() == folder.resolve():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The card last: it names the checksum of what must be there already.
        for suffix in ('.tflite', '.md', '.json'):
            shutil.copyfile(origin / f'{name}{suffix}', folder / f'{name}{suffix}')
    except OSError as error:
        raise InputError(
            f'{name} cannot be copied from {origin} to {folder} ({error.strerror}); '
            'choose another folder'
        ) from error
