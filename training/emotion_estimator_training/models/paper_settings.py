"""The papers' networks by name: sizes, learning rates and epochs.

Adam's decay rates: Kingma and Ba 2015; dropout: Srivastava et al. 2014.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from emotion_estimator.errors import InputError
from emotion_estimator_training.seed import SEED

SCHEDULES = ('short', 'published')


#: Peak learning rates and epochs of the short schedule.
_SHORT: dict[str, dict[str, Any]] = {
    'paper': {'learning_rate': 2e-3, 'epochs': 15, 'patience': 6},
    'paper-relevant': {'learning_rate': 2e-3, 'epochs': 15, 'patience': 6},
    'dense': {'learning_rate': 3e-3, 'epochs': 40, 'patience': 15},
    'paper-dense': {'learning_rate': 1e-3, 'epochs': 40, 'patience': 15},
}
OPTIMIZERS = ('adamw', 'sgd')
ACTIVATIONS = ('selu', 'tanh', 'relu', 'leaky_relu')
#: Of the LSTM's gates; the first is Keras' default.
RECURRENT_ACTIVATIONS = ('sigmoid', 'hard_sigmoid', 'tanh')
#: The first is Keras' default.
INITIALIZERS = ('glorot_uniform', 'glorot_normal', 'he_uniform', 'he_normal', 'lecun_normal')


#: Settings that ``tune`` can search for beside those whose ranges Attrah's report (5.3) gives.
SEARCHABLE = (
    'optimizer',
    'momentum',
    'beta_1',
    'beta_2',
    'amsgrad',
    'clipnorm',
    'global_clipnorm',
    'ema',
    'ema_momentum',
    'dropout',
    'recurrent_activation',
    'kernel_initializer',
    'go_backwards',
    'batch',
)

#: Number of the first field of ``StillSettings`` that version 3.3.0 of the models did not have.
_LATER = 15


@dataclass(frozen=True)
class StillSettings:
    """Settings of a network that reads single frames, and of its training.

    The defaults are those of the final model in Attrah 2025 (3.3) and Attrah's report (5.3).

    :param kind: ``lstm``, which reads one frame's K scores as K time steps of one number, or
        ``dense``, which reads them at once.
    :param units: per layer, without the last.
    :param l2: kernel regularization of every layer but the last.
    :param optimizer: ``adamw`` or ``sgd``, which has a ``momentum``.
    :param beta_1: decay of AdamW's mean gradients; ``beta_2`` that of their squares.
    :param weight_decay: of either; the papers give only a range, so this is AdamW's Keras default.
    :param clipnorm: the greatest norm of one layer's gradients; 0 does not limit it.
    :param global_clipnorm: that of all gradients together. With ``clipnorm`` it does not count.
    :param ema: use the moving average of the weights, with ``ema_momentum``, after each epoch.
    :param dropout: share of each layer's inputs (``lstm``) or outputs (``dense``) dropped in
        training.
    :param recurrent_activation: of an LSTM's gates.
    :param kernel_initializer: of every layer but the last.
    :param go_backwards: let each LSTM read its inputs from the last to the first.
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
    optimizer: str = 'adamw'
    momentum: float = 0.0
    beta_1: float = 0.9
    beta_2: float = 0.999
    clipnorm: float = 0.0
    ema: bool = False
    ema_momentum: float = 0.99
    dropout: float = 0.0
    recurrent_activation: str = 'sigmoid'
    kernel_initializer: str = 'glorot_uniform'
    go_backwards: bool = False

    def identity(self) -> dict[str, Any]:
        """Return the settings that must be equal for a training to be continued.

        With a constant rate, a finished training can be prolonged; a cosine cannot. Those that
        earlier versions did not have are left out where they change nothing, so that trainings of
        these versions stay valid.
        """
        raw = asdict(self)
        for field in fields(self)[_LATER:]:
            if raw[field.name] == field.default:
                del raw[field.name]
        raw['units'] = list(self.units)
        if not self.cosine:
            del raw['epochs'], raw['patience']
        return raw


#: As published. Of the dense ablation the papers do not give the shape. ``paper-dense`` is that of
#: its author; ``dense`` has the LSTM's widths.
_PUBLISHED = {
    'paper': StillSettings(),
    'paper-relevant': StillSettings(),
    'dense': StillSettings(kind='dense'),
    'paper-dense': StillSettings(
        kind='dense', units=(330, 300, 250, 220, 200, 150, 10), activation='relu', dropout=0.2
    ),
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
