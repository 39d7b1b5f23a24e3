"""``emotion-estimator live`` before a browser comes."""

from __future__ import annotations

import socket
import time

import pytest

pytest.importorskip('nicegui', reason="needs NiceGUI: pip install 'emotion-estimator[live]'")

from emotion_estimator.cli import live
from emotion_estimator.cli.main import main


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['no such file'], 'is not a file or folder'),
        (['/dev/video97'], '/dev/video97'),
        (['--vocabulary', 'nine'], "'nine' is not one of"),
        (['--policy', '/no/policy.yaml'], '/no/policy.yaml'),
        (['--port', '0'], '--port'),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_line(arguments, words, capsys):
    assert main(['live', '--no-browser', *arguments]) == 2
    complaint = capsys.readouterr().err
    assert words in complaint
    assert complaint.count('\n') == 1


def test_a_taken_port_is_said(capsys):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        assert main(['live', '--no-browser', '--port', str(port)]) == 2
    assert f'port {port} cannot be used' in capsys.readouterr().err


def test_a_bag_is_recorded_though_no_page_is_opened(tmp_path, capsys, monkeypatch):
    pytest.importorskip('rosbags')
    from emotion_estimator.bags.storage import Bag

    folder = tmp_path / 'visit'
    monkeypatch.setattr(live, '_wait', lambda: time.sleep(2.0))
    assert main(['live', '--no-browser', '--bag', str(folder)]) == 0
    assert f'recording into {folder}\n' in capsys.readouterr().out
    with Bag(folder) as bag:
        assert bag.counts['/emotions/annotations'] == bag.counts['/image_raw/compressed'] > 5
    assert main(['live', '--no-browser', '--bag', str(folder)]) == 2
    assert f'{folder} exists' in capsys.readouterr().err
