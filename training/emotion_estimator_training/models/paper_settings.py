"""The papers' networks by name: their shape, and how long and how fast they learn."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from emotion_estimator.errors import InputError
from emotion_estimator_training.seed import SEED

SCHEDULES = ('short', 'published')


#: Peak learning rates and epochs of the short schedule.
_SHORT = {
    'paper': {'learning_rate': 2e-3, 'epochs': 15, 'patience': 6},
    'paper-relevant': {'learning_rate': 2e-3, 'epochs': 15, 'patience': 6},
    'dense': {'learning_rate': 3e-3, 'epochs': 40, 'patience': 15},
}


@dataclass(frozen=True)
class StillSettings:
    """What decides a network that reads single frames, beside the data.

    The defaults are those of the final model in Attrah 2025 (3.3) and Attrah's report (5.3).

    :param kind: ``lstm``, which reads one frame's K scores as K time steps of one number, or
        ``dense``, which reads them at once.
    :param units: of each layer but the last.
    :param l2: of each layer's kernel but the last.
    :param weight_decay: AdamW's; the papers give a range only, so this is Keras' own.
    :param learning_rate: constant, or the peak where ``cosine``: one epoch of warm-up, then a
        cosine down to a hundredth.
    :param epochs: most of them; ``patience`` is how many pass without a better macro-F1 on
        PublicTest before training stops.
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
        """Return what must be equal for an interrupted run to go on.

        A constant rate can be trained for longer afterwards; a cosine ends where it ends.
        """
        raw = asdict(self)
        raw['units'] = list(self.units)
        if not self.cosine:
            del raw['epochs'], raw['patience']
        return raw


#: As published. ``dense`` is the ablation: the same widths, LSTM replaced by dense layers; the
#: papers do not give its shape.
_PUBLISHED = {
    'paper': StillSettings(),
    'paper-relevant': StillSettings(),
    'dense': StillSettings(kind='dense'),
}
STILL_MODELS = tuple(_PUBLISHED)


def still_settings(model: str, schedule: str = 'short', **changes: Any) -> StillSettings:
    """Return a model's settings.

    The published 5,000 epochs at 1.0955e-6 took the paper's author two days on a GPU. The short
    schedule replaces learning rate and epochs and nothing else: it peaks some 2,000 times higher,
    decays as a cosine, and ends once macro-F1 on PublicTest no longer rises.

    :param model: one of ``STILL_MODELS``; ``schedule``: ``short`` or ``published``.
    :param changes: fields of :class:`StillSettings`; None keeps the schedule's.
    :raises InputError: there is no such model or schedule.
    """
    if model not in _PUBLISHED:
        raise InputError(f'there is no model {model!r}; there are: {", ".join(STILL_MODELS)}')
    if schedule not in SCHEDULES:
        raise InputError(f'there is no schedule {schedule!r}; there are: {", ".join(SCHEDULES)}')
    settings = _PUBLISHED[model]
    if schedule == 'short':
        settings = replace(settings, cosine=True, **_SHORT[model])
    return replace(settings, **{k: v for k, v in changes.items() if v is not None})
