"""Start a node again that has ended unexpectedly, and bring it up once more.

Needs `launch` and `launch_ros`, which ROS distributions have.
"""

from __future__ import annotations

import time
from typing import Any

from launch.actions import EmitEvent, RegisterEventHandler
from launch.event_handlers import OnProcessStart
from launch.events import matches_action
from launch.events.process import ProcessExited, ProcessStarted, ShutdownProcess
from launch.launch_context import LaunchContext
from launch.logging import get_logger
from launch_ros.actions import LifecycleNode
from launch_ros.ros_adapters import get_ros_node
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState

from emotion_estimator.launching.lifecycle import Entities

#: Seconds between a node's end and its next start.
RESPAWN_DELAY = 2.0
#: Seconds within which a node that was started again must answer.
_START_TIMEOUT = 60.0
#: Seconds to wait for one answer: the request may have gone to the node that has died.
_ANSWER_TIMEOUT = 1.0
#: Seconds for one transition: models are loaded, devices opened.
_TRANSITION_TIMEOUT = 30.0

#: States between transitions.
_PRIMARY = (
    State.PRIMARY_STATE_UNCONFIGURED,
    State.PRIMARY_STATE_INACTIVE,
    State.PRIMARY_STATE_ACTIVE,
    State.PRIMARY_STATE_FINALIZED,
)

#: Exit status of a node that cannot start as it is configured.
CANNOT_START = 2


def stay_ended(event: ProcessExited, context: LaunchContext) -> Entities:
    """Prevent the respawn of a node that would only fail once more: a parameter is wrong."""
    if event.returncode != CANNOT_START or context.is_shutdown:
        return []
    return [EmitEvent(event=ShutdownProcess(process_matcher=matches_action(event.action)))]


def bring_up_respawned(node: LifecycleNode) -> RegisterEventHandler:
    """Return a handler that configures and activates a node after each start but its first.

    Not by the event ChangeState: its request reaches only the node that has died, for as long as
    DDS takes that for alive (20 s), and is waited for without end.
    """
    starts = 0

    def started(event: ProcessStarted, context: LaunchContext) -> None:
        nonlocal starts
        starts += 1
        if starts > 1:
            bringing_up = context.asyncio_loop.run_in_executor(None, _bring_up, node, context)
            context.add_completion_future(bringing_up)

    return RegisterEventHandler(OnProcessStart(target_action=node, on_start=started))


def _bring_up(node: LifecycleNode, context: LaunchContext) -> None:
    try:
        _ask_for_transitions(node, context)
    except RuntimeError as error:
        # rclpy's InvalidHandle: launch_ros destroys its node when the launch shuts down, and an
        # exception in here would make that fail.
        if not context.is_shutdown:
            get_logger('launch').warning(f'{node.node_name} was not brought up again: {error}')


def _ask_for_transitions(node: LifecycleNode, context: LaunchContext) -> None:
    name = node.node_name
    ros = get_ros_node(context)
    state_of = ros.create_client(GetState, f'{name}/get_state')
    change = ros.create_client(ChangeState, f'{name}/change_state')
    steps = {
        State.PRIMARY_STATE_UNCONFIGURED: Transition.TRANSITION_CONFIGURE,
        State.PRIMARY_STATE_INACTIVE: Transition.TRANSITION_ACTIVATE,
    }
    end = time.monotonic() + _START_TIMEOUT
    try:
        while time.monotonic() < end and not context.is_shutdown:
            answer = _ask(state_of, GetState.Request(), _ANSWER_TIMEOUT, context)
            step = steps.pop(answer.current_state.id, None) if answer is not None else None
            if step is not None:
                request = ChangeState.Request(transition=Transition(id=step))
                _ask(change, request, _TRANSITION_TIMEOUT, context)
            elif answer is not None and answer.current_state.id in _PRIMARY:
                # Active; or it has refused a transition, and has said why.
                return
        if not context.is_shutdown:
            get_logger('launch').error(f'{name} was started again and does not answer')
    finally:
        ros.destroy_client(state_of)
        ros.destroy_client(change)


def _ask(client: Any, request: Any, timeout: float, context: LaunchContext) -> Any:
    """Return the answer, or None if there is none in time. For a thread."""
    end = time.monotonic() + timeout
    if not client.wait_for_service(timeout_sec=timeout):
        return None
    future = client.call_async(request)
    while not future.done():
        if context.is_shutdown or time.monotonic() > end:
            client.remove_pending_request(future)
            return None
        time.sleep(0.02)
    return future.result()
