"""Learning curves of a run's networks: loss and validation scores by epoch, as small multiples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from emotion_estimator_training.models.training_loop import History, best_index, read_history
from emotion_estimator_training.report.charts import new_figure, png
from emotion_estimator_training.zoo.metrics import Result
from emotion_estimator_training.zoo.models.catalog import slug
from emotion_estimator_training.zoo.models.fitting import CARD, ZooFitSettings

#: Kinds of models that build on the network ``frame``, which is trained in a folder of its own.
_ON_FRAME = ('frame', 'decision', 'statistics', 'sequence')
#: Key of an epoch's metrics, name, colour (Okabe and Ito), line; above, and below it.
_LOSSES: tuple[tuple[str, str, str, Any], ...] = (
    ('train_loss', 'training loss', '#0072B2', '-'),
    ('loss', 'validation loss', '#D55E00', '-'),
)
_SCORES: tuple[tuple[str, str, str, Any], ...] = (
    ('accuracy', 'validation accuracy', '#009E73', '-'),
    ('macro_f1', 'validation macro-F1', '#CC79A7', '--'),
)
_COLUMNS = 4
#: A training that has one epoch only is drawn as dots.
_DOT = 3


@dataclass(frozen=True)
class TrainedNetwork:
    """A network's epochs, with each seed.

    :param name: of its model; of the frames of a model it ends in ``:frame``.
    :param histories: the first seed's first; metrics of each epoch as in ``history.jsonl``.
    :param kept: the epoch whose weights are kept, of the first seed, from 1.
    """

    name: str
    histories: tuple[History, ...]
    kept: int


def trained_networks(folder: Path, results: Sequence[Result]) -> list[TrainedNetwork]:
    """Return the networks that a run's models are trained in, in the models' order.

    :param folder: ``models`` of the run; further seeds are in ``seed-N`` of it.
    """
    found = []
    for name in _names(results):
        places = [folder / slug(name), *sorted(folder.glob(f'seed-*/{slug(name)}'))]
        histories = [history for place in places if (history := read_history(place))]
        if histories:
            kept = _kept(next(place for place in places if read_history(place)), histories[0])
            found.append(TrainedNetwork(name, tuple(histories), kept))
    return found


def _names(results: Sequence[Result]) -> Iterator[str]:
    """Yield the names that the models' networks may have, each once."""
    names: dict[str, None] = {}
    for one in results:
        if one['kind'] in _ON_FRAME:
            names['frame'] = None
        names[f'{one["model"]}:frame'] = names[one['model']] = None
    yield from names


def _kept(folder: Path, history: History) -> int:
    """Return the number of the epoch whose weights are kept."""
    try:
        card: dict[str, Any] = json.loads((folder / CARD).read_text())
        chosen = ZooFitSettings(monitor=card['settings']['fit']['monitor'])
    except (OSError, ValueError, KeyError, TypeError):
        # Settings that are not stated have their defaults.
        chosen = ZooFitSettings()
    return int(history[best_index(history, chosen.score)]['epoch'])


def curves_chart(networks: Sequence[TrainedNetwork]) -> bytes:
    """Draw each network's losses, and below them its scores; return a PNG.

    The first seed's curves are thick, the others' thin; a dotted line marks the epoch that is kept.

    :param networks: at least one, from left to right and from top to bottom.
    """
    columns = min(_COLUMNS, len(networks))
    rows = -(-len(networks) // columns)
    figure = new_figure(max(3.2 * columns, 6.8), 3.1 * rows + 0.7)
    axes = figure.subplots(2 * rows, columns, squeeze=False)
    for axis in axes[-2:, len(networks) - rows * columns + columns :].ravel():
        axis.set_axis_off()
    for number, network in enumerate(networks):
        row, column = divmod(number, columns)
        above, below = axes[2 * row : 2 * row + 2, column]
        above.sharex(below)
        above.tick_params(labelbottom=False)
        above.set_title(network.name, fontsize=9)
        _draw(above, network, _LOSSES)
        _draw(below, network, _SCORES)
        above.set_ylim(bottom=0)
        above.set_ylabel('loss (nats)', fontsize=7)
        below.set_ylim(0, 1)
        below.set_ylabel('share', fontsize=7)
        below.set_xlabel('epoch', fontsize=7)
        below.set_xlim(0.5, max(len(history) for history in network.histories) + 0.5)
    lines = [
        Line2D([], [], color=colour, linestyle=style, label=name)
        for _, name, colour, style in (*_LOSSES, *_SCORES)
    ]
    lines.append(Line2D([], [], color='0.3', linestyle=':', label='epoch kept'))
    if any(len(network.histories) > 1 for network in networks):
        lines.append(Line2D([], [], color='0.3', linewidth=0.6, label='other seeds (thin)'))
    figure.legend(handles=lines, loc='outside lower center', ncols=3, fontsize=8, frameon=False)
    figure.suptitle('Learning curves', fontsize=10)
    return png(figure)


def _draw(axis: Any, network: TrainedNetwork, kinds: Sequence[tuple[str, str, str, Any]]) -> None:
    for key, _, colour, style in kinds:
        for number, history in enumerate(network.histories):
            axis.plot(
                [one['epoch'] for one in history],
                [one[key] for one in history],
                linestyle=style,
                color=colour,
                linewidth=0.6 if number else 1.6,
                alpha=0.7 if number else 1.0,
                marker='o' if len(history) == 1 else None,
                markersize=_DOT,
            )
    axis.axvline(network.kept, color='0.3', linestyle=':', linewidth=1)
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axis.tick_params(labelsize=7)
    axis.grid(alpha=0.3)
    axis.spines[['top', 'right']].set_visible(False)
