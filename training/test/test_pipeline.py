"""The training pipeline: which stages run, resume and restart."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from emotion_estimator_training.pipeline import Stage, fingerprint, run_stages


class Run:
    """Three stages, each of which notes that it ran and leaves a file."""

    def __init__(self, run: Path) -> None:
        self.run, self.ran, self.said = run, [], []
        self.breaks: str | None = None

    def __call__(self, restart: str | None = None, **decided: object) -> list[str]:
        """Return which ran."""
        self.ran, self.said = [], []
        run_stages(
            [
                Stage(
                    name,
                    lambda name=name: self.work(name),
                    {'option': decided.get(name, 0)},
                    (self.run / name,),
                    (self.run / f'{name}-state',),
                )
                for name in ('look', 'learn', 'tell')
            ],
            self.run,
            self.said.append,
            restart,
        )
        return self.ran

    def work(self, name: str) -> None:
        self.ran.append(name)
        print(f'{name} says something')
        if name == self.breaks:
            raise KeyboardInterrupt
        (self.run / name).write_text('made')

    def times(self) -> dict[str, dict]:
        return json.loads((self.run / 'tables' / 'times.json').read_text())['stages']


def test_what_is_done_is_left_out_and_keeps_its_time(tmp_path: Path) -> None:
    run_three = Run(tmp_path)
    assert run_three() == ['look', 'learn', 'tell']
    first = run_three.times()
    assert run_three() == []
    assert [line.split(':')[0] for line in run_three.said] == ['1/3 look', '2/3 learn', '3/3 tell']
    assert {name: one | {'this_call': True} for name, one in run_three.times().items()} == first
    assert (tmp_path / 'log' / 'learn.txt').read_text() == 'learn says something\n'


def test_all_that_comes_after_a_change_runs_again(tmp_path: Path) -> None:
    run_three = Run(tmp_path)
    run_three()
    assert run_three(learn=1) == ['learn', 'tell']
    assert run_three(learn=1, restart='tell') == ['tell']
    (tmp_path / 'look').unlink()
    assert run_three(learn=1) == ['look', 'learn', 'tell']


def test_only_a_stage_that_is_asked_for_again_forgets_where_it_was(tmp_path: Path) -> None:
    run_three = Run(tmp_path)
    run_three()
    states = [tmp_path / f'{name}-state' for name in ('look', 'learn', 'tell')]
    for state in states:
        state.mkdir()
        (state / 'weights').write_text('')
    run_three(look=1)
    assert all(state.exists() for state in states)
    run_three(look=1, restart='learn')
    assert [state.exists() for state in states] == [True, False, False]


def test_an_interrupted_stage_is_called_again_and_adds_up_its_time(tmp_path: Path) -> None:
    run_three = Run(tmp_path)
    run_three.breaks = 'learn'
    with pytest.raises(KeyboardInterrupt):
        run_three()
    assert [one['done'] for one in run_three.times().values()] == [True, False]
    path = tmp_path / 'tables' / 'times.json'
    noted = json.loads(path.read_text())
    noted['stages']['learn']['seconds'] = 100.0
    path.write_text(json.dumps(noted))
    run_three.breaks = None
    assert run_three() == ['learn', 'tell']
    assert 100 <= run_three.times()['learn']['seconds'] < 101


@pytest.mark.parametrize('content', ['', '[]', '{"stages": {"look": {"key": 1}}}', '{"stages": 3}'])
def test_a_spoilt_note_makes_all_run(tmp_path: Path, content: str) -> None:
    run_three = Run(tmp_path)
    (tmp_path / 'tables').mkdir()
    (tmp_path / 'tables' / 'times.json').write_text(content)
    assert run_three() == ['look', 'learn', 'tell']


def test_a_fingerprint_changes_with_any_file_below(tmp_path: Path) -> None:
    (tmp_path / 'a').mkdir()
    file = tmp_path / 'a' / 'b.png'
    file.write_bytes(b'1')
    before = fingerprint(tmp_path)
    assert fingerprint(tmp_path) == before
    file.write_bytes(b'12')
    assert fingerprint(tmp_path) != before


@pytest.fixture
def planned_by(tmp_path, monkeypatch):
    """Return what ``training all`` with some options plans: stages by name."""
    module = importlib.import_module('emotion_estimator_training.cli.training.all')
    planned: dict[str, Stage] = {}

    def note(stages: list[Stage], *_: object) -> dict:
        planned.update({stage.name: stage for stage in stages})
        return {'seconds': 0.0, 'stages': {}}

    monkeypatch.setattr(module, 'run_stages', note)
    monkeypatch.setattr(module, 'find_spec', lambda name: name)
    images = tmp_path / 'fer2013.csv'
    images.write_text('')

    def plan(*options: object) -> dict[str, Stage]:
        planned.clear()
        given = ['--data', images, '--run', tmp_path / 'run', '--seed', 5, *options]
        done = CliRunner().invoke(module.all, [str(one) for one in given])
        assert done.exit_code == 0, done.output
        return dict(planned)

    return plan


@pytest.mark.parametrize('longer', [False, True])
def test_training_all_passes_its_options_to_the_stages(planned_by, longer) -> None:
    planned = planned_by(*(['--long'] if longer else []))
    assert planned['appearance'].decided_by['longer'] is longer
    assert planned['appearance'].decided_by['seed'] == 5
    assert 'longer' not in planned['covered'].decided_by
    assert planned['fit streaming'].decided_by['data']


def test_training_all_may_continue_the_released_network(planned_by) -> None:
    for options, continued in (((), False), (('--continue-released',), True)):
        assert planned_by(*options)['appearance'].decided_by['continue_released'] is continued


def test_the_photographs_and_films_decide_what_comes_after_them(planned_by, tmp_path) -> None:
    photographs, films = tmp_path / 'people.zip', tmp_path / 'films'
    photographs.write_bytes(b'1')
    films.mkdir()
    given = ('--photographs', photographs, '--talking', films)

    def decided() -> dict[str, dict]:
        return {name: dict(stage.decided_by) for name, stage in planned_by(*given).items()}

    before = decided()
    names = list(before)
    assert names[names.index('people') - 1 : names.index('people') + 2] == [
        'covered',
        'people',
        'appearance',
    ]
    assert before == decided()
    photographs.write_bytes(b'12')
    after = decided()
    (films / 'one.mp4').write_bytes(b'1')
    last = decided()
    for one, other in ((before, after), (after, last)):
        assert [name for name in names if one[name] != other[name]] == ['people']


def test_without_photographs_nothing_of_people_is_waited_for(planned_by, tmp_path) -> None:
    photographs = tmp_path / 'people.zip'
    photographs.write_bytes(b'1')
    made = [planned_by(*one)['people'] for one in ((), ('--photographs', photographs))]
    assert made[0].makes == ()
    assert made[1].makes == (tmp_path / 'run' / 'people' / 'people.npz',)
    assert made[0].decided_by != made[1].decided_by


@pytest.mark.parametrize(
    ('options', 'says'),
    [
        (['--long', '--continue-released'], '--long and --continue-released exclude each other'),
        (['--talking', '.'], '--talking needs --photographs'),
    ],
)
def test_options_that_do_not_fit_are_refused_before_anything_runs(
    planned_by, monkeypatch, options, says
) -> None:
    module = importlib.import_module('emotion_estimator_training.cli.training.all')
    done = CliRunner().invoke(module.all, ['--data', 'x.csv', *options])
    assert done.exit_code == 2
    assert says in done.stderr
