"""Whose a model is: the name, version, data and licences in its card.

A network that is trained here is its trainer's: without arguments its version is the release's that
it is modelled on, plus ``+local.`` and the start of the file's checksum, and its data is not
described. Only ``--release`` describes it as one of this project's, by ``config/releases.yaml``.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

from emotion_estimator import strict_yaml
from emotion_estimator.errors import InputError
from emotion_estimator_training import CONFIG

NOT_STATED = 'not stated'
RELEASES = CONFIG / 'releases.yaml'


@dataclass(frozen=True)
class Release:
    """What this project states of a released model."""

    name: str
    version: str
    date: str
    trained_on: str
    licence: str
    data_licence: str


def load_release(kind: str) -> Release:
    """Return what is stated of the released model of a kind.

    :param kind: ``blendshape_head``, ``appearance`` or ``emotion_lstm``.
    :raises InputError: ``releases.yaml`` cannot be read or does not describe the kind.
    """
    releases = strict_yaml.read_yaml(RELEASES)
    try:
        return Release(**{name: str(value) for name, value in releases[kind].items()})
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f'{RELEASES}: {kind} is missing or incomplete ({error})') from error


@dataclass(frozen=True)
class ModelIdentity:
    """What a trainer states of a model; empty fields take the defaults of a local model.

    :param name: published with the version in ``Emotion.model``; by default the model's kind.
    :param version: by default ``<release>+local.<first 8 of the file's sha256>``.
    :param trained_on: the data; by default what the code knows of it.
    :param licence: of the weights; ``data_licence`` that of the data.
    :param release: state what ``config/releases.yaml`` does, and nothing else.
    """

    name: str = ''
    version: str = ''
    trained_on: str = ''
    licence: str = ''
    data_licence: str = ''
    release: bool = False

    def __post_init__(self) -> None:
        """Check that a release states nothing of its own.

        :raises InputError: it does.
        """
        if self.release and any(astuple(self)[:-1]):
            raise InputError(
                f'--release describes models by {RELEASES}; leave out --model-name, '
                '--model-version, --trained-on, --licence and --data-licence'
            )

    def describe(self, kind: str, sha256: str, trained_on: str) -> dict[str, Any]:
        """Return the entries of a model's card that say whose it is.

        :param sha256: checksum of the model's file.
        :param trained_on: what the code knows of the data.
        """
        release = load_release(kind)
        if self.release:
            return {
                'name': release.name,
                'version': release.version,
                'license': release.licence,
                'trained_on': release.trained_on,
                'data_licence': release.data_licence,
                'released': release.date,
            }
        return {
            'name': self.name or kind,
            'version': self.version or f'{release.version}+local.{sha256[:8]}',
            'license': self.licence or NOT_STATED,
            'trained_on': self.trained_on or trained_on,
            'data_licence': self.data_licence or NOT_STATED,
        }


#: A model of which nothing is stated.
LOCAL = ModelIdentity()


def data_licence(card: dict[str, Any]) -> str:
    """Return the licence of the data by a model's JSON card.

    Cards written before it was part of them are those of released models.
    """
    if 'data_licence' in card:
        return str(card['data_licence'])
    release = load_release(card['kind'])
    known = (card['name'], card['version']) == (release.name, release.version)
    return release.data_licence if known else NOT_STATED
