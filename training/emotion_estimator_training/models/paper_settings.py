"""The papers' networks by name: sizes, learning rates and epochs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from emotion_estimator.errors import InputError
from emotion_estimator_training.seed import SEED

SCHEDULES = ('short', 'published')


#: Peak learning rates and epochs of the short schedule.
_SHORT: dict[str, dict[str, Any]] = {
    'paper': {'learning_rate': 2e-3, 'epochs': 15, 'patience': 6},
    'paper-relevant': {'learning_rate': 2e-3, 'epochs': 15, 'patience': 6},
    'dense': {'learning_rate': 3e-3, 'epochs': 40, 'patience': 15},
}


@dataclass(frozen=True)
class StillSettings:
    """Settings of a network that reads single frames, and of its training.

    The defaults are those of the final model in Attrah 2025 (3.3) and Attrah's report (5.3).

    :param kind: ``lstm``, which reads one frame's K scores as K time steps of one number, or
        ``dense``, which reads them at once.
    :param units: per layer, without the last.
    :param l2: kernel regularization of every layer but the last.
    :param weight_decay: AdamW's; the papers give only a range, so this is Keras' default.
    :param learning_rate: constant; with ``cosine`` the peak after one epoch of warm-up, from which
        a cosine falls to a hundredth.
    :param epochs: the most epochs to train.
    :param patience: epochs without a better macro-F1 on PublicTest before training stops.
    """

    kind: str = 'lstm'
    units: tuple[int, ...] = (52, 16, 48, 44)
    activation: str = 'selu'
    l2: float = 1.95e-6
    weight_decay: float = 4e-3
    learning_rate: float = 1.0955e-6
    cosine: bool = False
    amsgrad: bool = True
    global_clipnorm: float = 1.0
    batch: int = 128
    epochs: int = 5000
    patience: int = 500
    loss: str = 'cce'
    class_weights: str = 'none'
    seed: int = SEED

    def identity(self) -> dict[str, Any]:
        """Return the settings that must be equal for a training to be continued.

        With a constant rate, a finished training can be prolonged; a cosine cannot.
        """
        raw = asdict(self)
        raw['units'] = list(self.units)
        if not self.cosine:
            del raw['epochs'], raw['patience']
        return raw


#: As published. ``dense`` is the ablation, whose shape the papers do not give: the same widths with
#: dense layers in place of LSTMs.
_PUBLISHED = {
    'paper': StillSettings(),
    'paper-relevant': StillSettings(),
    'dense': StillSettings(kind='dense'),
}
STILL_MODELS = tuple(_PUBLISHED)


def still_settings(model: str, schedule: str = 'short', **changes: Any) -> StillSettings:
    """Return a model's settings.

    The published 5,000 epochs at 1.0955e-6 took Attrah two days on a GPU. The short schedule
    replaces only learning rate and epochs: it peaks about 2,000 times higher, decays as a cosine,
    and ends once macro-F1 on PublicTest stops rising.

    :param model: one of ``STILL_MODELS``.
    :param schedule: ``short`` or ``published``.
    :param changes: fields of :class:`StillSettings`; None keeps the schedule's value.
    :raises InputError: model or schedule is unknown.
    """
    if model not in _PUBLISHED:
        raise InputError(f'unknown model {model!r}; choose one of {", ".join(STILL_MODELS)}')
    if schedule not in SCHEDULES:
        raise InputError(f'unknown schedule {schedule!r}; choose one of {", ".join(SCHEDULES)}')
    settings = _PUBLISHED[model]
    if schedule == 'short':
        settings = replace(settings, cosine=True, **_SHORT[model])
    return replace(settings, **{k: v for k, v in changes.items() if v is not None})
