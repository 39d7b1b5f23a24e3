"""A run of the demo with small programs instead of the nodes: start order, ends, failures."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import types
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from emotion_estimator.cli.demo import demo
from emotion_estimator.cli.main import main
from emotion_estimator.demo import run
from emotion_estimator.demo.nodes import (
    NODES,
    choose_domain,
    find_prefix,
    node_command,
    ros_environment,
)
from emotion_estimator.demo.processes import ProcessSet
from emotion_estimator.demo.results import begin_results, check_not_replaced, finish_results
from emotion_estimator.demo.settings import DemoSettings
from emotion_estimator.demo.state import AnnotatedFrame, DemoState, EmotionReading
from emotion_estimator.errors import EmotionEstimatorError, InputError

WAITS = 'import signal\nprint("waiting", flush=True)\nsignal.pause()\n'
ENDS = 'print("the source has ended")\n'
DIES = 'import sys\nprint("no such device")\nsys.exit(3)\n'


class NoView:
    shown = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def show(self, snapshot):
        self.shown += 1


@pytest.fixture
def run_nodes(tmp_path, monkeypatch):
    """Return a function that runs programs, given by their code, as the nodes."""
    monkeypatch.setattr(run, 'TICK', 0.01)
    monkeypatch.setattr(run, 'QUIET', 0.01)
    children = []

    def play(camera=ENDS, estimator=WAITS, dialogue_manager=WAITS, *, heard=True, **given):
        folder = tmp_path / 'lib' / 'emotion_estimator'
        folder.mkdir(parents=True)
        for node, code in zip(NODES, (camera, estimator, dialogue_manager)):
            (folder / f'{node}_node').write_text(code)
        settings = DemoSettings(output=tmp_path / 'out', **given.pop('settings', {}))
        state, view = given.pop('state', DemoState()), NoView()
        if heard:
            state.add_reading(EmotionReading(1.0, 'happy'))
        logs = tmp_path / 'out' / 'log'

        def ready() -> bool:
            assert not (logs / 'camera.log').exists(), 'the camera started before the others'
            return all((logs / f'{n}.log').read_text() for n in NODES[1:])

        with ProcessSet() as processes:
            robot = run.Robot(processes, settings, os.environ, tmp_path, tmp_path)
            start = processes.start
            monkeypatch.setattr(
                processes, 'start', lambda child, env: children.append(child) or start(child, env)
            )
            stop = given.pop('stop', run.StopRequest())
            run.watch(robot, state, given.pop('ready', ready), view, settings, stop)
        return view

    yield play
    assert children
    for child in children:
        assert child.status() is not None
        with pytest.raises(ProcessLookupError):
            os.kill(child.pid, 0)


def test_it_ends_with_the_source_and_shows_the_last_snapshot(run_nodes):
    assert run_nodes().shown >= 1


def test_it_ends_after_the_duration(run_nodes):
    assert run_nodes(camera=WAITS, settings={'duration': 0.05}).shown >= 2


@pytest.mark.parametrize('node', NODES)
def test_a_node_that_died_is_named_with_its_last_lines(run_nodes, node):
    codes = {'camera': WAITS} | {node: 'print("x", flush=True)\n' + DIES}
    with pytest.raises(EmotionEstimatorError, match=rf'(?s)node {node} died .*3.*no such device'):
        run_nodes(**codes)


def test_a_node_that_ends_without_being_asked_died_too(run_nodes):
    with pytest.raises(EmotionEstimatorError, match='node estimator died'):
        run_nodes(camera=WAITS, estimator=ENDS)


def test_silence_is_an_error_that_tells_the_problem(run_nodes):
    state = DemoState()
    state.add_health('camera', {'last_error': 'device 7 is lost'})
    with pytest.raises(EmotionEstimatorError, match=r'nothing was published .*device 7 is lost'):
        run_nodes(camera=WAITS, heard=False, state=state, settings={'patience': 0.05})


def test_a_source_without_any_emotion_is_an_error(run_nodes):
    with pytest.raises(EmotionEstimatorError, match='nothing was published on /emotion'):
        run_nodes(heard=False)


def test_nodes_that_never_get_ready(run_nodes, monkeypatch):
    monkeypatch.setattr(run, 'READY_WITHIN', 0.05)
    with pytest.raises(EmotionEstimatorError, match='not ready within'):
        run_nodes(ready=lambda: False)


def test_a_signal_ends_it_at_any_time(run_nodes):
    stop = run.StopRequest()
    stop.note(signal.SIGTERM, None)
    with pytest.raises(run.Interrupted) as caught:
        run_nodes(camera=WAITS, stop=stop)
    assert caught.value.number == signal.SIGTERM


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_noted_and_handlers_restored(number):
    before = signal.getsignal(number)
    with run.stop_requests() as stop:
        stop.check()
        signal.raise_signal(number)
        with pytest.raises(run.Interrupted, match=number.name):
            stop.check()
    assert signal.getsignal(number) is before


# What is started --------------------------------------------------------------------------------


def test_the_prefix_with_the_nodes_is_found(tmp_path):
    folder = tmp_path / 'b' / 'lib' / 'emotion_estimator'
    folder.mkdir(parents=True)
    for node in NODES:
        (folder / f'{node}_node').touch()
    path = f'{tmp_path / "a"}:{tmp_path / "b"}'
    assert find_prefix({'AMENT_PREFIX_PATH': path}) == tmp_path / 'b'
    (folder / 'camera_node').unlink()
    for environment in ({'AMENT_PREFIX_PATH': path}, {}):
        with pytest.raises(InputError, match='make demo'):
            find_prefix(environment)


def test_the_domain_is_the_wanted_the_given_or_a_free_one():
    assert choose_domain({'ROS_DOMAIN_ID': '5'}, 7) == 7
    assert choose_domain({'ROS_DOMAIN_ID': '5'}) == 5
    assert 1 <= choose_domain({}) <= 101
    for wrong in ('x', '-1', '233', '1.5'):
        with pytest.raises(InputError, match='ROS_DOMAIN_ID'):
            choose_domain({'ROS_DOMAIN_ID': wrong})


def test_the_nodes_hear_only_each_other():
    made = ros_environment({'PATH': '/bin'}, 42, Path('/c/fastdds.xml'))
    assert (made['PATH'], made['ROS_DOMAIN_ID']) == ('/bin', '42')
    assert made['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    assert made['FASTDDS_DEFAULT_PROFILES_FILE'] == '/c/fastdds.xml'
    assert 'FASTRTPS_DEFAULT_PROFILES_FILE' not in made
    assert 'FASTRTPS_DEFAULT_PROFILES_FILE' in ros_environment(
        {'ROS_DISTRO': 'humble'}, 1, Path('x')
    )


def test_parameters_reach_the_command_line_with_their_types():
    settings = DemoSettings(source='a "b"\\c', fps=15)
    command = node_command('camera', Path('/p'), Path('/c'), settings.parameters('camera'))
    assert command[:3] == [sys.executable, '/p/lib/emotion_estimator/camera_node', '--ros-args']
    assert command[3:5] == ['--params-file', '/c/camera.yaml']
    given = command[6::2]
    assert given[:3] == ['source:="a \\"b\\"\\\\c"', 'fps:=15.0', 'exit_at_end:=true']
    assert settings.parameters('estimator') == {'landmark_source': 'auto', 'debug_image': True}
    assert replace(settings, model='a.json').parameters('estimator')['model'] == 'a.json'
    assert settings.parameters('dialogue_manager') == {}
    words = replace(settings, conversation=Path('de.yaml'), policy=Path('/p.yaml'))
    assert words.parameters('dialogue_manager') == {
        'conversation_file': str(Path.cwd() / 'de.yaml'),
        'policy_file': '/p.yaml',
    }


def parse(*arguments: str) -> DemoSettings:
    return DemoSettings(**demo.make_context('demo', list(arguments)).params)


def test_the_command_line():
    assert parse() == DemoSettings()
    given = parse('--source', '0', '--duration', '3', '--domain', '9', '--plain')
    assert (given.source, given.duration, given.domain, given.plain) == ('0', 3.0, 9, True)


@pytest.mark.parametrize(
    'wrong', [['--fps', '0'], ['--duration', '0'], ['--domain', '233'], ['--patience', 'nan']]
)
def test_a_wrong_command_line_has_status_2(wrong, capsys):
    assert main(['demo', *wrong]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f'emotion-estimator: {wrong[0]} must be ')
    assert error.endswith('; see --help\n') and error.count('\n') == 1


@pytest.mark.parametrize('option', ['--conversation', '--policy'])
def test_a_file_of_the_dialogue_that_cannot_be_used_is_named(option, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('emotion_estimator.cli.demo.find_prefix', lambda environment: tmp_path)
    odd = tmp_path / 'odd.yaml'
    odd.write_text('colour: red\n')
    for given, says in ((tmp_path / 'gone.yaml', 'does not exist'), (odd, 'odd.yaml')):
        assert main(['demo', option, str(given), '--output', str(tmp_path / 'out')]) == 2
        error = capsys.readouterr().err
        assert says in error and error.count('\n') == 1
    assert not (tmp_path / 'out').exists()


def test_without_installed_nodes_one_line_gives_the_remedy(monkeypatch, capsys):
    monkeypatch.setenv('AMENT_PREFIX_PATH', '/nowhere')
    assert main(['demo']) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert 'make demo' in error


RESULTS = ('demo.mp4', 'demo.png', 'summary.json')


def test_a_run_begins_without_removing_the_last_good_results(tmp_path):
    for name in (*RESULTS, 'notes.txt'):
        (tmp_path / name).write_text('good')
    (tmp_path / 'unfinished').mkdir()
    (tmp_path / 'unfinished' / 'demo.mp4').write_text('failed')
    assert begin_results(tmp_path) == tmp_path / 'unfinished'
    assert list((tmp_path / 'unfinished').iterdir()) == []
    assert {path.read_text() for path in tmp_path.iterdir() if path.is_file()} == {'good'}
    begin_results(tmp_path / 'not there yet')
    (tmp_path / 'demo.png').unlink()
    (tmp_path / 'demo.png').mkdir()
    with pytest.raises(InputError, match=r'demo\.png cannot be replaced .*--output'):
        begin_results(tmp_path)


def test_results_are_put_in_place_together(tmp_path):
    for name in (*RESULTS, 'notes.txt'):
        (tmp_path / name).write_text('old')
    folder = begin_results(tmp_path)
    folder.mkdir()
    for name in RESULTS[:2]:
        (folder / name).write_text('new')
    moved = [Path(path) for path in finish_results(tmp_path)]
    assert [path.name for path in moved] == list(RESULTS[:2])
    found = {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()}
    assert found == {'demo.mp4': 'new', 'demo.png': 'new', 'notes.txt': 'old'}
    (own,) = {path.parent for path in moved}
    assert own.parent == tmp_path
    assert re.fullmatch(r'\d{8}-\d{6}', own.name)


@pytest.mark.parametrize('links', [True, False], ids=['links', 'no-links'])
def test_each_run_keeps_its_results(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(Path, 'symlink_to', lambda *_: (_ for _ in ()).throw(OSError()))
    for run_number in range(3):
        folder = begin_results(tmp_path)
        folder.mkdir()
        (folder / RESULTS[0]).write_text(f'run {run_number}')
        finish_results(tmp_path)
    kept = {path.read_text() for path in tmp_path.glob(f'*-*/{RESULTS[0]}')}
    assert kept == {'run 0', 'run 1', 'run 2'}
    assert (tmp_path / RESULTS[0]).read_text() == 'run 2'
    # The folder can be moved with what is in it.
    moved = tmp_path.rename(tmp_path.with_name(f'{tmp_path.name}-moved'))
    assert (moved / RESULTS[0]).read_text() == 'run 2'


@pytest.mark.parametrize('name', [*RESULTS, 'unfinished/demo.mp4', 'link.mp4', '.', 'unfinished'])
def test_a_source_that_the_results_would_replace_is_refused(tmp_path, monkeypatch, capsys, name):
    folder = tmp_path / 'lib' / 'emotion_estimator'
    folder.mkdir(parents=True)
    for node in NODES:
        (folder / f'{node}_node').touch()
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    out = tmp_path / 'out'
    (out / 'unfinished').mkdir(parents=True)
    for each in (*RESULTS, 'unfinished/demo.mp4'):
        (out / each).write_text('mine')
    (out / 'link.mp4').hardlink_to(out / 'demo.mp4')
    before = sorted(out.rglob('*'))
    assert main(['demo', '--source', str(out / name), '--output', str(out)]) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert 'would be replaced by the results' in error and '--output' in error
    assert sorted(out.rglob('*')) == before
    assert all(path.read_text() == 'mine' for path in before if path.is_file())


def test_other_sources_may_lie_beside_the_results(tmp_path):
    (tmp_path / 'film.mp4').write_text('mine')
    (tmp_path / 'images').mkdir()
    names = ('film.mp4', 'images', 'gone.mp4', 'x' * 400)
    check_not_replaced(tmp_path, [tmp_path / name for name in names])
    check_not_replaced(tmp_path / 'new', [tmp_path / 'film.mp4'])


@pytest.mark.parametrize(
    ('error', 'source', 'in_place'),
    [
        (None, 'film.mp4', True),
        (EmotionEstimatorError('node camera died'), 'film.mp4', False),
        (run.Interrupted(signal.SIGINT), 'film.mp4', False),
        # A camera has no other end.
        (run.Interrupted(signal.SIGINT), '/dev/video0', True),
    ],
)
def test_a_run_that_fails_leaves_the_last_good_results(
    tmp_path, monkeypatch, error, source, in_place
):
    out = tmp_path / 'out'
    out.mkdir()
    for name in RESULTS:
        (out / name).write_text('good')

    def watch(robot, state, *others) -> None:
        for number in range(5):
            state.add_reading(EmotionReading(1.0 + number, 'happy'))
            image = np.full((48, 64, 3), 40 * number, np.uint8)
            state.add_frame(AnnotatedFrame(1.0 + number, image))
        if error is not None:
            raise error

    listener = types.ModuleType('listener')
    listener.listening = lambda state: contextlib.nullcontext(SimpleNamespace(ready=None))
    monkeypatch.setitem(sys.modules, 'emotion_estimator.demo.listener', listener)
    monkeypatch.setattr(os, 'environ', dict(os.environ))
    monkeypatch.setattr(run, 'watch', watch)
    monkeypatch.setattr(run, 'check_camera', lambda source: None)
    settings = DemoSettings(source=source, output=out, domain=7, page=False)
    console = Console(file=io.StringIO())
    with contextlib.nullcontext() if error is None else pytest.raises(type(error)):
        run._run(settings, tmp_path, console, run.StopRequest())
    new = out if in_place else out / 'unfinished'
    assert sorted(path.name for path in new.iterdir() if path.is_file()) == sorted(RESULTS)
    assert json.loads((new / 'summary.json').read_text())['frames'] == 5
    assert (new / 'demo.mp4').stat().st_size > 500
    written = next(out.glob('*-*/demo.mp4')) if in_place else new / 'demo.mp4'
    assert str(written) in console.file.getvalue()
    if not in_place:
        assert {(out / name).read_text() for name in RESULTS} == {'good'}


def test_only_the_listener_needs_ros():
    code = (
        'import sys; sys.modules["rclpy"] = None\n'
        'from emotion_estimator.demo import __main__, run, video, view\n'
        'from emotion_estimator.dialogue import policy\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True, timeout=60)


@pytest.mark.parametrize(
    ('source', 'problem'),
    [
        ('99', 'camera 99 cannot be opened: there is no /dev/video99; '),
        ('rtsp://robot:SECRET@127.0.0.1:1/live', 'nothing listens on port 1 of 127.0.0.1'),
    ],
)
def test_a_camera_that_is_not_there_ends_it_before_anything_starts(
    tmp_path, monkeypatch, capsys, source, problem
):
    folder = tmp_path / 'lib' / 'emotion_estimator'
    folder.mkdir(parents=True)
    for node in NODES:
        (folder / f'{node}_node').touch()
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    before = time.monotonic()
    assert main(['demo', '--source', source, '--output', str(tmp_path / 'out')]) == 2
    assert time.monotonic() - before < 2.0
    shown = capsys.readouterr()
    assert problem in shown.err
    assert shown.err.count('\n') == 1
    assert 'SECRET' not in shown.out + shown.err
    assert not (tmp_path / 'out').exists()


def test_what_is_no_camera_is_left_to_the_camera_node(tmp_path):
    run.check_camera(str(tmp_path / 'gone.mp4'))
    run.check_camera('portrait')


def test_the_address_of_the_page_is_read_from_its_log(tmp_path):
    log = tmp_path / 'live.log'
    assert run.page_address(log) == ''
    log.write_bytes(b'[INFO] [live]: the page, for \xff this machine')
    assert run.page_address(log) == ''
    log.write_text('http://127.0.0.1:8081/?key=a-')
    assert run.page_address(log) == ''
    log.write_text('http://127.0.0.1:8081/?key=a-b_c\n[INFO] [live]: the page is served')
    assert run.page_address(log) == 'http://127.0.0.1:8081/?key=a-b_c'
