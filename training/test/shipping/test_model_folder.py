"""The models of a run folder, completed with shipped ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from emotion_estimator.errors import InputError
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator_training.shipping.model_folder import (
    APPEARANCE,
    HEAD,
    MODELS,
    STREAMING,
    copy_model,
    own_models,
    with_shipped,
)


def test_a_run_has_the_shipped_models_until_it_makes_its_own(tmp_path: Path) -> None:
    assert own_models(tmp_path) == models_dir()
    copy_model(STREAMING, models_dir(), tmp_path / 'models')
    assert own_models(tmp_path) == tmp_path / 'models'
    for name in MODELS:
        assert (
            ModelCard.load(tmp_path / 'models' / f'{name}.json', name).sha256
            == ModelCard.load(models_dir() / f'{name}.json', name).sha256
        )


@pytest.mark.parametrize('own', MODELS)
def test_what_a_run_has_made_is_not_replaced(tmp_path: Path, own: str) -> None:
    card = tmp_path / 'models' / f'{own}.json'
    card.parent.mkdir()
    card.write_text('{}')
    assert own_models(tmp_path) == tmp_path / 'models'
    assert card.read_text() == '{}'


def test_only_the_models_asked_for_are_put_beside(tmp_path: Path) -> None:
    assert with_shipped(tmp_path, (APPEARANCE,)) == tmp_path
    assert {path.name for path in tmp_path.iterdir()} == {
        f'{APPEARANCE}{suffix}' for suffix in ('.json', '.md', '.tflite')
    }
    with_shipped(tmp_path)
    assert (tmp_path / f'{HEAD}.json').is_file()
    assert not (tmp_path / f'{STREAMING}.json').exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match='choose another folder'):
        copy_model(HEAD, models_dir(), tmp_path / 'file' / 'models')
