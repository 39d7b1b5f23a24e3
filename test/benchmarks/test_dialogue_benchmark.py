"""The benchmark of the dialogue policy: a fair comparison that documents the shipped rules."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from emotion_estimator.resources import resource_dir

from dialogue_noise import Noise
from dialogue_scoring import KINDS

ROOT = Path(__file__).parents[2]
FILE = ROOT / 'benchmarks' / 'dialogue.py'
POLICY = resource_dir('config') / 'dialogue.yaml'

pytestmark = pytest.mark.skipif(not FILE.exists(), reason='an installation has no benchmarks')


@pytest.fixture(scope='module')
def bench():
    spec = importlib.util.spec_from_file_location('benchmark_dialogue', FILE)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look for their module by its name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('cooldowns', [True, False])
def test_without_noise_nobody_is_wrong_and_all_but_the_majority_answer(bench, cooldowns):
    measured = bench.measure(POLICY, 300.0, 7, (bench.Setting(Noise(), 10.0), cooldowns))
    naive, manager = measured.scores['naive'], measured.scores['manager']
    assert naive.due >= 10
    assert (naive.wrong, naive.missed) == (0, 0)
    assert (manager.wrong, manager.missed) == (0, 0)
    assert naive.delay(0.5) < 0.1 < manager.delay(0.5) < 3 < measured.scores['majority'].delay(0.5)
    assert sum(each['naive'].due for each in measured.kinds.values()) == naive.due


def test_single_errors_mislead_acting_on_each_message(bench):
    measured = bench.measure(POLICY, 300.0, 7, (bench.Setting(Noise(0.2), 10.0), True))
    naive, manager = measured.scores['naive'], measured.scores['manager']
    assert naive.wrong_per_minute > 2
    assert manager.wrong <= 0.1 * naive.wrong


def test_without_cooldowns_all_may_act_at_once(bench):
    with_them, without = bench.PolicyComparison(POLICY, True), bench.PolicyComparison(POLICY, False)
    assert list(with_them.rules) == list(without.rules) == list(KINDS)
    assert all(rule['cooldown'] > 0 for rule in with_them.rules.values())
    assert all(rule['cooldown'] == 0 for rule in without.rules.values())


def test_the_document_describes_the_shipped_rules(bench):
    written = bench.DOCUMENT.read_text(encoding='utf-8')
    rules = '\n'.join(bench.rules_measured(POLICY))
    assert rules in written, 'the rules have changed: make bench-dialogue'
    table = written.partition(bench.BEGIN)[2].partition(bench.END)[0]
    # Noise of 0 to 40 %, several rates, dropouts.
    for first in ('0%', '40%', '5', '60', '10%'):
        assert re.search(rf'^\| {first} \|', table, re.MULTILINE)


def test_new_tables_replace_the_old_ones(bench, tmp_path, monkeypatch):
    document = tmp_path / 'doc.md'
    document.write_text(f'before\n{bench.BEGIN}\nold\n{bench.END}\nafter\n')
    monkeypatch.setattr(bench, 'DOCUMENT', document)
    bench.write(['new', 'lines'])
    assert document.read_text() == f'before\n{bench.BEGIN}\nnew\nlines\n{bench.END}\nafter\n'
