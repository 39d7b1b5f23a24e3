"""The models of a run: its own ones, beside shipped ones where it has not made them."""

from __future__ import annotations

import shutil
from pathlib import Path

from emotion_estimator.errors import InputError
from emotion_estimator.model_card import models_dir

HEAD, STREAMING = 'blendshape_head', 'emotion_lstm'


def own_models(run: Path) -> Path:
    """Return a run's folder of models, or the shipped one where the run has made none.

    Who has made the streaming network only gets the shipped head beside it.
    """
    folder = run / 'models'
    if not any((folder / f'{name}.json').is_file() for name in (HEAD, STREAMING)):
        return models_dir()
    return with_head(folder)


def with_head(folder: Path) -> Path:
    """Return ``folder`` after putting the shipped blendshape head into it, if it has none."""
    if not (folder / f'{HEAD}.json').is_file():
        copy_model(HEAD, models_dir(), folder)
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
