"""What every node inherits, on a scripted node over real rclpy."""

from __future__ import annotations

import logging
import threading
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')

import rclpy
from lifecycle_msgs.msg import TransitionEvent
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from emotion_estimator.errors import InputError
from emotion_estimator.nodes import running
from emotion_estimator.nodes.lifecycle import ManagedNode
from emotion_estimator.nodes.running import run
from emotion_estimator.settings import CameraSettings


class Scripted(ManagedNode[CameraSettings]):
    """Notes what it is asked for; ``fails`` holds what a step raises."""

    kind = CameraSettings

    def __init__(self):
        super().__init__('scripted')
        self.done = []
        self.fails = {}
        self.given = []

    def _do(self, step):
        self.done.append(step)
        if step in self.fails:
            raise self.fails[step]

    def configure(self):
        self._do('configure')

    def activate(self):
        self._do('activate')

    def deactivate(self):
        self._do('deactivate')

    def clean_up(self):
        self._do('clean_up')

    def settings_changed(self):
        self._do('settings_changed')

    def check_settings(self, wanted, names):
        if wanted.frame_id == 'nowhere':
            raise InputError('there is no such frame')

    def parameters_set(self, names):
        self.given.append(names)


@pytest.fixture
def node(monkeypatch, request):
    # Its neighbours on the network are none of this test's business.
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'OFF')
    rclpy.init(args=['scripted', '--ros-args', *getattr(request, 'param', [])], domain_id=19)
    made = Scripted()
    made.executor_of_test = SingleThreadedExecutor()
    made.executor_of_test.add_node(made)
    made.events = []
    made.create_subscription(
        TransitionEvent, '~/transition_event', lambda m: made.events.append(m.goal_state.label), 10
    )
    yield made
    made.stop()
    made.executor_of_test.shutdown()
    made.destroy_node()
    rclpy.try_shutdown()


def spin_until(node, done, timeout=20.0):
    end = node.get_clock().now().nanoseconds + timeout * 1e9
    while not done():
        assert node.get_clock().now().nanoseconds < end, node.done
        node.executor_of_test.spin_once(timeout_sec=0.1)


def message_of(node):
    health = node._report()
    return health.problem or health.warning or health.message


def test_bring_up_configures_and_activates(node):
    node.bring_up()
    assert node.done == ['configure', 'activate']
    assert node.state == 'active'
    assert message_of(node) == 'working'


@pytest.mark.parametrize('step', ['configure', 'activate'])
def test_bring_up_raises_why_it_failed(node, step):
    node.fails[step] = InputError('no such file; give one')
    with pytest.raises(InputError, match='no such file; give one'):
        node.bring_up()
    del node.fails[step]
    node.bring_up()
    assert node.state == 'active'


def test_an_error_of_the_user_leaves_the_state_and_is_cleared_by_success(node):
    node.fails['configure'] = InputError('no such file; give one')
    node.trigger_configure()
    assert node.state == 'unconfigured'
    assert node.done == ['configure', 'clean_up']
    assert message_of(node) == 'no such file; give one'
    node.fails.clear()
    node.trigger_configure()
    assert node.state == 'inactive'
    assert message_of(node) == 'inactive'
    node.fails['activate'] = InputError('busy; close the other program')
    node.trigger_activate()
    assert node.state == 'inactive'
    assert node.done[-2:] == ['activate', 'deactivate']


@pytest.mark.parametrize('step', ['configure', 'activate', 'deactivate', 'clean_up'])
def test_any_other_error_goes_through_the_error_state_and_can_be_recovered(node, step):
    node.fails[step] = RuntimeError('boom\nand details')
    transitions = {
        'configure': node.trigger_configure,
        'activate': node.trigger_activate,
        'deactivate': node.trigger_deactivate,
        'clean_up': node.trigger_cleanup,
    }
    for name, trigger in transitions.items():
        trigger()
        if name == step:
            break
    assert node.state == 'unconfigured'
    assert message_of(node) == 'RuntimeError: boom'
    spin_until(node, lambda: 'errorprocessing' in node.events)
    assert node.done[-1] == 'clean_up'
    node.fails.clear()
    node.bring_up()
    assert node.state == 'active'


def test_a_node_that_breaks_down_at_work_starts_itself_again(node):
    node.bring_up()
    threading.Thread(target=node.break_down, args=('models are gone',)).start()
    spin_until(node, lambda: node.state == 'unconfigured')
    assert message_of(node) == 'models are gone'
    spin_until(node, lambda: node.state == 'active')
    assert node.done == [
        'configure',
        'activate',
        'deactivate',
        'deactivate',
        'clean_up',
        'configure',
        'activate',
    ]
    assert message_of(node) == 'working'
    spin_until(node, lambda: node.events.count('active') == 2)
    assert 'errorprocessing' in node.events


def test_one_that_breaks_down_again_and_again_waits_longer_each_time(node):
    node.bring_up()
    waits = []
    create_timer = node.create_timer

    def noted(period, *arguments, **more):
        waits.append(period)
        return create_timer(0.01, *arguments, **more)

    node.create_timer = noted
    for count in range(1, 7):
        node.break_down('models are gone')
        spin_until(node, lambda n=count: len(waits) == n and node.state == 'active')
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0]
    # Once it has worked for a while, a breakdown is another one.
    node._active_since -= 11.0
    node.break_down('models are gone')
    spin_until(node, lambda: len(waits) == 7 and node.state == 'active')
    assert waits[-1] == 0.5


def test_a_breakdown_of_an_earlier_activation_is_passed_over(node):
    node.bring_up()
    node.break_down('too late')
    node.trigger_deactivate()
    node.trigger_activate()
    node.executor_of_test.spin_once(timeout_sec=0.2)
    assert node.state == 'active'
    assert message_of(node) == 'working'


def test_settings_stay_as_they_are_where_another_callback_refuses(node):
    before = node.settings
    assert not set_together(node, frame_id='left_eye', use_sim_time='perhaps').successful
    assert node.settings is before


def test_it_tries_until_it_succeeds(node):
    node.bring_up()
    node.fails['configure'] = InputError('still gone')
    node.break_down('models are gone')
    spin_until(node, lambda: node.done.count('configure') == 3)
    assert node.state == 'unconfigured'
    assert message_of(node) == 'still gone'
    del node.fails['configure']
    spin_until(node, lambda: node.state == 'active')


@pytest.mark.parametrize('node', [['-p', 'autostart:=false']], indirect=True)
def test_without_autostart_it_waits_for_its_manager(node):
    assert not node.settings.autostart
    node.trigger_configure()
    node.trigger_activate()
    node.break_down('models are gone')
    spin_until(node, lambda: node.state == 'unconfigured')
    assert node._retry is None
    node.trigger_configure()
    assert node.state == 'inactive'
    assert message_of(node) == 'inactive'


def test_breaking_down_after_deactivation_changes_nothing(node):
    node.bring_up()
    node.break_down('too late')
    node.trigger_deactivate()
    node.executor_of_test.spin_once(timeout_sec=0.2)
    assert node.state == 'inactive'


def test_it_stops_once_and_frees_everything(node):
    node.bring_up()
    node.stop()
    node.stop()
    assert node.done == ['configure', 'activate', 'deactivate', 'clean_up']


def set_together(node, **values):
    return node.set_parameters_atomically([Parameter(n, value=v) for n, v in values.items()])


def test_a_change_that_fits_is_taken_over_at_once(node):
    node.bring_up()
    assert set_together(node, frame_id='left_eye', jpeg_quality=50).successful
    assert (node.settings.frame_id, node.settings.jpeg_quality) == ('left_eye', 50)
    assert node.done[-1] == 'settings_changed'


@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        ({'jpeg_quality': 0}, 'jpeg_quality'),
        ({'frame_id': 'x', 'fps': 10.0}, 'fps can be changed only while the node is unconfigured'),
        ({'autostart': False}, 'read-only'),
        ({'exit_at_end': 'yes'}, "exit_at_end must be of type bool, got 'yes'"),
    ],
)
def test_a_change_that_does_not_fit_changes_nothing(node, values, expected):
    node.bring_up()
    before = node.settings
    result = set_together(node, **values)
    assert not result.successful
    assert expected in result.reason
    assert node.settings is before
    assert node.get_parameter('frame_id').value == before.frame_id


def test_a_node_learns_which_parameters_are_set_and_can_refuse_them(node):
    node.bring_up()
    same = node.settings.frame_id
    assert set_together(node, frame_id=same, jpeg_quality=50).successful
    # Also where nothing changes.
    assert set_together(node, frame_id=same).successful
    assert node.given == [{'frame_id', 'jpeg_quality'}, {'frame_id'}]
    assert node.done.count('settings_changed') == 1
    assert set_together(node, frame_id='nowhere').reason == 'there is no such frame'
    assert node.settings.frame_id == same and len(node.given) == 2


def test_whoever_sets_a_parameter_has_an_answer_whatever_fails(node, monkeypatch):
    def fail(*_):
        raise TypeError('a bug of ours')

    monkeypatch.setattr(node, 'check_settings', fail)
    [result] = node.set_parameters([Parameter('fps', value=12.0)])
    assert not result.successful
    assert result.reason == 'TypeError: a bug of ours'
    assert node.settings.fps != 12.0


def test_settings_are_checked_together(node):
    assert 'below retry_min' in set_together(node, retry_min=20.0).reason
    assert set_together(node, retry_min=20.0, retry_max=30.0).successful
    assert (node.settings.retry_min, node.settings.retry_max) == (20.0, 30.0)


def test_a_number_is_accepted_as_a_source_and_an_integer_as_a_rate(node):
    assert set_together(node, source=1, fps=15).successful
    assert node.settings.source == '1'
    assert node.settings.fps == 15.0


def test_a_foreign_parameter_is_left_to_its_owner(node):
    assert set_together(node, use_sim_time=True).successful


class DiesAtOnce(Scripted):
    def activate(self):
        rclpy.shutdown()
        raise RuntimeError('context is gone')


def test_a_node_stopped_while_it_comes_up_ends_quietly(monkeypatch, capfd):
    monkeypatch.setattr('sys.argv', ['scripted'])
    monkeypatch.setenv('ROS_DOMAIN_ID', '19')
    assert run(lambda: [DiesAtOnce()]) == 0
    assert 'Traceback' not in capfd.readouterr().err


def test_a_node_that_cannot_come_up_ends_with_status_2_and_a_line(monkeypatch, capfd):
    class Refuses(Scripted):
        def configure(self):
            raise InputError('no such file; give one')

    monkeypatch.setattr('sys.argv', ['scripted'])
    monkeypatch.setenv('ROS_DOMAIN_ID', '19')
    assert run(lambda: [Refuses()]) == 2
    assert capfd.readouterr().err.count('no such file; give one') == 1


def test_lines_of_the_core_are_cut_and_harmless_in_the_nodes_log():
    lines = []
    logger = SimpleNamespace(info=lines.append, warning=lines.append, error=lines.append)
    handler = running._NodeLogHandler(SimpleNamespace(get_logger=lambda: logger))
    for extra in ({}, {'complete': True}):
        record = {'levelno': logging.WARNING, 'msg': 'a\nb' + 'c' * 100_000, **extra}
        handler.emit(logging.makeLogRecord(record))
    assert [line[:4] for line in lines] == ['a?bc', 'a?bc']
    assert [len(line) for line in lines] == [1000, 100_003]
