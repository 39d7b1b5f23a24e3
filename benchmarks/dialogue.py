"""Measure conversations with simulated people: who speaks when, about what, and how rightly.

The shipped dialogue manager, the one that did not wait for its turn, and acting on each message,
with the same people. docs/dialogue_benchmark.md describes the method and holds the results.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import inspect
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from tqdm import tqdm

from emotion_estimator import strict_yaml
from emotion_estimator.dialogue.conversation_file import ConversationFile, load_conversation
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.dialogue.policy_file import PolicyFile, parse_policy
from emotion_estimator.emotion import NONE
from emotion_estimator.resources import resource_dir
from emotion_estimator.simulation.closed_loop import (
    WORDS_PER_MINUTE,
    ConversationRecord,
    converse,
    transcript,
)
from emotion_estimator.simulation.noise import Noise
from emotion_estimator.simulation.people import PEOPLE
from emotion_estimator.worker_pool import on_processes

from dialogue_scoring import ConversationScore, score
from dialogue_tables import DELAYS, TURNS, WORDS, Measure, goals, table

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / 'docs' / 'dialogue_benchmark.md'
BEGIN, END = '<!-- written by make bench-dialogue -->', '<!-- end of what is written -->'
CACHE = ROOT / 'out' / 'dialogue_benchmark' / 'conversations.jsonl'

#: The policies, by name, with the files that define them: policy and conversation.
_HERE, _SHIPPED = Path(__file__).parent, resource_dir('config')
POLICIES: Mapping[str, tuple[Path, Path]] = {
    'old': (_HERE / 'old_dialogue.yaml', _HERE / 'old_conversation.yaml'),
    'naive': (_HERE / 'old_dialogue.yaml', _HERE / 'old_conversation.yaml'),
    'manager': (_SHIPPED / 'dialogue.yaml', _SHIPPED / 'conversation_en.yaml'),
}

#: Seconds of a conversation.
SECONDS = 600.0
#: Messages per second where the tables do not vary the rate.
RATE = 10.0
#: Shares of wrong labels, and how long an error lasts in the mean, in seconds.
SHARES, BURST = (0.0, 0.1, 0.2), 0.4
#: Of this many people of a kind, one is in the tables that vary the rate and the like; at least 2.
FEWER = 10


@dataclass(frozen=True)
class Condition:
    """What a conversation is held with: a row of a table.

    :param policy: name of the policy, one of ``POLICIES``.
    :param noise: share of wrong labels.
    :param burst: mean seconds for which an error lasts.
    :param rate: messages per second.
    :param reports: whether the robot's voice reports when it speaks.
    :param words_per_minute: how fast the robot's voice is.
    """

    policy: str
    noise: float = 0.2
    burst: float = BURST
    rate: float = RATE
    reports: bool = True
    words_per_minute: float = WORDS_PER_MINUTE


@dataclass(frozen=True)
class SeededConversation:
    """A conversation to simulate.

    :param kind: of person, one of ``PEOPLE``.
    :param seed: of person, noise and delays.
    """

    condition: Condition
    kind: str
    seed: int
    seconds: float = SECONDS


MAIN = tuple(Condition(policy, share) for policy in POLICIES for share in SHARES)
SHIPPED = Condition('manager')
VARIED: Mapping[str, Condition] = {
    **{f'{rate:g} messages a second': replace(SHIPPED, rate=rate) for rate in (30.0, 15.0, 5.0)},
    "the robot's voice reports nothing": replace(SHIPPED, reports=False),
    'and takes a quarter longer than assumed': replace(
        SHIPPED, reports=False, words_per_minute=0.8 * WORDS_PER_MINUTE
    ),
    'errors of single messages': replace(SHIPPED, burst=0.0),
    'errors of single messages, 30 a second': replace(SHIPPED, burst=0.0, rate=30.0),
    'errors of 1 s': replace(SHIPPED, burst=1.0),
}
#: Conditions in which the manager's wrong actions are compared with those of the naive policy.
COMPARED: Mapping[str, Condition] = {
    'errors of 0.4 s': SHIPPED,
    'errors of single messages': replace(SHIPPED, burst=0.0),
    'errors of 1 s': replace(SHIPPED, burst=1.0),
}


def naive(policy: dict[str, Any]) -> dict[str, Any]:
    """Return a policy whose rules each believe one message, as soon as it comes.

    That holds for up to 20 messages a second, which is how often the manager looks at its rules.

    Of the rules about joy, sadness, leaving and return those that answer first, with their
    cooldowns, priorities and ``min_gap``. The others answer what lasts longer, and one message
    knows nothing of lasting.

    :param policy: content of a policy file.
    """
    first: dict[str, dict[str, Any]] = {}
    for rule in sorted(policy['rules'], key=lambda rule: -rule.get('held_for', 1.0)):
        if rule['emotion'] in ('happy', 'sad', NONE, 'face') and rule['action'] != 'end':
            first[rule['emotion']] = rule
    one_message = {
        'held_for': 0.05, 'restless_for': 0.05, 'share': 0.05, 'release': 0.0, 'repeat': 0.0,
        'while_speaking': True,
    }  # fmt: skip
    rules = [{**rule, **one_message} for rule in first.values()]
    return {**policy, 'after_speaking': 0.0, 'rules': rules}


def new_manager(policy: str) -> DialogueManager:
    """Return a manager that begins a conversation.

    :param policy: one of ``POLICIES``.
    """
    return DialogueManager(*_files(policy))


@lru_cache
def _files(policy: str) -> tuple[PolicyFile, ConversationFile]:
    """Read the files of a policy once: that takes as long as some minutes of a conversation."""
    rules, words = POLICIES[policy]
    raw = strict_yaml.read_yaml(rules)
    content = naive(raw) if policy == 'naive' else raw
    return parse_policy(content, str(rules)), load_conversation(words)


def record(task: SeededConversation) -> ConversationRecord:
    """Simulate a conversation."""
    given = task.condition
    return converse(
        new_manager(given.policy), PEOPLE[task.kind](task.seed), task.seconds, given.rate,
        Noise(given.noise, given.burst), task.seed, given.reports, given.words_per_minute,
    )  # fmt: skip


def measure(task: SeededConversation) -> ConversationScore:
    """Simulate and score a conversation."""
    return score(record(task))


def source_of(policy: str) -> str:
    """Return a hash of everything that a conversation of this policy depends on.

    Comments, docstrings and formatting do not count.
    """
    package = ROOT / 'emotion_estimator'
    code = [
        *sorted((package / 'dialogue').glob('*.py')),
        *sorted((package / 'simulation').glob('*.py')),
        package / 'emotion.py',
        _HERE / 'dialogue_scoring.py',
    ]
    content = hashlib.sha256(policy.encode())
    # This file decides how a conversation is held, and also much that is none of its business.
    for held in (naive, _files.__wrapped__, record):
        content.update(_meaning(inspect.getsource(held)).encode())
    for file in code:
        content.update(_meaning(file.read_text(encoding='utf-8')).encode())
    for file in POLICIES[policy]:
        content.update(json.dumps(strict_yaml.read_yaml(file)).encode())
    return content.hexdigest()[:16]


def _meaning(source: str) -> str:
    """Return Python code without what does not change what it does."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return ast.dump(tree)


class ConversationCache:
    """Scores of finished conversations in a file of JSON lines, which an interruption keeps.

    A score counts only while everything that it depends on is unchanged.
    """

    def __init__(self, path: Path) -> None:
        """:param path: file to continue; it need not exist."""
        self._path = path
        self._sources = {policy: source_of(policy) for policy in POLICIES}
        self._scores: dict[str, ConversationScore] = {}
        if path.exists():
            self._read()

    def __contains__(self, task: SeededConversation) -> bool:
        return self._key(task) in self._scores

    def __getitem__(self, task: SeededConversation) -> ConversationScore:
        return self._scores[self._key(task)]

    def __setitem__(self, task: SeededConversation, found: ConversationScore) -> None:
        self._scores[self._key(task)] = found
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open('a', encoding='utf-8') as file:
            file.write(json.dumps({'key': self._key(task), **asdict(found)}) + '\n')

    def _key(self, task: SeededConversation) -> str:
        source = self._sources[task.condition.policy]
        return json.dumps([source, asdict(task)], sort_keys=True)

    def _read(self) -> None:
        """Read what still counts, and forget the rest."""
        kept = []
        for line in self._path.read_text(encoding='utf-8').splitlines():
            try:
                entry = json.loads(line)
                source = json.loads(entry['key'])[0]
                found = ConversationScore(entry['sums'], entry['series'])
            except (ValueError, KeyError):
                # The last line of a run that was killed.
                continue
            if source in self._sources.values():
                self._scores[entry['key']] = found
                kept.append(line)
        self._path.write_text(''.join(f'{line}\n' for line in kept), encoding='utf-8')


def conversations(people: int, seconds: float, first_seed: int) -> list[SeededConversation]:
    """Return all conversations of the benchmark.

    :param people: of each kind in the main tables.
    """
    tasks = [
        SeededConversation(condition, kind, seed, seconds)
        for condition in MAIN
        for kind in PEOPLE
        for seed in range(first_seed, first_seed + people)
    ]
    fewer = _fewer(people)
    compared = [replace(condition, policy='naive') for condition in COMPARED.values()]
    tasks += [
        SeededConversation(condition, kind, seed, seconds)
        for condition in (*VARIED.values(), *COMPARED.values(), *compared)
        for kind in PEOPLE
        for seed in range(first_seed, first_seed + fewer)
    ]
    # In the order of seeds: what is cut short has fewer conversations in every line.
    return sorted(dict.fromkeys(tasks), key=lambda task: task.seed)


def _fewer(people: int) -> int:
    return min(people, max(2, people // FEWER))


def hold(tasks: Sequence[SeededConversation], cache: ConversationCache, jobs: int) -> None:
    """Simulate and score the conversations that the cache lacks, with a progress bar."""
    missing = [task for task in tasks if task not in cache]
    finished = len(tasks) - len(missing)
    with tqdm(
        total=len(tasks), initial=finished, unit='conversation', smoothing=0.05, leave=False
    ) as bar:
        for index, found in on_processes(jobs)(measure, missing):
            cache[missing[index]] = found
            bar.update()


class _Scores:
    """Finds the scores of a condition."""

    def __init__(self, tasks: Sequence[SeededConversation], cache: ConversationCache) -> None:
        self._tasks = tasks
        self._cache = cache

    def __call__(
        self, condition: Condition, kind: str = '', seeds: int | None = None
    ) -> list[ConversationScore]:
        """Return the scores, of one kind of person, or of all (empty).

        :param seeds: the first so many of each kind; None: all.
        """
        tasks = [t for t in self._tasks if t.condition == condition and kind in ('', t.kind)]
        first = min((task.seed for task in tasks), default=0)
        return [self._cache[t] for t in tasks if seeds is None or t.seed < first + seeds]


def report(
    tasks: Sequence[SeededConversation], cache: ConversationCache, people: int
) -> Iterator[str]:
    """Yield the lines of all tables.

    :param people: of each kind in the main tables.
    """
    scores, fewer = _Scores(tasks, cache), _fewer(people)
    manager = {f'{share:.0%} wrong labels': scores(Condition('manager', share)) for share in SHARES}
    yield (
        f'{people * len(PEOPLE)} conversations of {tasks[0].seconds / 60:g} minutes a line, '
        f'{people} of each kind of person, at {RATE:g} messages a second, errors of {BURST:g} s. '
        'In brackets the 95 % confidence interval; - is never.'
    )
    yield ''
    yield '### The aims, and what the shipped policy reaches'
    yield ''
    yield from goals(manager)
    yield from _aim(scores, fewer)
    compared = {
        f'{condition.policy} | {condition.noise:.0%}': scores(condition) for condition in MAIN
    }
    for title, measures in _TABLES.items():
        yield f'### {title}: the policies'
        yield ''
        yield from table('policy | wrong labels', compared, measures)
    kinds = {kind: scores(SHIPPED, kind) for kind in PEOPLE}
    for title, measures in _TABLES.items():
        yield f'### {title}: kinds of people, at 20 % wrong labels'
        yield ''
        yield from table('person', {**kinds, 'all': scores(SHIPPED)}, measures)
    varied = {name: scores(condition) for name, condition in VARIED.items()}
    same = {f'as above, {RATE:g} messages a second': scores(SHIPPED, seeds=fewer)}
    yield (
        f'The following tables hold {fewer * len(PEOPLE)} conversations a line, the first '
        f'{fewer} of each kind.'
    )
    yield ''
    for title, measures in _TABLES.items():
        yield f'### {title}: other conditions, at 20 % wrong labels'
        yield ''
        yield from table('condition', {**same, **varied}, measures)


_TABLES: Mapping[str, tuple[Measure, ...]] = {
    'Turns': TURNS,
    'Words and expressions': WORDS,
    'Reactions': DELAYS,
}


def _aim(scores: _Scores, fewer: int) -> Iterator[str]:
    """Yield a table of how much less wrong the manager is than acting on each message."""
    yield (
        '| at 20 % wrong labels | wrong a minute: each message | manager | of that | '
        'a tenth or less |'
    )
    yield '|---' * 5 + '|'
    wrong = WORDS[0]
    for name, condition in COMPARED.items():
        ours = wrong(scores(condition, seeds=fewer))
        theirs = wrong(scores(replace(condition, policy='naive'), seeds=fewer))
        share = ours.value / theirs.value if theirs.value else 0.0
        yield (
            f'| {name} | {theirs.text(wrong.form)} | {ours.text(wrong.form)} | {share:.1%} | '
            f'{"met" if share <= 0.1 else "**not met**"} |'
        )
    yield ''


def write(lines: Sequence[str]) -> None:
    """Replace the lines between the marks in the document."""
    before, _, rest = DOCUMENT.read_text(encoding='utf-8').partition(BEGIN)
    after = rest.partition(END)[2]
    text = '\n'.join([f'{before}{BEGIN}', *lines, f'{END}{after}'])
    DOCUMENT.write_text(text, encoding='utf-8')


def _print_one(wanted: str, condition: Condition) -> None:
    kind, _, seed = wanted.partition(':')
    task = SeededConversation(condition, kind, int(seed))
    print('\n'.join(transcript(record(task))))


def main() -> int:
    """Print or write the tables; return 0, or 130 when interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--people', type=int, default=200, help='of each kind (200)')
    parser.add_argument('--minutes', type=float, default=10.0, help='of a conversation (10)')
    parser.add_argument('--seed', type=int, default=1000, help='of the first; below: for tuning')
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    parser.add_argument('--cache', type=Path, default=CACHE, help='of finished conversations')
    parser.add_argument('--write', action='store_true', help=f'write the tables to {DOCUMENT.name}')
    parser.add_argument(
        '--transcript', metavar='KIND:SEED', help='only print this conversation with the manager'
    )
    parser.add_argument('--noise', type=float, default=0.2, help='of the transcript (0.2)')
    parser.add_argument(
        '--policy', choices=tuple(POLICIES), default='manager', help='of the transcript'
    )
    options = parser.parse_args()
    if options.transcript:
        _print_one(options.transcript, Condition(options.policy, options.noise))
        return 0
    tasks = conversations(options.people, 60 * options.minutes, options.seed)
    cache = ConversationCache(options.cache)
    try:
        hold(tasks, cache, options.jobs)
    except KeyboardInterrupt:
        print('interrupted; the same command continues', file=sys.stderr)
        return 130
    lines = list(report(tasks, cache, options.people))
    if not options.write:
        print('\n'.join(lines))
        return 0
    write(lines)
    return 0


if __name__ == '__main__':
    sys.exit(main())
