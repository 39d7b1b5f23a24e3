"""Measure how often the dialogue manager intervenes wrongly, and how late, on noisy labels.

Compared with acting on each message at once and on the majority of the last ten seconds, given the
same messages and rules. docs/dialogue_benchmark.md describes the method and holds the results.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from emotion_estimator import strict_yaml
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.emotion import NONE, FaceEmotion
from emotion_estimator.resources import resource_dir
from emotion_estimator.worker_pool import on_processes

from dialogue_baselines import RETURNED, EachMessage, Majority, Trigger
from dialogue_noise import Noise, Segment, ground_truth, observe
from dialogue_scoring import (
    KINDS,
    Episode,
    Intervention,
    Score,
    episodes,
    score,
)

DOCUMENT = Path(__file__).parents[1] / 'docs' / 'dialogue_benchmark.md'
BEGIN, END = '<!-- written by make bench-dialogue -->', '<!-- end of what is written -->'

POLICIES = ('naive', 'majority', 'manager')
#: Messages per second in tables that do not vary the rate.
RATE = 15.0
#: What interventions are about, as the tables name it.
KIND_NAMES = {'happy': 'joy', 'sad': 'sadness', NONE: 'leaving', RETURNED: 'return'}

Message = tuple[float, 'FaceEmotion | None']
Decide = Callable[['FaceEmotion | None', float], 'str | None']


@dataclass(frozen=True)
class Setting:
    """The conditions of one measurement: a row of a table."""

    noise: Noise
    rate: float = RATE

    @property
    def errors(self) -> str:
        """Return in words how long errors last."""
        if not self.noise.labels:
            return ''
        return f'{self.noise.burst:g} s' if self.noise.burst else 'single'


LABELS = [
    Setting(Noise()),
    *(Setting(Noise(n / 10, burst)) for burst in (0.0, 0.4, 1.0) for n in (1, 2, 3, 4)),
]
RATES = [Setting(Noise(0.2, burst), rate) for burst in (0.0, 0.4) for rate in (5, 10, 30, 60)]
DROPOUTS = [
    Setting(Noise(0.2, burst, undetected=undetected, lost=lost))
    for burst in (0.0, 0.4)
    for undetected, lost in ((0.05, 0.0), (0.0, 0.2), (0.05, 0.2), (0.1, 0.4))
]
#: Settings for which the tables show the aim and each kind of intervention.
AIM = [setting for setting in LABELS if setting.noise.labels == 0.2]


def rule_kind(rule: dict[str, Any]) -> str | None:
    """Return what a rule's interventions are about; None for rules that are not measured."""
    labels = rule['emotion'] if isinstance(rule['emotion'], list) else [rule['emotion']]
    if rule['action'] == 'resume':
        return RETURNED
    if rule['action'] != 'end' and set(labels) & {NONE, 'face_lost'}:
        return NONE
    return labels[0] if labels in (['happy'], ['sad']) else None


def first_rules(policy: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the first rule to act of each kind; the others act on what lasts longer."""
    ranked = sorted(policy['rules'], key=lambda rule: -rule.get('held_for', 1.0))
    found = {kind: rule for rule in ranked if (kind := rule_kind(rule))}
    return {kind: found[kind] for kind in KINDS}


class PolicyComparison:
    """The three policies with the same rules, with the same cooldowns or without any."""

    def __init__(self, policy: Path, cooldowns: bool) -> None:
        raw = strict_yaml.read_yaml(policy)
        self.rules = first_rules(raw)
        if not cooldowns:
            raw['min_gap'] = 0.0
            for rule in self.rules.values():
                rule['cooldown'] = 0.0
        self._policy = {**raw, 'rules': list(self.rules.values())}
        self._gap = raw.get('min_gap', 2.0)
        self._triggers = {
            kind: Trigger(rule.get('priority', 0), rule.get('cooldown', 10.0))
            for kind, rule in self.rules.items()
        }

    def naive(self) -> Decide:
        """Return a policy that acts on each message."""
        return _by_label(EachMessage(self._triggers, self._gap))

    def majority(self) -> Decide:
        """Return a policy that acts on the majority of the last ten seconds."""
        return _by_label(Majority(EachMessage(self._triggers, self._gap)))

    def manager(self) -> Decide:
        """Return the dialogue manager as a policy."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / 'policy.yaml'
            path.write_text(yaml.safe_dump(self._policy), encoding='utf-8')
            manager = DialogueManager.load(path)
        kinds = {rule['name']: kind for kind, rule in self.rules.items()}

        def decide(face: FaceEmotion | None, stamp: float) -> str | None:
            action = manager(face, stamp)
            return kinds[action.rule] if action else None

        return decide

    def due(self, segments: Sequence[Segment], rate: float) -> list[Episode]:
        """Return the episodes that acting on the ground truth answers within a second."""
        exact = run(self.naive(), observe(segments, Noise(), rate, 0))
        answered = {
            episode
            for episode in episodes(segments)
            if (only := score(exact, segments, [episode])).delays and only.delays[0] <= 1.0
        }
        return sorted(answered, key=lambda episode: episode.begin)


def _by_label(decide: Callable[[str, float], str | None]) -> Decide:
    return lambda face, stamp: decide(face.label if face else NONE, stamp)


def run(decide: Decide, messages: Iterable[Message], changes: bool = False) -> list[Intervention]:
    """Return the interventions of a policy.

    :param changes: count an intervention that repeats with the next message once.
    """
    made, before = [], None
    for stamp, face in messages:
        kind = decide(face, stamp)
        if kind is not None and not (changes and kind == before):
            made.append(Intervention(stamp, kind))
        before = kind
    return made


@dataclass(frozen=True)
class PolicyScores:
    """The scores of the three policies, in total and by kind of intervention."""

    setting: Setting
    cooldowns: bool
    scores: dict[str, Score]
    kinds: dict[str, dict[str, Score]]


def measure(policy: Path, seconds: float, seed: int, task: tuple[Setting, bool]) -> PolicyScores:
    """Score the three policies on the same messages."""
    setting, cooldowns = task
    segments = ground_truth(seconds, seed)
    messages = list(observe(segments, setting.noise, setting.rate, seed + 1))
    comparison = PolicyComparison(policy, cooldowns)
    due = comparison.due(segments, setting.rate)
    made = {
        name: run(getattr(comparison, name)(), messages, changes=not cooldowns) for name in POLICIES
    }
    kinds = {
        kind: {
            name: score(
                [each for each in did if each.kind == kind], segments,
                [episode for episode in due if episode.kind == kind],
            )
            for name, did in made.items()
        }
        for kind in KINDS
    }  # fmt: skip
    scores = {name: score(did, segments, due) for name, did in made.items()}
    return PolicyScores(setting, cooldowns, scores, kinds)


def _three(scores: dict[str, Score], value: Callable[[Score], float], form: str) -> str:
    """Return a cell: naive / majority / manager."""
    return ' / '.join(format(value(scores[name]), form).replace('inf', '-') for name in POLICIES)


def _cells(scores: dict[str, Score]) -> str:
    return ' | '.join(
        (
            _three(scores, lambda s: s.wrong_per_minute, '.2f'),
            _three(scores, lambda s: 100 * s.missed, '.0f'),
            _three(scores, lambda s: s.delay(0.5), '.2f'),
            _three(scores, lambda s: s.delay(0.95), '.2f'),
        )
    )


_HEAD = 'wrong a minute | missed, % | delay: median, s | delay: 95 %, s |'


def _table(first: str, rows: Iterable[str]) -> Iterator[str]:
    columns = first.count('|') + 3
    yield f'| {first} | {_HEAD}'
    yield '|---' * (columns + 2) + '|'
    yield from rows
    yield ''


def rules_measured(policy: Path) -> Iterator[str]:
    """Yield the lines of a table of the rules that all three use."""
    yield '| about | rule | window, s | while the label flickers, s | share | cooldown, s |'
    yield '|---|---|---|---|---|---|'
    for kind, rule in PolicyComparison(policy, True).rules.items():
        window = rule.get('held_for', 1.0)
        yield (
            f'| {KIND_NAMES[kind]} | {rule["name"]} | '
            f'{window:g} | {rule.get("restless_for", window):g} | '
            f'{rule.get("share", 0.65):g} | {rule.get("cooldown", 10):g} |'
        )
    yield ''


def report(found: Sequence[PolicyScores], policy: Path, minutes: float, seed: int) -> Iterator[str]:
    """Yield the lines of all tables."""
    yield (
        f'Each line is {minutes:g} minutes, seed {seed}. Cells are *each message / majority / '
        'dialogue manager*; - is never.'
    )
    yield ''
    yield from rules_measured(policy)
    yield from _aim(found)
    for cooldowns in (True, False):
        kept = "With the rules' cooldowns" if cooldowns else 'Without cooldowns'
        here = {each.setting: each for each in found if each.cooldowns == cooldowns}
        yield f'### {kept}: labels'
        yield ''
        yield from _table(
            'noise | errors last',
            (f'| {s.noise.labels:.0%} | {s.errors} | {_cells(here[s].scores)} |' for s in LABELS),
        )
        yield f'### {kept}: rates, at 20 %'
        yield ''
        yield from _table(
            'messages a second | errors last',
            (f'| {s.rate:g} | {s.errors} | {_cells(here[s].scores)} |' for s in RATES),
        )
        yield f'### {kept}: dropouts, at 20 %'
        yield ''
        yield from _table(
            'face missed | message lost | errors last',
            (
                f'| {s.noise.undetected:.0%} | {s.noise.lost:.0%} | {s.errors} | '
                f'{_cells(here[s].scores)} |'
                for s in DROPOUTS
            ),
        )
        yield f'### {kept}: what interventions are about, at 20 %'
        yield ''
        yield from _table(
            'about | errors last',
            (
                f'| {KIND_NAMES[kind]} | {s.errors} | {_cells(here[s].kinds[kind])} |'
                for s in AIM
                for kind in KINDS
            ),
        )


def _aim(found: Sequence[PolicyScores]) -> Iterator[str]:
    """Yield a table of whether the aim is met, a row for each kind of error."""
    quick = {each.setting: each.scores for each in found if not each.cooldowns}
    yield (
        '| at 20 %, errors last | cooldowns | wrong, of what each message does wrong | '
        'later by (median), s | aim |'
    )
    yield '|---|---|---|---|---|'
    for each in found:
        if each.setting not in AIM:
            continue
        share = each.scores['manager'].wrong / max(1, each.scores['naive'].wrong)
        # Compared with its best delay: with cooldowns it is often not ready in time.
        naive = quick[each.setting]['naive'].delay(0.5)
        later = each.scores['manager'].delay(0.5) - naive
        met = 'met' if share <= 0.1 and later <= 1.5 else 'not met'
        kept = 'with' if each.cooldowns else 'without'
        yield f'| {each.setting.errors} | {kept} | {share:.1%} | {later:.2f} | {met} |'
    yield ''


def write(lines: Sequence[str]) -> None:
    """Replace the lines between the marks in the document."""
    before, _, rest = DOCUMENT.read_text(encoding='utf-8').partition(BEGIN)
    after = rest.partition(END)[2]
    text = '\n'.join([f'{before}{BEGIN}', *lines, f'{END}{after}'])
    DOCUMENT.write_text(text, encoding='utf-8')


def main() -> int:
    """Print or write the tables; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--policy', type=Path, default=resource_dir('config') / 'dialogue.yaml')
    parser.add_argument('--minutes', type=float, default=60.0, help='length of each conversation')
    parser.add_argument(
        '--seed', type=int, default=1000, help='seeds below 1000 are for tuning rules'
    )
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    parser.add_argument('--write', action='store_true', help=f'write the tables to {DOCUMENT.name}')
    options = parser.parse_args()
    tasks = [(s, kept) for kept in (True, False) for s in (*LABELS, *RATES, *DROPOUTS)]
    work = partial(measure, options.policy, 60 * options.minutes, options.seed)
    found: dict[int, PolicyScores] = {}
    runs = on_processes(options.jobs)(work, tasks)
    for index, measured in tqdm(runs, total=len(tasks), unit='setting', leave=False):
        found[index] = measured
    ordered = [found[index] for index in range(len(tasks))]
    lines = list(report(ordered, options.policy, options.minutes, options.seed))
    if not options.write:
        print('\n'.join(lines))
        return 0
    write(lines)
    return 0


if __name__ == '__main__':
    sys.exit(main())
