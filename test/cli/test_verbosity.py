"""What ``-v``, ``-q`` and ``--log-format`` change: standard error alone."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import click
import cv2
import numpy as np
import pytest
from verb_walk import run_verb, verbs

from emotion_estimator import __version__, runtimes
from emotion_estimator.account import Account
from emotion_estimator.cli import verbosity
from emotion_estimator.cli.main import complain, group, main
from emotion_estimator.cli.options import say_account
from emotion_estimator.sources.portrait import Portrait

ROOT = Path(__file__).parents[2]
#: Walked with the research package's tests.
RESEARCH = ('training', 'zoo')
VERBS = [words for words, _ in verbs(group) if words[0] not in RESEARCH]
LOG_LEVELS = ('minloglevel', 'MIN_LOG_LEVEL')
LEVELS = ('', '-q', '-v', '-vv')
PORTRAIT = ROOT / 'emotion_estimator' / 'sources' / 'data' / 'astronaut.jpg'


@pytest.fixture(scope='module')
def inputs(tmp_path_factory):
    """Return what each verb that takes --json is given, by its name."""
    folder = tmp_path_factory.mktemp('inputs')
    pictures = folder / 'pictures'
    pictures.mkdir()
    for n, frame in zip(range(3), Portrait(5.0).frames()):
        cv2.imwrite(str(pictures / f'{n}.png'), cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
    bag, results = folder / 'bag', folder / 'results.jsonl'
    assert main(['record', str(pictures), '--bag', str(bag), '-q']) == 0
    results.write_text('{"stamp": 1.0, "faces": []}\n')
    table = folder / 'table.csv'
    rows = np.column_stack([np.full((3, 52), 0.25), np.arange(3)])
    np.savetxt(table, rows, delimiter=',', fmt='%.5f')
    return {
        'image': [PORTRAIT],
        'video': [pictures],
        'replay': [bag],
        'compare': [results, results],
        'dialogue': ['--script', ROOT / 'examples' / 'dialogue' / 'care_home.yaml'],
        'evaluate': ['--blendshapes', table],
    }


def in_process(*arguments):
    return subprocess.run(
        [sys.executable, '-m', 'emotion_estimator.cli.main', *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        # As a user has it: a test before may have opened MediaPipe in this process.
        env={k: v for k, v in os.environ.items() if not k.endswith(LOG_LEVELS)},
    )


# bench measures times, which differ.
JSON = [
    words[0]
    for words, verb in verbs(group)
    if words[0] not in (*RESEARCH, 'bench') and any('--json' in each.opts for each in verb.params)
]


@pytest.mark.parametrize('verb', JSON)
def test_results_are_the_same_however_much_is_said(verb, inputs):
    command = [verb, *map(str, inputs[verb]), '--json']
    plain = run_verb(main, command)
    assert plain.output.startswith('{')
    for level in LEVELS[1:]:
        for arguments in ([level, *command], [*command, level]):
            told = run_verb(main, arguments)
            assert (told.status, told.output) == (plain.status, plain.output), arguments


@pytest.mark.parametrize('words', VERBS, ids=' '.join)
def test_every_verb_takes_them_before_and_after_its_name(words):
    told = run_verb(main, [*words, '--help']).output
    assert '-v, --verbose' in told and '-q, --quiet' in told
    for arguments in (['-q', *words], [*words, '-q'], ['-vv', *words, '-v']):
        assert run_verb(main, [*arguments, '--help']).output == told
    both = run_verb(main, ['-v', *words, '--quiet', '--help'])
    assert both.status == 2
    assert both.error == (
        'emotion-estimator: --verbose and --quiet exclude each other; give one of them; '
        'see --help\n'
    )


def test_in_a_process_of_its_own_only_vv_has_the_libraries_words():
    normal, quiet, verbose, debug = (
        in_process('image', PORTRAIT, *level.split()) for level in LEVELS
    )
    assert {each.returncode for each in (normal, quiet, verbose, debug)} == {0}
    assert normal.stderr == f'{PORTRAIT}: declared 1 image, read 1\n'
    assert quiet.stderr == ''
    *chosen, account = verbose.stderr.splitlines()
    assert account == normal.stderr.rstrip()
    about, landmarks, model = chosen
    assert about.startswith(f'emotion-estimator: info: emotion-estimator {__version__}, Python 3')
    assert landmarks.startswith('emotion-estimator: info: landmark source face_')
    assert re.search(r'info: model .*\(happy, unknown, sad\), .* run by \w+ with 1 thread$', model)
    # TFLite's own line, beside all of the above.
    assert set(verbose.stderr.splitlines()) < set(debug.stderr.splitlines())
    assert 'XNNPACK' in debug.stderr


def test_the_source_and_a_wrong_option_are_told(tmp_path):
    run = run_verb(main, ['-v', 'record', 'portrait', '--bag', str(tmp_path / 'bag'),
                          '--duration', '0.1'])  # fmt: skip
    assert 'emotion-estimator: info: source portrait: 30 images a second' in run.error
    wrong = run_verb(main, ['-v', 'record', 'portrait', '--wrong'])
    assert wrong.error == "emotion-estimator: No such option '--wrong'; see --help\n"


def test_quiet_keeps_what_was_left_out(capsys):
    short, whole = Account('frames', declared=3, read=1), Account('frames', declared=3, read=3)
    with verbosity.reporting():
        for level in (logging.WARNING, logging.ERROR):
            verbosity._report_from(level)
            say_account('short', short)
            say_account('whole', whole)
            verbosity.note('serving')
            complain('wrong')
    assert capsys.readouterr().err.splitlines() == [
        'short: declared 3 frames, read 1, left out 2: 2 missing: the input ends early',
        'whole: declared 3 frames, read 3',
        'emotion-estimator: serving',
        'emotion-estimator: wrong',
        'short: declared 3 frames, read 1, left out 2: 2 missing: the input ends early',
        'emotion-estimator: wrong',
    ]


def test_a_warning_of_the_core_is_a_line_of_ours_and_afterwards_nothing_is_set(capsys):
    root, ours = logging.getLogger(), logging.getLogger('emotion_estimator')
    before = root.level, ours.level, root.handlers[:], ours.handlers[:]
    with verbosity.reporting():
        ours.getChild('trial').warning('half a\nmessage')
        ours.getChild('trial').info('not asked for')
        verbosity._report_from(logging.INFO)
        logging.getLogger('PIL').info('not ours')
        verbosity._report_from(logging.DEBUG)
        logging.getLogger('PIL').debug('of a library')
        ours.debug('once')
        assert runtimes.debugging()
    assert capsys.readouterr().err.splitlines() == [
        'emotion-estimator: half a?message',
        'emotion-estimator: debug: PIL: of a library',
        'emotion-estimator: debug: once',
    ]
    assert (root.level, ours.level, root.handlers, ours.handlers) == before
    assert not runtimes.debugging()


@pytest.mark.parametrize('level', ([], ['-v'], ['-vv'], ['-q']))
def test_no_line_is_written_twice_if_a_library_gives_the_root_a_handler(level, capsys):
    """As TensorFlow Lite's converter does, by logging.info of the root."""

    @click.command()
    def verb() -> None:
        own = logging.StreamHandler(sys.stderr)
        # logging.basicConfig does nothing where the root has handlers.
        root = logging.getLogger()
        if any(isinstance(one, verbosity._Lines) for one in root.handlers):
            own = None
        else:
            root.addHandler(own)
        for name in ('emotion_estimator.x', 'emotion_estimator_training.x'):
            logging.getLogger(name).error('seen by %s', name)
        if own is not None:
            root.removeHandler(own)

    with verbosity.reporting():
        verbosity.add_verbosity(verb).main(level, standalone_mode=False)
    said = capsys.readouterr().err
    assert said.count('seen by emotion_estimator.x') == 1
    assert said.count('seen by emotion_estimator_training.x') == 1
    assert all(logging.getLogger(name).propagate for name in verbosity._OURS)


@pytest.mark.parametrize('given', ['option', 'variable'])
def test_lines_as_json(given, monkeypatch):
    format_option = ['--log-format', 'json'] if given == 'option' else []
    if given == 'variable':
        monkeypatch.setenv('EMOTION_ESTIMATOR_LOG_FORMAT', 'json')
    run = run_verb(main, [*format_option, '-v', 'image', str(PORTRAIT), 'gone.jpg'])
    assert run.status == 2
    *told, account = map(json.loads, run.error.splitlines())
    assert account['account']['read'] == 1
    assert [each['level'] for each in told] == ['info'] * 3 + ['error']
    assert told[-1]['message'].startswith('image gone.jpg cannot be read')
    assert set(told[0]) == {'time', 'level', 'name', 'message'}
    # What is wrong with the options, too.
    (line,) = run_verb(main, [*format_option, 'image', '--xyzzy']).error.splitlines()
    assert json.loads(line)['message'] == "No such option '--xyzzy'; see --help"


def test_a_wrong_format_is_one_line(monkeypatch):
    assert main(['--log-format', 'xml', 'doctor']) == 2
    monkeypatch.setenv('EMOTION_ESTIMATOR_LOG_FORMAT', 'xml')
    run = run_verb(main, ['schemas'])
    assert (run.status, run.error.count('\n')) == (2, 1)
    assert "'xml' is not one of 'text', 'json'" in run.error


@pytest.mark.parametrize(
    ('level', 'elsewhere', 'shown'),
    [('', True, False), ('-v', True, True), ('-v', False, False), ('-q', True, False)],
)
def test_progress_beside_results_is_asked_for(level, elsewhere, shown, inputs, tmp_path):
    """On a terminal: it is never shown elsewhere."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    results = (tmp_path / 'results').open('w') if elsewhere else theirs
    command = ['image', *map(str, inputs['image']), *level.split()]
    child = subprocess.Popen(
        [sys.executable, '-m', 'emotion_estimator.cli.main', *command],
        stdout=results,
        stderr=theirs,
    )
    os.close(theirs)
    said = b''
    # The end of a terminal is an error.
    try:
        while part := os.read(ours, 4096):
            said += part
    except OSError:
        pass
    assert child.wait() == 0
    os.close(ours)
    assert (b'0/1 [' in said) == shown


@pytest.mark.parametrize('level', ['', '-q'])
def test_replay_tells_of_finished_bags_unless_quiet(level, inputs, tmp_path):
    command = ['replay', *map(str, inputs['replay']), '--output', str(tmp_path), '--resume']
    assert run_verb(main, [*command, '-q']).error == ''
    again = run_verb(main, [*command, *level.split()])
    assert again.status == 0
    assert ('exists already' in again.error) == (level == '')


def test_the_usual_bars_are_hidden_by_quiet():
    with verbosity.reporting():
        assert verbosity.progress(total=1).disable is (not sys.stderr.isatty())
        verbosity._report_from(logging.ERROR)
        assert verbosity.progress(total=1).disable
