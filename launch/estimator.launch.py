"""Start the estimator alone, for robots that have their own camera driver."""

from launch.actions import OpaqueFunction

from emotion_estimator.launching.arguments import declare, values
from emotion_estimator.launching.lifecycle import Entities
from emotion_estimator.launching.nodes import estimator
from launch import LaunchContext, LaunchDescription

ARGUMENTS = declare(
    'landmark_source', 'model', 'namespace', 'params_file', 'image_topic', 'image_transport',
    'emotion_topic', 'debug_image', 'autostart', 'respawn', 'use_sim_time', 'log_level',
    'fastdds_profile', 'localhost_only',
)  # fmt: skip


def start(context: LaunchContext) -> Entities:
    """Return the actions once the arguments are known."""
    return estimator(values(context, ARGUMENTS))


def generate_launch_description() -> LaunchDescription:
    """Describe the launch; list its arguments with `--show-args`."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
