"""Play a rosbag2's images to the estimator and the dialogue manager, in the bag's time."""

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
from emotion_estimator.launching.nodes import bag_player, dialogue_manager, estimator, live
from launch import LaunchContext, LaunchDescription

ARGUMENTS = [
    DeclareLaunchArgument('bag', description='Bag to play: a folder, or an .mcap or .db3 file.'),
    DeclareLaunchArgument(
        'image_topic',
        default_value='/image_raw',
        description="The bag's image topic; only it and <image_topic>/compressed are played.",
    ),
    *declare(
        'rate', 'loop', 'lockstep', 'landmark_source', 'model', 'namespace', 'params_file',
        'image_transport', 'emotion_topic', 'debug_image', 'policy_file', 'conversation_file',
        'page', 'autostart', 'respawn', 'log_level', 'fastdds_profile', 'localhost_only',
    ),
]  # fmt: skip

#: Seconds for the player and the estimator to discover each other.
START_DELAY = 1.0
#: Seconds to process the last images.
END_DELAY = 1.0


def after_player(event: ProcessExited, context: LaunchContext) -> Entities:
    """End the launch shortly after the player, with an error if the player failed."""
    if event.returncode and not context.is_shutdown:
        # Shuts everything down and sets launch's exit status to 1.
        raise InputError(f'the bag player exited with status {event.returncode}; see its log above')
    return [TimerAction(period=END_DELAY, actions=[end('the bag ended')])]


def start(context: LaunchContext) -> Entities:
    """Return the actions for the given arguments."""
    given = {**values(context, ARGUMENTS), 'use_sim_time': 'true'}
    topics = (given['image_topic'], f'{given["image_topic"]}/compressed')
    lockstep = given['lockstep'] == 'true'
    # If image_transport is not given, the parameter file may set it: play either topic.
    read = {'raw': topics[:1], 'compressed': topics[1:]}.get(given['image_transport'], topics)
    check_bag(Path(given['bag']), read, lockstep=lockstep)
    command = [
        *('ros2', 'bag', 'play', given['bag'], '--clock', '--disable-keyboard-controls'),
        *('--delay', str(START_DELAY), '--rate', given['rate']),
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
    # Earlier, the first images would be lost while the node loads its models.
    ready = OnStateTransition(
        target_lifecycle_node=node, goal_state='active', entities=[player], handle_once=True
    )
    return [node, RegisterEventHandler(ready), *rest, *dialogue_manager(given), *live(given)]


def generate_launch_description() -> LaunchDescription:
    """Describe the launch; list its arguments with `--show-args`."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
