"""Model cards: the JSON beside each weights file says what it is, and the code checks it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import FloatArray
from emotion_estimator.errors import ModelError, first_line
from emotion_estimator.resources import resource_dir


def models_dir() -> Path:
    """Return the folder of the shipped weights and their cards."""
    return resource_dir('models')


@dataclass(frozen=True)
class ModelCard:
    """What a weights file declares about itself (Mitchell et al. 2019).

    :param path: the ``.tflite`` file.
    :param kind: ``blendshape_head``, ``appearance`` or ``emotion_lstm``.
    :param labels: classes in output order (empty where it has none).
    :param settings: what the code needs to run the file (sizes, alignment, crop, time scale).
    :param metrics: measured results, for people.
    """

    path: Path
    name: str
    version: str
    kind: str
    sha256: str
    labels: tuple[str, ...]
    settings: dict[str, Any]
    metrics: dict[str, Any]

    @property
    def title(self) -> str:
        """Name and version, as published in ``Emotion.model``."""
        return f'{self.name}-{self.version}'

    @classmethod
    def load(cls, card: Path, kind: str) -> ModelCard:
        """Read and check a card and its weights.

        :param card: the JSON file; its ``file`` names the weights beside it.
        :param kind: the kind the caller can run.
        :raises ModelError: the card or weights are missing or corrupt, the checksum differs, the
            kind is another one, or the blendshape order is not this code's.
        """
        try:
            raw = json.loads(card.read_text())
        except OSError as error:
            raise ModelError(
                f'model card {card} cannot be read ({error.strerror}); '
                'reinstall the package or pass the path of an existing card'
            ) from error
        except (ValueError, RecursionError) as error:
            raise ModelError(
                f'model card {card} is not JSON ({first_line(error)}); restore it'
            ) from error
        try:
            loaded = cls(
                path=card.parent / raw['file'],
                name=str(raw['name']),
                version=str(raw['version']),
                kind=str(raw['kind']),
                sha256=str(raw['sha256']),
                labels=_names(raw.get('labels', ())),
                settings=dict(raw.get('settings', {})),
                metrics=dict(raw.get('metrics', {})),
            )
            blendshapes = tuple(raw['blendshapes'])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f'model card {card} lacks or misstates {error}; restore it') from error
        if loaded.kind != kind:
            raise ModelError(f'model card {card} is of kind {loaded.kind!r}, needed is {kind!r}')
        if blendshapes != BLENDSHAPE_NAMES:
            raise ModelError(
                f'model card {card} lists other blendshapes than this code, or another order; '
                'retrain the model with this version'
            )
        loaded._check_weights()
        return loaded

    def whole(self, name: str) -> int:
        """Return a setting that is a whole number from 1 on.

        :raises ModelError: it is missing or something else.
        """
        value = self.settings.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self._misstated(name, 'a whole number from 1 on', value)
        return value

    def seconds(self, name: str) -> float:
        """Return a setting that is a time over 0.

        :raises ModelError: it is missing or something else.
        """
        value = self.settings.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 60:
            raise self._misstated(name, 'seconds, over 0', value)
        return float(value)

    def names(self, name: str) -> tuple[str, ...]:
        """Return a setting that is a list of names.

        :raises ModelError: it is missing or something else.
        """
        try:
            return _names(self.settings[name])
        except (KeyError, TypeError) as error:
            raise self._misstated(name, 'a list of names', self.settings.get(name)) from error

    def shares(self, name: str, count: int) -> FloatArray | None:
        """Return a setting that is a list of numbers, 0 to 1, as float32; None without it.

        :param count: how many there must be.
        :raises ModelError: it is something else.
        """
        value = self.settings.get(name)
        if value is None:
            return None
        try:
            numbers = np.array(value, np.float32)
            if numbers.shape != (count,) or not ((numbers >= 0) & (numbers <= 1)).all():
                raise ValueError(name)
        except (TypeError, ValueError) as error:
            raise self._misstated(name, f'{count} numbers, 0 to 1', value) from error
        return numbers

    def _misstated(self, name: str, wanted: str, value: Any) -> ModelError:
        shown = repr(value)
        return ModelError(
            f'card of {self.title} lacks or misstates the setting {name!r}, which must be '
            f'{wanted}, not {shown if len(shown) < 60 else shown[:57] + "..."}; restore the card'
        )

    def _check_weights(self) -> None:
        try:
            digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        except (OSError, ValueError) as error:
            # ValueError: a name that no file can have.
            reason = getattr(error, 'strerror', None) or first_line(error)
            raise ModelError(
                f'model file {str(self.path)!r} cannot be read ({reason}); '
                'restore it beside its card'
            ) from error
        if digest != self.sha256:
            raise ModelError(
                f'model file {self.path} has sha256 {digest[:12]}..., its card says '
                f'{self.sha256[:12]}...; restore both from the same version'
            )


def _names(raw: Any) -> tuple[str, ...]:
    if not all(isinstance(name, str) for name in raw):
        raise TypeError("'labels', which must all be text")
    return tuple(raw)
