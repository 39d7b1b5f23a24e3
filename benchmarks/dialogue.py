"""How often the dialogue manager intervenes wrongly, and how late, on noisy courses.

Against acting on each message at once, and against the majority of the last ten seconds, on the
same messages and by the same rules: docs/dialogue_benchmark.md says how, and holds the tables,
which --write puts there.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from emotion_estimator.dialogue.baselines import RETURNED, EachMessage, Majority, Trigger
from emotion_estimator.dialogue.noise import Noise, Segment, observe, truth
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.dialogue.scoring import (
    Episode,
    Intervention,
    Score,
    episodes,
    score,
)
from emotion_estimator.emotion import NONE, FaceEmotion, primary
from emotion_estimator.resources import resource_dir

DOCUMENT = Path(__file__).parents[1] / 'docs' / 'dialogue_benchmark.md'
BEGIN, END = '<!-- tables: begin -->', '<!-- tables: end -->'

Observed = Sequence[tuple[float, 'FaceEmotion | None']]
Decide = Callable[['FaceEmotion | None', float], 'str | None']


@dataclass(frozen=True)
class Setting:
    """One line of a table."""

    noise: Noise
    rate: float

    def __str__(self) -> str:
        return f'{self.noise.labels:.0%}'


def kind_of(rule: dict[str, Any]) -> str | None:
    """Return what a rule's interventions are about; None for what truth says nothing of."""
    labels = rule['emotion'] if isinstance(rule['emotion'], list) else [rule['emotion']]
    if rule['action'] == 'resume':
        return RETURNED
    if set(labels) & {NONE, 'face_lost'}:
        return NONE
    return labels[0] if labels in (['happy'], ['sad']) else None


def first_rules(policy: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the rule that answers first for each kind; the others are what follows later."""
    found: dict[str, dict[str, Any]] = {}
    for rule in policy['rules']:
        kind = kind_of(rule)
        if kind and rule['action'] != 'end' and (
            kind not in found or rule.get('held_for', 1) < found[kind].get('held_for', 1)
        ):
            found[kind] = rule
    return found


class Contest:
    """The three policies under the same rules."""

    def __init__(self, policy: Path, cooldowns: bool) -> None:
        raw = yaml.safe_load(policy.read_text(encoding='utf-8'))
        rules = first_rules(raw)
        if not cooldowns:
            raw['min_gap'] = 0.0
            for rule in rules.values():
                rule['cooldown'] = 0.0
        raw['rules'] = list(rules.values())
        self._raw = raw
        self._gap = raw.get('min_gap', 2.0)
        self._triggers = {
            kind: Trigger(rule.get('priority', 0), rule.get('cooldown', 10.0))
            for kind, rule in rules.items()
        }
        self.cooldowns = cooldowns

    def naive(self) -> Decide:
        return _labelled(EachMessage(self._triggers, self._gap))

    def majority(self) -> Decide:
        return _labelled(Majority(EachMessage(self._triggers, self._gap)))

    def ours(self) -> Decide:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / 'policy.yaml'
            path.write_text(yaml.safe_dump(self._raw), encoding='utf-8')
            manager = DialogueManager.load(path)

        def decide(face: FaceEmotion | None, stamp: float) -> str | None:
            action = manager(face, stamp)
            if action is None:
                return None
            return RETURNED if action.action == 'resume' else action.emotion

        return decide

    def due(self, segments: Sequence[Segment], rate: float) -> tuple[Episode, ...]:
        """Return the episodes that acting on the truth itself answers within a second."""
        exact = run(self.naive(), observe(segments, Noise(), rate, 0))
        wanted = episodes(segments)
        return tuple(
            each for each in wanted if any(
                made.kind == each.kind and each.begin <= made.stamp + 1e-6 <= each.begin + 1
                for made in exact
            )
        )


def _labelled(decide: Callable[[str, float], str | None]) -> Decide:
    return lambda face, stamp: decide(face.label if face else NONE, stamp)


def run(
    decide: Decide, observed: Iterable[tuple[float, FaceEmotion | None]], changes: bool = False
) -> list[Intervention]:
    """Return what a policy does.

    :param changes: without cooldowns, what goes on from one message to the next counts once.
    """
    made, before = [], None
    for stamp, face in observed:
        kind = decide(face, stamp)
        if kind is not None and not (changes and kind == before):
            made.append(Intervention(stamp, kind))
        before = kind
    return made
