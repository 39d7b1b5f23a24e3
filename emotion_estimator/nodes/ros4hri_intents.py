"""Intents for a ROS4HRI robot's mission controller, from dialogue actions and what people say.

An intent is something that somebody wants the robot to do; where only the conversation goes on,
there is none. The topic is ``/intents``, global as all of ROS4HRI's.
"""

from __future__ import annotations

import importlib
import json
import math
from typing import Any

from rclpy.node import Node
from rclpy.publisher import Publisher

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.nodes import qos
from emotion_estimator.nodes.lifecycle import until_shutdown
from emotion_estimator.nodes.ros4hri import id_prefix

_TOPIC = '/intents'
#: The message's default, of 0 to 255.
_PRIORITY = 128
#: Name of the activity that ends with the conversation.
ACTIVITY = 'conversation'
#: The first releases have no constant for what was said and not understood.
_RAW_USER_INPUT = '__raw_user_input__'
#: Characters of a recognised text that are passed on; five minutes of speech have fewer.
_MAX_TEXT = 5000


def open_ros4hri_intents(node: Node) -> Ros4hriIntents | None:
    """Return the publisher of intents; None, with one log line, if hri_actions_msgs is missing."""
    try:
        messages = importlib.import_module('hri_actions_msgs.msg')
        kind = messages.Intent
    except (ImportError, AttributeError):
        node.get_logger().info(
            f'hri_actions_msgs is not installed; nothing is published on {_TOPIC} (ROS4HRI)'
        )
        return None
    return Ros4hriIntents(node, kind)


class Ros4hriIntents:
    """Publishes ``hri_actions_msgs/Intent`` for those actions that ask something of the robot.

    ============================  ===================  =============================  ============
    action                        intent               data                           modality
    ============================  ===================  =============================  ============
    ``resume``, of a face         ``ENGAGE_WITH``      ``recipient``: id of the face  motion
    ``change_topic``              ``PRESENT_CONTENT``  ``object``: id of the topic    internal
    ``end``                       ``STOP_ACTIVITY``    ``object``: ``conversation``   internal
    what a person said            ``RAW_USER_INPUT``   ``input``, ``locale``          speech
    ============================  ===================  =============================  ============

    Actions that a service asked for are left out: the robot's mission controller is who calls
    services, and would hear its own wish as somebody else's. So are words (``SAY``): they are
    spoken by way of ``dialogue/say`` and would be said twice.
    """

    def __init__(self, node: Node, kind: Any) -> None:
        """Create the publisher.

        :param kind: ``hri_actions_msgs.msg.Intent``, or a class with the same fields.
        """
        self._node = node
        self._kind = kind
        self._prefix = id_prefix(node)
        self._publisher: Publisher[Any] | None = node.create_publisher(
            kind, _TOPIC, qos.results(), qos_overriding_options=qos.OVERRIDABLE
        )
        self._published = self._talk_only = 0

    def act(self, action: DialogueAction) -> bool:
        """Publish the intent for an action; tell whether there is one.

        The confidence is the action's, within 0 to 1, and 0 for NaN.
        """
        kind = self._kind
        intent, data, source, modality = '', {}, kind.ROBOT_ITSELF, kind.MODALITY_INTERNAL
        if action.rule.startswith('service '):
            pass
        elif action.action == 'resume' and action.face_id:
            # A face is no person of REP-155 yet, so nobody is named as the source.
            intent, data = kind.ENGAGE_WITH, {'recipient': self._prefix + action.face_id}
            source, modality = kind.UNKNOWN_AGENT, kind.MODALITY_MOTION
        elif action.action == 'change_topic' and action.topic:
            intent, data = kind.PRESENT_CONTENT, {'object': action.topic}
        elif action.action == 'end':
            # Without the name, it would be whatever the robot does.
            intent, data = kind.STOP_ACTIVITY, {'object': ACTIVITY}
        if not intent:
            self._talk_only += 1
            return False
        other = {'action': action.action, 'topic': action.topic, 'approach': action.approach}
        self._publish(
            intent, {**data, 'other_data': other}, source, modality, _share(action.confidence)
        )
        return True

    def said(self, text: str, locale: str = '') -> None:
        """Publish what a person said as input that nobody has interpreted.

        :param text: nothing is published for an empty one; cut at a word if it is longer than 5,000
            characters.
        :param locale: as ``en_GB``; empty if unknown.
        """
        if not text.strip():
            return
        data = {'input': _shortened(text), **({'locale': locale} if locale else {})}
        kind = self._kind
        name = getattr(kind, 'RAW_USER_INPUT', _RAW_USER_INPUT)
        self._publish(name, data, kind.UNKNOWN_AGENT, kind.MODALITY_SPEECH, 1.0)

    def close(self) -> None:
        """Destroy the publisher, and publish nothing from then on."""
        if self._publisher is not None:
            with until_shutdown(self._node):
                self._node.destroy_publisher(self._publisher)
            self._publisher = None

    def values(self) -> dict[str, object]:
        """Return metrics by name, for diagnostics."""
        publisher = self._publisher
        return {
            'intents_published': self._published,
            'intents_heard_by': 0 if publisher is None else publisher.get_subscription_count(),
            'actions_without_intent': self._talk_only,
        }

    def _publish(
        self, intent: str, data: dict[str, Any], source: str, modality: str, confidence: float
    ) -> None:
        if self._publisher is None:
            return
        self._publisher.publish(
            self._kind(
                intent=intent,
                data=json.dumps(data, ensure_ascii=False),
                source=source,
                modality=modality,
                priority=_PRIORITY,
                confidence=confidence,
            )
        )
        self._published += 1


def _shortened(text: str) -> str:
    if len(text) <= _MAX_TEXT:
        return text
    kept = text[: _MAX_TEXT + 1].rsplit(maxsplit=1)
    # A script without spaces is cut anywhere.
    return (kept[0] if len(kept) > 1 else text)[:_MAX_TEXT].rstrip()


def _share(value: float) -> float:
    """Return the nearest number from 0 to 1; 0 for NaN."""
    return 0.0 if math.isnan(value) else min(max(float(value), 0.0), 1.0)
