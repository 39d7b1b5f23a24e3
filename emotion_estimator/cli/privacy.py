"""What ``emotion-estimator doctor`` says of privacy: what is published, stored, heard, sent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

#: Runs in its own process, as the doctor's other look at ROS. Topics with a person on them.
_LOOK = """
import json, time
import rclpy
rclpy.init()
node = rclpy.create_node('doctor_of_privacy')
time.sleep(2.0)
names = lambda found: sorted({one.node_name for one in found})
print(json.dumps({
    'nodes': sorted(node.get_node_names()),
    'topics': [
        [topic, kinds[0], names(node.get_publishers_info_by_topic(topic)),
         names(node.get_subscriptions_info_by_topic(topic))]
        for topic, kinds in node.get_topic_names_and_types()
        if kinds[0].rpartition('/')[2] in ('Image', 'CompressedImage', 'Emotion', 'EmotionArray')
        or topic.endswith(('/user_said', '/speech'))
    ],
}))
"""
#: Longest that the look takes, in seconds.
_TIMEOUT = 30.0
#: Begin of the names of nodes that write to disk what they hear.
_RECORDERS = ('rosbag2_recorder', 'rosbag2_snapshot')


class SeenTopic(NamedTuple):
    """One topic that tells of a person, and the names of the nodes at both ends."""

    name: str
    kind: str
    publishers: Sequence[str]
    subscribers: Sequence[str]


def privacy(environment: Mapping[str, str] = os.environ) -> Iterator[tuple[str, str]]:
    """Yield the lines of the report: subject and text.

    :param environment: which domain and which range is looked at.
    """
    yield (
        'kept on disk',
        'nothing by camera, estimator and dialogue manager; films, bags and pages only where you '
        'ask (demo, record, --annotate, the button of live)',
    )
    seen = _look(environment)
    if seen is None:
        yield 'published', 'not looked at: ROS 2 cannot be used here; source it'
        return
    yield 'heard by others', reach(environment)
    nodes, topics = seen
    yield from describe(nodes, topics)


def describe(nodes: Sequence[str], topics: Sequence[SeenTopic]) -> Iterator[tuple[str, str]]:
    """Yield what running nodes mean for privacy.

    :param nodes: names of all nodes of the domain.
    """
    published = [topic for topic in topics if topic.publishers]
    if not published:
        yield 'published', 'no image, emotion or word in this ROS domain now'
    for topic in published:
        kind = topic.kind.rpartition('/')[2]
        heard = ', '.join(topic.subscribers) or 'nobody'
        yield 'published', f'{topic.name} ({kind}) by {", ".join(topic.publishers)}, to {heard}'
    recorded = [
        topic.name
        for topic in published
        if any(name.startswith(_RECORDERS) for name in topic.subscribers)
    ]
    yield 'recorded', f'by rosbag2: {", ".join(recorded)}' if recorded else 'by no recorder of ROS'
    if 'llm_dialogue' in nodes:
        yield (
            'sent to a model',
            'llm_dialogue sends what is said and a summary of the face, no image, to its base_url',
        )
    if 'live' in nodes:
        yield 'page', 'live serves a page to this machine alone, to who has its key'


def reach(environment: Mapping[str, str]) -> str:
    """Return who can hear the topics of a ROS domain, by the variables of the environment."""
    humble = environment.get('ROS_DISTRO') == 'humble'
    discovery = environment.get('ROS_AUTOMATIC_DISCOVERY_RANGE', '').upper()
    # Humble does not know that variable yet.
    if environment.get('ROS_LOCALHOST_ONLY') == '1' or (
        discovery in ('LOCALHOST', 'OFF') and not humble
    ):
        return 'nodes of this machine alone'
    # In the other strategy, nodes without a key are let in.
    if (
        environment.get('ROS_SECURITY_ENABLE', '').lower() == 'true'
        and environment.get('ROS_SECURITY_STRATEGY') == 'Enforce'
    ):
        return 'nodes of the network that have a key of the SROS2 keystore'
    keeps = 'ROS_LOCALHOST_ONLY=1' if humble else 'ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST'
    return (
        f'every machine of the network can subscribe to every topic; {keeps} or SROS2 '
        '(docs/security.md) prevents it'
    )


def _look(environment: Mapping[str, str]) -> tuple[list[str], list[SeenTopic]] | None:
    """Return the nodes and topics of the domain; None if ROS cannot be used."""
    try:
        told = subprocess.run(
            [sys.executable, '-c', _LOOK], capture_output=True, text=True, errors='replace',
            timeout=_TIMEOUT, check=True, cwd=os.sep, env=dict(environment),
        )  # fmt: skip
        found = json.loads(told.stdout)
        return found['nodes'], [SeenTopic(*topic) for topic in found['topics']]
    except (subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None
