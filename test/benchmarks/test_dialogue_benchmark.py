"""The dialogue benchmark: what must hold of any conversation, and of the tables."""

from __future__ import annotations

import importlib.util
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE = ROOT / 'benchmarks' / 'dialogue.py'
if not FILE.exists():
    pytest.skip('an installation has no benchmarks', allow_module_level=True)

from emotion_estimator.emotion import NONE
from emotion_estimator.simulation.people import PEOPLE

from dialogue_scoring import ConversationScore
from dialogue_tables import ConfidenceInterval, Measure, goals, table


@pytest.fixture(scope='module')
def bench():
    spec = importlib.util.spec_from_file_location('benchmark_dialogue', FILE)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look for their module by its name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('kind', PEOPLE)
def test_the_manager_waits_its_turn(bench, kind):
    spoken = 0
    for seed in (1, 2):
        condition = bench.Condition('manager', noise=0.0)
        found = bench.measure(bench.SeededConversation(condition, kind, seed, 300.0)).sums
        assert found['in speech'] == 0
        assert found['own overlaps'] == 0
        assert found['to nobody'] == 0
        assert found['jokes'] == 0
        spoken += found['utterances']
    assert spoken > 10


def test_the_old_policy_does_not(bench):
    condition = bench.Condition('old', noise=0.0)
    found = [
        bench.measure(bench.SeededConversation(condition, kind, 1, 600.0)).sums
        for kind in ('talkative', 'grieving')
    ]
    assert sum(each['own overlaps'] + each['hasty'] for each in found) > 5
    assert sum(each['unanswered'] for each in found) > 5


def test_the_naive_policy_believes_each_message(bench):
    from emotion_estimator.simulation.script import simulated_face

    manager = bench.new_manager('naive')
    for number in range(100):
        assert manager(simulated_face('unknown'), number / bench.RATE) is None
    manager(simulated_face('sad'), 100 / bench.RATE)
    action = manager(simulated_face('unknown'), 101 / bench.RATE)
    assert (action.action, action.emotion) == ('change_topic', 'sad')
    rules = {rule.name: rule for rule in manager.policy.rules}
    assert {rule.emotion for rule in rules.values()} == {('happy',), ('sad',), ('face',), (NONE,)}
    # It believes the next one, too, as soon as the cooldown is over.
    cooldown = rules[action.rule].cooldown
    ready = 100 + round(bench.RATE * cooldown)
    for number in range(102, ready):
        assert manager(simulated_face('sad'), number / bench.RATE) is None
    acted = [manager(simulated_face('sad'), (ready + n) / bench.RATE) for n in range(4)]
    assert sum(each is not None for each in acted) == 1


def test_at_noise_the_manager_is_wrong_a_tenth_as_often(bench):
    wrong = {}
    for policy in ('naive', 'manager'):
        condition = bench.Condition(policy, noise=0.2)
        tasks = [bench.SeededConversation(condition, kind, 3, 300.0) for kind in PEOPLE]
        wrong[policy] = sum(bench.measure(task).sums['wrong'] for task in tasks)
    assert wrong['naive'] > 40
    # A small sample: the document holds the large one.
    assert wrong['manager'] <= 0.2 * wrong['naive']


def scored(bench, tmp_path, capsys, *arguments):
    sys.argv = ['dialogue.py', '--people', '1', '--minutes', '0.5', '--jobs', '1',
                '--cache', str(tmp_path / 'cache.jsonl'), *arguments]  # fmt: skip
    status = bench.main()
    return status, capsys.readouterr()


@pytest.fixture
def in_process(bench, monkeypatch):
    """Run the conversations in this process and count them."""
    held = []

    def here(jobs):
        def run(work, tasks):
            for index, task in enumerate(tasks):
                held.append(task)
                yield index, work(task)

        return run

    monkeypatch.setattr(bench, 'on_processes', here)
    slow = bench.Condition('manager', rate=5.0)
    monkeypatch.setattr(bench, 'VARIED', {'5 messages a second': slow})
    monkeypatch.setattr(bench, 'COMPARED', {'errors of 0.4 s': bench.SHIPPED})
    monkeypatch.setattr(bench, 'SHARES', (0.0, 0.2))
    monkeypatch.setattr(
        bench, 'MAIN', tuple(bench.Condition(p, s) for p in bench.POLICIES for s in (0.0, 0.2))
    )
    return held


def test_finished_conversations_are_not_repeated(bench, in_process, tmp_path, monkeypatch, capsys):
    argv = sys.argv
    try:
        status, first = scored(bench, tmp_path, capsys)
        assert status == 0
        held = len(in_process)
        assert held == len(set(in_process)) >= 5 * len(bench.MAIN)
        for kind in PEOPLE:
            assert f'| {kind} |' in first.out
        for policy in bench.POLICIES:
            assert f'| {policy} | 20% |' in first.out

        # A run that was killed in the middle of a line continues.
        cache = tmp_path / 'cache.jsonl'
        lines = cache.read_text().splitlines()
        cache.write_text('\n'.join([*lines[:-2], lines[-2][:40]]))
        status, second = scored(bench, tmp_path, capsys)
        assert (status, len(in_process) - held) == (0, 2)
        assert second.out == first.out

        # What one policy depends on has changed: only its conversations are held again.
        source = bench.source_of
        monkeypatch.setattr(
            bench, 'source_of', lambda policy: source(policy) + 'x' * (policy == 'old')
        )
        held = len(in_process)
        scored(bench, tmp_path, capsys)
        assert {task.condition.policy for task in in_process[held:]} == {'old'}
        scored(bench, tmp_path, capsys)
        assert len(cache.read_text().splitlines()) == len(lines)
    finally:
        sys.argv = argv


def test_words_about_the_code_do_not_count(bench):
    code = 'def f(a):\n    """Add one."""\n    return a + 1  # one\n'
    assert bench._meaning(code) == bench._meaning('def f(a):\n  return (a+1)\n')
    assert bench._meaning(code) != bench._meaning(code.replace('+ 1', '+ 2'))
    assert len({bench.source_of(policy) for policy in bench.POLICIES}) == len(bench.POLICIES)


def test_an_interruption_keeps_what_is_finished(bench, in_process, tmp_path, monkeypatch, capsys):
    argv, measure = sys.argv, bench.measure

    def interrupted(task):
        if len(in_process) > 7:
            raise KeyboardInterrupt
        return measure(task)

    monkeypatch.setattr(bench, 'measure', interrupted)
    try:
        status, printed = scored(bench, tmp_path, capsys)
    finally:
        sys.argv = argv
    assert status == 130
    assert 'continues' in printed.err
    assert len((tmp_path / 'cache.jsonl').read_text().splitlines()) == 7


def test_a_transcript_can_be_printed(bench, capsys):
    argv, sys.argv = sys.argv, ['dialogue.py', '--transcript', 'quiet:4', '--noise', '0']
    try:
        assert bench.main() == 0
    finally:
        sys.argv = argv
    assert 'ROBOT' in capsys.readouterr().out


def of(**sums):
    return ConversationScore(dict(sums), {'delay': sums.pop('delay', [])})


def test_ratios_are_of_sums_with_an_interval_by_conversation():
    share = Measure('share', 'n', 'all', 100)
    alike = [of(n=1, all=10)] * 50
    assert share(alike) == ConfidenceInterval(10.0, 10.0, 10.0)
    mixed = [of(n=0, all=10), of(n=2, all=10)] * 50
    found = share(mixed)
    assert found.value == 10.0
    # 1.96 standard errors of a hundred conversations: 10 * 1.96 / 10.
    assert (found.low, found.high) == (pytest.approx(8.0, abs=0.5), pytest.approx(12.0, abs=0.5))
    assert share([of(n=1, all=10), of(n=0, all=90)]).value == 1.0


def test_nothing_counted_is_not_proof_of_nothing():
    assert Measure('share', 'n', 'all', 100)([of(n=0, all=150)]) == ConfidenceInterval(
        0.0, 0.0, 2.0
    )


def test_nothing_to_count_has_no_value():
    assert math.isnan(Measure('share', 'n', 'all')([of(n=0, all=0)]).value)
    assert Measure('m', 'delay')([of()]).text('.1f') == '-'


def test_quantiles_are_of_all_values_together():
    scores = [ConversationScore({}, {'delay': [float(n), n + 0.5]}) for n in range(100)]
    median = Measure('m', 'delay')(scores)
    assert median.value == 49.5
    assert 35 < median.low < 49.5 < median.high < 65
    missed = [ConversationScore({}, {'delay': [1.0, math.inf]})] * 50
    assert Measure('m', 'delay', quantile=0.4)(missed) == ConfidenceInterval(1.0, 1.0, 1.0)
    assert Measure('m', 'delay', quantile=0.9)(missed).text('.1f') == '-'


def test_tables_have_a_cell_for_each_measure():
    rows = {'old | 20%': [of(n=3, all=10)], 'new | 20%': [of(n=0, all=300)]}
    lines = list(table('policy | noise', rows, [Measure('share, %', 'n', 'all', 100)]))
    assert lines == [
        '| policy | noise | share, % |', '|---|---|---|', '| old | 20% | 30.0 (30.0 to 30.0) |',
        '| new | 20% | 0.0 (0.0 to 1.0) |', '',
    ]  # fmt: skip


def test_goals_say_what_is_not_met(bench):
    condition = bench.Condition('manager', noise=0.0)
    found = bench.measure(bench.SeededConversation(condition, 'quiet', 1, 120.0))
    rude = replace(found, sums={**found.sums, 'in speech': 4.0})
    (line,) = (line for line in goals({'a': [found], 'b': [rude]}) if 'into speech' in line)
    polite, other = line.split('|')[3:5]
    assert 'not met' in other
    assert 'not met' not in polite


def test_the_document_holds_the_tables(bench):
    written = bench.DOCUMENT.read_text(encoding='utf-8')
    tables = written.partition(bench.BEGIN)[2].partition(bench.END)[0]
    for policy in bench.POLICIES:
        for share in bench.SHARES:
            assert f'| {policy} | {share:.0%} |' in tables, 'make bench-dialogue'
    assert all(f'| {kind} |' in tables for kind in PEOPLE)
    assert '30 messages a second' in tables
    assert '5 messages a second' in tables


def test_new_tables_replace_the_old_ones(bench, tmp_path, monkeypatch):
    document = tmp_path / 'doc.md'
    document.write_text(f'before\n{bench.BEGIN}\nold\n{bench.END}\nafter\n')
    monkeypatch.setattr(bench, 'DOCUMENT', document)
    bench.write(['new', 'lines'])
    assert document.read_text() == f'before\n{bench.BEGIN}\nnew\nlines\n{bench.END}\nafter\n'
