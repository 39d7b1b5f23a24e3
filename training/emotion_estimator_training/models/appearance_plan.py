"""In which order the appearance network is trained: alone, a larger one, then taught by that."""

from __future__ import annotations

from dataclasses import dataclass, replace

from emotion_estimator_training.features.crop_augment import CropVariation
from emotion_estimator_training.models.appearance_fit import AppearanceFit
from emotion_estimator_training.models.appearance_network import AppearanceSettings

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


def planned(seed: int = 11, epochs: int | None = None, longer: bool = False) -> dict[str, Part]:
    """Return the trainings in their order, by name; the network of the last one ships.

    The larger network has four times the weights and multiplications.

    :param seed: of all chance; each part has its own.
    :param epochs: of each part, to see that it runs; None takes those that were shipped with.
    :param longer: train the larger network out before it teaches (``long``), until it has seen the
        stills about as often as the shipped size has in ``first``.
    """
    teacher = 'long' if longer else 'large'
    large = AppearanceSettings(widths=(32, 128, 256), narrow=128, dropout=0.3)
    parts = {
        'first': Part(AppearanceSettings(), AppearanceFit(seed=seed), CropVariation()),
        'large': Part(large, AppearanceFit(epochs=20, calm=3, seed=seed + 4), _LESS),
        'long': Part(
            large, AppearanceFit(epochs=22, calm=3, learning_rate=1e-3, seed=seed + 8), _LESS,
            begins_with='large',
        ),
        'last': Part(
            AppearanceSettings(),
            AppearanceFit(
                epochs=30, calm=3, learning_rate=1e-3, smoothing=0.02, taught=0.7, rare=3,
                seed=seed + 6,
            ), _LESS, begins_with='first', taught_by=('first', teacher),
        ),
    }
    return {
        name: _for(part, epochs) for name, part in parts.items() if longer or name != 'long'
    }


def _for(part: Part, epochs: int | None) -> Part:
    if epochs is None:
        return part
    return replace(part, training=replace(part.training, epochs=epochs, calm=1))
