"""Training curves: loss and validation metrics by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

from emotion_estimator.timeline import plain_text
from emotion_estimator_training.models.training_loop import History

matplotlib.use('Agg')


def draw_history(model: str, history: History, best_epoch: int, path: Path) -> Path:
    """Draw the loss, and accuracy, macro-F1 and recalls on PublicTest; return ``path``.

    :param best_epoch: marked by a line.
    """
    epochs = [one['epoch'] for one in history]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout='constrained')
    left.plot(epochs, [one['loss'] for one in history], label='loss on Training')
    left.plot(
        epochs, [one['cross_entropy'] for one in history], label='cross-entropy on PublicTest'
    )
    left.set_ylabel('loss (nats for a cross-entropy)')
    for name, text in (('accuracy', 'accuracy'), ('macro_f1', 'macro-F1')):
        right.plot(epochs, [one[name] for one in history], label=text, linewidth=2)
    for label in history[0]['recall']:
        right.plot(
            epochs,
            [one['recall'][label] for one in history],
            '--',
            linewidth=1,
            label=f'recall {label}',
        )
    right.set_ylabel('share on PublicTest, 0 to 1')
    for axes in (left, right):
        axes.axvline(best_epoch, color='grey', linestyle=':', label='best macro-F1')
        axes.set_xlabel('epoch')
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(fontsize='small')
    figure.suptitle(f'Training of {model}')
    path.parent.mkdir(parents=True, exist_ok=True)
    with plain_text(figure):
        figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


def draw_appearance(history: History, path: Path, title: str = 'appearance') -> Path:
    """Draw the appearance network's loss, and its metrics on PublicTest; return ``path``."""
    epochs = [one['epoch'] for one in history]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout='constrained')
    left.plot(epochs, [one['loss'] for one in history], label='loss on Training, varied crops')
    for name, text in (('appearance', 'crop alone'), ('joined', 'with blendshapes')):
        left.plot(
            epochs,
            [one[f'{name}_cross_entropy'] for one in history],
            label=f'cross-entropy on PublicTest, {text}',
        )
        for part, style in (('seven', '-'), ('labels', '--')):
            right.plot(
                epochs, [one[f'{name}_{part}'] for one in history], style, label=f'{part}, {text}'
            )
    left.set_ylabel('loss (nats for a cross-entropy)')
    right.set_ylabel('accuracy on PublicTest, 0 to 1')
    for axes in (left, right):
        axes.set_xlabel('epoch')
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(fontsize='small')
    figure.suptitle(f'Training of {title}')
    path.parent.mkdir(parents=True, exist_ok=True)
    with plain_text(figure):
        figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


def draw_trainings(tables: Mapping[str, Mapping[str, Any]], path: Path) -> Path:
    """Draw the metrics of several trainings on PublicTest next to each other; return ``path``.

    A training that continues another one of them starts where that one ends.

    :param tables: by name, what :func:`~.appearance_run.run_appearance` returned.
    """
    figure, panels = plt.subplots(1, 3, figsize=(13, 4.2), layout='constrained')
    for axes, what, text in zip(
        panels,
        ('seven', 'labels', 'cross_entropy'),
        ('accuracy, seven expressions', 'accuracy, three labels', 'cross-entropy, seven (nats)'),
    ):
        for number, (name, table) in enumerate(tables.items()):
            history, title = table['history'], f'{name}, {table["parameters"]:,}'
            # The released network's history is not here.
            before = tables.get(table['begins_with'], {}).get('history', [])
            epochs = [len(before) + one['epoch'] for one in history]
            for read, style in (('appearance', '--'), ('joined', '-')):
                axes.plot(
                    epochs,
                    [one[f'{read}_{what}'] for one in history],
                    style,
                    color=f'C{number}',
                    linewidth=1.4,
                    label=f'{title}, {"crop alone" if read == "appearance" else "both"}',
                )
        axes.set(xlabel='epoch', title=text)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    panels[0].legend(fontsize='small')
    figure.suptitle('Trainings of the appearance network, on PublicTest')
    path.parent.mkdir(parents=True, exist_ok=True)
    with plain_text(figure):
        figure.savefig(path, dpi=90)
    plt.close(figure)
    return path
