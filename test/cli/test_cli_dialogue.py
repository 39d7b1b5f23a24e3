"""``emotion-estimator dialogue``: scripts, recordings and keys, and its exit status."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import termios
import threading
from contextlib import contextmanager
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from courses import course

from emotion_estimator.cli.main import main
from emotion_estimator.emotion import NONE
from emotion_estimator.frame import write_results

ROOT = Path(__file__).parents[2]
CARE_HOME = ROOT / 'examples' / 'dialogue' / 'care_home.yaml'
PROGRAM = [sys.executable, '-m', 'emotion_estimator.cli.main', 'dialogue']

#: A rule that acts on half a second of joy, and on nothing else.
POLICY = """
turn_taking: false
rules:
  - {name: smile, emotion: happy, held_for: 0.5, share: 1, cooldown: 3, action: celebrate}
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Return a function that runs the verb: status, output, lines of errors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'policy.yaml').write_text(POLICY)

    def dialogue(*arguments, keys: bytes = b''):
        monkeypatch.setattr(sys, 'argv', ['emotion-estimator', 'dialogue', *map(str, arguments)])
        monkeypatch.setattr(sys, 'stdin', TextIOWrapper(BytesIO(keys), encoding='utf-8'))
        status = main()
        said = capsys.readouterr()
        lines = said.err.splitlines()
        assert all(line.startswith('emotion-estimator: ') for line in lines), said.err
        return status, said.out, lines

    return dialogue


def script(text: str) -> str:
    Path('script.yaml').write_text(text)
    return 'script.yaml'


MET = 'steps: [{shows: happy, for: 2, expect: [{action: celebrate, from: 0.4, to: 0.7}]}]'


def test_a_script_that_is_met_is_status_0(run):
    status, out, lines = run('--script', script(MET), '--policy', 'policy.yaml')
    assert (status, lines) == (0, [])
    assert re.search(r'robot   ".*\[as expected\]\n +celebrate: topic ', out)
    assert 'smile: happy for 0.5 of the last 0.5 s' in out


def test_an_unmet_script_is_status_1_and_names_the_step(run):
    path = script(MET.replace('celebrate', 'pause'))
    status, out, lines = run('--script', path, '--policy', 'policy.yaml')
    assert status == 1
    assert re.search(r'robot   ".*\[NOT as expected\]\n +celebrate: topic ', out)
    different, missing = lines
    assert 'script.yaml: step 1 (happy from 0.00 s): celebrate at 0.5' in different
    assert 'pause from 0.40 to 0.70 s did not come' in missing


def test_a_policy_of_the_old_form_works_and_says_in_one_line_what_to_change(run):
    old = POLICY.replace('turn_taking: false\n', '')
    Path('old.yaml').write_text(old)
    status, out, (line,) = run('--script', script(MET), '--policy', 'old.yaml')
    assert (status, out.count('celebrate: ')) == (0, 1)
    assert 'old.yaml has the form of an earlier release' in line


def test_a_script_may_name_its_own_files(run):
    assert run('--script', script('policy: policy.yaml\n' + MET))[0] == 0


def test_actions_as_json(run):
    status, out, _ = run('--script', script(MET), '--policy', 'policy.yaml', '--json')
    (action,) = map(json.loads, out.splitlines())
    assert status == 0
    assert (action['action'], action['rule'], action['expected']) == ('celebrate', 'smile', True)


def test_recorded_json_lines(run):
    write_results(course([NONE] * 5 + ['happy'] * 20, begin=1.7e9), Path('course.jsonl'))
    status, out, _ = run('--from', 'course.jsonl', '--policy', 'policy.yaml')
    assert status == 0
    assert out.splitlines()[:2] == ['    0.00 s  person  nobody', '    0.50 s  person  happy']
    assert out.count('celebrate: ') == 1
    _, out, _ = run('--from', 'course.jsonl', '--policy', 'policy.yaml', '--json')
    assert json.loads(out)['stamp'] == pytest.approx(1.7e9 + 1, abs=0.21)


def test_a_recorded_bag(run):
    pytest.importorskip('rosbags')
    from emotion_estimator.bags.messages import Header
    from emotion_estimator.bags.writer import BagWriter

    with BagWriter(Path('bag')) as writer:
        for frame in course(['happy'] * 20, begin=5.0):
            header = Header(round(frame.stamp * 1e9), 'camera')
            writer.result(frame, header, 'made')
    status, out, _ = run('--from', 'bag', '--policy', 'policy.yaml')
    assert (status, out.count('celebrate: ')) == (0, 1)


def test_keys_from_a_pipe(run):
    status, out, _ = run('--policy', 'policy.yaml', keys=b'u\nh\nh\nn\nq?')
    assert status == 0
    assert re.findall(r'person  (.*)', out) == ['unknown', 'happy', 'nobody']
    assert out.count('celebrate: ') == 1
    # A tenth of a second of joy is not enough.
    assert 'celebrate' not in run('--policy', 'policy.yaml', '--hold', '0.1', keys=b'uhu')[1]


@pytest.mark.parametrize(
    ('arguments', 'keys', 'says'),
    [
        (['--script', 'gone.yaml'], b'', 'gone.yaml cannot be read'),
        (['--script', 'policy.yaml'], b'', 'policy.yaml: steps is missing'),
        (['--from', 'gone.jsonl'], b'', 'gone.jsonl cannot be read'),
        (['--from', 'policy.yaml'], b'', 'policy.yaml, line 2 is not a result'),
        (['--from', '/dev/null'], b'', '/dev/null holds no frames'),
        (['--from', 'a', '--script', 'b'], b'', 'give one of them'),
        (['--topic', '/emotion'], b'u', '--topic requires --from'),
        (['--policy', 'gone.yaml'], b'u', 'gone.yaml cannot be read'),
        (['--conversation', 'policy.yaml'], b'u', 'policy.yaml: '),
        (['--speed', '0'], b'u', '--speed'),
        (['--speed', 'nan'], b'u', '--speed'),
        (['--hold', '0'], b'u', '--hold'),
        (['--hold', 'nan'], b'u', '--hold'),
        ([], b'', 'standard input has no keys'),
        ([], b'u7', "key 2: unknown key '7'"),
        ([], b'\xff\xfe', 'standard input is not text'),
        (['unexpected'], b'', 'unexpected'),
    ],
)
def test_bad_usage_is_one_line_and_status_2(run, arguments, keys, says):
    status, _, lines = run(*arguments, keys=keys)
    assert status == 2
    (line,) = lines
    assert says in line


@contextmanager
def killed_after(seconds, process):
    """Let nothing wait for ever for a line that does not come."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def test_keys_of_a_terminal_whose_settings_are_restored(tmp_path):
    (tmp_path / 'policy.yaml').write_text(POLICY)
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    with subprocess.Popen(
        [*PROGRAM, '--policy', 'policy.yaml', '--speed', '20'],
        stdin=theirs, stdout=subprocess.PIPE, cwd=tmp_path, text=True, env=dict(os.environ),
    ) as running, killed_after(60, running):  # fmt: skip
        assert running.stdout.readline().startswith('keys: h happy')
        os.write(ours, b'h')
        for line in running.stdout:
            if 'celebrate' in line:
                break
        else:
            pytest.fail('nothing was done')
        # Without Enter, and not echoed.
        assert termios.tcgetattr(theirs) != before
        os.write(ours, b'q')
        running.stdout.read()
        assert running.wait(60) == 0
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)


def test_ctrl_c_is_one_line_and_restores_the_terminal(tmp_path):
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    with subprocess.Popen(
        PROGRAM, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path,
        text=True, env=dict(os.environ),
    ) as running, killed_after(60, running):  # fmt: skip
        running.stdout.readline()
        running.stdout.readline()
        running.send_signal(2)
        _, errors = running.communicate(timeout=60)
        assert running.returncode == 130
        # Click ends the line that the terminal's ^C stands in.
        assert errors.strip() == 'emotion-estimator: interrupted'
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)
