"""The tables of the dialogue benchmark: measures with confidence intervals, by conversation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dialogue_scoring import ConversationScore

#: Samples of the bootstrap, and the seed that draws them.
_SAMPLES, _SEED = 1000, 16

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ConfidenceInterval:
    """A value with its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def text(self, form: str) -> str:
        """Return ``value (low to high)``, each in this format; a dash for never."""
        value, low, high = (
            '-' if math.isinf(each) or math.isnan(each) else format(each, form)
            for each in (self.value, self.low, self.high)
        )
        return value if value == low == high == '-' else f'{value} ({low} to {high})'


@dataclass(frozen=True)
class Measure:
    """A column: the sum of one score over that of another, or a quantile of single values.

    :param name: head of the column.
    :param counted: name in ``ConversationScore.sums``, or in ``series`` for a quantile.
    :param per: name in ``sums`` of what it is divided by; empty for a quantile.
    :param factor: multiplies the ratio.
    :param form: format of the numbers.
    :param quantile: 0 to 1.
    :param goal: least and greatest value aimed at; None: none.
    """

    name: str
    counted: str
    per: str = ''
    factor: float = 1.0
    form: str = '.1f'
    quantile: float = 0.5
    goal: tuple[float, float] | None = None

    def __call__(self, scores: Sequence[ConversationScore]) -> ConfidenceInterval:
        """Return the value over some conversations, with the interval of resampling them."""
        draws = np.random.default_rng(_SEED)
        drawn = draws.multinomial(len(scores), np.full(len(scores), 1 / len(scores)), _SAMPLES)
        if self.per:
            return self._ratio(scores, drawn)
        return self._quantile(scores, drawn)

    def _ratio(
        self, scores: Sequence[ConversationScore], drawn: NDArray[np.int64]
    ) -> ConfidenceInterval:
        counts = np.array([score.sums[self.counted] for score in scores])
        totals = np.array([score.sums[self.per] for score in scores])
        if totals.sum() == 0:
            return ConfidenceInterval(math.nan, math.nan, math.nan)
        value = self.factor * counts.sum() / totals.sum()
        if counts.sum() == 0:
            # Resampling cannot tell zero from rare; the rule of three can.
            return ConfidenceInterval(0.0, 0.0, self.factor * min(1.0, 3 / totals.sum()))
        with np.errstate(divide='ignore', invalid='ignore'):
            ratios = self.factor * (drawn @ counts) / (drawn @ totals)
        low, high = np.nanpercentile(ratios, [2.5, 97.5])
        return ConfidenceInterval(float(value), float(low), float(high))

    def _quantile(
        self, scores: Sequence[ConversationScore], drawn: NDArray[np.int64]
    ) -> ConfidenceInterval:
        values = np.array([v for score in scores for v in score.series[self.counted]])
        if not len(values):
            return ConfidenceInterval(math.nan, math.nan, math.nan)
        owners = np.repeat(np.arange(len(scores)), [len(s.series[self.counted]) for s in scores])
        order = np.argsort(values, kind='stable')
        values, owners = values[order], owners[order]
        weights = np.cumsum(np.vstack([np.ones(len(scores), np.int64), drawn])[:, owners], axis=1)
        found = [
            values[np.searchsorted(row, self.quantile * row[-1] - 1e-9)]
            for row in weights
            # A sample may have drawn only conversations without a value.
            if row[-1]
        ]
        # Not interpolated: infinite values are those of what was missed.
        ranked = np.sort(found[1:])
        edges = (math.ceil(share * len(ranked)) - 1 for share in (0.025, 0.975))
        low, high = (float(ranked[edge]) for edge in edges)
        return ConfidenceInterval(float(found[0]), low, high)


_HOUR = 3600.0

#: Who speaks when.
TURNS: tuple[Measure, ...] = (
    Measure('into speech, /h', 'in speech', 'seconds', _HOUR, '.2f', goal=(0, 0)),
    Measure('into a pause, /h', 'in pause', 'seconds', _HOUR, '.2f'),
    Measure('both at once, /h', 'at once', 'seconds', _HOUR, '.2f'),
    Measure('over itself, %', 'own overlaps', 'neighbours', 100, goal=(0, 0)),
    Measure('questions cut short, %', 'hasty', 'questions', 100, '.2f', goal=(0, 0)),
    Measure('to nobody, /h', 'to nobody', 'seconds', _HOUR, '.2f', goal=(0, 0)),
    Measure('unanswered turns, %', 'unanswered', 'turns', 100, '.2f', goal=(0, 2)),
    Measure('interrupted by the person, /h', 'by person', 'seconds', _HOUR),
    Measure('then talks on (median), s', 'talks on', form='.2f'),
)

#: What is said, and about which expressions.
WORDS: tuple[Measure, ...] = (
    Measure('wrong, /min', 'wrong', 'seconds', 60, '.3f'),
    Measure('of actions about an expression, %', 'wrong', 'about', 100),
    Measure('jokes at sadness, /h', 'jokes', 'seconds', _HOUR, '.2f', goal=(0, 0)),
    Measure('repeated, %', 'repeated', 'utterances', 100),
    Measure('speaks, %', 'robot speaks', 'present', 100, goal=(25, 45)),
    Measure('topics in 10 min', 'topics', 'seconds', 600, goal=(1, 4)),
    Measure('words', 'words', 'utterances'),
)

#: How late, and how often, expressions get a reaction.
DELAYS: tuple[Measure, ...] = tuple(
    measure
    for label, name in (('sad', 'sadness'), ('happy', 'joy'))
    for measure in (
        Measure(f'{name}: median, s', f'delay {label}'),
        Measure('95 %, s', f'delay {label}', quantile=0.95),
        Measure('of it idle (median), s', f'idle {label}'),
        Measure('missed, %', f'missed {label}', f'due {label}', 100),
        Measure('answered of all, %', f'answered {label}', f'shown {label}', 100),
    )
)

#: The scores of conversations, by row of a table.
Rows = Mapping[str, Sequence[ConversationScore]]


def table(first: str, rows: Rows, measures: Sequence[Measure]) -> Iterator[str]:
    """Yield the lines of a table.

    :param first: head of the first column; ``|`` in it and in the rows separates columns.
    """
    columns = [first, *(measure.name for measure in measures)]
    yield f'| {" | ".join(columns)} |'
    yield '|---' * (first.count('|') + len(columns)) + '|'
    for name, scores in rows.items():
        cells = (measure(scores).text(measure.form) for measure in measures)
        yield f'| {name} | {" | ".join(cells)} |'
    yield ''


def goals(rows: Rows) -> Iterator[str]:
    """Yield a table of the measures with a goal, a column for each of the rows."""
    yield f'| | goal | {" | ".join(rows)} |'
    yield '|---' * (2 + len(rows)) + '|'
    for measure in (*TURNS, *WORDS):
        if measure.goal is None:
            continue
        low, high = measure.goal
        aim = f'{low:g}' if low == high else f'{low:g} to {high:g}'
        found = [measure(scores) for scores in rows.values()]
        cells = (
            f'{each.text(measure.form)}{"" if low <= each.value <= high else " **not met**"}'
            for each in found
        )
        yield f'| {measure.name} | {aim} | {" | ".join(cells)} |'
    yield ''
