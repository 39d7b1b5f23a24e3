"""Whose a model is: a local training's is its trainer's, a release's is this project's."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest

from emotion_estimator.errors import InputError
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator_training.shipping.cards import write_markdown, write_model
from emotion_estimator_training.shipping.identity import LOCAL, ModelIdentity, load_release
from emotion_estimator_training.shipping.model_folder import MODELS
from emotion_estimator_training.shipping.pins import PINS

CONTENT = b'weights'
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def written(kind, folder, identity=LOCAL):
    """Write a model of the released one's settings and metrics; return its JSON card and path."""
    shipped = json.loads((models_dir() / f'{kind}.json').read_text())
    card = {
        'kind': kind,
        'trained_on': 'what the code knows',
        'settings': shipped['settings'],
        'metrics': shipped['metrics'],
        **({'labels': shipped['labels']} if 'labels' in shipped else {}),
    }
    path = write_model(CONTENT, card, folder, identity)
    return json.loads(path.read_text()), path


@pytest.mark.parametrize('kind', MODELS)
def test_a_local_model_differs_from_the_released_one(tmp_path, kind) -> None:
    card, path = written(kind, tmp_path)
    version = f'{load_release(kind).version}+local.{SHA256[:8]}'
    assert (card['name'], card['version']) == (kind, version)
    assert card['trained_on'] == 'what the code knows'
    assert card['license'] == card['data_licence'] == 'not stated'
    # As the estimator publishes it.
    assert ModelCard.load(path, kind).title == f'{kind}-{version}'
    text = write_markdown(path).read_text()
    assert text.startswith(f'# {kind} {version}\n')
    assert '| licence of the data | not stated |' in text


def test_a_trainer_states_whose_it_is(tmp_path) -> None:
    stated = ModelIdentity('smiles', '0.2', 'our ward, 2026', 'CC-BY-4.0', 'not to be passed on')
    card, path = written('emotion_lstm', tmp_path, stated)
    assert ModelCard.load(path, 'emotion_lstm').title == 'smiles-0.2'
    assert card['trained_on'] == 'our ward, 2026'
    assert (card['license'], card['data_licence']) == ('CC-BY-4.0', 'not to be passed on')
    assert '| licence of the data | not to be passed on |' in write_markdown(path).read_text()


@pytest.mark.parametrize('kind', MODELS)
def test_only_a_release_is_described_as_one(tmp_path, kind) -> None:
    card, path = written(kind, tmp_path, ModelIdentity(release=True))
    release = load_release(kind)
    assert ModelCard.load(path, kind).title == f'{release.name}-{release.version}'
    assert (card['trained_on'], card['released']) == (release.trained_on, release.date)
    assert release.data_licence in write_markdown(path).read_text()


def test_a_release_states_nothing_of_its_own() -> None:
    with pytest.raises(InputError, match='leave out --model-name'):
        ModelIdentity(version='9', release=True)


@pytest.mark.parametrize('kind', MODELS)
def test_releases_are_those_that_ship(tmp_path, kind) -> None:
    card, release = json.loads((models_dir() / f'{kind}.json').read_text()), load_release(kind)
    assert (card['name'], card['version']) == (release.name, release.version)
    assert (card['trained_on'], card['license']) == (release.trained_on, release.licence)
    # Their text is what the code writes.
    shutil.copy(models_dir() / f'{kind}.json', tmp_path)
    shipped = (models_dir() / f'{kind}.md').read_text()
    assert write_markdown(tmp_path / f'{kind}.json').read_text() == shipped


def test_only_a_release_into_a_checkout_is_pinned(tmp_path) -> None:
    pins, models = tmp_path / PINS, tmp_path / 'models'
    pins.parent.mkdir()
    pins.write_text('RELEASED = {}\n\nTHIRD_PARTY = {}\n')
    written('emotion_lstm', models)
    written('emotion_lstm', tmp_path / 'candidate', ModelIdentity(release=True))
    assert 'RELEASED = {}' in pins.read_text()
    card, _ = written('emotion_lstm', models, ModelIdentity(release=True))
    found: dict[str, dict[str, str]] = {}
    exec(pins.read_text(), found)
    assert found['RELEASED'] == {SHA256: f'emotion_lstm {card["version"]}'}
    assert found['THIRD_PARTY'] == {}
