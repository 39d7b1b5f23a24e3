"""Model cards: the JSON file beside each weights file that describes it, checked on loading."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import FloatArray
from emotion_estimator.errors import ModelError, first_line
from emotion_estimator.resources import resource_dir
from emotion_estimator.untrusted import MAX_JSON, cannot_read, parse_json, quote, read_in_time
from emotion_estimator.weights import WeightsFile

#: Largest size of a state, an embedding, a window; and how many steps a still may take.
MAX_COUNT = 10_000
#: Longest name or label, and how many a list may have.
_LONGEST_NAME, _MOST_NAMES = 100, 1000
_SHA256 = re.compile(r'[0-9a-f]{64}')


def models_dir() -> Path:
    """Return the folder with the shipped weights and their cards."""
    return resource_dir('models')


@dataclass(frozen=True)
class ModelCard:
    """The description of a weights file (Mitchell et al. 2019).

    :param weights: the file, whose checksum is that of the card.
    :param kind: ``blendshape_head``, ``appearance``, ``emotion_lstm``, ``speaking`` or
        ``window_classifier``.
    :param labels: classes in output order; empty if the model has none.
    :param settings: what the code needs to run the model (sizes, alignment, crop, time scale).
    :param metrics: measured results, for people.
    """

    weights: WeightsFile
    name: str
    version: str
    kind: str
    labels: tuple[str, ...]
    settings: dict[str, Any]
    metrics: dict[str, Any]

    @property
    def title(self) -> str:
        """Return name and version, as published in ``Emotion.model``."""
        return f'{self.name}-{self.version}'

    @property
    def path(self) -> Path:
        """Return the path of the weights, for messages."""
        return self.weights.path

    @property
    def sha256(self) -> str:
        """Return the checksum of the weights, in hexadecimal."""
        return self.weights.sha256

    @classmethod
    def load(cls, card: Path, kind: str) -> ModelCard:
        """Read and check a card and its weights.

        :param card: the JSON file; its ``file`` names the weights beside it.
        :param kind: the kind that the caller can run.
        :raises ModelError: the card or the weights are missing or corrupt, or the checksum, the
            kind or the order of the blendshapes differs from what is expected.
        """
        shown = quote(card)
        try:
            raw = parse_json(read_in_time(card, MAX_JSON))
        except OSError as error:
            raise cannot_read(
                'model card',
                card,
                error,
                ModelError,
                'reinstall the package or pass the path of an existing card',
            ) from error
        except ValueError as error:
            # Also a name that contains a null byte.
            raise ModelError(
                f'model card {shown} is not JSON ({quote(first_line(error))}); restore it'
            ) from error
        try:
            name, version, of_kind = (_name(raw, key) for key in ('name', 'version', 'kind'))
            labels = _names(raw.get('labels', []), 'labels')
            settings, metrics = (_mapping(raw, key) for key in ('settings', 'metrics'))
            blendshapes = _names(raw['blendshapes'], 'blendshapes')
            file, sha256 = sibling(card, raw['file']), _checksum(raw['sha256'])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(
                f'model card {shown} is incomplete or invalid ({quote(first_line(error))}); '
                'restore it'
            ) from error
        if of_kind != kind:
            raise ModelError(f'model card {shown} is of kind {of_kind!r}, expected {kind!r}')
        if blendshapes != BLENDSHAPE_NAMES:
            raise ModelError(
                f'model card {shown} lists other blendshapes, or another order, than this code; '
                'retrain the model with this version'
            )
        return cls(read_weights(file, sha256), name, version, kind, labels, settings, metrics)

    def count(self, name: str, most: int = MAX_COUNT) -> int:
        """Return a setting that is an integer from 1 to ``most``.

        :raises ModelError: it is missing or invalid.
        """
        value = self.settings.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise self._invalid(name, f'an integer from 1 to {most}', value)
        return value

    def seconds(self, name: str) -> float:
        """Return a setting that is a duration above 0, at most 60 s.

        :raises ModelError: it is missing or invalid.
        """
        value = self.settings.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 60:
            raise self._invalid(name, 'a duration of up to 60 seconds', value)
        return float(value)

    def names(self, name: str) -> tuple[str, ...]:
        """Return a setting that is a list of strings.

        :raises ModelError: it is missing or invalid.
        """
        try:
            return _names(self.settings[name], name)
        except (KeyError, TypeError, ValueError) as error:
            raise self._invalid(name, 'a list of names', self.settings.get(name)) from error

    def text(self, name: str) -> str:
        """Return a setting that is a short text; empty if it is absent.

        :raises ModelError: it is invalid.
        """
        value = self.settings.get(name, '')
        try:
            return _text(value, name) if value != '' else ''
        except (TypeError, ValueError) as error:
            raise self._invalid(
                name, f'a text of up to {_LONGEST_NAME} characters', value
            ) from error

    def unit_values(self, name: str, count: int) -> FloatArray | None:
        """Return a setting that is a list of numbers from 0 to 1, as float32; None if it is absent.

        :param count: the length required.
        :raises ModelError: it is invalid.
        """
        value = self.settings.get(name)
        if value is None:
            return None
        try:
            numbers = np.array(value, np.float64)
            if numbers.shape != (count,) or not ((numbers >= 0) & (numbers <= 1)).all():
                raise ValueError(name)
        except (TypeError, ValueError, OverflowError) as error:
            raise self._invalid(name, f'{count} numbers, 0 to 1', value) from error
        return numbers.astype(np.float32)

    def _invalid(self, name: str, wanted: str, value: Any) -> ModelError:
        shown = quote(repr(value))
        return ModelError(
            f'card of {self.title} has a missing or invalid setting {name!r}: it must be '
            f'{wanted}, not {shown if len(shown) < 60 else shown[:57] + "..."}; restore the card'
        )


def read_weights(path: Path, sha256: str) -> WeightsFile:
    """Read a weights file and compare it with the checksum in its card.

    :raises ModelError: it cannot be read, or differs.
    """
    weights = WeightsFile.read(path)
    if weights.sha256 != sha256:
        raise ModelError(
            f'model file {quote(path)} has sha256 {weights.sha256[:12]}..., its card has '
            f'{sha256[:12]}...; restore both from the same version'
        )
    return weights


def sibling(card: Path, name: object) -> Path:
    """Return the path of a file that a card names, which must lie beside it.

    Links are followed: card and file must end up in one folder, as they do where a build links to
    the sources.

    :raises ValueError: it is no plain name, or leads out of the card's folder.
    """
    path = card.parent / _text(name, 'file')
    if name in ('.', '..') or path.name != name:
        raise ValueError(f"'file' {quote(name)!r}, which must be a name without a folder")
    try:
        folders = {card.parent.resolve(), card.resolve().parent}
        inside = path.resolve().parent in folders
    except (OSError, RuntimeError) as error:
        # A loop of links.
        raise ValueError(f"'file' {quote(name)!r}: {quote(first_line(error))}") from error
    if not inside:
        raise ValueError(f"'file' {quote(name)!r}, a link that leads out of the card's folder")
    return path


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f'{name!r}, which must be a text')
    if not 0 < len(value) <= _LONGEST_NAME or not value.isprintable():
        raise ValueError(f'{name!r}, which must have 1 to {_LONGEST_NAME} printable characters')
    return value


def _name(raw: Any, key: str) -> str:
    return _text(raw[key], key)


def _names(raw: Any, name: str) -> tuple[str, ...]:
    if not isinstance(raw, list) or not all(isinstance(each, str) for each in raw):
        raise TypeError(f'{name!r}, which must be a list of strings')
    if len(raw) > _MOST_NAMES or any(len(each) > _LONGEST_NAME for each in raw):
        raise ValueError(f'{name!r}, which has too many or too long names')
    if not all(each.isprintable() for each in raw):
        raise ValueError(f'{name!r}, which has names that cannot be printed')
    return tuple(raw)


def _mapping(raw: Any, key: str) -> dict[str, Any]:
    value = raw.get(key, {})
    if not isinstance(value, dict):
        raise TypeError(f'{key!r}, which must be an object')
    return value


def _checksum(value: Any) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ValueError("'sha256', which must have 64 hexadecimal digits")
    return value
