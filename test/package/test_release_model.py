"""A model is released only if every test passes with it; else models/ is as it was."""

from __future__ import annotations

import hashlib
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINNING = 'training/emotion_estimator_training/shipping/pins.py'
PINS = 'emotion_estimator/released_models.py'
pytestmark = pytest.mark.skipif(shutil.which('git') is None, reason='needs git')

#: Stands in for make: notes how it is called and which model it finds, and does what it is told.
MAKE = """#!{python} -SE
import json, os, signal, sys, time
from pathlib import Path
step = sys.argv[2]
note = {{
    'step': step, 'arguments': sys.argv[1:], 'flags': os.environ.get('MAKEFLAGS'),
    'adds': os.environ.get('PYTEST_ADDOPTS'),
    'version': json.loads(Path('models/emotion_lstm.json').read_text())['version'],
}}
with open(os.environ['NOTES'], 'a') as notes:
    notes.write(json.dumps(note) + '\\n')
todo = json.loads(os.environ.get('TODO', '{{}}')).get(step, '')
if todo == 'fail':
    print('FAILED test/cli/test_cli_replay.py::test_truth - assert 0.59 > 0.85')
    sys.exit(2)
if todo == 'touch':
    Path('README.md').write_text('changed meanwhile')
if todo == 'wait':
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    Path(os.environ['NOTES'] + '.waiting').touch()
    time.sleep(60)
print(step, 'passed')
"""


def write_model(folder: Path, name: str, weights: bytes, version: str, **settings) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f'{name}.tflite').write_bytes(weights)
    (folder / f'{name}.md').write_text(f'# {name} {version}\n')
    card = {
        'name': name,
        'version': version,
        'sha256': hashlib.sha256(weights).hexdigest(),
        'settings': settings,
    }
    (folder / f'{name}.json').write_text(json.dumps(card))


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


class Checkout:
    """A repository with models, a candidate, and a make of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.models, self.candidate = root, root / 'models', root / 'out' / 'new'
        (root / 'scripts').mkdir(parents=True)
        shutil.copy(ROOT / 'scripts' / 'release_model.py', root / 'scripts')
        for name in (PINNING, PINS):
            (root / name).parent.mkdir(parents=True)
            shutil.copy(ROOT / name, root / name)
        self.pins = root / PINS
        (root / '.gitignore').write_text('/out/\n')
        (root / 'README.md').write_text('before')
        sha = hashlib.sha256(b'look').hexdigest()
        write_model(self.models, 'appearance', b'look', '1.0.0')
        write_model(self.models, 'emotion_lstm', b'old', '3.3.0', appearance_sha256=sha)
        write_model(self.candidate, 'emotion_lstm', b'new', '4.0.0', appearance_sha256=sha)
        subprocess.run(['git', 'init', '--quiet'], cwd=root, check=True)
        tools = root / 'out' / 'tools'
        tools.mkdir()
        (tools / 'make').write_text(MAKE.format(python=sys.executable))
        (tools / 'make').chmod(0o755)
        self.notes = root / 'out' / 'notes'
        self.environment = {
            **os.environ,
            'PATH': f'{tools}{os.pathsep}{os.environ["PATH"]}',
            'NOTES': str(self.notes),
            'MAKEFLAGS': 'i -- ARGS=-k\\ one',
            'PYTEST_ADDOPTS': '-k one',
        }
        runpy.run_path(str(root / PINNING))['pin'](self.models)
        self.before = contents(self.models)

    def pinned(self):
        """Return the checksums in the code, by the model's name and version."""
        found: dict[str, dict[str, str]] = {}
        exec(self.pins.read_text(), found)
        return {title: sha256 for sha256, title in found['RELEASED'].items()}

    def start(self, *variables, folder=None, **todo):
        told = {step.replace('_', '-'): what for step, what in todo.items()}
        command = [sys.executable, '-SE', 'scripts/release_model.py', str(folder or self.candidate)]
        return subprocess.Popen(
            [*command, *variables],
            cwd=self.root,
            env={**self.environment, 'TODO': json.dumps(told)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def release(self, *variables, folder=None, **todo):
        made = self.start(*variables, folder=folder, **todo)
        out, error = made.communicate(timeout=60)
        return made.returncode, out, error

    def called(self):
        """Return what make was called with since this was asked last."""
        lines = self.notes.read_text().splitlines() if self.notes.exists() else []
        self.notes.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path / 'repo')


def test_green_in_all_three_it_stays(checkout):
    status, out, error = checkout.release('FACE_LANDMARKER=x.task')
    assert (status, error) == (0, '')
    calls = checkout.called()
    assert [call['step'] for call in calls] == ['test', 'test-jazzy', 'test-modern']
    assert {call['version'] for call in calls} == {'4.0.0'}
    after = contents(checkout.models)
    assert after == {**checkout.before, **contents(checkout.candidate)}
    assert 'all pass with emotion_lstm 4.0.0, now in models/' in out
    assert checkout.pinned() == {
        'appearance 1.0.0': hashlib.sha256(b'look').hexdigest(),
        'emotion_lstm 4.0.0': hashlib.sha256(b'new').hexdigest(),
    }
    added = f'{PINS} models/emotion_lstm.json models/emotion_lstm.md models/emotion_lstm.tflite'
    assert f'git add {added}\n' in out
    assert 'test-modern passed' in out, 'what the tests print is shown'
    assert 'passed' in (checkout.root / 'out/release/test-jazzy.log').read_text()


def test_every_test_runs_whatever_the_caller_chose(checkout):
    checkout.release('FACE_LANDMARKER=x.task')
    for call in checkout.called():
        assert call['arguments'][2:] == ['ARGS=', 'ROOM=', 'ON=kilted', 'FACE_LANDMARKER=x.task']
        assert call['flags'] is None and call['adds'] is None


def test_what_fails_is_named_and_the_former_files_come_back(checkout):
    status, _, error = checkout.release(test_modern='fail')
    assert status == 1
    assert error == (
        'release-model: make test-modern failed with status 2 (out/release/test-modern.log): '
        'test/cli/test_cli_replay.py::test_truth. models/ is as it was\n'
    )
    assert contents(checkout.models) == checkout.before
    # Newer than what was built with the candidate, so that make builds again.
    built = (checkout.root / 'out/release/test-modern.log').stat().st_mtime
    assert (checkout.models / 'emotion_lstm.tflite').stat().st_mtime >= built
    assert 'emotion_lstm 3.3.0' in checkout.pinned()


def test_the_other_environments_are_asked_after_a_failure_too(checkout):
    _, _, error = checkout.release(test='fail', test_modern='fail')
    assert [call['step'] for call in checkout.called()] == ['test', 'test-jazzy', 'test-modern']
    assert 'make test failed' in error and 'make test-modern failed' in error
    assert error.count('\n') == 1


def test_what_passed_is_not_run_again(checkout):
    checkout.release(test_modern='fail')
    checkout.called()
    status, out, _ = checkout.release()
    assert status == 0
    assert [call['step'] for call in checkout.called()] == ['test-modern']
    assert 'make test: passed before with the same models and files' in out


@pytest.mark.parametrize('what', ['models', 'files', 'new file', 'variables'])
def test_what_passed_with_something_else_is_run_again(checkout, what):
    checkout.release(test_modern='fail')
    checkout.called()
    variables = ()
    if what == 'models':
        sha = hashlib.sha256(b'look').hexdigest()
        write_model(checkout.candidate, 'emotion_lstm', b'x', '4.0.0', appearance_sha256=sha)
    elif what == 'files':
        (checkout.root / 'README.md').write_text('after')
    elif what == 'new file':
        (checkout.root / 'new.py').write_text('')
    else:
        variables = ('FACE_LANDMARKER=other.task',)
    checkout.release(*variables)
    assert len(checkout.called()) == 3


def test_a_file_that_changes_meanwhile_spoils_the_result(checkout):
    status, _, error = checkout.release(test_jazzy='touch')
    assert status == 1
    assert 'README.md changed while make test-jazzy ran' in error
    assert contents(checkout.models) == checkout.before
    checkout.called()
    (checkout.root / 'README.md').write_text('before')
    checkout.release()
    assert [call['step'] for call in checkout.called()] == ['test-jazzy', 'test-modern']


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_interrupted_the_former_files_come_back(checkout, number):
    made = checkout.start(test_jazzy='wait')
    waiting = Path(f'{checkout.notes}.waiting')
    deadline = time.monotonic() + 30
    while not waiting.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (checkout.models / 'emotion_lstm.tflite').read_bytes() == b'new'
    made.send_signal(number)
    _, error = made.communicate(timeout=30)
    assert made.returncode == 128 + number
    assert error == 'release-model: interrupted; models/ is as it was\n'
    assert contents(checkout.models) == checkout.before
    checkout.called()
    assert checkout.release()[0] == 0
    assert [call['step'] for call in checkout.called()] == ['test-jazzy', 'test-modern']


def test_killed_the_former_files_come_back_with_the_next_run(checkout):
    made = checkout.start(test_jazzy='wait')
    waiting = Path(f'{checkout.notes}.waiting')
    deadline = time.monotonic() + 30
    while not waiting.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    second = checkout.release()
    assert second[0] == 1 and 'a model is being released already' in second[2]
    made.kill()
    made.communicate(timeout=30)
    assert contents(checkout.models) != checkout.before
    status, out, _ = checkout.release(test='fail', test_jazzy='fail')
    assert status == 1
    assert 'models/ was left with the models of a run that was killed: put back' in out
    assert contents(checkout.models) == checkout.before


def test_all_of_a_set_is_exchanged(checkout):
    write_model(checkout.candidate, 'appearance', b'look again', '2.0.0')
    sha = hashlib.sha256(b'look again').hexdigest()
    write_model(checkout.candidate, 'emotion_lstm', b'new', '4.0.0', appearance_sha256=sha)
    assert checkout.release(test='fail')[0] == 1
    assert contents(checkout.models) == checkout.before
    status, out, _ = checkout.release()
    assert status == 0
    assert 'all pass with appearance 2.0.0, emotion_lstm 4.0.0' in out
    assert contents(checkout.models) == contents(checkout.candidate)


def _gone(made):
    (made.candidate / 'emotion_lstm.json').unlink()


def _incomplete(made):
    (made.candidate / 'emotion_lstm.md').unlink()


def _damaged(made):
    (made.candidate / 'emotion_lstm.tflite').write_bytes(b'other')


def _local(made):
    write_model(made.candidate, 'emotion_lstm', b'new', '3.3.0+local.11507a0e')


def _same_version(made):
    write_model(made.candidate, 'emotion_lstm', b'new', '3.3.0')


def _nothing_new(made):
    shutil.rmtree(made.candidate)
    shutil.copytree(made.models, made.candidate)


def _other_appearance(made):
    write_model(made.candidate, 'emotion_lstm', b'new', '4.0.0', appearance_sha256='0' * 64)


def _no_card(made):
    (made.candidate / 'emotion_lstm.json').write_text('[]')


@pytest.mark.parametrize(
    ('spoil', 'says'),
    [
        (_gone, 'has no card of a model (appearance.json, emotion_lstm.json); give the folder'),
        (_incomplete, 'emotion_lstm.md is missing'),
        (_damaged, 'emotion_lstm.tflite is not what its card describes'),
        (_local, 'emotion_lstm has the version 3.3.0+local.11507a0e, which is no release'),
        (_same_version, 'emotion_lstm 3.3.0 is in models/ already with other weights'),
        (_nothing_new, 'has nothing that models/ does not have already'),
        (_other_appearance, 'emotion_lstm was trained with another appearance network'),
        (_no_card, 'emotion_lstm.json is no card of a model'),
    ],
)
def test_what_is_no_release_is_refused_before_any_test(checkout, spoil, says):
    spoil(checkout)
    status, _, error = checkout.release()
    assert status == 1
    assert says in error and error.count('\n') == 1
    assert checkout.called() == []
    assert contents(checkout.models) == checkout.before
