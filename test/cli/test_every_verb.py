"""Every verb takes every value: it works, or says in one line what is wrong, with status 2.

The verbs and their parameters come from the command line itself, so that new ones are included.
"""

from __future__ import annotations

import resource
import socket
import sys
from pathlib import Path

import pytest
from hostile_files import make_hostile_files
from verb_walk import TEXTS, places, run_verb, takes_text, verbs, walk

from emotion_estimator import strict_yaml
from emotion_estimator.cli.main import VERBS, group, main
from emotion_estimator.resources import resource_dir

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


@pytest.fixture(autouse=True)
def _apart(tmp_path, monkeypatch):
    """No ROS, no network, and nothing written but here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setenv('AMENT_PREFIX_PATH', '')
    monkeypatch.setitem(sys.modules, 'emotion_estimator.nodes.mcp_bridge', None)

    def refuse(*arguments, **options):
        raise socket.gaierror('no network')

    monkeypatch.setattr(socket, 'getaddrinfo', refuse)
    # What reads a device to its end fails here, not the machine.
    before = resource.getrlimit(resource.RLIMIT_AS)
    in_use = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + _MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def test_every_verb_is_walked():
    assert {words[0] for words, _ in verbs(group)} >= set(VERBS)
    assert len(_PLACES) > 40
    # The lists of values are worth something only if both kinds occur.
    assert 20 < sum(takes_text(parameter) for _, _, parameter in _PLACES) < len(_PLACES)


@pytest.mark.parametrize('place', _PLACES, ids=lambda place: ' '.join((*place[0], place[2].name)))
def test_any_value_gives_a_result_or_one_line(place, files):
    if place[0] == ('image',) and place[2].name == 'files':
        pytest.skip('walked below')
    assert walk(main, place, files) == []


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
