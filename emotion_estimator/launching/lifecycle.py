"""Bringing a lifecycle node up from a launch file, and again, and ending the launch.

Needs `launch` and `launch_ros`, which distributions have.
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

#: Seconds after an error until a node that launch brought up is configured again.
RECOVERY_DELAY = 3.0


def end(reason: str) -> OpaqueFunction:
    """Return what ends the launch, unless it is ending: launch_ros fails at a second Shutdown."""

    def shut_down(context: LaunchContext) -> Entities:
        return [] if context.is_shutdown else [Shutdown(reason=reason)]

    return OpaqueFunction(function=shut_down)


def end_where_unconfigurable(node: LifecycleNode) -> RegisterEventHandler:
    """Return what ends the launch when a node cannot be configured; its log line says why."""
    return RegisterEventHandler(
        OnStateTransition(
            target_lifecycle_node=node,
            start_state='configuring',
            goal_state='unconfigured',
            entities=[end('a node cannot be configured')],
        )
    )


def recovery(node: LifecycleNode) -> RegisterEventHandler:
    """Return what brings a node up again some time after it broke down."""

    def later(context: LaunchContext) -> Entities:
        # Made anew each time: a timer runs once.
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
    """Return the actions that configure a node and, where that succeeds, activate it.

    By hand, because Humble's launch_ros has no LifecycleTransition.
    """

    def change(transition: int) -> EmitEvent:
        event = ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition)
        return EmitEvent(event=event)

    def activate(context: LaunchContext) -> Entities:
        configured = context.locals.event.goal_state == 'inactive'
        return [change(Transition.TRANSITION_ACTIVATE)] if configured else []

    # Once, whatever comes of it: who later configures by hand wants the node inactive.
    outcome = OnStateTransition(
        target_lifecycle_node=node,
        start_state='configuring',
        entities=[OpaqueFunction(function=activate)],
        handle_once=True,
    )
    return [RegisterEventHandler(outcome), change(Transition.TRANSITION_CONFIGURE)]
