"""Arguments of the launch files, each declared once.

Needs `launch`, which ROS distributions have.
"""

from __future__ import annotations

from launch.actions import DeclareLaunchArgument
from launch.launch_context import LaunchContext
from launch.substitutions import LaunchConfiguration

from emotion_estimator.resources import resource_dir

_OR_FILE = 'empty uses the parameter file'
_YES_NO = ('true', 'false')


def _argument(
    name: str, default: str, description: str, choices: tuple[str, ...] | None = None
) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(
        name, default_value=default, description=description, choices=choices
    )


_ALL = (
    _argument(
        'source',
        '',
        'Device number or /dev path, http:// or rtsp:// address, video file, image file, folder of '
        f'images, or portrait; {_OR_FILE} (default: device 0).',
    ),
    _argument(
        'landmark_source',
        '',
        f'Landmark source; {_OR_FILE} (default: auto).',
        ('', 'auto', 'face_landmarker', 'face_mesh'),
    ),
    _argument(
        'model',
        '',
        'JSON card of a model to use instead of the shipped networks (docs/zoo.md); '
        f'{_OR_FILE} (default: none).',
    ),
    _argument('namespace', '', 'Namespace of the nodes; use a different one for each camera.'),
    _argument(
        'params_file', '', 'Parameter file that overrides the shipped config/*.yaml of any node.'
    ),
    _argument(
        'image_topic',
        'image_raw',
        'Image topic; compressed images are on <image_topic>/compressed.',
    ),
    _argument(
        'image_transport',
        '',
        f'Images that the estimator subscribes to; {_OR_FILE} (default: raw).',
        ('', 'raw', 'compressed'),
    ),
    _argument('emotion_topic', 'emotion', "Topic of the primary face's emotion."),
    _argument(
        'debug_image',
        '',
        f'Publish the annotated image; {_OR_FILE} (default: false).',
        ('', *_YES_NO),
    ),
    _argument(
        'policy_file',
        '',
        f'YAML file of dialogue rules; {_OR_FILE} (default: the shipped one).',
    ),
    _argument(
        'conversation_file',
        '',
        f'YAML file of topics and utterances; {_OR_FILE} (default: the shipped one).',
    ),
    _argument(
        'language_model',
        '',
        'Name of a language model that speaks instead of the dialogue manager '
        '(docs/language_model.md); empty starts none.',
    ),
    _argument(
        'llm_base_url',
        '',
        "URL of the language model's server; empty uses the parameter file (default: Ollama on "
        'this machine).',
    ),
    _argument(
        'llm_api_key_env',
        '',
        f"Name of the environment variable with the server's API key; {_OR_FILE} (default: none).",
    ),
    _argument(
        'page',
        'false',
        'Serve a page to watch in a browser on this machine (needs NiceGUI; docs/live.md); its '
        'address is in the output.',
        _YES_NO,
    ),
    _argument('exit_at_end', 'false', 'Shut down when the source ends.', _YES_NO),
    _argument(
        'intra_process',
        'false',
        'Run camera and estimator in one process, so that images do not go through DDS.',
        _YES_NO,
    ),
    _argument(
        'autostart',
        'true',
        'Configure and activate the nodes, and again after an error; false leaves them '
        "unconfigured for the robot's own lifecycle manager.",
        _YES_NO,
    ),
    _argument(
        'respawn',
        'true',
        'Start a node again 2 s after it has ended unexpectedly, and, with autostart, bring it up. '
        'A node that cannot start as configured stays ended; so does the camera with exit_at_end.',
        _YES_NO,
    ),
    _argument('use_sim_time', 'false', 'Use the time from /clock (simulation, bags).', _YES_NO),
    _argument(
        'log_level',
        'info',
        'Log level: debug, info, warn, error or fatal; camera:=debug sets it for one logger.',
    ),
    _argument(
        'fastdds_profile',
        str(resource_dir('config') / 'fastdds.xml'),
        'Fast DDS profile with enough shared memory for images, or none. If the environment '
        'configures Fast DDS (a profile, FASTDDS_BUILTIN_TRANSPORTS), none is used either.',
    ),
    _argument('localhost_only', 'false', 'Limit discovery to nodes on this machine.', _YES_NO),
    _argument('rate', '1.0', 'Playback speed of the bag relative to real time.'),
    _argument('loop', 'false', 'Start the source or the bag again when it ends.', _YES_NO),
    _argument(
        'lockstep',
        'false',
        "Play the images with the package's own player, which waits for the answer to each: none "
        'is dropped, however slow the machine is (needs rosbags). False uses `ros2 bag play`.',
        _YES_NO,
    ),
)
_BY_NAME = {argument.name: argument for argument in _ALL}


def declare(*names: str) -> list[DeclareLaunchArgument]:
    """Return the declarations of the arguments with these names."""
    return [_BY_NAME[name] for name in names]


def values(context: LaunchContext, declared: list[DeclareLaunchArgument]) -> dict[str, str]:
    """Return the value of each declared argument; works only while launch executes."""
    return {item.name: LaunchConfiguration(item.name).perform(context) for item in declared}
