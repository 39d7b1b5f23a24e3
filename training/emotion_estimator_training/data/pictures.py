"""Pictures of the data: images without a face, augmented copies, scores of each blendshape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.timeline import plain_text
from emotion_estimator_training.data.augment import rotate_and_flip
from emotion_estimator_training.data.stills import FER_CLASSES, TRAINING, Stills
from emotion_estimator_training.features.feature_set import FeatureSet

#: Images in a line.
_ACROSS = 8
#: Faces whose blendshapes are drawn.
_FACES_SHOWN = 2000


def _caption(stills: Stills, row: int) -> str:
    return f'{stills.image_id[row]} {FER_CLASSES[stills.emotion[row]]}'


def draw_undetected(
    stills: Stills, found: dict[str, NDArray[np.bool_]], path: Path, seed: int = 0
) -> Path:
    """Draw up to 16 random images of Training in which each source finds no face; return ``path``.

    Like Figure 3 of Attrah 2025, with the number and class of each image.

    :param found: by source, bool (N,), whether it found a face.
    """
    figure = Figure(figsize=(1.25 * _ACROSS, 3.3 * len(found)), layout='constrained')
    parts = figure.subfigures(len(found), 1, squeeze=False)
    for (source, seen), (part,) in zip(found.items(), parts):
        missed = np.flatnonzero(~seen & (stills.usage == TRAINING))
        rng = np.random.default_rng(seed)
        shown = np.sort(rng.choice(missed, min(2 * _ACROSS, len(missed)), replace=False))
        part.suptitle(f'{source}: no face in {len(missed)} images of Training', fontsize=10)
        axes = part.subplots(2, _ACROSS)
        for place in axes.flat:
            place.axis('off')
        for place, row in zip(axes.flat, shown):
            place.imshow(stills.pixels[row], cmap='gray', vmin=0, vmax=255)
            place.set_title(_caption(stills, row), fontsize=7)
    return _save(figure, path)


def draw_augmented(stills: Stills, path: Path, seed: int = 1, count: int = 6) -> Path:
    """Draw random images of Training next to copies augmented with 4 seeds; return ``path``.

    :param seed: number of the augmentation pass of the first copy.
    """
    training = np.flatnonzero(stills.usage == TRAINING)
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(training, min(count, len(training)), replace=False))
    figure = Figure(figsize=(7, 1.5 * len(rows)), layout='constrained')
    axes = figure.subplots(len(rows), 5, squeeze=False)
    figure.suptitle(
        'Training images, and copies rotated by up to 36 degrees and flipped', fontsize=10
    )
    for line, row in zip(axes, rows):
        line[0].imshow(stills.pixels[row], cmap='gray', vmin=0, vmax=255)
        line[0].set_title(_caption(stills, int(row)), fontsize=7)
        for place, number in zip(line[1:], range(seed, seed + 4)):
            # The same random numbers as in extraction.
            copy = rotate_and_flip(stills.pixels[row], np.random.default_rng([number, int(row)]))
            place.imshow(copy)
            place.set_title(f'pass {number}', fontsize=7)
    for place in axes.flat:
        place.axis('off')
    return _save(figure, path)


def draw_relevant(
    features: FeatureSet, relevant: tuple[int, ...], threshold: float, path: Path
) -> Path:
    """Draw each blendshape's scores in the first 2,000 faces of Training; return ``path``.

    Like Figure 5 of Attrah 2025: relevant blendshapes are blue, the others grey; the line is the
    threshold.
    """
    plain = np.flatnonzero((features.usage == TRAINING) & ~features.augmented)[:_FACES_SHOWN]
    columns = 8
    lines = -(-len(BLENDSHAPE_NAMES) // columns)
    # Matplotlib's constrained layout takes seconds for so many axes.
    figure = Figure(figsize=(2 * columns, 1.6 * lines))
    axes = figure.subplots(
        lines,
        columns,
        sharex=True,
        sharey=True,
        gridspec_kw={
            'left': 0.05,
            'right': 0.99,
            'bottom': 0.06,
            'top': 0.92,
            'wspace': 0.08,
            'hspace': 0.28,
        },
    )
    # Before anything is drawn: else each line would look for the limits of all axes again.
    margin = 0.05 * max(len(plain) - 1, 1)
    axes[0, 0].set(xlim=(-margin, len(plain) - 1 + margin), ylim=(0, 1))
    for index, place in enumerate(axes.flat):
        if index >= len(BLENDSHAPE_NAMES):
            place.axis('off')
            continue
        colour = 'tab:blue' if index in relevant else 'tab:gray'
        place.plot(features.blendshapes[plain, index], '.', markersize=1, color=colour)
        place.axhline(threshold, linewidth=0.8, color='tab:red')
        place.set_title(f'{index} {BLENDSHAPE_NAMES[index]}', fontsize=8, color=colour)
        place.tick_params(labelsize=7)
    figure.supxlabel('face of Training, in order')
    figure.supylabel('score')
    figure.suptitle(
        f'Blendshapes of the first {len(plain)} faces, {features.source}: '
        f'{len(relevant)} are relevant (blue)'
    )
    return _save(figure, path)


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with plain_text(figure):
        figure.savefig(path, dpi=110)
    return path
