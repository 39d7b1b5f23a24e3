"""Launch actions that bring a lifecycle node up, recover it, and shut the launch down.

Needs `launch` and `launch_ros`, which ROS distributions have.
"""

from __future__ import annotations

from launch.actions import EmitEvent, OpaqueFunction, RegisterEventHandler, Shutdown, TimerAction
from launch.events import matches_action
from launch.launch_context import LaunchContext
from launch.launch_description_entity import LaunchDescriptionEntity
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from lifecycle_msgs.msg import Transition

Entities = list[LaunchDescriptionEntity]

#: Seconds after an error before a node is configured again.
RECOVERY_DELAY = 3.0


def end(reason: str) -> OpaqueFunction:
    """Return an action that shuts the launch down, only once: a second Shutdown fails."""

    def shut_down(context: LaunchContext) -> Entities:
        return [] if context.is_shutdown else [Shutdown(reason=reason)]

    return OpaqueFunction(function=shut_down)


def end_where_unconfigurable(node: LifecycleNode) -> RegisterEventHandler:
    """Return a handler that shuts down when the node cannot be configured; it logs the reason."""
    return RegisterEventHandler(
        OnStateTransition(
            target_lifecycle_node=node,
            start_state='configuring',
            goal_state='unconfigured',
            entities=[end('a node cannot be configured')],
        )
    )


def recovery(node: LifecycleNode) -> RegisterEventHandler:
    """Return a handler that brings a node up again some time after an error."""

    def later(context: LaunchContext) -> Entities:
        # A new action each time: a timer runs once.
        return [TimerAction(period=RECOVERY_DELAY, actions=bring_up(node))]

    return RegisterEventHandler(
        OnStateTransition(
            target_lifecycle_node=node,
            start_state='errorprocessing',
            goal_state='unconfigured',
            entities=[OpaqueFunction(function=later)],
        )
    )


def bring_up(node: LifecycleNode) -> Entities:
    """Return the actions that configure a node and, if that succeeds, activate it.

    Humble's launch_ros has no LifecycleTransition for this.
    """

    def change(transition: int) -> EmitEvent:
        event = ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition)
        return EmitEvent(event=event)

    def activate(context: LaunchContext) -> Entities:
        configured = context.locals.event.goal_state == 'inactive'
        return [change(Transition.TRANSITION_ACTIVATE)] if configured else []

    # Only once, whatever the outcome: a user who configures it later may want it inactive.
    outcome = OnStateTransition(
        target_lifecycle_node=node,
        start_state='configuring',
        entities=[OpaqueFunction(function=activate)],
        handle_once=True,
    )
    return [RegisterEventHandler(outcome), change(Transition.TRANSITION_CONFIGURE)]
