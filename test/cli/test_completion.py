"""Completion by the shell: verbs, options, their values and file names, without a word of error."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time

import pytest
from click.shell_completion import BashComplete

from emotion_estimator.cli.main import RESEARCH_VERBS, VERBS, group

#: In place of the command that pip installs, with a list of what was imported.
PROGRAM = """#!{python}
import sys
from emotion_estimator.cli.main import main
try:
    sys.exit(main())
finally:
    open({log!r}, 'w').write(' '.join(sys.modules))
"""


@pytest.fixture
def shell(tmp_path):
    """Return a folder with the command, for PATH, and a film in it."""
    program = tmp_path / 'emotion-estimator'
    program.write_text(PROGRAM.format(python=sys.executable, log=str(tmp_path / 'modules')))
    program.chmod(0o755)
    (tmp_path / 'film.mp4').touch()
    (tmp_path / 'folder').mkdir()
    return tmp_path


def environment(folder):
    path = f'{folder}{os.pathsep}{os.environ["PATH"]}'
    return {**os.environ, 'PATH': path, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}


#: What bash does when Tab is pressed.
ASK = """
eval "$(_EMOTION_ESTIMATOR_COMPLETE=bash_source emotion-estimator)"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_emotion_estimator_completion emotion-estimator
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(folder, *words):
    """Return what bash offers for the last word, and the modules that it took to find out."""
    done = subprocess.run(
        ['bash', '-c', ASK, 'bash', 'emotion-estimator', *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env=environment(folder),
    )
    assert done.stderr == ''
    return done.stdout.split(), (folder / 'modules').read_text().split()


needs_bash = pytest.mark.skipif(shutil.which('bash') is None, reason='there is no bash')


@needs_bash
@pytest.mark.parametrize(
    ('words', 'offered'),
    [
        (['vi'], ['video']),
        ([''], [*VERBS, *RESEARCH_VERBS]),
        (['--ver'], ['--verbose', '--version']),
        (['video', '--land'], ['--landmarks']),
        (['video', '--landmarks', ''], ['auto', 'face_landmarker', 'face_mesh']),
        (['-v', 'models', ''], ['list', 'fetch']),
        (['record', 'por'], ['portrait']),
        (['live', 'por'], ['portrait']),
        (['--log-format', 'j'], ['json']),
        # No such verb, and one that may not be installed: nothing, not even an error.
        (['vidoe', 'x'], []),
        (['training', 'xyzzy'], []),
    ],
    ids=' '.join,
)
def test_bash_completes(shell, words, offered):
    found, modules = completed(shell, *words)
    assert sorted(found) == sorted(offered)
    # It would take more than a second.
    assert 'mediapipe' not in modules
    if len(words) == 1:
        assert not {'numpy', 'cv2'} & set(modules)


@needs_bash
def test_bash_completes_file_names(shell):
    """In a terminal: which files there are is bash's own part."""
    ours, theirs = pty.openpty()
    bash = subprocess.Popen(
        ['bash', '--norc', '-i'],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=shell,
        env=environment(shell) | {'PS1': 'ready> ', 'TERM': 'dumb'},
        start_new_session=True,
    )
    os.close(theirs)
    said = ''

    def until(words):
        nonlocal said
        end = time.monotonic() + 30
        while words not in said and time.monotonic() < end:
            if select.select([ours], [], [], 0.5)[0]:
                said += os.read(ours, 4096).decode()
        assert words in said, said
        said = said.partition(words)[2]

    try:
        until('ready> ')
        os.write(ours, b'eval "$(_EMOTION_ESTIMATOR_COMPLETE=bash_source emotion-estimator)"\n')
        until('ready> ')
        for begun, whole in (
            ('video fi', 'video film.mp4 '),
            ('image fo', 'image folder/'),
            ('evaluate --blendshapes fi', 'evaluate --blendshapes film.mp4 '),
        ):
            os.write(ours, f'emotion-estimator {begun}\t'.encode())
            until(whole)
            # Ctrl-U: the line is not run.
            os.write(ours, b'\x15')
    finally:
        bash.kill()
        bash.wait()
        os.close(ours)


@pytest.mark.parametrize('name', [*VERBS])
def test_every_verb_completes_its_options(name):
    """In this process: what bash is answered."""
    complete = BashComplete(group, {}, 'emotion-estimator', '_EMOTION_ESTIMATOR_COMPLETE')
    given = [item.value for item in complete.get_completions([name], '--')]
    if name == 'models':
        assert given == ['--verbose', '--quiet', '--help']
    else:
        assert set(given) >= {'--verbose', '--quiet', '--help'}
    assert all(re.fullmatch('--[a-z0-9-]+', option) for option in given)
