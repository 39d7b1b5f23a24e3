"""The report's charts, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from emotion_estimator.annotation import label_colour
from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.timeline import plain_text
from emotion_estimator_training.evaluation.threshold_curve import (
    MOST_NEUTRAL,
    WITH_THRESHOLD,
    Curves,
)

Floats = NDArray[np.float32]

#: Colours of models: the palette of Okabe and Ito 2008, which colour-blind people can distinguish.
_COLOURS = ('#000000', '#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9')
_MARKERS = ('o', 'D', '*', '^', 'v', 'P')
_INK = '#0072B2'
#: Colour, line and marker of each branch, from the same palette.
_BRANCH_STYLES = {
    'fused': ('#0072B2', '-', 'o'),
    'appearance': ('#D55E00', '--', 's'),
    'blendshapes': ('#009E73', ':', '^'),
    'fer': ('#777777', '-.', 'v'),
}


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure; without pyplot it needs no display and is safe in threads."""
    return Figure(figsize=(width, height), dpi=130, layout='constrained')


def png(figure: Figure) -> bytes:
    """Return a figure as PNG."""
    content = io.BytesIO()
    with plain_text(figure):
        figure.savefig(content, format='png')
    return content.getvalue()


def confusion_chart(
    matrices: Mapping[str, Sequence[Sequence[int]]], labels: Sequence[str]
) -> bytes:
    """Draw confusion matrices side by side: counts, shaded by the share of their row.

    :param matrices: by title, rows truth, columns prediction.
    """
    side = 0.9 * len(labels) + 0.9
    figure = new_figure(side * len(matrices), side + 0.3)
    axes = figure.subplots(1, len(matrices), squeeze=False)[0]
    for axis, (title, counts) in zip(axes, matrices.items()):
        matrix = np.asarray(counts)
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        axis.imshow(shares, cmap='Blues', vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(matrix):
            share = shares[row, column]
            axis.text(
                column,
                row,
                f'{count}\n{share:.0%}',
                ha='center',
                va='center',
                fontsize=8,
                color='white' if share > 0.55 else 'black',
            )
        axis.set(
            xticks=range(len(labels)), yticks=range(len(labels)), xlabel='predicted', ylabel='truth'
        )
        axis.set_xticklabels(labels, rotation=30 if len(labels) > 4 else 0)
        axis.set_yticklabels(labels)
        axis.set_title(title, fontsize=9)
    return png(figure)


def reliability_chart(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> bytes:
    """Draw the accuracy of the top label against its probability.

    :param rows: by title, of :func:`~.scores.reliability`.
    """
    figure = new_figure(3.1 * len(rows), 3.3)
    axes = figure.subplots(1, len(rows), squeeze=False, sharey=True)[0]
    for axis, (title, bins) in zip(axes, rows.items()):
        confidence = [row['confidence'] for row in bins]
        total = sum(row['n'] for row in bins)
        axis.bar(
            confidence,
            [row['n'] / total for row in bins],
            width=0.05,
            color='#bbbbbb',
            label='share of faces',
        )
        axis.plot([0, 1], [0, 1], color='#777777', lw=1, ls='--', label='perfectly calibrated')
        accuracy = [row['accuracy'] for row in bins]
        axis.plot(confidence, accuracy, 'o-', color=_INK, ms=4, label='measured')
        axis.set(xlim=(0, 1), ylim=(0, 1), xlabel='probability of the top label')
        axis.set_title(title, fontsize=9)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel('accuracy')
    axes[0].legend(fontsize=7, loc='upper left')
    return png(figure)


def blendshape_chart(scores: Floats, title: str) -> bytes:
    """Draw the 52 blendshapes of a face as bars (Attrah 2025, Figure 2).

    :param scores: (52,), 0 to 1.
    """
    figure = new_figure(6.4, 9.0)
    axis = figure.subplots()
    places = np.arange(len(BLENDSHAPE_NAMES))
    axis.barh(places, scores, color=_INK)
    for place, score in zip(places, scores):
        axis.text(score + 0.01, place, f'{score:.2f}', va='center', fontsize=6)
    axis.set(yticks=places, xlim=(0, 1.08), ylim=(len(places) - 0.4, -0.6), xlabel='score')
    axis.set_yticklabels(BLENDSHAPE_NAMES, fontsize=7)
    axis.set_title(title, fontsize=10)
    axis.grid(axis='x', alpha=0.3)
    return png(figure)


def coverage_chart(shares: Mapping[str, Mapping[str, float]], split: str) -> bytes:
    """Draw the share of images in which a face is found, by class.

    :param shares: by landmark source, then by class and ``all``.
    """
    figure = new_figure(6.4, 3.0)
    axis = figure.subplots()
    for number, (source, found) in enumerate(shares.items()):
        places = np.arange(len(found)) + (number - (len(shares) - 1) / 2) * 0.38
        axis.bar(places, list(found.values()), width=0.36, label=source, color=_COLOURS[number + 1])
        axis.set_xticks(range(len(found)), list(found))
    low = min((value for found in shares.values() for value in found.values()), default=0.0)
    axis.set(ylim=(max(0.0, np.floor(low * 20 - 1) / 20), 1), ylabel='share of images')
    axis.set_title(f'Images in which a face is found, {split}', fontsize=10)
    axis.legend(fontsize=8, loc='upper center', bbox_to_anchor=(0.5, -0.1), ncol=len(shares))
    axis.grid(axis='y', alpha=0.3)
    return png(figure)


def flips_against_delay_chart(compared: Mapping[str, Any], rate: int = 30) -> bytes:
    """Draw flips on steady faces against the delay after a change, with a panel for each source.

    :param compared: by landmark source, of :func:`~.stability.compare_stability`.
    :param rate: frames per second.
    """
    figure = new_figure(4.6 * len(compared), 3.9)
    axes = figure.subplots(1, len(compared), squeeze=False, sharey=True)[0]
    highest = 0.0
    for axis, (source, content) in zip(axes, compared.items()):
        points = {
            name: (metrics[f'{rate}_fps']['median_s'], metrics[f'{rate}_fps']['flips_per_s'])
            for name, metrics in content['models'].items()
            if metrics[f'{rate}_fps']['median_s'] is not None
        }
        highest = max([highest, *(flips for _, flips in points.values())])
        curve = sorted(points[name] for name in points if name.startswith('dense'))
        axis.plot(*np.array(curve).reshape(-1, 2).T, color='#999999', lw=1, zorder=1)
        number = 0
        for name, (delay, flips) in points.items():
            if ', mean of ' in name:
                axis.plot(delay, flips, 's', ms=5, color='#999999')
                axis.annotate(
                    name.split(' of ')[1],
                    (delay, flips),
                    (4, 4),
                    textcoords='offset points',
                    fontsize=7,
                )
                continue
            axis.plot(
                delay,
                flips,
                _MARKERS[number % len(_MARKERS)],
                ms=8,
                alpha=0.8,
                color=_COLOURS[number % len(_COLOURS)],
                label=name,
            )
            number += 1
        if 'dense' in points:
            axis.plot([], [], 's-', ms=5, lw=1, color='#999999', label='moving average of dense')
            axis.axhline(
                points['dense'][1] / 10, color='#D55E00', lw=1, ls=':', label='a tenth of dense'
            )
        axis.set_yscale('symlog', linthresh=0.01)
        axis.set_xlim(0, 1.15 * max([0.1, *(delay for delay, _ in points.values())]))
        axis.set(xlabel='median delay after a change (s)')
        axis.set_title(f'{source}, {rate} frames per second', fontsize=10)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7, loc='lower left')
    axes[0].set_ylim(0, max(2 * highest, 0.1))
    axes[0].set_ylabel('label flips per second, steady face')
    return png(figure)


def timeline_chart(
    times: NDArray[np.float64], scores: Floats, strips: Mapping[str, Sequence[str]], title: str
) -> bytes:
    """Draw a face over time: the blendshapes that move most, and below each model's labels.

    :param times: (T,), seconds.
    :param scores: (T, 52).
    :param strips: by name, the label of each frame.
    """
    figure = new_figure(8.0, 2.2 + 0.32 * len(strips))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.0, 0.32 * len(strips)))
    moving = np.argsort(-np.ptp(scores, axis=0))[:6]
    for number, column in enumerate(sorted(moving)):
        above.plot(
            times, scores[:, column], lw=1, label=BLENDSHAPE_NAMES[column], color=_COLOURS[number]
        )
    above.set(ylabel='score', ylim=(0, 1))
    above.legend(fontsize=7, loc='center left', bbox_to_anchor=(1.0, 0.5))
    above.set_title(title, fontsize=10)
    edges = np.append(times, times[-1] + np.median(np.diff(times)))
    known = list(dict.fromkeys(label for strip in strips.values() for label in strip))
    for row, strip in enumerate(strips.values()):
        colours = np.array([[label_colour(label) for label in strip]], np.uint8)
        below.pcolormesh(edges, [row - 0.4, row + 0.4], colours)
    below.set(ylim=(len(strips) - 0.4, -0.6), yticks=range(len(strips)), xlabel='seconds')
    below.set_yticklabels(list(strips), fontsize=7)
    for label in known:
        below.plot([], [], 's', color=np.array(label_colour(label)) / 255, label=label)
    below.legend(fontsize=7, loc='center left', bbox_to_anchor=(1.0, 0.5))
    return png(figure)


def risk_coverage_chart(
    curves: Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]],
    points: Sequence[Mapping[str, Any]] = (),
) -> bytes:
    """Draw the error rate of the most confident answers against their share.

    :param curves: by branch, of :func:`~.trust.risk_coverage`.
    :param points: thresholds to mark on the first curve, of :func:`~.trust.at_thresholds`.
    """
    figure = new_figure(6.4, 4.0)
    axis = figure.subplots()
    highest = 0.0
    for name, (coverage, risk) in curves.items():
        colour, line, _ = _BRANCH_STYLES.get(name, ('#000000', '-', 'o'))
        axis.plot(coverage, risk, line, color=colour, lw=1.6, label=name)
        highest = max(highest, float(risk[-1]))
    for point in points:
        if point['accuracy'] is not None and point['abstain_below'] > 0:
            position = point['answered'], 1 - point['accuracy']
            axis.plot(*position, 'o', ms=4, color='#000000')
            axis.annotate(
                f'{point["abstain_below"]:g}',
                position,
                (3, -10),
                textcoords='offset points',
                fontsize=7,
            )
    axis.set(
        xlim=(0, 1),
        ylim=(0, 1.2 * highest + 0.01),
        ylabel='error rate of these',
        xlabel='share of faces answered, most confident first',
    )
    axis.set_title('Risk against coverage; dots are values of abstain_below', fontsize=10)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return png(figure)


def threshold_chart(curves: Mapping[str, Curves]) -> bytes:
    """Draw the recall of sad and of happy against the neutral faces that are taken for them.

    :param curves: by title, of :func:`~.threshold_curve.threshold_curves`; dots are values of the
        threshold, the square is the model's own operating point.
    """
    figure = new_figure(9.6, 4.2)
    axes = figure.subplots(1, len(WITH_THRESHOLD), squeeze=False)[0]
    for axis, label in zip(axes, WITH_THRESHOLD):
        for number, (title, each) in enumerate(curves.items()):
            # None: no face is neutral, or none has the label.
            shown = [row for row in each[label] if None not in (row['neutral_told'], row['recall'])]
            places = [(row['neutral_told'], row['recall']) for row in shown]
            colour = _COLOURS[1 + number % (len(_COLOURS) - 1)]
            axis.plot(*np.reshape(places[1:], (-1, 2)).T, '.-', color=colour, lw=1.2, label=title)
            axis.plot(*np.reshape(places[:1], (-1, 2)).T, 's', color=colour, ms=6)
            for row, place in list(zip(shown, places))[1::2] if number == 0 else ():
                axis.annotate(
                    f'{row["threshold"]:g}',
                    place,
                    (4, -9),
                    textcoords='offset points',
                    fontsize=7,
                )
        axis.axvline(MOST_NEUTRAL, color='#777777', lw=1, ls=':')
        axis.set(
            xlim=(-0.005, 0.4),
            ylim=(0, 1),
            xlabel=f'share of neutral faces reported {label}',
            ylabel=f'recall of {label}',
        )
        axis.set_title(f'Dots are values of {label}_threshold, the square is none', fontsize=9)
        axis.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, loc='outside lower center')
    return png(figure)


def condition_chart(rows: Sequence[Mapping[str, Any]], branches: Sequence[str]) -> bytes:
    """Draw the accuracy of each branch in each condition, and the share of faces found.

    :param rows: of :func:`~.trust.condition_metrics` and :func:`~.trust.yaw_metrics`.
    """
    shown = [row for row in rows if branches[0] in row]
    figure = new_figure(7.4, 0.9 + 0.27 * len(shown))
    axis = figure.subplots()
    places = np.arange(len(shown))
    axis.barh(
        places,
        [row['found'] for row in shown],
        color='#dddddd',
        label='share in which a face is found',
    )
    for branch in branches:
        colour, _, marker = _BRANCH_STYLES[branch]
        axis.plot(
            [row[branch]['accuracy'] for row in shown],
            places,
            marker,
            color=colour,
            ms=5,
            ls='',
            label=f'accuracy, {branch}',
        )
    axis.set(yticks=places, xlim=(0, 1), ylim=(len(shown) - 0.4, -0.6))
    axis.set_yticklabels([f'{row["what"]} {row["how_much"]}'.strip() for row in shown], fontsize=7)
    axis.grid(axis='x', alpha=0.3)
    axis.legend(fontsize=7, loc='upper center', bbox_to_anchor=(0.5, -0.04), ncol=2)
    return png(figure)
