"""The fixture `emotion_replay`, in other people's tests: run by a pytest of its own."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip('rosbags', reason='rosbags is not installed')

from available import LANDMARK_SOURCE
from made_bag import make_bag

import emotion_estimator
from emotion_estimator.account import Account
from emotion_estimator.frame import FrameResult
from emotion_estimator.replay.replayed_bag import CallingTest, ReplayedBag, ReplayOutcome

PLUGIN = 'emotion_estimator.replay.pytest_plugin'


def entry_point(folder):
    """Write the metadata that pip makes of setup.py; return the folder to be put on the path."""
    given = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('setuptools.setup', lambda **arguments: given.update(arguments))
        runpy.run_path(str(Path(__file__).parents[2] / 'setup.py'))
    metadata = folder / 'site' / 'made-1.0.dist-info'
    metadata.mkdir(parents=True)
    (metadata / 'METADATA').write_text('Metadata-Version: 2.1\nName: made\nVersion: 1.0\n')
    points = '\n'.join(given['entry_points']['pytest11'])
    (metadata / 'entry_points.txt').write_text(f'[pytest11]\n{points}\n')
    return metadata.parent


def run_pytest(folder, *arguments, path=()):
    """Run pytest in a folder, without the plugins of this environment beside those on ``path``."""
    package = Path(emotion_estimator.__file__).parents[1]
    search = [*map(str, path), str(package), os.environ.get('PYTHONPATH', '')]
    environment = {
        **os.environ,
        'PYTHONPATH': os.pathsep.join(search),
        'PYTEST_ADDOPTS': '',
        'PYTEST_DISABLE_PLUGIN_AUTOLOAD': '',
    }
    if not path:
        environment['PYTEST_DISABLE_PLUGIN_AUTOLOAD'] = '1'
    command = [sys.executable, '-P', '-m', 'pytest', '-p', 'no:cacheprovider', '--color=no']
    if sys.version_info < (3, 11):
        command.remove('-P')
    return subprocess.run(
        [*command, *arguments], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip


def write(folder, text):
    file = folder / 'test_visit.py'
    file.write_text(text)
    return file


@pytest.mark.parametrize('way', ['entry point', 'option', 'conftest', 'module', 'all'])
def test_it_is_found_however_the_package_was_installed(tmp_path, way):
    test = 'def test(emotion_replay): assert callable(emotion_replay)\n'
    declared = f'pytest_plugins = [{PLUGIN!r}]\n'
    write(tmp_path, declared + test if way in ('module', 'all') else test)
    if way in ('conftest', 'all'):
        (tmp_path / 'conftest.py').write_text(declared)
    options = ['-p', PLUGIN] if way in ('option', 'all') else []
    path = [entry_point(tmp_path)] if way in ('entry point', 'all') else []
    run = run_pytest(tmp_path, '-W', 'error', *options, path=path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert '1 passed' in run.stdout


def test_without_any_of_them_there_is_no_fixture(tmp_path):
    write(tmp_path, 'def test(emotion_replay): pass\n')
    run = run_pytest(tmp_path)
    assert "fixture 'emotion_replay' not found" in run.stdout


def test_who_does_not_use_it_pays_nothing_for_it(tmp_path):
    heavy = ('numpy', 'cv2', 'yaml', 'mediapipe', 'matplotlib', 'rosbags', 'rclpy', 'tensorflow')
    write(
        tmp_path,
        f"""
import sys
def test(request):
    assert request.config.pluginmanager.has_plugin({PLUGIN!r})
    assert {PLUGIN!r} in sys.modules
    assert [name for name in {heavy} if name in sys.modules] == []
    ours = [name for name in sys.modules if name.startswith('emotion_estimator')]
    assert ours == ['emotion_estimator', 'emotion_estimator.replay', {PLUGIN!r}]
""",
    )
    run = run_pytest(tmp_path, '-p', PLUGIN)
    assert run.returncode == 0, run.stdout
    run = run_pytest(tmp_path, '-p', PLUGIN, '--help')
    assert '--emotion-figures' in run.stdout


def test_without_rosbags_it_says_what_to_do(tmp_path):
    write(tmp_path, 'def test(emotion_replay): pass\n')
    (tmp_path / 'conftest.py').write_text("import sys; sys.modules['rosbags'] = None\n")
    run = run_pytest(tmp_path, '-p', PLUGIN)
    assert re.search(r'^emotion_replay needs rosbags: pip install rosbags$', run.stdout, re.M)
    assert 'Traceback' not in run.stdout


VISITS = f"""
def replay(emotion_replay, **options):
    return emotion_replay('bags/visit', landmarks={LANDMARK_SOURCE!r}, **options)

def test_good(emotion_replay):
    visit = replay(emotion_replay)
    visit.expect('happy', 4.0, 6.5, share=0.9)
    visit.expect('unknown', 0.5, 2.5)
    visit.expect_action('resume', between=(0.0, 2.0))
    visit.expect_file('bags/visit.yaml')
    visit.expect_like(visit.file)
    visit.draw('visit.png')
    assert visit.problems == ()
    assert len(visit.results) == 80

def test_label(emotion_replay):
    replay(emotion_replay).expect('sad', 4.0, 6.5)

def test_action(emotion_replay):
    replay(emotion_replay).expect_action('end', between=(0.0, 8.0))

def test_file(emotion_replay):
    replay(emotion_replay).expect_file('bags/wrong.yaml')

def test_like(emotion_replay):
    replay(emotion_replay).expect_like('expected.jsonl', limits='limits.yaml')

def test_missing_bag(emotion_replay):
    emotion_replay('bags/nobody')

def test_missing_limits(emotion_replay):
    replay(emotion_replay).expect_like('expected.jsonl', limits='none.yaml')

def test_parameters_of_the_robot(emotion_replay):
    replay(emotion_replay, params='robot.yaml', reset_gap=0.5)

def test_parameters_of_the_robot_count(emotion_replay):
    visit = replay(
        emotion_replay, params='robot.yaml', policy='policy.yaml', conversation='talk.yaml'
    )
    assert len(visit.results) < 20
    visit.expect_action('check_in', between=(0.0, 8.0))

def test_setting(emotion_replay):
    replay(emotion_replay, max_face=1)

def test_span(emotion_replay):
    replay(emotion_replay).expect('happy', 6.5, 4.0)
"""

NOBODY = '{{"stamp": {}, "faces": []}}\n'


def failures(output):
    """Return what each failed test printed of its failure."""
    parts = re.split(r'^_+ (test_\w+) _+$', output.split('short test summary')[0], flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


@pytest.fixture(scope='module')
def visited(tmp_path_factory):
    """Run VISITS on a bag; return the folder, and what each failed test printed."""
    folder = tmp_path_factory.mktemp('visited')
    (folder / 'bags').mkdir()
    make_bag(folder / 'bags' / 'visit', fps=10.0, duration=8.0)
    (folder / 'bags' / 'visit.yaml').write_text(
        'labels: [{label: happy, from: 4.0, to: 6.5}]\n'
        'actions: [{action: resume, from: 0.0, to: 2.0}]\n'
    )
    (folder / 'bags' / 'wrong.yaml').write_text(
        'labels: [{label: happy, from: 4.0, to: 6.5}, {label: none, from: 1.0, to: 2.0}]\n'
        'actions: [{action: celebrate, from: 0.0, to: 1.0}]\n'
    )
    stamps = [round(1.0 + k / 10, 1) for k in range(80)]
    (folder / 'expected.jsonl').write_text(''.join(map(NOBODY.format, stamps)))
    (folder / 'robot.yaml').write_text('/**: {ros__parameters: {max_rate_hz: 2.0}}')
    (folder / 'policy.yaml').write_text(
        'rules: [{name: ask, emotion: face, action: check_in, topics: [cats]}]\n'
    )
    (folder / 'talk.yaml').write_text('topics: {cats: {name: cats}}')
    (folder / 'limits.yaml').write_text('min_agreement: 0.9\n')
    write(folder, VISITS)
    elsewhere = tmp_path_factory.mktemp('elsewhere')
    run = run_pytest(
        elsewhere, '-p', PLUGIN, str(folder), '--emotion-figures', 'figures',
        f'--basetemp={elsewhere / "temporary"}',
    )  # fmt: skip
    return folder, elsewhere, run.stdout, failures(run.stdout)


def test_what_is_as_expected_passes(visited):
    folder, _, output, failed = visited
    assert '9 failed, 2 passed' in output
    assert 'test_good' not in failed
    assert (folder / 'visit.png').stat().st_size > 10_000


@pytest.mark.parametrize(
    ('test', 'lines'),
    [
        ('test_label', ['sad from 4.00 to 6.50 s: 0 of 26 frames', 'first other at 4.000 s (stamp '
                        '5.000000): happy']),
        ('test_action', ['action end from 0.00 to 8.00 s: not decided; decisions in the 7.90 s']),
        ('test_file', ['none from 1.00 to 2.00 s: 0 of 11', 'action celebrate from 0.00 to 1.00']),
        ('test_like', ['bags/visit is not like expected.jsonl: min_agreement 0.9 is broken: 0;',
                       '(0.000 s after the first frame): expected none, actual unknown',
                       'results.jsonl']),
        ('test_missing_bag', ['bags/nobody does not exist']),
        ('test_missing_limits', ['none.yaml cannot be read']),
        ('test_setting', ["unknown setting 'max_face'"]),
        ('test_parameters_of_the_robot', ['so every image would reset all state']),
        ('test_span', ['ends at 4 s, before it begins at 6.5 s']),
    ],
)  # fmt: skip
def test_what_is_not_says_so_and_shows_nothing_of_the_insides(visited, test, lines):
    _, _, _, failed = visited
    text = failed[test]
    for line in lines:
        assert line in text
    assert 'E       AssertionError: ' in text
    # The test's own lines, and no others.
    assert set(re.findall(r'^\S*?(\w+\.py):\d+:', text, re.M)) == {'test_visit.py'}
    assert 'emotion_estimator/' not in text
    assert 'replay(emotion_replay' in text or 'emotion_replay(' in text


def test_problems_of_the_bag_are_reported_too(tmp_path):
    nobody = tuple(FrameResult(k / 10, ()) for k in range(20))
    problem = 'topic /image: 8 images do not decode, first at 3.000000 s: no JPEG'
    account = Account('images', 28, 20, Counter({'do not decode': 8}))
    outcome = ReplayOutcome(nobody, (), (problem,), tmp_path, account)
    bag = ReplayedBag('torn', outcome, CallingTest(tmp_path))
    bag.expect('none', 0.0, 1.9)
    (tmp_path / 'expected.jsonl').write_text(''.join(NOBODY.format(k / 5) for k in range(50)))
    for expectation in (
        lambda: bag.expect('happy', 0.0, 1.9), lambda: bag.expect_like('expected.jsonl'),
    ):  # fmt: skip
        with pytest.raises(AssertionError) as caught:
            expectation()
        assert f'\n  problem of the bag: {problem}' in str(caught.value)
        assert f'\n  of the bag: {account}' in str(caught.value)


def test_a_bag_is_replayed_once_for_all_tests_with_the_same_settings(visited):
    _, elsewhere, _, _ = visited
    assert len(list((elsewhere / 'temporary').rglob('results.jsonl'))) == 2


def test_pictures_are_drawn_of_what_was_not_as_expected(visited):
    _, elsewhere, _, failed = visited
    figures = elsewhere / 'figures'
    drawn = {'test_label', 'test_action', 'test_file', 'test_like'}
    files = {file.stem.rpartition('-')[2]: file for file in figures.iterdir()}
    assert set(files) == drawn
    assert all(file.stem.endswith(f'test_visit-{test}') for test, file in files.items())
    assert all(f'picture: {files[test]}' in failed[test] for test in drawn)


def test_a_picture_has_all_that_was_expected_so_far(tmp_path, monkeypatch):
    nobody = tuple(FrameResult(k / 10, ()) for k in range(20))
    outcome = ReplayOutcome(nobody, (), (), tmp_path, Account('images', 20, 20, Counter()))
    bag = ReplayedBag('quiet', outcome, CallingTest(tmp_path))
    drawn = []
    monkeypatch.setattr(
        'emotion_estimator.replay.replayed_bag.draw_results', lambda *given: drawn.append(given[4])
    )
    bag.expect('none', 0.0, 1.9)
    with pytest.raises(AssertionError):
        bag.expect_action('end', between=(0.0, 1.0))
    bag.draw('all.png')
    assert [each.words for each in drawn[0]] == ['none, 80% expected: 100%, met', 'end: not met']


def test_each_test_has_a_picture_of_its_own(tmp_path):
    body = (
        'import pytest\n'
        f'pytest_plugins = [{PLUGIN!r}]\n'
        '@pytest.mark.parametrize("bag", ["a-b", "a b", "x" * 300, "x" * 299 + "y"])\n'
        'def test(emotion_replay, bag): print("figure", emotion_replay._caller.figure.name)\n'
        'class TestOne:\n'
        '    def test(self, emotion_replay): print("figure", emotion_replay._caller.figure.name)\n'
    )
    for folder in ('one', 'two'):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, body)
    run = run_pytest(
        tmp_path, '-p', PLUGIN, '-s', '--import-mode=importlib', '--emotion-figures', 'figures'
    )
    names = re.findall(r'figure (\S+)$', run.stdout, re.M)
    assert len(names) == 10, run.stdout + run.stderr
    assert len(set(names)) == 10
    assert all(re.fullmatch(r'[\w.-]{,120}\.png', name) for name in names)
    assert {'one.test_visit-TestOne-test.png', 'two.test_visit-TestOne-test.png'} <= set(names)
