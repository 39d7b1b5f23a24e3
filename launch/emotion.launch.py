"""Start camera, estimator and dialogue manager; with `namespace`, once for each camera.

With `language_model`, its node speaks instead of the dialogue manager. With `page`, a page shows
what they do.
"""

from launch.actions import OpaqueFunction

from emotion_estimator.launching.arguments import declare, values
from emotion_estimator.launching.lifecycle import Entities
from emotion_estimator.launching.nodes import (
    camera,
    camera_and_estimator,
    dialogue_manager,
    estimator,
    live,
    llm_dialogue,
)
from launch import LaunchContext, LaunchDescription

ARGUMENTS = declare(
    'source', 'landmark_source', 'model', 'namespace', 'params_file', 'image_topic',
    'image_transport', 'emotion_topic', 'debug_image', 'policy_file', 'conversation_file',
    'language_model', 'llm_base_url', 'llm_api_key_env', 'page', 'exit_at_end', 'loop',
    'intra_process', 'autostart', 'respawn', 'use_sim_time', 'log_level', 'fastdds_profile',
    'localhost_only',
)  # fmt: skip


def start(context: LaunchContext) -> Entities:
    """Return the actions once the arguments are known."""
    given = values(context, ARGUMENTS)
    rest = dialogue_manager(given) + llm_dialogue(given) + live(given)
    if given['intra_process'] == 'true':
        return camera_and_estimator(given) + rest
    return camera(given) + estimator(given) + rest


def generate_launch_description() -> LaunchDescription:
    """Describe the launch; list its arguments with `--show-args`."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
