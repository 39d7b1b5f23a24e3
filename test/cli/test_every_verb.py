"""Every verb takes every value: it works, or says in one line what is wrong, with status 2.

The verbs and their parameters come from the command line itself, so that new ones are included.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from hostile_files import make_hostile_files
from verb_walk import TEXTS, places, run_verb, takes_text, verbs, walk

from emotion_estimator import strict_yaml
from emotion_estimator.cli import bench, live
from emotion_estimator.cli.main import VERBS, group, main
from emotion_estimator.cost import Costs
from emotion_estimator.live import server, session
from emotion_estimator.resources import resource_dir
from emotion_estimator.sources import open_source

#: Walked with the research package's tests.
_RESEARCH = ('training', 'zoo')
#: Bytes of address space for a walk: networks and threads reserve more than they use.
_MEMORY = 4 << 30
_PLACES = [place for place in places(group) if place[0][0] not in _RESEARCH]


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    return make_hostile_files(tmp_path_factory.mktemp('hostile') / 'files')


@pytest.fixture(scope='module', autouse=True)
def _shipped_files_are_read_once():
    """Most of the time would go into reading the shipped rules and words."""
    read, known = strict_yaml.read_yaml, {}
    shipped = resource_dir('config')

    def read_once(path):
        if path.parent != shipped:
            return read(path)
        if path not in known:
            known[path] = read(path)
        return known[path]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strict_yaml, 'read_yaml', read_once)
        yield


@pytest.fixture
def _apart(tmp_path, monkeypatch):
    """No ROS, no network, no other process, and nothing written but here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setenv('AMENT_PREFIX_PATH', '')
    monkeypatch.setitem(sys.modules, 'emotion_estimator.nodes.mcp_bridge', None)

    def refuse(*arguments, **options):
        raise socket.gaierror('no network')

    monkeypatch.setattr(socket, 'getaddrinfo', refuse)
    # As of a model file that ends the process which tries it.
    crashed = subprocess.CompletedProcess((), -signal.SIGSEGV, b'', b'')
    monkeypatch.setattr(subprocess, 'run', lambda *arguments, **options: crashed)
    # Its minutes of measuring are not what is tried here.
    monkeypatch.setattr(bench, 'scene', lambda *_: [])
    monkeypatch.setattr(
        bench, 'measure', lambda *_, **__: (Costs([1.0] * 40, [1.0] * 40, [1.0] * 40), 1)
    )
    # Nor is a page that nobody opens.
    monkeypatch.setattr(server, 'serving', lambda *_: nullcontext('http://127.0.0.1'))
    monkeypatch.setattr(live, '_wait', lambda: None)
    # Opened with the same options as for image and video, which do it in earnest.
    monkeypatch.setattr(session, 'EmotionEstimator', _Unopened)
    monkeypatch.setattr(open_source, 'Portrait', _Unopened)
    # What reads a device to its end fails here, not the machine.
    before = resource.getrlimit(resource.RLIMIT_AS)
    in_use = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + _MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


class _Unopened:
    """In place of an estimator or a portrait that is asked for nothing."""

    name, fps, live = 'portrait', 30.0, False

    def __init__(self, *arguments):
        pass

    @classmethod
    def load(cls, settings):
        return cls()

    def frames(self):
        return iter(())

    def close(self):
        pass


def test_every_verb_is_walked():
    assert {words[0] for words, _ in verbs(group)} >= set(VERBS)
    assert len(_PLACES) > 40
    # The lists of values are worth something only if both kinds occur.
    assert 20 < sum(takes_text(parameter) for _, _, parameter in _PLACES) < len(_PLACES)


@pytest.mark.usefixtures('_apart')
@pytest.mark.parametrize('place', _PLACES, ids=lambda place: ' '.join((*place[0], place[2].name)))
def test_any_value_gives_a_result_or_one_line(place, files):
    if place[0] == ('image',) and place[2].name == 'files':
        pytest.skip('walked below')
    assert walk(main, place, files) == []


@pytest.mark.usefixtures('_apart')
def test_images_of_any_kind_give_one_line_each(files):
    """All at once: opening the networks takes longest."""
    values = [*TEXTS, *map(str, (*files.names.values(), *files.contents.values()))]
    run = run_verb(main, ['image', '--', *values])
    lines = run.error.splitlines()
    assert run.status == 2
    assert run.output == ''
    assert len(lines) == len(values)
    assert [line for line in lines if not line.startswith('emotion-estimator: image')] == []
    assert [line for line in lines if not line.isprintable() or len(line) > 400] == []


@pytest.mark.parametrize('words', [words for words, _ in verbs(group)], ids=' '.join)
def test_a_full_disk_is_one_line(words, monkeypatch):
    with Path('/dev/full').open('w') as full:
        run = run_verb(main, [*words, '--help'], full)
    assert run.status == 2
    assert run.error.count('\n') == 1
    assert 'standard output cannot be written (No space left on device)' in run.error


def start(*arguments, **options):
    """Start the command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, '-m', 'emotion_estimator.cli.main', *arguments],
        **{'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, **options},
    )


def test_output_that_nobody_can_take(files):
    """In processes: Python itself complains of what it cannot write when it ends."""
    arguments = ('compare', files.good, files.good, '--limits', 'none')
    unread, gone = os.pipe()
    os.close(unread)
    with Path('/dev/full').open('w') as full:
        on_full_disk = start(*arguments, stdout=full)
        for_nobody = start(*arguments, stdout=gone)
        in_silence = start('compare', files.good, files.names['missing'], stderr=full)
    os.close(gone)
    _, said = on_full_disk.communicate()
    assert (on_full_disk.returncode, said.count(b'\n')) == (2, 1)
    assert b'No space left on device' in said
    # As in `emotion-estimator ... | head -1`.
    assert (for_nobody.communicate()[1], for_nobody.returncode) == (b'', 0)
    in_silence.communicate()
    assert in_silence.returncode == 2


def test_names_and_signs_that_cannot_be_written(files, tmp_path):
    """In processes: streams of a terminal refuse what those of a test take."""
    script = tmp_path / 'script.yaml'
    script.write_text('about: "\u3042"\nsteps: [{shows: happy, for: 1}]\n')
    in_latin = start(
        'dialogue', '--script', script, env=os.environ | {'PYTHONIOENCODING': 'latin-1'}
    )
    undecodable = start('video', files.names['undecodable_name'])
    _, said = in_latin.communicate()
    assert (in_latin.returncode, said.count(b'\n')) == (2, 1)
    assert b"cannot take '\\u3042' in latin-1; set PYTHONIOENCODING" in said
    _, said = undecodable.communicate()
    assert (undecodable.returncode, said.count(b'\n')) == (2, 1)
    assert b'not UTF-8; rename it' in said
