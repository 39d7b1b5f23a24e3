"""The verb ``mcp`` as far as it goes without ROS: the schema, and what it says of its needs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from emotion_estimator.cli import main as cli
from emotion_estimator.language_model.tools import function_list


def run(capfd, *arguments: str) -> tuple[int, str, list[str]]:
    status = cli.main(['mcp', *arguments])
    output, errors = capfd.readouterr()
    return status, output, errors.splitlines()


def refused(capfd, *arguments: str) -> str:
    """Return the one line that says why the verb does not start."""
    status, output, errors = run(capfd, *arguments)
    assert status == 2
    assert output == ''
    (line,) = errors
    assert line.startswith('emotion-estimator: ')
    return line


def absent(monkeypatch, *names: str) -> None:
    for name in list(sys.modules):
        if name in names or name.partition('.')[0] in names:
            monkeypatch.delitem(sys.modules, name)
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def without_ros(monkeypatch):
    monkeypatch.delitem(sys.modules, 'emotion_estimator.nodes.mcp_bridge', raising=False)
    absent(monkeypatch, 'rclpy')


def test_the_schema_needs_neither_ros_nor_the_sdk():
    # With a locale that has no UTF-8.
    code = (
        'import sys; sys.modules.update(rclpy=None, mcp=None, openai=None); '
        'from emotion_estimator.cli.main import main; sys.exit(main(["mcp", "--schema"]))'
    )
    printed = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        check=True,
        env={**os.environ, 'LC_ALL': 'C', 'PYTHONUTF8': '0'},
    )
    assert json.loads(printed.stdout) == function_list()
    assert printed.stderr == b''


def test_without_the_sdk(monkeypatch, capfd):
    absent(monkeypatch, 'mcp')
    assert "pip install 'emotion-estimator[mcp]'" in refused(capfd)
    assert "pip install 'emotion-estimator[mcp]'" in refused(capfd, '--http', '0')


def test_with_an_sdk_that_is_too_old(monkeypatch, capfd, tmp_path):
    # As in version 1: there is no Client.
    (tmp_path / 'mcp').mkdir()
    (tmp_path / 'mcp' / '__init__.py').write_text('from mcp import types\n')
    (tmp_path / 'mcp' / 'types.py').write_text('')
    absent(monkeypatch, 'mcp')
    monkeypatch.delitem(sys.modules, 'mcp')
    monkeypatch.syspath_prepend(tmp_path)
    assert 'version 2 or later' in refused(capfd)
    for name in ('mcp', 'mcp.types'):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.usefixtures('without_ros')
@pytest.mark.parametrize('arguments', [(), ('--http', '0')], ids=['stdio', 'http'])
def test_without_ros(capfd, arguments):
    pytest.importorskip('mcp', reason='the MCP SDK is not installed')
    line = refused(capfd, *arguments)
    assert 'rclpy' in line
    assert 'source install/setup.bash' in line


@pytest.mark.parametrize(('arguments', 'problem'), [
    (('--http', 'x'), "'x' is not a valid integer range"),
    (('--http', '70000'), 'not in the range 0<=x<=65535'),
    (('--namespace', 'left robot'), "'left robot' is not a namespace"),
    (('--namespace', '/1'), "'/1' is not a namespace"),
    (('--namespace', 'a//b'), 'is not a namespace'),
    (('--namespace', 'ü' * 100_000), 'is not a namespace'),
    (('get_emotion',), 'unexpected extra argument'),
])  # fmt: skip
def test_bad_usage(capfd, arguments, problem):
    line = refused(capfd, *arguments)
    assert problem in line
    assert len(line) < 300


def test_a_port_that_is_taken(capfd):
    pytest.importorskip('mcp', reason='the MCP SDK is not installed')
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        port = other.getsockname()[1]
        line = refused(capfd, '--http', str(port))
    assert f'cannot listen on 127.0.0.1:{port}: Address already in use' in line
