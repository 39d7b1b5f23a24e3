"""A picture of training sequences: changing expressions, and each of the disturbances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import InputError
from emotion_estimator.timeline import plain_text
from emotion_estimator_training.data.grouping import Grouping
from emotion_estimator_training.data.stills import FER_CLASSES, TRAINING
from emotion_estimator_training.features.feature_set import load_features
from emotion_estimator_training.features.features import SOURCES
from emotion_estimator_training.sequences.disturbances import Disturbances
from emotion_estimator_training.sequences.sequences import (
    SequenceMaker,
    Sequences,
    SequenceSettings,
)

matplotlib.use('Agg')

#: Sequences among which each panel chooses the clearest example.
_DRAWN_FROM = 48
#: Gaps of more than so many seconds are absences, not dropped frames.
_AWAY = 0.4
_CALM = Disturbances(
    white=(0.0, 0.0),
    tremor=(0.0, 0.0),
    drift=(0.0, 0.0),
    turn=(0.0, 0.0),
    blinks=0.0,
    speaks=0.0,
    gain=0.0,
    missing=0.0,
)
_EVEN = SequenceSettings(steps=150, rate=(30.0, 30.0), dropped=0.0, leaves=0.0, disturbances=_CALM)


@dataclass(frozen=True)
class _Panel:
    """An example of one kind of sequence.

    :param lines: blendshapes to draw; if empty, those that move most.
    :param worth: returns how well each sequence of a batch (B,) shows this kind.
    """

    title: str
    settings: SequenceSettings
    lines: tuple[str, ...]
    worth: Callable[[Sequences], NDArray[Any]]


def _changes(batch: Sequences) -> NDArray[Any]:
    return np.asarray((np.diff(batch.row, axis=1) != 0).sum(axis=1))


def _moves(*names: str) -> Callable[[Sequences], NDArray[Any]]:
    columns = [BLENDSHAPE_NAMES.index(name) for name in names]
    return lambda batch: np.ptp(batch.blendshapes[..., columns], axis=1).min(axis=-1)


def _smiling_blink(batch: Sequences) -> NDArray[Any]:
    # Tremor is visible on medium scores, hardly near 0 or 1.
    smile = batch.blendshapes[..., BLENDSHAPE_NAMES.index('mouthSmileLeft')].mean(axis=1)
    return np.asarray(_moves('eyeBlinkLeft')(batch) * smile * (1 - smile))


def _panels() -> list[_Panel]:
    steady = replace(_EVEN, still=1.0)
    changing = replace(_EVEN, still=0.0)
    usual = Disturbances()
    return [
        _Panel('neutral, apex, neutral: no disturbances', changing, (), _changes),
        _Panel(
            'steady expression: tremor, drift and blinks',
            replace(
                steady,
                disturbances=replace(
                    _CALM, white=(0.1, 0.15), tremor=(0.15, 0.2), drift=(0.25, 0.3), blinks=0.6
                ),
            ),
            ('eyeBlinkLeft', 'eyeLookDownLeft', 'mouthSmileLeft', 'browInnerUp'),
            _smiling_blink,
        ),
        _Panel(
            'steady expression while speaking',
            replace(steady, disturbances=replace(_CALM, speaks=1.0)),
            ('jawOpen', 'mouthPucker', 'mouthFunnel', 'mouthLowerDownLeft', 'browInnerUp'),
            _moves('jawOpen', 'mouthPucker'),
        ),
        _Panel(
            'steady expression while the head turns',
            replace(steady, disturbances=replace(_CALM, turn=(usual.turn[1], usual.turn[1]))),
            ('eyeLookInLeft', 'eyeLookOutRight', 'eyeLookInRight', 'eyeLookOutLeft', 'browInnerUp'),
            _moves('eyeLookInLeft', 'eyeLookOutLeft'),
        ),
        _Panel(
            'a slow camera that drops frames',
            replace(
                changing,
                steps=60,
                rate=(15.0, 20.0),
                dropped=SequenceSettings().dropped,
            ),
            (),
            lambda batch: (np.ptp(batch.dt[..., 0], axis=1) > 0.1) * _changes(batch),
        ),
        _Panel(
            'the face leaves and returns; otherwise as in training',
            replace(
                SequenceSettings(),
                steps=150,
                rate=(30.0, 30.0),
                still=0.0,
                leaves=1.0,
                away=(0.7, 1.0),
            ),
            (),
            _changes,
        ),
    ]


def draw_sequences(run: Path, grouping: Grouping, seed: int) -> Path:
    """Draw ``<run>/figures/sequences.png`` from Training's faces; return its path.

    :raises InputError: the run has no features, or no neutral or no expressive faces.
    """
    paths = [run / 'features' / f'{source}.npz' for source in SOURCES]
    features = next((load_features(path) for path in paths if path.exists()), None)
    if features is None:
        raise InputError(
            f'{run}/features has no features; "emotion-estimator training features" writes them'
        )
    features = features.where(features.usage == TRAINING)
    figure, axes = plt.subplots(3, 2, figsize=(15, 12), layout='constrained')
    for number, (panel, one) in enumerate(zip(_panels(), axes.flat)):
        try:
            maker = SequenceMaker(features.blendshapes, features.emotion, panel.settings)
        except ValueError as error:
            plt.close(figure)
            raise InputError(f'{error}; Training needs both') from error
        batch = maker(_DRAWN_FROM, [seed, number])
        _draw(one, panel, batch, int(np.argmax(panel.worth(batch))), features.emotion, grouping)

    def patch(colour: Any) -> Any:
        return Rectangle((0, 0), 1, 1, color=colour)

    handles = [patch(_colour(code, grouping)) for code in range(len(grouping.labels))]
    frame = Line2D([], [], color='k', marker='|', linestyle='', markersize=9)
    figure.legend(
        [*handles, patch('0.85'), frame],
        [*grouping.labels, 'label has a tenth of the weight', 'frame'],
        loc='outside lower center',
        ncols=len(handles) + 2,
        title='label of the class named at the bottom',
    )
    figure.suptitle(f'Sequences made of stills ({features.source}, Training, seed {seed})')
    path = run / 'figures' / 'sequences.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    with plain_text(figure):
        figure.savefig(path, dpi=90)
    plt.close(figure)
    return path


def _colour(label: int, grouping: Grouping) -> Any:
    return plt.colormaps['Set2'](label / max(len(grouping.labels) - 1, 1) * 0.6)


def _draw(
    axes: Any,
    panel: _Panel,
    batch: Sequences,
    index: int,
    emotion: NDArray[np.int64],
    grouping: Grouping,
) -> None:
    scores, row, weight = batch.blendshapes[index], batch.row[index], batch.weight[index]
    times = np.cumsum(batch.dt[index, :, 0]) - batch.dt[index, 0, 0]
    names = panel.lines or _most_moving(scores)
    for name in names:
        axes.plot(
            times,
            scores[:, BLENDSHAPE_NAMES.index(name)],
            label=name,
            marker='.',
            markersize=3,
            linewidth=1,
        )
    low = weight < 1
    axes.fill_between(times, 0, 1, where=low, color='0.85', step='mid', linewidth=0, zorder=0)
    borders = np.flatnonzero(np.diff(row)) + 1
    for begin, end in zip([0, *borders], [*borders, len(row)]):
        label = int(grouping.to_label[emotion[row[begin]]])
        last = times[end] if end < len(times) else times[-1]
        axes.axvspan(
            times[begin], last, ymin=0, ymax=0.06, facecolor=_colour(label, grouping), edgecolor='w'
        )
        if last - times[begin] > 0.04 * times[-1]:
            axes.text(
                (times[begin] + last) / 2,
                -0.112,
                FER_CLASSES[emotion[row[begin]]],
                ha='center',
                va='center',
                fontsize=8,
            )
    for gap in np.flatnonzero(np.diff(times) > _AWAY):
        axes.axvspan(times[gap], times[gap + 1], hatch='//', facecolor='none', edgecolor='0.7')
        axes.text((times[gap] + times[gap + 1]) / 2, 0.5, 'away', ha='center')
    axes.plot(times, np.full(len(times), -0.05), 'k|', markersize=4, markeredgewidth=0.6)
    axes.set(
        xlim=(0, times[-1]),
        ylim=(-0.15, 1.15),
        title=panel.title,
        xlabel='time (s)',
        ylabel='blendshape, 0 to 1',
    )
    axes.set_yticks(np.arange(0, 1.01, 0.2))
    axes.legend(loc='upper left', fontsize=8, ncols=len(names), columnspacing=1)
    axes.grid(alpha=0.2)


def _most_moving(scores: NDArray[np.float32]) -> tuple[str, ...]:
    """Return the four blendshapes of the left side and the middle that move most."""
    span = np.ptp(scores, axis=0)
    span[[name.endswith('Right') for name in BLENDSHAPE_NAMES]] = 0
    return tuple(BLENDSHAPE_NAMES[i] for i in np.argsort(-span)[:4])
