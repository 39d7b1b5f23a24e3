"""The security policy and the views name what the running nodes have: no less, and no more."""

from __future__ import annotations

import ast
import fnmatch
import json
import re
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')
pytest.importorskip('emotion_estimator.msg', reason='the built package is not sourced')
pytest.importorskip('openai', reason='the language model node needs openai')

from available import LANDMARK_SOURCE
from browser import Visit, browsing
from rclpy.node import NodeNameNonExistentError
from ros_graph import RosGraph

ROOT = Path(__file__).parents[2]
VIEWS = ROOT / 'views'
NODES = ('camera', 'estimator', 'dialogue_manager', 'llm_dialogue')
#: The others, and the one whose topics are there while its page is open in a browser.
ALL_NODES = (*NODES, 'live')
#: Allowed by the policy though the nodes do not have it as the test starts them: simulated time,
#: image_transport: compressed, ROS4HRI, type descriptions (before Jazzy there are none).
SOMETIMES = {
    ('topics', 'subscribe', '/clock'),
    ('topics', 'subscribe', '/image_raw/compressed'),
    ('topics', 'publish', '/humans/*'),
    ('topics', 'subscribe', '/humans/*'),
    ('topics', 'publish', '/tf'),
    ('topics', 'publish', '/intents'),
    ('services', 'reply', '*/get_type_description'),
}
#: A kind of thing, what a node does with it, and its full name.
Use = tuple[str, str, str]


def graph_of(graph: RosGraph, node: str) -> set[Use]:
    """Return what ``node`` publishes, subscribes to, offers and calls."""
    ask = {
        ('topics', 'publish'): graph.node.get_publisher_names_and_types_by_node,
        ('topics', 'subscribe'): graph.node.get_subscriber_names_and_types_by_node,
        ('services', 'reply'): graph.node.get_service_names_and_types_by_node,
        ('services', 'request'): graph.node.get_client_names_and_types_by_node,
    }
    try:
        return {(*use, name) for use, names in ask.items() for name, _ in names(node, '/')}
    except NodeNameNonExistentError:
        # Its services are found before its name, which comes by a topic of the middleware's own.
        return set()


@pytest.fixture(scope='module')
def running(tmp_path_factory) -> dict[str, set[Use]]:
    """Return what each node has once all are active, and their names are known."""
    with RosGraph(tmp_path_factory.mktemp('named')) as graph:
        graph.start('camera', source='portrait', loop=True)
        graph.start('estimator', landmark_source=LANDMARK_SOURCE, debug_image=True)
        graph.start('dialogue_manager')
        # Nothing listens there, and nothing is said in the time that this takes.
        graph.start('llm_dialogue', model='none', base_url='http://127.0.0.1:9/v1')
        for node in NODES:
            graph.wait_until(lambda node=node: graph.state(node) == 'active', 40.0, node)
        return settled(graph, NODES)


@pytest.fixture(scope='module')
def watched(tmp_path_factory) -> dict[str, set[Use]]:
    """Return what the live node has while its page is open."""
    with RosGraph(tmp_path_factory.mktemp('watched')) as graph:
        child = graph.start('live')
        graph.wait_until(lambda: 'key=' in child.log.read_text(), 40.0, 'the page is served')
        address = re.search(r'http://\S+', child.log.read_text())[0]
        with browsing() as browser, Visit(browser, address):
            return settled(graph, ['live'], with_one=('topics', 'subscribe', '/emotions'))


@pytest.fixture
def uses(request, node) -> set[Use]:
    """Return what the test's node has."""
    return request.getfixturevalue('watched' if node == 'live' else 'running')[node]


def settled(
    graph: RosGraph, nodes: Sequence[str], with_one: Use | None = None
) -> dict[str, set[Use]]:
    """Return what each node has once it has something, ``with_one`` too, and nothing changes."""
    found: dict[str, set[Use]] = {}
    changed = time.monotonic()

    def unchanged() -> bool:
        nonlocal changed
        before = dict(found)
        found.update({node: graph_of(graph, node) for node in nodes})
        complete = all(each and (with_one is None or with_one in each) for each in found.values())
        if before != found or not complete:
            changed = time.monotonic()
        return time.monotonic() - changed > 1.0

    graph.wait_until(unchanged, 30.0, 'the graph no longer changes')
    return found


def policy() -> dict[str, set[Use]]:
    """Return what the policy allows to each node, by full names."""
    allowed: dict[str, set[Use]] = {}
    for profile in ET.parse(ROOT / 'security' / 'policies.xml').getroot().iter('profile'):
        node = profile.attrib['node']
        uses = allowed.setdefault(node, set())
        for group in profile:
            ((use, rule),) = group.attrib.items()
            assert rule == 'ALLOW'
            for entry in group:
                assert f'{entry.tag}s' == group.tag
                name = re.sub('^~', f'/{node}', entry.text or '')
                uses.add((group.tag, use, name if name.startswith('/') else f'/{name}'))
    return allowed


def beyond(uses: set[Use], patterns: set[Use]) -> set[Use]:
    """Return those of ``uses`` that no pattern matches; DDS permissions have wildcards too."""
    return {
        use
        for use in uses
        if not any(use[:2] == one[:2] and fnmatch.fnmatch(use[2], one[2]) for one in patterns)
    }


@pytest.mark.parametrize('node', ALL_NODES)
def test_the_policy_allows_what_a_node_does(uses, node):
    assert beyond(uses, policy()[node]) == set(), 'add these to security/policies.xml'


@pytest.mark.parametrize('node', ALL_NODES)
def test_the_policy_allows_nothing_that_no_node_does(uses, node):
    assert beyond(policy()[node], uses | SOMETIMES) == set()


def test_launch_may_bring_every_node_up():
    allowed = policy()['launch_ros']
    for node in ALL_NODES:
        assert ('services', 'request', f'/{node}/change_state') in allowed
        assert ('topics', 'subscribe', f'/{node}/transition_event') in allowed


def rviz_topics() -> Iterator[str]:
    layout = yaml.safe_load((VIEWS / 'emotion.rviz').read_text())
    for display in layout['Visualization Manager']['Displays']:
        assert display['Class'].startswith('rviz_default_plugins/')
        if 'Topic' in display:
            yield display['Topic']['Value']


def rqt_topics() -> Iterator[str]:
    layout = json.loads((VIEWS / 'emotion.perspective').read_text())
    manager = layout['groups']['pluginmanager']
    started = ast.literal_eval(manager['keys']['running-plugins']['repr'])
    # As qt_gui names the group of a plugin's instance.
    names = {f'plugin__{kind.replace("/", "__")}__{n}' for kind in started for n in started[kind]}
    assert names == manager['groups'].keys()
    for group in manager['groups'].values():
        keys = group['groups']['plugin']['keys']
        assert all(value['type'] == 'repr' for value in keys.values())
        values = {name: ast.literal_eval(value['repr']) for name, value in keys.items()}
        yield from filter(None, [values.get('topic')])
        # rqt_plot joins topic and field by a slash.
        yield from (topic.replace('/emotion/', '/emotion.') for topic in values.get('topics', ()))


def foxglove_topics() -> Iterator[str]:
    layout = json.loads((VIEWS / 'emotion_foxglove.json').read_text())
    shown = re.findall(r'"(\w+!\w+)"', json.dumps(layout['layout']))
    assert sorted(shown) == sorted(layout['configById'])
    for panel in layout['configById'].values():
        yield from (path['value'] for path in panel.get('paths', ()))
        for topic in ('topicPath', 'topicToRender'):
            yield from filter(None, [panel.get(topic)])
        yield from filter(None, [panel.get('imageMode', {}).get('imageTopic')])


@pytest.mark.parametrize(
    ('topics', 'at_least'),
    [(rviz_topics, 2), (rqt_topics, 5), (foxglove_topics, 9)],
    ids=['rviz', 'rqt', 'foxglove'],
)
def test_views_show_topics_that_are_published(running, topics, at_least):
    published = {name for uses in running.values() for _, use, name in uses if use == 'publish'}
    shown = list(topics())
    assert len(shown) >= at_least
    messages = {'/emotion': 'Emotion', '/dialogue/action': 'DialogueAction'}
    for path in shown:
        topic, _, field = path.partition('.')
        assert topic in published
        if field:
            text = (ROOT / 'msg' / f'{messages[topic]}.msg').read_text()
            assert re.search(rf'^\w+ {field}$', text, re.MULTILINE), path


def test_rviz_starts_in_the_frame_of_the_camera():
    layout = yaml.safe_load((VIEWS / 'emotion.rviz').read_text())
    parameters = yaml.safe_load((ROOT / 'config' / 'camera.yaml').read_text())
    (camera,) = parameters.values()
    frame = layout['Visualization Manager']['Global Options']['Fixed Frame']
    assert frame == camera['ros__parameters']['frame_id']
