"""The nodes as the launch files start them, and who brings them up.

Needs `launch` and `launch_ros`, which distributions have; only the launch files import this.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any

from launch.actions import EmitEvent, OpaqueFunction, RegisterEventHandler, Shutdown, TimerAction
from launch.events import matches_action
from launch.launch_context import LaunchContext
from launch.launch_description_entity import LaunchDescriptionEntity
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from lifecycle_msgs.msg import Transition

from emotion_estimator.fastdds import profile_variable
from emotion_estimator.resources import resource_dir

#: The value of each argument of the launch file.
Given = Mapping[str, str]
Entities = list[LaunchDescriptionEntity]

#: Seconds after an error until a node that launch brought up is configured again.
RECOVERY_DELAY = 3.0


def camera(given: Given) -> Entities:
    """Return the camera node, first, and what brings it up."""
    parameters = _camera_parameters(given)
    if given['exit_at_end'] != 'true':
        return _managed('camera', given, parameters)
    node, *bring_up = _managed('camera', given, parameters, on_exit=_at_end(given))
    return [node, end_where_unconfigurable(node), *bring_up]


def estimator(given: Given) -> Entities:
    """Return the estimator node, first, and what brings it up."""
    return _managed('estimator', given, _estimator_parameters(given), recover=True)


def dialogue_manager(given: Given) -> Entities:
    """Return the dialogue manager node, first, and what brings it up."""
    return _managed('dialogue_manager', given, {})


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


def camera_and_estimator(given: Given) -> Entities:
    """Return one process with both nodes; they bring themselves up, launch manages one a process.

    No name is given, which both would take.
    """
    parameters = {
        **_camera_parameters(given),
        **_estimator_parameters(given),
        'autostart': given['autostart'] == 'true',
    }
    return [
        Node(
            executable='camera_estimator_node',
            on_exit=_at_end(given),
            **_options(given, ('camera', 'estimator'), parameters),
        )
    ]


def _camera_parameters(given: Given) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    if given['source']:
        # Text also where it is a number, which launch would make an integer.
        parameters['source'] = ParameterValue(given['source'], value_type=str)
    if given['exit_at_end'] == 'true':
        parameters['exit_at_end'] = True
    return parameters


def _estimator_parameters(given: Given) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        name: given[name] for name in ('landmark_source', 'image_transport') if given[name]
    }
    if given['debug_image']:
        parameters['debug_image'] = given['debug_image'] == 'true'
    return parameters


def _at_end(given: Given) -> Entities | None:
    return [end('the source ended')] if given['exit_at_end'] == 'true' else None


def _options(
    given: Given, files: tuple[str, ...], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what every node is started with.

    What has its default is left out: it would win over the SetParameter, SetUseSimTime or SetRemap
    of a launch file that includes ours.
    """
    config = resource_dir('config')
    overlay = [given['params_file']] if given['params_file'] else []
    sim_time = {'use_sim_time': True} if given['use_sim_time'] == 'true' else {}
    renamed = []
    if given['image_topic'] != 'image_raw':
        # Also moves `image_raw/compressed`, which the nodes name after it.
        renamed.append(('image_raw', given['image_topic']))
    if given['emotion_topic'] != 'emotion':
        renamed.append(('emotion', given['emotion_topic']))
    variable, profile = profile_variable(os.environ), given['fastdds_profile']
    return {
        'package': 'emotion_estimator',
        'namespace': given['namespace'],
        'parameters': [
            *(str(config / f'{name}.yaml') for name in files),
            *overlay,
            {**parameters, **sim_time},
        ],
        'remappings': renamed,
        'ros_arguments': ['--log-level', given['log_level']],
        'additional_env': {variable: profile} if profile and variable not in os.environ else {},
        'output': 'screen',
    }


def _managed(
    name: str, given: Given, parameters: Mapping[str, Any], *, recover: bool = False, **more: Any
) -> Entities:
    """Return a node that launch brings up, or leaves to somebody else.

    Its own autostart is off: of two managers one would always come too late.

    :param recover: bring it up again when it broke down at work. Not the camera, which looks for a
        lost device by itself, and whose broken file stays broken.
    :param more: arguments of the node action.
    """
    more.update(_options(given, (name,), {**parameters, 'autostart': False}))
    more.update(name=name, executable=f'{name}_node')
    if given['autostart'] != 'true':
        return [LifecycleNode(**more)]
    # launch_ros does it from Jazzy on.
    built_in = 'autostart' in inspect.signature(LifecycleNode.__init__).parameters
    if built_in:
        more['autostart'] = True
    node = LifecycleNode(**more)
    entities = [node, *([] if built_in else _bring_up(node))]
    if recover:
        entities.insert(1, _recovery(node))
    return entities


def _recovery(node: LifecycleNode) -> RegisterEventHandler:
    """Return what brings a node up again some time after it broke down."""

    def later(context: LaunchContext) -> Entities:
        # Made anew each time: a timer runs once.
        return [TimerAction(period=RECOVERY_DELAY, actions=_bring_up(node))]

    return RegisterEventHandler(
        OnStateTransition(
            target_lifecycle_node=node,
            start_state='errorprocessing',
            goal_state='unconfigured',
            entities=[OpaqueFunction(function=later)],
        )
    )


def _bring_up(node: LifecycleNode) -> Entities:
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
