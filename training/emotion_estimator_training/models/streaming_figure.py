"""How the streaming network's training went."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use('Agg')
from matplotlib import pyplot as plt


def draw_course(history: list[dict[str, float]], path: Path) -> Path:
    """Draw loss, cross-entropy on PublicTest and restlessness over the batches; return ``path``."""
    steps = [line['step'] for line in history]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout='constrained')
    left.plot(steps, [line['loss'] for line in history], 'o-', label='loss on sequences')
    left.plot(
        steps, [-line['validation'] for line in history], 'o-',
        label='cross-entropy on stills of PublicTest',
    )
    left.set_ylabel('nats, seven classes')
    right.plot(steps, [line['unrest'] for line in history], 'o-')
    right.set_ylabel('change of probabilities per frame while held')
    for axes in (left, right):
        axes.set_xlabel('batch')
        axes.grid(alpha=0.3)
    left.legend(fontsize='small')
    figure.suptitle('Training of streaming')
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
