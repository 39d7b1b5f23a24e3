"""In which order the appearance network is trained: alone, a larger one, then taught by that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from emotion_estimator.training.appearance_fit import AppearanceFit
from emotion_estimator.training.appearance_network import AppearanceSettings
from emotion_estimator.training.crop_augment import CropVariation

#: How crops vary where much has been learned already, or much can be: half as much, but for covers.
_LESS = CropVariation(
    roll=6.0, size=0.08, shift=1.5, stretch=0.05, gamma=0.2, shaded=0.15, coarse=0.12, blurred=0.12,
    noisy=0.15, compressed=0.12, hidden=0.15,
)


@dataclass(frozen=True)
class Part:
    """One training.

    :param begins_with: the part whose weights it goes on from; empty begins at random.
    :param taught_by: the parts whose networks' mean opinion of the stills it learns from too.
    """

    settings: AppearanceSettings
    training: AppearanceFit
    variation: CropVariation
    begins_with: str = ''
    taught_by: tuple[str, ...] = ()


def planned(seed: int = 11, epochs: int | None = None) -> dict[str, Part]:
    """Return the trainings in their order, by name; the network of the last one ships.

    The larger network has four times the weights and multiplications.

    :param seed: of all chance; each part has its own.
    :param epochs: of each part, to see that it runs; None takes those that were shipped with.
    """
    parts = {
        'first': Part(AppearanceSettings(), AppearanceFit(seed=seed), CropVariation()),
        'large': Part(
            AppearanceSettings(widths=(32, 128, 256), narrow=128, dropout=0.3),
            AppearanceFit(epochs=20, calm=3, seed=seed + 4), _LESS,
        ),
        'last': Part(
            AppearanceSettings(),
            AppearanceFit(
                epochs=22, calm=3, learning_rate=1e-3, smoothing=0.02, taught=0.6, rare=3,
                seed=seed + 6,
            ), _LESS, begins_with='first', taught_by=('first', 'large'),
        ),
    }
    return {name: _for(part, epochs) for name, part in parts.items()}


def ceiling(plan: Mapping[str, Part], epochs: int | None = None) -> dict[str, Part]:
    """Return the plan with one training more, ``long``: nothing that ships comes of it.

    The larger network goes on until it has seen the stills about as often as the shipped size had
    in ``first``: what four times the weights and multiplications reach.

    :param plan: of :func:`planned`; ``epochs`` as there.
    """
    large = plan['large']
    training = AppearanceFit(
        epochs=22, calm=3, learning_rate=1e-3, seed=large.training.seed + 4
    )
    long = Part(large.settings, training, large.variation, begins_with='large')
    return {**plan, 'long': _for(long, epochs)}


def _for(part: Part, epochs: int | None) -> Part:
    if epochs is None:
        return part
    return replace(part, training=replace(part.training, epochs=epochs, calm=1))
