"""Model cards: the JSON file beside each weights file that describes it, checked on loading."""

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
    """Return the folder with the shipped weights and their cards."""
    return resource_dir('models')


@dataclass(frozen=True)
class ModelCard:
    """The description of a weights file (Mitchell et al. 2019).

    :param path: the ``.tflite`` file.
    :param kind: ``blendshape_head``, ``appearance``, ``emotion_lstm`` or ``window_classifier``.
    :param labels: classes in output order; empty if the model has none.
    :param settings: what the code needs to run the model (sizes, alignment, crop, time scale).
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
        """Return name and version, as published in ``Emotion.model``."""
        return f'{self.name}-{self.version}'

    @classmethod
    def load(cls, card: Path, kind: str) -> ModelCard:
        """Read and check a card and its weights.

        :param card: the JSON file; its ``file`` names the weights beside it.
        :param kind: the kind that the caller can run.
        :raises ModelError: the card or the weights are missing or corrupt, or the checksum, the
            kind or the order of the blendshapes differs from what is expected.
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
            raise ModelError(
                f'model card {card} is incomplete or invalid ({first_line(error)}); restore it'
            ) from error
        if loaded.kind != kind:
            raise ModelError(f'model card {card} is of kind {loaded.kind!r}, expected {kind!r}')
        if blendshapes != BLENDSHAPE_NAMES:
            raise ModelError(
                f'model card {card} lists other blendshapes, or another order, than this code; '
                'retrain the model with this version'
            )
        loaded._check_weights()
        return loaded

    def count(self, name: str) -> int:
        """Return a setting that is an integer of at least 1.

        :raises ModelError: it is missing or invalid.
        """
        value = self.settings.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self._invalid(name, 'an integer of at least 1', value)
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
            return _names(self.settings[name])
        except (KeyError, TypeError) as error:
            raise self._invalid(name, 'a list of names', self.settings.get(name)) from error

    def unit_values(self, name: str, count: int) -> FloatArray | None:
        """Return a setting that is a list of numbers from 0 to 1, as float32; None if it is absent.

        :param count: the length required.
        :raises ModelError: it is invalid.
        """
        value = self.settings.get(name)
        if value is None:
            return None
        try:
            numbers = np.array(value, np.float32)
            if numbers.shape != (count,) or not ((numbers >= 0) & (numbers <= 1)).all():
                raise ValueError(name)
        except (TypeError, ValueError) as error:
            raise self._invalid(name, f'{count} numbers, 0 to 1', value) from error
        return numbers

    def _invalid(self, name: str, wanted: str, value: Any) -> ModelError:
        shown = repr(value)
        return ModelError(
            f'card of {self.title} has a missing or invalid setting {name!r}: it must be '
            f'{wanted}, not {shown if len(shown) < 60 else shown[:57] + "..."}; restore the card'
        )

    def _check_weights(self) -> None:
        try:
            digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        except (OSError, ValueError) as error:
            # ValueError: the name contains a null byte.
            reason = getattr(error, 'strerror', None) or first_line(error)
            raise ModelError(
                f'model file {str(self.path)!r} cannot be read ({reason}); '
                'restore it beside its card'
            ) from error
        if digest != self.sha256:
            raise ModelError(
                f'model file {self.path} has sha256 {digest[:12]}..., its card has '
                f'{self.sha256[:12]}...; restore both from the same version'
            )


def _names(raw: Any) -> tuple[str, ...]:
    if not all(isinstance(name, str) for name in raw):
        raise TypeError("'labels', which must be a list of strings")
    return tuple(raw)
