"""Settings from configuration files: each model's dataclass, checked name by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar

from emotion_estimator.errors import InputError

Settings = TypeVar('Settings')

OPTIMIZERS = ('adam', 'sgd')
#: What is best on the validation part: the greatest accuracy (seed 003) or the least loss (004).
MONITORS = ('accuracy', 'loss')


@dataclass(frozen=True)
class FitSettings:
    """How a network is trained.

    :param epochs: most of them; ``patience`` is how many pass without a better ``monitor``.
    :param class_weights: as in :func:`~emotion_estimator_training.models.losses.class_weights`.
    :param call_epochs: epochs of one call, of which the next one goes on (seed 003 trained four
        times 30); 0 is all.
    """

    batch: int = 8
    optimizer: str = 'adam'
    learning_rate: float = 1e-3
    epochs: int = 120
    patience: int = 15
    monitor: str = 'accuracy'
    class_weights: str = 'none'
    call_epochs: int = 0
    seed: int = 11

    def __post_init__(self) -> None:
        """Check the ranges.

        :raises InputError: one is left.
        """
        if self.optimizer not in OPTIMIZERS:
            raise InputError(f'optimizer {self.optimizer!r}; choose of {", ".join(OPTIMIZERS)}')
        if self.monitor not in MONITORS:
            raise InputError(f'monitor {self.monitor!r}; choose of {", ".join(MONITORS)}')
        for name in ('batch', 'epochs', 'patience', 'learning_rate'):
            if not getattr(self, name) > 0:
                raise InputError(f'{name} must be over 0, got {getattr(self, name)}')


def read(kind: type[Settings], raw: Mapping[str, Any], name: str) -> Settings:
    """Build a dataclass of settings from configuration.

    :param name: of the model, for messages.
    :raises InputError: a setting is unknown, missing, or of another type than its default.
    """
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in known:
            raise InputError(f'{name} has no setting {key!r}; it has: {", ".join(known)}')
        # Of windows: a share, a share for each class, or a word.
        values[key] = value if key == 'overlap' else _fitting(
            value, known[key].default, f'{name}: {key}'
        )
    missing = [
        one.name for one in known.values()
        if one.name not in values and one.default is MISSING and one.default_factory is MISSING
    ]
    if missing:
        raise InputError(f'{name} lacks the setting {missing[0]!r}')
    return kind(**values)


def _fitting(value: Any, default: Any, where: str) -> Any:
    if isinstance(default, FitSettings):
        if not isinstance(value, Mapping):
            raise InputError(f'{where} must be settings by name')
        return read(FitSettings, value, where)
    if isinstance(default, tuple):
        if not isinstance(value, (list, tuple)) or not value:
            raise InputError(f'{where} must be a list, got {value!r}')
        return tuple(value)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if isinstance(default, (bool, int, float, str)) and type(value) is not type(default):
        raise InputError(
            f'{where} must be of type {type(default).__name__}, got {value!r}'
        )
    return value
