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
from dataclasses import asdict, replace
from io import BytesIO, TextIOWrapper
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from click.testing import CliRunner
from courses import course
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.cli.dialogue import dialogue as dialogue_verb
from emotion_estimator.cli.main import main
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.emotion import LABELS, NONE
from emotion_estimator.frame import FrameResult, write_results

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
    # The recording's own stamps, as in JSON.
    assert out.splitlines()[:2] == [
        '1700000000.00 s  person  nobody',
        '1700000000.50 s  person  happy',
    ]
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


def speech_bag(folder: Path, inputs, storage: str = 'mcap', topic: str = '/emotions') -> list:
    """Write a bag of emotions (given as labels) and speech; return what is to be heard."""
    from bag_making import write_bag
    from courses import frame
    from speech_bag import recorded

    from emotion_estimator.bags import messages as ros

    step, time, messages, heard = 200_000_000, 10**9, [], []
    for number, each in enumerate(inputs):
        if not isinstance(each, str):
            time += number % 3
            messages.append(recorded(each, time))
            heard.append(each)
            continue
        time = (time // step + 1) * step
        header = ros.Header(time)
        result = frame(header.stamp, each)
        made = ros.emotions_message(result.faces, header, 'made')
        kind = ros.EMOTION_ARRAY
        if topic == '/emotion':
            made, kind = (
                ros.emotion_message(next(iter(result.faces), None), header, ''),
                ros.EMOTION,
            )
        data = ros.serialize(made)
        messages.append((topic, kind, time, data))
        # As read back: probabilities are of less precision in a bag.
        heard.append(ros.read_result(data, kind))
    write_bag(folder, messages, storage)
    return heard


def without_seconds(out: str) -> list[dict]:
    """Return the actions that were printed as JSON, without what only the simulator knows."""
    printed = [json.loads(line) for line in out.splitlines()]
    return [
        {key: value for key, value in action.items() if key not in ('seconds', 'expected')}
        for action in printed
    ]


def as_printed(actions) -> list[dict]:
    return [json.loads(json.dumps(asdict(action))) for action in actions]


def spoken():
    """Return a minute of a person who answers, in labels and speech."""
    from speech_bag import said, speaking, voice

    inputs = [said('Hello?'), voice(False)]
    for second in range(60):
        inputs += ['unknown', 'happy' if second % 7 else 'sad', 'unknown', 'unknown', 'happy']
        if second in (3, 4, 5, 20, 21, 22, 40):
            inputs[-3:-3] = [speaking()]
        if second in (6, 23, 41):
            inputs += [speaking(False), said('My sister had one')]
        if second == 44:
            # Never reported to have ended: it expires after 20 s.
            inputs += [speaking()]
    return inputs + ['happy'] * 150


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('topic', ['/emotions', '/emotion'])
def test_speech_in_a_recorded_bag_counts_as_live(run, storage, topic):
    pytest.importorskip('rosbags')
    from speech_bag import answers_live

    heard = speech_bag(Path('bag'), spoken(), storage, topic)
    live = answers_live(DialogueManager.load(), heard, know_others=topic == '/emotions')
    status, out, lines = run('--from', 'bag', '--json')
    assert (status, lines) == (0, [])
    assert without_seconds(out) == as_printed(live)
    assert sum('the person spoke for' in action.reason for action in live) >= 3
    emotions = [each for each in heard if isinstance(each, FrameResult)]
    silent = answers_live(DialogueManager.load(), emotions, know_others=topic == '/emotions')
    assert as_printed(silent) != as_printed(live)
    # The transcript begins with the first emotion, and has the words.
    _, out, _ = run('--from', 'bag')
    assert out.startswith('    1.20 s  person  "Hello?"\n    1.20 s  person  unknown\n')
    assert out.count('person  "My sister had one"') == 3


def test_of_two_people_the_one_spoken_to_is_kept_to_where_both_were_recorded(run):
    pytest.importorskip('rosbags')
    from courses import face
    from speech_bag import answers_live

    from emotion_estimator.bags.messages import Header
    from emotion_estimator.bags.reader import read_emotions
    from emotion_estimator.bags.writer import BagWriter

    first, second = face('sad'), replace(face('happy'), face_id='face_2')
    with BagWriter(Path('bag')) as writer:
        for number in range(300):
            header = Header(10**9 + number * 10**8, 'camera')
            faces = (first,) if number < 30 else (second, first)
            writer.result(FrameResult(header.stamp, faces), header, 'made')
    printed = {}
    for topic, known in [('/emotions', True), ('/emotion', False)]:
        _, out, _ = run('--from', 'bag', '--topic', topic, '--json')
        live = answers_live(DialogueManager.load(), read_emotions(Path('bag'), topic), known)
        assert without_seconds(out) == as_printed(live)
        printed[topic] = {each['face_id'] for each in without_seconds(out)}
    assert printed == {'/emotions': {'face_1'}, '/emotion': {'face_1', 'face_2'}}


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_any_interleaving_in_a_recorded_bag_counts_as_live(data):
    pytest.importorskip('rosbags')
    from speech_bag import answers_live, any_speech

    inputs = []
    for _ in range(data.draw(st.integers(1, 6))):
        inputs += data.draw(st.lists(any_speech, max_size=3))
        inputs += [data.draw(st.sampled_from((*LABELS, NONE)))] * data.draw(st.integers(1, 60))
    with TemporaryDirectory() as folder:
        bag = Path(folder) / 'bag'
        heard = speech_bag(bag, inputs, data.draw(st.sampled_from(['mcap', 'sqlite3'])))
        live = answers_live(DialogueManager.load(), heard, know_others=True)
        ran = CliRunner().invoke(dialogue_verb, ['--from', str(bag), '--json'])
    assert ran.exception is None
    assert without_seconds(ran.stdout) == as_printed(live)


def test_damaged_speech_in_a_recorded_bag_is_one_line(run):
    pytest.importorskip('rosbags')
    from bag_making import write_bag
    from rosbags.rosbag2 import StoragePlugin, Writer
    from speech_bag import SAID, recorded, said

    from emotion_estimator.bags import messages as ros

    nobody = ros.serialize(ros.emotion_message(None, ros.Header(10**9), ''))
    words = recorded(said('yes'), 0)
    write_bag(Path('bag'), [
        ('/emotion', ros.EMOTION, 10**9, nobody),
        *((f'/{SAID}', words[1], 10**9 + n, words[3][:-2]) for n in range(3)),
        recorded(said('Bye'), 10**9 + 4),
    ])  # fmt: skip
    status, out, (line,) = run('--from', 'bag')
    assert status == 0
    assert out.splitlines()[-1].endswith('person  "Bye"')
    assert f'topic /{SAID}: 3 messages cannot be read and are not heard' in line
    # Speech alone is no conversation.
    write_bag(Path('words'), [recorded(said('Hello'), 1)])
    status, _, (line,) = run('--from', 'words')
    assert status == 2
    assert 'has no emotions' in line
    with Writer(Path('empty'), version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.add_connection('/emotion', ros.EMOTION, typestore=ros.typestore())
        heard = writer.add_connection(f'/{SAID}', words[1], typestore=ros.typestore())
        writer.write(heard, 1, words[3])
    status, _, (line,) = run('--from', 'empty', '--topic', 'emotion')
    assert status == 2
    assert line.endswith('empty holds no frames')


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
        (['--from', '/dev/null'], b'', '/dev/null cannot be read (it is a device'),
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
