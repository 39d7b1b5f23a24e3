"""Pictures of trust: error against coverage, and what hardships cost, as PNG bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from emotion_estimator_training.report.figures import png

#: Okabe and Ito's palette; markers too, for those who see no colours.
_LOOKS = {
    'fused': ('#0072B2', '-', 'o'), 'appearance': ('#D55E00', '--', 's'),
    'blendshapes': ('#009E73', ':', '^'), 'fer': ('#777777', '-.', 'v'),
}


def risk_coverage_chart(
    curves: Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]],
    points: Sequence[Mapping[str, Any]] = (),
) -> bytes:
    """Draw how many answers are wrong among the surest share of them.

    :param curves: by branch, of :func:`~.risk_coverage.curve`.
    :param points: thresholds to mark on the first curve, of
        :func:`~.risk_coverage.at_thresholds`.
    """
    figure = Figure(figsize=(6.4, 4.0), dpi=130, layout='constrained')
    axis = figure.subplots()
    highest = 0.0
    for name, (coverage, risk) in curves.items():
        colour, line, _ = _LOOKS.get(name, ('#000000', '-', 'o'))
        axis.plot(coverage, risk, line, color=colour, lw=1.6, label=name)
        highest = max(highest, float(risk[-1]))
    for point in points:
        if point['accuracy'] is not None and point['abstain_below'] > 0:
            place = point['answered'], 1 - point['accuracy']
            axis.plot(*place, 'o', ms=4, color='#000000')
            axis.annotate(f'{point["abstain_below"]:g}', place, (3, -10),
                          textcoords='offset points', fontsize=7)
    axis.set(xlim=(0, 1), ylim=(0, 1.2 * highest + 0.01), ylabel='share of these that is wrong',
             xlabel='share of faces answered, the surest first')
    axis.set_title('Risk against coverage; dots are values of abstain_below', fontsize=10)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return png(figure)


def condition_chart(rows: Sequence[Mapping[str, Any]], branches: Sequence[str]) -> bytes:
    """Draw the error of each branch in each condition, and the share of faces found.

    :param rows: of :func:`~.trust.condition_figures` and :func:`~.trust.yaw_figures`.
    """
    shown = [row for row in rows if branches[0] in row]
    figure = Figure(figsize=(7.4, 0.9 + 0.27 * len(shown)), dpi=130, layout='constrained')
    axis = figure.subplots()
    places = np.arange(len(shown))
    axis.barh(places, [row['found'] for row in shown], color='#dddddd',
              label='share in which a face is found')
    for branch in branches:
        colour, _, marker = _LOOKS[branch]
        axis.plot([row[branch]['accuracy'] for row in shown], places, marker, color=colour, ms=5,
                  ls='', label=f'accuracy, {branch}')
    axis.set(yticks=places, xlim=(0, 1), ylim=(len(shown) - 0.4, -0.6))
    axis.set_yticklabels([f'{row["what"]} {row["how_much"]}'.strip() for row in shown], fontsize=7)
    axis.grid(axis='x', alpha=0.3)
    axis.legend(fontsize=7, loc='upper center', bbox_to_anchor=(0.5, -0.04), ncol=2)
    return png(figure)
