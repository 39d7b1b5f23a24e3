"""The complete demo as a user starts it: three nodes, a video, a chart, a summary, nothing left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
from available import LANDMARK_SOURCE

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

from emotion_estimator.resources import resource_dir
from emotion_estimator.sources.portrait import Portrait

NODES = ('camera_node', 'estimator_node', 'dialogue_manager_node')


@pytest.fixture
def face(tmp_path):
    """Return a still image of the portrait: five seconds of it are course enough."""
    path = tmp_path / 'face.png'
    frame = next(iter(Portrait(30.0).frames()))
    cv2.imwrite(str(path), cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
    return path


def start(folder: Path, *arguments: object) -> subprocess.Popen:
    environment = {k: v for k, v in os.environ.items() if k != 'ROS_DOMAIN_ID'}
    return subprocess.Popen(
        [sys.executable, '-P', '-m', 'emotion_estimator.demo', '--output', str(folder / 'out'),
         '--landmarks', LANDMARK_SOURCE, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder,
        env=environment, start_new_session=True,
    )  # fmt: skip


def nodes_of(folder: Path) -> list[str]:
    """Return the command lines of nodes whose output goes to ``folder``."""
    found = []
    for process in Path('/proc').iterdir():
        if not process.name.isdigit():
            continue
        try:
            command = (process / 'cmdline').read_bytes().decode().replace('\0', ' ')
            log = str((process / 'fd' / '1').readlink())
        except OSError:
            continue
        if any(f'/{node} ' in command for node in NODES) and log.startswith(str(folder)):
            found.append(command)
    return found


def wait_for(condition, timeout, process):
    """Poll ``condition`` until it holds; fail with what the demo printed."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline or process.poll() is not None:
            process.kill()
            pytest.fail(process.communicate()[0])
        time.sleep(0.05)


def test_a_run_ends_by_itself_and_leaves_its_results(tmp_path, face):
    demo = start(tmp_path, '--source', face, '--fps', 15)
    output, _ = demo.communicate(timeout=120)
    assert demo.returncode == 0, output
    assert 'ROS_DOMAIN_ID=' in output
    assert nodes_of(tmp_path) == []
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert summary['frames'] > 30
    assert summary['landmark_source'] == LANDMARK_SOURCE
    video = cv2.VideoCapture(str(tmp_path / 'out' / 'demo.mp4'))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) > 30
    assert cv2.imread(str(tmp_path / 'out' / 'demo.png')).shape[1] > 800


def test_the_robot_waits_while_the_portrait_answers_and_speaks_german(tmp_path):
    conversation = resource_dir('config') / 'conversation_de.yaml'
    demo = start(tmp_path, '--source', 'portrait', '--fps', 15, '--conversation', conversation)
    output, _ = demo.communicate(timeout=180)
    assert demo.returncode == 0, output
    assert 'in place of a microphone' in output
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text(encoding='utf-8'))
    assert summary['spoken_over_the_person'] == 0
    turns = summary['conversation']
    (answer,) = (turn for turn in turns if turn['speaker'] == 'person')
    assert answer['end'] - answer['begin'] == pytest.approx(4.0, abs=0.5)
    before, after = turns[turns.index(answer) - 1], turns[turns.index(answer) + 1]
    assert before['speaker'] == after['speaker'] == 'robot'
    # The dialogue manager heard of it: it waited for the end of the answer, and went on from it.
    assert 1.0 < after['begin'] - answer['end'] < 3.0
    assert any(f'{after["words"]} (' in line for line in output.splitlines())
    assert 'floor person speaks' in output
    assert any(letter in output for letter in 'äöü')


def test_ctrl_c_ends_every_process(tmp_path):
    demo = start(tmp_path, '--source', 'portrait')
    wait_for(lambda: len(nodes_of(tmp_path)) == len(NODES), 60, demo)
    demo.send_signal(signal.SIGINT)
    output, _ = demo.communicate(timeout=30)
    assert demo.returncode != 0, output
    assert 'Traceback' not in output
    assert nodes_of(tmp_path) == []


def test_a_node_that_dies_is_named_and_ends_the_demo(tmp_path):
    demo = start(tmp_path, '--source', tmp_path / 'gone.mp4')
    output, _ = demo.communicate(timeout=120)
    assert demo.returncode not in (0, None)
    assert 'node camera died' in output
    assert 'gone.mp4' in output
    assert 'Traceback' not in output
    assert nodes_of(tmp_path) == []
