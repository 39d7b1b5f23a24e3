"""Estimator and dialogue manager on the images of a rosbag2, in the bag's time."""

from pathlib import Path

from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    OpaqueFunction,
    RegisterEventHandler,
    TimerAction,
)
from launch.events.process import ProcessExited
from launch_ros.event_handlers import OnStateTransition

from emotion_estimator.bags.files import check_bag
from emotion_estimator.errors import InputError
from emotion_estimator.launching.arguments import declare, values
from emotion_estimator.launching.lifecycle import Entities, end, end_where_unconfigurable
from emotion_estimator.launching.nodes import bag_player, dialogue_manager, estimator
from launch import LaunchContext, LaunchDescription

ARGUMENTS = [
    DeclareLaunchArgument('bag', description='The bag: a folder, or an .mcap or .db3 file'),
    DeclareLaunchArgument(
        'image_topic',
        default_value='/image_raw',
        description='Topic of the images in the bag; the only one played, with its '
        '<image_topic>/compressed',
    ),
    *declare(
        'rate', 'loop', 'lockstep', 'landmark_source', 'model', 'namespace', 'params_file',
        'image_transport', 'emotion_topic', 'debug_image', 'policy_file', 'conversation_file',
        'autostart', 'log_level', 'fastdds_profile',
    ),
]  # fmt: skip

#: Seconds for player and estimator to find each other.
BEFOREHAND = 1.0
#: Seconds for the last images to be worked on.
AFTERWARDS = 1.0


def after_player(event: ProcessExited, context: LaunchContext) -> Entities:
    """End the launch some time after the player; with an error where that had one."""
    if event.returncode and not context.is_shutdown:
        # Launch's own status is 1 then, and all else is shut down.
        raise InputError(
            f'the bag player ended with status {event.returncode}; its lines above say why'
        )
    return [TimerAction(period=AFTERWARDS, actions=[end('the bag ended')])]


def start(context: LaunchContext) -> Entities:
    """Make the actions once the arguments are known."""
    given = {**values(context, ARGUMENTS), 'use_sim_time': 'true'}
    topics = (given['image_topic'], f'{given["image_topic"]}/compressed')
    lockstep = given['lockstep'] == 'true'
    # Where nobody says, the parameter file may; either is played.
    read = {'raw': topics[:1], 'compressed': topics[1:]}.get(given['image_transport'], topics)
    check_bag(Path(given['bag']), read, lockstep=lockstep)
    command = [
        *('ros2', 'bag', 'play', given['bag'], '--clock', '--disable-keyboard-controls'),
        *('--delay', str(BEFOREHAND), '--rate', given['rate']),
        *(['--loop'] if given['loop'] == 'true' else []),
        *('--topics', *topics),
    ]
    player = (
        bag_player(given, after_player)
        if lockstep
        else ExecuteProcess(cmd=command, output='screen', on_exit=after_player)
    )
    node, *rest = estimator(given)
    if given['autostart'] == 'true':
        rest.insert(0, end_where_unconfigurable(node))
    # Not before: the first images would be lost on a node that still loads its models.
    ready = OnStateTransition(
        target_lifecycle_node=node, goal_state='active', entities=[player], handle_once=True
    )
    return [node, RegisterEventHandler(ready), *rest, *dialogue_manager(given)]


def generate_launch_description() -> LaunchDescription:
    """Describe the launch; `ros2 launch emotion_estimator replay.launch.py --show-args`."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
