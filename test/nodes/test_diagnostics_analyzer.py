"""What diagnostic_aggregator, which has no wheel, makes of the names our nodes report under.

Its rules are those of `GenericAnalyzer::init` and `::match` in github.com/ros/diagnostics, the same
on Humble, Jazzy and later.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from emotion_estimator.resources import resource_dir

pytest.importorskip('rclpy')
from rclpy.time import Time

from emotion_estimator.nodes.diagnostics import DiagnosticsPublisher, Health

FILE = resource_dir('config') / 'diagnostics_analyzer.yaml'
NODES = Path(__file__).parents[2] / 'emotion_estimator' / 'nodes'
NAMES = ('camera', 'estimator', 'dialogue_manager')
ALONE, ONE, TWO = [''], ['/robot1'], ['/left', '/robot1/right']
# The parameters read, and the only type of each that rclcpp takes.
KINDS = {
    'type': str, 'path': str, 'timeout': float, 'num_items': int, 'discard_stale': bool,
    'regex': list, 'expected': list, 'startswith': list, 'contains': list,
}  # fmt: skip


def analyzers() -> dict[str, dict]:
    parameters = yaml.safe_load(FILE.read_text())['analyzers']['ros__parameters']
    return {name: value for name, value in parameters.items() if isinstance(value, dict)}


def matches(analyzer: dict, name: str) -> bool:
    """Match like GenericAnalyzer::match: any of four rules; a regex must match the full name."""
    return (
        any(re.fullmatch(regex, name) for regex in analyzer.get('regex', []))
        or name in analyzer.get('expected', [])
        or any(name.startswith(start) for start in analyzer.get('startswith', []))
        or any(part in name for part in analyzer.get('contains', []))
    )


def groups_of(name: str) -> list[str]:
    return [group for group, analyzer in analyzers().items() if matches(analyzer, name)]


def reported_as(full_name: str) -> str:
    """Return the name of the status that a node called ``full_name`` publishes."""
    sent: list = []
    node = SimpleNamespace(
        create_publisher=lambda *_: SimpleNamespace(publish=sent.append),
        create_timer=lambda *_, **__: None,
        get_fully_qualified_name=lambda: full_name,
        get_clock=lambda: SimpleNamespace(now=lambda: Time(seconds=1)),
    )
    DiagnosticsPublisher(node, Health).publish()
    (status,) = sent[0].status
    return status.name


@pytest.mark.parametrize('node', NAMES)
@pytest.mark.parametrize('namespaces', [ALONE, ONE, TWO], ids=['none', 'one', 'two cameras'])
def test_every_report_comes_under_one_group(namespaces, node):
    for namespace in namespaces:
        assert groups_of(reported_as(f'{namespace}/{node}')) == [node]


def test_the_nodes_are_called_so():
    # The managed ones: those report.
    code = '\n'.join(file.read_text() for file in NODES.glob('*.py'))
    managed = r"class \w+\(ManagedNode\b.*?super\(\).__init__\('(\w+)'"
    # These are parts of few robots: their groups are there to be uncommented.
    optional = set(re.findall(r'# (\w+):\n +#   type: ', FILE.read_text()))
    assert optional == {'live', 'llm_dialogue'}
    assert set(re.findall(managed, code, re.DOTALL)) == set(NAMES) | optional


@pytest.mark.parametrize(
    'name', ['camera_info', 'front_camera', 'robot1/camera/driver', 'camera: Frequency', 'motor']
)
def test_reports_of_other_packages_are_left_alone(name):
    assert groups_of(name) == []


def test_each_parameter_is_one_that_the_aggregator_reads():
    for analyzer in analyzers().values():
        assert analyzer['type'] == 'diagnostic_aggregator/GenericAnalyzer'
        assert {'path', 'timeout'} <= set(analyzer)
        for parameter, value in analyzer.items():
            assert type(value) is KINDS[parameter], parameter
            if isinstance(value, list):
                assert all(isinstance(entry, str) for entry in value)
