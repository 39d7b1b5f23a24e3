#!/usr/bin/env python3
"""A behaviour tree in which a robot's errands and its conversation share the robot.

The dialogue manager decides when to talk; its actions arrive on /dialogue/action and set the mood
of the light. An errand (std_msgs/String on /errand) needs the robot's body: the tree lets the
person finish, has the conversation pause, drives, and has it go on. py_trees 2.2 or newer.

    ros2 topic pub --once /errand std_msgs/msg/String "{data: fetch the tea}"
"""

import json
import time

import py_trees
import rclpy
from py_trees.behaviour import Behaviour
from py_trees.common import Access, Status
from py_trees.composites import Selector, Sequence
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger

from emotion_estimator.msg import DialogueAction

#: Light by dialogue action; any other action leaves it as it is.
LIGHTS = {
    'acknowledge': 'warm',
    'check_in': 'warm',
    'celebrate': 'bright',
    'resume': 'awake',
    'end': 'off',
}
#: Seconds that an errand waits for a turn to end, and a service for its answer.
PATIENCE = 30.0
ANSWER = 5.0


class ErrandAsked(Behaviour):
    """Succeeds while there is an errand."""

    def __init__(self) -> None:
        super().__init__('errand asked for')
        self._board = self.attach_blackboard_client(self.name)
        self._board.register_key('errands', access=Access.READ)

    def update(self) -> Status:
        """Look at the blackboard."""
        return Status.SUCCESS if self._board.errands else Status.FAILURE


class TurnEnded(Behaviour):
    """Succeeds once the person does not speak, or has spoken for very long."""

    def __init__(self) -> None:
        super().__init__('let them finish')
        self._board = self.attach_blackboard_client(self.name)
        self._board.register_key('speaking', access=Access.READ)

    def initialise(self) -> None:
        """Begin to wait."""
        self._until = time.monotonic() + PATIENCE

    def update(self) -> Status:
        """Wait while somebody speaks, but not for ever."""
        waits = self._board.speaking and time.monotonic() < self._until
        return Status.RUNNING if waits else Status.SUCCESS


class Call(Behaviour):
    """Calls a service of the dialogue manager; fails if it refuses or does not answer."""

    def __init__(self, node: Node, service: str) -> None:
        super().__init__(service)
        self._node = node
        self._client = node.create_client(Trigger, service)

    def initialise(self) -> None:
        """Begin to wait for the service, if it is not there."""
        self._until = time.monotonic() + ANSWER
        self._answer = None

    def update(self) -> Status:
        """Call once; then wait for the answer."""
        if self._answer is None and self._client.service_is_ready():
            self._answer = self._client.call_async(Trigger.Request())
        if self._answer is not None and self._answer.done():
            answer = self._answer.result()
            self._node.get_logger().info(f'{self.name}: {answer.message}')
            return Status.SUCCESS if answer.success else Status.FAILURE
        if time.monotonic() < self._until:
            return Status.RUNNING
        self._node.get_logger().warning(f'{self.name}: no answer within {ANSWER:g} s')
        return Status.FAILURE


class Drive(Behaviour):
    """Stands for what the robot does with its body; here it takes some seconds."""

    def __init__(self, node: Node, seconds: float) -> None:
        super().__init__('drive')
        self._node = node
        self._seconds = seconds
        self._board = self.attach_blackboard_client(self.name)
        self._board.register_key('errands', access=Access.WRITE)

    def initialise(self) -> None:
        """Set off."""
        self._until = time.monotonic() + self._seconds
        self._node.get_logger().info(f'driving: {self._board.errands[0]}')

    def update(self) -> Status:
        """Arrive, and take the errand off the list."""
        if time.monotonic() < self._until:
            return Status.RUNNING
        self._board.errands = self._board.errands[1:]
        return Status.SUCCESS


class FollowMood(Behaviour):
    """Sets the light by the dialogue's actions, one a tick; fails if there is none."""

    def __init__(self, node: Node) -> None:
        super().__init__('follow the mood')
        self._node = node
        self._light = node.create_publisher(String, 'light', 10)
        self._board = self.attach_blackboard_client(self.name)
        self._board.register_key('actions', access=Access.WRITE)

    def update(self) -> Status:
        """Take the oldest action."""
        if not self._board.actions:
            return Status.FAILURE
        action, *self._board.actions = self._board.actions
        if action in LIGHTS:
            self._light.publish(String(data=LIGHTS[action]))
            self._node.get_logger().info(f'{action}: light {LIGHTS[action]}')
        return Status.SUCCESS


def make_tree(node: Node, drive_time: float) -> Behaviour:
    """Return the root: an errand comes before the mood, and the mood before nothing to do."""
    # Where the conversation does not run, as with nobody there, it need not go on either.
    in_pause = Sequence('in a pause', memory=True)
    drive_on = py_trees.decorators.FailureIsSuccess('go on', Call(node, 'dialogue/resume'))
    in_pause.add_children([Call(node, 'dialogue/pause'), Drive(node, drive_time), drive_on])
    body = Selector('use the body', memory=True)
    body.add_children([in_pause, Drive(node, drive_time)])
    errand = Sequence('errand', memory=True)
    errand.add_children([ErrandAsked(), TurnEnded(), body])
    root = Selector('robot', memory=False)
    root.add_children([errand, FollowMood(node), py_trees.behaviours.Running('nothing to do')])
    return root


class RobotTree(Node):
    """Ticks the tree ten times a second; what is heard is on the blackboard."""

    def __init__(self) -> None:
        super().__init__('behaviour_tree')
        board = self._board = py_trees.blackboard.Client(name='heard')
        for key, value in (('errands', []), ('actions', []), ('speaking', False)):
            board.register_key(key, access=Access.WRITE)
            board.set(key, value)
        drive_time = self.declare_parameter('drive_time', 3.0).value
        self._tree = py_trees.trees.BehaviourTree(make_tree(self, drive_time))
        self._shown = ''
        self.create_subscription(String, 'errand', self._on_errand, 10)
        self.create_subscription(DialogueAction, 'dialogue/action', self._on_action, 10)
        self.create_subscription(String, 'dialogue/context', self._on_context, 10)
        self.create_timer(0.1, self._tick)

    def _on_errand(self, message: String) -> None:
        self._board.errands = [*self._board.errands, message.data]

    def _on_action(self, action: DialogueAction) -> None:
        self._board.actions = [*self._board.actions, action.action]

    def _on_context(self, message: String) -> None:
        self._board.speaking = json.loads(message.data)['presence']['speaking']

    def _tick(self) -> None:
        self._tree.tick()
        tip = self._tree.tip()
        if tip is not None and tip.name != self._shown:
            self._shown = tip.name
            self.get_logger().info(f'now: {tip.name}')


def main() -> None:
    """Run until Ctrl-C."""
    rclpy.init()
    try:
        rclpy.spin(RobotTree())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:
        # rclpy raises this when Ctrl-C arrives while it takes a message.
        if rclpy.ok():
            raise
    finally:
        rclpy.try_shutdown()


if __name__ == '__main__':
    main()
