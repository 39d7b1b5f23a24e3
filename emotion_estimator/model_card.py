"""Model cards: the JSON beside each weights file says what it is, and the code checks it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import ModelError, first_line
from emotion_estimator.resources import resource_dir


def models_dir() -> Path:
    """Return the folder of the shipped weights and their cards."""
    return resource_dir('models')


@dataclass(frozen=True)
class ModelCard:
    """What a weights file declares about itself.

    :param path: the ``.tflite`` file.
    :param kind: ``blendshape_head`` or ``emotion_lstm``.
    :param labels: classes in output order (empty for a blendshape head).
    :param settings: what the code needs to run the file (sizes, alignment, time scale).
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
