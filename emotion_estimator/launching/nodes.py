"""Launch actions of the nodes: their parameters, remappings, and how they are brought up.

Needs `launch` and `launch_ros`, which ROS distributions have; only launch files import this.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any

from launch.events.process import ProcessExited
from launch.launch_context import LaunchContext
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue

from emotion_estimator.launching.environment import node_environment
from emotion_estimator.launching.lifecycle import (
    Entities,
    bring_up,
    end,
    end_where_unconfigurable,
    recovery,
)
from emotion_estimator.launching.respawn import (
    CANNOT_START,
    RESPAWN_DELAY,
    bring_up_respawned,
    stay_ended,
)
from emotion_estimator.resources import resource_dir

#: Values of the launch file's arguments.
Given = Mapping[str, str]
#: Returns the actions that follow the end of a process.
OnExit = Callable[[ProcessExited, LaunchContext], Entities]


def camera(given: Given) -> Entities:
    """Return the camera node, followed by the actions that bring it up."""
    parameters = _camera_parameters(given)
    if given['exit_at_end'] != 'true':
        return _managed('camera', given, parameters)
    # Its end is the launch's.
    once = {**given, 'respawn': 'false'}
    node, *rest = _managed('camera', once, parameters, on_exit=[end('the source ended')])
    if given['autostart'] == 'true':
        rest.insert(0, end_where_unconfigurable(node))
    return [node, *rest]


def estimator(given: Given) -> Entities:
    """Return the estimator node, followed by the actions that bring it up."""
    return _managed('estimator', given, _estimator_parameters(given), recover=True)


def dialogue_manager(given: Given) -> Entities:
    """Return the dialogue manager node, followed by the actions that bring it up.

    It leaves the words to the language model's node if there is one.
    """
    parameters: dict[str, Any] = {
        # As text, even if the file's name looks like a number.
        name: ParameterValue(given[name], value_type=str)
        for name in ('policy_file', 'conversation_file')
        if given[name]
    }
    if given.get('language_model'):
        parameters['publish_say'] = False
    return _managed('dialogue_manager', given, parameters)


def llm_dialogue(given: Given) -> Entities:
    """Return the language model's node, as above; nothing without a ``language_model``."""
    names = {
        'model': 'language_model',
        'base_url': 'llm_base_url',
        'api_key_env': 'llm_api_key_env',
    }
    if not given['language_model']:
        return []
    parameters = {
        # As text, even if the model's name looks like a number.
        name: ParameterValue(given[argument], value_type=str)
        for name, argument in names.items()
        if given[argument]
    }
    return _managed('llm_dialogue', given, parameters)


def live(given: Given) -> Entities:
    """Return the node that serves a page, as above; nothing unless ``page`` is true."""
    if given['page'] != 'true':
        return []
    transport = given['image_transport']
    return _managed('live', given, {'image_transport': transport} if transport else {})


def camera_and_estimator(given: Given) -> Entities:
    """Return one process with both nodes, which bring themselves up.

    Launch can manage only one lifecycle node per process. The action has no name, because both
    nodes would take it.
    """
    parameters = {
        **_camera_parameters(given),
        **_estimator_parameters(given),
        'autostart': given['autostart'] == 'true',
    }
    # It ends by itself at the source's end, or because it cannot start.
    respawn = given['respawn'] == 'true' and given['exit_at_end'] == 'false'

    def after(event: ProcessExited, context: LaunchContext) -> Entities:
        ended = not respawn or event.returncode in (0, CANNOT_START)
        return [end('camera and estimator have ended')] if ended else []

    return [
        Node(
            executable='camera_estimator_node',
            respawn=respawn,
            respawn_delay=RESPAWN_DELAY,
            on_exit=after,
            **_options(given, ('camera', 'estimator'), parameters),
        )
    ]


def bag_player(given: Given, on_exit: OnExit) -> Node:
    """Return the bag player that waits for the estimator's answers.

    :param on_exit: returns the actions that follow its end.
    """
    topic = given['image_topic']
    if given['image_transport'] == 'compressed':
        topic = f'{topic}/compressed'
    arguments = [given['bag'], '--lockstep', '--topic', topic, '--rate', given['rate']]
    if given['loop'] == 'true':
        arguments.append('--loop')
    # The player publishes the time, and uses the bag's topic.
    own = {**given, 'image_topic': 'image_raw', 'use_sim_time': 'false'}
    options = _options(own, (), {'use_sim_time': False})
    return Node(executable='bag_player_node', arguments=arguments, on_exit=on_exit, **options)


def _camera_parameters(given: Given) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    if given['source']:
        # As text: launch would turn a device number into an integer.
        parameters['source'] = ParameterValue(given['source'], value_type=str)
    for name in ('exit_at_end', 'loop'):
        if given[name] == 'true':
            parameters[name] = True
    return parameters


def _estimator_parameters(given: Given) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        name: given[name] for name in ('landmark_source', 'image_transport') if given[name]
    }
    if given['model']:
        # As text, even if the file's name looks like a number.
        parameters['model'] = ParameterValue(given['model'], value_type=str)
    if given['debug_image']:
        parameters['debug_image'] = given['debug_image'] == 'true'
    return parameters


def _options(given: Given, files: tuple[str, ...], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that every node action has.

    Values equal to their default are left out: they would override SetParameter, SetUseSimTime or
    SetRemap in a launch file that includes ours.
    """
    config = resource_dir('config')
    overlay = [given['params_file']] if given['params_file'] else []
    sim_time = {'use_sim_time': True} if given['use_sim_time'] == 'true' else {}
    renamed = []
    if given['image_topic'] != 'image_raw':
        # This also renames `image_raw/compressed`, which the nodes derive from it.
        renamed.append(('image_raw', given['image_topic']))
    if given['emotion_topic'] != 'emotion':
        renamed.append(('emotion', given['emotion_topic']))
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
        'additional_env': node_environment(given, os.environ),
        'output': 'screen',
    }


def _managed(
    name: str, given: Given, parameters: Mapping[str, Any], *, recover: bool = False, **more: Any
) -> Entities:
    """Return a node, followed by the actions that bring it up unless autostart is false.

    The node's own autostart is off, because two managers would interfere with each other.

    :param recover: bring it up again after an error. Not needed for the camera, which reopens a
        lost device by itself and cannot recover from a broken file.
    :param more: further arguments of the node action.
    """
    more.update(_options(given, (name,), {**parameters, 'autostart': False}))
    more.update(name=name, executable=f'{name}_node')
    respawn = given['respawn'] == 'true'
    if respawn:
        more.update(respawn=True, respawn_delay=RESPAWN_DELAY, on_exit=stay_ended)
    if given['autostart'] != 'true':
        return [LifecycleNode(**more)]
    # From Jazzy on launch_ros brings it up.
    built_in = 'autostart' in inspect.signature(LifecycleNode.__init__).parameters
    if built_in:
        more['autostart'] = True
    node = LifecycleNode(**more)
    entities = [node, *([] if built_in else bring_up(node))]
    if recover:
        entities.insert(1, recovery(node))
    if respawn:
        entities.insert(1, bring_up_respawned(node))
    return entities
